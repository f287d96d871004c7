"""Moving in from LiteLLM: its database is brought over, what does not fit is named, and a second time nothing changes."""

import contextlib
import json
import os
import re
import subprocess
import termios
import threading
import time

import pytest

import databases
from databases import import_litellm, make, make_litellm, make_pg_org, psql, rows, value

# The fields of /key/info that a key of LiteLLM has under the same name, as SQL of its row, and as JSON.
KEYS = """
SELECT token, to_json(x) FROM (
    SELECT token, key_name, key_alias, k.models, k.user_id, k.team_id, coalesce(k.blocked, false) AS blocked, k.aliases, k.allowed_routes,
           coalesce(k.max_budget, b.max_budget) AS max_budget, k.budget_duration, k.tpm_limit, k.rpm_limit, k.max_parallel_requests,
           (k.expires AT TIME ZONE 'UTC')::text AS expires, round(k.spend::numeric, 6) AS period_spend,
           coalesce(t.organization_id, CASE WHEN t.team_id IS NULL THEN k.organization_id END) AS organization_id,
           k.model_max_budget, k.metadata - '{tags,model_tpm_limit}'::text[] AS metadata
      FROM "LiteLLM_VerificationToken" k
      LEFT JOIN "LiteLLM_BudgetTable" b USING (budget_id)
      LEFT JOIN "LiteLLM_TeamTable" t ON t.team_id = k.team_id) AS x
 ORDER BY token"""
INFOS = """
SELECT key_hash, to_json(x) FROM (
    SELECT key_hash AS token, i ->> 'key_name' AS key_name, i ->> 'key_alias' AS key_alias, i -> 'models' AS models, i ->> 'user_id' AS user_id,
           i ->> 'team_id' AS team_id, i -> 'blocked' AS blocked, i -> 'aliases' AS aliases, i -> 'allowed_routes' AS allowed_routes,
           i -> 'max_budget' AS max_budget, i -> 'budget_duration' AS budget_duration, i -> 'tpm_limit' AS tpm_limit, i -> 'rpm_limit' AS rpm_limit,
           i -> 'max_parallel_requests' AS max_parallel_requests, (i ->> 'expires')::timestamptz::text AS expires,
           round((i ->> 'period_spend')::numeric, 6) AS period_spend, i ->> 'organization_id' AS organization_id,
           i -> 'model_max_budget' AS model_max_budget, i -> 'metadata' AS metadata
      FROM org.api_key CROSS JOIN LATERAL (SELECT (key_info(key_id) -> 'info')::jsonb AS i) AS info) AS x
 RIGHT JOIN org.api_key ON key_hash = token
 ORDER BY key_hash"""


STEP = re.compile(r" *(\d+) %  (.+)")


@pytest.fixture(scope="session")
def litellm_template():
    return make_litellm()


@pytest.fixture
def litellm(litellm_template):
    return make(litellm_template)


@pytest.fixture(scope="session")
def pg_org_template():
    return make_pg_org()


@pytest.fixture
def pg_org(pg_org_template):
    """Every counter is the sum of its ledger when the test is over."""
    name = make(pg_org_template)
    yield name
    assert value(name, "SELECT usage_verify()") == "[]"


def state(database):
    """All that is in pg_org's tables."""
    tables = rows(database, "SELECT format('org.%I', relname) FROM pg_class WHERE relnamespace = 'org'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
                            " AND relname <> 'usage_archive' ORDER BY 1")  # fmt: skip
    return rows(database, " UNION ALL ".join(f"SELECT '{table}', md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {table} t" for [table] in tables))


def errors(done):
    """What it has said besides how far it is."""
    return [line for line in done.stderr.splitlines() if not STEP.fullmatch(line)]


def infos(rows):
    return {token: json.loads(info, parse_float=lambda it: round(float(it), 6)) for token, info in rows}


