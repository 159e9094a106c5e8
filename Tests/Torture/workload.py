"""Clients that send each order until they know what became of it."""

import asyncio
import random
import time
from dataclasses import dataclass

from http_client import hang_up, post

CLIENTS = 10
TIMEOUT = 3.0
# How long a key may take to get its final response once all faults are healed.
SETTLE_TIME = 30.0


@dataclass
class Order:
    key: str
    amount: int
    # How long the operation takes.
    latency: float
    # About how large the response is.
    size: int


class Workload:
    """All clients of a round, and what they were told."""

    def __init__(self, subject, name, seed):
        self.subject = subject
        self.name = name
        self.seed = seed
        self.orders = {}
        self.responses = []
        self.requests = 0

    async def run(self, until):
        clients = [Client(self, index) for index in range(CLIENTS)]
        await asyncio.gather(*(client.run(until) for client in clients))

    async def post(self, order, server):
        self.requests += 1
        response = await post(
            self.subject.ports[server], *self.request(order), timeout=TIMEOUT, server=server)
        if response:
            self.responses.append(response)
        return response

    def request(self, order):
        path, body = self.subject.request(order)
        return path, order.key, body

    async def settle(self):
        """Asks both servers for every key until there are final responses."""
        final = {}
        waiting = list(self.orders.values())
        deadline = time.monotonic() + SETTLE_TIME

        async def worker():
            while waiting:
                order = waiting.pop()
                final[order.key] = [
                    response for server in range(2) if (response := await self.last_response(order, server, deadline))]

        await asyncio.gather(*(worker() for _ in range(CLIENTS)))
        return final

    async def last_response(self, order, server, deadline):
        while True:
            response = await post(
                self.subject.ports[server], *self.request(order), timeout=2 * TIMEOUT + order.latency, server=server)
            if response and response.is_final or time.monotonic() > deadline:
                return response
            await asyncio.sleep(0.2)


class Client:
    """One client, with habits of its own that follow from the seed."""

    def __init__(self, workload, index):
        self.workload = workload
        self.index = index
        self.generator = random.Random(f"{workload.seed}/{workload.name}/client {index}")
        self.count = 0

    async def run(self, until):
        mine = []
        while time.monotonic() < until:
            order = self.next_order()
            mine.append(order)
            await self.pursue(order, until)
            if self.generator.random() < 0.3:
                await self.workload.post(self.generator.choice(mine), self.generator.randrange(2))
            await asyncio.sleep(self.generator.uniform(0, 0.1))

    def next_order(self):
        self.count += 1
        subject, generator = self.workload.subject, self.generator
        latency = generator.uniform(*subject.latencies)
        if generator.random() < subject.share_of_long:
            latency = generator.uniform(0.2, 1.3) * subject.lease
        # Beyond 16 KiB, responses are kept elsewhere in some stores.
        size = 24_000 if generator.random() < 0.05 else generator.randrange(400)
        order = Order(f"{self.workload.name}-{self.index}-{self.count}", generator.randint(1, 10_000), round(latency, 3), size)
        self.workload.orders[order.key] = order
        return order

    async def pursue(self, order, until):
        while time.monotonic() < until:
            responses = await self.attempt(order)
            if any(response and response.is_final for response in responses):
                return
            await asyncio.sleep(self.generator.uniform(0.05, 0.2))

    async def attempt(self, order):
        """Sends the order, mostly as one should."""
        workload, server, habit = self.workload, self.generator.randrange(2), self.generator.random()
        if habit < 0.1:
            share = self.generator.choice([0.5, 0.9, 1.0, 1.0])
            await hang_up(
                workload.subject.ports[server], *workload.request(order), share=share,
                wait=self.generator.uniform(0, 0.05))
            return []
        if habit < 0.2:
            return await asyncio.gather(workload.post(order, 0), workload.post(order, 1))
        return [await workload.post(order, server)]
