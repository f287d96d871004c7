"""The real functions, asked over one connection, at whatever time the test says it is.

Replies come back as the model gives its own: numbers exact, times as times.
"""

import json
from datetime import datetime, timezone
from decimal import Decimal

import psycopg2
import psycopg2.extras

from model import Facts, Key, Limits, Member, Organization, Team, TeamMember, User

# When the test's time begins: see redate.sql.
BEGINNING = datetime(2031, 1, 1, tzinfo=timezone.utc)

TIMES = {"expires_at", "settled_at", "resets_at", "frees_at", "created_at", "budget_reset_at", "expires"}

# Arguments that are JSON.
OBJECTS = {"member", "members_with_roles", "model_aliases", "model_max_budget", "requests"}

FACTS = """
SELECT json_build_object(
    'organizations', ARRAY(SELECT to_json(t) FROM (
        SELECT o.*, to_json(b) AS budget FROM org.organization o JOIN org.budget b USING (budget_id)) t),
    'members', ARRAY(SELECT to_json(t) FROM (
        SELECT m.*, to_json(b) AS budget FROM org.membership m LEFT JOIN org.budget b USING (budget_id)) t),
    'team_members', ARRAY(SELECT to_json(t) FROM (
        SELECT m.*, to_json(b) AS budget FROM org.team_member m LEFT JOIN org.budget b USING (budget_id)) t),
    'teams', ARRAY(SELECT to_json(t) FROM org.team t),
    'users', ARRAY(SELECT to_json(t) FROM org."user" t),
    'keys', ARRAY(SELECT to_json(t) FROM org.api_key t))
"""

# A reservation that has expired stays one until somebody puts it away: to all questions that is the same.
CALLS = """
SELECT organization_id, request_id, key_id, team_id, user_id, model, max_cost, max_tokens, reserved_at,
       'reserved', 0::numeric, 0::bigint, 0::bigint, NULL::timestamptz
  FROM org.reservation
UNION ALL
SELECT organization_id, request_id, key_id, team_id, user_id, model, max_cost, max_tokens, reserved_at,
       CASE WHEN state = 'expired' AND expires_at <= closed_at THEN 'reserved' ELSE state END,
       cost, prompt_tokens, completion_tokens, CASE WHEN state = 'settled' THEN closed_at END
  FROM org.usage
"""

SPENDS = """
SELECT 'organization', organization_id, '', '', '', spend FROM org.organization UNION ALL
SELECT 'team', organization_id, team_id, '', '', spend FROM org.team UNION ALL
SELECT 'member', organization_id, '', user_id, '', spend FROM org.membership UNION ALL
SELECT 'team_member', organization_id, team_id, user_id, '', spend FROM org.team_member UNION ALL
SELECT 'user', '', '', user_id, '', spend FROM org."user" UNION ALL
SELECT 'key', '', '', '', key_id, spend FROM org.api_key
"""


class Database:
    """A connection to a database that has the extension and its tables; remembers what it was told."""

    def __init__(self, name):
        self.connection = psycopg2.connect(dbname=name, options="-c TimeZone=UTC -c client_min_messages=warning")
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.script = []

    def clear(self):
        """As org_setup() left it; who there is then."""
        self.script = []
        tables = self.value(
            "SELECT string_agg(format('org.%I', relname), ', ') FROM pg_class"
            " WHERE relnamespace = 'org'::regnamespace AND relkind = 'r'"
            "   AND relname NOT IN ('migration', 'audit_log', 'event_counter')"
        )
        self.cursor.execute(
            f"TRUNCATE {tables}; INSERT INTO org.\"user\" (user_id, user_role, created_at)"
            " VALUES ('default_user_id', 'proxy_admin', %s)",
            [BEGINNING],
        )
        return self.value(FACTS)

    def use(self, at, function, arguments):
        """What one of the functions usage_* answers at that time."""
        return self.run([call_of(at, function, arguments)])

    def administer(self, at, function, arguments):
        """Who there is, and with which limits, after another function; what it makes is made at that time."""
        return self.run([call_of(at, function, arguments), f"SELECT redate('{at.isoformat()}')", FACTS])

    def run(self, statements):
        """One transaction; answers with what the last statement returns."""
        self.script += [statement for statement in statements if statement != FACTS]
        try:
            return self.value(";\n".join(statements))
        except psycopg2.Error as error:
            told = error.diag
            return dict(error=dict(sqlstate=error.pgcode, message=told.message_primary, detail=told.message_detail))

    def value(self, statement):
        self.cursor.execute(statement)
        return read(self.cursor.fetchone()[0]) if self.cursor.description else None

    def shown(self):
        """What it was told, to be run again with psql."""
        return ";\n".join(self.script) + ";"

    def rows(self, statement):
        self.cursor.execute(statement)
        return self.cursor.fetchall()


