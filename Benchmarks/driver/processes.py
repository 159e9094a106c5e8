"""Starts programs, asks the operating system what they cost, and ends them whatever happens."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time

IS_LINUX = sys.platform.startswith("linux")


class Failure(Exception):
    """The benchmark cannot go on: what it would print would be no result."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def end_with_parent(number=signal.SIGKILL):
    """Linux ends the program with this one, even if this one is killed."""
    if IS_LINUX:
        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


class Process:
    """A program that runs until `stop`.

    `ending` is the signal by which it ends, and its own processes with it, if SIGTERM does not do."""

    def __init__(self, arguments, *, prints_port=False, port=None, log=None, ending=None, **options):
        self.name = os.path.basename(arguments[0])
        self.log = log
        self.ending = ending
        errors = open(log, "ab") if log else subprocess.DEVNULL
        self.popen = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if prints_port else errors, stderr=errors,
            preexec_fn=lambda: end_with_parent(ending or signal.SIGKILL), start_new_session=True, **options)
        try:
            self.port = int(self.popen.stdout.readline() or 0) if prints_port else port
            self.wait_until_listening()
        except BaseException:
            self.stop()
            raise

    def wait_until_listening(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.popen.poll() is None and self.port:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise Failure(f"{self.name} did not start{f'; see {self.log}' if self.log else ''}")

    @property
    def pids(self):
        """Those of the program and its children, such as the workers of nginx."""
        children = subprocess.run(
            ["pgrep", "-P", str(self.popen.pid)], capture_output=True, text=True, check=False).stdout.split()
        return [self.popen.pid, *map(int, children)]

    def cpu_seconds(self):
        """User and system time of the program and its children, by the operating system's own accounting.

        On Linux those that have ended count, too, such as the workers that PostgreSQL starts from time to time."""
        while True:
            ended = ended_children_seconds(self.popen.pid)
            seconds = ended + sum(cpu_seconds(pid) for pid in self.pids)
            # Else one has ended in between, and may be missing.
            if ended_children_seconds(self.popen.pid) == ended:
                return seconds

    def resident_bytes(self):
        output = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(self.popen.pid)], capture_output=True, text=True, check=True).stdout
        return int(output) * 1024

    def stop(self):
        if self.popen.poll() is None:
            try:
                signal_group(self.popen, self.ending or signal.SIGTERM)
                self.popen.wait(timeout=5)
            except subprocess.TimeoutExpired:
                signal_group(self.popen, signal.SIGKILL)
                self.popen.wait()
        if self.popen.stdout:
            self.popen.stdout.close()


def signal_group(popen, number):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(popen.pid, number)


def run_group(command):
    """Runs a program that starts others, to its end; none of them goes on if this one has to stop."""
    popen = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True)
    try:
        output, errors = popen.communicate()
    except BaseException:
        signal_group(popen, signal.SIGTERM)
        popen.wait()
        raise
    return subprocess.CompletedProcess(command, popen.returncode, output, errors)


def cpu_seconds(pid):
    """Processor time of one process; none if it has ended meanwhile."""
    try:
        return cpu_clock(pid)
    except (OSError, subprocess.CalledProcessError):
        return 0.0


def cpu_clock(pid):
    if IS_LINUX:
        # The clock of the process's processor time, as clock_getcpuclockid names it: finer than the ticks of /proc.
        CPUCLOCK_SCHED = 2
        return time.clock_gettime_ns((~pid << 3) | CPUCLOCK_SCHED) / 1e9
    output = subprocess.run(["ps", "-o", "time=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout
    seconds = 0.0
    for part in output.strip().split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


def ended_children_seconds(pid):
    if not IS_LINUX:
        return 0.0
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        # The name of the program, in parentheses, may contain anything. Numbers 16 and 17 are cutime and cstime.
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
