"""Starts programs, kills and halts them, and ends them whatever happens."""

import asyncio
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

from relay import Relay

IS_LINUX = sys.platform.startswith("linux")
HOST = "127.0.0.1"
START_TIME = 30

# Without the settings of whoever runs this.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("IDEMPTX_")}


class Failure(Exception):
    """The checker cannot go on: what it would print would be no result."""


handed_out = set()


def free_port(below=65536):
    """A port that nobody listens on, and that was not handed out before: its server may be down for a while."""
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = probe.getsockname()[1]
        if port < below and port not in handed_out:
            handed_out.add(port)
            return port


def end_with_parent(number):
    """Linux ends the program with this one, even if this one is killed."""
    if IS_LINUX:
        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


async def is_listening(port):
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.transport.abort()
    return True


class Process:
    """A program that can be killed, halted and started again.

    `ending` is the signal by which it ends at once, and its own processes with it."""

    def __init__(self, arguments, *, port, log, ending=signal.SIGKILL, **options):
        self.arguments = arguments
        self.port = port
        self.log = log
        self.ending = ending
        self.options = options
        self.popen = None
        self.is_paused = False
        self.crashes = 0
        # Whether its last end was wanted.
        self.is_ours = False

    @property
    def name(self):
        return os.path.basename(self.arguments[0])

    @property
    def is_running(self):
        return self.popen is not None and self.popen.poll() is None

    @property
    def has_crashed(self):
        """Whether it has ended itself by a signal, such as SIGSEGV, and nobody killed it."""
        return self.popen is not None and not self.is_ours and (self.popen.poll() or 0) < 0

    def launch(self):
        self.crashes += self.has_crashed
        self.is_ours = False
        with open(self.log, "ab") as log:
            self.popen = subprocess.Popen(
                self.arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=lambda: end_with_parent(self.ending), env=ENVIRONMENT, **self.options)

    async def start(self):
        """Starts it unless it runs, again and again if need be: what it depends on may be away."""
        self.resume()
        deadline = time.monotonic() + START_TIME
        while time.monotonic() < deadline:
            if not self.is_running:
                self.launch()
            await asyncio.sleep(0.05)
            if self.is_running and await is_listening(self.port):
                return
        raise Failure(f"{self.name} does not start; see {self.log}")

    def family(self):
        """The program and its children: it first, so that it starts no more of them."""
        children = subprocess.run(
            ["pgrep", "-P", str(self.popen.pid)], capture_output=True, text=True, check=False).stdout.split()
        return [self.popen.pid, *map(int, children)]

    def signal(self, number):
        for pid in self.family():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill(self):
        """Ends it without a moment for anything."""
        if self.is_running:
            self.is_ours = True
            self.signal(signal.SIGSTOP)
            self.signal(signal.SIGKILL)
            self.popen.wait()
        self.is_paused = False

    def pause(self):
        if self.is_running:
            self.signal(signal.SIGSTOP)
            self.is_paused = True

    def resume(self):
        if self.is_paused and self.is_running:
            self.signal(signal.SIGCONT)
        self.is_paused = False

    def stop(self):
        self.resume()
        if not self.is_running:
            return
        self.popen.send_signal(self.ending)
        try:
            self.popen.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.kill()


class Room:
    """A directory for one round, and everything that runs in it."""

    def __init__(self, directory, binary):
        os.makedirs(directory)
        # The user who runs PostgreSQL has to find its way.
        os.chmod(directory, 0o711)
        self.directory = directory
        self.binary = binary
        self.processes = []
        self.relays = []
        self.disks = []

    def path(self, name):
        return os.path.join(self.directory, name)

    def process(self, name, arguments, **options):
        process = Process(arguments, log=self.path(f"{name}.log"), **options)
        self.processes.append(process)
        return process

    async def relay(self, target):
        relay = Relay(target)
        await relay.start()
        self.relays.append(relay)
        return relay

    async def close(self):
        for relay in self.relays:
            await relay.close()
        for process in reversed(self.processes):
            process.stop()
        for disk in self.disks:
            disk.unmount()

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


def run(command, **options):
    """Runs a program to its end; returns what it prints."""
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **options)
    if result.returncode != 0:
        raise Failure(f"{os.path.basename(command[0])} failed: {result.stderr.strip()}")
    return result.stdout
