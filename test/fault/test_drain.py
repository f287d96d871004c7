"""Stopping: what is under way is finished, clients go elsewhere, and nobody notices."""

import contextlib
import http.client
import signal
import socket
import subprocess
import time

import pytest

from harness import ADMIN_KEY, PATIENCE, Answers, Gateway, free_port, locked, until


def update(gateway, organization_id):
    return gateway.ask("PATCH", "/organization/update", dict(organization_id=organization_id, tags=["done"]))


def begin_to_stop(gateway):
    gateway.process.send_signal(signal.SIGTERM)
    until(lambda: '"message":"stopping"' in gateway.told())


def is_ready(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.closing(connection), contextlib.suppress(ConnectionRefusedError):
        connection.request("GET", "/health/readiness")
        return connection.getresponse().status == 200


def refuses_connections(gateway):
    with contextlib.suppress(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", gateway.port), PATIENCE).close()
        return False
    return True


def test_what_is_under_way_is_finished_and_nothing_new_begun(server, make_gateway):
    gateway = make_gateway(server.url("org_gateway"), "--lock-timeout=20000", "--statement-timeout=30000")
    gateway.make("draining")
    with locked(server, "draining") as holder:
        under_way = Answers(lambda: update(gateway, "draining"))
        until(lambda: server.backends("wait_event_type = 'Lock'"))
        begin_to_stop(gateway)
        until(lambda: refuses_connections(gateway))
        assert gateway.is_alive()
        holder.rollback()
    reply = under_way.get()
    assert reply.status == 200 and reply.headers["Connection"] == "close"
    assert gateway.process.wait(PATIENCE) == 0
    assert server.sql("SELECT tags FROM org.organization WHERE organization_id = 'draining'") == ["done"]


def test_it_ends_in_time_though_a_request_does_not(server, make_gateway):
    gateway = make_gateway(server.url("org_gateway"), "--lock-timeout=500", "--statement-timeout=1000")
    with socket.create_connection(("127.0.0.1", gateway.port), PATIENCE) as connection:
        connection.sendall(b"POST /organization/new HTTP/1.1\r\nHost: gateway\r\nContent-Length: 10\r\n\r\n{")
        time.sleep(0.2)  # for the gateway to read it, of which nothing tells
        begin_to_stop(gateway)
        assert gateway.process.wait(PATIENCE) == 0


def test_while_it_drains_it_serves_but_says_that_it_is_not_ready(server, make_gateway):
    gateway = make_gateway(server.url("org_gateway"), "--drain-time=3000")
    kept = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE)
    kept.request("GET", "/health/liveliness")
    assert kept.getresponse().read() == b'"I\'m alive!"'
    begin_to_stop(gateway)
    assert until(lambda: gateway.get("/health/readiness").status == 503)
    kept.request("GET", "/health/liveliness")
    reply = kept.getresponse()
    assert reply.status == 200 and reply.headers["Connection"] == "close"
    assert gateway.get("/organization/list?limit=1").status == 200
    assert gateway.process.wait(PATIENCE) == 0


def test_idle_connections_do_not_hold_it_up(server, make_gateway):
    gateway = make_gateway(server.url("org_gateway"))
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port))) for _ in range(100)]
        begin_to_stop(gateway)
        for connection in idle:
            connection.settimeout(PATIENCE)
            assert connection.recv(1) == b""
        assert gateway.process.wait(PATIENCE) == 0


def test_a_second_signal_ends_it_at_once(server, make_gateway):
    gateway = make_gateway(server.url("org_gateway"), "--drain-time=60000")
    begin_to_stop(gateway)
    until(lambda: gateway.process.send_signal(signal.SIGTERM) or gateway.process.poll() is not None)
    assert gateway.process.returncode == -signal.SIGTERM


def test_two_gateways_are_equal_peers(server, make_gateway):
    first, second = (make_gateway(server.url("org_gateway")) for _ in range(2))
    first.make("peers")
    assert second.info("peers").status == 200
    headers = dict(Idempotency_Key="peers-1")
    body = dict(organization_alias="made once")
    replies = [gateway.post("/organization/new", body, **headers) for gateway in (first, second)]
    assert replies[0].text == replies[1].text
    assert server.sql("SELECT count(*) FROM org.organization WHERE organization_alias = 'made once'") == 1
    second.ask("DELETE", "/organization/delete", dict(organization_ids=["peers"]))
    assert first.info("peers").status == 404


def test_a_port_is_shared_only_by_those_who_ask_for_it(server, make_gateway):
    gateway = make_gateway(server.url("org_gateway"))
    other = Gateway(server.url("org_gateway"), port=gateway.port, ready=False)
    assert other.process.wait(PATIENCE) == 1
    assert "can't listen on" in other.told() and "Address already in use" in other.told()


def test_a_rolling_restart_under_load_loses_no_request(server, make_gateway):
    # No request may be refused for being slow, on any machine.
    patient = ["--pool-timeout=30000", "--lock-timeout=20000", "--statement-timeout=30000"]
    options = ["--reuse-port", "--drain-time=300", *patient]
    serving = make_gateway(server.url("org_gateway"), *options)
    serving.make("rolling")
    load = subprocess.Popen(
        ["wrk", "-t2", "-c16", "-d10s", "--timeout", f"{PATIENCE}s", "-H", f"Authorization: Bearer {ADMIN_KEY}"]
        + [f"http://127.0.0.1:{serving.port}/organization/info?organization_id=rolling"],
        stdout=subprocess.PIPE,
        text=True,
    )
    while load.poll() is None:
        admin_port = free_port()
        next_one = make_gateway(
            server.url("org_gateway"), *options, f"--admin-port={admin_port}", port=serving.port, ready=False
        )
        until(lambda: is_ready(admin_port))
        begin_to_stop(serving)
        assert serving.process.wait(PATIENCE) == 0
        serving = next_one
    told = load.stdout.read()
    assert "Requests/sec" in told and "Socket errors" not in told and "Non-2xx" not in told, told
