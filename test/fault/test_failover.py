"""The primary is gone, and its standby is promoted."""

import concurrent.futures
import contextlib
import itertools
import socket

from harness import RESUMED, Line, assert_in_doubt, assert_refused, until


def test_failover_to_the_other_server_of_the_url(make_server, make_gateway):
    old = make_server()
    new = make_server(origin=old.url(), standby=True)
    either = (
        f"postgresql://org_gateway@/fault?host={old.directory},{new.directory}&port={old.port},{new.port}"
        "&target_session_attrs=read-write"
    )
    gateway = make_gateway(either)
    assert gateway.make("before").status == 200
    position = old.sql("SELECT pg_current_wal_insert_lsn()")
    until(lambda: new.sql(f"SELECT pg_last_wal_replay_lsn() >= '{position}'"))

    old.stop("immediate")
    assert_refused(gateway.make("without a primary"))
    new.sql("SELECT pg_promote()")
    took, _ = until(lambda: gateway.make("after").status == 200 and gateway.is_ready(), RESUMED, "the new primary")
    print(f"resumed {took:.2f} s after the promotion")
    assert gateway.info("before").status == 200
    assert new.sql("SELECT count(*) FROM org.organization WHERE organization_id = 'after'") == 1

    # The old primary comes back as the new one's standby, and they change places again.
    old.directory.joinpath("cluster", "standby.signal").touch()
    old.configure(primary_conninfo=new.url())
    old.start()
    position = new.sql("SELECT pg_current_wal_insert_lsn()")
    until(lambda: old.sql(f"SELECT pg_last_wal_replay_lsn() >= '{position}'"), what="the old primary as a standby")
    assert gateway.make("still at the new one").status == 200
    new.stop("fast")
    old.sql("SELECT pg_promote()")
    until(lambda: gateway.make("and back").status == 200, RESUMED, "the old primary")
    for name in ["before", "after", "still at the new one"]:
        assert gateway.info(name).status == 200, name


def test_hanging_primary_is_left_for_its_successor(make_server, make_gateway):
    """It has lost its standby and waits for it with each commit; that it is no longer the primary, only others know."""
    old = make_server(settings=dict(synchronous_standby_names="*"))
    new = make_server(origin=old.url(), standby=True)
    gateway = make_gateway(
        f"postgresql://org_gateway@/fault?host={old.directory},{new.directory}&port={old.port},{new.port}"
        "&target_session_attrs=read-write",
        "--statement-timeout=600000",
    )
    assert gateway.make("before").status == 200
    new.sql("SELECT pg_promote()")
    assert_in_doubt(gateway.make("at the former primary"))
    assert gateway.make("after").status == 200
    assert new.sql("SELECT count(*) FROM org.organization WHERE organization_id = 'after'") == 1
    assert gateway.logged("another server is the primary")

    # When the new one hangs, the former one still seems to be a primary.
    new.sql("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
    names = (f"waits for the new primary {number}" for number in itertools.count())
    with concurrent.futures.ThreadPoolExecutor() as pool:
        # Commits may go on for a moment, until all of the server's processes have read the new setting.
        _, waiting = until(lambda: unanswered(pool.submit(gateway.make, next(names))), what="a request that waits")
        new.sql("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
        assert waiting.result().status == 200


def unanswered(request, seconds=4):
    """The request, if it is not answered for so long."""
    return request if not concurrent.futures.wait([request], timeout=seconds).done else None


def test_silent_server_is_tried_last(server, make_gateway):
    """Each attempt to connect to it would take two seconds."""
    with contextlib.closing(Line(server)) as line:
        gateway = make_gateway(
            f"postgresql://org_gateway@127.0.0.1:{line.port},127.0.0.1:{server.port}/fault?sslmode=disable",
            "--statement-timeout=2500",
        )
        assert gateway.make("before").status == 200
        accepted = line.accepted
        assert accepted > 0
        line.frozen = True
        assert_in_doubt(gateway.make("silent"))
        until(lambda: gateway.make("after").status == 200, RESUMED, "the other server")
        line.frozen = False
        # Connections are accepted in the order in which they were asked for.
        with socket.create_connection(("127.0.0.1", line.port)):
            until(lambda: line.accepted > accepted, what="the last connection")
            assert line.accepted == accepted + 1


def test_repeat_waits_for_the_standby_as_the_first_request_did(make_server, make_gateway):
    """After a crash the primary has what the standby may never get; whoever sends it again must not be told that it
    was done before the standby has it."""
    primary = make_server(settings=dict(synchronous_standby_names="*"))
    standby = make_server(origin=primary.url(), standby=True)
    gateway = make_gateway(primary.url("org_gateway"))
    assert gateway.make("acme").status == 200
    secret = gateway.post("/key/generate", dict(organization_id="acme")).body["key"]

    requests = [
        lambda: gateway.make("globex", Idempotency_Key="make globex"),
        lambda: gateway.post("/usage/reserve", dict(key=secret, model="m", request_id="r", max_cost=0)),
    ]
    standby.stop("immediate")
    for request in requests:
        assert_in_doubt(request())
    primary.restart("immediate")
    until(gateway.is_ready, what="the primary")
    assert primary.sql("SELECT count(*) FROM org.organization WHERE organization_id = 'globex'") == 1
    for request in requests:
        assert_in_doubt(request())
    standby.start()
    for request in requests:
        until(lambda: request().status == 200, RESUMED, "the answer")  # pylint: disable=cell-var-from-loop


def test_refusal_waits_for_the_standby_as_a_change_does(make_server, make_gateway):
    """A former primary must not refuse what its successor has."""
    primary = make_server(settings=dict(synchronous_standby_names="*"))
    standby = make_server(origin=primary.url(), standby=True)
    gateway = make_gateway(primary.url("org_gateway"), "--statement-timeout=1000")
    alone = make_gateway(primary.url("org_gateway"), "--statement-timeout=1000", "--no-batching")
    assert gateway.make("acme").status == 200
    requests = {
        409: [lambda: gateway.make("acme")],
        404: [
            lambda: gateway.ask("DELETE", "/organization/delete", dict(organization_ids=["globex"])),
            lambda: gateway.post("/usage/settle", dict(request_id="r", cost=0)),
            lambda: alone.post("/usage/settle", dict(request_id="r", cost=0)),
            lambda: gateway.post("/usage/cancel", dict(request_id="r")),
        ],
    }
    standby.stop("immediate")
    for request in itertools.chain(*requests.values()):
        assert_in_doubt(request())
    assert gateway.info("globex").status == 404
    standby.start()
    for status, those in requests.items():
        for request in those:
            until(lambda: request().status == status, RESUMED, f"{status}")  # pylint: disable=cell-var-from-loop
