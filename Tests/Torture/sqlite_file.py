"""An SQLite file that all servers share."""

import os
import sqlite3

from disk import Disk
from faults import Fault


class SQLiteFile:
    """There is no server and no network: others that write, and a full disk, are what can hinder."""

    name = "sqlite"
    may_forget = False
    # A server that halts in the middle of a write keeps all others from writing.
    is_shared_fate = True

    def __init__(self, room, lease):
        self.lease = lease
        self.disk = Disk(room, "sqlite", megabytes=64)
        self.path = os.path.join(self.disk.path, "records.sqlite")

    async def start(self):
        pass

    def arguments(self, server):
        return ["--store", f"sqlite:{self.path}"]

    def faults(self):
        return [*self.full_disk(), *self.locks()]

    def full_disk(self):
        if not self.disk.is_mounted:
            return []
        return [Fault("full", "the disk is full", self.disk.fill, self.disk.empty, 0.5, 3.0)]

    def locks(self):
        holders = []

        def lock():
            holder = sqlite3.connect(self.path, isolation_level=None, timeout=0)
            try:
                holder.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                holder.close()
                return False
            holders.append(holder)
            return True

        def unlock():
            holders.pop().close()

        return [
            Fault("lock", "another process writes briefly", lock, unlock, 0.2, 0.5),
            Fault(
                "lock", "another process writes for longer than a lease", lock, unlock, 1.2 * self.lease,
                2.2 * self.lease),
        ]

    async def activity(self):
        return []

    async def heal(self):
        self.disk.empty()


class SharedNothing:
    """The memory of each server: no store at all for two of them. Only to see that the checker notices."""

    name = "memory"
    may_forget = False
    is_shared_fate = False

    def __init__(self, room, lease):
        pass

    async def start(self):
        pass

    def arguments(self, server):
        return ["--store", "memory"]

    def faults(self):
        return []

    async def activity(self):
        return []

    async def heal(self):
        pass
