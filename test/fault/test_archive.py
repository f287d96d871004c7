"""Archiving is killed at random points: it loses nothing and doubles nothing, whoever calls meanwhile."""

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections import defaultdict
from decimal import Decimal

import psycopg2
import psycopg2.errors
import pytest

from harness import CHECKOUT, Answers, until

NOW = "2031-07-10 12:00Z"
BEFORE = "2031-06-01Z"
FIRST_DAY, DAYS = "2031-01-03 07:30Z", 185
PARTITIONS = 7  # that end by BEFORE: two of before FIRST_DAY, and those of five months
COPIES = 20  # of each call

ORGANIZATIONS = ["acme", "beta", "gamma"]
LIMITS = [
    dict(limit="cost", value=10**9),
    dict(limit="requests", value=10**9),
    dict(limit="tokens", value=10**9, per="1q"),
    dict(limit="cost", value=10**9, per="1mo@Asia/Kolkata"),
    dict(limit="cost", value=10**9, tag="b", per="1q"),
    dict(limit="requests", value=10**9, each="end_user"),
    dict(limit="cost", value=10**9, model="m1", each="model"),
]

# Of each owner: what it has, and the calls since it was made, wherever they are now.
SPENDS = """
WITH call AS ({calls}), owner (kind, o, t, u, k, e, created_at, spend) AS (
    SELECT 'organization', organization_id, '', '', '', '', created_at, spend FROM org.organization UNION ALL
    SELECT 'team', organization_id, team_id, '', '', '', created_at, spend FROM org.team UNION ALL
    SELECT 'member', organization_id, '', user_id, '', '', created_at, spend FROM org.membership UNION ALL
    SELECT 'team_member', organization_id, team_id, user_id, '', '', created_at, spend FROM org.team_member UNION ALL
    SELECT 'user', '', '', user_id, '', '', created_at, spend FROM org."user" UNION ALL
    SELECT 'end_user', organization_id, '', '', '', end_user_id, created_at, spend FROM org.end_user UNION ALL
    SELECT 'key', organization_id, '', '', key_id, '', created_at, spend FROM org.api_key
)
SELECT kind, o, t, u, k, e, spend,
       (SELECT coalesce(sum(cost), 0) FROM call
         WHERE reserved_at >= owner.created_at AND (o = '' OR organization_id = o) AND (t = '' OR team_id = t)
           AND (u = '' OR user_id = u) AND (k = '' OR key_id = k) AND (e = '' OR end_user = e)) AS expected
  FROM owner
"""


def connect(server, at=NOW):
    connection = psycopg2.connect(server.url(), options=f"-c pg_org.now={at.replace(' ', 'T')} -c TimeZone=UTC")
    connection.autocommit = True
    return connection


def query(connection, statement, *parameters):
    cursor = connection.cursor()
    cursor.execute(statement, parameters)
    return cursor.fetchall()


def value(connection, statement, *parameters):
    return query(connection, statement, *parameters)[0][0]


@pytest.fixture(scope="module")
def filled(make_server):
    """A server with a ledger of half a year, to copy."""
    server = make_server()
    with contextlib.closing(connect(server)) as connection:
        fill(connection)
    return server


@pytest.fixture
def server(filled, make_server):
    server = make_server(origin=filled.url())
    yield server
    server.stop("immediate")


def fill(connection):
    cursor = connection.cursor()
    cursor.execute((CHECKOUT / "test" / "model" / "redate.sql").read_text())
    for [partition] in query(connection, "SELECT name FROM org.partition WHERE of_table = 'org.usage'"):
        # So that it takes several steps to sum up few calls; later partitions have the settings of the last.
        cursor.execute(f"ALTER TABLE org.{partition} SET (fillfactor = 10)")
    for day in range(DAYS):
        cursor.execute(
            "SELECT set_config('pg_org.now', (%s::timestamptz + %s * interval '1 day')::text, false)", [FIRST_DAY, day]
        )
        for statement, parameters in happens_on(day):
            cursor.execute(f"SELECT {statement}", parameters)
            cursor.execute(
                "SELECT set_config('pg_org.now', (current_setting('pg_org.now')::timestamptz + interval '1 min')::text, false)"
            )
    cursor.execute("SELECT set_config('pg_org.now', %s, false)", [NOW])
    # With such a name each has a block to itself.
    cursor.execute(
        "INSERT INTO org.usage SELECT (jsonb_populate_record(u, jsonb_build_object('request_id', rpad(request_id, 800) || n))).*"
        "  FROM org.usage u, generate_series(1, %s) AS n WHERE state = 'settled'",
        [COPIES],
    )
    cursor.execute("ANALYZE")
    until(lambda: value(connection, "SELECT usage_repair()") == [], what="the repair")
    assert problems(connection) == []


