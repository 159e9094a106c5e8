"""What holds of the proxy after each attack."""

import itertools
import threading
import time
import unittest
from collections import Counter

from harness.certificates import certificate
from harness.http2 import Client, RawClient, request_fields
from harness.instructions import respond
from harness.proxy import MEBIBYTE, Proxy
from harness.upstream import Response, Upstream

KNOWN_TARGETS = {"/", "/slow", "/large", "/bystander"}
_keys = (f"key-{number}" for number in itertools.count())


def new_key():
    return next(_keys)


class HostileCase(unittest.TestCase):
    """A proxy that speaks HTTP/2, and a client without blame that is connected all the time."""

    flags = {}
    # What all attacks of one class together may add to the memory of the proxy.
    most_memory = 96 * MEBIBYTE

    @classmethod
    def setUpClass(cls):
        cls.gate = threading.Event()
        cls.upstream = Upstream(cls.respond)
        cls.addClassCleanup(cls.upstream.close)
        cls.proxy = Proxy(cls.upstream, tls_cert=certificate().path, tls_key=certificate().key, **cls.flags)
        cls.addClassCleanup(cls.proxy.close)
        cls.bystander = Client(cls.proxy.port)
        cls.addClassCleanup(cls.bystander.close)
        cls.ask(cls.bystander)
        cls.memory = cls.proxy.resident_bytes()

    @classmethod
    def respond(cls, request, number):
        if request.target == "/slow":
            cls.gate.wait(10)
        if request.target == "/large":
            return Response(200, [], b"x" * 900_000)
        return respond(request, number)

    @staticmethod
    def ask(client):
        return client.ask(request_fields(new_key(), path="/bystander"), b"{}")

    def client(self, **options):
        client = Client(self.proxy.port, **options)
        self.addCleanup(client.close)
        return client

    def raw_client(self, **options):
        client = RawClient(self.proxy.port, **options)
        self.addCleanup(client.close)
        return client

    def check_replayed(self, key, path="/"):
        """The retry gets the response of the one execution, as soon as there is one."""
        deadline = time.monotonic() + 10
        while (stream := self.client().ask(request_fields(key, path=path))).status == 409:
            self.assertLess(time.monotonic(), deadline, "it does not end")
            time.sleep(0.05)
        self.assertEqual((stream.status, stream["idempotent-replayed"]), (201, "true"))
        self.assertEqual(self.upstream.executions(key), 1)

    def tearDown(self):
        """Others are served, memory is bounded, and nothing ran twice or was smuggled."""
        self.gate.set()
        self.gate.clear()
        self.assertTrue(self.proxy.is_alive, "the proxy has ended")
        self.assertEqual(self.ask(self.bystander).status, 201, "a client that was connected is not served")
        newcomer = Client(self.proxy.port)
        self.assertEqual(self.ask(newcomer).status, 201, "a new client is not served")
        newcomer.close()
        self.assertLess(self.proxy.resident_bytes() - self.memory, self.most_memory)
        executions = Counter(request.key for request in self.upstream.requests if request.key)
        self.assertEqual([key for key, count in executions.items() if count > 1], [], "ran twice")
        self.assertEqual(self.upstream.targets() - KNOWN_TARGETS, set(), "was smuggled")
