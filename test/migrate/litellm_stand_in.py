"""LiteLLM's proxy, as far as it shows what its database has: the routes that pg_org compare-litellm reads.

Shapes and pages are those of LiteLLM 1.83, from its public documentation and from what its clients decode.
"""

import contextlib
import datetime
import hashlib
import http.server
import json
import threading
import urllib.parse

import psycopg2
import psycopg2.extras

from serving import serving

DASHBOARD = "litellm-dashboard"  # the team of keys that its dashboard makes for itself
LARGEST_PAGE = 100
# Of a budget that is shown within something else.
BUDGET_FIELDS = (
    "budget_id, max_budget, soft_budget, max_parallel_requests, tpm_limit, rpm_limit, model_max_budget, budget_duration"
)
# Among others, which a list of keys adds to the columns of their table.
OF_OTHERS = ("team_alias", "team_spend", "team_max_budget", "user_email", "user_spend", "organization_max_budget")


class Refusal(Exception):
    def __init__(self, status, message):
        self.status = status
        self.body = {"error": {"message": message, "type": "auth_error", "param": "None", "code": str(status)}}


class LiteLLM:
    """Serves the tables of litellm.sql in a schema. All requests share one connection with the tests, which change
    something there and roll it back."""

    def __init__(self, schema, key):
        self.connection = psycopg2.connect("", options=f"-c search_path={schema} -c TimeZone=UTC")
        self.key = key
        self.without = set()
        self._lock = threading.Lock()

    def rows(self, query, *values):
        with self._lock, self.connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute(query, values)
            return [dict(row) for row in cursor] if cursor.description else []

    def roll_back(self):
        self.connection.rollback()

    # ---- Routes, each with the parameters of its query

    def organization_list(self, query):
        return [
            self.whole_organization(row)
            for row in self.rows('SELECT * FROM "LiteLLM_OrganizationTable" ORDER BY created_at DESC')
        ]

    def organization_info(self, query):
        return self.whole_organization(self.one("Organization", "organization_id", query["organization_id"]))

    def whole_organization(self, row):
        id = row["organization_id"]
        members = self.rows('SELECT * FROM "LiteLLM_OrganizationMembership" WHERE organization_id = %s', id)
        return {
            **self.with_budget(row),
            "members": [{**self.with_budget(one), "user": None} for one in members],
            "teams": self.rows('SELECT * FROM "LiteLLM_TeamTable" WHERE organization_id = %s', id),
            "users": None,
        }

    def team_list_v2(self, query):
        return self.page(query, "page_size", 10, "Team", "team_id", "teams", "total", "page")

    def team_list(self, query):
        return self.rows('SELECT * FROM "LiteLLM_TeamTable"')

    def team_info(self, query):
        row = self.one("Team", "team_id", query["team_id"])
        of_members = row["metadata"].get("team_member_budget_id")
        aliases = self.rows('SELECT * FROM "LiteLLM_ModelTable" WHERE id = %s', row["model_id"])
        memberships = self.rows('SELECT * FROM "LiteLLM_TeamMembership" WHERE team_id = %s', row["team_id"])
        return {
            "team_id": row["team_id"],
            "team_info": {
                **row,
                "litellm_model_table": {"model_aliases": json.dumps(aliases[0].pop("aliases")), **aliases[0]}
                if aliases
                else None,
                "team_member_budget_table": self.budget(of_members),
            },
            "keys": self.rows('SELECT * FROM "LiteLLM_VerificationToken" WHERE team_id = %s', row["team_id"]),
            "team_memberships": [self.with_budget(one) for one in memberships],
        }

    def user_list(self, query):
        return self.page(query, "page_size", 25, "User", "user_id", "users", "total", "page", key_count=0)

    def user_info(self, query):
        row = self.one("User", "user_id", query["user_id"])
        keys = self.rows('SELECT * FROM "LiteLLM_VerificationToken" WHERE user_id = %s', row["user_id"])
        return {"user_id": row["user_id"], "user_info": row, "keys": keys, "teams": []}

    def key_list(self, query):
        # Its class for keys in lists has org_id, which the column organization_id does not fill.
        others = dict.fromkeys(OF_OTHERS, None) | {"org_id": None}
        reply = self.page(
            query, "size", 10, "VerificationToken", "created_at DESC, token DESC", "keys", "total_count",
            "current_page", f"WHERE team_id IS DISTINCT FROM '{DASHBOARD}'", **others
        )
        if query.get("return_full_object") != "true":
            return {**reply, "keys": [row["token"] for row in reply["keys"]]}
        for row in reply["keys"]:
            del row["organization_id"]
        return reply

    def key_info(self, query):
        asked = query.get("key", self.key)
        token = hashlib.sha256(asked.encode()).hexdigest() if asked.startswith("sk-") else asked
        row = self.one("VerificationToken", "token", token)
        del row["token"]
        return {"key": asked, "info": self.with_budget(row)}

    def customer_list(self, query):
        rows = [self.with_budget(row) for row in self.rows('SELECT * FROM "LiteLLM_EndUserTable"')]
        for row in rows:
            del row["budget_id"]
        return rows

    # ---- What they have in common

    def one(self, table, column, id):
        full = table if table == "VerificationToken" else f"{table}Table"
        found = self.rows(f'SELECT * FROM "LiteLLM_{full}" WHERE {column} = %s', id)
        if not found:
            raise Refusal(404, f"{table} not found")
        return found[0]

    def with_budget(self, row):
        return {**row, "litellm_budget_table": self.budget(row["budget_id"])}

    def budget(self, budget_id):
        found = self.rows(f'SELECT {BUDGET_FIELDS} FROM "LiteLLM_BudgetTable" WHERE budget_id = %s', budget_id)
        return found[0] if found else None

    def page(self, query, size_name, size, table, order, rows_name, total_name, page_name, where="", **more):
        number, size = int(query.get("page", 1)), int(query.get(size_name, size))
        if size > LARGEST_PAGE:
            raise Refusal(422, f"{size_name} must be at most {LARGEST_PAGE}")
        full = f'"LiteLLM_{table}"' if table == "VerificationToken" else f'"LiteLLM_{table}Table"'
        total = self.rows(f"SELECT count(*) FROM {full} {where}")[0]["count"]
        rows = self.rows(
            f"SELECT * FROM {full} {where} ORDER BY {order} LIMIT %s OFFSET %s", size, (number - 1) * size
        )
        return {
            rows_name: [{**row, **more} for row in rows],
            total_name: total,
            page_name: number,
            "total_pages": -(-total // size),
        }

    def answer(self, path, query, authorization):
        if path == "/" or path in self.without:
            raise Refusal(404, "Not Found")
        if authorization != f"Bearer {self.key}":
            raise Refusal(401, "Authentication Error, Invalid proxy server token passed.")
        route = path.strip("/").replace("/", "_")
        return getattr(self, {"v2_team_list": "team_list_v2"}.get(route, route))(query)

    @contextlib.contextmanager
    def running(self):
        """Serves while the block runs, and tells its URL."""
        litellm = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                address = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(address.query, keep_blank_values=True))
                try:
                    status, reply = 200, litellm.answer(address.path, query, self.headers["Authorization"])
                except Refusal as refusal:
                    status, reply = refusal.status, refusal.body
                body = json.dumps(reply, default=in_json).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
            yield url


def in_json(value):
    assert isinstance(value, datetime.datetime)
    return value.isoformat(timespec="microseconds") + "Z"
