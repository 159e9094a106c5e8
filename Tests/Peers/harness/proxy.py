"""The proxy as a process."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile

BINARY = os.environ["IDEMPTX_TEST_BINARY"]
MEBIBYTE = 1 << 20


def _end_with_parent():
    """Linux ends the program with this one, even if this one is killed."""
    if sys.platform.startswith("linux"):
        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Proxy:
    """`idemptx proxy` in front of an upstream, on a free port of the loopback interface.

    `flags` are its settings, such as `lease="1s"` for `--lease 1s`."""

    _running = set()

    @classmethod
    def kill_all(cls):
        for proxy in list(cls._running):
            proxy.kill()

    def __init__(self, upstream, **flags):
        flags = {"store": "memory", **flags}
        arguments = [BINARY, "proxy", "--upstream", upstream.url, "--port", "0"]
        for name, value in flags.items():
            arguments += _as_arguments(name, value)
        self._log = tempfile.TemporaryFile()
        Proxy._running.add(self)
        # Settings in the environment of whoever runs the tests would change their results.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("IDEMPTX_")}
        self._process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._log, env=environment,
            preexec_fn=_end_with_parent)
        try:
            self.port = self._read_port()
        except BaseException:
            self.close()
            raise

    def _read_port(self):
        for line in self._process.stdout:
            if found := re.search(rb"Proxy: https?://127\.0\.0\.1:(\d+)", line):
                return int(found[1])
        raise AssertionError(f"The proxy did not start:\n{self.log}")

    @property
    def log(self):
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    @property
    def is_alive(self):
        return self._process.poll() is None

    def resident_bytes(self):
        """How much memory the process takes."""
        output = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(self._process.pid)], capture_output=True, text=True, check=True).stdout
        return int(output) * 1024

    def pause(self):
        """From now on the process does nothing, as if it were dead."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        self._process.send_signal(signal.SIGCONT)

    def kill(self):
        self._process.kill()
        self._process.wait()

    def close(self):
        Proxy._running.discard(self)
        if self.is_alive:
            self.kill()
        self._process.stdout.close()
        self._log.close()


def _as_arguments(name, value):
    flag = "--" + name.replace("_", "-")
    if value is True:
        return [flag]
    return [flag, str(value)]
