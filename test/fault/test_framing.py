"""Where a request begins and ends: what is unclear is refused, and nothing after it is taken for a request."""

import contextlib
import json
import socket
import time

import pytest

from certificates import Certificate
from harness import ADMIN_KEY, Answers, gateways
from raw import (
    AT_ONCE, LIVENESS, all_replies, answer, assert_hung_up_on, connect, connect_and_use, is_answered, read_reply,
    request,
)  # fmt: skip

GET = "GET /health/liveliness HTTP/1.1"
HOST = "Host: gateway"
KEY = f"Authorization: Bearer {ADMIN_KEY}"
INFO = "POST /organization/info HTTP/1.1"
CHUNKED = "Transfer-Encoding: chunked"
# Asks for an organization that there is not, so the reply is an empty list.
BODY = b'{"organizations": ["nobody"]}'


@pytest.fixture(scope="module", params=["http", "https"])
def gateway(request, server, tmp_path_factory):  # pylint: disable=redefined-outer-name
    certificate = Certificate(tmp_path_factory.mktemp("tls"), "framing")
    options = certificate.options if request.param == "https" else []
    limits = ["--max-header-bytes=4096", "--max-body-bytes=1000", "--request-timeout=5000", "--idle-timeout=3000"]
    with gateways() as make:
        yield make(server.url("org_gateway"), *limits, *options)


@pytest.fixture
def connection(gateway):
    with connect_and_use(gateway) if gateway.tls else connect(gateway) as opened:
        yield opened


def info(*headers, body=b""):
    return request(INFO, HOST, KEY, *headers, body=body)


def sized(body=BODY, *more):
    return info(f"Content-Length: {len(body)}", *more, body=body)


def chunks(text, *more):
    return info(CHUNKED, *more, body=text)


def in_chunks(body=BODY, trailer=b""):
    """Three of them."""
    pieces = [body[:1], body[1:20], body[20:]]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailer + b"\r\n"


def named(cases):
    """With what is sent as the case's name, so that the one that fails can be seen."""
    return [pytest.param(case, id=repr(case)[1:-1][-60:].replace("::", ": :")) for case in cases]


REQUEST_LINES = [
    "GET",
    "GET /",
    "GET  / HTTP/1.1",
    "GET /  HTTP/1.1",
    "GET / HTTP/1.1 ",
    " GET / HTTP/1.1",
    "GET\t/\tHTTP/1.1",
    "GET /a b HTTP/1.1",
    "GET HTTP/1.1",
    "/ HTTP/1.1",
    "G(T / HTTP/1.1",
    "G\x00T / HTTP/1.1",
    "GET /\x00 HTTP/1.1",
    "GET /\x7f HTTP/1.1",
    "GET /\r HTTP/1.1",
    "GET / HTTP/1.1\r",
    "GET / HTTP/0.9",
    "GET / HTTP/2.0",
    "GET / HTTP/1",
    "GET / HTTP/1.",
    "GET / HTTP/1.10",
    "GET / HTTP/11",
    "GET / http/1.1",
    "GET / HTTQ/1.1",
    "GET / 1.1",
]

HEADER_LINES = [
    " folded: first line",
    "X: a\r\n folded",
    "X: a\r\n\tfolded",
    "X: a\r\n ",
    "X : a",
    "X\t: a",
    "no colon",
    ": no name",
    " : no name",
    "X: a\rb",
    "X: a\r",
    "\rX: a",
    "X: a\nY: b",
    "X: a\n",
    "X: a\x00b",
    "X\x00: a",
    "X: \x01",
    "X: \x1f",
    "X: a\x7fb",
    "X\x7f: a",
    "X Y: a",
    "X(Y): a",
    "X/Y: a",
    "X@Y: a",
    "X[]: a",
    '"X": a',
    "X\xe9: a",
    "Transfer-Encoding\x0b: chunked",
]

