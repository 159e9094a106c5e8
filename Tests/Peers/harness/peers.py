"""Two implementations of the same idea, asked the same things: idemkit's middleware, and the proxy."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from idemkit import HttpConfig, IdempotencyMiddleware, InMemoryBackend

from harness import http1
from harness.instructions import Application, respond
from harness.proxy import Proxy
from harness.upstream import Upstream


class Peer:
    """Sends requests, and says of each what became of it: its status, and whether the operation ran."""

    def exchange(self, method, target, fields, body):
        """Returns the status, the fields in lower case as pairs, and the body of the response."""
        raise NotImplementedError

    @property
    def executions(self):
        raise NotImplementedError

    def send(self, target="/orders", fields=(), body=b'{"name": "x"}', method="POST", key=None, shows=(),
             media_type="application/json"):
        """Returns such as `201 ran`, and the values of the fields that are named in `shows`."""
        before = self.executions
        fields = [*_keys(key), ("Content-Type", media_type), *fields]
        status, received, _ = self.exchange(method, target, fields, body)
        return " ".join([f"{status} {_fate(received, self.executions - before)}", *_values(received, shows)])

    def send_together(self, count, **request):
        """Returns how many responses there were of each kind, and whether their bodies are the same."""
        fields = [*_keys(request.pop("key")), ("Content-Type", "application/json"), *request.pop("fields", ())]
        before = self.executions
        with ThreadPoolExecutor(count) as pool:
            futures = [pool.submit(self.exchange, "POST", "/orders", fields, b"{}") for _ in range(count)]
            responses = [future.result() for future in futures]
        replays = sum(1 for _, received, _ in responses if _fate(received, 0) == "replayed")
        return f"{self.executions - before} ran, {replays} replayed, {len({body for *_, body in responses})} bodies"

    def send_beside(self, delay=1.0, **request):
        """Sends a request, and the same one while the first runs; returns what becomes of the second."""
        fields = [("X-Test-Delay", str(delay))]
        first = threading.Thread(target=self.send, kwargs={"fields": fields, **request})
        before = self.executions
        first.start()
        while self.executions == before:
            time.sleep(0.005)
        try:
            return self.send(fields=fields, **request)
        finally:
            first.join()


def _keys(key):
    keys = key if isinstance(key, list) else [] if key is None else [key]
    return [("Idempotency-Key", each) for each in keys]


def _fate(received, executions):
    names = dict(received)
    if "true" in (names.get("idempotent-replayed"), names.get("idempotency-replayed")):
        return "replayed"
    return "ran" if executions else "refused"


def _values(received, shows):
    return [f"{name}={value}" for name, value in received if name in shows]


class IdemkitPeer(Peer):
    """idemkit's middleware in front of an ASGI application, in this process."""

    def __init__(self, **settings):
        self._application = Application()
        config = HttpConfig(**{"scope_mode": "single_tenant", **settings})
        self._middleware = IdempotencyMiddleware(self._application, backend=InMemoryBackend(), config=config)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @property
    def executions(self):
        return self._application.executions

    def exchange(self, method, target, fields, body):
        return asyncio.run_coroutine_threadsafe(self._call(method, target, fields, body), self._loop).result(30)

    async def _call(self, method, target, fields, body):
        path, _, query = target.partition("?")
        scope = {
            "type": "http", "method": method, "path": path, "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in fields],
        }
        incoming = iter([{"type": "http.request", "body": body}, {"type": "http.disconnect"}])
        messages = []

        async def receive():
            return next(incoming)

        async def send(message):
            messages.append(message)

        await self._middleware(scope, receive, send)
        received = [(name.decode().lower(), value.decode()) for name, value in messages[0]["headers"]]
        return messages[0]["status"], received, b"".join(message.get("body", b"") for message in messages[1:])

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class ProxyPeer(Peer):
    """The proxy, and an upstream that does the same as the application.

    Each `caller` has keys of its own."""

    def __init__(self, **flags):
        self.caller = ""
        self._upstream = Upstream(respond)
        self._proxy = Proxy(self._upstream, **flags)

    @property
    def executions(self):
        return len(self._upstream.requests)

    def exchange(self, method, target, fields, body):
        fields = [("Authorization", f"Bearer {self.caller}"), *fields]
        response = http1.send(self._proxy.port, method, target, fields, body)
        return response.status, [(name.lower(), value) for name, value in response.fields], response.body

    def close(self):
        self._proxy.close()
        self._upstream.close()
