"""Puts a server under load, and refuses to take anything but a clean run for a result."""

import http.client
import os
import re
import socket
import statistics
import subprocess
import time
from dataclasses import dataclass, field

from processes import Failure, end_with_parent

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "load.lua")
BODY = b'{"item":"books","quantity":1,"amount":4200,"currency":"EUR"}'
REPLAYED_KEYS = 1000
# How often executions are counted, and for how long their number has to stand still where a disk takes part.
POLL_SECONDS = 0.05
DISK_SECONDS = 0.3


@dataclass
class Case:
    """One way of asking for the same thing."""

    name: str
    # Whose processor time counts, and where it listens.
    server: object
    path: str
    # none, first, replay or mixed; see load.lua.
    kind: str = "none"
    # Counts executions of the handler.
    executions: object = None
    # A Redis or PostgreSQL server that takes part.
    database: object = None
    # The share of replays of a mixed load, in percent.
    share: int = 0
    # The size of the body, in bytes; -1 for the small order.
    body_size: int = -1
    connections: int = 64
    prefix: str = ""


@dataclass
class Sample:
    """One round of a case."""

    requests_per_second: float
    # In microseconds.
    p50: float
    p99: float
    # Processor time per request, in microseconds.
    cpu: float
    database_cpu: float = 0.0
    database_commands: dict = field(default_factory=dict)


