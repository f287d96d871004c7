"""One key, or before it is known one address, leaves to others half of what all share; the slow hold up nobody."""

import contextlib
import itertools
import re
import ssl
import time

import pytest

from harness import ADMIN_KEY, PATIENCE, Answers, locked, slow_writes, until
from raw import (
    AT_ONCE, LIVENESS, answer, connect, connect_and_use, connections, is_answered, next_answer, post, read_reply,
    request,
)  # fmt: skip

# No request is refused for having waited, on any machine.
PATIENT = [
    "--lock-timeout=50000", "--statement-timeout=55000", "--pool-timeout=50000", "--request-timeout=50000",
]  # fmt: skip
LOCK_WAIT = "wait_event_type = 'Lock'"


class Tenant:
    """An organization, and a key that only its programs use."""

    def __init__(self, gateway, name):
        self.gateway = gateway
        self.name = name
        self.key = f"sk-{name}"
        if gateway.info(name).status != 200:
            assert gateway.make(name).status == 200
            made = gateway.post("/key/generate", dict(user_id="default_user_id", key=self.key))
            assert made.status == 200, made
        assert self.info().status == 200

    def info(self, **more):
        return self.gateway.info(self.name, key=self.key, **more)

    def update(self, **more):
        body = dict(organization_id=self.name, tags=["done"])
        return self.gateway.ask("PATCH", "/organization/update", body, key=self.key, **more)


def waiting(server):
    return len(server.backends(LOCK_WAIT))


def settled(server):
    """How many wait for locks, once there are no more to come, of which nothing tells."""
    until(lambda: waiting(server))
    time.sleep(1)
    return waiting(server)


def assert_served_at_once(ask, times=5):
    for _ in range(times):
        reply = ask()
        assert reply.status == 200 and reply.seconds < AT_ONCE, reply


def ask_readiness(gateway):
    return gateway.get("/health/readiness")


@pytest.mark.parametrize(
    "options",
    [["--pool-size=4", "--threads=64"], ["--pool-size=2", "--threads=64"], ["--pool-size=20", "--threads=4"]],
    ids=["4 database connections", "2 database connections", "4 workers"],
)
def test_one_key_leaves_half_to_the_others(server, make_gateway, options):
    gateway = make_gateway(server.url("org_gateway"), *PATIENT, *options)
    greedy, modest = Tenant(gateway, "greedy"), Tenant(gateway, "modest")
    with locked(server, "greedy") as holder:
        slow = [Answers(greedy.update) for _ in range(20)]
        settled(server)
        assert_served_at_once(modest.info)
        assert_served_at_once(modest.update)
        assert_served_at_once(lambda: ask_readiness(gateway))
        holder.rollback()
    assert [one.get().status for one in slow] == [200] * 20


@pytest.mark.parametrize("options", [["--pool-size=4"], ["--threads=4", "--pool-size=20"]])
def test_one_key_from_many_addresses_leaves_half_to_the_others(server, make_gateway, options):
    gateway = make_gateway(server.url("org_gateway"), *PATIENT, *options)
    greedy, modest = Tenant(gateway, "greedy"), Tenant(gateway, "modest")
    addresses = [f"127.0.0.{number}" for number in range(2, 22)]
    with locked(server, "greedy") as holder:
        slow = [Answers(lambda address=address: greedy.update(source=address)) for address in addresses]
        settled(server)
        assert_served_at_once(modest.info)
        holder.rollback()
    assert [one.get().status for one in slow] == [200] * len(addresses)


def test_one_key_that_asks_again_and_again_leaves_half_to_the_others(server, make_gateway):
    gateway = make_gateway(server.url("org_gateway"), *PATIENT, "--pool-size=4", "--threads=16")
    modest = Tenant(gateway, "modest")
    greedy = gateway.post("/key/generate", dict(user_id="default_user_id")).body["key"]
    over = False

    def write():
        statuses = set()
        while not over:
            statuses.add(gateway.post("/organization/new", dict(organization_alias="slow"), key=greedy).status)
        return statuses

    with slow_writes(server, AT_ONCE + 1):  # longer than anybody else is to wait
        writers = [Answers(write) for _ in range(7)]  # fewer than half of the threads
        until(lambda: server.backends("wait_event = 'PgSleep'"))
        start = time.monotonic()
        while time.monotonic() - start < AT_ONCE:
            assert_served_at_once(modest.info, 1)
            assert_served_at_once(lambda: ask_readiness(gateway), 1)
            time.sleep(0.1)
        over = True
        for writer in writers:
            assert writer.get() == {200}


