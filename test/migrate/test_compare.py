"""What pg_org compare-litellm says of a small set that is in both, and of the same set when one thing differs.

    test/with-server --extension DESTDIR test/with-gateway /usr/bin/python3 -B -m pytest test/migrate
"""

import hashlib
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import types
import urllib.request

import psycopg2
import pytest

from litellm_stand_in import LiteLLM
from serving import serving

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = CHECKOUT / "tools/litellm/compare_litellm.py"
URL = os.environ["PG_ORG_URL"]
ADMIN_KEY = os.environ["PG_ORG_ADMIN_KEY"]
MASTER_KEY = "sk-litellm-master"

TEAM_KEY = "sk-of-the-team-research-0001"
TWINS = "sk-twin-of-nobody-at-all-aaaa", "sk-other-twin-of-nobody-aaaa"  # alike in all that lists show


def digest(secret):
    return hashlib.sha256(secret.encode()).hexdigest()


# As an import leaves it: times and identifiers are LiteLLM's.
IN_LITELLM = f"""
INSERT INTO "LiteLLM_BudgetTable" (budget_id, max_budget, tpm_limit, model_max_budget, budget_duration)
VALUES ('of acme', 10, 1000, '{{"gpt-4o": 1.5}}', '30d'), ('of ada in acme', 4, NULL, NULL, NULL),
       ('of ada in research', 2, 50, NULL, '1d'), ('shared', 20, NULL, NULL, NULL), ('of c-7', 3, NULL, NULL, '7d'),
       ('of members', 6, NULL, NULL, NULL);
INSERT INTO "LiteLLM_OrganizationTable" (organization_id, organization_alias, budget_id, metadata, models, spend)
VALUES ('acme', 'Acme', 'of acme', '{{"cost center": 7}}', '{{o3,gpt-4o}}', 0.30000000000000004);
INSERT INTO "LiteLLM_UserTable" (user_id, user_email, user_alias, user_role, teams, models, max_budget, spend)
VALUES ('ada', 'Ada@Example.com', 'Ada', 'internal_user', '{{research}}', '{{gpt-4o}}', 9, 0.30000000000000004),
       ('bob', NULL, NULL, 'internal_user_viewer', '{{}}', '{{}}', NULL, 0);
INSERT INTO "LiteLLM_OrganizationMembership" (user_id, organization_id, user_role, spend, budget_id)
VALUES ('ada', 'acme', 'org_admin', 0.3, 'of ada in acme');
INSERT INTO "LiteLLM_ModelTable" (id, aliases) VALUES (1, '{{"fast": "gpt-4o"}}');
INSERT INTO "LiteLLM_TeamTable" (team_id, team_alias, organization_id, members_with_roles, metadata, spend, models,
                                 tpm_limit, model_id)
VALUES ('research', 'Research', 'acme', '[{{"user_id": "ada", "role": "admin", "user_email": null}}]',
        '{{"tags": ["lab"], "team_member_budget_id": "of members"}}', 0.3, '{{gpt-4o}}', 500, 1),
       ('guests', 'Guests', NULL, '[{{"user_id": "default_user_id", "role": "admin"}}]', '{{}}', 0, '{{}}', NULL, NULL);
INSERT INTO "LiteLLM_TeamMembership" (user_id, team_id, spend, budget_id)
VALUES ('ada', 'research', 0.3, 'of ada in research');
INSERT INTO "LiteLLM_VerificationToken" (token, key_name, key_alias, user_id, team_id, organization_id, models, spend,
                                         metadata, max_budget, budget_id, blocked, expires, created_by)
VALUES ('{digest(TEAM_KEY)}', 'sk-...0001', 'batch', 'ada', 'research', 'acme', '{{gpt-4o}}', 0.3,
        '{{"guardrails": ["pii"], "model_rpm_limit": {{"gpt-4o": 3}}, "owner": "ops"}}', NULL, 'shared', NULL, NULL,
        'default_user_id'),
       ('{digest(TWINS[0])}', 'sk-...aaaa', NULL, NULL, NULL, NULL, '{{}}', 0, '{{}}', 1, NULL, NULL, NULL,
        'default_user_id'),
       ('{digest(TWINS[1])}', 'sk-...aaaa', NULL, NULL, NULL, NULL, '{{}}', 0, '{{}}', 2, NULL, true,
        '2036-05-06 07:08', 'default_user_id'),
       ('session', 'sk-...9999', NULL, 'ada', 'litellm-dashboard', NULL, '{{}}', 0, '{{}}', NULL, NULL, NULL, NULL,
        NULL);
INSERT INTO "LiteLLM_EndUserTable" (user_id, alias, spend, budget_id, default_model)
VALUES ('c-7', 'Customer 7', 0, 'of c-7', 'gpt-4o');
"""
# What the gateway chose itself.
SAME_TIMES = f"""
UPDATE "LiteLLM_OrganizationTable" o SET created_at = p.created_at
  FROM org.organization p WHERE p.organization_id = o.organization_id;
UPDATE "LiteLLM_OrganizationMembership" m SET created_at = p.created_at
  FROM org.membership p WHERE (p.organization_id, p.user_id) = (m.organization_id, m.user_id);
UPDATE "LiteLLM_TeamTable" t SET created_at = p.created_at FROM org.team p WHERE p.team_id = t.team_id;
UPDATE "LiteLLM_UserTable" u SET created_at = p.created_at FROM org."user" p WHERE p.user_id = u.user_id;
UPDATE "LiteLLM_VerificationToken" k SET created_at = p.created_at FROM org.api_key p WHERE p.key_hash = k.token;
UPDATE org.api_key SET created_at = (SELECT min(created_at) FROM org.api_key WHERE key_name = 'sk-...aaaa'),
                       expires = CASE WHEN expires IS NOT NULL THEN timestamptz '2036-05-06 07:08:00Z' END
 WHERE key_name = 'sk-...aaaa';
UPDATE "LiteLLM_VerificationToken" k SET created_at = p.created_at FROM org.api_key p WHERE p.key_hash = k.token;
"""


