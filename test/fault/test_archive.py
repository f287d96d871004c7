"""Archiving, killed anywhere, while calls go on: nothing is lost, nothing is counted twice."""

import contextlib
import os
import random
import signal
import threading
import time

import psycopg2
import pytest

from harness import DATABASE, Answers, until

# The time that the database takes for the present; the calls were made in the months before.
PRESENT = "2031-06-20 12:00Z"
MONTHS = 10  # the last three of which are too young to be archived
CALLS = 300  # in each month

# Two organizations, one of which was made in the middle of a month, and a reset in the middle of another: calls before and
# after are not to be summed together.
FILL = f"""
SET pg_org.now = '2030-08-01Z';
SELECT org_new('Acme', 'acme', max_budget => 1000000), org_new('Late', 'late', max_budget => 1000000),
       user_new('ann', auto_create_key => false), org_member_add('acme', '{{"role": "internal_user", "user_id": "ann"}}'),
       key_generate('ann', 'acme', key => 'sk-acme', max_budget => 1000),
       key_generate(organization_id => 'late', key => 'sk-late'), key_generate('ann', key => 'sk-own'),
       org_update('acme', limits => '[{{"limit": "cost", "value": 100000, "each": "end_user"}},
                                      {{"limit": "tokens", "value": 100000000, "model": "m1"}},
                                      {{"limit": "requests", "value": 100000, "tag": "t0"}}]');
UPDATE org.organization SET created_at = '2030-08-01Z' WHERE organization_id = 'acme';
UPDATE org.membership SET created_at = '2030-08-01Z';
UPDATE org."user" SET created_at = '2030-08-01Z' WHERE user_id = 'ann';
UPDATE org.api_key SET created_at = '2030-08-01Z';
DO $$
BEGIN
    FOR month IN 0..{MONTHS - 1} LOOP
        FOR n IN 1..{CALLS} LOOP
            PERFORM set_config('pg_org.now', (timestamptz '2030-09-01Z' + month * interval '1 month'
                                              + n * interval '2 hours')::text, false);
            PERFORM usage_record(('{{sk-acme,sk-late,sk-own}}'::text[])[n % 3 + 1], 'm' || n % 2, n * 0.001,
                                 format('%s-%s', month, n), n, end_user => 'e' || n % 5, tags => ARRAY['t' || n % 2]);
        END LOOP;
        IF month = 4 THEN
            PERFORM usage_reset('acme'), usage_reset('acme', "limit" => '{{"limit": "tokens", "model": "m1"}}');
            UPDATE org.organization SET created_at = '2031-01-12Z' WHERE organization_id = 'late';
        END IF;
    END LOOP;
END $$;
SELECT usage_repair();
ALTER DATABASE {DATABASE} SET pg_org.now = '{PRESENT}';
"""

# Each owner's spend, and what counts against the limits of each key, after all counters were summed anew.
SPENT = """
SELECT json_object_agg(owner, spend ORDER BY owner)
  FROM (SELECT 'organization ' || organization_id, spend FROM org.organization
         UNION ALL SELECT 'member ' || user_id, spend FROM org.membership
         UNION ALL SELECT 'user ' || user_id, spend FROM org."user"
         UNION ALL SELECT 'key ' || key_id, spend FROM org.api_key) AS owners (owner, spend)
"""
LIMITS = """
SELECT json_agg(usage_limits(key, end_user => 'e' || n, tags => '{t0}') -> 'limits' ORDER BY key, n)
  FROM unnest('{sk-acme,sk-late,sk-own}'::text[]) AS key, generate_series(0, 4) AS n
"""
# In the ledger and in what has left it.
CALLS_BY_NAME = """
SELECT string_agg(format('SELECT request_id, cost FROM %s WHERE state = ''settled''', table_name), ' UNION ALL ')
  FROM (SELECT 'org.usage' AS table_name
         UNION ALL SELECT format('org_archive.%I', relname) FROM pg_class
         WHERE relnamespace = to_regnamespace('org_archive') AND relkind = 'r') AS tables
"""


@pytest.fixture(scope="module")
def filled(make_server):
    server = make_server()
    server.sql(FILL)
    assert server.sql("SELECT usage_verify()") == []
    return server


@pytest.fixture
def ledger(filled, make_server):
    return make_server(origin=filled.url())


class Load:
    """Reserves, settles and records, until it is told to stop; asks again with the same request_id if it got no answer."""

    def __init__(self, server):
        self.server = server
        self.stopped = threading.Event()
        self.settled = {}
        self.connection = server.connect()
        self.running = Answers(self.run)

    def run(self):
        number = 0
        while not self.stopped.is_set():
            number += 1
            name = f"load-{number}"
            key = random.choice(["sk-acme", "sk-late", "sk-own"])
            self.ask("SELECT usage_reserve(%s, 'm1', 1, 10, %s, end_user => 'e1')", [key, name])
            self.ask("SELECT usage_settle(0.5, %s, prompt_tokens => 7)", [name])
            self.settled[name] = 0.5
            time.sleep(0.02)  # the processors are the archiving's

    def ask(self, call, arguments):
        def answered():
            try:
                if self.connection.closed:
                    self.connection = self.server.connect()
                self.connection.cursor().execute(call, arguments)
                return True
            except psycopg2.Error:
                self.connection.close()
                return False

        until(answered, what=f"an answer to {call} with {arguments}")

    def close(self):
        self.stopped.set()
        self.running.get()
        self.connection.close()


