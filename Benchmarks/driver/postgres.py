"""A PostgreSQL server, with the settings that it ships with."""

import collections
import glob
import os
import re
import shutil
import signal
import subprocess
import time

from processes import Failure, Process, free_port

# PostgreSQL refuses to be run by root. This is the user that its packages bring.
SUBSTITUTE = "postgres"
PROGRAMS = ("postgres", "initdb", "psql")


class Postgres:
    """A server on a new data directory, durable as by default, that counts its statements."""

    def __init__(self, servers):
        self.port = free_port()
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/postgres"
        data = servers.file(f"postgres-{self.port}")
        options = {"cwd": data, **make_directory(data)}
        run([program("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"], **options)
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "",
            "shared_preload_libraries": "pg_stat_statements",
        }
        # By SIGQUIT it ends its own processes, and does not care for its files any more.
        self.process = servers.keep(Process(
            [program("postgres"), "-D", data, *(f"--{name}={value}" for name, value in settings.items())],
            port=self.port, log=servers.log("postgres"), ending=signal.SIGQUIT, **options))
        self.wait_until_ready()
        self.query("CREATE EXTENSION pg_stat_statements")

    def wait_until_ready(self):
        """It listens before it can be asked anything."""
        deadline = time.monotonic() + 20
        while True:
            try:
                self.query("SELECT 1")
                return
            except Failure:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def query(self, sql):
        """Runs statements; returns the rows of the last one, a line each, with | between the columns."""
        return run([program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.url, "-c", sql])

    def reset_statistics(self):
        self.query("SELECT pg_stat_statements_reset()")

    def commands_per_request(self, requests):
        """The statements that clients sent, by the function of the schema that they call, or else by their first word."""
        counts = collections.Counter()
        for line in self.query(r"SELECT calls, replace(query, E'\n', ' ') FROM pg_stat_statements").splitlines():
            calls, statement = line.split("|", 1)
            function = re.search(r'"idemptx"\.(\w+)\(', statement)
            counts[function[1] if function else statement.split()[0].lower()] += int(calls)
        per_request = {name: round(count / requests, 2) for name, count in sorted(counts.items())}
        return {name: value for name, value in per_request.items() if value >= 0.01}


def make_directory(path):
    """Makes a directory for the server; returns the options that start a program as its owner."""
    os.mkdir(path, mode=0o700)
    if os.geteuid() != 0:
        return {}
    shutil.chown(path, SUBSTITUTE, SUBSTITUTE)
    # The way to it.
    os.chmod(os.path.dirname(path), 0o711)
    return {"user": SUBSTITUTE, "group": SUBSTITUTE, "extra_groups": []}


def program(name):
    return os.path.join(directory_of_programs(), name)


def directory_of_programs():
    """IDEMPTX_TEST_POSTGRES; else the newest of Debian's, brew's, or the ones in PATH."""
    candidates = [os.environ.get("IDEMPTX_TEST_POSTGRES", "")]
    for pattern in (
            "/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin"):
        candidates += sorted(glob.glob(pattern), key=lambda path: int(re.search(r"(\d+)/bin$", path)[1]), reverse=True)
    candidates += os.get_exec_path()
    for directory in candidates:
        if all(os.access(os.path.join(directory, name), os.X_OK) for name in PROGRAMS):
            return directory
    raise Failure("there is no PostgreSQL server")


def run(command, **options):
    """Runs a program to its end; returns what it prints."""
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **options)
    if result.returncode != 0:
        raise Failure(f"{os.path.basename(command[0])} failed: {result.stderr.strip()}")
    return result.stdout
