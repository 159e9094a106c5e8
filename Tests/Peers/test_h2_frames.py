"""Frames over HTTP/2 that break a rule of the connection (RFC 9113): it ends, with the code that the RFC names."""

import struct

from hyperframe.frame import (
    ContinuationFrame, DataFrame, HeadersFrame, PingFrame, PriorityFrame, PushPromiseFrame, RstStreamFrame,
    WindowUpdateFrame)

from harness.hostile import HostileCase, new_key
from harness.http2 import PREFACE, request_fields

NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR, COMPRESSION_ERROR = 0, 1, 3, 5, 6, 9
ENHANCE_YOUR_CALM = 11
ENDS = ["END_HEADERS", "END_STREAM"]


def frame(kind, flags=0, stream=0, content=b""):
    """Any frame, whatever a library thinks of it."""
    return struct.pack(">I", len(content))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + content


def opening(client, stream=1, flags=("END_HEADERS",), key=None):
    return HeadersFrame(stream, client.block(request_fields(key)), flags=list(flags))


def setting(number, value):
    return frame(4, content=struct.pack(">HI", number, value))


# Each with the codes that the section permits. STREAM_CLOSED and PROTOCOL_ERROR may stand for each other where the RFC leaves
# open what a server still remembers of a stream (section 5.1).
CONNECTION_ERRORS = {
    "3.4: no preface": (lambda client: [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"], {PROTOCOL_ERROR}),
    "4.2: a frame that is larger than was agreed": (
        lambda client: [opening(client), frame(0, stream=1, content=bytes(16_385))], {FRAME_SIZE_ERROR}),
    "4.3: a header block that is none": (
        lambda client: [frame(1, 5, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")], {COMPRESSION_ERROR}),
    "4.3: an index beyond the table": (lambda client: [frame(1, 5, 1, b"\xff\x80\x01")], {COMPRESSION_ERROR}),
    "4.3.1: a table that is larger than was agreed": (
        lambda client: [frame(1, 5, 1, b"\x3f\xe1\xff\x03" + client.block(request_fields()))], {COMPRESSION_ERROR}),
    "4.3: another frame within a header block": (
        lambda client: [opening(client, flags=[]), PingFrame(0, b"12345678")], {PROTOCOL_ERROR}),
    "4.3: another stream within a header block": (
        lambda client: [opening(client, flags=[]), opening(client, 3)], {PROTOCOL_ERROR}),
    "5.1: DATA on a stream that is idle": (lambda client: [DataFrame(1, b"x")], {PROTOCOL_ERROR}),
    "5.1: RST_STREAM on a stream that is idle": (lambda client: [RstStreamFrame(1, 8)], {PROTOCOL_ERROR}),
    "5.1: WINDOW_UPDATE on a stream that is idle": (
        lambda client: [WindowUpdateFrame(1, window_increment=1)], {PROTOCOL_ERROR}),
    "5.1.1: an even number of a stream": (lambda client: [opening(client, 2)], {PROTOCOL_ERROR}),
    "5.1.1: a number lower than before": (
        lambda client: [opening(client, 5), opening(client, 3)], {PROTOCOL_ERROR, STREAM_CLOSED}),
    "6.1: DATA without a stream": (lambda client: [frame(0, content=b"x")], {PROTOCOL_ERROR}),
    "6.1: more padding than content": (
        lambda client: [opening(client), frame(0, 8, 1, b"\xffx")], {PROTOCOL_ERROR}),
    "6.2: HEADERS without a stream": (lambda client: [frame(1, 5, 0, client.block(request_fields()))], {PROTOCOL_ERROR}),
    "6.2: more padding than header block": (lambda client: [frame(1, 13, 1, b"\xff\x82")], {PROTOCOL_ERROR}),
    "6.3: PRIORITY without a stream": (lambda client: [frame(2, content=bytes(5))], {PROTOCOL_ERROR}),
    "6.4: RST_STREAM without a stream": (lambda client: [frame(3, content=bytes(4))], {PROTOCOL_ERROR}),
    "6.4: RST_STREAM of three bytes": (
        lambda client: [opening(client), frame(3, stream=1, content=bytes(3))], {FRAME_SIZE_ERROR}),
    "6.5: SETTINGS of a stream": (lambda client: [frame(4, stream=1)], {PROTOCOL_ERROR}),
    "6.5: an acknowledgement with content": (lambda client: [frame(4, 1, content=bytes(6))], {FRAME_SIZE_ERROR}),
    "6.5: SETTINGS of seven bytes": (lambda client: [frame(4, content=bytes(7))], {FRAME_SIZE_ERROR}),
    "6.5.2: a push that is neither on nor off": (lambda client: [setting(2, 2)], {PROTOCOL_ERROR}),
    "6.5.2: a window of 2^31": (lambda client: [setting(4, 1 << 31)], {FLOW_CONTROL_ERROR}),
    "6.5.2: frames of less than 16,384 bytes": (lambda client: [setting(5, 16_383)], {PROTOCOL_ERROR}),
    "6.5.2: frames of 2^24 bytes": (lambda client: [setting(5, 1 << 24)], {PROTOCOL_ERROR}),
    "6.6: PUSH_PROMISE of a client": (
        lambda client: [opening(client), PushPromiseFrame(1, 2, client.block(request_fields()), flags=["END_HEADERS"])],
        {PROTOCOL_ERROR}),
    "6.7: PING of a stream": (lambda client: [frame(6, stream=1, content=bytes(8))], {PROTOCOL_ERROR}),
    "6.7: PING of seven bytes": (lambda client: [frame(6, content=bytes(7))], {FRAME_SIZE_ERROR}),
    "6.8: GOAWAY of a stream": (lambda client: [frame(7, stream=1, content=bytes(8))], {PROTOCOL_ERROR}),
    "6.9: a step of the window of nothing": (lambda client: [frame(8, content=bytes(4))], {PROTOCOL_ERROR}),
    "6.9: WINDOW_UPDATE of three bytes": (lambda client: [frame(8, content=bytes(3))], {FRAME_SIZE_ERROR}),
    "6.9.1: a window of the connection beyond 2^31": (
        lambda client: [WindowUpdateFrame(0, window_increment=(1 << 31) - 1)], {FLOW_CONTROL_ERROR}),
    "6.10: CONTINUATION without HEADERS": (lambda client: [frame(9, 4, 1)], {PROTOCOL_ERROR}),
    "6.10: CONTINUATION of another stream": (
        lambda client: [opening(client, flags=[]), ContinuationFrame(3, b"", flags=["END_HEADERS"])], {PROTOCOL_ERROR}),
}
# Where the RFC asks for the end of the stream, or for nothing. A server may end the connection instead (section 5.4.1), but
# with it all other streams, which may be those of others.
ENDED = {
    "5.3: a stream that depends on itself": PROTOCOL_ERROR,
    "5.3: PRIORITY of four bytes": FRAME_SIZE_ERROR,
}

# What ends no more than its stream, or nothing at all: the next stream is served.
TOLERATED = {
    "5.1: HEADERS after the end of the stream": lambda client: [opening(client, flags=ENDS), opening(client, flags=ENDS)],
    "5.1: DATA after the end of the stream": lambda client: [opening(client, flags=ENDS), DataFrame(1, b"x")],
    "5.1: WINDOW_UPDATE after RST_STREAM": lambda client: [
        opening(client), RstStreamFrame(1, 8), WindowUpdateFrame(1, window_increment=1)],
    "5.3: a stream that depends on itself": lambda client: [opening(client), PriorityFrame(1, depends_on=1)],
    "5.3: PRIORITY of a stream that is idle": lambda client: [PriorityFrame(99, depends_on=0, exclusive=True)],
    "5.3: PRIORITY of four bytes": lambda client: [opening(client), frame(2, stream=1, content=bytes(4))],
    "5.5: a frame of an unknown type": lambda client: [frame(0xEE, 0xFF, 1, b"whatever")],
    "6.1: DATA that is nothing but padding": lambda client: [
        opening(client), frame(0, 9, 1, b"\x05" + bytes(5))],
    "6.5.2: an unknown setting": lambda client: [setting(0xBEEF, 1)],
    "6.9: a step of the window of nothing, of a stream": lambda client: [
        opening(client), frame(8, stream=1, content=bytes(4))],
    "6.9.1: a window of a stream beyond 2^31": lambda client: [
        opening(client), WindowUpdateFrame(1, window_increment=(1 << 31) - 1)],
    "6.10: a header block of many fragments": lambda client: fragments(client),
    "RFC 7541, 4.2: a table of nothing, and again the usual one": lambda client: [
        frame(1, 5, 1, b"\x20\x3f\xe1\x1f" + client.block(request_fields()))],
}


def fragments(client):
    block = client.block(request_fields())
    return [
        HeadersFrame(1, block[:1], flags=["END_STREAM"]), ContinuationFrame(1, b""), ContinuationFrame(1, block[1:3]),
        ContinuationFrame(1, block[3:], flags=["END_HEADERS"]),
    ]


class Frames(HostileCase):
    def test_that_break_a_rule_end_the_connection(self):
        for name, (make, codes) in CONNECTION_ERRORS.items():
            with self.subTest(name):
                client = self.raw_client(preface=b"" if name.startswith("3.4") else PREFACE)
                client.send(*make(client))
                self.assertIn(client.go_away(), codes)

    def test_that_concern_a_stream_end_no_more_than_that(self):
        for name, make in TOLERATED.items():
            with self.subTest(name):
                client = self.raw_client()
                client.send(*make(client))
                client.send(opening(client, 101, ENDS, new_key()))
                response = client.read_until(lambda each: isinstance(each, HeadersFrame) and each.stream_id == 101)
                outcome = "served" if response else client.go_away()
                self.assertEqual(outcome, ENDED.get(name, "served"))
