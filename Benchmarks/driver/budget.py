"""The cost budget: what each row compares, its goal, and whether it is met."""

import statistics
from dataclasses import dataclass


@dataclass
class Figure:
    """One figure of a row."""

    name: str
    # One for each round.
    values: list
    goal: float
    unit: str
    # Whether more is better.
    at_least: bool = False

    @property
    def value(self):
        return statistics.median(self.values)

    @property
    def is_met(self):
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    @property
    def verdict(self):
        if self.is_met:
            return "met"
        factor = self.goal / self.value if self.at_least else self.value / self.goal
        return f"not met, by a factor of {factor:.1f}"

    @property
    def spread(self):
        """The median, and minimum to maximum if there is more than one."""
        if len(self.values) == 1:
            return self.text(self.value)
        return f"{self.text(self.value)} ({min(self.values):.2f}–{max(self.values):.2f})"

    def text(self, number):
        return f"{number:.2f} {self.unit}".rstrip() if number < 100 else f"{number:.0f} {self.unit}".rstrip()

    @property
    def goal_text(self):
        return f"{'≥' if self.at_least else '≤'} {self.goal:g} {self.unit}".rstrip()


@dataclass
class Row:
    key: str
    title: str
    figures: list


def budget(results, wake_ups, micro):
    """All rows, in the order of the design."""
    ratios, values = results.ratios, results.values

    def of_route(store, bare, goals):
        return [
            Figure(kind, ratios(f"hummingbird/{store} {kind}", f"hummingbird/{bare} by {store} {kind}"), goal, "×")
            for kind, goal in zip(["first", "replay"], goals)
        ]

    def of_proxy(name, upstream, goal):
        return Figure(name, ratios(f"proxy of a {upstream}/{name}", f"proxy of a {upstream}/nginx by {name}"), goal, "×")

    def against_fastapi(kind):
        ours = f"fastapi/hummingbird redis {kind}"
        return Figure(kind, ratios(ours, f"fastapi/redis {kind}", "requests_per_second"), 10, "×", at_least=True)

    return [
        Row("memory", "memory, against the bare route", of_route("memory", "bare", [1.25, 0.9])),
        Row("sqlite", "SQLite, against the bare route", of_route("sqlite", "bare", [2.0, 1.0])),
        Row("redis", "Redis, against the bare route with one GET", of_route("redis", "bare with GET", [1.5, 1.0])),
        Row("redis_server", "Redis server's time per request", [
            Figure(kind, values(f"hummingbird/redis {kind}", "database_cpu"), goal, "µs")
            for kind, goal in [("first", 15), ("replay", 5)]
        ]),
        Row("postgres", "PostgreSQL, against the bare route with one SELECT",
            of_route("postgres", "bare with SELECT", [1.6, 1.1])),
        Row("fastapi", "requests per second against FastAPI + idemptx, same Redis", [
            against_fastapi("first"), against_fastapi("replay")]),
        Row("proxy_forwarded", "proxy, forwarded, against nginx, same cheap upstream", [
            of_proxy("unguarded", "constant", 1.5)]),
        Row("proxy_guarded", "proxy, guarded on memory, against nginx forwarding to a Hummingbird route", [
            of_proxy("memory first", "route", 2.5), of_proxy("memory replay", "route", 1.5)]),
        Row("wake_up", "cross-process wake-up, median", [Figure("median", wake_ups, 5, "ms")]),
        Row("fingerprint", "fingerprint of 1 KiB of JSON, against its SHA-256", [
            Figure("ratio", [micro["fingerprint json 1024 B"] / micro["sha256 json 1024 B"]], 4, "×")]),
    ]
