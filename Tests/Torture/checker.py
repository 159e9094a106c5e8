"""Compares what clients were told with what ran.

Pure: a history goes in, violations and numbers come out."""

import collections
from dataclasses import dataclass, field

# How long connections take to come back after a fault has ended.
RECOVERY = 1.0
# By how much a timestamp of a ledger may lag behind what it stands for.
SLACK = 0.5
# What a client that does nothing wrong may be told.
EXPECTED_STATUSES = {200, 201, 409, 503}


@dataclass(frozen=True)
class Violation:
    kind: str
    key: str
    text: str

    def __str__(self):
        return f"{self.kind}: {self.key}: {self.text}"


@dataclass
class Findings:
    violations: list = field(default_factory=list)
    # What a store has forgotten that may: measured, and no failure.
    losses: list = field(default_factory=list)
    numbers: collections.Counter = field(default_factory=collections.Counter)


def check(history):
    """All violations of a history."""
    return Checker(history).run()


def check_progress(history, *, faults, least_faults):
    """A round that proves nothing is no success: too few requests came through, or nothing was disturbed."""
    successes = len({response.key for response in history.responses if response.is_success})
    if successes < max(5, len(history.sent) // 5):
        text = f"{successes} of {len(history.sent)} keys got a success while there were faults"
        yield Violation("no progress", "-", text)
    if faults < least_faults:
        yield Violation("no faults", "-", f"{faults} faults were injected, {least_faults} at least were planned")


class Checker:
    # What a store brings about that has forgotten a claim or a response.
    FORGETFUL = {"ran twice", "attempt repeated", "taken over early", "two responses", "not replayed"}

    def __init__(self, history):
        self.history = history
        self.findings = Findings()
        self.executions = group(history.executions)
        self.responses = group(history.responses)

    def run(self):
        self.check_ledger()
        for key in sorted(self.history.sent):
            self.check_executions(key)
            self.check_responses(key)
            self.check_end(key)
        self.count()
        return self.findings

    def report(self, kind, key, text):
        forgotten = self.history.may_have_forgotten and kind in self.FORGETFUL
        (self.findings.losses if forgotten else self.findings.violations).append(Violation(kind, key, text))

    def check_ledger(self):
        for key in self.executions.keys() - self.history.sent:
            self.report("ran unasked", key, "the ledger has a key that no client sent")
        receipts = collections.Counter(execution.receipt for execution in self.history.executions)
        for receipt, count in receipts.items():
            if count > 1:
                self.report("receipt repeated", "-", f"the ledger has receipt {receipt} {count} times")

    # MARK: What ran

    def check_executions(self, key):
        executions = sorted(self.executions[key], key=lambda execution: execution.attempt)
        if self.history.rule == "refuse" and any(execution.attempt > 1 for execution in executions):
            self.report("ran again under refuse", key, describe(executions))
        for earlier, later in zip(executions, executions[1:]):
            self.check_rerun(key, earlier, later)

    def check_rerun(self, key, earlier, later):
        text = describe([earlier, later])
        if self.history.is_exactly_once:
            self.report("committed twice", key, text)
        elif self.history.rule == "refuse":
            self.report("ran twice", key, text)
        elif earlier.attempt == later.attempt:
            self.report("attempt repeated", key, text)
        elif not self.is_abandoned(earlier, until=later.time):
            self.report("ran twice", key, f"no fault has hit the earlier attempt: {text}")
        elif self.is_early(earlier, later):
            self.report("taken over early", key, f"its lease of {self.history.lease} s was not over: {text}")

    def is_abandoned(self, execution, until=None):
        """Whether a fault explains that the attempt did not end, or could not tell the store."""
        def is_meanwhile(start, end):
            return (execution.time is None or end >= execution.time) and (until is None or start <= until)

        faults = self.faults_of(execution.server)
        if any(fault.is_kill and is_meanwhile(fault.start, fault.end + RECOVERY) for fault in faults):
            return True
        # A lease is renewed three times in its length: at any time two thirds of it are left.
        return any(
            end - start >= self.history.lease * 2 / 3 and is_meanwhile(start, end) for start, end in outages(faults))

    def faults_of(self, server):
        """Those that can keep an attempt of a server, if it is known which one, from renewing its lease."""
        return [
            fault for fault in self.history.disturbances
            if not fault.is_outside and (None in (fault.server, server) or fault.server == server)]

    def is_early(self, earlier, later):
        """Whether the later attempt ran although the lease of the earlier one cannot have been over."""
        if earlier.time is None or later.time is None or later.time < earlier.time:
            return False
        # One that stood still between its claim and its operation began late.
        stood_still = any(
            disturbance.start - SLACK <= earlier.time <= disturbance.end + RECOVERY
            for disturbance in self.faults_of(earlier.server))
        return not stood_still and later.time - earlier.time < self.history.lease - SLACK

    # MARK: What clients were told

    def check_responses(self, key):
        responses = self.responses[key] + self.history.final.get(key, [])
        for response in responses:
            if response.status not in EXPECTED_STATUSES:
                self.report("unexpected response", key, describe([response]))
        bodies = {response.body: response for response in responses if response.is_success}
        for response in bodies.values():
            self.check_body(key, response)
        if len({response.claim() for response in bodies.values()}) < len(bodies):
            self.report("altered response", key, "two responses with one receipt differ")

    def check_body(self, key, response):
        claim = response.claim()
        if claim is None:
            self.report("unreadable response", key, repr(response.body[:200]))
        elif claim[0] != key:
            self.report("wrong response", key, f"it is that of {claim[0]}")
        elif not self.execution(response):
            self.report("response without execution", key, f"receipt {claim[1]} is not in the ledger")

    def check_end(self, key):
        final = self.history.final.get(key, [])
        if len(final) < 2 or not all(response.is_final for response in final):
            self.report("no final response", key, describe(final) or "none")
        elif len({(response.status, response.is_success and response.body) for response in final}) > 1:
            self.report("servers disagree", key, describe(final))
        else:
            self.check_final(key, final[0])

    def check_final(self, key, final):
        """Compares what clients could rely on with what every server says in the end."""
        durable = {response.body for response in self.responses[key] if self.is_durable(response)}
        if final.is_success:
            if durable - {final.body}:
                self.report("two responses", key, f"a stored response was replaced by {describe([final])}")
        elif durable:
            self.report("not replayed", key, f"a stored response was lost; then {describe([final])}")
        elif self.history.rule != "refuse":
            self.report("no success", key, describe([final]))
        elif not self.executions[key] and not any(one.is_kill for one in self.history.disturbances):
            # A server that lives withdraws what it has claimed and not begun.
            self.report("unknown without a fault", key, "it did not run, and no server was killed")
        elif self.executions[key] and not any(map(self.is_abandoned, self.executions[key])):
            self.report("unknown without a fault", key, describe([final]))

    def execution(self, response):
        """The execution that a success speaks of."""
        claim = response.claim()
        return next((one for one in self.executions[response.key] if claim and one.receipt == claim[1]), None)

    def is_durable(self, response):
        """Whether a client was told of a success that the store had taken.

        While the store is away, the server that ran an operation replays its response from memory: it is lost with the
        server, and another attempt can replace it."""
        if not response.is_success or response.marker == "unstored":
            return False
        execution = self.execution(response)
        if response.marker == "new" or self.history.is_exactly_once or not execution:
            return True
        return execution.server not in (None, response.server) or not self.is_abandoned(execution)

    # MARK: Numbers

    def count(self):
        history, numbers = self.history, self.findings.numbers
        numbers["keys"] = len(history.sent)
        numbers["responses"] = len(history.responses)
        numbers["successes"] = sum(response.is_success for response in history.responses)
        numbers["unstored"] = sum(response.marker == "unstored" for response in history.responses)
        numbers["executions"] = len(history.executions)
        numbers["duplicates"] = sum(len(executions) - 1 for executions in self.executions.values() if executions)
        numbers["takeovers"] = sum(
            any(execution.attempt > 1 for execution in executions) for executions in self.executions.values())
        unknown = [
            key for key, final in history.final.items() if any(one.problem == "outcome-unknown" for one in final)]
        numbers["unknown"] = len(unknown)
        numbers["unknown, not run"] = sum(not self.executions[key] for key in unknown)
        # Clients that were told of a replay which was replaced later.
        numbers["replaced replays"] = sum(map(self.is_replaced, history.responses))
        numbers["losses"] = len({loss.key for loss in self.findings.losses})

    def is_replaced(self, response):
        final = self.history.final.get(response.key)
        return response.is_success and response.marker == "hit" and bool(final) and response.body != final[0].body


def outages(faults):
    """The times in which faults follow upon each other."""
    merged = []
    # A process that stands still keeps its connections.
    spans = [(fault.start, fault.end + (SLACK if fault.kind == "stop" else RECOVERY)) for fault in faults]
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def group(items):
    groups = collections.defaultdict(list)
    for item in items:
        groups[item.key].append(item)
    return groups


def describe(items):
    return "; ".join(map(str, (shorten(item) for item in items)))


def shorten(item):
    if hasattr(item, "attempt"):
        place = "" if item.server is None else f" by server {item.server} at {item.time:.3f}"
        return f"attempt {item.attempt}, receipt {item.receipt}{place}"
    return f"{item.status} {item.problem or item.marker or item.body[:80]!r}"
