"""Clients that choose each byte they send, when they send it, and when they read the reply."""

import contextlib
import http.client
import io
import re
import select
import socket
import time

from harness import ADMIN_KEY, PATIENCE, Reply

LIVENESS = b"GET /health/liveliness HTTP/1.1\r\nHost: gateway\r\n\r\n"
ALIVE = b"I'm alive!"
# Far from what anybody waits for who is kept waiting by others.
AT_ONCE = 6


def connect(gateway, source=None, receive_buffer=None):
    """From another address, or with room for less of a reply, if told so."""
    connection = connect_in_clear(gateway, source, receive_buffer)
    return gateway.tls.wrap_socket(connection) if gateway.tls else connection


def connect_in_clear(gateway, source=None, receive_buffer=None):
    connection = socket.socket()
    connection.settimeout(PATIENCE)
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    if source:
        connection.bind((source, 0))
    connection.connect(("127.0.0.1", gateway.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def connect_and_use(gateway, **more):
    """It has had a reply."""
    connection = connect(gateway, **more)
    connection.sendall(LIVENESS)
    next_answer(connection)
    return connection


@contextlib.contextmanager
def connections(gateway, count, **more):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(connect(gateway, **more)) for _ in range(count)]


def request(line, *headers, body=b""):
    return "\r\n".join([line, *headers, "", ""]).encode("latin-1") + body


def post(body, headers="", key=ADMIN_KEY):
    return (
        f"POST /organization/new HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {key}\r\n{headers}\r\n{body}"
    ).encode()


def answer(connection):
    """All that comes until the gateway hangs up."""
    text = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(1 << 16):
            text += piece
    return text


def next_answer(connection, end=ALIVE):
    text = b""
    while end not in text:
        piece = connection.recv(1 << 16)
        assert piece, text
        text += piece
    return text


def read_reply(file, method="GET"):
    """The next one from a connection's file, or None when the gateway has hung up."""
    start = time.monotonic()
    line = file.readline()
    if not line:
        return None
    assert re.fullmatch(rb"HTTP/1\.[01] \d{3} [ -~]*\r\n", line), line
    headers = http.client.parse_headers(file)
    status = int(line.split()[1])
    text = b"" if method == "HEAD" or status < 200 else file.read(int(headers["Content-Length"]))
    return Reply(status, text.decode(), headers, time.monotonic() - start)


def all_replies(connection):
    """Until the gateway hangs up."""
    file = io.BytesIO(answer(connection))
    return list(iter(lambda: read_reply(file), None))


def assert_hung_up_on(connection, *statuses):
    """The one reply that comes has one of them, says why, and is the last."""
    replies = all_replies(connection)
    assert [reply.status for reply in replies if reply.status in statuses] and len(replies) == 1, replies
    reply = replies[0]
    assert reply.headers["Connection"] == "close", reply.headers.items()
    assert reply.headers["x-request-id"]
    assert isinstance(reply.body["detail"]["error"], str), reply
    return reply


def is_answered(connection, seconds=0):
    """By TLS, only a connection that had a reply can tell: before, what the handshake leaves behind looks like one."""
    return bool(select.select([connection], [], [], seconds)[0])


def memory(gateway):
    """In MiB."""
    with open(f"/proc/{gateway.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) >> 10