def test_every_key_answers_as_the_source_says(litellm, pg_org):
    done = import_litellm(litellm, pg_org)
    assert (done.returncode, errors(done)) == (0, [])
    assert done.stdout.endswith("Everything fitted.\n")
    assert f"keys: {databases.KEYS} new, 0 changed" in done.stdout
    psql(litellm, "-c", "ALTER DATABASE " + litellm + " SET timezone = 'UTC'")
    psql(pg_org, "-c", "ALTER DATABASE " + pg_org + " SET timezone = 'UTC'")
    expected, answered = infos(rows(litellm, KEYS)), infos(rows(pg_org, INFOS))
    assert len(answered) == databases.KEYS
    assert {token: info for token, info in expected.items() if answered[token] != info} == {}
    # The secret is the same, too.
    assert value(pg_org, "SELECT key_info('sk-7') -> 'info' ->> 'key_alias'") == "Key 7"


def test_owners_have_spent_what_the_source_says(litellm, pg_org):
    import_litellm(litellm, pg_org)
    for theirs, ours in (
        ('SELECT team_id, round(spend::numeric, 4) FROM "LiteLLM_TeamTable" ORDER BY team_id COLLATE "C"',
         "SELECT team_id, round((team_info(team_id) -> 'team_info' ->> 'period_spend')::numeric, 4) FROM org.team ORDER BY team_id"),
        ('SELECT user_id, round(spend::numeric, 4) FROM "LiteLLM_UserTable" ORDER BY user_id COLLATE "C"',
         "SELECT user_id, round((user_info_v2(user_id) ->> 'period_spend')::numeric, 4) FROM org.\"user\" WHERE user_id <> 'default_user_id' ORDER BY user_id"),
        ('SELECT organization_id, round(spend::numeric, 4) FROM "LiteLLM_OrganizationTable" ORDER BY organization_id COLLATE "C"',
         "SELECT organization_id, round((org_info(organization_id) ->> 'period_spend')::numeric, 4) FROM org.organization ORDER BY organization_id"),
        ('SELECT user_id, round(spend::numeric, 4) FROM "LiteLLM_EndUserTable" ORDER BY user_id COLLATE "C"',
         "SELECT end_user_id, round(spend, 4) FROM org.end_user ORDER BY end_user_id"),
    ):  # fmt: skip
        assert rows(pg_org, ours) == rows(litellm, theirs)


def test_reports_have_the_days(litellm, pg_org):
    import_litellm(litellm, pg_org)
    theirs = 'SELECT date, model, round(sum(spend)::numeric, 6), sum(api_requests) FROM "LiteLLM_DailyUserSpend" GROUP BY 1, 2 ORDER BY 1, 2'
    ours = ("SELECT day, model, round(sum(spend), 6), sum(successful_requests + failed_requests) FROM org.usage_daily"
            " WHERE model <> 'opening balance' GROUP BY 1, 2 ORDER BY 1, 2")  # fmt: skip
    assert rows(pg_org, ours) == rows(litellm, theirs)


def test_limits_hold_with_what_was_spent(litellm, pg_org):
    psql(litellm, "-c", "UPDATE \"LiteLLM_VerificationToken\" SET max_budget = 10, spend = 9, budget_duration = NULL, budget_id = NULL, team_id = NULL, user_id = NULL,"
         " organization_id = NULL, rpm_limit = NULL, tpm_limit = NULL, blocked = NULL, expires = NULL, models = '{}', model_max_budget = '{}', metadata = '{}'"
         " WHERE key_alias = 'Key 7'")  # fmt: skip
    import_litellm(litellm, pg_org)
    assert "Budget has been exceeded! Current cost: 9.0, Max budget: 10.0" in psql(pg_org, "-c", "SELECT usage_reserve('sk-7', 'm', 1.5)", check=False).stderr
    assert value(pg_org, "SELECT usage_reserve('sk-7', 'm', 0.5) ->> 'model'") == "m"


