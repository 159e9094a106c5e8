"""One round: everything is started, disturbed, healed, and compared."""

import asyncio
import os
import time
from dataclasses import dataclass, field

from checker import Violation, check, check_progress
from faults import Injector, plan
from history import History
from postgres_servers import Postgres, PostgresWithStandby, postgres_programs
from processes import Room
from redis_servers import Cluster, Redis, Sentinel, SentinelWithAcknowledgement, redis_program
from sqlite_file import SQLiteFile, SharedNothing
from subjects import Demos, JoinedDemosOnPostgres, JoinedDemosOnSQLite, NoProxies, Proxies
from workload import Workload

LEASE = 2.0
# How long a key may take to get its final response once all faults are healed.
SETTLE_TIME = 30.0


@dataclass(frozen=True)
class Case:
    """What is tested, on which store, under which rule."""

    subject: type
    store: type
    rule: str

    @property
    def name(self):
        return f"{self.subject.name}/{self.store.name}/{self.rule}"


def cases():
    """All that can be tested. The first ones touch every store once: a short test gets no further."""
    return [
        Case(Proxies, Redis, "rerun"), Case(Proxies, Postgres, "refuse"),
        Case(JoinedDemosOnSQLite, SQLiteFile, "rerun"), Case(Proxies, SentinelWithAcknowledgement, "rerun"),
        Case(JoinedDemosOnPostgres, Postgres, "rerun"),
        Case(Proxies, SQLiteFile, "refuse"), Case(Proxies, Cluster, "rerun"),
        Case(Proxies, PostgresWithStandby, "rerun"), Case(Demos, Redis, "rerun"), Case(Proxies, Sentinel, "rerun"),
        Case(Proxies, Redis, "refuse"), Case(Proxies, SQLiteFile, "rerun"), Case(Proxies, Postgres, "rerun"),
        Case(Proxies, SentinelWithAcknowledgement, "refuse"), Case(Proxies, Cluster, "refuse"),
        Case(JoinedDemosOnPostgres, PostgresWithStandby, "rerun"), Case(Proxies, PostgresWithStandby, "refuse"),
        Case(Demos, SQLiteFile, "rerun"), Case(Demos, Postgres, "refuse"), Case(Demos, Cluster, "rerun"),
        Case(Demos, Redis, "refuse"), Case(Proxies, Sentinel, "refuse"),
    ]


def known_bad_cases():
    """What cannot be safe: each has to be noticed."""
    return [Case(NoProxies, SharedNothing, "rerun"), Case(Proxies, SharedNothing, "rerun")]


def missing_for(store):
    """The program that a store needs and that is not there; nothing if all is there."""
    if "redis" in store.__module__ and not redis_program():
        return "redis-server"
    if "postgres" in store.__module__ and not postgres_programs():
        return "PostgreSQL"
    return None


@dataclass
class Result:
    case: Case
    number: int
    findings: object
    requests: int
    faults: dict = field(default_factory=dict)

    @property
    def violations(self):
        return self.findings.violations


def crashes(servers):
    for server in servers:
        if server.crashes or server.has_crashed:
            yield Violation("crashed", "-", f"a server ended itself; see {server.log}")


class Round:
    """The directory of a round is kept if it ends badly."""

    def __init__(self, case, *, number, seed, length, directory, binary):
        self.case = case
        self.number = number
        self.seed = f"{seed}/{case.name}/{number}"
        self.length = length
        self.room = Room(os.path.join(directory, f"{case.name.replace('/', '-')}-{number}"), binary)
        self.begin = time.monotonic()
        self.events = open(self.room.path("events.log"), "w", encoding="utf-8", buffering=1)

    def log(self, text):
        self.events.write(f"{time.monotonic():.3f} {text}\n")

    async def run(self):
        try:
            return await self.torture()
        finally:
            await self.room.close()
            self.events.close()

    async def torture(self):
        case = self.case
        subject = case.subject(self.room, case.store(self.room, LEASE), case.rule, LEASE)
        await subject.start()
        workload = Workload(subject, f"{case.name.replace('/', '.')}.{self.number}", self.seed, self.log)
        tracks = [self.track(faults, name) for name, faults in subject.tracks().items() if self.is_hit(name)]

        injector = Injector(self.log)
        until = time.monotonic() + self.length
        self.log("clients begin")
        await asyncio.gather(workload.run(until), *(injector.follow(*track, until) for track in tracks))
        self.log("faults are healed")
        await subject.heal()
        # Servers that share nothing never agree.
        final = await workload.settle(SETTLE_TIME if case in cases() else 2 * LEASE)
        self.log("all keys have been asked for")

        history = History(
            rule=case.rule, lease=LEASE, is_exactly_once=subject.is_exactly_once, sent=set(workload.orders),
            executions=await subject.ledger(), responses=workload.responses, final=final,
            disturbances=injector.disturbances,
            may_have_forgotten=case.store.may_forget and any(one.kind == "failover" for one in injector.disturbances))
        result = self.judge(history, workload, planned=sum(len(track[0]) for track in tracks))
        result.violations.extend(crashes(subject.servers))
        return result

    def is_hit(self, name):
        """Whether this round has faults of a kind: in two of three rounds either servers or the store are left alone.

        The fewer faults there are, the less they excuse."""
        left_alone = (None, "server", "store")[self.number % 3]
        return left_alone is None or not name.startswith(left_alone)

    def track(self, faults, name):
        steps = plan(faults, self.length, f"{self.seed}/{name}")
        for step in steps:
            self.log(f"plan of {name}: after {step.pause:.2f} s {step.name}, for {step.duration:.2f} s")
        return steps, faults

    def judge(self, history, workload, planned):
        findings = check(history)
        count = len(history.disturbances)
        findings.violations += check_progress(history, faults=count, least_faults=(planned + 1) // 2)
        for violation in findings.violations + findings.losses:
            self.log(f"{violation}")
            for response in history.responses + history.final.get(violation.key, []):
                if response.key == violation.key:
                    self.log(
                        f"    {response.time:.3f} server {response.server}: {response.status} {response.problem}"
                        f" {response.marker} {response.body[:100]!r}")
        kinds = [disturbance.kind for disturbance in history.disturbances]
        counts = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
        return Result(self.case, self.number, findings, workload.requests, counts)
