"""Windows of HTTP/2 that a client plays with (RFC 9113, sections 5.2 and 6.9)."""

from hyperframe.frame import DataFrame, GoAwayFrame, HeadersFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

from harness.hostile import HostileCase, new_key
from harness.http2 import request_fields
from harness.proxy import MEBIBYTE

ENDS = ["END_HEADERS", "END_STREAM"]
INITIAL_WINDOW_SIZE = 4
FLOW_CONTROL_ERROR = 3


def body_of(client, stream=1):
    return b"".join(each.data for each in client.frames if isinstance(each, DataFrame) and each.stream_id == stream)


class Windows(HostileCase):
    def with_no_window(self, path="/", key=None):
        """A request of a client that lets nothing of a body come, and has its head."""
        client = self.raw_client(settings={INITIAL_WINDOW_SIZE: 0})
        client.send(HeadersFrame(1, client.block(request_fields(key or new_key(), path=path)), flags=ENDS))
        client.read_until(lambda each: isinstance(each, HeadersFrame))
        return client

    def test_of_one_byte_at_a_time_bring_the_whole_body(self):
        client = self.with_no_window()
        self.assertEqual(body_of(client), b"")
        size = 0
        while not any("END_STREAM" in each.flags for each in client.frames):
            client.send(WindowUpdateFrame(1, window_increment=1))
            size += 1
            client.read_until(lambda each: len(body_of(client)) == size or "END_STREAM" in each.flags)
            self.assertLessEqual(len(body_of(client)), size, "more than the window")
        self.assertRegex(body_of(client), rb'^{"execution": \d+}$')

    def test_that_are_made_smaller_than_what_was_sent_wait_until_they_are_open_again(self):
        """Section 6.9.2: they are below zero meanwhile."""
        client = self.raw_client(settings={INITIAL_WINDOW_SIZE: 1_000})
        client.send(HeadersFrame(1, client.block(request_fields(new_key(), path="/large")), flags=ENDS))
        client.read_until(lambda each: len(body_of(client)) == 1_000)
        client.send(SettingsFrame(0, settings={INITIAL_WINDOW_SIZE: 0}), WindowUpdateFrame(1, window_increment=1_000))
        client.read_until(lambda each: False, timeout=0.3)
        self.assertEqual(len(body_of(client)), 1_000)
        client.send(WindowUpdateFrame(1, window_increment=1))
        client.read_until(lambda each: len(body_of(client)) > 1_000)
        self.assertEqual(len(body_of(client)), 1_001)

    def test_of_the_proxy_are_not_to_be_exceeded(self):
        """Section 6.9.1. The client does not wait for them to be opened again."""
        client = self.raw_client()
        client.send(HeadersFrame(1, client.block(request_fields(path="/slow")), flags=["END_HEADERS"]))
        client.send(*[DataFrame(1, bytes(16_384)) for _ in range(400)])
        client.read_until(
            lambda each: isinstance(each, (GoAwayFrame, RstStreamFrame)) and each.error_code == FLOW_CONTROL_ERROR, timeout=5)
        codes = [each.error_code for each in client.frames if isinstance(each, (GoAwayFrame, RstStreamFrame))]
        self.assertIn(FLOW_CONTROL_ERROR, codes)


class ClosedWindows(HostileCase):
    """CVE-2019-9517: clients that ask for large responses, and take nothing of them."""

    flags = {"body_gap_timeout": "1s"}
    # A replay is in memory until its client has taken it, or has taken nothing for `--body-gap-timeout`.
    streams = 200
    most_memory = streams * 3 * MEBIBYTE // 2

    def test_bound_memory_in_time(self):
        """`tearDown` looks at memory."""
        key = new_key()
        self.assertEqual(self.client().ask(request_fields(key, path="/large")).status, 200)
        clients = [self.raw_client(settings={INITIAL_WINDOW_SIZE: 0}) for _ in range(self.streams // 100)]
        for client in clients:
            for stream in range(1, 200, 2):
                block = client.block(request_fields(key, path="/large"))
                client.send(HeadersFrame(stream, block, flags=ENDS))
            client.read_until(lambda each: isinstance(each, HeadersFrame) and each.stream_id == 199)
        for client in clients:
            codes = {client.reset(stream) for stream in range(1, 200, 2)}
            self.assertNotIn(None, codes, "the proxy waits for good")