class Client:
    """Sends what load.lua sends, to the byte: the older idemptx compares all header fields of a retry."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        # Whether the last response said that it is a replay.
        self.replayed = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, method, path, body=b"", content_type="application/json", key=None):
        """One request; returns status and body of its response."""
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        if method == "POST":
            head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        if key is not None:
            head += f"Idempotency-Key: {key}\r\n"
        self.socket.sendall(head.encode() + b"\r\n" + body)
        response = http.client.HTTPResponse(self.socket, method=method)
        response.begin()
        self.replayed = response.getheader("Idempotent-Replayed") == "true"
        return response.status, response.read()


def get(port, path):
    with Client(port) as client:
        status, body = client.send("GET", path)
    if status != 200:
        raise Failure(f"GET {path} has status {status}")
    return body


def payload(case):
    if case.body_size < 0:
        return BODY, "application/json"
    return b"x" * case.body_size, "application/octet-stream"


def prepare(case):
    """Sees that the case does what its name says, and runs the operations that are to be replayed."""
    body, content_type = payload(case)
    with Client(case.server.port) as client:
        if case.kind in ("replay", "mixed"):
            for number in range(1, REPLAYED_KEYS + 1):
                expect_created(case, client.send("POST", case.path, body, content_type, f"{case.prefix}seed-{number}"))
        probe = None if case.kind == "none" else f"{case.prefix}probe"
        first = expect_created(case, client.send("POST", case.path, body, content_type, probe))
        if probe and expect_created(case, client.send("POST", case.path, body, content_type, probe)) != first:
            raise Failure(f"{case.name}: a retry does not have the response of the first request")


def expect_created(case, response):
    status, body = response
    if status != 201:
        raise Failure(f"{case.name}: status {status}: {body[:200]}")
    return body


def run(case, seconds, round_name):
    """One round: load, accounts before and after, checks."""
    before_executions = settled(case.executions)
    if case.database:
        case.database.reset_statistics()
    database_before = case.database.process.cpu_seconds() if case.database else 0.0
    before = case.server.cpu_seconds()
    result = wrk(case, seconds, round_name)
    # Operations that have begun go on after wrk has ended, and may wait for a disk.
    after_executions = settled(case.executions, DISK_SECONDS if case.kind in ("first", "mixed") else POLL_SECONDS)
    cpu = case.server.cpu_seconds() - before
    database_cpu = case.database.process.cpu_seconds() - database_before if case.database else 0.0
    requests, executed = result["requests"], after_executions - before_executions
    check_result(case, result)
    check_executions(case, requests, executed)
    # wrk does not count the requests that are under way when it ends; their executions tell how many they were.
    served = executed if case.kind in ("none", "first") else requests
    commands = case.database.commands_per_request(served) if case.database else {}
    if case.kind == "first":
        check_recorded(case, f"{case.prefix}{round_name}-", after_executions)
    return Sample(
        requests_per_second=requests / (result["duration"] / 1e6), p50=result["p50"], p99=result["p99"],
        cpu=cpu / served * 1e6, database_cpu=database_cpu / served * 1e6, database_commands=commands)


def check_recorded(case, prefix, executions, count=10):
    """First runs have left their responses: a retry of some of them runs nothing."""
    body, content_type = payload(case)
    with Client(case.server.port) as client:
        # wrk makes the first request of its first thread for a look at it, and does not send it.
        for number in range(2, count + 2):
            expect_created(case, client.send("POST", case.path, body, content_type, f"{prefix}1-{number}"))
    if settled(case.executions) != executions:
        raise Failure(f"{case.name}: retries of first runs ran again")


def settled(executions, seconds=POLL_SECONDS):
    """The count once it has stood still for so long: when wrk ends, some requests are still on their way."""
    last, since = executions(), time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(POLL_SECONDS)
        count = executions()
        if count != last:
            last, since = count, time.monotonic()
    return last


def wrk(case, seconds, round_name):
    threads = min(2, case.connections)
    command = [
        "wrk", "-t", str(threads), "-c", str(case.connections), "-d", f"{seconds}s", "--timeout", "10s", "-s", SCRIPT,
        f"http://127.0.0.1:{case.server.port}", "--", case.path, case.kind, f"{case.prefix}{round_name}-", f"{case.prefix}seed-",
        str(REPLAYED_KEYS), str(case.share), str(case.body_size),
    ]
    output = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds + 60, check=False, preexec_fn=end_with_parent)
    line = re.search(r"^RESULT (.*)$", output.stdout, re.MULTILINE)
    if output.returncode != 0 or not line:
        raise Failure(f"{case.name}: wrk failed: {output.stderr or output.stdout}")
    return {name: int(value) for name, value in (pair.split("=") for pair in line[1].split())}


def check_result(case, result):
    if result["requests"] == 0 or result["failed"] or result["status"]:
        raise Failure(
            f"{case.name}: {result['requests']} requests, of which {result['failed']} failed on the connection and "
            f"{result['status']} had a status of 400 or more")


def check_executions(case, requests, executions):
    """First runs have run, replays have not.

    When wrk ends, as many requests as there are connections may have run without having been counted."""
    lowest, highest = {
        "none": (requests, requests + case.connections),
        "first": (requests, requests + case.connections),
        "replay": (0, 0),
        # A tenth of tolerance: the shares are drawn by chance.
        "mixed": (requests * (95 - case.share) / 100 - 100, requests * (105 - case.share) / 100 + 100),
    }[case.kind]
    if not lowest <= executions <= highest:
        raise Failure(f"{case.name}: {requests} requests made {executions} executions")


class Results:
    """Rounds of several cases, in turn."""

    def __init__(self, progress):
        self.samples = {}
        self.progress = progress

    def alternate(self, group, cases, rounds, seconds):
        for case in cases:
            prepare(case)
            # Warms caches, connections and allocators; not counted.
            run(case, 1, "warm-up")
        for number in range(rounds):
            for case in cases:
                self.progress(f"{group}: round {number + 1} of {rounds}: {case.name}")
                self.samples.setdefault(f"{group}/{case.name}", []).append(run(case, seconds, f"round-{number}"))

    def values(self, name, attribute="cpu"):
        return [getattr(sample, attribute) for sample in self.samples[name]]

    def median(self, name, attribute="cpu"):
        return statistics.median(self.values(name, attribute))

    def ratios(self, name, baseline, attribute="cpu"):
        """Round by round: what slows a whole round down slows both."""
        pairs = zip(self.values(name, attribute), self.values(baseline, attribute))
        return [value / base for value, base in pairs]
