"""What is measured: each function starts servers, runs its cases in alternating rounds, and leaves samples behind."""

import json
import math
import subprocess
import threading
import time
from urllib.parse import urlencode

from load import BODY, Case, Client
from processes import Failure, run_group
from report import MEMORY_RECORDS
from servers import count_at_hummingbird, count_at_nginx


def fewer(rounds):
    """The number of rounds of cases that the budget does not name."""
    return (rounds + 1) // 2


def hummingbird(servers, results, rounds, seconds):
    """The bare route, and the same handler behind each store."""
    redis = servers.redis()
    redis.command("SET", "benchmark", "x" * 250)
    postgres = servers.postgres()
    postgres.query(
        "CREATE TABLE benchmark (key text PRIMARY KEY, value text); "
        "INSERT INTO benchmark VALUES ('benchmark', repeat('x', 250))")
    in_memory = servers.hummingbird("memory")
    in_sqlite = servers.hummingbird(f"sqlite:{servers.file('hummingbird.sqlite')}")
    in_redis = servers.hummingbird(redis.url)
    in_postgres = servers.hummingbird(postgres.url)

    def case(name, server, kind="none", path="/orders", database=None):
        return Case(name, server, path, kind, count_at_hummingbird(server), database, prefix=f"{name}-".replace(" ", "-"))

    cases = []
    for store, server, bare, bare_path, database in [
        ("memory", in_memory, "bare", "/bare/orders", None),
        ("sqlite", in_sqlite, "bare", "/bare/orders", None),
        ("redis", in_redis, "bare with GET", "/get/orders", redis),
        ("postgres", in_postgres, "bare with SELECT", "/select/orders", postgres),
    ]:
        for kind in ("first", "replay"):
            # Each next to a sample of the bare route on the same server: the machine is not equally fast all the time.
            cases += [
                case(f"{bare} by {store} {kind}", server, path=bare_path, database=database),
                case(f"{store} {kind}", server, kind, database=database),
            ]
    results.alternate("hummingbird", cases, rounds, seconds)
    servers.stop_all()


def fastapi(servers, results, rounds, seconds):
    """The older idemptx, and next to it this one, over the same Redis server."""
    redis = servers.redis()
    older, ours = servers.fastapi(redis.port), servers.hummingbird(redis.url)

    def case(name, path, kind="none", database=None, server=older):
        return Case(name, server, path, kind, count_at_hummingbird(server), database, prefix=f"{name}-".replace(" ", "-"))

    results.alternate("fastapi", [
        case("bare", "/bare/orders"),
        case("memory first", "/memory/orders", "first"),
        case("memory replay", "/memory/orders", "replay"),
    ], fewer(rounds), seconds)
    # Requests per second depend on what else the machine does more than processor time: more rounds.
    results.alternate("fastapi", [
        case("redis first", "/redis/orders", "first", redis),
        case("hummingbird redis first", "/orders", "first", redis, ours),
        case("redis replay", "/redis/orders", "replay", redis),
        case("hummingbird redis replay", "/orders", "replay", redis, ours),
    ], 2 * rounds, seconds)
    servers.stop_all()


def proxy(servers, results, rounds, seconds):
    """nginx and `idemptx proxy` in front of the cheapest upstream, and in front of a Hummingbird route."""
    constant = servers.nginx_constant()
    proxies_of(servers, results, rounds, seconds, "proxy of a constant", constant, "/orders", count_at_nginx(constant))
    servers.stop_all()
    orders = servers.hummingbird("memory")
    proxies_of(
        servers, results, rounds, seconds, "proxy of a route", orders, "/bare/orders", count_at_hummingbird(orders))
    servers.stop_all()


def proxies_of(servers, results, rounds, seconds, group, upstream, path, executions):
    redis = servers.redis()
    nginx = servers.nginx_proxy(upstream.port)
    in_memory = servers.proxy(upstream.port, "memory")
    in_sqlite = servers.proxy(upstream.port, f"sqlite:{servers.file(group.replace(' ', '-'))}.sqlite")
    in_redis = servers.proxy(upstream.port, redis.url)

    def case(name, server, kind="none", database=None):
        return Case(name, server, path, kind, executions, database, prefix=f"{name}-".replace(" ", "-"))

    def by_nginx(name, *arguments):
        """A case, and nginx before it."""
        return [case(f"nginx by {name}", nginx), case(name, *arguments)]

    results.alternate(group, [
        *by_nginx("unguarded", in_memory),
        *by_nginx("memory first", in_memory, "first"),
        *by_nginx("memory replay", in_memory, "replay"),
    ], rounds, seconds)
    # The budget does not name these.
    results.alternate(group, [
        case("direct", upstream),
        *by_nginx("sqlite first", in_sqlite, "first"),
        *by_nginx("sqlite replay", in_sqlite, "replay"),
        *by_nginx("redis first", in_redis, "first", redis),
        *by_nginx("redis replay", in_redis, "replay", redis),
    ], fewer(rounds), seconds)