def happens_on(day):
    """Who comes and goes, and is reset, and calls; calls from an owner's making to its end are before and after."""
    limits = json.dumps(LIMITS)
    if day == 0:
        yield "user_new('ann', auto_create_key => false, limits => %s)", [limits]
        yield "customer_new('cust-1', limits => %s)", [limits]
        for o in ORGANIZATIONS:
            member = json.dumps(dict(role="org_admin", user_id="ann"))
            yield "org_new(%s, %s, limits => %s)", [o, o, limits]
            yield "org_member_add(%s, %s, limits => %s)", [o, member, limits]
            yield "customer_new('cust-2', organization_id => %s, limits => %s)", [o, limits]
            yield from team(o)
            yield "key_generate(organization_id => %s, key => %s, key_alias => %s)", [o, f"sk-{o}", f"sk-{o}"]
    for o in ORGANIZATIONS:
        team_key = f"sk-{o}-red"
        if day in (40, 100):
            yield "team_delete(organization_id => %s, team_ids => %s)", [o, [f"{o}-red"]]
            yield from record(f"sk-{o}", day, "between")
            yield from team(o)
        if day in (55, 70, 130):
            yield "usage_reset(%s)", [o]
            yield from record(team_key, day, "between resets")
            yield "usage_reset(%s, team_id => %s)", [o, f"{o}-red"]
        if day == 85:
            yield "usage_reset(key => %s)", [f"sk-{o}"]
            yield "usage_reset(%s, user_id => 'ann', \"limit\" => %s)", [o, '{"limit": "requests"}']
            yield "customer_delete(ARRAY['cust-2'], organization_id => %s)", [o]
            yield from record(team_key, day, "without")
            yield "customer_new('cust-2', organization_id => %s, limits => %s)", [o, limits]
        if day % 3 == 0:
            yield from record(f"sk-{o}", day, "a")
            yield from record(team_key, day, "b")
        if day % 9 == 5:
            yield "usage_reserve(%s, 'm1', 1, 5, request_id => %s, ttl_seconds => 60, tags => '{b}')", [team_key, f"late-{o}-{day}"]
        if day % 18 == 6:
            yield "usage_cancel(%s)", [f"late-{o}-{day - 1}"]


def team(o):
    member = [dict(role="user", user_id="ann")]
    limits = json.dumps(LIMITS)
    yield "team_new(%s, team_id => %s, members_with_roles => %s, limits => %s)", [o, f"{o}-red", json.dumps(member), limits]
    key = f"sk-{o}-red"
    yield "key_generate('ann', %s, %s, key => %s, key_alias => %s, limits => %s)", [o, f"{o}-red", key, key, limits]


def record(key, day, what):
    yield (
        "usage_record(%s, %s, %s, request_id => %s, prompt_tokens => 3, completion_tokens => 4, tags => %s, end_user => %s)",
        [key, f"m{day % 2}", Decimal(day + 1) / 7, f"{key}-{day}-{what}", ["a", "b"][: day % 3], f"cust-{day % 4}"],
    )


# What must hold


def settled_calls(connection):
    """All of them one by one, as SQL."""
    archived = query(connection, "SELECT relname FROM pg_class WHERE relnamespace = 'org_archive'::regnamespace AND relkind = 'r'")
    tables = ["org.usage", *(f"org_archive.{name}" for [name] in archived)]
    columns = "organization_id, request_id, team_id, user_id, key_id, end_user, reserved_at, cost"
    return " UNION ALL ".join(f"SELECT {columns} FROM {table} WHERE state = 'settled'" for table in tables)


def problems(connection):
    """Differences that usage_verify() finds, calls that are there twice, and spend that is not the sum of the calls."""
    calls = settled_calls(connection)
    twice = f"SELECT organization_id, request_id FROM ({calls}) AS c GROUP BY 1, 2 HAVING count(*) > 1"
    wrong = f"SELECT * FROM ({SPENDS.format(calls=calls)}) AS s WHERE spend <> expected"
    return value(connection, "SELECT usage_verify()") + query(connection, twice) + query(connection, wrong)


def limits_of_keys(connection):
    return query(
        connection,
        "SELECT key_id, e, usage_limits(key_id, end_user => e, tags => '{b}', model => 'm1')::text"
        "  FROM org.api_key, unnest(ARRAY['cust-1', 'cust-2']) AS e WHERE organization_id IS NOT NULL ORDER BY 1, 2",
    )


