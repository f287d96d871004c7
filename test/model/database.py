"""The real functions, asked over one connection, at whatever time the test says it is.

Replies come back as the model gives its own: numbers exact, times as times.
"""

import json
from datetime import datetime, timezone
from decimal import Decimal

import psycopg2
import psycopg2.extras

from facts import EndUser, Key, Member, Organization, Team, TeamMember, User
from sentences import sentences_of

# When the test's time begins: see redate.sql.
BEGINNING = datetime(2031, 1, 1, tzinfo=timezone.utc)

TIMES = {"expires_at", "settled_at", "resets_at", "frees_at", "created_at", "budget_reset_at", "expires"}
TIMES |= {"since", "until", "temp_budget_expiry"}

# Arguments that are JSON.
OBJECTS = {"member", "members_with_roles", "model_aliases", "model_max_budget", "requests"}
OBJECTS |= {"limits", "limit", "budget_limits", "model_tpm_limit", "model_rpm_limit"}

# Owners: what facts call them, and the columns that their limits are in and that they are known by.
OWNERS = [
    ("organizations", "organization", "budget", ["organization_id"]),
    ("teams", "team", None, ["organization_id", "team_id"]),
    ("users", '"user"', None, ["user_id"]),
    ("members", "membership", "budget", ["organization_id", "user_id"]),
    ("team_members", "team_member", "budget", ["organization_id", "team_id", "user_id"]),
    ("end_users", "end_user", "budget", ["organization_id", "end_user_id"]),
    ("keys", "api_key", "budget", ["key_id"]),
]


def query_of_facts(kind, table, budget, key):
    """The owners that this transaction has changed, or whose budget, and the names of all that there are."""
    columns, source, changed = "x.*", f"org.{table} x", "is_changed(x.xmin)"
    if budget:
        columns += ", to_json(b) AS budget"
        source += " LEFT JOIN org.budget b USING (budget_id)"
        changed += " OR is_changed(b.xmin)"
    names = f"x.{key[0]}" if len(key) == 1 else f"ARRAY[{', '.join(f'x.{column}' for column in key)}]"
    return (
        f"'{kind}', json_build_object("
        f"'changed', ARRAY(SELECT to_json(t) FROM (SELECT {columns} FROM {source} WHERE {changed}) t),"
        f"'all', (SELECT json_agg({names}) FROM org.{table} x))"
    )


QUERY_OF_FACTS = f"SELECT json_build_object({', '.join(query_of_facts(*owner) for owner in OWNERS)})"
FACTS = "EXECUTE facts"

# A reservation that has expired stays one until somebody puts it away: to all questions that is the same.
CALLS = """
SELECT organization_id, request_id, key_id, team_id, user_id, model, max_cost, max_tokens, reserved_at, expires_at,
       tags, end_user, 'reserved', 0::numeric, 0::bigint, 0::bigint, NULL::timestamptz
  FROM org.reservation
"""
CLOSED_CALLS = """
SELECT organization_id, request_id, key_id, team_id, user_id, model, max_cost, max_tokens, reserved_at, expires_at,
       tags, end_user, CASE WHEN state = 'expired' AND expires_at <= closed_at THEN 'reserved' ELSE state END,
       cost, prompt_tokens, completion_tokens, CASE WHEN state = 'settled' THEN closed_at END
  FROM """

SPENDS = """
SELECT 'organization', organization_id, '', '', '', '', spend FROM org.organization UNION ALL
SELECT 'team', organization_id, team_id, '', '', '', spend FROM org.team UNION ALL
SELECT 'member', organization_id, '', user_id, '', '', spend FROM org.membership UNION ALL
SELECT 'team_member', organization_id, team_id, user_id, '', '', spend FROM org.team_member UNION ALL
SELECT 'user', '', '', user_id, '', '', spend FROM org."user" UNION ALL
SELECT CASE organization_id WHEN '' THEN 'end_user_of_platform' ELSE 'end_user' END, organization_id, '', '', '',
       end_user_id, spend FROM org.end_user UNION ALL
SELECT 'key', '', '', '', key_id, '', spend FROM org.api_key
"""