def test_a_sum_that_is_still_to_be_reset_is_of_the_period_that_is_over(litellm, pg_org):
    psql(litellm, "-c", "SET timezone = 'UTC'",
         "-c", "INSERT INTO \"LiteLLM_UserTable\" (user_id, spend, created_at) VALUES ('late', 7, now() - '90 days'::interval)",
         "-c", "INSERT INTO \"LiteLLM_VerificationToken\" (token, key_name, user_id, spend, budget_duration, budget_reset_at, created_at)"
               " VALUES (encode(sha256('sk-late'), 'hex'), 'sk-...late', 'late', 7, '30d', now() - '1 minute'::interval, now() - '90 days'::interval)",
         "-c", "INSERT INTO \"LiteLLM_DailyUserSpend\" (user_id, date, api_key, model, spend, api_requests)"
               " VALUES ('late', to_char(now() - '9 days'::interval, 'YYYY-MM-DD'), encode(sha256('sk-late'), 'hex'), 'o3', 5, 1)")  # fmt: skip
    assert import_litellm(litellm, pg_org).stdout.endswith("Everything fitted.\n")
    assert rows(pg_org, "SELECT info -> 'spend', info -> 'period_spend' FROM (SELECT key_info('sk-late') -> 'info' AS info) AS i") == [["7.0", "0.0"]]
    assert rows(pg_org, "SELECT spend FROM org.\"user\" WHERE user_id = 'late'") == [["7"]]


def test_a_second_import_changes_nothing(litellm, pg_org):
    psql(litellm, "-f", str(databases.HERE / "odd.sql"))
    import_litellm(litellm, pg_org)
    before = state(pg_org)
    again = import_litellm(litellm, pg_org)
    assert again.returncode == 0
    assert all(": 0 new, 0 changed" in line for line in again.stdout.splitlines() if " new, " in line)
    assert state(pg_org) == before


def test_what_changed_since_is_brought(litellm, pg_org):
    import_litellm(litellm, pg_org)
    psql(litellm, "-c", "UPDATE \"LiteLLM_VerificationToken\" SET blocked = true, spend = spend + 2 WHERE key_alias = 'Key 7'",
         "-c", "UPDATE \"LiteLLM_TeamTable\" SET max_budget = 123, spend = spend + 2 WHERE team_id = 'team-8'",
         "-c", "UPDATE \"LiteLLM_OrganizationTable\" SET organization_alias = 'Renamed' WHERE organization_id = 'org-1'",
         "-c", "INSERT INTO \"LiteLLM_VerificationToken\" (token, key_name, key_alias) VALUES (encode(sha256('sk-new'), 'hex'), 'sk-...-new', 'new')")  # fmt: skip
    again = import_litellm(litellm, pg_org)
    for line in ("organizations: 0 new, 1 changed", "teams: 0 new, 1 changed", "keys: 1 new, 1 changed", "users: 0 new, 0 changed"):
        assert line in again.stdout.splitlines()
    assert rows(pg_org, "SELECT blocked FROM org.api_key WHERE key_alias = 'Key 7'") == [["t"]]
    assert value(pg_org, "SELECT key_info('sk-new') -> 'info' ->> 'key_alias'") == "new"
    assert value(litellm, "SELECT round(spend::numeric, 6) FROM \"LiteLLM_VerificationToken\" WHERE key_alias = 'Key 7'") == value(
        pg_org, "SELECT round((key_info('sk-7') -> 'info' ->> 'period_spend')::numeric, 6)"
    )


def test_calls_made_here_meanwhile_stay_counted(litellm, pg_org):
    import_litellm(litellm, pg_org)
    before = value(pg_org, "SELECT spend FROM org.api_key WHERE key_alias = 'Key 7'")
    psql(pg_org, "-c", "SELECT usage_record('sk-7', 'gpt-4o', 0.25)")
    psql(litellm, "-c", "UPDATE \"LiteLLM_VerificationToken\" SET spend = spend + 2 WHERE key_alias = 'Key 7'")
    import_litellm(litellm, pg_org)
    assert value(pg_org, f"SELECT spend - {before} >= 0.25 FROM org.api_key WHERE key_alias = 'Key 7'") == "t"


