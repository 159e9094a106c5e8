"""What is done to servers, stores and networks, and when."""

import asyncio
import inspect
import random
import time
from dataclasses import dataclass
from typing import Callable

from history import Disturbance


def nothing():
    pass


@dataclass
class Fault:
    """Something that is broken for a while.

    `begin` returns False if it cannot be done now."""

    kind: str
    name: str
    begin: Callable
    end: Callable = nothing
    # How long it lasts, in seconds.
    shortest: float = 0.2
    longest: float = 0.5
    server: int | None = None
    is_kill: bool = False
    is_outside: bool = False


@dataclass
class Step:
    pause: float
    name: str
    duration: float


def plan(faults, length, seed):
    """A schedule: each fault once, in random order, then again. The same for the same seed."""
    generator = random.Random(seed)
    steps, bag, total = [], [], 0.0
    while faults:
        bag = bag or generator.sample(faults, len(faults))
        fault = bag.pop()
        step = Step(generator.uniform(0.2, 1.2), fault.name, generator.uniform(fault.shortest, fault.longest))
        # The first comes in any case.
        if steps and total + step.pause + step.duration > length:
            break
        total += step.pause + step.duration
        steps.append(step)
    return steps


class Injector:
    """Follows schedules, and notes what was done."""

    def __init__(self, log):
        self.disturbances = []
        self.log = log

    async def follow(self, steps, faults, until):
        by_name = {fault.name: fault for fault in faults}
        for step in steps:
            await asyncio.sleep(step.pause)
            # A step that took longer than planned leaves no time for others.
            if time.monotonic() > until:
                return
            await self.inject(by_name[step.name], step.duration)

    async def inject(self, fault, duration):
        start = time.monotonic()
        if await call(fault.begin) is False:
            return
        self.log(f"{fault.name} begins")
        try:
            await asyncio.sleep(duration)
        finally:
            await call(fault.end)
            self.disturbances.append(
                Disturbance(fault.kind, start, time.monotonic(), fault.server, fault.is_kill, fault.is_outside))
            self.log(f"{fault.name} has ended")


async def call(action):
    result = action()
    return await result if inspect.isawaitable(result) else result


def halts(name, process, lease, *, server=None):
    """A process that stands still, for less and for more than a lease.

    `process` is a function: it may be another one later."""
    halted = []

    def begin():
        halted.append(process())
        halted[-1].pause()

    def end():
        halted.pop().resume()

    return [
        Fault("stop", f"{name} halts briefly", begin, end, 0.2, 0.5, server),
        Fault("stop", f"{name} halts for longer than a lease", begin, end, 1.2 * lease, 1.8 * lease, server),
    ]


def kill(name, process, *, server=None, is_kill=False, shortest=0.1, longest=1.0):
    killed = []

    def begin():
        killed.append(process())
        killed[-1].kill()

    async def end():
        await killed.pop().start()

    return Fault("kill", f"{name} is killed", begin, end, shortest, longest, server, is_kill)


def partitions(name, relays, lease, *, server=None, is_outside=False, modes=("hold", "drop replies", "cut", "delay")):
    """Networks that are broken, for less and for more than a lease."""

    def fault(mode):
        def begin():
            for relay in relays:
                relay.break_by(mode)

        def end():
            for relay in relays:
                relay.heal()

        return Fault("partition", f"{name}: {mode}", begin, end, 0.2, longest, server, is_outside=is_outside)

    # No lease depends on clients.
    longest = 1.0 if is_outside else 1.6 * lease
    return [fault(mode) for mode in modes]
