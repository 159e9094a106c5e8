"""Clients of HTTP/2 that send much that brings nothing (RFC 9113, section 10.5): the connection ends, and memory is bounded."""

import time

from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame, PingFrame, RstStreamFrame, SettingsFrame

from harness.hostile import HostileCase, new_key
from harness.http2 import request_fields

CANCEL = 8
ENDS = ["END_HEADERS", "END_STREAM"]
# So many resets in 30 s end the connection; a few more may be under way.
MOST_RESETS = 500


class Floods(HostileCase):
    def flood(self, client, chunks):
        """Sends until the connection does not take it any more, or all is sent: then it has to end."""
        for chunk in chunks:
            if not client.send(*chunk):
                return
        client.read_until(lambda frame: False, timeout=5)
        self.assertTrue(client.is_closed, "the connection took all of it, and goes on")

    def resets(self, client, key=None, count=20_000):
        for number in range(1, 2 * count, 2):
            fields = request_fields(key or new_key())
            yield [HeadersFrame(number, client.block(fields), flags=ENDS), RstStreamFrame(number, CANCEL)]

    def test_of_streams_that_are_reset_at_once_run_what_was_begun_once(self):
        """CVE-2023-44487."""
        before = len(self.upstream.requests)
        client = self.raw_client()
        self.flood(client, self.resets(client))
        self.assertLess(len(self.upstream.requests) - before, MOST_RESETS)

    def test_of_streams_with_one_key_run_it_once(self):
        client, key = self.raw_client(), new_key()
        self.flood(client, self.resets(client, key))
        self.check_replayed(key)

    def test_of_streams_that_the_proxy_has_to_reset(self):
        """CVE-2025-8671: the client makes the server reset its streams, by lengths that are false."""
        before = len(self.upstream.requests)
        client = self.raw_client()

        def chunks():
            for number in range(1, 40_000, 2):
                fields = request_fields(new_key(), more=[("content-length", "1")])
                yield [HeadersFrame(number, client.block(fields), flags=["END_HEADERS"]),
                       DataFrame(number, b"too much", flags=["END_STREAM"])]

        self.flood(client, chunks())
        self.assertEqual(len(self.upstream.requests), before)

    def test_of_continuations(self):
        """CVE-2024-27316, and others."""
        for size in (0, 1, 16_384):
            with self.subTest(f"of {size} bytes"):
                client = self.raw_client()
                start = HeadersFrame(1, client.block(request_fields(new_key())), flags=["END_STREAM"])
                # Fields without indexing: they would fill memory, not the table.
                content = b"\x00\x01x\x7f\x81\x7e"[:size].ljust(size, b"x")
                client.send(start)
                self.flood(client, ([ContinuationFrame(1, content)] for _ in range(5_000)))

    def test_of_settings_of_which_none_is_acknowledged(self):
        """CVE-2019-9515. The client does not read either."""
        client = self.raw_client()
        changes = [SettingsFrame(0, settings={4: 65_535 + number % 2}) for number in range(100)]
        self.flood(client, ([*changes] for _ in range(2_000)))

    def test_of_pings_whose_replies_nobody_reads(self):
        """CVE-2019-9512."""
        client = self.raw_client()
        pings = [PingFrame(0, b"whatever")] * 100
        self.flood(client, ([*pings] for _ in range(2_000)))

    def test_of_a_field_that_is_named_thousands_of_times(self):
        """CVE-2016-6581: a few bytes that are megabytes when HPACK has been undone."""
        client = self.raw_client()
        key = new_key()
        bomb = [("x-bomb", "x" * 3_000)]
        block = client.block(request_fields(key)) + client.block(bomb)
        block += client.block(bomb) * 15_000
        client.send(HeadersFrame(1, block[:16_384], flags=ENDS))
        response = client.read_until(lambda frame: frame.stream_id == 1)
        if response:
            self.assertIn(client.decoder.decode(response.data)[0][1], ["431", "400"])
        else:
            self.assertTrue(client.is_closed)
        self.assertEqual(self.upstream.executions(key), 0)

    def test_of_fields_is_refused_without_having_run(self):
        """Section 10.5.1: 64 KiB are announced, and 256 fields may come."""
        for name, more in [("size", [("x-large", "x" * 70_000)]), ("count", [(f"x-{n}", "1") for n in range(300)])]:
            with self.subTest(name):
                client, key = self.client(), new_key()
                client.h2.max_outbound_frame_size = 16_384
                stream = client.ask(request_fields(key, more=more), b"{}")
                self.assertTrue(stream.status == 431 or client.is_closed, stream)
                self.assertEqual(self.upstream.executions(key), 0)

    def test_of_tables_whose_size_changes_all_the_time(self):
        """RFC 7541, section 4.2: at most two changes at the start of a block mean anything."""
        client, key = self.raw_client(), new_key()
        block = b"\x20" * 10_000 + client.block(request_fields(key))
        started = time.monotonic()
        client.send(HeadersFrame(1, block, flags=ENDS))
        client.read_until(lambda frame: frame.stream_id == 1)
        self.assertLess(time.monotonic() - started, 5)
