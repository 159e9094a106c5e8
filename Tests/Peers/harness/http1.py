"""A client of HTTP/1.1 that sends fields as they are given, also twice."""

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass


@dataclass(frozen=True)
class Response:
    status: int
    fields: list
    body: bytes

    def __getitem__(self, name):
        """The only value of a field, or None."""
        values = [value for other, value in self.fields if other.lower() == name.lower()]
        assert len(values) <= 1, f"{name} comes {len(values)} times"
        return next(iter(values), None)

    @property
    def is_replay(self):
        return self["Idempotent-Replayed"] == "true"

    @property
    def problem(self):
        """The problem details, or nothing where this is no problem (RFC 9457)."""
        return json.loads(self.body) if self["Content-Type"] == "application/problem+json" else {}

    @property
    def problem_kind(self):
        """What the type of the problem ends with."""
        return self.problem.get("type", "").rpartition(":")[2] or None


def send(port, method="POST", target="/", fields=(), body=b"", timeout=30):
    """Sends one request on a connection of its own, and returns the response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in fields:
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return Response(response.status, response.getheaders(), response.read())
    finally:
        connection.close()


def send_together(count, *arguments, **options):
    """Sends the same request many times at once."""
    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(send, *arguments, **options) for _ in range(count)]
        return [future.result() for future in futures]
