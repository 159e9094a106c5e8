"""The cost of the proxy's engine alone, against nginx in the same run: `forwarding.py <directory of the program> [rounds]`.

The program is built by `IDEMPTX_BENCHMARKS=1 swift build -c release --product ForwardingProxy`.
"""

import os
import statistics
import sys
import tempfile

from load import Case, prepare, run
from processes import Process, free_port
from servers import Servers, count_at_nginx


def forwarder(servers, binaries, upstream, loops, *options):
    port = free_port()
    return servers.keep(Process(
        [os.path.join(binaries, "ForwardingProxy"), str(port), str(upstream), str(loops), *options], port=port,
        log=servers.log("forwarding")))


def main():
    binaries, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as directory, Servers(directory, binaries, "") as servers:
        constant = servers.nginx_constant()
        executions = count_at_nginx(constant)
        cases = [
            Case("nginx", servers.nginx_proxy(constant.port), "/orders", executions=executions),
            Case("forwarded, 1 loop", forwarder(servers, binaries, constant.port, 1), "/orders", executions=executions),
            Case("forwarded, 2 loops", forwarder(servers, binaries, constant.port, 2), "/orders", executions=executions),
            Case("handled, 2 loops", forwarder(servers, binaries, constant.port, 2, "handle"), "/orders",
                 executions=executions),
        ]
        for case in cases:
            prepare(case)
            run(case, 1, "warm-up")
        samples = {case.name: [] for case in cases}
        for number in range(rounds):
            for case in cases:
                samples[case.name].append(run(case, 4, f"{number}"))
        reference = statistics.median(sample.cpu for sample in samples["nginx"])
        for name, taken in samples.items():
            cpu = statistics.median(sample.cpu for sample in taken)
            rate = statistics.median(sample.requests_per_second for sample in taken)
            spread = f"{min(sample.cpu for sample in taken):.1f}-{max(sample.cpu for sample in taken):.1f}"
            p50, p99 = (statistics.median(getattr(sample, name) for sample in taken) / 1000 for name in ("p50", "p99"))
            print(f"{name:20} {cpu:7.1f} us ({spread}), {cpu / reference:5.2f} x nginx, {rate:8.0f} requests/s, "
                  f"p50 {p50:.1f} ms, p99 {p99:.1f} ms")


main()
