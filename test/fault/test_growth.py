"""What arrives without an end, or is announced and does not arrive: the gateway does not grow, and others have room."""

import contextlib
import itertools
import json
import time

import pytest

from harness import ADMIN_KEY, assert_refused
from raw import (
    AT_ONCE, all_replies, assert_hung_up_on, connect, connect_and_use, connections, is_answered, memory, post, request,
)  # fmt: skip

CONNECTIONS = 4
# To each; far more than a request may have, and than its sender's machine keeps for it.
MOST_BYTES = 25 << 20
PIECE = 64 << 10
# In MiB, for all of them: what one would have that takes in half of what it is sent.
MAY_GROW = 50

GET = "GET /health/liveliness HTTP/1.1"
CHUNKED = post("", "Transfer-Encoding: chunked\r\n")

ENDLESS = {
    "chunk extension": (CHUNKED + b"2;a=", b"b" * PIECE, [400, 413]),
    "extension of the last chunk": (CHUNKED + b"2\r\n{}\r\n0;a=", b"b" * PIECE, [400, 413]),
    "chunk extensions": (CHUNKED + b"1\r\n{\r\n", (b"1;" + b"a" * 1000 + b"\r\n \r\n") * 64, [400, 413]),
    "zeros of a chunk size": (CHUNKED, b"0" * PIECE, [400, 413]),
    "zeros of the next chunk size": (CHUNKED + b"2\r\n{}\r\n", b"0" * PIECE, [400, 413]),
    "trailer": (CHUNKED + b"2\r\n{}\r\n0\r\nX: ", b"a" * PIECE, [400, 413, 431]),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: a\r\n" * (PIECE // 6), [400, 413, 431]),
    "chunks": (CHUNKED + b"1\r\n{\r\n", b"1\r\n \r\n" * (PIECE // 6), [413]),
    "large chunk": (CHUNKED + b"fffffff\r\n", b" " * PIECE, [413]),
    "body": (post("", "Content-Length: 1000000000\r\n"), b" " * PIECE, [413]),
    "header line": (request(GET, "Host: gateway")[:-2] + b"X: ", b"a" * PIECE, [431]),
    "header lines": (request(GET, "Host: gateway")[:-2], b"X: a\r\n" * (PIECE // 6), [431]),
    "header name": (request(GET, "Host: gateway")[:-2], b"a" * PIECE, [400, 431]),
    "method": (b"", b"A" * PIECE, [400, 414]),
    "request line": (b"GET /", b"a" * PIECE, [414]),
    "query": (b"GET /organization/list?", b"a=b&" * (PIECE // 4), [414]),
    "spaces": (b"GET", b" " * PIECE, [400, 414]),
    "empty lines": (b"", b"\r\n" * (PIECE // 2), [400, 414, 431]),
}


def pour(connection, start, piece):
    """Until there is a reply to read, or most bytes are sent."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(start)
        for _ in range(MOST_BYTES // len(piece)):
            if is_answered(connection):
                return
            connection.sendall(piece)
        is_answered(connection, AT_ONCE)


@pytest.mark.parametrize("what", ENDLESS)
def test_what_has_no_end_is_refused_soon_and_not_kept(server, make_gateway, transport, what):
    start, piece, statuses = ENDLESS[what]
    gateway = make_gateway(server.url("org_gateway"), "--request-timeout=10000", *transport)
    assert gateway.get("/organization/list?limit=1").status == 200
    before = memory(gateway)
    with contextlib.ExitStack() as stack:
        senders = [stack.enter_context(connect_and_use(gateway)) for _ in range(CONNECTIONS)]
        for connection in senders:
            pour(connection, start, piece)
        assert memory(gateway) - before < MAY_GROW
        for connection in senders:
            assert is_answered(connection)
            assert_hung_up_on(connection, *statuses)
    assert memory(gateway) - before < MAY_GROW
    reply = gateway.get("/organization/list?limit=1")
    assert reply.status == 200 and reply.seconds < AT_ONCE


@pytest.mark.parametrize("trailer_lines", [0, 30])
def test_chunks_and_trailers_may_be_as_long_as_headers(server, make_gateway, trailer_lines):
    gateway = make_gateway(server.url("org_gateway"), "--max-header-bytes=4096", "--max-body-bytes=1000")
    body = b'{"organizations": ["nobody"]}'.ljust(300)
    text = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n" + b"X: a trailer\r\n" * trailer_lines + b"\r\n"
    key = f"Authorization: Bearer {ADMIN_KEY}"
    head = ["POST /organization/info HTTP/1.1", "Host: gateway", key, "Connection: close"]
    with connect(gateway) as connection:
        connection.sendall(request(*head, "Transfer-Encoding: chunked", body=text))
        assert [reply.text for reply in all_replies(connection)] == ["[]"]


def large(length):
    """The body of a good request."""
    return dict(organization_alias="large", unknown=" " * (length - 50))


ANNOUNCED = {
    "length": post("{", "Content-Length: 1048576\r\n"),
    "chunks": post("fffff\r\n{", "Transfer-Encoding: chunked\r\n"),
    "length without a key": post("{", "Content-Length: 1048576\r\n", key="sk-made-up"),
}


@pytest.mark.parametrize("options", [[], ["--max-buffered-bytes=8388608"]], ids=["", "little room"])
@pytest.mark.parametrize("announcement", ANNOUNCED)
def test_a_body_that_is_only_announced_takes_no_room(server, make_gateway, transport, announcement, options):
    gateway = make_gateway(server.url("org_gateway"), *options, *transport)
    assert gateway.get("/organization/list?limit=1").status == 200
    with connections(gateway, 300) as announcing:
        for connection in announcing:
            connection.sendall(ANNOUNCED[announcement])
        time.sleep(0.5)  # for the gateway to read them, of which nothing tells
        for _ in range(3):
            reply = gateway.post("/organization/new", large(1_000_000))
            assert reply.status == 200 and reply.seconds < AT_ONCE
        assert not [connection for connection in announcing if not gateway.tls and is_answered(connection)]


OTHER_ADDRESSES = [f"127.0.0.{number}" for number in range(2, 10)]
LARGE = 100_000


def withhold(gateway, stack, address, keys):
    """Sends all but the last byte of large bodies until it is refused; says with what, or None if it never is."""
    for key in keys:
        connection = stack.enter_context(connect_and_use(gateway, source=address))
        text = post(json.dumps(large(LARGE)), "Content-Length: %d\r\n" % len(json.dumps(large(LARGE))), key=key)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(text[:-1])
        if is_answered(connection, 0.05):
            return all_replies(connection)[0]
    return None


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize("keys", ["none", "one made up", "many made up"])
def test_who_has_no_good_key_does_not_use_up_the_room_of_those_who_have(
    server, make_gateway, transport, keys, source
):
    gateway = make_gateway(
        server.url("org_gateway"), f"--max-body-bytes={LARGE}", "--max-buffered-bytes=1000000", *transport
    )
    assert gateway.post("/organization/new", large(LARGE)).status == 200
    made_up = itertools.count()
    sent = {"none": lambda: "", "one made up": lambda: "sk-made-up", "many made up": lambda: f"sk-{next(made_up)}"}
    with contextlib.ExitStack() as stack:
        refusals = [
            withhold(gateway, stack, address, (sent[keys]() for _ in range(12))) for address in OTHER_ADDRESSES
        ]
        assert any(refusals)
        for refusal in filter(None, refusals):
            assert_refused(refusal)
        for _ in range(3):
            reply = gateway.post("/organization/new", large(LARGE), source=source)
            assert reply.status == 200 and reply.seconds < AT_ONCE


def test_a_good_key_does_not_use_up_the_room_of_others(server, make_gateway):
    gateway = make_gateway(
        server.url("org_gateway"), f"--max-body-bytes={LARGE}", "--max-buffered-bytes=1000000"
    )
    key = gateway.post("/key/generate", dict(user_id="default_user_id")).body["key"]
    for good in (key, ADMIN_KEY):
        assert gateway.get("/organization/list?limit=1", key=good).status == 200
    with contextlib.ExitStack() as stack:
        assert_refused(withhold(gateway, stack, "127.0.0.1", [key] * 12))
        reply = gateway.post("/organization/new", large(LARGE))
        assert reply.status == 200 and reply.seconds < AT_ONCE
