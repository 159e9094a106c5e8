"""Breaks servers, stores and networks under load, and compares what clients were told with what ran.

See CONTRIBUTING.md. Exit code 1: a promise was broken, or nothing was proved."""

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
import traceback

import report
from disk import Disk, leave_mounts_to_the_system
from rounds import Round, cases, known_bad_cases, missing_for

# How long servers take to start, and clients to get their last responses, mostly.
OVERHEAD = 5
SHORT_ROUND, LONG_ROUND = 8, 14


def main():
    arguments = parse()
    Disk.can_be_full = leave_mounts_to_the_system()
    directory = tempfile.mkdtemp(prefix="idemptx-torture-")
    os.chmod(directory, 0o711)
    try:
        sys.exit(asyncio.run(Torture(arguments, directory).run()))
    except (asyncio.CancelledError, KeyboardInterrupt):
        sys.exit(130)


def parse():
    parser = argparse.ArgumentParser(prog="Scripts/torture", description=__doc__)
    parser.add_argument("--binary", default=os.environ.get("IDEMPTX_BINARY"), help="the idemptx that is tested")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="decides what is done when")
    parser.add_argument("--store", default="", help="only these stores, such as redis,postgres-standby")
    parser.add_argument("--case", help="one case, such as proxy/redis/rerun; with --round, one round of it")
    parser.add_argument("--round", type=int)
    parser.add_argument("--length", type=float, help="how long there are faults in a round, in seconds")
    parser.add_argument("--parallel", type=int, default=2, help="how many rounds run at a time")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", action="store_true", help="keeps the logs of all rounds")
    parser.add_argument("--self-test", action="store_true", help="tests the checker on what cannot be safe")
    arguments = parser.parse_args()
    if not arguments.binary:
        parser.error("--binary or IDEMPTX_BINARY has to name an idemptx that is built")
    arguments.binary = os.path.abspath(arguments.binary)
    if arguments.length is None:
        arguments.length = SHORT_ROUND if arguments.minutes <= 1 else LONG_ROUND
    return arguments


class Torture:
    def __init__(self, arguments, directory):
        self.arguments = arguments
        self.directory = directory
        self.results = []
        self.failed = []
        self.uncovered = []

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    async def run(self):
        arguments = self.arguments
        # Whatever ends this program, servers end with it.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
        self.say(f"seed {arguments.seed}, logs in {self.directory}")
        chosen = self.choose()
        await self.run_all(self.queue(chosen))
        print(report.as_json(self.results, arguments.seed, self.uncovered) if arguments.json else self.text())
        is_good = self.is_noticed() if arguments.self_test else not self.failed and bool(self.results)
        if is_good and not arguments.keep:
            remove_if_empty(self.directory)
        return 0 if is_good else 1

    def choose(self):
        arguments = self.arguments
        chosen = known_bad_cases() if arguments.self_test else cases()
        if arguments.case:
            chosen = [case for case in cases() + known_bad_cases() if case.name == arguments.case]
        if arguments.store:
            chosen = [case for case in chosen if case.store.name in arguments.store.split(",")]
        for case in chosen:
            if missing := missing_for(case.store):
                self.leave_out(f"{case.name}: there is no {missing}")
        if not Disk.can_be_full:
            self.leave_out("full disks: only root can make small ones")
        # libfaketime, which can do that, makes timers of the process hang: transactions stayed open for 20 s.
        self.leave_out("wrong clocks: there is no tool that changes the time of one process and nothing else")
        chosen = [case for case in chosen if not missing_for(case.store)]
        if not chosen:
            raise SystemExit("no case is left")
        return chosen

    def leave_out(self, text):
        self.uncovered.append(text)
        self.say(f"not covered: {text}")

    def queue(self, chosen):
        """The rounds to come, until the time is over; each case at least once where one was asked for."""
        arguments = self.arguments
        if arguments.self_test or arguments.round is not None:
            yield from ((case, arguments.round or 0) for case in chosen)
            return
        end = time.monotonic() + arguments.minutes * 60 - OVERHEAD - arguments.length
        number = 0
        while True:
            for case in chosen:
                if self.results and time.monotonic() > end:
                    return
                yield case, number
            number += 1

    async def run_all(self, queue):
        async def worker():
            for case, number in queue:
                await self.run_round(case, number)

        await asyncio.gather(*(worker() for _ in range(self.arguments.parallel)))

    async def run_round(self, case, number):
        arguments = self.arguments
        round = Round(
            case, number=number, seed=arguments.seed, length=arguments.length, directory=self.directory,
            binary=arguments.binary)
        try:
            result = await round.run()
        except Exception:
            self.failed.append((case, number))
            self.say(f"{case.name}, round {number}: the round itself failed; {round.room.directory}")
            self.say(traceback.format_exc())
            self.say_how_to_repeat(case, number)
            return
        self.results.append(result)
        self.say(
            f"{case.name}, round {number}: {len(result.violations)} violations, {dict(result.findings.numbers)},"
            f" {result.faults}")
        if not arguments.keep and (arguments.self_test or not result.violations):
            round.room.remove()
        if arguments.self_test or not result.violations:
            return
        self.failed.append((case, number))
        for violation in result.violations[:10]:
            self.say(f"    {violation}")
        self.say(f"    logs: {round.room.directory}")
        self.say_how_to_repeat(case, number)

    def say_how_to_repeat(self, case, number):
        arguments = self.arguments
        self.say(
            f"    again: Scripts/torture --binary {arguments.binary} --seed {arguments.seed} --case {case.name}"
            f" --round {number} --length {arguments.length:g} --keep")

    def text(self):
        left_out = [f"not covered: {text}" for text in self.uncovered]
        return "\n".join([f"seed {self.arguments.seed}", report.table(self.results), *left_out])

    def is_noticed(self):
        """Whether each case that cannot be safe was found to be unsafe: operations ran again without a takeover."""
        for case in known_bad_cases():
            kinds = {one.kind for result in self.results if result.case == case for one in result.violations}
            if "attempt repeated" not in kinds:
                self.say(f"{case.name}: what cannot be safe was not noticed")
                return False
        self.say("what cannot be safe was noticed")
        return True


def remove_if_empty(directory):
    try:
        os.rmdir(directory)
    except OSError:
        pass


if __name__ == "__main__":
    main()
