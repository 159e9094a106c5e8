"""Redis: one server, a primary behind sentinels, a cluster."""

import asyncio
import os
import shutil
import time

from disk import Disk
from faults import Fault, halts, kill, partitions
from processes import Failure, HOST, free_port

PROGRAMS = ("redis-server", "valkey-server")


def redis_program():
    """IDEMPTX_TEST_REDIS; else what is in PATH."""
    candidates = [os.environ.get("IDEMPTX_TEST_REDIS"), *PROGRAMS]
    return next((found for name in candidates if name and (found := shutil.which(name))), None)


async def command(port, *words, timeout=2.0):
    """Sends a command; returns the reply: text, a number, a list, or nothing."""
    return await asyncio.wait_for(exchange(port, words), timeout)


async def exchange(port, words):
    parts = [str(word).encode() for word in words]
    request = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(request)
        return await read_reply(reader)
    finally:
        writer.transport.abort()


async def read_reply(reader):
    line = (await reader.readuntil(b"\r\n"))[:-2].decode()
    kind, rest = line[0], line[1:]
    if kind == "$":
        return (await reader.readexactly(int(rest) + 2))[:-2].decode() if int(rest) >= 0 else None
    if kind == "*":
        return [await read_reply(reader) for _ in range(int(rest))]
    if kind == "-":
        raise Failure(f"Redis says: {rest}")
    return int(rest) if kind == ":" else rest


