"""HTTP servers that tests run in threads of their own."""

import contextlib
import threading


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
