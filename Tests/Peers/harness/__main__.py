"""Runs all tests of this directory, or those that are named, and ends the processes they started whatever happens."""

import signal
import sys
import unittest


def main():
    # An end by signal runs the same clean-up as any other.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    unittest.main(module=None, argv=["run-peers", *sys.argv[1:]], verbosity=2)


if __name__ == "__main__":
    main()
