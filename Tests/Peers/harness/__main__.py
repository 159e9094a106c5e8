"""Runs all tests of this directory, or those that are named, and ends the processes they started whatever happens."""

import signal
import sys
import unittest

from harness.proxy import Proxy


def interrupt(*_):
    """Threads may wait for a proxy, and the end of this process for them."""
    Proxy.kill_all()
    raise KeyboardInterrupt


def main():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    unittest.main(module=None, argv=["run-peers", *sys.argv[1:]], verbosity=2)


if __name__ == "__main__":
    main()