LENGTHS = [
    [CHUNKED, "Content-Length: 2"],
    ["Content-Length: 2", CHUNKED],
    ["Content-Length: 2", "Content-Length: 2"],
    ["Content-Length: 2", "content-length: 3"],
    ["Content-Length: 2, 2"],
    ["Content-Length: 2,"],
    ["Content-Length: +2"],
    ["Content-Length: -2"],
    ["Content-Length: 1 0"],
    ["Content-Length: 0x2"],
    ["Content-Length: 2a"],
    ["Content-Length: 2.0"],
    ["Content-Length: two"],
    ["Content-Length:"],
    ["Content-Length: 00000000000000000002"],
    ["Content-Length: 99999999999999999999"],
    ["Content-Length: 18446744073709551618"],
    ["Transfer-Encoding: gzip"],
    ["Transfer-Encoding: gzip, chunked"],
    ["Transfer-Encoding: chunked, gzip"],
    ["Transfer-Encoding: chunked, chunked"],
    ["Transfer-Encoding: chunked,"],
    ["Transfer-Encoding: chunked;q=1"],
    ['Transfer-Encoding: "chunked"'],
    ["Transfer-Encoding: xchunked"],
    ["Transfer-Encoding: identity"],
    ["Transfer-Encoding:"],
    [CHUNKED, CHUNKED],
    [CHUNKED, "transfer-encoding: identity"],
]

CHUNKS = [
    b"zz\r\n{}\r\n0\r\n\r\n",
    b"\r\n{}\r\n0\r\n\r\n",
    b";a=b\r\n{}\r\n0\r\n\r\n",
    b"-2\r\n{}\r\n0\r\n\r\n",
    b"+2\r\n{}\r\n0\r\n\r\n",
    b"0x2\r\n{}\r\n0\r\n\r\n",
    b" 2\r\n{}\r\n0\r\n\r\n",
    b"2 2\r\n{}\r\n0\r\n\r\n",
    b"2g\r\n{}\r\n0\r\n\r\n",
    b"2,\r\n{}\r\n0\r\n\r\n",
    b"00000000000000002\r\n{}\r\n0\r\n\r\n",
    b"10000000000000002\r\n{}\r\n0\r\n\r\n",
    b"2\n{}\r\n0\r\n\r\n",
    b"2\r{}\r\n0\r\n\r\n",
    b"2;a\n{}\r\n0\r\n\r\n",
    b"2;a\rb\r\n{}\r\n0\r\n\r\n",
    b"2;a\x00b\r\n{}\r\n0\r\n\r\n",
    b"2\r\n{}0\r\n\r\n",
    b"2\r\n{}\n0\r\n\r\n",
    b"2\r\n{}\r0\r\n\r\n",
    b"2\r\n{}  \r\n0\r\n\r\n",
    b"2\r\n{}\r\n0\n\r\n",
    b"2\r\n{}\r\nx\r\n\r\n",
]


@pytest.mark.parametrize("line", named(REQUEST_LINES))
def test_a_request_line_that_is_none_is_refused(connection, line):
    connection.sendall(request(line, HOST) + LIVENESS)
    assert_hung_up_on(connection, 400)


@pytest.mark.parametrize("line", named(HEADER_LINES))
def test_a_header_line_that_is_none_is_refused(connection, line):
    connection.sendall(request(GET, line, HOST) + LIVENESS)
    assert_hung_up_on(connection, 400)


@pytest.mark.parametrize("line", named(HEADER_LINES[1:]))
def test_a_header_line_that_is_none_is_refused_after_others(connection, line):
    connection.sendall(request(GET, HOST, line) + LIVENESS)
    assert_hung_up_on(connection, 400)


@pytest.mark.parametrize("text", named([LIVENESS.replace(b"\r\n", b"\n"), LIVENESS[:-2] + b"\n"]))
def test_lines_that_end_otherwise_are_refused(connection, text):
    connection.sendall(text + LIVENESS)
    assert_hung_up_on(connection, 400)


@pytest.mark.parametrize("hosts", [[], [HOST, HOST], [HOST, "host: other"]])
def test_a_request_for_no_host_or_for_several_is_refused(connection, hosts):
    connection.sendall(request(GET, *hosts) + LIVENESS)
    assert_hung_up_on(connection, 400)


@pytest.mark.parametrize("headers", named(LENGTHS))
def test_a_body_of_unclear_length_is_refused(connection, headers):
    connection.sendall(info(*headers, body=b"2\r\n{}\r\n0\r\n\r\n") + LIVENESS)
    assert_hung_up_on(connection, 400)


