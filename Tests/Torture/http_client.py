"""One HTTP request on a connection of its own."""

import asyncio
import json
import time

from history import Response

HOST = "127.0.0.1"


def encode(path, key, body):
    head = (
        f"POST {path} HTTP/1.1\r\nHost: api.example\r\nContent-Type: application/json\r\nIdempotency-Key: {key}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n")
    return head.encode() + body


async def post(port, path, key, body, *, timeout, server):
    """The response; nothing if there is none in time, or the connection is lost before its end."""
    try:
        return await asyncio.wait_for(exchange(port, encode(path, key, body), key, server), timeout)
    except (OSError, EOFError, ValueError, asyncio.TimeoutError):
        return None


async def exchange(port, request, key, server):
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(request)
        status, headers, body = await read_response(reader)
    finally:
        writer.transport.abort()
    problem = ""
    if "problem+json" in headers.get("content-type", ""):
        problem = json.loads(body)["type"].rpartition(":")[2]
    return Response(
        key, status, body, headers.get("x-idempotency-status", ""), problem, server=server, time=time.monotonic())


async def read_response(reader):
    status = int((await reader.readuntil(b"\r\n")).split()[1])
    headers = {}
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if "chunked" in headers.get("transfer-encoding", ""):
        return status, headers, await read_chunks(reader)
    return status, headers, await reader.readexactly(int(headers["content-length"]))


async def read_chunks(reader):
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return body


async def hang_up(port, path, key, body, *, share, wait):
    """Sends a share of a request, and leaves after a while without reading."""
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return
    request = encode(path, key, body)
    writer.write(request[:int(len(request) * share)])
    await asyncio.sleep(wait)
    writer.transport.abort()