def archive_at_once(connection):
    connection.cursor().execute("SELECT usage_archive('2031-04-01Z')")
    return True


def maintain(connection):
    cursor = connection.cursor()
    cursor.execute("SELECT org_maintain() ->> 'is_complete' = 'true'")
    return cursor.fetchone()[0]


def kill(server, pid):
    if server.sql("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", parameters=[pid]):
        os.kill(pid, signal.SIGKILL)


def terminate(server, pid):
    server.sql("SELECT pg_terminate_backend(%s)", parameters=[pid])


def stop_at_once(server, pid):
    server.restart("immediate")


def attempt(server, work, fault):
    """Lets the fault come in the middle of the work, or after it."""
    with contextlib.closing(server.connect()) as connection:
        working = Answers(lambda: work(connection))
        time.sleep(random.uniform(0, 0.15))
        fault(server, connection.get_backend_pid())
        with contextlib.suppress(psycopg2.Error):
            working.get()


def verified(server):
    """What usage_verify() finds, as soon as the server is there again: it may be about to restart."""
    found = []

    def is_answered():
        with contextlib.suppress(psycopg2.OperationalError):
            found.append(server.sql("SELECT usage_verify()"))
            return True

    until(is_answered)
    return found[0]


def finishes(server, work):
    with contextlib.suppress(psycopg2.errors.LockNotAvailable), contextlib.closing(server.connect()) as connection:
        return work(connection)


def calls(server):
    with contextlib.closing(server.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute(CALLS_BY_NAME)
        cursor.execute(cursor.fetchone()[0])
        return cursor.fetchall()


@pytest.mark.parametrize("fault", [kill, terminate, stop_at_once])
@pytest.mark.parametrize("work", [archive_at_once, maintain])
def test_archiving_that_is_killed_loses_and_doubles_nothing(ledger, work, fault):
    if work is maintain:
        ledger.sql("SELECT org_retention_update(ledger_days => 60)")
    before, spent_before = calls(ledger), ledger.sql(SPENT)
    with contextlib.closing(Load(ledger)) as load:
        for _ in range(12):
            attempt(ledger, work, fault)
            assert verified(ledger) == []
        until(lambda: finishes(ledger, work))
    settled = load.settled

    archived = ledger.sql("SELECT count(*) FROM org.usage_archive WHERE archived_at IS NOT NULL")
    assert archived >= MONTHS - 3, f"only {archived} partitions were archived"
    assert ledger.sql("SELECT count(*) FROM org.usage WHERE closed_at < '2031-04-01Z'") == 0
    assert ledger.sql("SELECT usage_verify()") == []
    names = [name for name, _ in calls(ledger)]
    assert len(names) == len(set(names)), "a call is there twice"
    assert set(names) == {name for name, _ in before} | set(settled)
    more = {owner: float(spend) - float(spent_before[owner]) for owner, spend in ledger.sql(SPENT).items()}
    own = own_calls(ledger)
    assert more["organization acme"] + more["organization late"] == pytest.approx(
        sum(cost for name, cost in settled.items() if name not in own)
    )
    counted = ledger.sql(LIMITS)
    ledger.sql("DELETE FROM org.usage_counter")
    assert ledger.sql(LIMITS) == counted, "the sums count as the calls did"


def own_calls(server):
    return server.sql("SELECT coalesce(array_agg(request_id), '{}') FROM org.usage WHERE organization_id = ''")


def test_what_is_too_young_is_not_archived(ledger):
    names = calls(ledger)
    for before in "2031-06-20Z", "2031-05-17Z", "2031-05-16 12:00:01Z":
        with pytest.raises(psycopg2.errors.InvalidParameterValue, match="at least 35 days ago"):
            ledger.sql("SELECT usage_archive(%s)", parameters=[before])
    # It began anew with the reset.
    ledger.sql("SELECT org_update('acme', limits => '[{\"limit\": \"cost\", \"value\": 100000, \"per\": \"1y@UTC\"}]')")
    ledger.sql("SELECT usage_record('sk-acme', 'm', 1, 'counted for a year')")
    with pytest.raises(psycopg2.errors.InvalidParameterValue, match="2031-01-26T00:00:00"):
        ledger.sql("SELECT usage_archive('2031-03-01Z')")
    assert sorted(calls(ledger)) == sorted([*names, ("counted for a year", 1)])
    assert ledger.sql("SELECT count(*) FROM org.usage_archive") == 0
    ledger.sql("SELECT usage_archive('2031-01-01Z')")
    assert ledger.sql("SELECT usage_verify()") == []
