"""Requests over HTTP/2 that are malformed (RFC 9113, section 8.1.1): each ends alone, without having run."""

from h2.exceptions import ProtocolError
from hpack import NeverIndexedHeaderTuple
from hyperframe.frame import HeadersFrame

from harness.hostile import HostileCase, new_key
from harness.http2 import Stream, request_fields

PROTOCOL_ERROR = 1
SMUGGLED = "POST /smuggled HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"


def _replacing(name, *values):
    """The fields of a request with other values of a pseudo-header field, or none."""
    fields = []
    for each, value in request_fields(new_key()):
        fields += [(each, other) for other in values] if each == name else [(each, value)]
    return fields


def _with(*more):
    return request_fields(new_key(), more=more)


# By section of RFC 9113.
MALFORMED_HEADS = {
    "8.3.1: no method": lambda: _replacing(":method"),
    "8.3.1: no path": lambda: _replacing(":path"),
    "8.3.1: an empty path": lambda: _replacing(":path", ""),
    "8.3.1: no scheme": lambda: _replacing(":scheme"),
    "8.3.1: two methods": lambda: _replacing(":method", "POST", "GET"),
    "8.3.1: two schemes": lambda: _replacing(":scheme", "https", "https"),
    "8.3.1: two authorities": lambda: _replacing(":authority", "localhost", "other"),
    "8.3.1: an authority with a user": lambda: _replacing(":authority", "user@localhost"),
    "8.3.1: another host": lambda: _with(("host", "other")),
    "8.3.1: two hosts": lambda: _with(("host", "localhost"), ("host", "localhost")),
    "8.3: a pseudo-header field that is none": lambda: [(":unknown", "1"), *_with()],
    "8.3: one of responses": lambda: [(":status", "200"), *_with()],
    "8.3: one after the others": lambda: [*_with(("x-a", "1")), (":path", "/smuggled")],
    "RFC 8441, 4: a protocol that was not offered": lambda: [(":protocol", "websocket"), *_replacing(":method", "CONNECT")],
    "8.2.1: a line break in a value": lambda: _with(("x-a", f"1\r\n\r\n{SMUGGLED}")),
    "8.2.1: a line feed in a value": lambda: _with(("x-a", "1\nidempotency-key: other")),
    "8.2.1: a carriage return in a value": lambda: _with(("x-a", "1\r2")),
    "8.2.1: NUL in a value": lambda: _with(("x-a", "1\x002")),
    "8.2.1: a line break in a name": lambda: _with((f"x: 1\r\n\r\n{SMUGGLED}y", "1")),
    "8.2.1: a colon in a name": lambda: _with(("x:a", "1")),
    "8.2.1: a space in a name": lambda: _with(("x a", "1")),
    "8.2.1: a letter beyond ASCII in a name": lambda: _with(("x-\xe4", "1")),
    "8.2.1: DEL in a name": lambda: _with(("x\x7f", "1")),
    "8.2.1: an upper-case name": lambda: _with(("X-A", "1")),
    "8.2.1: a line break in the path": lambda: _replacing(":path", f"/ HTTP/1.1\r\nHost: a\r\n\r\n{SMUGGLED}"),
    "8.2.1: a space in the path": lambda: _replacing(":path", "/ HTTP/1.1"),
    "8.2.1: a line break in the method": lambda: _replacing(":method", f"GET / HTTP/1.1\r\nHost: a\r\n\r\n{SMUGGLED}POST"),
    "8.2.1: a space in the method": lambda: _replacing(":method", "POST /smuggled"),
    "8.2.1: a line break in the authority": lambda: _replacing(":authority", f"a\r\n\r\n{SMUGGLED}"),
    "8.2.1: a line break in a cookie": lambda: _with(("cookie", f"a=b\r\n\r\n{SMUGGLED}")),
    "8.2.1: a space before a value": lambda: _with(("x-a", " 1")),
    "8.2.1: a tab after a value": lambda: _with(("x-a", "1\t")),
    "8.2.2: Connection": lambda: _with(("connection", "keep-alive")),
    "8.2.2: Transfer-Encoding": lambda: _with(("transfer-encoding", "chunked")),
    "8.2.2: Upgrade": lambda: _with(("upgrade", "h2c")),
    "8.2.2: Proxy-Connection": lambda: _with(("proxy-connection", "close")),
    "8.2.2: TE with more than trailers": lambda: _with(("te", "gzip")),
    "8.1.1: two lengths": lambda: _with(("content-length", "2"), ("content-length", "2")),
    "8.1.1: a length that is none": lambda: _with(("content-length", "+2")),
    "8.1.1: a list of lengths": lambda: _with(("content-length", "2, 2")),
    "8.1.1: a length below zero": lambda: _with(("content-length", "-2")),
}
# Lengths that are not those of the body `{}`.
FALSE_LENGTHS = ["0", "1", "3", "99999999999999999999"]
MALFORMED_TRAILERS = {
    "8.1: a pseudo-header field": [(":path", "/smuggled")],
    "8.2.1: a line break": [("x-a", f"1\r\n\r\n{SMUGGLED}")],
    "8.2.1: an upper-case name": [("X-A", "1")],
    "8.2.1: a line break in a name": [(f"x: 1\r\n{SMUGGLED}", "1")],
}


