"""A certificate for `localhost`, made by `openssl` once per run."""

import functools
import os
import subprocess
import tempfile


class Certificate:
    def __init__(self):
        self._directory = tempfile.TemporaryDirectory()
        self.path = os.path.join(self._directory.name, "server.pem")
        self.key = os.path.join(self._directory.name, "server.key")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
             "-keyout", self.key, "-out", self.path],
            check=True, capture_output=True)


@functools.cache
def certificate():
    return Certificate()
