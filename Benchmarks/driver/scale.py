"""How the cost of a request grows: `make bench-scale`. Each function measures one curve."""

import http.client
import resource
import statistics
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlencode

import load
from load import BODY, Case, Client, prepare
from processes import Failure
from servers import count_at_hummingbird
from suites import fill

SECONDS = 1
ROUNDS = 3


def curves():
    return {
        "connections": connections, "busy handler": busy_handler, "keys in memory": keys_in_memory,
        "keys in SQLite": keys_in_sqlite, "keys in Redis": keys_in_redis, "body size": body_size,
        "hit rate": hit_rate, "waiters": waiters, "leases": leases, "proxy's memory": proxy_memory,
    }


def measure(servers, progress, only):
    """All curves, or the one named `only`: lists of points."""
    measured = {}
    for name, curve in curves().items():
        if only in ("", name):
            measured[name] = curve(servers, lambda text, name=name: progress(f"{name}: {text}"))
            servers.stop_all()
    if not measured:
        raise Failure(f"there is no curve named {only}; there are {', '.join(curves())}")
    return measured


def cost(server, kind, path, progress, attribute="cpu", **options):
    """Processor time per request, in microseconds: the median of some rounds."""
    name = " ".join([path, kind, *(f"{key} {value}" for key, value in options.items() if key != "database")])
    progress(name)
    prefix = f"{time.monotonic_ns()}-"
    case = Case(name, server, path, kind, count_at_hummingbird(server), prefix=prefix, **options)
    prepare(case)
    load.run(case, 1, "warm-up")
    samples = [load.run(case, SECONDS, f"round-{number}") for number in range(ROUNDS)]
    return round(statistics.median(getattr(sample, attribute) for sample in samples), 1)


def connections(servers, progress):
    server = servers.hummingbird("memory")
    return [
        {
            "connections": count,
            "bare": cost(server, "none", "/bare/orders", progress, connections=count),
            "first": cost(server, "first", "/orders", progress, connections=count),
            "replay": cost(server, "replay", "/orders", progress, connections=count),
        } for count in (1, 8, 64, 256, 512)
    ]


def busy_handler(servers, progress):
    """What it costs that a handler keeps its thread busy for some more time, without Idemptx."""
    server = servers.hummingbird("memory")
    points = []
    for duration in (0, 5, 10, 20, 40, 80):
        path = "/busy/orders?" + urlencode({"microseconds": duration})
        points.append({"microseconds": duration, "bare": cost(server, "none", path, progress)})
    return points


def keys(server, counts, progress):
    """Records are added through the store's own calls, without HTTP."""
    points, filled = [], 0
    for count in counts:
        progress(f"{count} keys")
        before = server.cpu_seconds()
        fill(server, count - filled)
        added = (server.cpu_seconds() - before) / (count - filled) * 1e6
        filled = count
        points.append({
            "keys": count, "adding one": round(added, 1), "first": cost(server, "first", "/orders", progress),
            "replay": cost(server, "replay", "/orders", progress),
            "MB of the process": round(server.resident_bytes() / 1e6),
        })
    return points


def keys_in_memory(servers, progress):
    return keys(servers.hummingbird("memory"), [10**3, 10**4, 10**5, 10**6, 10**7], progress)


def keys_in_sqlite(servers, progress):
    return keys(servers.hummingbird(f"sqlite:{servers.file('scale.sqlite')}"), [10**3, 10**4, 10**5, 10**6], progress)


def keys_in_redis(servers, progress):
    """Other keys in the same Redis: values of the size of a small record, made by the server itself."""
    redis = servers.redis()
    server = servers.hummingbird(redis.url)
    points = []
    for count in (10**3, 10**4, 10**5, 10**6, 10**7):
        progress(f"{count} keys")
        redis.command("DEBUG", "POPULATE", count, "filler", 300)
        first = cost(server, "first", "/orders", progress, database=redis)
        points.append({
            "keys": count, "first": first, "replay": cost(server, "replay", "/orders", progress, database=redis),
            "Redis server's first": cost(server, "first", "/orders", progress, attribute="database_cpu", database=redis),
            "MB of Redis": round(redis.used_memory() / 1e6),
        })
    return points


def body_size(servers, progress):
    """The body comes back as it is sent: both directions grow."""
    points = []
    for size in (0, 1 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20):
        # A process of its own: the bodies of the first runs stay in memory.
        server = servers.hummingbird("memory")
        points.append({
            "bytes": size,
            "bare": cost(server, "none", "/bare/echo", progress, body_size=size, connections=16),
            "first": cost(server, "first", "/echo", progress, body_size=size, connections=16),
            "replay": cost(server, "replay", "/echo", progress, body_size=size, connections=16),
        })
        servers.stop_all()
    return points


def hit_rate(servers, progress):
    server = servers.hummingbird("memory")
    return [
        {"percent": share, "cost": cost(server, "mixed", "/orders", progress, share=share)}
        for share in (0, 25, 50, 75, 90, 99)
    ]