@pytest.mark.parametrize("text", named(CHUNKS))
def test_chunks_that_are_none_are_refused(connection, text):
    connection.sendall(chunks(text) + LIVENESS)
    assert_hung_up_on(connection, 400)


@pytest.mark.parametrize("size", [b"3e9", b"FFFFFFFFFFFFFFFF", b"8000000000000000"])
def test_a_chunk_larger_than_a_body_may_be_is_refused(connection, size):
    connection.sendall(chunks(size + b"\r\n{}"))
    assert_hung_up_on(connection, 413)


@pytest.mark.parametrize("length", ["1001", "9223372036854775808", "9999999999999999999"])
def test_a_length_larger_than_a_body_may_be_is_refused(connection, length):
    connection.sendall(info(f"Content-Length: {length}", body=b"{}"))
    assert_hung_up_on(connection, 413)


@pytest.mark.parametrize(
    "text",
    named(
        [
            sized(),
            info(f"content-length:{len(BODY)}", body=BODY),
            info(f"Content-Length: \t{len(BODY)} \t", body=BODY),
            info(f"Content-Length: {len(BODY):019}", body=BODY),
            chunks(in_chunks()),
            info("transfer-encoding:CHUNKED", body=in_chunks()),
            chunks(b"000000000000001d\r\n" + BODY + b"\r\n0000000000000000\r\n\r\n"),
            chunks(b"1D\r\n" + BODY + b"\r\n0\r\n\r\n"),
            chunks(b'1d;a;b=c;d="e; f"\r\n' + BODY + b"\r\n0;last\r\n\r\n"),
            chunks(in_chunks(trailer=b"X: a\r\nContent-Length: 7\r\nTransfer-Encoding: gzip\r\nHost: other\r\n")),
            sized(BODY, "X:", "Y: a\tb", "Z!#$%&'*+-.^_`|~9: ok"),
        ]
    ),
)
def test_what_looks_odd_and_is_right_is_served(connection, text):
    connection.sendall(text + LIVENESS)
    with connection.makefile("rb") as file:
        reply = read_reply(file)
        assert (reply.status, reply.text) == (200, "[]")
        assert reply.headers["Connection"] != "close"
        assert "alive" in read_reply(file).text


def test_a_client_of_http_1_0_need_not_name_a_host(connection):
    connection.sendall(request("GET /health/liveliness HTTP/1.0"))
    assert [reply.status for reply in all_replies(connection)] == [200]


@pytest.mark.parametrize("garbage", named(["\r\rnonsense\r\n\r\n", "GET / HTTP/2.0\r\n\r\n", "\x16\x03\x01\r\n\r\n"]))
def test_a_request_followed_by_garbage_is_answered_first(connection, garbage):
    connection.sendall(sized() + garbage.encode("latin-1"))
    replies = all_replies(connection)
    assert [reply.status for reply in replies] == [200, 400]
    assert replies[-1].headers["Connection"] == "close"


# Bytes after the body.


@pytest.mark.parametrize("name", ["Authorization", "x-litellm-api-key", "API-Key", "x-api-key", "x-goog-api-key"])
def test_a_key_in_a_trailer_is_none(connection, name):
    value = f"Bearer {ADMIN_KEY}" if name == "Authorization" else ADMIN_KEY
    trailer = f"{name}: {value}\r\n".encode()
    connection.sendall(
        request(INFO, HOST, "Connection: close", CHUNKED, f"Trailer: {name}", body=in_chunks(trailer=trailer))
    )
    assert [reply.status for reply in all_replies(connection)] == [401]


def test_an_idempotency_key_in_a_trailer_is_none(connection):
    body = in_chunks(b'{"organization_alias": "twice"}', b"Idempotency-Key: trailing\r\n")
    made = request("POST /organization/new HTTP/1.1", HOST, KEY, CHUNKED, body=body)
    connection.sendall(made + made)
    with connection.makefile("rb") as file:
        first, second = read_reply(file), read_reply(file)
    assert (first.status, second.status) == (200, 200)
    assert first.body["organization_id"] != second.body["organization_id"]