async def eventually(what, condition, timeout=30.0):
    """Waits until a condition holds; servers that do not reply yet are asked again."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            if await condition():
                return
        except (OSError, EOFError, Failure, asyncio.TimeoutError):
            pass
        await asyncio.sleep(0.1)
    raise Failure(f"in vain: {what}")


class RedisServer:
    """A server that has written everything it acknowledged to its file."""

    def __init__(self, room, name, *lines, is_cluster_node=False):
        # A node of a cluster listens on a second port, which is larger by 10,000.
        self.port = free_port(below=55536 if is_cluster_node else 65536)
        if is_cluster_node:
            lines = (*lines, "--cluster-enabled", "yes", "--cluster-announce-bus-port", str(self.port + 10000))
        self.disk = Disk(room, name, megabytes=64)
        self.process = room.process(name, [
            redis_program(), "--bind", HOST, "--port", str(self.port), "--dir", self.disk.path, "--save", "",
            "--appendonly", "yes", "--appendfsync", "always", *lines], port=self.port)

    async def start(self):
        await self.process.start()

    async def command(self, *words):
        return await command(self.port, *words)

    def full_disk(self, name):
        """Redis ends itself when it cannot write its file."""
        async def end():
            self.disk.empty()
            await self.process.start()

        if not self.disk.is_mounted:
            return []
        return [Fault("full", f"the disk of {name} is full", self.disk.fill, end, 0.5, 2.5)]

    def full_memory(self, name):
        async def begin():
            await self.command("CONFIG", "SET", "maxmemory", "1")

        async def end():
            await self.process.start()
            await self.command("CONFIG", "SET", "maxmemory", "0")

        return Fault("full", f"the memory of {name} is full", begin, end, 0.5, 2.5)


class Redis:
    """One server, and a network of its own from each server of the layer to it."""

    name = "redis"
    may_forget = False
    is_shared_fate = False

    def __init__(self, room, lease):
        self.room = room
        self.lease = lease
        self.server = RedisServer(room, "redis")

    async def start(self):
        await self.server.start()
        self.relays = [await self.room.relay(self.server.port) for _ in range(2)]

    def arguments(self, server):
        return ["--store", f"redis://{HOST}:{self.relays[server].port}"]

    def faults(self):
        process = lambda: self.server.process
        return [
            kill("redis", process), *halts("redis", process, self.lease),
            *self.server.full_disk("redis"), self.server.full_memory("redis"),
            *partitions("the network to redis", self.relays, self.lease),
            *partitions("the network of server 0 to redis", self.relays[:1], self.lease, server=0),
        ]

    async def activity(self):
        return []

    async def heal(self):
        self.server.disk.empty()
        await self.server.start()


class Sentinel:
    """A primary, a replica, and three sentinels, of which two decide.

    Everybody reaches the two through a relay each, the replica and the sentinels, too."""

    name = "sentinel"
    may_forget = True
    is_shared_fate = False

    def __init__(self, room, lease):
        self.room = room
        self.lease = lease

    async def start(self):
        self.relays = [await self.room.relay(None) for _ in range(2)]
        self.servers = [
            RedisServer(
                self.room, f"redis-{index}", "--replica-announce-ip", HOST, "--replica-announce-port", str(relay.port),
                "--repl-diskless-sync-delay", "0")
            for index, relay in enumerate(self.relays)]
        for relay, server in zip(self.relays, self.servers):
            relay.target = server.port
            await server.start()
        await self.servers[1].command("REPLICAOF", HOST, self.relays[0].port)
        self.sentinels = [await self.start_sentinel(index) for index in range(3)]
        await self.heal()

    async def start_sentinel(self, index):
        port = free_port()
        path = self.room.path(f"sentinel-{index}.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(
                f"bind {HOST}\nport {port}\nsentinel monitor main {HOST} {self.relays[0].port} 2\n"
                "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n")
        await self.room.process(f"sentinel-{index}", [redis_program(), path, "--sentinel"], port=port).start()
        return port

    def arguments(self, server):
        return ["--store", f"redis+sentinel://{','.join(f'{HOST}:{port}' for port in self.sentinels)}/main"]

    async def primary(self):
        """The index of the server that is the primary, according to a sentinel."""
        _, port = await command(self.sentinels[0], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")
        return [relay.port for relay in self.relays].index(int(port))

    def faults(self):
        lost = []

        async def kill_primary():
            lost.append(self.servers[await self.primary()].process)
            lost[-1].kill()

        async def stall_and_kill_primary():
            relay = self.relays[await self.primary()]
            relay.break_by("hold replication")
            await asyncio.sleep(1.0)
            await kill_primary()
            # What was held is lost with its connections.
            relay.abort_all()
            relay.heal()

        async def revive():
            await lost.pop().start()

        async def halt_primary():
            lost.append(self.servers[await self.primary()].process)
            lost[-1].pause()

        def resume():
            lost.pop().resume()

        return [
            Fault("kill", "the primary is killed", kill_primary, revive, 0.1, 0.3),
            Fault("failover", "the primary is killed and replaced", kill_primary, revive, 2.5, 4.0),
            Fault(
                "failover", "the primary is killed and replaced while its replica lags", stall_and_kill_primary, revive,
                2.5, 4.0),
            Fault("failover", "the primary halts and is replaced", halt_primary, resume, 2.5, 4.0),
            *partitions("the network to redis", self.relays, self.lease, modes=("hold", "cut", "delay")),
            *partitions(
                "the network between redis and its replica", self.relays, self.lease, modes=("hold replication",)),
        ]

    async def activity(self):
        return []

    async def heal(self):
        for server in self.servers:
            server.disk.empty()
            await server.start()
        await eventually("sentinels and servers agree", self.is_whole)

    async def is_whole(self):
        primary = await self.primary()
        for port in self.sentinels:
            state = await command(port, "SENTINEL", "MASTER", "main")
            fields = dict(zip(state[::2], state[1::2]))
            if fields["num-slaves"] != "1" or fields["num-other-sentinels"] != "2" or fields["flags"] != "master":
                return False
            if int(fields["port"]) != self.relays[primary].port:
                return False
        replica = await self.servers[1 - primary].command("ROLE")
        return replica[0] == "slave" and replica[3] == "connected" \
            and (await self.servers[primary].command("ROLE"))[0] == "master"


class SentinelWithAcknowledgement(Sentinel):
    """The replica has to acknowledge what must not be lost."""

    name = "sentinel-wait"
    may_forget = False

    def arguments(self, server):
        return [*super().arguments(server), "--redis-replicas", "1"]


class Cluster:
    """Three servers, of which each has a third of the slots, and no replicas."""

    name = "cluster"
    may_forget = False
    is_shared_fate = False
    SLOTS = 16384

    def __init__(self, room, lease):
        self.room = room
        self.lease = lease

    async def start(self):
        self.relays = [await self.room.relay(None) for _ in range(3)]
        self.servers = [
            RedisServer(
                self.room, f"redis-{index}", "--cluster-node-timeout", "1000", "--cluster-announce-ip", HOST,
                "--cluster-announce-port", str(relay.port), is_cluster_node=True)
            for index, relay in enumerate(self.relays)]
        for index, (relay, server) in enumerate(zip(self.relays, self.servers)):
            relay.target = server.port
            await server.start()
            await server.command("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
            first, last = self.SLOTS * index // 3, self.SLOTS * (index + 1) // 3
            await server.command("CLUSTER", "ADDSLOTS", *range(first, last))
            await server.command("CLUSTER", "MEET", HOST, self.servers[0].port, self.servers[0].port + 10000)
        await self.heal()

    def arguments(self, server):
        return ["--store", f"redis+cluster://{','.join(f'{HOST}:{relay.port}' for relay in self.relays)}"]

    def faults(self):
        faults = []
        for index, server in enumerate(self.servers):
            faults += [
                kill(f"redis {index}", lambda server=server: server.process),
                *halts(f"redis {index}", lambda server=server: server.process, self.lease),
                server.full_memory(f"redis {index}"),
                *partitions(f"the network to redis {index}", self.relays[index:index + 1], self.lease),
            ]
        return [*faults, *partitions("the network to all of redis", self.relays, self.lease)]

    async def activity(self):
        return []

    async def heal(self):
        for server in self.servers:
            await server.start()
        await eventually("all servers of the cluster know each other", self.is_whole)

    async def is_whole(self):
        for server in self.servers:
            if "cluster_state:ok" not in await server.command("CLUSTER", "INFO"):
                return False
            if len(await server.command("CLUSTER", "SLOTS")) != 3:
                return False
        return True
