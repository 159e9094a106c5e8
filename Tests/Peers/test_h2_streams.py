"""Streams of HTTP/2 that begin and end in odd ways (RFC 9113, section 5.1)."""

import socket
import time

from hyperframe.frame import GoAwayFrame

from harness.hostile import HostileCase, new_key
from harness.http2 import request_fields

REFUSED_STREAM = 7
LIMIT = 100


class Streams(HostileCase):
    def wait_for_execution(self, key):
        deadline = time.monotonic() + 10
        while not self.upstream.executions(key):
            self.assertLess(time.monotonic(), deadline, "it did not run")
            time.sleep(0.01)

    def test_beyond_the_limit_are_refused_alone_and_may_be_tried_again(self):
        """Section 5.1.2."""
        client = self.client()
        client.read_for(0.2)
        client.h2.remote_settings[3] = 1_000
        client.h2.remote_settings.acknowledge()
        keys = [new_key() for _ in range(LIMIT + 50)]
        streams = [client.start(request_fields(key, path="/slow")) for key in keys]
        client.read_until(lambda: sum(client.streams[each].reset is not None for each in streams) >= 50)
        refused = [each for each in streams if client.streams[each].reset == REFUSED_STREAM]
        self.assertEqual(refused, streams[LIMIT:])
        self.gate.set()
        client.read_until(lambda: all(client.streams[each].is_over for each in streams))
        self.assertEqual({client.streams[each].status for each in streams[:LIMIT]}, {201})
        self.assertTrue(all(self.upstream.executions(key) == 0 for key in keys[LIMIT:]), "a refused stream ran")
        self.assertEqual(client.ask(request_fields(keys[-1])).status, 201)

    def test_that_are_reset_while_the_operation_runs_do_not_end_it(self):
        client, key = self.client(), new_key()
        stream = client.start(request_fields(key, path="/slow"))
        self.wait_for_execution(key)
        client.h2.reset_stream(stream)
        client.flush()
        self.gate.set()
        self.check_replayed(key, path="/slow")

    def test_of_a_client_that_leaves_do_not_end_the_operation(self):
        """With GOAWAY, with the end of its side, and without a word."""
        def say_go_away(client):
            client.socket.sendall(GoAwayFrame(0).serialize())

        leaves = {
            "GOAWAY and the end": lambda client: (say_go_away(client), client.socket.close()),
            "the end of its side": lambda client: client.socket.shutdown(socket.SHUT_WR),
            "the end": lambda client: client.socket.close(),
        }
        for name, leave in leaves.items():
            with self.subTest(name):
                self.gate.clear()
                client, key = self.client(), new_key()
                client.start(request_fields(key, path="/slow"))
                self.wait_for_execution(key)
                leave(client)
                self.gate.set()
                self.check_replayed(key, path="/slow")

    def test_that_are_open_when_the_client_says_goaway_get_their_response(self):
        """Section 6.8."""
        client, key = self.client(), new_key()
        stream = client.start(request_fields(key, path="/slow"))
        self.wait_for_execution(key)
        client.socket.sendall(GoAwayFrame(0).serialize())
        self.gate.set()
        client.read_until(lambda: client.streams[stream].is_over or client.is_closed)
        self.assertEqual(client.streams[stream].status, 201)

    def test_that_stay_half_open_hold_nobody_up(self):
        """Bodies that do not end: nothing of them runs."""
        client = self.client()
        keys = [new_key() for _ in range(LIMIT)]
        for key in keys:
            stream = client.begin(request_fields(key))
            client.h2.send_data(stream, b"{")
            client.flush()
        self.assertEqual(self.ask(self.client()).status, 201)
        client.socket.close()
        self.assertTrue(all(self.upstream.executions(key) == 0 for key in keys))

    def test_with_the_same_key_at_once_run_it_once(self):
        client, key = self.client(), new_key()
        streams = [client.start(request_fields(key, path="/slow")) for _ in range(LIMIT)]
        client.read_until(lambda: sum(client.streams[each].is_over for each in streams) == LIMIT - 1)
        self.gate.set()
        client.read_until(lambda: all(client.streams[each].is_over for each in streams))
        self.assertEqual(sorted(client.streams[each].status for each in streams), [201] + [409] * (LIMIT - 1))
