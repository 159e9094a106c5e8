"""The same requests to idemkit's own middleware and to the proxy: what each does with them is compared.

What idemkit does is seen from the installed package. A scenario with a difference says what both do, and why, so that a
change of either fails."""

import json
import logging
import unittest
from dataclasses import dataclass, field

from harness.peers import IdemkitPeer, ProxyPeer


@dataclass
class Difference:
    idemkit: list
    proxy: list
    reason: str


@dataclass
class Scenario:
    """Requests to a peer; `run` returns what became of them."""

    run: object
    idemkit: dict = field(default_factory=dict)
    proxy: dict = field(default_factory=dict)
    difference: Difference = None


def twice(key="k", other=None, **request):
    """A request and its retry, which differs as `other` says."""
    return lambda peer: [peer.send(key=key, **request), peer.send(**{"key": key, **request, **(other or {})})]


def responding(status=201, fields=(), size=None, **more):
    """A request and its retry; the operation responds so."""
    orders = [("X-Test-Status", str(status)), ("X-Test-Fields", json.dumps(fields))]
    orders += [("X-Test-Size", str(size))] if size else []
    return twice(fields=orders, **more)


NOTHING_IS_PROVED = (
    "A status of 400 or more does not prove that nothing was done. The proxy keeps all of them but those that say so; "
    "`--replay-policy` and the lists of statuses say otherwise.")
WHOLE_TARGET = (
    "idemkit makes the path a part of the key. With the proxy it is a part of the request, so that a key that is used for two "
    "operations is an error and not a second operation.")
FOLLOWS_THE_DRAFT = "The draft asks for 409, which is what the proxy says; idemkit says 423."
AS_SENT = "The proxy compares the target as the client sent it: an upstream may tell the two apart."
SAFE_SIDE = "The draft recommends to validate keys; the proxy runs nothing under a key that it cannot read."

