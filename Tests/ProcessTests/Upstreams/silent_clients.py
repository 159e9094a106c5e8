"""Opens as many connections as it is told, says nothing on any of them, and keeps them until it is killed."""

import errno
import resource
import socket
import sys
import time

port, count = int(sys.argv[1]), int(sys.argv[2])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

clients = []
for _ in range(count):
    client = socket.socket()
    client.setblocking(False)
    # Some have to wait until the server accepts them.
    assert client.connect_ex(("127.0.0.1", port)) in (0, errno.EINPROGRESS)
    clients.append(client)
print("connecting", flush=True)
time.sleep(3600)