class MalformedRequests(HostileCase):
    def outcome(self, client, number, key):
        """`refused` if the request alone ended, without having run."""
        client.read_until(lambda: client.streams[number].is_over or client.is_closed)
        stream = client.streams[number]
        if stream.status not in (400, 413, 501) and stream.reset != PROTOCOL_ERROR:
            return "served"
        self.assertEqual(self.upstream.executions(key), 0, "it ran nevertheless")
        return "refused" if self.ask_on(client).status == 201 else "the connection of the others ends, too"

    def ask_on(self, client):
        """Another request on the same connection, as if the malformed one were somebody else's."""
        try:
            return self.ask(client)
        except ProtocolError:
            # h2 opens no stream after GOAWAY.
            return Stream()

    def check(self, name, fields, body=b"{}", trailers=None):
        with self.subTest(name):
            client = self.client()
            number = client.start(fields, body, trailers)
            key = dict(fields)["idempotency-key"]
            self.assertEqual(self.outcome(client, number, key), "refused")

    def test_head_is_refused(self):
        for name, make in MALFORMED_HEADS.items():
            self.check(name, make())

    def test_length_that_lies_is_refused(self):
        for length in FALSE_LENGTHS:
            for body in (b"{}", b""):
                if int(length) != len(body):
                    fields = request_fields(new_key(), more=[("content-length", length)])
                    self.check(f"8.1.1: the length {length} of {len(body)} bytes", fields, body)

    def test_trailers_are_refused(self):
        for name, trailers in MALFORMED_TRAILERS.items():
            self.check(name, request_fields(new_key()), b"{}", trailers)

    def test_trailers_that_do_not_end_the_stream_are_refused(self):
        name = "8.1: trailers that do not end the stream"
        client, key = self.client(), new_key()
        number = client.begin(request_fields(key))
        # h2 refuses to send these, whatever it is told.
        block = client.h2.encoder.encode([("x-a", "1")])
        client.socket.sendall(HeadersFrame(number, block, flags=["END_HEADERS"]).serialize())
        self.assertEqual(self.outcome(client, number, key), "refused")

    def test_trailers_with_fields_of_framing_do_not_pass(self):
        """RFC 9110, section 6.5.1. A key in them is none."""
        key, other = new_key(), new_key()
        forbidden = ["content-length", "host", "authorization", "cookie", "x-idempotency-attempt"]
        trailers = [*((name, "1") for name in forbidden), ("idempotency-key", other), ("x-sum", "7")]
        self.assertEqual(self.client().ask(request_fields(key), b"{}", trailers).status, 201)
        request = next(each for each in self.upstream.requests if each.key == key)
        self.assertEqual({name.lower() for name, _ in request.trailers} & set(forbidden), set())
        self.assertEqual(request.values("x-idempotency-attempt"), ["1"])
        # What comes under the other key is not a retry.
        self.assertIsNone(self.client().ask(request_fields(other), b"{}")["idempotent-replayed"])


class Keys(HostileCase):
    """Lines with a key, of which two readers could take a different one."""

    def test_come_twice_and_are_refused(self):
        client = self.client()
        for first, second in [("a", "b"), ("a", "a"), ("a", ""), ('"a"', "a")]:
            with self.subTest(f"{first}, {second}"):
                keys = [first and f"{first}-{new_key()}", second and f"{second}-{new_key()}"]
                stream = client.ask(request_fields(keys), b"{}")
                self.assertEqual(stream.status, 400)
                self.assertTrue(all(self.upstream.executions(key) == 0 for key in keys))

    def test_are_the_same_in_each_form_of_hpack(self):
        """RFC 7541, section 6.2: with indexing, without, and never indexed."""
        key = new_key()
        first, second = self.client(), self.client()
        never = [NeverIndexedHeaderTuple("idempotency-key", key)]
        streams = [
            first.ask(request_fields(key), b"{}"), first.ask(request_fields(key), b"{}"),
            second.ask(request_fields(more=never), b"{}"),
        ]
        self.assertEqual([(stream.status, stream["idempotent-replayed"]) for stream in streams],
                         [(201, None), (201, "true"), (201, "true")])
        self.assertEqual(len({stream.body for stream in streams}), 1)