def test_a_request_id_in_a_trailer_is_none(connection):
    connection.sendall(chunks(in_chunks(trailer=b"x-request-id: trailing\r\n")))
    with connection.makefile("rb") as file:
        assert read_reply(file).headers["x-request-id"] != "trailing"


def test_an_entity_tag_in_a_trailer_is_none(connection):
    with connection.makefile("rb") as file:
        body = b'{"organization_alias": "tagged"}'
        connection.sendall(
            request("POST /organization/new HTTP/1.1", HOST, KEY, f"Content-Length: {len(body)}", body=body)
        )
        line = f"PATCH /v2/organization/{read_reply(file).body['organization_id']} HTTP/1.1"
        body = in_chunks(b'{"organization_alias": "changed"}', b'If-Match: "another"\r\n')
        connection.sendall(request(line, HOST, KEY, CHUNKED, body=body))
        assert read_reply(file).status == 200


def test_a_trailer_does_not_close_the_connection(connection):
    connection.sendall(chunks(in_chunks(trailer=b"Connection: close\r\n")) + LIVENESS)
    with connection.makefile("rb") as file:
        assert [read_reply(file).status for _ in range(2)] == [200, 200]


# However it is cut into pieces.


@pytest.mark.parametrize("text", [sized(), chunks(in_chunks(trailer=b"X: a\r\n"))], ids=["length", "chunks"])
def test_a_request_is_served_wherever_it_is_cut_in_two(connection, text):
    with connection.makefile("rb") as file:
        for position in range(1, len(text)):
            connection.sendall(text[:position])
            time.sleep(0.005)  # so that it comes in two
            assert not is_answered(connection)
            connection.sendall(text[position:])
            reply = read_reply(file)
            assert (reply.status, reply.text) == (200, "[]"), position


@pytest.mark.parametrize("text", [sized(), chunks(in_chunks(trailer=b"X: a\r\n"))], ids=["length", "chunks"])
def test_requests_are_served_that_come_byte_by_byte(connection, text):
    with connection.makefile("rb") as file:
        for byte in text * 2:
            connection.sendall(bytes([byte]))
        assert [read_reply(file).text for _ in range(2)] == ["[]", "[]"]


def test_broken_chunks_are_refused_byte_by_byte(connection):
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for byte in chunks(b"2\r\n{}XX"):
            connection.sendall(bytes([byte]))
    assert_hung_up_on(connection, 400)


# One after the other.


def test_pipelined_bodies_are_kept_apart(connection):
    wrong = info("Content-Length: 1", body=b"{")
    other = sized(b'{"organizations": ["nobody", "nobody else"]}')
    connection.sendall((sized() + chunks(in_chunks()) + wrong + other + LIVENESS) * 10)
    with connection.makefile("rb") as file:
        assert [read_reply(file).status for _ in range(50)] == [200, 200, 422, 200, 200] * 10


