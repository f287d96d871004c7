"""Lists and info come from a standby that is not far behind: nobody notices, whatever becomes of it."""

import os
import re
import signal
import threading
import time

import pytest

from harness import DATABASE, Answers, assert_refused, until

LAG = 2.0  # seconds
FRESH = '"standby in use"'
READS = {
    "org_list": ("GET", "/organization/list"),
    "org_info": ("GET", "/organization/info?organization_id=acme"),
    "org_info_many": ("POST", "/organization/info", dict(organizations=["acme"])),
    "org_audit": ("GET", "/organization/audit?organization_id=acme"),
    "org_daily_activity": ("GET", "/organization/daily/activity?start_date=2026-01-01&end_date=2026-12-31"),
    "team_daily_activity": ("GET", "/team/daily/activity?start_date=2026-01-01&end_date=2026-12-31"),
    "user_daily_activity": ("GET", "/user/daily/activity?start_date=2026-01-01&end_date=2026-12-31"),
    "user_daily_activity_aggregated": (
        "GET",
        "/user/daily/activity/aggregated?start_date=2026-01-01&end_date=2026-12-31",
    ),
    "tag_daily_activity": ("GET", "/tag/daily/activity?start_date=2026-01-01&end_date=2026-12-31"),
    "customer_daily_activity": ("GET", "/customer/daily/activity?start_date=2026-01-01&end_date=2026-12-31"),
    "spend_report": ("GET", "/global/spend/report?start_date=2026-01-01&end_date=2026-12-31"),
    "usage_refusals": ("GET", "/usage/refusals"),
    "spend_logs": ("GET", "/spend/logs"),
    "spend_logs_ui": ("GET", "/spend/logs/ui"),
    "audit_list": ("GET", "/audit"),
    "audit_info": ("GET", "/audit/{entry}"),
    "user_info": ("GET", "/user/info?user_id=ada"),
    "user_info_v2": ("GET", "/v2/user/info?user_id=ada"),
    "user_filter": ("GET", "/user/filter/ui"),
    "user_available_roles": ("GET", "/user/available_roles"),
    "user_list": ("GET", "/user/list"),
    "team_info": ("GET", "/team/info?organization_id=acme&team_id=red"),
    "team_permissions_list": ("GET", "/team/permissions_list?team_id=red"),
    "team_available": ("GET", "/team/available"),
    "team_list": ("GET", "/team/list"),
    "team_list_v2": ("GET", "/v2/team/list"),
    "key_info": ("GET", "/key/info?key=sk-ada"),
    "key_info_many": ("POST", "/v2/key/info", dict(keys=["sk-ada"])),
    "key_list": ("GET", "/key/list"),
    "key_aliases": ("GET", "/key/aliases"),
    "key_health": ("POST", "/key/health", {}),
    "customer_info": ("GET", "/customer/info?end_user_id=cust-7"),
    "customer_list": ("GET", "/customer/list"),
    "budget_info": ("POST", "/budget/info", dict(budgets=["small"])),
    "budget_list": ("GET", "/budget/list"),
    "limit_try": ("POST", "/limit/try", dict(organization_id="acme", limit=dict(limit="cost", value=1, per="1d"))),
}


class Pair:
    """A primary and its standby, a gateway that knows both, and one that knows the primary alone."""

    def __init__(self, make_server, lag=LAG, **settings):
        self.lag = lag
        self.primary = make_server()
        settings.update(log_statement="all", wal_retrieve_retry_interval="200ms")
        self.standby = make_server(origin=self.primary.url(), standby=True, settings=settings)
        key = "SELECT key_generate(user_id => 'default_user_id', key => %s)"
        self.primary.sql(key, parameters=["sk-other"])

    def gateway(self, make_gateway):
        gateway = make_gateway(
            self.primary.url("org_gateway"),
            f"--replica-url={self.standby.url('org_gateway')}",
            f"--max-replica-lag={int(self.lag * 1000)}",
        )
        until(lambda: FRESH in gateway.told(), what="the standby's use")
        return gateway

    def asked(self, function):
        """How often the standby was, for a gateway."""
        return self.standby.log.read_text().count(f"public.{function}(")

    def rename(self, alias):
        """Behind the gateways' backs, as another gateway does."""
        self.primary.sql("SELECT org_update('acme', organization_alias => %s)", parameters=[alias])


def alias_of(reply):
    assert reply.status == 200, reply
    return reply.body["organization_alias"]


@pytest.fixture(scope="module")
def pair(make_server):
    return Pair(make_server)


