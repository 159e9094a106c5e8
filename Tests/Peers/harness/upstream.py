"""The API behind the proxy: it counts what it is asked to do, and responds as a test says."""

import json
import socketserver
import threading
from collections import namedtuple
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

Response = namedtuple("Response", ["status", "fields", "body"])


@dataclass(frozen=True)
class Request:
    """A request as the upstream understood it."""

    method: str
    target: str
    fields: list
    body: bytes = b""
    trailers: list = field(default_factory=list)

    def values(self, name):
        return [value for other, value in self.fields if other.lower() == name.lower()]

    @property
    def key(self):
        return next(iter(self.values("idempotency-key")), None)

    @property
    def attempt(self):
        return int(next(iter(self.values("x-idempotency-attempt")), 1))


def tell_execution(request, number):
    """The usual response: the number of the execution, so that no two are the same."""
    body = json.dumps({"execution": number}).encode()
    return Response(201, [("Content-Type", "application/json")], body)


class Upstream:
    """Serves on a free port of the loopback interface until it is closed."""

    def __init__(self, respond=tell_execution):
        self.respond = respond
        self.requests = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def handle(self, request):
        with self._lock:
            self.requests.append(request)
            number = len(self.requests)
        return self.respond(request, number)

    def executions(self, key):
        """How often the operation with this key was begun."""
        with self._lock:
            return sum(1 for request in self.requests if request.key == key)

    def targets(self):
        with self._lock:
            return {request.target for request in self.requests}

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1_000

    def __init__(self, address, upstream):
        self.upstream = upstream
        super().__init__(address, _Connection)

    def handle_error(self, request, client_address):
        """A proxy that breaks a connection off is no news."""


class _Connection(BaseHTTPRequestHandler):
    """Reads as leniently as Python's standard library does: what could be taken for two requests is taken for two."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def handle_one_request(self):
        self.raw_requestline = self.rfile.readline(65_537)
        if not self.raw_requestline:
            self.close_connection = True
        elif self.parse_request():
            self._respond()

    def _respond(self):
        body, trailers = self._read_body()
        request = Request(self.command, self.path, self.headers.items(), body, trailers)
        response = self.server.upstream.handle(request)
        self.send_response_only(response.status)
        for name, value in response.fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)
        self.wfile.flush()

    def _read_body(self):
        if self.headers.get("Transfer-Encoding"):
            return self._read_chunks()
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError("the body broke off")
        return body, []

    def _read_chunks(self):
        body = b""
        while size := int(self._read_line(), 16):
            body += self.rfile.read(size)
            self._read_line()
        trailers = []
        while line := self._read_line():
            name, _, value = line.partition(b":")
            trailers.append((name.decode(), value.strip().decode()))
        return body, trailers

    def _read_line(self):
        line = self.rfile.readline(65_537)
        if not line:
            raise ConnectionError("the body broke off")
        return line.strip()

    def log_message(self, *_):
        pass
