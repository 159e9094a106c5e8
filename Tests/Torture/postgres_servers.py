"""PostgreSQL: one server, and one with a standby that acknowledges every commit."""

import asyncio
import glob
import os
import re
import signal

from disk import Disk, give_to_substitute
from faults import Fault, halts, kill, partitions
from processes import Failure, HOST, free_port, run
from redis_servers import eventually

PROGRAMS = ("postgres", "initdb", "psql", "pg_basebackup")


def postgres_programs():
    """IDEMPTX_TEST_POSTGRES; else the newest of Debian's, brew's, or the ones in PATH; else nothing."""
    candidates = [os.environ.get("IDEMPTX_TEST_POSTGRES", "")]
    for pattern in (
            "/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin"):
        candidates += sorted(glob.glob(pattern), key=lambda path: int(re.search(r"(\d+)/bin$", path)[1]), reverse=True)
    for directory in [*candidates, *os.get_exec_path()]:
        if all(os.access(os.path.join(directory, name), os.X_OK) for name in PROGRAMS):
            return directory
    return None


class PostgresServer:
    """A server, durable as by default."""

    def __init__(self, room, name, **settings):
        self.port = free_port()
        self.disk = Disk(room, name, megabytes=192)
        self.owner = give_to_substitute(self.disk.path)
        self.data = os.path.join(self.disk.path, "data")
        settings = {
            "listen_addresses": HOST, "port": self.port, "unix_socket_directories": "", "shared_buffers": "16MB",
            # Files of its own directory, which go with it whatever happens.
            "dynamic_shared_memory_type": "mmap", **settings}
        # By SIGQUIT it ends its own processes, and does not care for its files any more.
        self.process = room.process(
            name, [self.program("postgres"), "-D", self.data, *(f"--{key}={value}" for key, value in settings.items())],
            port=self.port, ending=signal.SIGQUIT, cwd=self.disk.path, **self.owner)

    @staticmethod
    def program(name):
        return os.path.join(postgres_programs(), name)

    def run(self, name, *arguments):
        run([self.program(name), *arguments], cwd=self.disk.path, **self.owner)

    def make_data(self):
        self.run(
            "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N",
            "--wal-segsize=1")

    def copy_data(self, port):
        self.run(
            "pg_basebackup", f"--pgdata={self.data}", f"--host={HOST}", f"--port={port}", "--username=postgres",
            "--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--wal-method=stream")

    async def start(self):
        await self.process.start()
        # It listens before it can be asked anything.
        await eventually("PostgreSQL starts", self.is_ready)

    async def is_ready(self):
        if not self.process.is_running:
            await self.process.start()
        return await self.query("SELECT 1") == ["1"]

    async def query(self, sql):
        """Runs a statement; returns the rows, with | between the columns."""
        psql = await asyncio.create_subprocess_exec(
            self.program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d",
            f"postgres://postgres@{HOST}:{self.port}/postgres?connect_timeout=3", "-c", sql,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        output, errors = await psql.communicate()
        if psql.returncode != 0:
            raise Failure(f"PostgreSQL says: {errors.decode().strip()}")
        return output.decode().splitlines()

    def full_disk(self):
        """It may end itself when it cannot write its log."""
        async def end():
            self.disk.empty()
            await self.start()

        if not self.disk.is_mounted:
            return []
        return [Fault("full", "the disk of postgres is full", self.disk.fill, end, 0.5, 2.5)]


class Postgres:
    """One server, and a network of its own from each server of the layer to it."""

    name = "postgres"
    may_forget = False
    is_shared_fate = False

    def __init__(self, room, lease):
        self.room = room
        self.lease = lease
        # The one that is written to.
        self.server = PostgresServer(room, "postgres")

    async def start(self):
        await asyncio.to_thread(self.server.make_data)
        await self.server.start()
        self.relays = [await self.room.relay(self.server.port) for _ in range(2)]

    def arguments(self, server):
        return ["--store", f"postgres://postgres@{HOST}:{self.relays[server].port}/postgres"]

    def faults(self):
        process = lambda: self.server.process
        return [
            kill("postgres", process), *halts("postgres", process, self.lease),
            *self.server.full_disk(), *partitions("the network to postgres", self.relays, self.lease),
            *partitions("the network of server 0 to postgres", self.relays[:1], self.lease, server=0),
        ]

    async def heal(self):
        self.server.disk.empty()
        await self.server.start()

    async def query(self, sql):
        return await self.server.query(sql)

    async def activity(self):
        return await self.query(
            "SELECT pid, client_port, state, now() - xact_start, wait_event_type, wait_event, pg_blocking_pids(pid),"
            " query FROM pg_stat_activity WHERE client_port > 0")


class PostgresWithStandby(Postgres):
    """A commit is acknowledged once the standby has it; the standby takes over once."""

    name = "postgres-standby"

    async def start(self):
        await super().start()
        self.standby = PostgresServer(self.room, "standby")
        self.replication = await self.room.relay(self.server.port)
        await asyncio.to_thread(self.standby.copy_data, self.replication.port)
        await self.standby.start()
        await self.server.query("ALTER SYSTEM SET synchronous_standby_names = '*'")
        await self.server.query("SELECT pg_reload_conf()")
        await eventually("the standby is in step", self.is_in_step)

    async def is_in_step(self):
        return await self.server.query("SELECT sync_state FROM pg_stat_replication") == ["sync"]

    @property
    def is_promoted(self):
        return self.server is self.standby

    async def promote(self):
        self.server.process.kill()
        await self.standby.query("SELECT pg_promote()")
        self.server = self.standby
        for relay in self.relays:
            relay.lead_to(self.standby.port)

    def faults(self):
        async def fail_over():
            return False if self.is_promoted else await self.promote()

        def stall():
            return False if self.is_promoted else self.replication.break_by("hold")

        def lag(name, shortest, longest):
            return Fault("failover", f"the standby {name} and takes over", stall, fail_over, shortest, longest)

        # What a server alone has to stand is tested with a server alone.
        return [
            kill("postgres", lambda: self.server.process),
            *partitions("the network to postgres", self.relays, self.lease, modes=("hold", "drop replies")),
            *partitions("the network to the standby", [self.replication], self.lease, modes=("hold", "cut")),
            Fault("failover", "the standby takes over", fail_over), lag("lags", self.lease, 2 * self.lease),
            # Beyond the time after which a call that waits for the standby is given up.
            lag("lags for long", 8.0, 11.0),
        ]
