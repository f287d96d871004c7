"""Gateways that maintain the tables: they tell what the database does, and no failure of it ends a gateway."""

import contextlib
import time

import pytest

from harness import ADMIN_KEY, PATIENCE, RESUMED, until

DONE = "tables maintained"
FAILED = "tables not maintained, trying again"
NEVER_AGAIN = 3_600_000  # milliseconds
SOON = 100


def steps(gateway):
    """In the words of the database."""
    return [line["step"] for line in gateway.logged(DONE)]


def maintaining(interval=SOON, key=ADMIN_KEY):
    """A gateway's options for it."""
    return ["--maintain", f"--maintain-key={key}", f"--maintain-interval={interval}"]


@pytest.fixture
def make_maintainer(server, make_gateway):
    def make(ready=True, **more):
        return make_gateway(server.url("org_gateway"), *maintaining(**more), ready=ready)

    return make


OLD = "event_until_2020_01_01"


def add_old_partition(server):
    """Of the events, below the first one; it is due to be dropped."""
    server.sql(
        f"""DO $$
            DECLARE
                first  record;
            BEGIN
                SELECT name, ends_at INTO first FROM org.partition WHERE of_table = 'org.event' ORDER BY ends_at LIMIT 1;
                EXECUTE format('ALTER TABLE org.event DETACH PARTITION org.%I', first.name);
                EXECUTE format('ALTER TABLE org.event ATTACH PARTITION org.%I FOR VALUES FROM (%L) TO (%L)',
                               first.name, '2020-01-01 00:00+00', first.ends_at);
                CREATE TABLE org.{OLD} PARTITION OF org.event FOR VALUES FROM (MINVALUE) TO ('2020-01-01 00:00+00');
            END $$""",
        f"ALTER TABLE org.{OLD} OWNER TO org",
    )
    assert has_old_partition(server)
    server.sql("SELECT org_retention_update(event_days => 1000)")


def has_old_partition(server):
    return server.sql(f"SELECT to_regclass('org.{OLD}') IS NOT NULL")


@contextlib.contextmanager
def instead(server, does):
    """org_maintain() does this. Its calls are counted, those that fail as well."""
    real = server.sql("SELECT pg_get_functiondef('org_maintain'::regproc)")
    server.sql(
        "CREATE SEQUENCE call_number",
        "CREATE OR REPLACE FUNCTION org_maintain(api_key text DEFAULT NULL) RETURNS json LANGUAGE plpgsql"
        " SECURITY DEFINER SET search_path = public AS $$"
        f" DECLARE number bigint := nextval('call_number'); BEGIN {does} END$$",
    )
    try:
        yield lambda: server.sql("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM call_number")
    finally:
        server.sql(real, "DROP SEQUENCE call_number")


def part(is_complete):
    """A reply with one step, which is named by the number of the call."""
    return (
        "RETURN json_build_object('steps', json_build_array(json_build_object('step', 'part ' || number, 'of', 7)),"
        f" 'is_complete', {is_complete});"
    )


def test_a_partition_that_is_due_is_dropped(server, make_maintainer):
    add_old_partition(server)
    gateway = make_maintainer(interval=NEVER_AGAIN)
    until(lambda: "partition_dropped" in steps(gateway), what="the step in the log")
    told = gateway.logged(DONE)[-1]
    assert list(told) == ["time", "level", "message", "step", "table", "name"]
    assert list(told.values())[1:] == ["info", DONE, "partition_dropped", "org.event", OLD]
    assert not has_old_partition(server)


def test_calls_again_at_once_until_it_is_complete(server, make_maintainer):
    with instead(server, part("number >= 5")) as calls:
        gateway = make_maintainer(interval=NEVER_AGAIN)
        until(lambda: len(steps(gateway)) == 5, what="each step")
        assert steps(gateway) == [f"part {number}" for number in range(1, 6)]
        assert gateway.logged(DONE)[0]["of"] == 7
        time.sleep(1)
        assert calls() == 5


def test_calls_again_after_the_interval(server, make_maintainer):
    with instead(server, "RETURN '{\"steps\": [], \"is_complete\": true}';") as calls:
        start = time.monotonic()
        gateway = make_maintainer(interval=500)
        until(lambda: calls() >= 4)
        assert time.monotonic() - start >= 1.5
        assert not gateway.logged(DONE) and not gateway.logged(FAILED)


