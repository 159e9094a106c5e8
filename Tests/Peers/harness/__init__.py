"""What all tests of this directory share: the proxy as a process, an upstream that counts, and clients."""
