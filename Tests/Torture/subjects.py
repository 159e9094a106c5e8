"""What is tested: two servers of the layer on one store, and a ledger of what has run."""

import json
import os
import sqlite3
import sys

from faults import halts, kill, partitions
from history import Execution
from processes import HOST, free_port

HERE = os.path.dirname(os.path.abspath(__file__))


class Subject:
    """Two servers, each behind a network of its own.

    `ports` are where clients reach them."""

    path = ""
    is_exactly_once = False
    # How long operations take, in seconds; a share of them takes longer than a lease.
    latencies = (0.0, 0.03)
    share_of_long = 0.05

    def __init__(self, room, store, rule, lease):
        self.room = room
        self.store = store
        self.rule = rule
        self.lease = lease
        self.servers = []
        self.relays = []

    @property
    def ports(self):
        return [relay.port for relay in self.relays]

    async def start(self):
        await self.store.start()
        await self.start_upstream()
        for index in range(2):
            port = free_port()
            options = self.options() + ["--port", str(port), "--lease", f"{int(self.lease * 1000)}ms"]
            self.servers.append(self.room.process(
                f"server-{index}", [self.room.binary, self.command, *options, *self.arguments(index)], port=port,
                cwd=self.room.directory))
            self.relays.append(await self.room.relay(port))
        for server in self.servers:
            await server.start()

    def options(self):
        return ["--on-abandoned", self.rule]

    def arguments(self, index):
        return self.store.arguments(index)

    async def start_upstream(self):
        pass

    def tracks(self):
        """Faults by what they hit; those of different tracks overlap."""
        networks = []
        for index, relay in enumerate(self.relays):
            networks += partitions(
                f"the network of clients to server {index}", [relay], self.lease, server=index, is_outside=True)
        servers = {f"server {index}": self.server_faults(index) for index in range(len(self.servers))}
        return {"clients": networks, "store": self.store.faults(), **servers}

    def server_faults(self, index):
        name, process = f"server {index}", lambda: self.servers[index]
        # Halted with the lock of a shared file, one server is a fault of all.
        hit = None if self.store.is_shared_fate else index
        return [kill(name, process, server=hit, is_kill=True), *halts(name, process, self.lease, server=hit)]

    async def heal(self):
        for relay in self.room.relays:
            relay.heal()
        await self.store.heal()
        for server in self.servers:
            await server.start()


class Proxies(Subject):
    """Two proxies in front of one API, which has a ledger of its own."""

    name = "proxy"
    command = "proxy"
    path = "/orders"
    latencies = (0.0, 0.05)

    async def start_upstream(self):
        self.upstream_ports = [free_port() for _ in range(2)]
        self.ledger_path = self.room.path("ledger.jsonl")
        arguments = [sys.executable, "-B", os.path.join(HERE, "upstream.py"), self.ledger_path]
        self.upstream = self.room.process(
            "upstream", [*arguments, *map(str, self.upstream_ports)], port=self.upstream_ports[-1])
        await self.upstream.start()

    def arguments(self, index):
        return ["--upstream", f"http://{HOST}:{self.upstream_ports[index]}", *super().arguments(index)]

    def request(self, order):
        body = {"reference": order.key, "amount": order.amount, "latency": order.latency, "size": order.size}
        return self.path, json.dumps(body).encode()

    async def ledger(self):
        with open(self.ledger_path, encoding="utf-8") as file:
            return [Execution(**json.loads(line)) for line in file]


class NoProxies(Proxies):
    """The API alone, whose retries run again. Only to see that the checker notices."""

    name = "bare"

    async def start(self):
        await self.start_upstream()
        self.relays = [await self.room.relay(port) for port in self.upstream_ports]


class Demos(Subject):
    """Two demos, which are servers with the layer inside, and whose ledger is an SQLite file."""

    name = "demo"
    command = "demo"
    path = "/charges"

    @property
    def ledger_path(self):
        return self.room.path("ledger.sqlite")

    def arguments(self, index):
        return ["--ledger", self.ledger_path, *super().arguments(index)]

    def request(self, order):
        body = {"reference": order.key, "amount": order.amount, "currency": "EUR"}
        return f"{self.path}?latency={int(order.latency * 1000)}ms", json.dumps(body).encode()

    async def ledger(self):
        database = sqlite3.connect(self.ledger_path)
        try:
            return [Execution(*row) for row in database.execute("SELECT reference, id, attempt FROM charge")]
        finally:
            database.close()


class JoinedDemos(Demos):
    """Demos that commit a charge together with its record."""

    name = "same-transaction"
    is_exactly_once = True

    def options(self):
        return ["--same-transaction", *super().options()]


class JoinedDemosOnSQLite(JoinedDemos):
    """Records and charges are in one file; a transaction keeps others from writing."""

    latencies = (0.0, 0.01)
    share_of_long = 0.01

    @property
    def ledger_path(self):
        return self.store.path

    def arguments(self, index):
        return ["--ledger", self.ledger_path]


class JoinedDemosOnPostgres(JoinedDemos):
    """Records and charges are in one database."""

    def arguments(self, index):
        return self.store.arguments(index)

    async def ledger(self):
        rows = await self.store.query("SELECT reference, id, attempt FROM idemptx_demo_charge")
        return [Execution(key, int(receipt), int(attempt))
                for key, receipt, attempt in (row.split("|") for row in rows)]