def wake_up(servers, progress, count=100):
    """From the end of an operation in one process to the response of a waiter in another, in milliseconds.

    The operation's end is written into its response, by the system's monotonic clock, which both processes share; so the
    time to store the outcome is part of it."""
    redis = servers.redis()
    runner, waiter = servers.hummingbird(redis.url), servers.hummingbird(redis.url)
    path = "/slow/orders?" + urlencode({"milliseconds": 100})
    milliseconds = []
    for number in range(count):
        progress(f"wake-up: {number + 1} of {count}")
        replies = {}

        def ask(server, key=f"wake-{number}"):
            with Client(server.port) as client:
                status, body = client.send("POST", path, BODY, key=key)
                received = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
                replies[server] = (status, body, received, client.replayed)

        threads = [threading.Thread(target=ask, args=[server]) for server in (runner, waiter)]
        threads[0].start()
        time.sleep(0.03)
        threads[1].start()
        for thread in threads:
            thread.join()
        status, first, _, is_replay = replies[runner]
        waiter_status, second, received, is_waiters_replay = replies[waiter]
        if status != 200 or waiter_status != 200 or first != second:
            raise Failure(f"wake-up: statuses {status} and {waiter_status}, {first!r} and {second!r}")
        if is_replay or not is_waiters_replay:
            # The request that was sent first arrived second.
            continue
        ended = int(first.split(b":")[1].rstrip(b"}"))
        milliseconds.append((received - ended) / 1e6)
    servers.stop_all()
    if len(milliseconds) < count / 2:
        raise Failure(f"wake-up: of {count} requests, {len(milliseconds)} waited")
    return milliseconds


def memory(servers, progress):
    """Bytes per record: of a process with a `MemoryStore`, and of Redis."""
    records, redis_records = MEMORY_RECORDS["MemoryStore"], MEMORY_RECORDS["Redis"]
    progress(f"memory: {records} records in memory")
    in_memory = servers.hummingbird("memory")
    fill(in_memory, 1000)
    before = in_memory.resident_bytes()
    fill(in_memory, records)
    per_record = (in_memory.resident_bytes() - before) / records
    servers.stop_all()

    progress(f"memory: {redis_records} records in Redis")
    redis = servers.redis()
    in_redis = servers.hummingbird(redis.url)
    fill(in_redis, 1000)
    before = redis.used_memory()
    fill(in_redis, redis_records)
    per_redis_record = (redis.used_memory() - before) / redis_records
    servers.stop_all()
    return {"MemoryStore": per_record, "Redis": per_redis_record}


def fill(server, records):
    with Client(server.port) as client:
        client.socket.settimeout(3600)
        status, body = client.send("POST", f"/fill?records={records}")
    if status != 204:
        raise Failure(f"{records} records could not be added: status {status} {body[:200]}")


def micro(package, swift, rounds, progress):
    """The micro benchmarks, in nanoseconds: the fastest sample of each in all rounds.

    What shares a core with the benchmark makes ordinary code up to twice as slow for seconds at a time, and SHA-256, which
    the processor computes by itself, hardly at all: a median would say how busy the neighbours are."""
    fastest = {}
    for number in range(rounds):
        progress(f"micro: round {number + 1} of {rounds}")
        output = run_group(
            [swift, "package", "--package-path", package, "benchmark", "--target", "MicroBenchmarks", "--format",
             "jmh", "--path", "stdout", "--no-progress", "--quiet"])
        # The tool writes notes of its own before its result.
        start = output.stdout.find('[{"')
        if output.returncode != 0 or start < 0:
            raise Failure(f"the micro benchmarks failed: {output.stderr[-2000:]}{output.stdout[-2000:]}")
        for element in json.JSONDecoder().raw_decode(output.stdout[start:])[0]:
            name = element["benchmark"].rsplit(".", 1)[-1].replace("_", " ")
            # Microseconds per thousand, so nanoseconds each.
            time = element["secondaryMetrics"]["Time (wall clock)"]
            fastest[name] = min(fastest.get(name, math.inf), time["scorePercentiles"]["0.0"])
    return fastest