def waiters(servers, progress):
    """Requests that wait for one key: processor time of each, and how long after the operation's end the last has its
    response."""
    server = servers.hummingbird("memory")
    points = []
    for count in (1, 10, 100, 300, 1000):
        progress(f"{count} waiters")
        path = "/slow/orders?" + urlencode({"milliseconds": 1500})
        clients = [Client(server.port) for _ in range(count + 1)]
        received = []

        def ask(client, key=f"waiters-{count}"):
            status, body = client.send("POST", path, BODY, key=key)
            received.append((time.clock_gettime_ns(time.CLOCK_MONOTONIC), status, body))

        before, executions = server.cpu_seconds(), count_at_hummingbird(server)()
        threads = [threading.Thread(target=ask, args=[client]) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for client in clients:
            client.socket.close()
        if len({body for _, _, body in received}) != 1 or {status for _, status, _ in received} != {200}:
            raise Failure(f"waiters: {count} of them do not have one response")
        if count_at_hummingbird(server)() != executions + 1:
            raise Failure("waiters: the operation ran more than once")
        ended = int(received[0][2].split(b":")[1].rstrip(b"}"))
        points.append({
            "waiters": count, "processor µs of each": round((server.cpu_seconds() - before) / (count + 1) * 1e6, 1),
            "ms until the last has its response": round((max(at for at, _, _ in received) - ended) / 1e6, 1),
        })
    return points


def leases(servers, progress):
    """Operations that run for long: what it costs to renew their leases of 3 s, each three times per lease."""
    points = []
    for count in (10, 100, 1000, 10_000):
        progress(f"{count} leases")
        server = servers.hummingbird("memory")
        with Client(server.port) as client:
            status, _ = client.send("POST", f"/leases?count={count}")
            if status != 204:
                raise Failure(f"leases: status {status}")
            time.sleep(3)
            before = server.cpu_seconds()
            time.sleep(10)
            used = server.cpu_seconds() - before
        points.append({
            "leases": count, "share of a core": round(used / 10, 4), "processor µs per renewal": round(used / (10 * count) * 1e6, 1)})
        servers.stop_all()
    return points


class LargeBodies(BaseHTTPRequestHandler):
    """Sends and takes large bodies."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    size = 500 * 10**6
    piece = bytes(10**6)

    def do_GET(self):
        size = int(self.path[1:])
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        for start in range(0, size, len(self.piece)):
            self.wfile.write(self.piece[:size - start])

    def do_PUT(self):
        size = int(self.headers["Content-Length"])
        while size:
            size -= len(self.rfile.read(min(size, len(self.piece))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def proxy_memory(servers, progress):
    """What the proxy needs while connections are idle, and at most while a large body passes through it either way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else max(soft, 10_000), hard))
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), LargeBodies)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()

    def point(name, use):
        progress(name)
        proxy = servers.proxy(upstream.server_port, "memory")
        result = {"": name, "MB of the proxy": round(use(proxy) / 1e6, 1)}
        servers.stop_all()
        return result

    def idle(proxy, count):
        clients = [Client(proxy.port) for _ in range(count)]
        for client in clients:
            if client.send("GET", "/60") != (200, LargeBodies.piece[:60]):
                raise Failure("proxy's memory: a response is not that of the upstream")
        resident = proxy.resident_bytes()
        for client in clients:
            client.socket.close()
        return resident

    def download(proxy):
        with Client(proxy.port) as client:
            client.socket.sendall(f"GET /{LargeBodies.size} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            response = http.client.HTTPResponse(client.socket)
            response.begin()
            most, received = 0, 0
            while received < LargeBodies.size:
                piece = response.read(10 * len(LargeBodies.piece))
                if not piece:
                    raise Failure("proxy's memory: the response ended early")
                received += len(piece)
                most = max(most, proxy.resident_bytes())
            return most

    def upload(proxy):
        with Client(proxy.port) as client:
            head = f"PUT / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {LargeBodies.size}\r\n\r\n"
            client.socket.sendall(head.encode())
            most = 0
            for _ in range(LargeBodies.size // (10 * len(LargeBodies.piece))):
                client.socket.sendall(LargeBodies.piece * 10)
                most = max(most, proxy.resident_bytes())
            response = http.client.HTTPResponse(client.socket)
            response.begin()
            if response.status != 204:
                raise Failure(f"proxy's memory: status {response.status}")
            return most

    try:
        return [
            point("just started", lambda proxy: proxy.resident_bytes()),
            point("2,000 idle connections", lambda proxy: idle(proxy, 2000)),
            point("500 MB to a client", download), point("500 MB from a client", upload),
        ]
    finally:
        upstream.shutdown()


def as_lines(points):
    """A table of one curve."""
    names = list(points[0])
    return [names] + [
        [value if isinstance(value, str) else f"{value:,}" for value in map(point.get, names)] for point in points]
