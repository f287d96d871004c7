"""HTTP servers that tests run in threads of their own, and ports for other servers."""

import contextlib
import random
import socket
import threading


def free_port():
    """Below those that the system gives to outgoing connections, one of which could take it while a server starts."""
    while True:
        port = random.randrange(10_000, 32_768)
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def serving(server):
    """Lets the server serve until the block ends; gives its URL."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
