"""The servers that take part, each as its users would run it."""

import os
import re
import signal
import socket
import subprocess

from load import get
from postgres import Postgres
from processes import Process, free_port

HERE = os.path.dirname(os.path.abspath(__file__))


class Servers:
    """Starts servers and stops all of them at the end."""

    def __init__(self, directory, binaries, fastapi):
        self.directory = directory
        self.binaries = binaries
        self.fastapi_directory = fastapi
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop_all()

    def stop_all(self):
        while self.running:
            self.running.pop().stop()

    def keep(self, process):
        self.running.append(process)
        return process

    def file(self, name):
        return os.path.join(self.directory, name)

    def log(self, name):
        return self.file(f"{name}.log")

    def hummingbird(self, store):
        """The benchmark server; see Server/."""
        return self.keep(Process(
            [os.path.join(self.binaries, "BenchmarkServer"), "--store", store], prints_port=True,
            log=self.log("hummingbird")))

    def proxy(self, upstream, store):
        port = free_port()
        return self.keep(Process(
            [os.path.join(self.binaries, "idemptx"), "proxy", "--upstream", f"http://127.0.0.1:{upstream}", "--port",
             str(port), "--store", store],
            port=port, log=self.log("proxy")))

    def nginx(self, name, location, upstream=""):
        """A server whose only location does `location`, and that counts its requests at /requests."""
        port = free_port()
        directory = self.file(f"nginx-{name}")
        os.makedirs(directory)
        configuration = os.path.join(directory, "nginx.conf")
        with open(configuration, "w", encoding="ascii") as file:
            file.write(NGINX.format(directory=directory, port=port, location=location, upstream=upstream))
        return self.keep(Process(
            ["nginx", "-p", directory, "-c", configuration, "-e", os.path.join(directory, "error.log")], port=port,
            # Its workers outlive it if it is killed.
            ending=signal.SIGTERM, log=self.log("nginx")))

    def nginx_constant(self):
        """The cheapest upstream there is."""
        body = r'{"id":1000000000,"item":"books","amount":4200,"currency":"EUR"}'
        return self.nginx("constant", f"default_type application/json; return 201 '{body}';")

    def nginx_proxy(self, upstream):
        """nginx as a reverse proxy that keeps its connections, as its manual recommends."""
        return self.nginx(
            f"proxy-{upstream}",
            "proxy_pass http://orders; proxy_http_version 1.1; proxy_set_header Connection '';",
            f"upstream orders {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 1000000000; }}")

    def redis(self):
        return Redis(self)

    def postgres(self):
        return Postgres(self)

    def fastapi(self, redis_port):
        port = free_port()
        environment = {
            **os.environ, "BENCHMARK_REDIS": f"redis://127.0.0.1:{redis_port}", "PYTHONDONTWRITEBYTECODE": "1"}
        return self.keep(Process(
            [os.path.join(self.fastapi_directory, "bin", "python"), "-m", "uvicorn", "fastapi_orders:app", "--port",
             str(port), "--log-level", "warning", "--no-access-log"],
            port=port, log=self.log("fastapi"), cwd=os.path.join(HERE, "upstream"), env=environment))


class Redis:
    """A Redis server without persistence."""

    def __init__(self, servers):
        port = free_port()
        self.process = servers.keep(Process(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir",
             servers.directory, "--enable-debug-command", "local"],
            port=port, log=servers.log("redis")))
        self.port = port
        self.url = f"redis://127.0.0.1:{port}"
        # Making ten million keys takes it a while.
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.reader = self.socket.makefile("rb")

    def command(self, *arguments):
        parts = [str(argument).encode() for argument in arguments]
        request = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        self.socket.sendall(request)
        line = self.reader.readline().rstrip(b"\r\n")
        if line.startswith(b"$"):
            size = int(line[1:])
            return self.reader.read(size + 2)[:-2].decode() if size >= 0 else None
        if line.startswith(b"-"):
            raise RuntimeError(line.decode())
        return line[1:].decode()

    def reset_statistics(self):
        self.command("CONFIG", "RESETSTAT")

    def commands_per_request(self, requests):
        """What the server was asked to do, scripts' own commands included."""
        statistics = self.command("INFO", "commandstats")
        calls = dict(re.findall(r"^cmdstat_([^:]+):calls=(\d+)", statistics, re.MULTILINE))
        per_request = {name: int(count) / requests for name, count in calls.items()}
        return {name: round(value, 2) for name, value in sorted(per_request.items()) if value >= 0.01}

    def used_memory(self):
        return int(re.search(r"^used_memory:(\d+)", self.command("INFO", "memory"), re.MULTILINE)[1])


def count_at_hummingbird(server):
    return lambda: int(get(server.port, "/executions"))


def count_at_nginx(server):
    """Counts requests to an nginx server, less those that ask for the count."""
    asked = 0

    def count():
        nonlocal asked
        asked += 1
        status = get(server.port, "/requests").decode()
        return int(status.splitlines()[2].split()[2]) - asked

    return count


def version(*command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return (result.stdout or result.stderr).strip().splitlines()[0]


NGINX = """\
worker_processes auto;
daemon off;
pid {directory}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    client_max_body_size 16m;
    client_body_buffer_size 64k;
    keepalive_requests 1000000000;
    {upstream}
    server {{
        listen 127.0.0.1:{port} reuseport;
        location = /requests {{ stub_status; }}
        location / {{ {location} }}
    }}
}}
"""
