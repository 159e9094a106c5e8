"""A TCP relay on the loopback interface: a network that can be broken."""

import asyncio

HOST = "127.0.0.1"


class Connection:
    """A connection of a client, and the one to the server that belongs to it."""

    def __init__(self, client, server):
        self.client = client
        self.server = server
        # By its first command a Redis server is told that a replica is connected, and not a client.
        self.is_replication = False
        # Whether bytes are missing, so that it cannot be used any more.
        self.is_torn = False

    def abort(self):
        for _, writer in (self.client, self.server):
            writer.transport.abort()


class Relay:
    """Passes connections on to a port.

    Modes: `pass`; `hold` keeps what is sent until the end of the fault; `drop replies` loses what the server sends;
    `cut` resets connections and accepts none; `delay` is slow; `hold replication` is `hold` for replicas only."""

    def __init__(self, target):
        self.target = target
        self.mode = "pass"
        self.connections = set()
        self.is_open = asyncio.Event()
        self.is_open.set()

    async def start(self):
        self.server = await asyncio.start_server(self.accept, HOST, 0, backlog=256)
        self.port = self.server.sockets[0].getsockname()[1]

    async def close(self):
        self.heal()
        self.server.close()
        self.abort_all()
        # Connections notice in their own time.
        while self.connections:
            await asyncio.sleep(0.01)

    def break_by(self, mode):
        self.mode = mode
        if mode.startswith("hold"):
            self.is_open.clear()
        if mode == "cut":
            self.abort_all()

    def heal(self):
        self.mode = "pass"
        self.is_open.set()
        for connection in [connection for connection in self.connections if connection.is_torn]:
            connection.abort()

    def lead_to(self, target):
        """From now on, connections go to another port, as after a failover."""
        self.target = target
        self.abort_all()

    def abort_all(self):
        for connection in list(self.connections):
            connection.abort()

    async def accept(self, reader, writer):
        try:
            if self.mode == "cut":
                raise ConnectionRefusedError
            server = await asyncio.open_connection(HOST, self.target)
        except OSError:
            writer.transport.abort()
            return
        connection = Connection((reader, writer), server)
        self.connections.add(connection)
        try:
            await asyncio.gather(
                self.pump(connection, reader, server[1], is_reply=False),
                self.pump(connection, server[0], writer, is_reply=True))
        except OSError:
            pass
        finally:
            self.connections.discard(connection)
            connection.abort()

    async def pump(self, connection, reader, writer, *, is_reply):
        while data := await reader.read(65536):
            if not is_reply and b"PSYNC" in data:
                connection.is_replication = True
            if self.mode == "drop replies" and is_reply:
                connection.is_torn = True
            # What follows a gap is of no use.
            if connection.is_torn:
                continue
            if self.mode == "delay":
                await asyncio.sleep(0.15)
            if self.mode == "hold" or self.mode == "hold replication" and connection.is_replication:
                await self.is_open.wait()
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
