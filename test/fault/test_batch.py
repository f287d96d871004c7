"""Requests that go to the database together, while somebody holds what some of them need."""

import contextlib

import psycopg2
import pytest

from harness import Answers, assert_refused, at_once, until

LOCK_TIMEOUT = 4  # seconds, in which a slow machine starts the clients of a test


@pytest.fixture(scope="module")
def organizations(server):
    """Two of them, the names of their keys being sk- and theirs."""
    for name in ("held", "free"):
        server.sql(
            "SELECT org_new(%(name)s, %(name)s)",
            "SELECT key_generate(organization_id => %(name)s, key => 'sk-' || %(name)s)",
            parameters=dict(name=name),
        )


@pytest.fixture
def start(server, make_gateway, organizations):
    """Starts a gateway that waits for locks as long as these tests say."""
    timeouts = [f"--lock-timeout={LOCK_TIMEOUT * 1000}", "--statement-timeout=20000"]
    return lambda: make_gateway(server.url("org_gateway"), *timeouts)


@contextlib.contextmanager
def holding(server, statement):
    """Holds what the statement locks, as somebody does who has left a transaction open."""
    with contextlib.closing(psycopg2.connect(server.url())) as holder:
        holder.cursor().execute(statement)
        yield


HOLDS = {
    "organization": "SELECT FROM org.organization WHERE organization_id = 'held' FOR UPDATE",
    "change": "SELECT org_update('held', organization_alias => 'changed')",
}


def reserve(gateway, organization, **more):
    return gateway.post("/usage/reserve", dict(key=f"sk-{organization}", model="m", **more))


def settle(gateway, organization, request_id):
    reservation_id = f"{len(organization)}.{organization}.{request_id}"
    return gateway.post("/usage/settle", dict(reservation_id=reservation_id, cost=0))


def is_waited_for(server, function="usage_reserve_many"):
    return server.backends(f"wait_event_type = 'Lock' AND query LIKE '%{function}%'")


@pytest.mark.parametrize("held_by", HOLDS)
def test_held_organization_holds_up_nobody_else(server, start, held_by):
    gateway = start()
    with holding(server, HOLDS[held_by]):
        held = [Answers(lambda: reserve(gateway, "held")) for _ in range(6)]
        until(lambda: is_waited_for(server))
        free = at_once([lambda: reserve(gateway, "free") for _ in range(12)])
        more = [reserve(gateway, "free") for _ in range(5)]
        assert is_waited_for(server), "it took too long to say anything"
        assert [reply.status for reply in free + more] == 17 * [200]
        for reply in [answers.get() for answers in held]:
            assert_refused(reply)
            assert LOCK_TIMEOUT * 0.95 < reply.seconds < LOCK_TIMEOUT * 2 + 3, reply
    assert reserve(gateway, "held").status == 200


def test_settlements_wait_alone_too(server, start):
    gateway = start()
    for organization in ("held", "free"):
        assert reserve(gateway, organization, request_id="call").status == 200
    with holding(server, HOLDS["organization"]):
        held = Answers(lambda: settle(gateway, "held", "call"))
        until(lambda: is_waited_for(server, "usage_settle_many"))
        assert settle(gateway, "free", "call").status == 200
        assert is_waited_for(server, "usage_settle_many"), "it took too long to say anything"
    assert held.get().status == 200
    assert server.sql("SELECT usage_verify()") == []


def transactions(server, prefix):
    """How many there were, and how many calls they reserved."""
    return server.sql(
        "SELECT ARRAY[count(DISTINCT xmin::text), count(*)] FROM org.reservation WHERE starts_with(request_id, %s)",
        parameters=[prefix],
    )


def test_released_requests_go_together(server, start):
    gateways = [start(), start()]
    with holding(server, HOLDS["organization"]):
        answers = [
            Answers(lambda n=n, gateway=gateway: reserve(gateway, "held", request_id=f"released {n} {gateway.port}"))
            for gateway in gateways
            for n in range(20)
        ]
        until(lambda: len(is_waited_for(server)) == 2)
        assert not [waiting for waiting in answers if not waiting.thread.is_alive()]
    assert [waiting.get().status for waiting in answers] == 40 * [200]
    calls, requests = transactions(server, "released")
    assert requests == 40
    assert calls <= 20, "each gateway has one call that waits, the rest goes together"


def test_two_gateways_on_one_organization(server, start):
    gateways = [start(), start()]

    def reserve_ten(gateway, client):
        return [reserve(gateway, "held", request_id=f"hot {gateway.port} {client} {n}").status for n in range(10)]

    replies = at_once(
        [lambda g=gateway, c=client: reserve_ten(g, c) for gateway in gateways for client in range(12)]
    )
    assert replies == 24 * [10 * [200]]
    calls, requests = transactions(server, "hot")
    assert requests == 240
    # How many go together depends on how fast these clients are: test_released_requests_go_together counts.
    assert calls < requests, "each went alone"
    assert server.sql("SELECT usage_verify()") == []