def test_what_does_not_fit_is_named(litellm, pg_org):
    psql(litellm, "-f", str(databases.HERE / "odd.sql"))
    done = import_litellm(litellm, pg_org)
    assert done.returncode == 0
    report = done.stdout.split("\n\n")[0].splitlines()
    expected = (databases.HERE / "odd.txt").read_text().splitlines()
    days_since = lambda lines: [line.partition("; counts those since")[0] for line in lines]  # noqa: E731
    assert days_since(report) == days_since(expected)
    assert "sk-in-plain-text" not in done.stdout
    assert value(pg_org, "SELECT key_info('sk-in-plain-text') -> 'info' ->> 'key_alias'") == "plain"
    assert rows(pg_org, "SELECT key_alias, permissions FROM org.api_key WHERE key_alias = 'of nobody'") == [["of nobody", '{"get_spend_routes": true}']]
    assert rows(pg_org, "SELECT key_alias, blocked FROM org.api_key WHERE key_alias LIKE 'without %' ORDER BY 1") == [["without organization", "t"], ["without team", "t"]]
    assert rows(pg_org, "SELECT user_id, role FROM org.team_member WHERE team_id IN ('above', 'dangling') ORDER BY team_id, user_id") == [
        ["twin-1", "admin"], ["user-1", "user"], ["twin-1", "admin"], ["twin-2", "user"]]  # fmt: skip
    assert value(pg_org, "SELECT user_role FROM org.\"user\" WHERE user_id = 'default_user_id'") == "proxy_admin"
    assert value(pg_org, "SELECT round((key_info('sk-reset') -> 'info' ->> 'period_spend')::numeric, 6)") == "3.000000"
    assert value(pg_org, "SELECT alias FROM org.former_owner WHERE kind = 'key'") == "a deleted key"


def test_a_dry_run_says_the_same_and_changes_nothing(litellm, pg_org):
    psql(litellm, "-f", str(databases.HERE / "odd.sql"))
    before = state(pg_org)
    dry = import_litellm(litellm, pg_org, "--dry-run")
    assert dry.returncode == 0
    assert state(pg_org) == before
    assert dry.stdout == import_litellm(litellm, pg_org).stdout + "Nothing was changed: this was a dry run.\n"


def test_older_versions_have_less(litellm, pg_org):
    for table in ("DailyTeamSpend", "DailyUserSpend", "OrganizationMembership", "DeletedVerificationToken", "TagTable", "EndUserTable"):
        psql(litellm, "-c", f'DROP TABLE "LiteLLM_{table}"')
    for table, column in (("VerificationToken", "allowed_routes"), ("VerificationToken", "budget_limits"), ("VerificationToken", "blocked"), ("TeamTable", "team_member_permissions"),
                          ("TeamTable", "soft_budget"), ("UserTable", "sso_user_id"), ("TeamMembership", "total_spend"), ("BudgetTable", "allowed_models")):  # fmt: skip
        psql(litellm, "-c", f'ALTER TABLE "LiteLLM_{table}" DROP {column}')
    done = import_litellm(litellm, pg_org)
    assert (done.returncode, errors(done)) == (0, [])
    assert value(pg_org, "SELECT count(*) FROM org.api_key") == str(databases.KEYS)


def test_the_same_database_with_a_schema_of_its_own(litellm):
    psql(litellm, "-c", "ALTER SCHEMA public RENAME TO \"LiteLLM's\"", "-c", "CREATE SCHEMA public")
    psql(litellm, "-f", str(databases.CHECKOUT / "tools/setup.sql"))
    done = import_litellm(litellm, litellm, "--schema", "LiteLLM's")
    assert (done.returncode, errors(done)) == (0, [])
    assert value(litellm, "SELECT public.usage_verify()") == "[]"