def what_callers_see(connection):
    """Limits, also when they are counted again from the ledger and what was carried forward; reports; the calls."""
    counted = limits_of_keys(connection)
    cursor = connection.cursor()
    cursor.execute("BEGIN; DELETE FROM org.usage_counter")
    recounted = limits_of_keys(connection)
    cursor.execute("ROLLBACK")
    assert recounted == counted
    reports = [
        value(connection, f"SELECT {report}(start_date => '2031-01-01', end_date => '2031-07-31', page_size => 1000)::text")
        for report in ("org_daily_activity", "team_daily_activity", "user_daily_activity", "tag_daily_activity")
    ]
    ours = settled_calls(connection)
    return counted, reports, value(connection, f"SELECT md5(string_agg(c::text, '' ORDER BY c)) FROM ({ours}) AS c")


# Deaths


def kill(server, pid):
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_there(pid), what="the end of the process")
    until(server.is_up)


def is_there(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True


def terminate(server, pid):
    server.sql("SELECT pg_terminate_backend(%s)", parameters=[pid])
    until(lambda: not is_there(pid), what="the end of the process")


def stop_immediately(server, pid):
    server.restart("immediate")


DEATHS = [kill, terminate, stop_immediately]


def archive(connection, drop=False):
    return value(connection, "SELECT usage_archive(%s, %s)", BEFORE, drop)["archived"]


def maintain(connection, **_):
    """Until all is done."""
    cursor = connection.cursor()
    cursor.execute("SELECT org_retention_update(ledger_days => 39)")
    while not value(connection, "SELECT org_maintain()")["is_complete"]:
        pass
    return True


def seconds_of(server, work):
    """That it takes, in a transaction that is rolled back."""
    with contextlib.closing(connect(server)) as connection:
        connection.autocommit = False
        started = time.monotonic()
        work(connection)
        return time.monotonic() - started


def die_often(server, work, after_each, attempts=15):
    """Says how often it was killed in the middle, until it was done or had its last chance."""
    longest = seconds_of(server, work)
    killed = 0
    for attempt in range(attempts):
        with contextlib.closing(connect(server)) as connection:
            pid = connection.info.backend_pid
            answer = Answers(lambda: work(connection))
            time.sleep(random.uniform(0, longest / 3 if attempt < len(DEATHS) else longest))
            if answer.thread.is_alive():
                DEATHS[attempt % len(DEATHS)](server, pid)
                answer.thread.join()
            if not answer.failure:
                break
            assert isinstance(answer.failure, (psycopg2.OperationalError, psycopg2.InterfaceError)), answer.failure
            killed += 1
        after_each()
    else:
        with contextlib.closing(connect(server)) as connection:
            work(connection)
    print(f"{work.__name__}, which takes {longest:.1f} s, was killed {killed} times")
    assert killed, "it was never killed: then this shows nothing"


def archives(connection):
    return value(connection, "SELECT count(*) FROM org.usage_archive WHERE archived_at IS NOT NULL")


@pytest.mark.parametrize("work", [archive, maintain])
def test_killed_while_nobody_calls(server, work):
    with contextlib.closing(connect(server)) as connection:
        before = what_callers_see(connection)

    def check():
        with contextlib.closing(connect(server)) as connection:
            assert problems(connection) == []
            assert what_callers_see(connection) == before
            assert work is maintain or archives(connection) in (0, PARTITIONS)

    die_often(server, work, check)
    check()
    with contextlib.closing(connect(server)) as connection:
        assert archives(connection) == PARTITIONS
        assert value(connection, "SELECT count(*) FROM org.usage WHERE closed_at < %s", BEFORE) == 0
        assert value(connection, "SELECT count(*) FROM org.usage_boundary") == 0


@pytest.mark.parametrize("work", [archive, maintain])
def test_killed_while_others_call(server, work):
    stop = threading.Event()
    callers = [Caller(server, number) for number in range(3)]
    with contextlib.closing(connect(server)) as connection:
        limits_before = limits_of_keys(connection)
    working = [Answers(lambda caller=caller: caller.work(stop)) for caller in callers]

    def check():
        with contextlib.closing(connect(server)) as connection:
            assert problems(connection) == []

    try:
        die_often(server, work, check, attempts=9)
        time.sleep(0.5)
    finally:
        stop.set()
    for answers in working:
        answers.get()
    check()
    with contextlib.closing(connect(server)) as connection:
        assert archives(connection) == PARTITIONS
        calls = settled_calls(connection)
        for name, [key, cost] in {name: call for caller in callers for name, call in caller.settled.items()}.items():
            found = query(connection, f"SELECT cost FROM ({calls}) AS c WHERE request_id = %s", name)
            assert found == [(cost,)], (name, key, cost)
        assert_grown(connection, limits_before, callers)
    print({what: sum(caller.count[what] for caller in callers) for what in callers[0].count})
    for what in ["record", "reserve", "settle_late", "retries"]:
        assert sum(caller.count[what] for caller in callers), f"no {what}"


def assert_grown(connection, before, callers):
    """Each limit without part has what it had, and the calls of its owner since."""
    aliases = dict(query(connection, "SELECT key_id, key_alias FROM org.api_key"))
    spent = defaultdict(Decimal)
    for caller in callers:
        for key, cost in caller.settled.values():
            o = key.split("-")[1]
            spent["organization", o] += cost
            spent["key", key] += cost
            if key.endswith("-red"):
                for owner in [("team", f"{o}-red"), ("member", "ann"), ("team_member", f"{o}-red/ann"), ("user", "ann")]:
                    spent[(o, *owner) if owner[0] == "member" else owner] += cost
    for (*_, was), (*_, now) in zip(before, limits_of_keys(connection)):
        was, now = (json.loads(told, parse_float=Decimal, parse_int=Decimal)["limits"] for told in (was, now))
        organization = next(it["id"] for it in was if it["owner"] == "organization")
        for old, new in zip(was, now):
            if old["limit"] != "cost" or old["each"] or old["owner"] == "end_user":
                continue
            owner = old["owner"], aliases.get(old["id"], old["id"])
            grown = spent[(organization, *owner) if owner[0] == "member" else owner]
            assert new["spent"] - old["spent"] == grown, (old, new, grown)


class Caller:
    """Somebody who reserves, settles and records, and asks again until there is an answer."""

    def __init__(self, server, number):
        self.server = server
        self.number = number
        self.connection = None
        self.settled = {}  # key and cost, by request_id
        self.count = defaultdict(int)
        self.random = random.Random(number)
        mine = ORGANIZATIONS[number]
        # Made with the key that there is: those of a former key count for other owners.
        self.late = [(f"sk-{mine}-red", f"late-{mine}-{day}") for day in range(104, DAYS, 9)]

    def work(self, stop):
        while not stop.is_set():
            self.random.choice([self.record, self.reserve, self.reserve, self.settle_late])()
            time.sleep(0.005)

    def ask(self, call, *parameters):
        def attempt():
            try:
                if not self.connection:
                    self.connection = connect(self.server)
                return query(self.connection, f"SELECT {call}", *parameters)
            except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
                assert error.pgcode in (None, "57P01", "57P02", "57P03"), error
                self.count["retries"] += 1
                self.connection = None
                return None

        return until(attempt)[1][0][0]

    def new_call(self):
        key = f"sk-{self.random.choice(ORGANIZATIONS)}{self.random.choice(['', '-red'])}"
        return key, f"{self.number}-{sum(self.count.values())}", Decimal(self.random.randrange(1, 1000)) / 100

    def record(self):
        key, name, cost = self.new_call()
        self.ask("usage_record(%s, 'm1', %s, %s, tags => '{b}', end_user => 'cust-1')", key, cost, name)
        self.settled[name] = key, cost
        self.count["record"] += 1

    def reserve(self):
        key, name, cost = self.new_call()
        self.ask("usage_reserve(%s, 'm1', %s, 5, request_id => %s, tags => '{b}')", key, cost, name)
        if self.random.random() < 0.2:
            self.ask("usage_cancel(%s)", name)
        else:
            self.ask("usage_settle(%s, %s, prompt_tokens => 4)", cost, name)
            self.settled[name] = key, cost
        self.count["reserve"] += 1

    def settle_late(self):
        """Calls that are remembered are settled, others are recorded as new until they are archived."""
        if not self.late:
            return
        key, name = self.late.pop(self.random.randrange(len(self.late)))
        cost = Decimal(self.random.randrange(1, 1000)) / 100
        try:
            reply = self.ask("usage_settle(%s, %s)", cost, name)
        except psycopg2.errors.NoDataFound:
            self.count["forgotten"] += 1
            return
        self.settled[name] = key, cost
        self.count["recorded_as_new" if reply.get("recorded_as_new") else "settle_late"] += 1