def test_readiness_has_a_database_connection_of_its_own(server, make_gateway):
    gateway = make_gateway(server.url("org_gateway"), *PATIENT, "--pool-size=2")
    tenants = [Tenant(gateway, name) for name in ("greedy", "modest", "third")]
    with contextlib.ExitStack() as stack:
        holders = [stack.enter_context(locked(server, tenant.name)) for tenant in tenants]
        slow = [Answers(tenant.update) for tenant in tenants * 3]
        until(lambda: waiting(server) == 2)
        assert_served_at_once(lambda: ask_readiness(gateway))
        for holder in holders:
            holder.rollback()
    assert [one.get().status for one in slow] == [200] * len(slow)


def test_alone_a_key_is_served_whatever_it_asks(server, make_gateway):
    gateway = make_gateway(server.url("org_gateway"), *PATIENT, "--pool-size=1", "--threads=1")
    greedy = Tenant(gateway, "greedy")
    asked = [Answers(greedy.update) for _ in range(10)]
    assert [one.get().status for one in asked] == [200] * 10


@contextlib.contextmanager
def keys_locked(server):
    """Nobody's key can be looked up."""
    with contextlib.closing(server.connect()) as holder:
        holder.autocommit = False
        holder.cursor().execute("LOCK TABLE org.api_key IN ACCESS EXCLUSIVE MODE")
        yield holder


@pytest.mark.parametrize("options", [["--pool-size=4"], ["--threads=4", "--pool-size=20"]])
def test_many_made_up_keys_of_one_address_have_one_share(server, make_gateway, options):
    gateway = make_gateway(server.url("org_gateway"), *PATIENT, *options)
    made_up = (f"sk-made-up-{number}" for number in itertools.count())
    with keys_locked(server) as holder:
        guesses = [
            Answers(lambda key=key: gateway.get("/organization/list", key=key, source="127.0.0.2"))
            for key in itertools.islice(made_up, 20)
        ]
        before = settled(server)
        other = Answers(lambda: gateway.get("/organization/list?limit=1"))
        until(lambda: waiting(server) > before, AT_ONCE, "the other address's turn")
        assert_served_at_once(lambda: ask_readiness(gateway))
        holder.rollback()
    assert [one.get().status for one in guesses] == [401] * 20
    assert other.get().status == 200


# Places for waiting on events: a quarter of the threads, so 4 of 16.


def wait_for_events(gateway, key, after, accept="application/json"):
    connection = connect(gateway)
    line = f"GET /events?wait=30&after={after} HTTP/1.1"
    connection.sendall(request(line, "Host: gateway", f"Authorization: Bearer {key}", f"Accept: {accept}"))
    return connection


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_one_key_leaves_half_of_the_places_for_waiting(server, make_gateway, accept):
    gateway = make_gateway(server.url("org_gateway"), "--threads=16")
    greedy, modest = (gateway.post("/key/generate", dict(user_id="default_user_id")).body["key"] for _ in range(2))
    for key in (greedy, modest):
        assert gateway.get("/organization/list?limit=1", key=key).status == 200
    last = gateway.get("/events?limit=1000").body[-1]["event_id"]
    with contextlib.ExitStack() as stack:
        waiters = [stack.enter_context(wait_for_events(gateway, greedy, last, accept)) for _ in range(8)]
        time.sleep(1)  # for each to be refused or to wait, of which only the former tells
        refused = [waiter for waiter in waiters if is_answered(waiter)]
        statuses = []
        for waiter in refused:
            with waiter.makefile("rb") as file:
                statuses.append(file.readline().split()[1])
        assert statuses.count(b"503") >= 4  # a stream has begun to be answered
        assert len(waiters) - statuses.count(b"503") >= 1
        reply = gateway.get(f"/events?wait=1&after={last}", key=modest)
        assert (reply.status, reply.text) == (200, "[]") and reply.seconds < 1 + AT_ONCE


# The slow.


def test_it_is_alive_when_all_workers_and_places_are_taken(server, make_gateway):
    gateway = make_gateway(server.url("org_gateway"), *PATIENT, "--threads=2", "--max-waiting=2", "--pool-size=2")
    tenants = [Tenant(gateway, name) for name in ("greedy", "modest", "third", "fourth")]
    with connect(gateway) as kept, contextlib.ExitStack() as stack:
        holders = [stack.enter_context(locked(server, tenant.name)) for tenant in tenants]
        slow = [Answers(tenant.update) for tenant in tenants * 5]
        until(lambda: any(one.result and one.result.status == 503 for one in slow))
        for path in ("/health/liveliness", "/health/liveness", "/"):
            assert_served_at_once(lambda path=path: gateway.get(path))
        kept.sendall(LIVENESS)
        next_answer(kept)
        for holder in holders:
            holder.rollback()
    statuses = [one.get().status for one in slow]
    assert set(statuses) == {200, 503} and statuses.count(200) >= 2, statuses
    until(lambda: tenants[0].info().status == 200)


