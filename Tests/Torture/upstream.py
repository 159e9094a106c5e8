"""An API that does what it is asked as often as it is asked, and writes each time down.

Usage: upstream.py LEDGER PORT PORT…   One port for each proxy, so that the ledger tells which of them asked."""

import asyncio
import itertools
import json
import os
import sys
import time

HOST = "127.0.0.1"


class Ledger:
    """A line for each execution, on the disk before it is acknowledged."""

    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.receipts = itertools.count(1)

    def add(self, key, attempt, server):
        receipt = next(self.receipts)
        entry = {"key": key, "receipt": receipt, "attempt": attempt, "server": server, "time": time.monotonic()}
        os.write(self.file, json.dumps(entry).encode() + b"\n")
        os.fsync(self.file)
        return receipt


async def read_request(reader):
    """Method and path, the header fields, and the body; nothing at the end of the connection."""
    try:
        line = await reader.readuntil(b"\r\n")
        headers = {}
        while (field := await reader.readuntil(b"\r\n")) != b"\r\n":
            name, _, value = field.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        return line.split()[:2], headers, await reader.readexactly(int(headers.get("content-length", 0)))
    except (EOFError, OSError):
        return None


async def respond(ledger, server, headers, body):
    order = json.loads(body)
    attempt = int(headers.get("x-idempotency-attempt", 1))
    # The worst moment for a crash comes after this.
    receipt = ledger.add(headers["idempotency-key"], attempt, server)
    await asyncio.sleep(order["latency"])
    response = {
        "id": receipt, "reference": headers["idempotency-key"], "attempt": attempt,
        # Differs from execution to execution, and is as large as was asked for.
        "text": f"{receipt:x}-" * (order["size"] // 8),
    }
    return json.dumps(response).encode()


def serve(ledger, server):
    async def converse(reader, writer):
        try:
            while request := await read_request(reader):
                body = await respond(ledger, server, *request[1:])
                writer.write(
                    b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
    return converse


async def main():
    ledger = Ledger(sys.argv[1])
    servers = [
        await asyncio.start_server(serve(ledger, index), HOST, int(port)) for index, port in enumerate(sys.argv[2:])]
    await asyncio.gather(*(server.serve_forever() for server in servers))


asyncio.run(main())
