"""Clients that send each order until they know what became of it."""

import asyncio
import random
import time
from dataclasses import dataclass

from http_client import hang_up, post

CLIENTS = 16
# How long clients wait for a response, at least and at most: one that cannot be stored comes after 3 s.
TIMEOUTS = (1.0, 4.5)


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

    def __init__(self, subject, name, seed, log):
        self.subject = subject
        self.log = log
        self.name = name
        self.seed = seed
        self.orders = {}
        self.responses = []
        self.requests = 0

    async def run(self, until):
        clients = [Client(self, index) for index in range(CLIENTS)]
        await asyncio.gather(*(client.run(until) for client in clients))

    async def post(self, order, server, timeout):
        self.requests += 1
        response = await post(
            self.subject.ports[server], *self.request(order), timeout=timeout, server=server)
        if response:
            self.responses.append(response)
        return response

    def request(self, order):
        path, body = self.subject.request(order)
        return path, order.key, body

    async def settle(self, time_limit):
        """Asks both servers for every key until they agree on a final response, or the time is over."""
        final = {}
        waiting = list(self.orders.values())
        deadline = time.monotonic() + time_limit
        snapshot = asyncio.create_task(self.look_at_what_hangs(time_limit / 2))

        async def worker():
            while waiting:
                order = waiting.pop()
                final[order.key] = await self.last_responses(order, deadline)

        await asyncio.gather(*(worker() for _ in range(CLIENTS)))
        snapshot.cancel()
        return final

    async def look_at_what_hangs(self, delay):
        """For whoever finds out why a key never gets a response."""
        await asyncio.sleep(delay)
        for line in await self.subject.store.activity():
            self.log(f"store: {line}")

    async def last_responses(self, order, deadline):
        while True:
            responses = [response for server in range(2) if (response := await self.post_patiently(order, server))]
            are_final = len(responses) == 2 and all(response.is_final for response in responses)
            if are_final and responses[0].body == responses[1].body or time.monotonic() > deadline:
                return responses
            await asyncio.sleep(0.2)

    async def post_patiently(self, order, server):
        return await post(
            self.subject.ports[server], *self.request(order), timeout=2 * max(TIMEOUTS) + order.latency, server=server)


class Client:
    """One client, with habits of its own that follow from the seed."""

    def __init__(self, workload, index):
        self.workload = workload
        self.index = index
        self.generator = random.Random(f"{workload.seed}/{workload.name}/client {index}")
        self.count = 0
        self.timeout = self.generator.uniform(*TIMEOUTS)

    async def post(self, order, server):
        return await self.workload.post(order, server, self.timeout)

    async def run(self, until):
        mine = []
        while time.monotonic() < until:
            order = self.next_order()
            mine.append(order)
            await self.pursue(order, until)
            if self.generator.random() < 0.3:
                await self.post(self.generator.choice(mine), self.generator.randrange(2))
            await asyncio.sleep(self.generator.uniform(0, 0.1))

    def next_order(self):
        self.count += 1
        subject, generator = self.workload.subject, self.generator
        latency = generator.uniform(*subject.latencies)
        if generator.random() < subject.share_of_long:
            latency = generator.uniform(0.2, 1.3) * subject.lease
        # Beyond 16 KiB, responses are kept elsewhere in some stores.
        size = 24_000 if generator.random() < 0.05 else generator.randrange(400)
        key = f"{self.workload.name}-{self.index}-{self.count}"
        order = Order(key, generator.randint(1, 10_000), round(latency, 3), size)
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
            return await asyncio.gather(self.post(order, 0), self.post(order, 1))
        return [await self.post(order, server)]