LARGE_LIST = 160


@pytest.fixture(scope="module")
def large_list(server):
    """More than any socket's buffers take in."""
    server.sql(
        "SELECT count(org_new(organization_alias => 'large ' || number,"
        " metadata => json_build_object('noise', repeat('x', 50000))::jsonb))"
        f" FROM generate_series(1, {LARGE_LIST}) AS number"
    )
    line = f"GET /organization/list?org_alias=large&limit={LARGE_LIST} HTTP/1.1"
    return request(line, "Host: gateway", f"Authorization: Bearer {ADMIN_KEY}", "Connection: close")


SMALL_BUFFER = 4 << 10


def test_readers_who_read_nothing_hold_no_worker(server, make_gateway, transport, large_list):
    options = ["--threads=4", "--pool-size=4", "--pool-timeout=30000", "--statement-timeout=20000"]
    gateway = make_gateway(server.url("org_gateway"), *options, *transport)
    assert gateway.get("/organization/list?limit=1").status == 200
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(connect_and_use(gateway, receive_buffer=SMALL_BUFFER)) for _ in range(10)]
        for reader in readers:
            reader.sendall(large_list)
        for reader in readers:
            assert is_answered(reader, PATIENCE)
        for path in ("/organization/list?limit=1", "/health/readiness", "/health/liveliness"):
            assert_served_at_once(lambda path=path: gateway.get(path))


def test_a_reply_that_nobody_takes_is_given_up(server, make_gateway, transport, large_list):
    gateway = make_gateway(server.url("org_gateway"), "--request-timeout=1000", *transport)
    with connections(gateway, 1, receive_buffer=SMALL_BUFFER) as (reader,):
        reader.sendall(large_list)
        until(lambda: '"route":"/organization/list"' in gateway.told(), what="the end of it")
        text = answer(reader)
    length = int(re.search(rb"Content-Length: (\d+)", text)[1])
    assert len(text) < length


def test_a_reader_who_is_slow_gets_it_all(server, make_gateway, transport, large_list):
    options = ["--threads=4", "--request-timeout=20000", "--pool-timeout=20000"]
    gateway = make_gateway(server.url("org_gateway"), *options, *transport)
    with connections(gateway, 5, receive_buffer=SMALL_BUFFER) as readers:
        for reader in readers:
            reader.sendall(large_list)
        time.sleep(1)
        for reader in readers:
            with reader.makefile("rb") as file:
                reply = read_reply(file)
                assert reply.status == 200
                assert reply.text.count('"organization_alias":"large ') == LARGE_LIST
                assert file.read() == b""


def test_bodies_that_come_slowly_hold_no_worker(server, make_gateway, transport):
    gateway = make_gateway(server.url("org_gateway"), "--threads=4", "--request-timeout=40000", *transport)
    body = '{"organization_alias": "slowly"}'
    text = post(body, f"Content-Length: {len(body)}\r\nConnection: close\r\n")
    with connections(gateway, 16) as writers:
        for writer in writers:
            writer.sendall(text[: -len(body)])
        for byte in body[:-1]:
            for writer in writers:
                writer.sendall(byte.encode())
            assert_served_at_once(lambda: gateway.get("/organization/list?limit=1"), 1)
        for writer in writers:
            writer.sendall(body[-1:].encode())
        for writer in writers:
            assert answer(writer).startswith(b"HTTP/1.1 200 ")


def test_half_a_pipelined_request_holds_no_worker(server, make_gateway, transport):
    gateway = make_gateway(server.url("org_gateway"), "--threads=4", "--request-timeout=40000", *transport)
    with connections(gateway, 16) as halves:
        for half in halves:
            half.sendall(LIVENESS + post("{", "Content-Length: 2\r\n"))
            next_answer(half)
        assert_served_at_once(lambda: gateway.get("/organization/list?limit=1"))


def test_a_connection_that_asks_without_end_does_not_starve_others(server, make_gateway, transport):
    gateway = make_gateway(server.url("org_gateway"), "--threads=2", *transport)
    ask = request("GET /organization/list?limit=1 HTTP/1.1", "Host: gateway", f"Authorization: Bearer {ADMIN_KEY}")
    with connections(gateway, 4) as askers:
        for asker in askers:
            asker.setblocking(False)

        def ask_more():
            for asker in askers:
                with contextlib.suppress(BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    for _ in range(100):
                        asker.send(ask)

        for _ in range(10):
            ask_more()  # and read nothing
            assert_served_at_once(lambda: gateway.get("/organization/list?limit=1"), 1)