class Database:
    """A connection to a database that has the extension and its tables; remembers what it was told."""

    def __init__(self, name):
        self.name = name
        self.script = []
        self.is_prepared = False
        self.connect()

    def connect(self):
        self.connection = psycopg2.connect(dbname=self.name, options="-c TimeZone=UTC -c client_min_messages=warning")
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()

    def copy(self, template):
        """As the template is, partitions and all; who there is then."""
        self.connection.close()
        server = Database("postgres")
        server.value(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")
        server.value(f"CREATE DATABASE {self.name} TEMPLATE {template}")
        server.value(f"GRANT CREATE ON DATABASE {self.name} TO org")  # which a copy does not have
        server.connection.close()
        self.connect()
        self.script = []
        self.is_prepared = False
        self.cursor.execute("UPDATE org.\"user\" SET created_at = %s", [BEGINNING])
        return self.facts()

    def facts(self):
        """Who there is, and with which limits."""
        if not self.is_prepared:
            self.cursor.execute(f"PREPARE facts AS {QUERY_OF_FACTS}")
            self.is_prepared = True
        self.cursor.execute("SET pg_org_test.everything = 'true'")
        told = self.value(FACTS)
        self.cursor.execute("SET pg_org_test.everything = ''")
        return told

    def use(self, at, function, arguments):
        """What one of the functions usage_* answers at that time."""
        return self.run([call_of(at, function, arguments)])

    def administer(self, at, function, arguments):
        """What another function changes of who there is, and of their limits."""
        return self.run([call_of(at, function, arguments), FACTS])

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

    def calls(self):
        archived = "".join(f" UNION ALL {CLOSED_CALLS}{table}" for table in self.archives())
        rows = self.rows(f"{CALLS} UNION ALL {CLOSED_CALLS}org.usage{archived}")
        return {tuple(tuple(sorted(it)) if isinstance(it, list) else it for it in row) for row in rows}


    def archives(self):
        """The tables that partitions of the ledger have become."""
        return [
            f"org_archive.{name}"
            for [name] in self.rows("SELECT name FROM org.usage_archive WHERE archived_at IS NOT NULL ORDER BY ends_at")
        ]

    def archived_until(self):
        return self.rows("SELECT max(ends_at) FROM org.usage_archive WHERE archived_at IS NOT NULL")[0][0]

    def put_away(self, request_ids=None):
        """When calls were cancelled, or found to have expired, by the columns that tell them apart."""
        self.cursor.execute(
            "SELECT organization_id, request_id, reserved_at, closed_at FROM org.usage"
            " WHERE state <> 'settled' AND (%(names)s::text[] IS NULL OR request_id = ANY (%(names)s))",
            dict(names=request_ids),
        )
        return {tuple(name): closed_at for *name, closed_at in self.cursor}

    def reports(self, last_day):
        """What is told of each day that calls were made on, in UTC."""
        days = f"start_date => '2031-01-01', end_date => '{last_day}', page_size => 1000"
        functions = [f"{of}_daily_activity" for of in ("org", "team", "user", "tag", "customer")]
        return [self.value(f"SELECT {function}({days})::text") for function in functions]


def call_of(at, function, arguments):
    named = ", ".join(
        f'"{name}" => {literal(write(value) if name in OBJECTS else value)}' for name, value in arguments.items()
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


def update(facts, told):
    """Who there is now, from what the tables say of the changes."""
    for kind, *_ in OWNERS:
        owners = getattr(facts, kind)
        for row in told[kind]["changed"]:
            name, owner = READERS[kind](row)
            owners[name] = owner
        there = told[kind]["all"] or []
        if len(owners) > len(there):
            for name in owners.keys() - {tuple(it) if isinstance(it, list) else it for it in there}:
                del owners[name]


def organization_of(row):
    return row["organization_id"], Organization(
        row["organization_id"],
        row["created_at"],
        sentences_of(row["budget"], row["created_at"]),
        tuple(row["models"]),
        row["model_aliases"],
        row["blocked"],
        row["default_reserve"],
        row["budget_id"],
        tuple(row["tags"]),
    )


def team_of(row):
    name = row["organization_id"], row["team_id"]
    return name, Team(
        *name,
        row["created_at"],
        sentences_of(row, row["created_at"]),
        tuple(row["models"]),
        row["blocked"],
        tuple(row["tags"]),
    )


def user_of(row):
    name = row["user_id"]
    return name, User(name, row["created_at"], sentences_of(row, row["created_at"]), tuple(row["models"]))


def member_of(row):
    name = row["organization_id"], row["user_id"]
    return name, Member(*name, row["created_at"], sentences_of(row["budget"], row["created_at"]), row["budget_id"])


def team_member_of(row):
    name = row["organization_id"], row["team_id"], row["user_id"]
    return name, TeamMember(*name, row["created_at"], sentences_of(row["budget"], row["created_at"]), row["budget_id"])


def end_user_of(row):
    name = row["organization_id"], row["end_user_id"]
    return name, EndUser(
        *name, row["created_at"], sentences_of(row["budget"], row["created_at"]), row["blocked"], row["budget_id"]
    )


def key_of(row):
    return row["key_id"], Key(
        row["key_id"],
        row["key_alias"],
        row["created_at"],
        row["organization_id"] or "",
        row["team_id"] or "",
        row["user_id"] or "",
        sentences_of(row, row["created_at"], row["budget"]),
        tuple(row["models"]),
        row["blocked"],
        row["expires"],
        tuple(row["tags"]),
        row["budget_id"],
    )


READERS = dict(
    organizations=organization_of,
    teams=team_of,
    users=user_of,
    members=member_of,
    team_members=team_member_of,
    end_users=end_user_of,
    keys=key_of,
)