SCENARIOS = {
    # What idemkit's own list of scenarios for HTTP has.
    "a retry is replayed": Scenario(twice()),
    "another payload is refused": Scenario(twice(other={"body": b'{"name": "y"}'})),
    "fifty at once run once, and get the same response": Scenario(
        lambda peer: [peer.send_together(50, key="k", fields=[("X-Test-Delay", "0.3")])], proxy={"wait_timeout": "10s"}),
    "a retry beside the first waits for its response": Scenario(
        lambda peer: [peer.send_beside(0.4, key="k")], proxy={"wait_timeout": "10s"}),
    "a retry beside the first is refused when it has waited": Scenario(
        lambda peer: [peer.send_beside(1, key="k")], {"wait_timeout_seconds": 0.2}, {"wait_timeout": "200ms"},
        Difference(["423 refused"], ["409 refused"], FOLLOWS_THE_DRAFT)),
    "a server error": Scenario(
        responding(500), difference=Difference(["500 ran", "500 ran"], ["500 ran", "500 replayed"], NOTHING_IS_PROVED)),
    "a server error, if the policy says that nothing was done": Scenario(
        responding(500), proxy={"replay_policy": "retry-server-errors"}),
    "callers do not share keys": Scenario(
        twice(fields=[("X-Tenant", "a")], other={"fields": [("X-Tenant", "b")]}),
        {"scope": lambda request: request.headers["x-tenant"]}, {"scope_header": "X-Tenant"}),
    "a key is missing where it is required": Scenario(
        lambda peer: [peer.send()], {"require_key_for_mutations": True}, {"require_key": True}),
    "a replay has the header fields of the response, but cookies": Scenario(
        responding(
            fields=[["Location", "/orders/1"], ["ETag", '"v1"'], ["Set-Cookie", "a=b"]],
            shows=("location", "etag", "set-cookie"))),
    "a response that is too large to keep": Scenario(
        responding(size=2048), {"max_body_bytes": 1024}, {"max_response_body": "1KiB"},
        Difference(
            ["201 ran", "201 ran"], ["201 ran", "409 refused"],
            "The operation is done. The proxy remembers that, and does not run it again.")),
    # What its documentation says besides.
    "no key where none is required": Scenario(lambda peer: [peer.send(), peer.send()]),
    "a method that is not guarded": Scenario(twice(method="PUT")),
    "PATCH is guarded": Scenario(twice(method="PATCH")),
    "a quoted key is the same as a bare one": Scenario(twice(key='"k"', other={"key": "k"})),
    "an escaped quote in a key": Scenario(twice(key='"k\\"k"')),
    "case counts in keys": Scenario(twice(key="k", other={"key": "K"})),
    "a key of 255 characters": Scenario(twice(key="k" * 255)),
    "a key of 256 characters": Scenario(twice(key="k" * 256)),
    "an empty key": Scenario(
        twice(key=""), difference=Difference(["201 ran", "201 ran"], ["400 refused", "400 refused"], SAFE_SIDE)),
    "a key that is no structured field": Scenario(
        twice(key='"k'), difference=Difference(["201 ran", "201 replayed"], ["400 refused", "400 refused"], SAFE_SIDE)),
    "a key with a space, without quotes": Scenario(
        twice(key="a b"), difference=Difference(["201 ran", "201 replayed"], ["400 refused", "400 refused"], SAFE_SIDE)),
    "two lines with a key": Scenario(
        twice(key=["a", "b"]),
        difference=Difference(
            ["201 ran", "201 replayed"], ["400 refused", "400 refused"],
            "idemkit takes the last of them. Another reader could take the first, so the proxy takes none.")),
    "a key with a parameter": Scenario(
        twice(key='"k";v=1', other={"key": '"k"'}),
        difference=Difference(
            ["201 ran", "201 ran"], ["201 ran", "201 replayed"],
            "Parameters do not belong to the value of a structured field (RFC 9651, section 4.2).")),
    "another path": Scenario(
        twice(other={"target": "/refunds"}),
        difference=Difference(["201 ran", "201 ran"], ["201 ran", "422 refused"], WHOLE_TARGET)),
    "another method": Scenario(
        twice(other={"method": "PATCH"}),
        difference=Difference(["201 ran", "201 ran"], ["201 ran", "422 refused"], WHOLE_TARGET)),
    "a slash at the end of the path": Scenario(
        twice(other={"target": "/orders/"}),
        difference=Difference(["201 ran", "201 replayed"], ["201 ran", "422 refused"], AS_SENT)),
    "another query": Scenario(twice(target="/orders?a=1", other={"target": "/orders?a=2"})),
    "the order of the query": Scenario(
        twice(target="/orders?a=1&b=2", other={"target": "/orders?b=2&a=1"}),
        difference=Difference(["201 ran", "201 replayed"], ["201 ran", "422 refused"], AS_SENT)),
    "the order of members in JSON": Scenario(twice(body=b'{"a": 1, "b": 2}', other={"body": b'{"b":2,"a":1}'})),
    "the order of elements in JSON": Scenario(twice(body=b"[1, 2]", other={"body": b"[2, 1]"})),
    "a number with a fraction of zero": Scenario(twice(body=b'{"a": 1}', other={"body": b'{"a": 1.0}'})),
    "a large number that a double cannot hold": Scenario(
        twice(body=b"[12345678901234567890.1]", other={"body": b"[12345678901234567890.2]"}),
        difference=Difference(
            ["201 ran", "201 replayed"], ["201 ran", "422 refused"],
            "idemkit reads numbers with a fraction as doubles, which are the same here. The proxy compares numbers as they "
            "are written.")),
    "a member that comes twice": Scenario(
        twice(body=b'{"a": 1, "a": 2}', other={"body": b'{"a": 2}'}),
        difference=Difference(
            ["201 ran", "201 replayed"], ["201 ran", "422 refused"],
            "idemkit takes the last of them, the upstream perhaps the first. The proxy does not choose.")),
    "JSON that is none": Scenario(twice(body=b'{"a', other={"body": b'{"b'})),
    "the order of a form": Scenario(
        twice(
            body=b"a=1&b=2", media_type="application/x-www-form-urlencoded",
            other={"body": b"b=2&a=1", "media_type": "application/x-www-form-urlencoded"})),
    "another media type": Scenario(
        twice(body=b"[1]", other={"media_type": "text/plain"}),
        difference=Difference(
            ["201 ran", "201 replayed"], ["201 ran", "422 refused"],
            "The same bytes mean something else as another media type.")),
    "a field that differs in a retry": Scenario(twice(fields=[("X-Trace", "1")], other={"fields": [("X-Trace", "2")]})),
    "a header field that comes twice in a response": Scenario(
        responding(fields=[["Link", "</a>"], ["Link", "</b>"]], shows=("link",)),
        difference=Difference(
            ["201 ran link=</a> link=</b>", "201 replayed link=</b>"],
            ["201 ran link=</a> link=</b>", "201 replayed link=</a> link=</b>"],
            "idemkit keeps header fields in a dictionary; a replay by the proxy has all of them, in their order.")),
    "a header field of the application's own": Scenario(
        responding(fields=[["X-Order", "1"]], shows=("x-order",)),
        difference=Difference(
            ["201 ran x-order=1", "201 replayed"], ["201 ran x-order=1", "201 replayed x-order=1"],
            "idemkit keeps the fields of a list; the proxy keeps all but those of a list, or those of `--keep-headers`.")),
    "a body that is too large to compare": Scenario(
        twice(body=b"[" + b" " * 2048 + b"1]"), {"max_request_body_bytes": 1024}, {"max_request_body": "1KiB"},
        Difference(
            ["201 ran", "201 ran"], ["413 refused", "413 refused"],
            "idemkit runs such requests without protection. The proxy does not run what it cannot protect.")),
}
for status in (200, 202):
    SCENARIOS[f"the status {status} is kept"] = Scenario(responding(status))