@pytest.mark.parametrize("which", ["source", "target"])
def test_an_interrupted_import_leaves_nothing(litellm, pg_org, which):
    """The session that reads, or the one that writes, is terminated while it copies rows, of which the last come late."""
    psql(litellm, "-c", 'ALTER TABLE "LiteLLM_DailyUserSpend" RENAME TO days',
         "-c", 'CREATE VIEW "LiteLLM_DailyUserSpend" AS SELECT * FROM days UNION ALL SELECT * FROM days WHERE (SELECT pg_sleep(1)) IS NULL')  # fmt: skip
    before = state(pg_org)
    ended = []

    def terminate():
        name = {"source": litellm, "target": pg_org}[which]
        while not ended:
            ended.extend(rows("postgres", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND state = 'active' AND query LIKE 'COPY%'"))
            time.sleep(0.01)

    killer = threading.Thread(target=terminate)
    killer.start()
    done = import_litellm(litellm, pg_org)
    ended.append(None)
    killer.join()
    assert done.returncode == 2 and done.stdout == ""
    # psql may see the connection end before it reads why.
    [line] = errors(done)
    assert line.startswith({"source": "pg_org: can't read LiteLLM's database: ", "target": "pg_org: nothing was imported: "}[which])
    assert "terminating connection" in line or "closed the connection" in line
    assert state(pg_org) == before
    assert import_litellm(litellm, pg_org).returncode == 0


def test_a_source_that_is_none(litellm, pg_org):
    def failure(source, *options, target=pg_org):
        done = import_litellm(source, target, *options)
        assert (done.returncode, done.stdout) == (2, "")
        [line] = done.stderr.splitlines()
        return line

    assert failure("nothing_like_it") == "pg_org: can't read LiteLLM's database: database \"nothing_like_it\" does not exist"
    assert "can't read LiteLLM's database: connection to server" in failure("x host=127.0.0.1 port=1")
    assert failure("postgres") == 'pg_org: schema "public" is not LiteLLM\'s: it has no table "LiteLLM_TeamTable"'
    assert failure(litellm, "--schema", "no'such\"one") == 'pg_org: schema "no\'such"one" is not LiteLLM\'s: it has no table "LiteLLM_TeamTable"'
    assert failure(litellm, target="postgres") == "pg_org: pg_org's database does not have the extension: CREATE EXTENSION pg_org"
    psql(litellm, "-c", 'CREATE TABLE "_prisma_migrations" (migration_name text, started_at timestamptz DEFAULT now(), finished_at timestamptz, rolled_back_at timestamptz)',
         "-c", "INSERT INTO \"_prisma_migrations\" VALUES ('20250101_first', now(), now()), ('20260101_second', now(), NULL)")  # fmt: skip
    assert failure(litellm) == "pg_org: LiteLLM's database is half migrated: 20260101_second is not finished"


def test_steps_are_told_in_lines(litellm, pg_org):
    steps = [STEP.fullmatch(line) for line in import_litellm(litellm, pg_org).stderr.splitlines()]
    assert all(steps)
    percents, names = zip(*((int(step[1]), step[2]) for step in steps))
    assert list(percents) == sorted(percents) and percents[-1] == 100
    assert names[:2] == ("counting rows", "reading LiteLLM's tables") and "writing keys" in names


def test_a_terminal_gets_a_bar(litellm, pg_org):
    terminal, its_end = os.openpty()
    termios.tcsetwinsize(its_end, (24, 60))
    command = [str(databases.CHECKOUT / "tools/pg_org"), "import-litellm", "--from", f"dbname={litellm}", "--to", f"dbname={pg_org}"]
    done = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=its_end, text=True)
    os.close(its_end)
    said = b""
    with contextlib.suppress(OSError), open(terminal, "rb", buffering=0) as end:  # closed at the other end
        while piece := end.read(4096):
            said += piece
    assert done.communicate()[0].endswith("Everything fitted.\n") and done.returncode == 0
    *drawn, left = [it.decode() for it in re.split(rb"\r\x1b\[K", said)]
    assert left == "" and "\n" not in "".join(drawn)
    bars = [re.fullmatch("(█*)(░*) +(\\d+) %  \\d+:\\d\\d  (.+)", it) for it in drawn if it]
    assert all(bars) and all(len(bar[0]) < 60 and len(bar[1] + bar[2]) == 30 for bar in bars)
    percents = [int(bar[3]) for bar in bars]
    assert percents == sorted(percents) and percents[-1] == 100
    assert all(len(bar[1]) == 30 * percent // 100 for bar, percent in zip(bars, percents))
    assert "writing keys" in [bar[4] for bar in bars]


def test_wrong_options():
    done = subprocess.run([str(databases.CHECKOUT / "tools/pg_org"), "import-litellm"], capture_output=True, text=True)
    assert done.returncode == 2 and "--from" in done.stderr


def test_what_was_imported_compares_alike():
    command = [str(databases.CHECKOUT / "test/with-gateway"), "/usr/bin/python3", "-B", str(databases.HERE / "compare_imported.py")]
    environment = {**os.environ, "PYTHONPATH": str(databases.CHECKOUT / "test")}  # as pytest.ini says
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{databases.KEYS + 1} keys" in done.stdout and "\n0 differences. Expected, besides:" in done.stdout
