"""Nobody can tell whether a change was done: so it must not be said to be, and be safe to ask for again."""

import contextlib
import http.client
import random
import threading
import time

from harness import Answers, Line, assert_in_doubt, assert_refused, until

COUNT = "SELECT count(*) FROM org.organization WHERE organization_alias = %s"


def make(gateway, name, **headers):
    return gateway.post("/organization/new", dict(organization_alias=name), **headers)


def test_reply_of_the_database_lost_on_the_way(server, make_gateway):
    with contextlib.closing(Line(server)) as line:
        gateway = make_gateway(line.url())
        line.breaks_after = b"lost-1"
        assert_in_doubt(make(gateway, "lost", Idempotency_Key="lost-1"))
        assert server.sql(COUNT, parameters=["lost"]) == 1, "it was done"
        again = make(gateway, "lost", Idempotency_Key="lost-1")
        assert again.status == 200, again
        assert server.sql(COUNT, parameters=["lost"]) == 1
        assert gateway.info(again.body["organization_id"]).status == 200


def test_reply_to_a_batched_call_lost_on_the_way(server, make_gateway):
    with contextlib.closing(Line(server)) as line:
        gateway = make_gateway(line.url())
        organization = make(gateway, "batched").body["organization_id"]
        key = gateway.post("/key/generate", dict(organization_id=organization)).body["key"]
        call = dict(key=key, model="m", request_id="in-doubt", max_cost=1)
        line.breaks_after = b"in-doubt"
        reply = assert_in_doubt(gateway.post("/usage/reserve", call))
        assert "same request_id" in reply.message
        assert server.sql("SELECT count(*) FROM org.reservation WHERE request_id = 'in-doubt'") == 1
        assert gateway.post("/usage/reserve", call).status == 200
        assert server.sql("SELECT count(*) FROM org.reservation WHERE request_id = 'in-doubt'") == 1


def test_reply_to_a_question_lost_on_the_way(server, make_gateway):
    with contextlib.closing(Line(server)) as line:
        gateway = make_gateway(line.url())
        line.breaks_after = b"asked-for"
        assert assert_refused(gateway.info("asked-for")).message == "The database is unavailable"
        assert gateway.info("asked-for").status == 404


def test_gateway_killed_in_the_middle(server, make_gateway):
    url = server.url("org_gateway")
    killed, other = make_gateway(url), make_gateway(url)
    outcomes = []
    for number in range(10):
        name = f"killed-{number}"
        asked = Answers(lambda name=name: make(killed, name, Idempotency_Key=name))
        time.sleep(random.uniform(0, 0.02))
        killed.kill()
        with contextlib.suppress(OSError, http.client.HTTPException):
            assert asked.get().status == 200
        outcomes.append(server.sql(COUNT, parameters=[name]))
        reply = make(other, name, Idempotency_Key=name)
        assert reply.status == 200, reply
        assert server.sql(COUNT, parameters=[name]) == 1
        killed = make_gateway(url)
    print(f"done in spite of it: {sum(outcomes)} of {len(outcomes)}")


def test_all_sorts_of_deaths_while_requests_are_repeated_until_they_are_done(server, make_gateway):
    """With the same Idempotency-Key, each is done once, and each reply is the same."""
    url = server.url("org_gateway")
    gateways = [make_gateway(url), make_gateway(url)]
    stop = threading.Event()
    done = {}
    refused = []

    def work(worker):
        number = 0
        while not stop.is_set():
            number += 1
            name = f"death-{worker}-{number}"
            gateway = gateways[worker % 2]
            done[name] = repeat(lambda: make(gateway, name, Idempotency_Key=name)).body["organization_id"]
            if number % 5 == 0:
                assert make(gateway, name, Idempotency_Key=name).status in (200, 503, 504)

    def repeat(ask):
        def attempt():
            reply = ask()
            if reply.status == 200:
                return reply
            refused.append(assert_refused(reply, 504 if reply.status == 504 else 503))
            return None

        return until(attempt)[1]

    workers = [Answers(lambda worker=worker: work(worker)) for worker in range(6)]
    deadline = time.monotonic() + 12
    deaths = 0
    while time.monotonic() < deadline:
        time.sleep(random.uniform(0, 0.1))
        deaths += 1
        if deaths % 25 == 0:
            server.restart("immediate")
        else:
            server.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'pg_org_gateway' ORDER BY state <> 'active', random() LIMIT 1"
            )
    stop.set()
    for worker in workers:
        worker.get()
    made = "FROM org.organization WHERE organization_alias LIKE 'death-%'"
    assert server.sql(f"SELECT count(*) {made}") == len(done)
    assert server.sql(f"SELECT json_object_agg(organization_alias, organization_id) {made}") == done
    in_doubt = [reply for reply in refused if "may or may not" in reply.message]
    print(f"{deaths} deaths, {len(done)} done, {len(refused)} refused, {len(in_doubt)} of them in doubt")
    assert in_doubt, "nothing was ever in doubt: then this shows nothing"
