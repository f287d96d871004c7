"""Clients that are slow, idle, large or too many: they harm themselves only."""

import contextlib
import re
import resource
import socket
import time

import pytest

from harness import Answers, assert_refused, metrics, until
from raw import AT_ONCE, LIVENESS, answer, connections, memory, next_answer, post


@pytest.fixture
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_slow_clients_delay_nobody_and_are_told(server, make_gateway):
    gateway = make_gateway(server.url("org_gateway"), "--request-timeout=2000", "--threads=4")
    request = post('{"organization_alias": "slow"}', "Content-Length: 31\r\n")
    with connections(gateway, 200) as slow:
        for number in range(8):
            for connection in slow:
                with contextlib.suppress(OSError):
                    connection.send(request[number : number + 1])
            reply = gateway.get("/organization/list?limit=1")
            assert reply.status == 200 and reply.seconds < AT_ONCE
            time.sleep(0.1)
        for connection in slow:
            assert answer(connection).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_never_ends_coming_is_given_up(server, make_gateway):
    gateway = make_gateway(server.url("org_gateway"), "--request-timeout=500")
    with connections(gateway, 1) as (connection,):
        connection.sendall(post("{", "Content-Length: 100\r\n"))
        assert answer(connection).startswith(b"HTTP/1.1 408 ")


def test_5000_idle_connections_cost_memory_only_and_little(server, make_gateway, many_files):
    gateway = make_gateway(server.url("org_gateway"))
    before = memory(gateway)
    with connections(gateway, 5000) as idle:
        reply = gateway.get("/organization/list?limit=1")
        assert reply.status == 200 and reply.seconds < AT_ONCE
        for connection in idle:
            connection.sendall(LIVENESS)
        for connection in idle:
            next_answer(connection)
        assert memory(gateway) - before < 200
        assert gateway.get("/organization/list?limit=1").status == 200


def test_an_idle_connection_is_closed_in_the_end(server, make_gateway):
    gateway = make_gateway(server.url("org_gateway"), "--idle-timeout=300")
    with connections(gateway, 2) as (silent, used):
        used.sendall(LIVENESS)
        next_answer(used)
        assert answer(silent) == b""
        assert answer(used) == b""


def test_connections_over_the_limit_are_told_to_try_again(server, make_gateway):
    gateway = make_gateway(server.url("org_gateway"), "--max-connections=5")
    until(lambda: metrics(gateway)["pg_org_connections"] == 0, what="the end of who asked whether it is ready")
    with connections(gateway, 5) as held:
        for connection in held:
            connection.sendall(LIVENESS)
            next_answer(connection)
        reply = gateway.get("/health/liveliness")
        assert_refused(reply)
        assert reply.headers["Connection"] == "close"
        held[0].sendall(LIVENESS)
        next_answer(held[0])
    until(lambda: gateway.get("/health/liveliness").status == 200)


def test_a_flood_is_refused_at_once_and_the_rest_is_served(server, make_gateway):
    gateway = make_gateway(
        server.url("org_gateway"), "--threads=2", "--max-waiting=3", "--lock-timeout=20000",
        "--statement-timeout=30000", "--pool-timeout=20000", "--request-timeout=60000",
    )
    gateway.make("flooded")
    update = dict(organization_id="flooded", tags=["wet"])
    with contextlib.closing(server.connect()) as holder:
        holder.autocommit = False
        holder.cursor().execute("SELECT FROM org.organization WHERE organization_id = 'flooded' FOR UPDATE")
        served = [Answers(lambda: gateway.ask("PATCH", "/organization/update", update)) for _ in range(5)]
        time.sleep(0.5)  # for all five to be there, of which nothing tells
        for _ in range(50):
            reply = assert_refused(gateway.get("/organization/list?limit=1"))
            assert reply.seconds < AT_ONCE
        assert gateway.get("/health/liveliness").status == 200
        holder.rollback()
    assert [one.get().status for one in served] == [200] * 5
    assert gateway.get("/organization/list?limit=1").status == 200