def call_of(at, function, arguments):
    named = ", ".join(
        f"{name} => {literal(write(value) if name in OBJECTS else value)}" for name, value in arguments.items()
    )
    return f"SET pg_org.now = '{at.isoformat()}';\nSELECT {function}({named})"


def literal(value):
    """As it stands in SQL."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, Decimal)):
        return plain(value)
    if isinstance(value, list):
        return f"ARRAY[{', '.join(literal(item) for item in value)}]::text[]"
    return "'" + value.replace("'", "''") + "'"


def plain(number):
    return format(number, "f") if isinstance(number, Decimal) else str(number)


def write(value):
    """As JSON, numbers to the last digit."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {write(item)}" for name, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(write(item) for item in value) + "]"
    return plain(value) if isinstance(value, Decimal) else json.dumps(value)


def read(value):
    """JSON as psycopg2 has read it: numbers are exact, and times are times."""
    if isinstance(value, list):
        return [read(item) for item in value]
    if isinstance(value, dict):
        return {name: time(item) if name in TIMES and item else read(item) for name, item in value.items()}
    return value


def time(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


psycopg2.extras.register_default_json(globally=True, loads=lambda text: json.loads(text, parse_float=Decimal))


def facts_of(told):
    """Who there is, from what the tables say."""
    facts = Facts()
    for o in told["organizations"]:
        facts.organizations[o["organization_id"]] = Organization(
            o["organization_id"],
            o["created_at"],
            limits_of(o["budget"]),
            tuple(o["models"]),
            o["model_aliases"],
            o["blocked"],
            o["default_reserve"],
            o["budget"]["budget_id"],
        )
    for t in told["teams"]:
        facts.teams[t["organization_id"], t["team_id"]] = Team(
            t["organization_id"], t["team_id"], t["created_at"], limits_of(t), tuple(t["models"]), t["blocked"]
        )
    for u in told["users"]:
        facts.users[u["user_id"]] = User(u["user_id"], u["created_at"], limits_of(u), tuple(u["models"]))
    for m in told["members"]:
        facts.members[m["organization_id"], m["user_id"]] = Member(
            m["organization_id"], m["user_id"], m["created_at"], limits_of(m["budget"]), m["budget_id"]
        )
    for m in told["team_members"]:
        facts.team_members[m["organization_id"], m["team_id"], m["user_id"]] = TeamMember(
            m["organization_id"],
            m["team_id"],
            m["user_id"],
            m["created_at"],
            limits_of(m["budget"]),
            m["budget_id"],
        )
    for k in told["keys"]:
        facts.keys[k["key_id"]] = Key(
            k["key_id"],
            k["key_alias"],
            k["created_at"],
            k["organization_id"] or "",
            k["team_id"] or "",
            k["user_id"] or "",
            limits_of(k),
            tuple(k["models"]),
            k["blocked"],
            k["expires"],
        )
    return facts


def limits_of(row):
    """Of a team, user, key or budget; without a budget there are none."""
    return Limits(**{name: row[name] for name in Limits._fields if row.get(name) is not None} if row else {})
