"""The database is away: stopped, killed, not there yet, without a place for more connections."""

import contextlib
import os
import random
import signal
import threading
import time

import psycopg2
import pytest

from harness import PATIENCE, RESUMED, Answers, Line, at_once, assert_in_doubt, assert_refused, slow_writes, until


def assert_resumes(gateway, name):
    """Ready, and what is asked is done."""
    took, _ = until(gateway.is_ready, RESUMED, "readiness")
    reply = gateway.make(name)
    assert reply.status == 200, reply
    print(f"resumed after {took:.2f} s")


def ask_all_ways(gateway):
    """By both envelopes and methods, and those that go to the database in batches."""
    return [
        gateway.get("/organization/list"),
        gateway.make("anything"),
        gateway.post("/organization/member_add", dict(organization_id="o", member=dict(role="user", user_id="u"))),
        gateway.post("/usage/reserve", dict(key="sk-x", model="m", request_id="r", max_cost=1)),
        gateway.get("/events"),
        gateway.get("/health/readiness"),
    ]


def test_database_stopped(server, gateway):
    server.stop()
    for reply in ask_all_ways(gateway):
        assert_refused(reply)
    started = time.monotonic()
    for _ in range(50):
        assert_refused(gateway.get("/organization/list"))
    assert time.monotonic() - started < 20, "refused one by one, but slowly"
    server.start()
    assert_resumes(gateway, "after stop")
    assert gateway.get("/health/liveliness").status == 200


def test_database_restarted_immediately_under_load(server, gateway):
    stop = threading.Event()
    replies = []

    def work(number):
        made = 0
        while not stop.is_set():
            made += 1
            replies.append(random.choice([gateway.make, gateway.info])(f"load-{number}-{made}"))
            time.sleep(0.01)

    workers = [Answers(lambda number=number: work(number)) for number in range(8)]
    for _ in range(3):
        time.sleep(0.5)
        server.restart("immediate")
        assert_resumes(gateway, f"after restart {time.monotonic()}")
    stop.set()
    for worker in workers:
        worker.get()
    assert {reply.status for reply in replies} <= {200, 404, 503}, {reply.status for reply in replies}
    for reply in replies:
        if reply.status == 503:
            assert_refused(reply)
    assert max(reply.seconds for reply in replies) < PATIENCE / 2
    print(f"{len(replies)} answers, {sum(reply.status == 503 for reply in replies)} of them 503")


def test_gateway_started_before_the_database(server, make_gateway):
    server.stop()
    gateway = make_gateway(server.url("org_gateway"), ready=False)
    until(lambda: answers(gateway), what="the gateway")
    assert_refused(gateway.make("too early"))
    assert_refused(gateway.get("/health/readiness"))
    server.start()
    assert_resumes(gateway, "after the start")


def answers(gateway):
    with contextlib.suppress(OSError):
        return gateway.get("/health/liveliness").status == 200


def test_out_of_connections(make_server, make_gateway):
    server = make_server(settings=dict(max_connections=12))
    others = []
    try:
        with pytest.raises(psycopg2.OperationalError, match="slots"):
            while True:
                others.append(psycopg2.connect(server.url("org_gateway")))
        gateway = make_gateway(server.url("org_gateway"), ready=False)
        until(lambda: answers(gateway), what="the gateway")
        for reply in ask_all_ways(gateway):
            assert_refused(reply)
        for _ in range(2):
            others.pop().close()
        assert_resumes(gateway, "with two connections")
        replies = at_once([lambda: gateway.get("/organization/list")] * 40)
        assert [reply.status for reply in replies] == [200] * 40, "they share what there is"
        assert len(server.backends()) == 2
    finally:
        for other in others:
            other.close()
    until(lambda: at_once([lambda: gateway.get("/organization/list")] * 10) and len(server.backends()) > 2)


def test_server_hangs_and_nothing_gets_through(server, make_gateway):
    with contextlib.closing(Line(server)) as line:
        gateway = make_gateway(line.url())
        line.frozen = True
        first = assert_refused(gateway.get("/organization/list"))
        assert first.seconds < PATIENCE / 2
        replies = at_once([lambda: gateway.make("frozen")] * 20)
        for reply in replies:
            assert_refused(reply)
            assert reply.seconds < PATIENCE / 2
        assert_refused(gateway.get("/health/readiness"))
        line.frozen = False
        assert_resumes(gateway, "after the frost")


def test_backend_hangs(server, gateway):
    """As one does whose disk does not answer: no deadline of the server's ends its statement."""
    with slow_writes(server, 1):
        slow = Answers(lambda: gateway.make("hanging"))
        _, [pid] = until(lambda: server.backends("state = 'active' AND wait_event = 'PgSleep'"))
        os.kill(pid, signal.SIGSTOP)
        try:
            assert_in_doubt(slow.get())
            assert gateway.get("/organization/list").status == 200
        finally:
            os.kill(pid, signal.SIGCONT)
    assert_resumes(gateway, "after the hang")


def test_backend_terminated_in_the_middle(server, gateway):
    with slow_writes(server, 1):
        slow = Answers(lambda: gateway.make("terminated"))
        until(lambda: server.backends("wait_event = 'PgSleep'"))
        server.terminate_backends()
        assert_in_doubt(slow.get())
    reply = gateway.info("terminated")
    assert reply.status == 404, reply
    assert_resumes(gateway, "terminated")
