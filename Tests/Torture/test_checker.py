"""The checker finds each kind of violation in a history that was made up, and none where there is none.

python3 -m unittest discover -s Tests/Torture"""

import json
import random
import unittest

from checker import check, check_progress
from faults import Fault, nothing, plan
from history import Disturbance, Execution, History, Response

LEASE = 2.0


def body(key, receipt, text=""):
    return json.dumps({"id": receipt, "reference": key, "text": text}).encode()


def success(key, receipt, *, marker="new", server=0, time=1.0, text=""):
    return Response(key, 201, body(key, receipt, text), marker, server=server, time=time)


def problem(key, kind, status=409, *, server=0):
    return Response(key, status, b"{}", problem=kind, server=server)


def kill(server=0, start=1.5, end=2.0):
    return Disturbance("kill", start, end, server, is_kill=True)


def halt(length, server=0, start=1.5, **options):
    return Disturbance("stop", start, start + length, server, **options)


class CheckerTests(unittest.TestCase):
    """Each test changes one thing in a history that is in order: key k ran once, on server 0, and was replayed."""

    def setUp(self):
        self.history = History(
            "rerun", LEASE, sent={"k"}, executions=[Execution("k", 1, 1, server=0, time=1.0)],
            responses=[success("k", 1)], final=self.final(success("k", 1, marker="hit")))

    @staticmethod
    def final(*responses):
        """Both servers say the same unless two responses are given."""
        return {"k": list(responses) * (2 // len(responses))}

    def run_again(self, *, attempt=2, server=1, time=5.0):
        """A second execution, whose response is what everybody gets in the end."""
        self.history.executions.append(Execution("k", 2, attempt, server, time))
        self.history.final = self.final(success("k", 2, marker="hit"))
        self.history.responses = []

    def assert_kinds(self, *kinds):
        self.assertEqual(sorted({violation.kind for violation in check(self.history).violations}), sorted(kinds))

    def test_history_in_order(self):
        self.assert_kinds()

    # MARK: What ran

    def test_takeover_after_a_kill(self):
        self.run_again()
        self.history.disturbances = [kill()]
        self.assert_kinds()
        numbers = check(self.history).numbers
        self.assertEqual((numbers["takeovers"], numbers["duplicates"]), (1, 1))

    def test_takeover_after_a_long_halt(self):
        self.run_again()
        self.history.disturbances = [halt(3.0)]
        self.assert_kinds()

    def test_takeover_while_the_store_was_away(self):
        self.run_again()
        self.history.disturbances = [Disturbance("partition", 1.5, 4.0)]
        self.assert_kinds()

    def test_ran_twice_without_a_fault(self):
        self.run_again()
        self.assert_kinds("ran twice")

    def test_ran_twice_while_another_server_was_killed(self):
        self.run_again()
        self.history.disturbances = [kill(server=1)]
        self.assert_kinds("ran twice")

    def test_ran_twice_after_a_short_halt(self):
        self.run_again()
        self.history.disturbances = [halt(0.5)]
        self.assert_kinds("ran twice")

    def test_takeover_after_short_faults_in_a_row(self):
        self.run_again()
        self.history.disturbances = [Disturbance("partition", 1.1, 1.5), halt(0.5, start=2.0)]
        self.assert_kinds()
        self.history.disturbances = [Disturbance("partition", 1.1, 1.3), halt(0.5, start=3.0)]
        self.assert_kinds("ran twice")

    def test_ran_twice_before_the_fault(self):
        self.run_again()
        self.history.disturbances = [kill(start=6.0, end=7.0)]
        self.assert_kinds("ran twice")

    def test_ran_twice_after_the_fault(self):
        self.history.executions = [Execution("k", 1, 1, server=0, time=10.0)]
        self.run_again(time=15.0)
        self.history.disturbances = [kill(start=1.0, end=2.0)]
        self.assert_kinds("ran twice")

    def test_ran_twice_while_only_clients_were_cut_off(self):
        self.run_again()
        self.history.disturbances = [halt(3.0, is_outside=True)]
        self.assert_kinds("ran twice")

    def test_attempt_repeated(self):
        self.run_again(attempt=1)
        self.history.disturbances = [kill()]
        self.assert_kinds("attempt repeated")

    def test_taken_over_early(self):
        self.history.executions = [Execution("k", 1, 1, server=0, time=1.0)]
        self.run_again(time=2.2)
        self.history.disturbances = [kill(start=1.6, end=2.0)]
        self.assert_kinds("taken over early")

    def test_attempt_that_stood_still_before_its_operation(self):
        self.history.executions = [Execution("k", 1, 1, server=0, time=4.2)]
        self.run_again(time=4.0)
        self.history.disturbances = [halt(3.0, start=1.1)]
        self.assert_kinds()

    def test_ran_twice_under_refuse(self):
        self.history.rule = "refuse"
        self.run_again(attempt=1)
        self.history.disturbances = [kill()]
        self.assert_kinds("ran twice")

    def test_ran_again_under_refuse(self):
        self.history.rule = "refuse"
        self.history.executions = [Execution("k", 1, 2, server=0, time=1.0)]
        self.history.disturbances = [kill()]
        self.assert_kinds("ran again under refuse")

    def test_committed_twice(self):
        self.history.is_exactly_once = True
        self.run_again()
        self.history.disturbances = [kill()]
        self.assert_kinds("committed twice")

    def test_later_attempt_alone_is_fine_in_one_transaction(self):
        self.history.is_exactly_once = True
        self.history.executions = [Execution("k", 1, 2)]
        self.assert_kinds()

    def test_ran_unasked(self):
        self.history.executions.append(Execution("other", 7))
        self.assert_kinds("ran unasked")

    def test_receipt_repeated(self):
        self.history.sent.add("l")
        self.history.executions.append(Execution("l", 1))
        self.history.final["l"] = [success("l", 1)] * 2
        self.assert_kinds("receipt repeated")

    # MARK: What clients were told

    def test_response_without_execution(self):
        self.history.executions = []
        self.assert_kinds("response without execution")

    def test_response_of_another_key(self):
        self.history.responses.append(Response("k", 201, body("other", 1), "hit"))
        self.assert_kinds("two responses", "wrong response")

    def test_unreadable_response(self):
        self.history.responses.append(Response("k", 201, body("k", 1)[:-5], "unstored"))
        self.assert_kinds("unreadable response")

    def test_altered_response(self):
        self.history.final = self.final(success("k", 1, marker="hit", text="x"))
        self.assert_kinds("altered response", "two responses")

    def test_stored_response_replaced(self):
        self.run_again()
        self.history.disturbances = [kill()]
        self.history.responses = [success("k", 1)]
        self.assert_kinds("two responses")

    def test_unstored_response_replaced(self):
        self.run_again()
        self.history.disturbances = [kill()]
        self.history.responses = [success("k", 1, marker="unstored")]
        self.assert_kinds()

    def test_replay_of_the_same_server_replaced_after_a_kill(self):
        self.run_again()
        self.history.disturbances = [kill()]
        self.history.responses = [success("k", 1, marker="hit")]
        self.assert_kinds()
        self.assertEqual(check(self.history).numbers["replaced replays"], 1)

    def test_replay_of_another_server_replaced(self):
        self.run_again()
        self.history.disturbances = [kill()]
        self.history.responses = [success("k", 1, marker="hit", server=1)]
        self.assert_kinds("two responses")

    def test_not_replayed(self):
        self.history.rule = "refuse"
        self.history.disturbances = [kill()]
        self.history.final = self.final(problem("k", "outcome-unknown"))
        self.assert_kinds("not replayed")

    def test_unstored_response_that_is_unknown_later(self):
        self.history.rule = "refuse"
        self.history.disturbances = [kill()]
        self.history.responses = [success("k", 1, marker="unstored")]
        self.history.final = self.final(problem("k", "outcome-unknown"))
        self.assert_kinds()

    def test_unknown_without_a_fault(self):
        self.history.rule = "refuse"
        self.history.responses = []
        self.history.final = self.final(problem("k", "outcome-unknown"))
        self.assert_kinds("unknown without a fault")

    def test_unknown_and_not_run_without_a_kill(self):
        self.history.rule = "refuse"
        self.history.responses, self.history.executions = [], []
        self.history.disturbances = [halt(3.0), Disturbance("partition", 1.0, 4.0)]
        self.history.final = self.final(problem("k", "outcome-unknown"))
        self.assert_kinds("unknown without a fault")
        self.history.disturbances = [kill()]
        self.assert_kinds()

    def test_unknown_under_rerun(self):
        self.history.responses = []
        self.history.disturbances = [kill()]
        self.history.final = self.final(problem("k", "outcome-unknown"))
        self.assert_kinds("no success")

    def test_no_final_response(self):
        self.history.final = self.final(problem("k", "request-in-progress"))
        self.assert_kinds("no final response")
        self.history.final = self.final(problem("k", "store-unavailable", 503))
        self.assert_kinds("no final response")
        self.history.final = self.final(success("k", 1, marker="unstored"))
        self.assert_kinds("no final response")
        self.history.final = {}
        self.assert_kinds("no final response")

    def test_servers_disagree(self):
        self.run_again()
        self.history.disturbances = [kill()]
        self.history.final = self.final(success("k", 1, marker="hit"), success("k", 2, marker="hit", server=1))
        self.assert_kinds("servers disagree")

    def test_unexpected_response(self):
        problems = [(422, "key-reused"), (400, "key-invalid"), (500, "scope-unknown"), (502, "upstream-failed")]
        for status, kind in problems:
            self.setUp()
            self.history.responses.append(problem("k", kind, status))
            self.assert_kinds("unexpected response")

    # MARK: What a store may forget

    def test_forgotten_writes_are_losses(self):
        self.run_again(attempt=1)
        self.history.responses = [success("k", 1)]
        self.history.may_have_forgotten = True
        findings = check(self.history)
        self.assertEqual(findings.violations, [])
        self.assertEqual({loss.kind for loss in findings.losses}, {"attempt repeated", "two responses"})
        self.assertEqual(findings.numbers["losses"], 1)

    def test_forgotten_writes_do_not_excuse_a_wrong_response(self):
        self.history.may_have_forgotten = True
        self.history.responses.append(Response("k", 201, body("other", 1), "hit"))
        self.assert_kinds("wrong response")

    # MARK: Progress

    def test_progress(self):
        self.history.sent = {f"k{number}" for number in range(10)}
        self.history.responses = [success(key, 1) for key in self.history.sent]
        self.assertEqual(list(check_progress(self.history, faults=3, least_faults=3)), [])
        self.assertEqual(
            [one.kind for one in check_progress(self.history, faults=2, least_faults=3)], ["no faults"])
        self.history.responses = self.history.responses[:4] * 5
        self.assertEqual([one.kind for one in check_progress(self.history, faults=3, least_faults=3)], ["no progress"])


class PlanTests(unittest.TestCase):
    faults = [Fault("kind", f"fault {number}", nothing, shortest=0.5, longest=1.0) for number in range(4)]

    def test_same_seed_same_plan(self):
        self.assertEqual(plan(self.faults, 30, "1"), plan(self.faults, 30, "1"))
        self.assertNotEqual(plan(self.faults, 30, "1"), plan(self.faults, 30, "2"))

    def test_each_fault_comes_before_any_comes_again(self):
        for seed in range(20):
            names = [step.name for step in plan(self.faults, 30, seed)]
            self.assertEqual(len(set(names[:4])), 4)

    def test_length(self):
        steps = plan(self.faults, 10, random.random())
        self.assertLessEqual(sum(step.pause + step.duration for step in steps), 10)
        self.assertGreaterEqual(len(steps), 5)
        self.assertEqual(len(plan(self.faults, 0, 1)), 1)


if __name__ == "__main__":
    unittest.main()