def post(path, **fields):
    headers = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json", "Prefer": "handling=strict"}
    request = urllib.request.Request(URL + path, json.dumps(fields).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def make_in_pg_org():
    post("/budget/new", budget_id="shared", max_budget=20)
    post(
        "/organization/new", organization_id="acme", organization_alias="Acme", models=["gpt-4o", "o3"], max_budget=10,
        tpm_limit=1000, model_max_budget={"gpt-4o": 1.5}, budget_duration="30d", metadata={"cost center": 7},
    )
    post(
        "/user/new", user_id="ada", user_email="ada@example.com", user_alias="Ada", user_role="internal_user",
        models=["gpt-4o"], max_budget=9, auto_create_key=False,
    )
    post("/user/new", user_id="bob", user_role="internal_user_viewer", auto_create_key=False)
    post(
        "/organization/member_add", organization_id="acme", member={"role": "org_admin", "user_id": "ada"},
        max_budget_in_organization=4,
    )
    post(
        "/team/new", team_id="research", team_alias="Research", organization_id="acme", models=["gpt-4o"], tags=["lab"],
        tpm_limit=500, team_member_budget=6, model_aliases={"fast": "gpt-4o"},
    )
    post(
        "/team/member_add", team_id="research", member={"role": "admin", "user_id": "ada"}, max_budget_in_team=2,
        tpm_limit=50, budget_duration="1d",
    )
    post("/team/new", team_id="guests", team_alias="Guests")
    post(
        "/key/generate", key=TEAM_KEY, key_alias="batch", user_id="ada", team_id="research", models=["gpt-4o"],
        guardrails=["pii"], model_rpm_limit={"gpt-4o": 3}, metadata={"owner": "ops"}, budget_id="shared",
    )
    post("/key/generate", key=TWINS[0], max_budget=1)
    post("/key/generate", key=TWINS[1], max_budget=2, blocked=True, duration="30d")
    post(
        "/customer/new", user_id="c-7", alias="Customer 7", max_budget=3, budget_duration="7d", default_model="gpt-4o",
        organization_id="",
    )
    for cost in (0.1, 0.2):
        post("/usage/record", key=TEAM_KEY, model="gpt-4o", cost=cost)


@pytest.fixture(scope="module")
def owner():
    connection = psycopg2.connect("")
    connection.autocommit = True
    with connection.cursor() as cursor:
        yield cursor
    connection.close()


@pytest.fixture(scope="module")
def both(owner):
    """The same in pg_org and in the tables of LiteLLM, whose stand-in is running."""
    make_in_pg_org()
    tables = (CHECKOUT / "test/migrate/litellm.sql").read_text()
    owner.execute(f"CREATE SCHEMA litellm; SET search_path = litellm; SET TimeZone = 'UTC'; {tables} {IN_LITELLM}")
    owner.execute(SAME_TIMES)
    litellm = LiteLLM("litellm", MASTER_KEY)
    with litellm.running() as url:
        litellm.url = url
        yield litellm


@pytest.fixture
def litellm(both):
    """The stand-in. What a test changes there is undone."""
    yield both
    both.without = set()
    both.roll_back()


def run(*options, litellm_key=MASTER_KEY, pg_org_key=ADMIN_KEY, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        **environment):
    keys = {"LITELLM_API_KEY": litellm_key, "PG_ORG_API_KEY": pg_org_key}
    done = subprocess.run(
        ["/usr/bin/python3", "-B", PROGRAM, *options], stdout=stdout, stderr=stderr, encoding="utf-8", timeout=300,
        env={**os.environ, **{name: value for name, value in keys.items() if value}, **environment},
    )
    table, blank, _ = (done.stdout or "").partition("\n\n")
    rows = [re.split(" {2,}", line) for line in table.splitlines()[1:]] if blank else []
    return types.SimpleNamespace(status=done.returncode, rows=rows, out=done.stdout, err=done.stderr)


@pytest.fixture
def compare(litellm):
    def compare(*options, **environment):
        done = run("--litellm", litellm.url, "--pg-org", URL, *options, **environment)
        assert done.err == ""
        return done

    return compare


def test_what_is_the_same_shows_nothing(compare):
    done = compare()
    assert (done.rows, done.status) == ([], 0), done.out
    compared, differences = done.out.splitlines()
    assert compared == (
        "Compared 1 organization, 1 organization member, 2 teams, 2 team members, 3 users, 4 keys, 1 customer."
    )
    assert re.fullmatch(r"0 differences\. Expected, besides: \d+\.", differences)


CHANGES = [
    ("OrganizationTable", "organization_alias = 'Acme AG'", "organization acme organization_alias", "Acme AG", "Acme"),
    ("OrganizationTable", "models = '{o3}'", "organization acme models", "o3", "gpt-4o, o3"),
    ("OrganizationTable", "spend = 0.31", "organization acme spend", "0.31", "0.3"),
    ("OrganizationTable", "metadata = '{\"cost center\": 8}'", "organization acme metadata",
     '{"cost center": 8}', '{"cost center": 7}'),
    ("BudgetTable", "max_budget = 11 WHERE budget_id = 'of acme'", "organization acme budget.max_budget", "11", "10"),
    ("BudgetTable", "model_max_budget = NULL", "organization acme budget.model_max_budget", "–", '{"gpt-4o": 1.5}'),
    ("OrganizationMembership", "user_role = 'internal_user'", "organization member acme / ada user_role",
     "internal_user", "org_admin"),
    ("OrganizationMembership", "budget_id = NULL", "organization member acme / ada budget.max_budget", "–", "4"),
    ("OrganizationMembership", "created_at = '2026-01-02'", "organization member acme / ada created_at",
     "2026-01-02T00:00:00.000Z", None),
    ("TeamTable", "blocked = true WHERE team_id = 'guests'", "team guests blocked", "true", "–"),
    ("TeamTable", "organization_id = 'acme' WHERE team_id = 'guests'", "team guests organization_id", "acme", "–"),
    ("TeamTable", "tpm_limit = 0 WHERE team_id = 'guests'", "team guests tpm_limit", "0", "–"),
    ("TeamTable", "model_id = NULL", "team research model_aliases", "–", '{"fast": "gpt-4o"}'),
    ("TeamTable", "team_member_permissions = '{/key/list}' WHERE team_id = 'guests'",
     "team guests team_member_permissions", "/key/list", "/key/health, /key/info"),
    ("TeamTable", "metadata = metadata - 'tags'", "team research tags", "–", "lab"),
    ("BudgetTable", "max_budget = 7 WHERE budget_id = 'of members'", "team research team_member_budget", "7", "6"),
    ("TeamTable", "members_with_roles = '[{\"user_id\": \"ada\", \"role\": \"user\"}]' WHERE team_id = 'research'",
     "team member research / ada role", "user", "admin"),
    ("TeamMembership", "spend = 0", "team member research / ada spend", "0", "0.3"),
    ("BudgetTable", "budget_duration = '2d' WHERE budget_id = 'of ada in research'",
     "team member research / ada budget.budget_duration", "2d", "1d"),
    ("UserTable", "user_email = 'ada@example.org' WHERE user_id = 'ada'", "user ada user_email",
     "ada@example.org", "ada@example.com"),
    ("UserTable", "teams = '{}'", "user ada teams", "–", "research"),
    ("UserTable", "user_role = 'proxy_admin' WHERE user_id = 'bob'", "user bob user_role",
     "proxy_admin", "internal_user_viewer"),
    ("VerificationToken", "max_budget = 5 WHERE key_alias = 'batch'", "key batch max_budget", "5", "20"),
    ("VerificationToken", "key_alias = 'bulk' WHERE key_alias = 'batch'", "key batch key_alias", "bulk", "batch"),
    ("VerificationToken", "user_id = 'bob' WHERE key_alias = 'batch'", "key batch user_id", "bob", "ada"),
    ("VerificationToken", "metadata = metadata - 'model_rpm_limit'", "key batch model_rpm_limit", "–", '{"gpt-4o": 3}'),
    ("BudgetTable", "max_budget = 21 WHERE budget_id = 'shared'", "key batch max_budget", "21", "20"),
    ("VerificationToken", "expires = '2036-05-06 07:08:00.002' WHERE blocked", "key sk-...aaaa expires",
     "2036-05-06T07:08:00.002Z", "2036-05-06T07:08:00.000Z"),
    ("VerificationToken", "max_budget = 3 WHERE blocked", "key sk-...aaaa max_budget", "3", "2"),
    ("EndUserTable", "alias = 'C'", "customer c-7 alias", "C", "Customer 7"),
    ("EndUserTable", "spend = 0.2999", "customer c-7 spend", "0.2999", "0"),
    ("BudgetTable", "max_budget = NULL WHERE budget_id = 'of c-7'", "customer c-7 budget.max_budget", "–", "3"),
]


@pytest.mark.parametrize("table, change, row, in_litellm, in_pg_org", CHANGES, ids=[row[2] for row in CHANGES])
def test_one_change_is_one_row(litellm, compare, table, change, row, in_litellm, in_pg_org):
    litellm.rows(f'UPDATE "LiteLLM_{table}" SET {change}')
    done = compare()
    shown = [re.sub(r" \([-\w]+…?\)", "", " ".join(cells[:3])) for cells in done.rows]
    assert row in shown, done.out
    values = done.rows[shown.index(row)][3:]
    assert values[0] == in_litellm and in_pg_org in (None, values[1])
    assert done.status == 1


MISSING = [
    ("""DELETE FROM "LiteLLM_OrganizationTable" """, "organization acme exists – yes"),
    ("""DELETE FROM "LiteLLM_OrganizationMembership" """, "organization member acme / ada exists – yes"),
    ("""DELETE FROM "LiteLLM_TeamTable" WHERE team_id = 'guests'""", "team guests exists – yes"),
    ("""DELETE FROM "LiteLLM_UserTable" WHERE user_id = 'bob'""", "user bob exists – yes"),
    ("""DELETE FROM "LiteLLM_VerificationToken" WHERE key_alias = 'batch'""", "key batch exists – yes"),
    ("""DELETE FROM "LiteLLM_VerificationToken" WHERE blocked""", "key sk-...aaaa exists – yes"),
    ("""DELETE FROM "LiteLLM_EndUserTable" """, "customer c-7 exists – yes"),
    ("""INSERT INTO "LiteLLM_OrganizationTable" (organization_id, organization_alias, budget_id)
        VALUES ('new', '', 'shared')""", "organization new exists yes –"),
    ("""UPDATE "LiteLLM_TeamTable" SET members_with_roles = '[{"user_id": "bob", "role": "user"}]'
        WHERE team_id = 'guests'""", "team member guests / bob exists yes –"),
    ("""INSERT INTO "LiteLLM_TeamTable" (team_id) VALUES ('new')""", "team new exists yes –"),
    ("""INSERT INTO "LiteLLM_UserTable" (user_id) VALUES ('new')""", "user new exists yes –"),
    ("""INSERT INTO "LiteLLM_VerificationToken" (token, key_name) VALUES ('new', 'sk-...')""",
     "key sk-... (new) exists yes –"),
    ("""INSERT INTO "LiteLLM_EndUserTable" (user_id) VALUES ('new')""", "customer new exists yes –"),
]


@pytest.mark.parametrize("change, row", MISSING, ids=[row for _, row in MISSING])
def test_what_only_one_has_is_a_row(litellm, compare, change, row):
    litellm.rows(change)
    done = compare()
    assert row in [re.sub(r" \([-\w]{12,}…?\)", "", " ".join(cells)) for cells in done.rows], done.out
    assert done.status == 1


def test_all_shows_what_is_expected_and_why(compare):
    done = compare("--all")
    assert done.status == 0
    assert "default_user_id  exists  –  yes" in re.sub(" {2,}", "  ", done.out)
    assert {row[2] for row in done.rows} > {"updated_at", "budget.budget_reset_at", "asks"}
    assert all(row[5].endswith(".") for row in done.rows)


def test_spend_is_what_was_spent_in_the_period(litellm, compare):
    key = post("/user/new", user_id="carol", user_role="internal_user")["key"]
    try:
        post("/usage/record", key=key, model="gpt-4o", cost=0.3)
        post("/user/carol/reset_spend", reset_to=0)
        litellm.rows("""INSERT INTO "LiteLLM_UserTable" (user_id, user_role, spend, created_at)
                        SELECT user_id, user_role, 0.3, created_at FROM org."user" WHERE user_id = 'carol'""")
        assert compare("--skip", "key").rows == [["user", "carol", "spend", "0.3", "0"]]
        litellm.rows("""UPDATE "LiteLLM_UserTable" SET spend = 0 WHERE user_id = 'carol'""")
        assert compare("--skip", "key").status == 0
    finally:
        post("/user/delete", user_ids=["carol"])


def test_spend_of_a_period_that_is_over_is_expected(litellm, compare):
    litellm.rows("""UPDATE "LiteLLM_UserTable" SET budget_reset_at = now() - interval '1 hour', spend = 5""")
    assert compare().status == 0
    litellm.rows("""UPDATE "LiteLLM_UserTable" SET budget_reset_at = now() + interval '1 hour'""")
    assert {row[2] for row in compare().rows} == {"budget_reset_at", "spend"}


def test_customers_of_organizations_are_expected(compare):
    post("/customer/new", user_id="c-7", organization_id="acme", max_budget=1)
    try:
        assert compare().status == 0
    finally:
        post("/customer/delete", user_ids=["c-7"], organization_id="acme")


def test_older_versions_without_the_second_list_of_teams(litellm, compare):
    litellm.without = {"/v2/team/list"}
    assert compare().status == 0


def test_skip_leaves_out_a_kind(litellm, compare):
    litellm.without = {"/organization/list"}
    litellm.rows("""UPDATE "LiteLLM_EndUserTable" SET alias = 'C'""")
    done = compare("--skip", "organization", "--skip", "customer")
    assert (done.status, done.out.splitlines()[0]) == (0, "Compared 2 teams, 2 team members, 3 users, 4 keys.")


# ---- Servers that refuse, fail or are something else


def refused(*options, **environment):
    done = run(*options, **environment)
    assert (done.status, done.out) == (2, "")
    assert re.fullmatch("pg_org compare-litellm: [^\n]*\n", done.err)
    assert "sk-" not in done.err
    return done.err.removeprefix("pg_org compare-litellm: ").strip()


def test_a_wrong_key(litellm):
    both = "--litellm", litellm.url, "--pg-org", URL
    why = "it does not let this key read this (401)"
    assert refused(*both, litellm_key="sk-wrong") == f"LiteLLM: {litellm.url}/organization/list: {why}"
    assert refused(*both, pg_org_key="sk-wrong") == f"pg_org: {URL}/organization/list: {why}"
    assert refused(*both, "--key", "sk-wrong").startswith("LiteLLM: ")
    assert "characters" in refused(*both, litellm_key="sk-\n")
    assert refused(*both, "--pg-org-key", "sk-wrong", litellm_key=None).startswith("LiteLLM: no key")


def test_a_key_of_somebody_who_may_not_see_it_all(litellm):
    key = post("/key/generate", allowed_routes=["/key/info"])["key"]
    try:
        assert "(403)" in refused("--litellm", litellm.url, "--pg-org", URL, pg_org_key=key)
    finally:
        post("/key/delete", keys=[key])


@pytest.mark.parametrize(
    "url, why",
    [
        ("http://127.0.0.1:1", "it can't be reached (Connection refused)"),
        ("http://ada:sk-secret@127.0.0.1:1", "it can't be reached (Connection refused)"),
        ("http://nowhere.invalid", "it can't be reached"),
        ("ftp://127.0.0.1", "the URL must be"),
        ("http://", "the URL must be"),
        ("http://[", "the URL must be"),
    ],
)
def test_an_address_where_nobody_answers(litellm, url, why):
    assert why in refused("--litellm", url, "--pg-org", URL)
    assert why in refused("--litellm", litellm.url, "--pg-org", url)


@pytest.mark.parametrize(
    "status, body, why",
    [
        (200, b"<html>Welcome</html>", "its reply is no JSON"),
        (200, b"[" * 100000, "its reply is no JSON"),
        (200, b'{"error": "none"}', "its reply is not that of"),
        (200, b"[1]", "its reply is not that of"),
        (302, b"", "it replied 302"),
        (502, b"<html>Bad Gateway</html>", "it replied 502"),
    ],
)
def test_something_else_that_answers(litellm, status, body, why):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        assert why in refused("--litellm", url, "--pg-org", URL)
        assert why in refused("--litellm", litellm.url, "--pg-org", url)


def test_pg_org_is_not_compared_with_itself(litellm):
    assert "not that of LiteLLM" in refused("--litellm", URL, "--pg-org", URL, litellm_key=ADMIN_KEY)
    assert "not that of pg_org" in refused("--litellm", URL, "--pg-org", litellm.url)


# ---- How it is shown


@pytest.mark.parametrize(
    "alias, shown",
    [
        ("\x1b[31mred\r\n\t\x7f", r"\x1b[31mred\r\n\t\x7f"),
        ("a\u202eb\u200bc", r"a\u202eb\u200bc"),
        ("\u05d0\u05d1\u05d2", "\u2068\u05d0\u05d1\u05d2\u2069"),
        ("x" * 300, "x" * 39 + "…"),
        ("Acme" + "x" * 300, "Acme" + "x" * 35 + "…"),
        ("表" * 5, "表" * 5),
        ("a  b", "a  b"),
    ],
)
def test_hostile_names_do_not_break_the_table(litellm, compare, alias, shown):
    litellm.rows('UPDATE "LiteLLM_OrganizationTable" SET organization_alias = %s', alias)
    done = compare()
    lines = done.out.splitlines()
    assert [line for line in lines if line.startswith("organization ")] == [lines[1]]
    assert shown in lines[1] and lines[1].endswith("  Acme")
    assert len(lines) == 5


def test_hostile_identifiers_are_asked_for_as_they_are(litellm, compare):
    id = "a/b?c=d&e #%41+\u05d0 " + "x" * 200
    litellm.rows("""INSERT INTO "LiteLLM_UserTable" (user_id, user_role, user_alias, created_at)
                    VALUES (%s, %s, %s, '2026-01-02')""", id, "internal_user", "one")
    post("/user/new", user_id=id, user_role="internal_user", user_alias="two", auto_create_key=False)
    try:
        rows = compare().rows
        assert [row[2] for row in rows] == ["created_at", "user_alias"]
        assert rows[1][3:] == ["one", "two"]
    finally:
        post("/user/delete", user_ids=[id])


def test_an_identifier_that_pg_org_would_not_have_is_one_row(litellm, compare):
    litellm.rows('INSERT INTO "LiteLLM_UserTable" (user_id) VALUES (%s)', "a\n\u202e" + "x" * 300)
    assert compare().rows == [["user", r"a\n\u202e" + "x" * 56 + "…", "exists", "yes", "–"]]


def test_long_values_are_shown_from_where_they_differ(litellm, compare):
    litellm.rows("""UPDATE "LiteLLM_TeamTable" SET models = array_fill('model'::text, '{1}') || 'gpt-4o'::text
                    || ARRAY(SELECT 'gpt-4o-' || n FROM generate_series(10, 40) n) WHERE team_id = 'research'""")
    (row,) = compare().rows
    assert row[3] == "gpt-4o, gpt-4o-10, gpt-4o-11, gpt-4o-12…" and row[4] == "gpt-4o"


def test_limit(litellm, compare):
    litellm.rows("""INSERT INTO "LiteLLM_EndUserTable" (user_id) SELECT 'new ' || n FROM generate_series(1, 120) n""")
    assert len(compare().rows) == 101
    assert "… and 20 more: --limit 0 shows all" in compare().out
    assert len(compare("--limit", "0").rows) == 120
    assert len(compare("--limit", "3").rows) == 4


def test_who_stops_reading_is_no_failure(litellm):
    litellm.rows("""INSERT INTO "LiteLLM_EndUserTable" (user_id) SELECT 'new ' || n FROM generate_series(1, 2000) n""")
    reader, its_end = os.pipe()
    os.close(reader)
    done = run("--litellm", litellm.url, "--pg-org", URL, "--limit", "0", stdout=its_end)
    os.close(its_end)
    assert (done.status, done.err) == (1, "")


def test_a_terminal_that_knows_ascii_only(litellm, compare):
    litellm.rows('UPDATE "LiteLLM_OrganizationTable" SET organization_alias = %s', "\u05d0")
    assert r"\u05d0" in compare(PYTHONIOENCODING="ascii").out


def test_a_key_may_have_the_organization_of_its_team_only(litellm, compare):
    litellm.rows("""UPDATE "LiteLLM_VerificationToken" SET organization_id = NULL WHERE key_alias = 'batch'""")
    assert compare().status == 0
    litellm.rows("""UPDATE "LiteLLM_VerificationToken" SET organization_id = 'new' WHERE key_alias = 'batch'""")
    assert [row[2:] for row in compare().rows] == [["organization_id", "new", "acme"]]


def test_an_imported_key_is_recognized_whatever_else_differs(litellm, compare, owner):
    token = digest("sk-imported")
    owner.execute(
        "INSERT INTO org.api_key (key_hash, key_id, key_name, key_alias, created_by, updated_by)"
        " VALUES (%s, md5('key of LiteLLM ' || %s)::uuid, 'sk-...aaaa', 'here', 'default_user_id', 'default_user_id')",
        (token, token),
    )
    try:
        litellm.rows("""INSERT INTO "LiteLLM_VerificationToken" (token, key_name, key_alias, user_id, created_by)
                        VALUES (%s, 'sk-...bbbb', 'there', 'bob', 'default_user_id')""", token)
        assert {tuple(row[2:]) for row in compare().rows if row[2] != "created_at"} == {
            ("key_alias", "there", "here"), ("key_name", "sk-...bbbb", "sk-...aaaa"), ("user_id", "bob", "–"),
        }
    finally:
        owner.execute("DELETE FROM org.api_key WHERE key_hash = %s", (token,))


# ---- Many


def test_all_pages_of_keys_are_compared(litellm, compare, owner):
    """1,200 keys made at the same time, half of them without alias; of 300 even the ends of their names are alike."""
    count = 1200
    owner.execute("SELECT clock_timestamp()")
    (made_at,) = owner.fetchone()
    columns = """ FROM (SELECT encode(sha256(('many' || n)::bytea), 'hex') AS token, n,
                               CASE WHEN n %% 2 = 0 THEN 'many ' || n END AS key_alias,
                               'sk-...' || CASE WHEN n < 300 THEN 'same' ELSE lpad(n::text, 4, '0') END AS key_name
                          FROM generate_series(1, %s) n) made"""
    owner.execute(
        "INSERT INTO org.api_key (key_hash, key_name, key_alias, max_budget, created_at, created_by, updated_by)"
        " SELECT token, key_name, key_alias, n, %s, 'default_user_id', 'default_user_id'" + columns, (made_at, count)
    )
    try:
        litellm.rows(
            'INSERT INTO "LiteLLM_VerificationToken"'
            " (token, key_name, key_alias, max_budget, created_at, created_by)"
            " SELECT token, key_name, key_alias, n, %s, 'default_user_id'" + columns, made_at, count
        )
        terminal, its_end = os.openpty()
        done = run("--litellm", litellm.url, "--pg-org", URL, stderr=its_end)
        assert (done.status, done.rows) == (0, []), done.out
        assert "1,204 keys" in done.out
        assert re.search(rb"\r\x1b\[Kkeys: \d+ of 1203\r", os.read(terminal, 4096))
        litellm.rows('UPDATE "LiteLLM_VerificationToken" SET max_budget = 9000 WHERE max_budget IN (37, 1001, 1200)')
        done = compare()
        assert sorted(row[2:] for row in done.rows) == [["max_budget", "9000", n] for n in ("1001", "1200", "37")]
        litellm.rows("""DELETE FROM "LiteLLM_VerificationToken" WHERE max_budget = 900""")
        assert [row[2] for row in compare().rows].count("exists") == 1
    finally:
        owner.execute("DELETE FROM org.api_key WHERE created_at = %s", (made_at,))


def test_the_page_lists_what_is_expected():
    sys.path.insert(0, str(PROGRAM.parent))
    from compare_litellm import EXPECTED

    page = (CHECKOUT / "docs/migrating.md").read_text()
    for one in EXPECTED:
        fields = ", ".join(f"`{field}`" for field in one.fields.split())
        assert f"| {one.kind or 'all'} | {fields} | {one.why} |" in page