@pytest.fixture
def gateway(pair, make_gateway):
    gateway = pair.gateway(make_gateway)
    gateway.make("acme")
    gateway.post("/user/new", dict(user_id="ada", auto_create_key=False))
    gateway.post("/team/new", dict(organization_id="acme", team_id="red"))
    gateway.post("/key/generate", dict(user_id="ada", key="sk-ada", organization_id="acme"))
    gateway.post("/budget/new", dict(budget_id="small", max_budget=1))
    gateway.post("/customer/new", dict(user_id="cust-7"))
    until_asked(pair, gateway)
    return gateway


def until_asked(pair, gateway, key="sk-admin"):
    """Whatever was changed before is there as well then."""

    def ask():
        before = pair.asked("org_info")
        return gateway.info("acme", key=key).status == 200 and pair.asked("org_info") > before

    until(ask, what="an answer of the standby")


def test_reads_go_to_the_standby(pair, gateway):
    entry = gateway.get("/audit").body["audit_logs"][0]["id"]
    alone = [(method, path, body[0] if body else None) for method, path, *body in READS.values()]
    for function, (method, path, body) in zip(READS, alone):
        before = pair.asked(function)
        reply = gateway.ask(method, path.replace("{entry}", entry), body)
        assert reply.status == 200, (path, reply)
        assert pair.asked(function) == before + 1, function
    assert "ERROR" not in pair.standby.log.read_text()


def test_all_else_goes_to_the_primary(pair, gateway):
    assert gateway.get("/usage/limits?key=sk-ada").status == 200
    assert gateway.get("/events").status == 200
    call = dict(key="sk-ada", model="m", request_id="r", max_cost=0)
    assert gateway.post("/usage/reserve", call).status == 200
    assert gateway.ask("PATCH", "/organization/update", dict(organization_id="acme", metadata={})).status == 200
    for function in ["usage_limits", "org_events", "usage_reserve_many", "org_update"]:
        assert pair.asked(function) == 0, function


def test_every_function_that_reads_can_do_so_on_a_standby(pair, gateway):
    """Also those that no route takes there."""
    stable = pair.standby.sql(
        "SELECT array_agg(proname::text ORDER BY proname) FROM pg_proc"
        " JOIN pg_depend ON objid = pg_proc.oid AND deptype = 'e' AND classid = 'pg_proc'::regclass"
        " WHERE provolatile = 's' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_org')"
    )
    assert set(READS) | {"usage_limits", "usage_verify", "org_retention"} == set(stable)
    for call in ["usage_limits(key => 'sk-ada')", "usage_verify()", "org_retention()"]:
        assert pair.standby.sql(f"SELECT {call}") is not None
    assert gateway.is_alive()


def test_everybody_reads_their_own_writes(make_server, make_gateway):
    pair = Pair(make_server, lag=30, recovery_min_apply_delay="300ms")
    pair.primary.sql("SELECT org_new('acme', organization_id => 'acme')")
    gateway = pair.gateway(make_gateway)
    until(lambda: gateway.info("acme", key="sk-other").status == 200)
    seen_old = 0
    for number in range(10):
        alias = f"alias {number}"
        change = dict(organization_id="acme", organization_alias=alias)
        assert gateway.ask("PATCH", "/organization/update", change).status == 200
        seen_old += alias_of(gateway.info("acme", key="sk-other")) != alias
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            assert alias_of(gateway.info("acme")) == alias
            time.sleep(0.02)
        until_asked(pair, gateway)
        assert alias_of(gateway.info("acme")) == alias
    assert seen_old, "the standby was never behind: then this shows nothing"


def test_standby_behind_by_more_than_the_lag_allowed(pair, gateway):
    pair.rename("old")
    until(lambda: alias_of(gateway.info("acme", key="sk-other")) == "old")
    pair.standby.sql("SELECT pg_wal_replay_pause()")
    try:
        until(lambda: pair.standby.sql("SELECT pg_get_wal_replay_pause_state()") == "paused")
        pair.rename("new")
        start = time.monotonic()
        first = alias_of(gateway.info("acme", key="sk-other"))
        assert first == "old" or time.monotonic() - start > LAG / 2, "the standby was not asked"
        took, _ = until(lambda: alias_of(gateway.info("acme", key="sk-other")) == "new")
        before = pair.asked("org_info")
        assert alias_of(gateway.info("acme", key="sk-other")) == "new"
        assert pair.asked("org_info") == before
        print(f"old for {took:.2f} s of {LAG}")
    finally:
        pair.standby.sql("SELECT pg_wal_replay_resume()")
    until_asked(pair, gateway)


