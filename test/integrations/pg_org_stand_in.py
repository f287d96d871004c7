"""A pg_org that grants everything, and breaks as it is told to."""

import collections
import contextlib
import http.server
import json
import ssl
import time

from serving import serving

GRANT = 200, {"model": "gpt-4o"}
AWAY = 503, {"detail": {"error": "The database is away."}}


class PgOrg:
    """Keeps what it was asked, and answers with the replies that are next for a path, or else with success.

    A reply is a status and an object; text to send in place of a reply; or None to hang up.
    """

    def __init__(self):
        self.asked = collections.defaultdict(list)
        self.replies = collections.defaultdict(list)
        self.delay = 0
        self.port = 0

    def answer(self, path, fields):
        self.asked[path].append(fields)
        time.sleep(self.delay)
        return self.replies[path].pop(0) if self.replies[path] else GRANT

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def running(self, certificate=None):
        """On the port that it had before, if it had one."""
        pg_org = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                fields = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                reply = pg_org.answer(self.path.removeprefix("/usage/"), fields)
                if reply is None:
                    self.close_connection = True
                    return
                status, body = (200, reply) if isinstance(reply, str) else (reply[0], json.dumps(reply[1]))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        server = Server(("127.0.0.1", self.port), Handler)
        self.port = server.server_port
        if certificate:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificate)
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        with serving(server):
            yield self

    def wait_for(self, path, count=1, seconds=10):
        """What was asked there, once it was asked that often."""
        end = time.monotonic() + seconds
        while len(self.asked[path]) < count:
            assert time.monotonic() < end, f"{len(self.asked[path])} of {count} requests to {path}"
            time.sleep(0.02)
        return self.asked[path]
