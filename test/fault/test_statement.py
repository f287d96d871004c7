"""The database is there, but a statement can't be done, or not now."""

import contextlib
import os
import secrets
import subprocess

import psycopg2
import pytest

from harness import Answers, assert_refused, on_new_organizations, slow_writes, until


def test_statement_over_its_deadline(server, gateway):
    with slow_writes(server, 20):
        reply = assert_refused(gateway.make("slow"), 504)
        assert reply.seconds < 10
    assert gateway.info("slow").status == 404
    assert gateway.make("slow").status == 200


def test_lock_held_by_somebody_else(server, gateway):
    assert gateway.make("locked").status == 200
    change = dict(organization_id="locked", organization_alias="changed")
    member = dict(organization_id="locked", member=dict(role="internal_user", user_id="u"))
    with contextlib.closing(psycopg2.connect(server.url())) as other:
        other.cursor().execute("SELECT FROM org.organization WHERE organization_id = 'locked' FOR UPDATE")
        reply = assert_refused(gateway.ask("PATCH", "/organization/update", change))
        assert reply.seconds < 10
        assert "detail" in reply.body
        assert "error" in assert_refused(gateway.post("/organization/member_add", member)).body
        assert gateway.info("locked").status == 200
    assert gateway.ask("PATCH", "/organization/update", change).status == 200


@pytest.mark.parametrize("failures, status", [(2, 200), (3, 503)])
def test_serialization_failures_are_retried_twice(server, gateway, failures, status):
    name = f"fails-{failures}-times"
    server.sql("DROP SEQUENCE IF EXISTS tries", "CREATE SEQUENCE tries")
    fail = (
        f"IF nextval('public.tries') <= {failures} THEN"
        " RAISE EXCEPTION 'not now' USING ERRCODE = 'serialization_failure'; END IF"
    )
    with on_new_organizations(server, fail):
        reply = gateway.make(name)
    assert reply.status == status, reply
    assert server.sql("SELECT last_value FROM tries") == 3
    assert server.sql("SELECT count(*) FROM org.organization WHERE organization_id = %s", parameters=[name]) == (
        status == 200
    )


def test_deadlock_is_retried(server, make_gateway):
    gateway = make_gateway(server.url("org_gateway"), "--lock-timeout=20000", "--statement-timeout=30000")
    both = "PERFORM pg_advisory_xact_lock(1); PERFORM pg_advisory_xact_lock(2)"
    with on_new_organizations(server, both), contextlib.closing(psycopg2.connect(server.url())) as other:
        cursor = other.cursor()
        # It is the gateway's statement that is to notice.
        cursor.execute("SET deadlock_timeout = '1min'; SELECT pg_advisory_xact_lock(2)")
        made = Answers(lambda: gateway.make("deadlock"))
        until(lambda: server.backends("wait_event_type = 'Lock'"))
        cursor.execute("SELECT pg_advisory_xact_lock(1)")
        other.rollback()
        assert made.get().status == 200
    assert "deadlock detected" in server.log.read_text()


def test_prepared_statements_deallocated_by_somebody(server, make_gateway):
    server.sql("ALTER ROLE org LOGIN")  # in whose own calls alone triggers may do that
    gateway = make_gateway(server.url("org"))
    assert gateway.make("before").status == 200
    [pid] = server.backends("query LIKE '%org_new%'")
    with on_new_organizations(server, "EXECUTE 'DEALLOCATE ALL'"):
        assert gateway.make("at the time").status == 200
    assert gateway.make("after").status == 200
    assert "does not exist" in server.log.read_text(), "nothing was missed"
    until(lambda: pid not in server.backends(), what="the end of the connection that lost its statements")


def test_server_becomes_read_only(server, gateway):
    assert gateway.make("while writable").status == 200
    server.sql("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    try:
        until(lambda: gateway.make(secrets.token_hex(8)).status == 503, what="a refusal")
        assert_refused(gateway.make("while read-only"))
        assert gateway.info("while writable").status == 200
    finally:
        server.sql(
            "SET default_transaction_read_only = off",
            "ALTER SYSTEM RESET default_transaction_read_only",
            "SELECT pg_reload_conf()",
        )
    until(lambda: gateway.make(secrets.token_hex(8)).status == 200, what="a write")


def can_mount():
    mount = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return os.geteuid() == 0 and subprocess.run(mount, check=False).returncode == 0


def test_disk_full(make_server, make_gateway):
    if not can_mount():
        pytest.skip("NOT TESTED: a full disk takes root, who may mount one")
    server = make_server(small_disk="16m")
    server.sql(
        f"CREATE TABLESPACE small LOCATION '{server.directory}/disk'",
        "ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE small",
        "ALTER INDEX ALL IN TABLESPACE pg_default SET TABLESPACE small",
        "CREATE TABLE filling (junk text) TABLESPACE small",
    )
    gateway = make_gateway(server.url("org_gateway"))
    assert gateway.make("before").status == 200
    for rows in 1000, 100, 10, 1:
        with contextlib.suppress(psycopg2.errors.DiskFull):
            while True:
                server.sql(f"INSERT INTO filling SELECT repeat('-', 1000) FROM generate_series(1, {rows})")

    def make_large(name):
        """Needs more room than what may be left here and there."""
        metadata = dict(noise=secrets.token_hex(30_000))
        return gateway.post(
            "/organization/new", dict(organization_id=name, organization_alias=name, metadata=metadata)
        )

    assert_refused(make_large("without room"))
    assert "No space left on device" in server.log.read_text()
    assert gateway.info("before").status == 200
    assert gateway.info("without room").status == 404
    server.sql("DROP TABLE filling")
    assert make_large("with room").status == 200