def test_replication_cut_when_all_received_is_replayed(pair, gateway):
    """By its own account the standby is not behind at all then."""
    conninfo = pair.standby.sql("SELECT quote_literal(current_setting('primary_conninfo'))")
    pair.standby.sql("ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
    try:
        until(lambda: pair.primary.sql("SELECT count(*) FROM pg_stat_replication") == 0)
        pair.rename("unheard of")
        until(lambda: alias_of(gateway.info("acme", key="sk-other")) == "unheard of")
        assert pair.standby.sql("SELECT organization_alias FROM org.organization WHERE organization_id = 'acme'") != (
            "unheard of"
        )
    finally:
        pair.standby.sql(f"ALTER SYSTEM SET primary_conninfo = {conninfo}", "SELECT pg_reload_conf()")
    until_asked(pair, gateway)


def test_key_that_the_standby_has_not_heard_of(pair, gateway):
    pair.standby.sql("SELECT pg_wal_replay_pause()")
    try:
        until(lambda: pair.standby.sql("SELECT pg_get_wal_replay_pause_state()") == "paused")
        secret = gateway.post("/key/generate", dict(user_id="default_user_id")).body["key"]
        assert gateway.info("acme", key=secret).status == 200
    finally:
        pair.standby.sql("SELECT pg_wal_replay_resume()")


class Load:
    """Reads as fast as they go, none of which may fail."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.stop = threading.Event()
        self.replies = []
        self.workers = [Answers(self.work) for _ in range(6)]

    def work(self):
        while not self.stop.is_set():
            self.replies.append(self.gateway.info("acme", key="sk-other"))

    def end(self):
        self.stop.set()
        for worker in self.workers:
            worker.get()
        assert {reply.status for reply in self.replies} == {200}
        longest = max(reply.seconds for reply in self.replies)
        print(f"{len(self.replies)} answers, the slowest after {longest:.2f} s")


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_standby_stopped_in_the_middle(pair, gateway, mode):
    load = Load(gateway)
    time.sleep(0.3)
    pair.standby.stop(mode)
    time.sleep(0.5)
    pair.standby.start()
    until_asked(pair, gateway, key="sk-other")
    load.end()


def test_standby_hangs(pair, gateway):
    load = Load(gateway)
    until(lambda: len(pair.standby.backends()) > 2)
    processes = [pair.standby.process.pid, *pair.standby.backends()]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        time.sleep(4)
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)
    until_asked(pair, gateway, key="sk-other")
    load.end()


def test_primary_away(make_server, make_gateway):
    pair = Pair(make_server, lag=3)
    gateway = pair.gateway(make_gateway)
    gateway.make("acme")
    until_asked(pair, gateway)
    pair.primary.stop("immediate")
    assert gateway.info("acme", key="sk-other").status == 200
    assert_refused(gateway.make("not without a primary"))
    took, _ = until(lambda: gateway.info("acme", key="sk-other").status != 200)
    assert_refused(gateway.info("acme", key="sk-other"))
    print(f"still read for {took:.2f} s of 3")
    pair.primary.start()
    until_asked(pair, gateway, key="sk-other")
    until(lambda: gateway.make("with the primary").status == 200)


def test_standby_promoted_is_no_standby(make_server, make_gateway):
    pair = Pair(make_server)
    gateway = pair.gateway(make_gateway)
    gateway.make("acme")
    until_asked(pair, gateway)
    pair.standby.sql("SELECT pg_promote()")
    pair.rename("of the primary")
    pair.standby.sql("SELECT org_update('acme', organization_alias => 'of another world')")
    until(lambda: alias_of(gateway.info("acme", key="sk-other")) == "of the primary")
    before = pair.asked("org_info")
    for _ in range(10):
        assert alias_of(gateway.info("acme", key="sk-other")) == "of the primary"
    assert pair.asked("org_info") == before


def test_standby_of_another_database_is_never_asked(make_server, make_gateway):
    """A copy of the database in the same cluster, with the same keys and organizations."""
    pair = Pair(make_server)
    pair.primary.sql("SELECT org_new('original', organization_id => 'acme')")
    pair.primary.sql(f"CREATE DATABASE copy TEMPLATE {DATABASE}")
    until(lambda: pair.standby.sql("SELECT count(*) FROM pg_database WHERE datname = 'copy'"))
    gateway = make_gateway(
        pair.primary.url("org_gateway"),
        f"--replica-url={pair.standby.url('org_gateway', database='copy')}",
        f"--max-replica-lag={int(LAG * 1000)}",
    )
    until(lambda: "standby out of use" in gateway.told(), what="the standby's refusal")
    deadline = time.monotonic() + 2 * LAG
    while time.monotonic() < deadline:
        assert alias_of(gateway.info("acme", key="sk-other")) == "original"
    assert pair.asked("org_info") == 0
    assert FRESH not in gateway.told()
    oids = [pair.primary.sql(f"SELECT oid FROM pg_database WHERE datname = '{name}'") for name in ("copy", DATABASE)]
    assert re.search(r"database is \d+/\w+/%d, the primary's \d+/\w+/%d" % tuple(oids), gateway.told())