def test_a_request_is_answered_while_the_next_one_is_still_coming(connection):
    with connection.makefile("rb") as file:
        for text in (sized(), chunks(in_chunks()), LIVENESS):
            for position in (1, len(text) // 2, len(text) - 1):
                connection.sendall(LIVENESS + text[:position])
                assert "alive" in read_reply(file).text
                assert not is_answered(connection)
                connection.sendall(text[position:])
                assert read_reply(file).status == 200


def test_nothing_is_served_after_the_request_that_was_to_be_the_last(connection):
    connection.sendall(LIVENESS + sized(BODY, "Connection: close") + sized() + LIVENESS)
    replies = all_replies(connection)
    assert [reply.status for reply in replies] == [200, 200]
    assert replies[1].headers["Connection"] == "close"


def test_nothing_is_done_after_a_refused_request(gateway, connection, server):
    body = b'{"organization_alias": "smuggled"}'
    smuggled = request("POST /organization/new HTTP/1.1", HOST, KEY, f"Content-Length: {len(body)}", body=body)
    connection.sendall(info("Content-Length: 0", CHUNKED, body=b"0\r\n\r\n") + smuggled)
    assert_hung_up_on(connection, 400)
    assert gateway.get("/health/liveliness").status == 200
    assert server.sql("SELECT count(*) FROM org.organization WHERE organization_alias = 'smuggled'") == 0


@pytest.mark.parametrize("path", ["/health/liveliness", "/openapi.json", "/nowhere", "/organization/list?limit=1"])
def test_a_reply_to_head_has_no_body_and_says_how_long_it_would_be(connection, path):
    with connection.makefile("rb") as file:
        for method in ("GET", "HEAD", "GET"):
            connection.sendall(request(f"{method} {path} HTTP/1.1", HOST, KEY))
        get, head, again = (read_reply(file, method) for method in ("GET", "HEAD", "GET"))
    assert (get.status, get.text) == (again.status, again.text)
    assert head.status == get.status
    for name in ("Content-Length", "Content-Type"):
        assert head.headers[name] == get.headers[name]


def test_a_client_that_says_no_more_gets_its_replies(gateway, connection):
    if gateway.tls:
        pytest.skip("NOT TESTED: Python's TLS can't close one direction")
    connection.sendall(sized() + chunks(in_chunks()))
    connection.shutdown(socket.SHUT_WR)
    assert [reply.text for reply in all_replies(connection)] == ["[]", "[]"]


@pytest.mark.parametrize("text", [sized(), chunks(in_chunks())], ids=["length", "chunks"])
def test_a_client_that_says_no_more_in_the_midst_of_a_request_is_told(gateway, connection, text):
    if gateway.tls:
        pytest.skip("NOT TESTED: Python's TLS can't close one direction")
    connection.sendall(text[:-1])
    connection.shutdown(socket.SHUT_WR)
    assert_hung_up_on(connection, 400)


# Waiting to be told to go on.


@pytest.mark.parametrize("length, body", [(f"Content-Length: {len(BODY)}", BODY), (CHUNKED, in_chunks())])
def test_a_client_that_waits_with_its_body_is_told_to_go_on_and_answered_once(connection, length, body):
    with connection.makefile("rb") as file:
        for _ in range(3):
            connection.sendall(info(length, "Expect: 100-continue"))
            assert read_reply(file).status == 100
            assert not is_answered(connection, 0.1)
            connection.sendall(body)
            reply = read_reply(file)
            assert (reply.status, reply.text) == (200, "[]")
            assert not is_answered(connection, 0.1)


def test_a_client_that_sends_its_body_without_waiting_is_answered_once(connection):
    text = sized(BODY, "Expect: 100-continue") + chunks(in_chunks(), "Expect: 100-continue")
    connection.sendall(text + sized(BODY, "Connection: close"))
    replies = [reply for reply in all_replies(connection) if reply.status != 100]
    assert [(reply.status, reply.text) for reply in replies] == [(200, "[]")] * 3


@pytest.mark.parametrize(
    "status, headers",
    [(413, ["Content-Length: 2000"]), (400, ["Content-Length: 2", CHUNKED]), (400, ["Content-Length: 2", "X : a"])],
)
def test_who_would_be_refused_is_not_told_to_go_on(connection, status, headers):
    connection.sendall(info(*headers, "Expect: 100-continue"))
    assert_hung_up_on(connection, status)


# Whatever was sent, others are served.


def test_it_serves_others_when_many_send_garbage(gateway):
    sent = [text.encode("latin-1") for text in REQUEST_LINES + HEADER_LINES] + CHUNKS

    def send_garbage():
        for text in sent:
            with connect(gateway) as connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(text)  # and gone, whatever the reply

    senders = [Answers(send_garbage) for _ in range(4)]
    for _ in range(10):
        reply = gateway.post("/organization/info", json.loads(BODY))
        assert (reply.status, reply.text) == (200, "[]") and reply.seconds < AT_ONCE
    for sender in senders:
        sender.get()


def test_a_client_may_hang_up_at_any_byte(gateway):
    text = chunks(in_chunks())
    for position in range(1, len(text), 3):
        with connect(gateway) as connection:
            connection.sendall(text[:position])
    with connect(gateway) as connection:
        connection.sendall(request(GET, HOST, "Connection: close"))
        assert answer(connection).startswith(b"HTTP/1.1 200 ")
