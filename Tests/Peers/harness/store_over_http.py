"""The proxy in the shape of idemkit's storage protocol, so that its vectors can be run against it.

A claim is a request that begins an operation, an outcome is what the upstream responds with, and an owner that does not
renew its lease is a proxy that stands still."""

import asyncio
import functools
import json
import os
import tempfile
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from idemkit.core.state import ClaimResult, ClaimResultType, State, StoredRecord

from harness.http1 import send
from harness.proxy import Proxy
from harness.upstream import Response, Upstream

# Shorter than what the vectors wait for a lease to end.
SHORT_LEASE = 0.1
SHORTEST_LONG_LEASE = 1
# The vectors name it when they complete; the proxy's is a setting.
KEY_TTL = 1


class NotOverHTTP(Exception):
    """What a vector asks for, no message of HTTP can say."""


@dataclass
class Operation:
    """An operation that the upstream has begun, and ends as the vector says."""

    key: str
    attempt: int
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    is_decided: threading.Event = field(default_factory=threading.Event)
    response: Response = None
    # What its client gets.
    received: asyncio.Future = None
    proxy: Proxy = None
    pause: asyncio.Task = None

    def decide(self, response):
        self.response = response
        self.is_decided.set()


class StoreOverHTTP:
    """The five methods of idemkit's protocol, each as requests to proxies that share a store."""

    def __init__(self):
        self._directory = tempfile.TemporaryDirectory()
        self._operations = {}
        self._begun = {}
        self._proxies = {}
        self._clients = ThreadPoolExecutor(100)
        self._upstream = Upstream(self._run)

    def close(self):
        """Ends what the vectors have left as it was."""
        for operation in (each for all_of_key in self._operations.values() for each in all_of_key):
            operation.decide(Response(500, [], b""))
        for proxy in self._proxies.values():
            proxy.close()
        self._clients.shutdown()
        self._upstream.close()
        self._directory.cleanup()

    # The upstream.

    def _run(self, request, _):
        operation = Operation(request.key, request.attempt)
        self._operations.setdefault(request.key, []).append(operation)
        loop, begun = self._begun[request.values("x-claim")[0]]
        loop.call_soon_threadsafe(begun.set_result, operation)
        operation.is_decided.wait(60)
        return operation.response

    # The proxies.

    def _proxy(self, **flags):
        name = json.dumps(flags, sort_keys=True)
        if name not in self._proxies:
            store = "sqlite:" + os.path.join(self._directory.name, "store.sqlite")
            self._proxies[name] = Proxy(self._upstream, store=store, key_ttl=f"{KEY_TTL}s", **flags)
        return self._proxies[name]

    async def _begin(self, proxy, key, fingerprint):
        """Sends a request, and waits until it has begun an operation or has its response."""
        claim = uuid.uuid4().hex
        loop = asyncio.get_running_loop()
        begun = loop.create_future()
        self._begun[claim] = (loop, begun)
        fields = [("Idempotency-Key", key), ("X-Claim", claim)]
        received = loop.run_in_executor(
            self._clients, functools.partial(_send, proxy.port, fields, fingerprint.encode()))
        await asyncio.wait([begun, received], return_when=asyncio.FIRST_COMPLETED)
        return begun, received

    # What idemkit asks for.

    async def claim(self, effective_key, fingerprint, fingerprint_version, lease_ttl_seconds):
        is_short = lease_ttl_seconds < SHORTEST_LONG_LEASE
        proxy = self._proxy(lease=f"{int(SHORT_LEASE * 1000)}ms" if is_short else "30s")
        proxy.resume()
        begun, received = await self._begin(proxy, effective_key, fingerprint)
        if not begun.done():
            return await self._refused(effective_key, fingerprint, received.result())
        operation = begun.result()
        operation.received, operation.proxy = received, proxy
        if is_short:
            # Unless the vector renews the lease before it does anything else.
            operation.pause = asyncio.create_task(_pause(proxy))
        result = ClaimResultType.NEW_CLAIMED if operation.attempt == 1 else ClaimResultType.LEASE_RECLAIMED
        return ClaimResult(result, _record(operation, fingerprint), operation.token)

    async def _refused(self, key, fingerprint, response):
        # A claim can be refused before the request of its owner is at the upstream.
        await asyncio.wait_for(self._until_begun(key), 10)
        owner = self._operations[key][-1]
        if response.problem_kind == "request-in-progress":
            return ClaimResult(ClaimResultType.ALREADY_CLAIMED, _record(owner, fingerprint))
        assert response.is_replay, response
        return ClaimResult(ClaimResultType.ALREADY_COMPLETED, _record(owner, fingerprint, response))

    async def _until_begun(self, key):
        while key not in self._operations:
            await asyncio.sleep(0.005)

    async def complete(
        self, effective_key, claim_token, response_status, response_headers, response_body, expires_after_seconds
    ):
        assert expires_after_seconds >= KEY_TTL
        operation = self._owned(effective_key, claim_token)
        response = await self._end(operation, Response(response_status, list(response_headers.items()), response_body))
        return response["X-Idempotency-Status"] == "new"

    async def release(self, effective_key, claim_token):
        operation = self._owned(effective_key, claim_token)
        response = await self._end(operation, Response(500, [("X-Idempotency-Disposition", "release")], b""))
        return response.status == 500

    async def renew(self, effective_key, claim_token, lease_ttl_seconds):
        """A proxy renews by itself as long as it lives: whether it did so is seen by the next claim."""
        self._owned(effective_key, claim_token).pause.cancel()
        return True

    async def wait_for_completion(self, effective_key, timeout_seconds):
        proxy = self._proxy(lease="30s", wait_timeout=f"{int(timeout_seconds * 1000)}ms")
        begun, received = await self._begin(proxy, effective_key, "fp")
        response = await received
        assert not begun.done(), "the operation ran again"
        owner = self._operations[effective_key][-1]
        return _record(owner, "fp", response) if response.is_replay else None

    def _owned(self, key, token):
        for operation in self._operations[key]:
            if operation.token == token:
                return operation
        raise NotOverHTTP("a request cannot name the owner of a claim, so there is no wrong one")

    async def _end(self, operation, response):
        operation.proxy.resume()
        operation.decide(response)
        return await operation.received


def _send(port, fields, body):
    try:
        return send(port, fields=fields, body=body)
    except (ConnectionError, TimeoutError):
        # Many vectors leave their operation as it is, and the proxy ends with them.
        return None


async def _pause(proxy):
    proxy.pause()


def _record(operation, fingerprint, response=None):
    stored = {}
    if response:
        stored = {"completed_at": 0.0, "response_status": response.status, "response_body": response.body}
    return StoredRecord(
        operation.key, State.COMPLETED if response else State.CLAIMED, fingerprint, 1, operation.token, 0.0, 0.0, **stored)