def test_who_waited_too_long_for_a_thread_is_told_to_try_again(server, make_gateway):
    gateway = make_gateway(
        server.url("org_gateway"), "--threads=1", "--lock-timeout=1500", "--statement-timeout=3000",
        "--request-timeout=500",
    )
    gateway.make("slow")
    with contextlib.closing(server.connect()) as holder:
        holder.autocommit = False
        holder.cursor().execute("SELECT FROM org.organization WHERE organization_id = 'slow' FOR UPDATE")
        first = Answers(lambda: gateway.ask("PATCH", "/organization/update", dict(organization_id="slow", tags=["a"])))
        until(lambda: server.backends("wait_event_type = 'Lock'"))
        assert_refused(gateway.get("/organization/list?limit=1"))
        assert_refused(first.get())


@pytest.mark.parametrize(
    "status, request_bytes",
    [
        (431, b"GET / HTTP/1.1\r\n" + b"X: %s\r\n" % (b"x" * 100) * 20 + b"\r\n"),
        (431, b"GET / HTTP/1.1\r\nX: " + b"x" * 5000),
        (414, b"GET /" + b"x" * 5000),
        (413, post("", "Content-Length: 2000\r\n")),
        (413, post("7d0\r\n" + "x" * 2000 + "\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\n")),
        (400, b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03 not by TLS\r\n\r\n"),
        (400, post("{}", "Content-Length: 2\r\nContent-Length: 3\r\n")),
        (400, post("{}", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n")),
        (400, post("{}", "Transfer-Encoding: gzip, chunked\r\n")),
        (400, post("{}", "Content-Length: 1, 1\r\n")),
    ],
)
def test_what_is_too_large_or_unclear_is_refused_and_the_connection_closed(server, make_gateway, status, request_bytes):
    gateway = make_gateway(server.url("org_gateway"), "--max-header-bytes=1024", "--max-body-bytes=1000")
    with connections(gateway, 1) as (connection,):
        connection.sendall(request_bytes)
        text = answer(connection)
        assert text.startswith(b"HTTP/1.1 %d " % status), text
        assert b"\r\nConnection: close\r\n" in text and b"\r\nx-request-id: " in text
        assert b'{"detail":{"error":' in text


def test_bodies_together_take_no_more_memory_than_they_may(server, make_gateway):
    gateway = make_gateway(server.url("org_gateway"), "--max-body-bytes=20000", "--max-buffered-bytes=40000")
    assert gateway.get("/organization/list?limit=1").status == 200
    body = dict(organization_alias="roomy", metadata=dict(noise="x" * 9000))
    with connections(gateway, 2) as held:
        for connection in held:
            connection.sendall(post("{" + " " * 17_998, "Content-Length: 18000\r\n"))
        time.sleep(0.2)  # for the gateway to read them, of which nothing tells
        assert_refused(gateway.post("/organization/new", body))
        assert gateway.get("/organization/list?limit=1").status == 200
    until(lambda: gateway.post("/organization/new", body).status == 200)


def test_pipelined_requests_are_answered_in_order(gateway):
    with connections(gateway, 1) as (connection,):
        paths = ["/", "/nowhere", "/health/liveliness"] * 20
        connection.sendall(b"".join(b"GET %s HTTP/1.1\r\nHost: gateway\r\n\r\n" % path.encode() for path in paths))
        connection.shutdown(socket.SHUT_WR)
        assert re.findall(rb"HTTP/1.1 (\d+) ", answer(connection)) == [b"200", b"404", b"200"] * 20


def test_a_client_that_waits_to_be_told_to_go_on_is_told(gateway):
    body = '{"organization_alias": "patient"}'
    with connections(gateway, 1) as (connection,):
        connection.sendall(post("", f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\nConnection: close\r\n"))
        assert next_answer(connection, b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        connection.sendall(body.encode())
        assert answer(connection).startswith(b"HTTP/1.1 200 ")


def test_a_client_of_http_1_0_is_answered_and_hung_up_on(gateway):
    with connections(gateway, 1) as (connection,):
        connection.sendall(b"GET /health/liveliness HTTP/1.0\r\n\r\n")
        text = answer(connection)
        assert text.startswith(b"HTTP/1.0 200 ") and text.endswith(b'"I\'m alive!"')
