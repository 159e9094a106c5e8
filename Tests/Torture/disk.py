"""Small file systems that can be full."""

import ctypes
import errno
import os
import shutil
import subprocess

from processes import IS_LINUX

SUBSTITUTE = "postgres"


def leave_mounts_to_the_system():
    """Mounts of this process and its programs vanish with them, and nobody else sees them. Only root can do that."""
    CLONE_NEWNS = 0x20000
    if not IS_LINUX or os.geteuid() != 0 or ctypes.CDLL(None).unshare(CLONE_NEWNS) != 0:
        return False
    return subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, check=False).returncode == 0


class Disk:
    """A directory, in a file system of its own if there can be one."""

    # Set once, at the start.
    can_be_full = False

    def __init__(self, room, name, megabytes):
        self.path = path = room.path(name)
        self.ballast = os.path.join(path, "ballast")
        os.mkdir(path, mode=0o711)
        room.disks.append(self)
        self.is_mounted = False
        if Disk.can_be_full:
            command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=711", "tmpfs", path]
            self.is_mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0

    def fill(self):
        file = os.open(self.ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for size in (1 << 20, 1 << 12):
                self.write_until_full(file, bytes(size))
        finally:
            os.close(file)

    @staticmethod
    def write_until_full(file, block):
        try:
            while os.write(file, block) == len(block):
                pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    def empty(self):
        if os.path.exists(self.ballast):
            os.unlink(self.ballast)

    def unmount(self):
        if self.is_mounted:
            subprocess.run(["umount", "--lazy", self.path], capture_output=True, check=False)


def give_to_substitute(path):
    """PostgreSQL refuses to be run by root: the options that start a program as the owner of a directory."""
    if os.geteuid() != 0:
        return {}
    shutil.chown(path, SUBSTITUTE, SUBSTITUTE)
    return {"user": SUBSTITUTE, "group": SUBSTITUTE, "extra_groups": []}