for status in (204, 302, 400, 404, 409, 422, 502):
    SCENARIOS[f"the status {status}"] = Scenario(
        responding(status),
        difference=Difference(
            [f"{status} ran", f"{status} ran"], [f"{status} ran", f"{status} replayed"],
            NOTHING_IS_PROVED if status >= 400 else "The operation is done; idemkit keeps 200, 201 and 202 only."))
for status in (401, 429):
    SCENARIOS[f"the status {status} frees the key"] = Scenario(responding(status))


class IdemkitScenarios(unittest.TestCase):
    def setUp(self):
        self.proxies = {}
        # idemkit warns of what is meant here.
        logging.disable()
        self.addCleanup(logging.disable, logging.NOTSET)

    def test_have_the_same_result_but_for_the_known_differences(self):
        for name, scenario in SCENARIOS.items():
            with self.subTest(name):
                self.check(name, scenario)
        differences = sum(1 for scenario in SCENARIOS.values() if scenario.difference)
        print(f"{len(SCENARIOS) - differences} scenarios with the same result, {differences} with a known difference")

    def check(self, name, scenario):
        idemkit = self.ask_idemkit(scenario)
        proxy = self.ask_proxy(name, scenario)
        if scenario.difference is None:
            self.assertEqual(proxy, idemkit)
        else:
            self.assertEqual(idemkit, scenario.difference.idemkit, "idemkit has changed")
            self.assertEqual(proxy, scenario.difference.proxy, scenario.difference.reason)

    def ask_idemkit(self, scenario):
        peer = IdemkitPeer(**scenario.idemkit)
        try:
            return scenario.run(peer)
        finally:
            peer.close()

    def ask_proxy(self, name, scenario):
        """Scenarios with the same settings share a proxy; each is a caller of its own."""
        settings = tuple(scenario.proxy.items())
        if settings not in self.proxies:
            self.proxies[settings] = ProxyPeer(**scenario.proxy)
            self.addCleanup(self.proxies[settings].close)
        self.proxies[settings].caller = name
        return scenario.run(self.proxies[settings])
