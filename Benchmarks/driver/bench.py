"""Measures Idemptx against its cost budget; `make bench` starts it."""

import argparse
import datetime
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass

import chart
import report
import scale
import suites
from budget import budget
from load import Results
from processes import Failure
from servers import Servers

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FASTAPI = os.path.join(PACKAGE, ".build-fastapi")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GROUPS = ["hummingbird", "proxy of a constant", "proxy of a route", "fastapi"]
METHOD = (
    "`wrk` sends a small JSON order (60 bytes in, 63 out) over 64 connections of the loopback interface, on the same "
    "processor cores as the servers. The cases of a group take turns: {rounds} rounds of {seconds} s each, after a "
    "warm-up that is not counted. Other stores behind the proxy, and FastAPI without Redis, take turns by themselves,"
    " for half as many rounds; cases whose requests per second count have twice as many. Processor time is user and "
    "system time of the server's process as the operating system accounts for it, divided by the requests, those "
    "included that were under way when `wrk` ended. A ratio is the median of the ratios round by round. A round with "
    "an error, a status of 400 or more, or a number of executions that does not fit (as many as requests for first "
    "runs, none for replays, nor for a retry of ten of the first runs) ends the benchmark. Redis runs without "
    "persistence; SQLite and PostgreSQL on files in the temporary directory, as durable as by default. The time of "
    "PostgreSQL is that of all its processes, and `pg_stat_statements` counts its statements. The servers in Swift are "
    "built as `make release` builds its program: on Linux linked statically, with jemalloc. nginx proxies with kept"
    " connections. FastAPI runs on one process of uvicorn. The figure of a micro benchmark is its fastest sample, "
    "since a busy neighbour on the same core slows ordinary code down and SHA-256 hardly. The figures of the first "
    "edition were measured on 2026-11-26 by this benchmark as it was then: four rounds of two seconds, one bare "
    "sample for all cases of a round, medians of micro benchmarks, and servers that were linked dynamically, without "
    "jemalloc."
)


@dataclass
class Report:
    date: str
    revision: str
    machine: dict
    versions: dict
    method: str
    groups: list
    results: Results
    wake_ups: list
    memory: dict
    micro: dict
    rows: list
    # The budget as the first edition kept it.
    baseline: dict
    # Where the time goes that the budget does not have, by hand.
    profile: str


def main():
    options = parse_arguments()
    # An end by signal runs the same clean-up as any other.
    for number in SIGNALS:
        signal.signal(number, end)
    try:
        with tempfile.TemporaryDirectory(prefix="idemptx-bench-") as directory:
            with Servers(directory, options.binaries, FASTAPI) as servers:
                if options.scale:
                    publish_curves(scale.measure(servers, progress, options.only), options)
                else:
                    publish(measure(servers, options), options)
    except Failure as failure:
        sys.exit(f"\nNo result: {failure}.")


def end(*_):
    """Ends the program, and lets no further signal disturb that."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(130)


def parse_arguments():
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--write", action="store_true", help="write Benchmarks/RESULTS.md and its chart, too")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each case (9)")
    parser.add_argument("--seconds", type=int, default=1, help="seconds of each round (1)")
    parser.add_argument("--scale", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--only", default="", help="with bench-scale: the curve to measure, by name")
    parser.add_argument("--binaries", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--swift", default="swift", help=argparse.SUPPRESS)
    return parser.parse_args()


def progress(text):
    """Says what is going on, on standard error, in place on a terminal."""
    end = "\r" if sys.stderr.isatty() else "\n"
    print(f"{text:<100}"[:100].rstrip() if end == "\n" else f"{text:<100}"[:100], end=end, file=sys.stderr, flush=True)


def measure(servers, options):
    measured_revision = revision()
    results = Results(progress)
    for suite in (suites.hummingbird, suites.proxy, suites.fastapi):
        suite(servers, results, options.rounds, options.seconds)
    wake_ups = suites.wake_up(servers, progress)
    memory = suites.memory(servers, progress)
    micro = suites.micro(PACKAGE, options.swift, 2, progress)
    return Report(
        date=datetime.date.today().isoformat(), revision=measured_revision, machine=report.machine(),
        versions=report.versions(os.path.join(FASTAPI, "bin", "python"), options.swift),
        method=METHOD.format(rounds=options.rounds, seconds=options.seconds), groups=GROUPS, results=results,
        wake_ups=wake_ups, memory=memory, micro=micro, rows=budget(results, wake_ups, micro), baseline=baseline(),
        profile=profile())


def baseline():
    with open(os.path.join(PACKAGE, "baseline.json"), encoding="utf-8") as file:
        return json.load(file)["budget"]


def profile():
    with open(os.path.join(PACKAGE, "PROFILE.md"), encoding="utf-8") as file:
        return file.read()


def publish(measured, options):
    if options.json:
        print(json.dumps(report.as_json(measured), indent=2, ensure_ascii=False))
    else:
        print(report.for_terminal(measured))
    if options.write:
        write("RESULTS.md", report.as_results_page(measured))
        write("results.svg", chart.draw(measured.rows))
        write("results.json", json.dumps(report.as_json(measured), indent=1, ensure_ascii=False) + "\n")


def publish_curves(curves, options):
    if options.json:
        print(json.dumps(curves, indent=2, ensure_ascii=False))
        return
    for name, points in curves.items():
        print(f"{name}\n{report.as_text(scale.as_lines(points))}\n")


def write(name, text):
    with open(os.path.join(PACKAGE, name), "w", encoding="utf-8") as file:
        file.write(text)


def revision():
    result = subprocess.run(
        ["git", "-C", PACKAGE, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return result.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