def test_a_failure_is_told_once(server, make_maintainer):
    fails = "IF number % 4 <> 0 THEN RAISE lock_not_available USING MESSAGE = 'org.usage is in use'; END IF;"
    with instead(server, fails + part("true")):
        gateway = make_maintainer()
        until(lambda: len(steps(gateway)) >= 2, what="what was done in the end")
        assert steps(gateway)[:2] == ["part 4", "part 8"]
        gateway.process.terminate()
        assert gateway.process.wait(PATIENCE) == 0
    messages = gateway.logged(DONE, FAILED)
    assert [line["message"] for line in messages][:4] == [FAILED, DONE] * 2
    assert messages[0]["level"] == "warning" and "55P03: org.usage is in use" in messages[0]["error"]


@pytest.mark.parametrize("key, reason", [("sk-stranger", "Only proxy admins can"), ("sk-nobody", "28000")])
def test_a_key_that_may_not_is_told_and_not_shown(server, make_maintainer, key, reason):
    if key == "sk-stranger":
        server.sql(
            "SELECT user_new(user_id => 'stranger', auto_create_key => false)",
            "SELECT key_generate(user_id => 'stranger', key => 'sk-stranger')",
        )
    gateway = make_maintainer(key=key)
    until(lambda: gateway.logged(FAILED), what="a word in the log")
    time.sleep(1)
    assert len(gateway.logged(FAILED)) == 1
    assert reason in gateway.logged(FAILED)[0]["error"]
    assert key not in gateway.told()
    assert gateway.is_ready()


def test_an_extension_without_the_function(server, make_maintainer):
    function = "FUNCTION org_maintain(text)"
    server.sql(f"ALTER EXTENSION pg_org DROP {function}", f"ALTER {function} RENAME TO org_maintain_later")
    gateway = make_maintainer()
    until(lambda: gateway.logged(FAILED), what="a word in the log")
    assert gateway.logged(FAILED)[0]["error"] == "extension pg_org has no function org_maintain"
    assert gateway.make("without").status == 200
    server.sql(
        "ALTER FUNCTION org_maintain_later(text) RENAME TO org_maintain", f"ALTER EXTENSION pg_org ADD {function}"
    )
    with instead(server, part("true")):
        until(lambda: steps(gateway), RESUMED, "the function")
    assert len(gateway.logged(FAILED)) == 1


def test_a_function_that_is_not_granted(server, make_maintainer):
    server.sql("REVOKE EXECUTE ON FUNCTION org_maintain FROM org_gateway")
    gateway = make_maintainer()
    until(lambda: gateway.logged(FAILED), what="a word in the log")
    assert "permission denied for function org_maintain" in gateway.logged(FAILED)[0]["error"]
    assert gateway.make("not granted").status == 200
    server.sql("SELECT org_grant_access('org_gateway')")
    with instead(server, part("true")):
        until(lambda: steps(gateway), RESUMED, "the grant")


def test_the_database_comes_later_and_restarts(server, make_maintainer):
    with instead(server, part("true")) as calls:
        server.stop()
        gateway = make_maintainer(ready=False)
        time.sleep(1)
        server.start()
        until(lambda: steps(gateway), RESUMED, "the first step")
        for mode in ["fast", "immediate"]:
            told = len(gateway.logged(FAILED))
            server.stop(mode)
            time.sleep(2)
            assert 1 <= len(gateway.logged(FAILED)) - told <= 4, "once for each reason"
            server.start()
            before = calls()
            until(lambda: calls() > before + 1, RESUMED, "further calls")  # pylint: disable=cell-var-from-loop


def test_the_database_fails_over(make_server, make_gateway):
    old = make_server()
    new = make_server(origin=old.url(), standby=True)
    either = (
        f"postgresql://org_gateway@/fault?host={old.directory},{new.directory}&port={old.port},{new.port}"
        "&target_session_attrs=read-write"
    )
    gateway = make_gateway(either, *maintaining())
    old.stop("immediate")
    until(lambda: gateway.logged(FAILED), what="a word in the log")
    new.sql("SELECT pg_promote()")
    until(lambda: not new.sql("SELECT pg_is_in_recovery()"), what="the promotion")
    add_old_partition(new)
    until(lambda: "partition_dropped" in steps(gateway), RESUMED, "the new primary's maintenance")
    assert not has_old_partition(new)


def test_stops_between_calls(make_maintainer):
    gateway = make_maintainer(interval=NEVER_AGAIN)
    gateway.process.terminate()
    start = time.monotonic()
    assert gateway.process.wait(PATIENCE) == 0
    assert time.monotonic() - start < 2


def test_stops_after_the_call_under_way(server, make_maintainer):
    with instead(server, "PERFORM pg_sleep(1);" + part("false")) as calls:
        gateway = make_maintainer(interval=NEVER_AGAIN)
        until(calls)
        gateway.process.terminate()
        assert gateway.process.wait(PATIENCE) == 0
        assert len(steps(gateway)) == calls() <= 2
