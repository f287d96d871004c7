"""Ask LiteLLM's proxy and pg_org the same questions, and show where their answers differ.

    pg_org compare-litellm --litellm URL --pg-org URL [--key sk-…]

It reads organizations, teams, users, keys and customers, and changes nothing. docs/migrating.md says how to use it, and
which differences it leaves out.
"""

import argparse
import collections
import concurrent.futures
import dataclasses
import datetime
import decimal
import functools
import http.client
import itertools
import json
import os
import re
import ssl
import sys
import threading
import time
import unicodedata
import urllib.parse
from decimal import Decimal

import import_litellm

SECONDS_TO_WAIT = 60
TIMES_TO_ASK = 5
SECONDS_BETWEEN_UPDATES = 0.2  # of the progress that is shown
EXISTS = "exists"
TEAM_MEMBER_PERMISSIONS = ["/key/info", "/key/health"]  # of a team that has none of its own

# ---- Differences that are expected


@dataclasses.dataclass(frozen=True)
class Difference:
    kind: str
    id: str
    field: str
    litellm: object
    pg_org: object


@dataclasses.dataclass(frozen=True)
class Expected:
    """Differences in these fields of this kind (of all kinds if there is none), always or in such a case.

    A case is a function of the difference, and of all fields that the thing has in LiteLLM and in pg_org.
    """

    kind: str
    fields: str
    why: str
    case: object = None

    def covers(self, difference, litellm, pg_org):
        return (
            self.kind in ("", difference.kind)
            and difference.field in self.fields.split()
            and (self.case is None or self.case(difference, litellm, pg_org))
        )


def reset_is_due(difference, litellm, pg_org):
    times = (litellm.get(name) for name in ("budget_reset_at", "budget.budget_reset_at"))
    now = datetime.datetime.now(datetime.timezone.utc)
    return any(isinstance(at, datetime.datetime) and at < now for at in times)


def litellm_has_none(difference, *_):
    return difference.litellm is None


EXPECTED = (
    Expected("", "updated_at updated_by", "LiteLLM also writes them when something is spent."),
    Expected(
        "",
        "spend budget_reset_at budget.budget_reset_at",
        "LiteLLM's budget_reset_at is over, but its job has not set spend to 0 yet. pg_org needs no job.",
        reset_is_due,
    ),
    Expected(
        "",
        "budget_reset_at budget.budget_reset_at",
        "LiteLLM has no time yet, or does not show it. pg_org computes it from the duration.",
        litellm_has_none,
    ),
    Expected(
        "",
        "budget_id budget.budget_id",
        "Each makes up the identifier of a budget that one owner has alone. What it limits is compared.",
    ),
    Expected(
        "",
        "budget.created_at budget.created_by budget.updated_at budget.updated_by",
        "LiteLLM does not show who made a budget, and when.",
    ),
    Expected("", "model_spend", "pg_org's is the sum of its ledger. LiteLLM does not keep its own up to date."),
    Expected("", "object_permission_id", "pg_org keeps object_permission itself, rather than a row of its own."),
    Expected(
        "organization member",
        "spend",
        "LiteLLM does not count what members spend in their organization.",
        lambda difference, *_: difference.litellm == 0,
    ),
    Expected(
        "key",
        "last_active soft_budget_cooldown rotation_count auto_rotate rotation_interval last_rotation_at"
        " key_rotation_at",
        "LiteLLM's own notes about a key. pg_org does not rotate keys by itself.",
    ),
    Expected(
        "key",
        "organization_id",
        "LiteLLM often names the team of a key only. The team's organization is compared.",
        lambda difference, litellm, pg_org: difference.litellm is None and litellm.get("team_id") is not None,
    ),
    Expected("key", "agent_id project_id", "pg_org has no agents and projects."),
    Expected("team", "model_id", "pg_org keeps model_aliases in the team, rather than in a row of their own."),
    Expected("team", "default_team_member_models allow_team_guardrail_config", "pg_org has no such settings."),
    Expected(
        "team",
        "access_group_models access_group_mcp_server_ids access_group_agent_ids",
        "LiteLLM looks up what access groups stand for. Their access_group_ids are compared.",
    ),
    Expected(
        "user",
        "team_id organization_id organization_memberships",
        "LiteLLM's older ways to name where a user belongs. Members are compared.",
    ),
    Expected("user", "policies allowed_cache_controls", "pg_org keeps them for keys and teams only."),
    Expected("customer", "created_at created_by", "LiteLLM does not keep them."),
    Expected(
        "customer",
        EXISTS,
        "Customers of an organization are pg_org's own. LiteLLM's are those of the platform.",
        lambda difference, litellm, pg_org: pg_org.get("organization_id") is not None,
    ),
    Expected(
        "user",
        EXISTS,
        "pg_org makes the user default_user_id, LiteLLM only when one signs in.",
        lambda difference, *_: difference.id == "default_user_id" and difference.litellm is None,
    ),
    Expected("key", "asks", "The key that pg_org is asked with. LiteLLM's master key is no key of its database."),
)

ALWAYS_EXPECTED_OF_KEYS = frozenset(
    field for one in EXPECTED if one.kind in ("", "key") and one.case is None for field in one.fields.split()
)

# ---- Asking


class Unanswered(Exception):
    """One of the two can't be asked: which, and why."""


class Server:
    """LiteLLM or pg_org. Each thread has a connection of its own, which stays open."""

    def __init__(self, name, url, key):
        try:
            address = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
            connection = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}[address.scheme]
            host = address.hostname.encode("idna").decode()
            self._connect = functools.partial(connection, host, address.port, timeout=SECONDS_TO_WAIT)
        except (AttributeError, KeyError, ValueError):
            raise Unanswered(f"{name}: the URL must be http://HOST:PORT or https://HOST:PORT") from None
        if not key:
            raise Unanswered(f"{name}: no key was given, by an option or in the environment")
        if not re.fullmatch("[!-~]+", key):
            raise Unanswered(f"{name}: the key has characters that no key has")
        self.name = name
        self.url = f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path.rstrip('/')}"
        self._path = urllib.parse.quote(address.path.rstrip("/"), safe="/%")
        self._headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
        self._threads = threading.local()

    def get(self, path, **query):
        """What it replies, as an object. None if there is no such thing."""
        return self.get_page(path, query)[0]

    def get_page(self, path, query):
        """The reply, and the path with the query of the next page, if a Link names one."""
        target = path + ("?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote) if query else "")
        response, body = self._ask(target)
        if response.status == 404:
            return None, None
        if response.status in (401, 403):
            raise self.cannot(path, f"it does not let this key read this ({response.status})")
        if response.status != 200:
            raise self.cannot(path, f"it replied {response.status}")
        try:
            reply = json.loads(body, parse_float=Decimal, parse_constant=str)
        except (ValueError, RecursionError, decimal.DecimalException):
            raise self.cannot(path, "its reply is no JSON") from None
        link = re.match(r'<(/[^>]*)>; rel="next"', response.headers["Link"] or "")
        return reply, link and link[1]

    def cannot(self, path, why):
        return Unanswered(f"{self.name}: {self.url}{path.partition('?')[0]}: {why}")

    def _ask(self, target):
        for attempt in itertools.count(1):
            try:
                response, body = self._exchange(target)
            except (OSError, http.client.HTTPException) as error:
                self._threads.connection = None
                # The server may close a connection that was idle.
                if attempt > 1 or not isinstance(error, (ConnectionError, http.client.HTTPException)):
                    raise self.cannot(target, self._reason(error)) from None
                continue
            if response.status not in (429, 503) or attempt == TIMES_TO_ASK:
                return response, body
            seconds = response.headers["Retry-After"] or ""
            time.sleep(min(int(seconds), 10) if seconds.isdecimal() else 1)

    def _exchange(self, target):
        if getattr(self._threads, "connection", None) is None:
            self._threads.connection = self._connect()
        self._threads.connection.request("GET", self._path + target, headers=self._headers)
        response = self._threads.connection.getresponse()
        return response, response.read()

    @staticmethod
    def _reason(error):
        if isinstance(error, TimeoutError):
            return f"it did not reply within {SECONDS_TO_WAIT} seconds"
        if isinstance(error, (ssl.SSLError, http.client.HTTPException)):
            return f"it does not speak HTTP as this program does ({type(error).__name__})"
        return f"it can't be reached ({error.strerror or type(error).__name__})"


def list_by_number(pool, server, path, rows_name, keep, **query):
    """What `keep` makes of the rows of a list in numbered pages, of which all but the first are read at once. None if
    there is no such list."""

    def read(number):
        reply = server.get(path, page=number, **query)
        if reply is None:
            return None, 0
        require(server, path, isinstance(reply, dict) and is_list_of_objects(reply.get(rows_name)))
        require(server, path, isinstance(reply.get("total_pages"), int))
        return list(map(keep, reply[rows_name])), reply["total_pages"]

    first, total = read(1)
    if first is None:
        return None
    return first + [row for page, _ in pool.map(read, range(2, total + 1)) for row in page or []]


def list_by_link(server, path, keep):
    """Likewise of a list that is whole, or whose pages name the next one."""
    rows = []
    page, following = server.get_page(path, {"limit": 1000})
    while True:
        require(server, path, is_list_of_objects(page))
        rows += map(keep, page)
        if not following:
            return rows
        page, following = server.get_page(following, {})


def require(server, path, is_so):
    if not is_so:
        raise server.cannot(path, f"its reply is not that of {server.name}")


def is_list_of_objects(value):
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


# ---- The kinds of things that are compared, and the fields of each

TIMES = re.compile(r"(.*_at|expires|last_active|temp_budget_expiry)$")
# LiteLLM shows them inside metadata or beside it, depending on its version and on what has them.
BESIDE_METADATA = (
    "access_group_ids budget_limits enforced_params guardrails key_type logging model_rpm_limit model_tpm_limit"
    " policies prompts router_settings rpd_limit rpm_limit_type soft_budget tags team_member_key_duration"
    " temp_budget_expiry temp_budget_increase tpd_limit tpm_limit_type"
).split()
OF_TEAM_MEMBERS = {
    "max_budget": "team_member_budget",
    "budget_duration": "team_member_budget_duration",
    "rpm_limit": "team_member_rpm_limit",
    "tpm_limit": "team_member_tpm_limit",
}


def object_of(value):
    return value if isinstance(value, dict) else {}


def objects_of(value):
    return value if is_list_of_objects(value) else []


def fields_of(row, left_out=""):
    """The fields of a row, without those left out, in one form: those of its budget and metadata beside the others."""
    fields = dict(row)
    metadata = dict(object_of(fields.get("metadata")))
    for name in BESIDE_METADATA:
        inside = metadata.pop(name, None)
        if not fields.get(name) and inside is not None:
            fields[name] = inside
    fields["metadata"] = metadata
    for name, value in object_of(fields.pop("litellm_budget_table", None)).items():
        fields[f"budget.{name}"] = value
    # LiteLLM sets spend to 0 when a period ends: that is pg_org's period_spend.
    fields["spend"] = fields.pop("period_spend", fields.get("spend")) or 0
    for name in left_out.split():
        fields.pop(name, None)
    return {name: simplified(value, name) for name, value in fields.items()}


def simplified(value, name=""):
    """A value without what has no meaning: whether it is empty or missing, and the order of a list of texts."""
    if value is None or value is False:
        return None
    if isinstance(value, str):
        return time_of(value) if TIMES.match(name) else value.strip().lower() if name == "user_email" else value
    if isinstance(value, dict):
        members = {key: simplified(one) for key, one in value.items() if key != "object_permission_id"}
        return {key: one for key, one in members.items() if one is not None} or None
    if isinstance(value, list):
        if name and all(isinstance(one, str) for one in value):
            return sorted(set(value)) or None
        return [simplified(one) for one in value] or None
    return value


def time_of(text):
    try:
        # Python before 3.11 takes neither Z nor any number of digits.
        whole, fraction, zone = re.fullmatch(r"([^.Z+]*)(?:\.(\d+))?(Z|[+-]\d\d:?\d\d)?", text).groups(default="")
        zone = "+00:00" if zone in ("", "Z") else f"{zone[:3]}:{zone[-2:]}"
        at = datetime.datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}{zone}")
        return at.astimezone(datetime.timezone.utc)
    except (AttributeError, ValueError, OverflowError):
        return text


def is_same(one, other):
    """LiteLLM keeps money as binary floats, and times to the millisecond."""
    if isinstance(one, datetime.datetime) and isinstance(other, datetime.datetime):
        return abs(one - other) <= datetime.timedelta(milliseconds=1)
    if is_number(one) and is_number(other):
        one, other = Decimal(one), Decimal(other)
        return abs(one - other) <= Decimal("1e-9") * max(1, abs(one), abs(other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return type(one) is type(other) and one == other


def is_number(value):
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def organization(server, organization_id):
    reply = info(server, "/organization/info", organization_id=organization_id)
    if not reply:
        return {}
    teams = sorted(str(team.get("team_id")) for team in objects_of(reply.get("teams")))
    fields = fields_of(reply, "members teams users quotas default_reserve")
    things = {("organization", organization_id): {**fields, "teams": teams or None}}
    for member in objects_of(reply.get("members")):
        things["organization member", f"{organization_id} / {member.get('user_id')}"] = fields_of(
            member, "user user_email organization_id"
        )
    return things


def team(server, team_id):
    reply = info(server, "/team/info", team_id=team_id)
    if not reply:
        return {}
    row = dict(object_of(reply.get("team_info")))
    of_members = object_of(row.pop("team_member_budget_table", None))
    for name, of_member in OF_TEAM_MEMBERS.items():
        row.setdefault(of_member, of_members.get(name))
    aliases = object_of(row.pop("litellm_model_table", None)).get("model_aliases")
    row.setdefault("model_aliases", json.loads(aliases) if isinstance(aliases, str) else aliases)
    row["metadata"] = {
        name: value for name, value in object_of(row.get("metadata")).items() if name != "team_member_budget_id"
    }
    row["team_member_permissions"] = row.get("team_member_permissions") or TEAM_MEMBER_PERMISSIONS
    things = {("team", team_id): fields_of(row, "members_with_roles")}
    memberships = {one.get("user_id"): one for one in objects_of(reply.get("team_memberships"))}
    for member in objects_of(row.get("members_with_roles")):
        membership = fields_of(memberships.get(member.get("user_id"), {}))
        things["team member", f"{team_id} / {member.get('user_id') or member.get('user_email')}"] = {
            "role": member.get("role"),
            **{name: one for name, one in membership.items() if name == "spend" or name.startswith("budget.")},
        }
    return things


def user(server, user_id):
    row = info(server, "/user/info", user_id=user_id).get("user_info")
    return {("user", user_id): fields_of(row, "password key_count quotas")} if row else {}


def key(server, token, label):
    row = info(server, "/key/info", key=token).get("info")
    if not row:
        return {}
    fields = fields_of(row, "token token_id")
    # It is the same whether a key has a limit itself or by a budget.
    for of_budget in [name for name in fields if name.startswith("budget.")]:
        own = of_budget.removeprefix("budget.")
        if fields.get(own) is None:
            fields[own] = fields.pop(of_budget)
    return {("key", label): fields}


def customer_of(row):
    """The same identifier may be used in several organizations."""
    organization_id, user_id = row.get("organization_id"), row.get("user_id")
    return f"{organization_id} / {user_id}" if organization_id else str(user_id)


def info(server, path, **query):
    """What it says of a thing that it has listed; nothing if the thing is gone since."""
    reply = server.get(path, **query)
    require(server, path, reply is None or isinstance(reply, dict))
    return reply or {}


# ---- Comparing

KINDS = "organization", "team", "user", "key", "customer"
READ = {"organization": organization, "team": team, "user": user}


class Comparison:
    """Compares one kind after another, and collects the differences, with the reason for those that are expected."""

    def __init__(self, litellm, pg_org, jobs, keeps_expected):
        self.servers = litellm, pg_org
        self.differences = []
        self.expected = self.unexpected = 0
        self.compared = collections.Counter()
        self._keeps_expected = keeps_expected
        self._pool = concurrent.futures.ThreadPoolExecutor(jobs)

    def run(self, skipped):
        try:
            self._require_who_they_are()
            for kind in KINDS:
                if kind not in skipped:
                    self._compare(kind)
        finally:
            self._pool.shutdown(cancel_futures=True)

    def _require_who_they_are(self):
        litellm, pg_org = self.servers
        require(pg_org, "/", object_of(pg_org.get("/")).get("name") == "pg_org")
        try:
            is_pg_org_too = object_of(litellm.get("/")).get("name") == "pg_org"
        except Unanswered:
            is_pg_org_too = False  # LiteLLM has a page for people there; whether it answers, the lists tell
        require(litellm, "/", not is_pg_org_too)

    def _compare(self, kind):
        if kind == "key":
            self._compare_keys()
        elif kind == "customer":
            self._compare_customers()
        else:
            self._compare_listed(kind)

    def _ids(self, kind, server):
        def id_of(row):
            return str(row.get(f"{kind}_id"))

        if kind == "organization":
            return set(list_by_link(server, "/organization/list", id_of))
        query = {"page_size": 100, "sort_by": f"{kind}_id", "sort_order": "asc"}
        if kind == "user":
            return set(self._numbered(server, "/user/list", "users", id_of, **query))
        ids = list_by_number(self._pool, server, "/v2/team/list", "teams", id_of, **query)
        return set(list_by_link(server, "/team/list", id_of) if ids is None else ids)

    def _keys(self, server):
        def listed(row):
            return ListedKey.of(row, server is self.servers[1])

        # Sorted by something else, keys of the same rank would change places from page to page in LiteLLM.
        return self._numbered(server, "/key/list", "keys", listed, size=100, return_full_object="true")

    def _numbered(self, server, path, rows_name, keep, **query):
        rows = list_by_number(self._pool, server, path, rows_name, keep, **query)
        require(server, path, rows is not None)
        return rows

    def _compare_listed(self, kind):
        litellm, pg_org = (self._ids(kind, server) for server in self.servers)
        for one in sorted(litellm ^ pg_org):
            self._add_missing(kind, one, one in litellm)

        def things(one):
            return [READ[kind](server, one) for server in self.servers]

        for answers in self._each(kind, things, sorted(litellm & pg_org)):
            self._compare_things(*answers)

    def _compare_customers(self):
        def thing(row):
            return ("customer", customer_of(row)), fields_of(row)

        self._compare_things(*(dict(list_by_link(server, "/customer/list", thing)) for server in self.servers))

    def _compare_keys(self):
        """LiteLLM's token of a key is the digest of its secret, by which pg_org can't be asked: so they are matched."""
        litellm, pg_org = (self._keys(server) for server in self.servers)
        pairs, of_litellm, of_pg_org = match_keys(litellm, pg_org, self._contents)
        own = object_of(info(self.servers[1], "/key/info").get("info")).get("token")
        for one in of_litellm:
            self._add_missing("key", one.label, True)
        for one in of_pg_org:
            self._add_missing("key", one.label, False, "asks" if one.token == own else EXISTS)

        def things(pair):
            return [key(server, one.token, pair[1].label) for server, one in zip(self.servers, pair)]

        for answers in self._each("key", things, pairs):
            self._compare_things(*answers)

    def _contents(self, side, keys):
        """The fields of keys as text: what tells them apart if the lists do not."""

        def read(one):
            fields = key(self.servers[side], one.token, "").get(("key", ""), {})
            return text_of({
                name: text_of(round(value, 9) if isinstance(value, Decimal) else value)
                for name, value in fields.items()
                if value is not None and name not in ALWAYS_EXPECTED_OF_KEYS and name != "created_at"
            })

        return list(self._pool.map(read, keys))

    def _each(self, kind, ask, items):
        """The answers about each of the items: asked for in batches, so that only those of one batch are in memory."""
        shown_at = 0
        for start in range(0, len(items), 1000):
            for number, answer in enumerate(self._pool.map(ask, items[start : start + 1000]), start + 1):
                if time.monotonic() > shown_at + SECONDS_BETWEEN_UPDATES:
                    progress(f"{kind}s: {number} of {len(items)}")
                    shown_at = time.monotonic()
                yield answer
        progress("")

    def _compare_things(self, litellm, pg_org):
        for kind, one in sorted({**litellm, **pg_org}):
            things = litellm.get((kind, one)), pg_org.get((kind, one))
            if None in things:
                self._add_missing(kind, one, things[1] is None, things=things)
            else:
                self._compare_fields(kind, one, things)

    def _compare_fields(self, kind, one, things):
        self.compared[kind] += 1
        for name in sorted({**things[0], **things[1]}):
            values = [thing.get(name) for thing in things]
            if not is_same(*values):
                self._add(Difference(kind, one, name, *values), things)

    def _add_missing(self, kind, one, is_in_litellm, field=EXISTS, things=(None, None)):
        self.compared[kind] += 1
        values = ("yes", None) if is_in_litellm else (None, "yes")
        self._add(Difference(kind, one, field, *values), [thing or {} for thing in things])

    def _add(self, difference, things):
        why = next((one.why for one in EXPECTED if one.covers(difference, *things)), None)
        self.expected += why is not None
        self.unexpected += why is None
        if why is None or self._keeps_expected:
            self.differences.append((difference, why))


@dataclasses.dataclass(frozen=True)
class ListedKey:
    """What both lists say of a key that may tell which it is. LiteLLM's lists do not name organizations."""

    token: str
    token_in_pg_org: str
    alias: object
    name: object
    created_at: object
    owners: tuple

    @classmethod
    def of(cls, row, is_in_pg_org):
        token = str(row.get("token"))
        created_at = time_of(str(row.get("created_at")))
        if isinstance(created_at, datetime.datetime):
            created_at = round(created_at.timestamp() * 1000)
        owners = row.get("user_id"), row.get("team_id")
        token_in_pg_org = token if is_in_pg_org else import_litellm.key_id(token)  # unless pg_org had the key before
        return cls(token, token_in_pg_org, row.get("key_alias"), row.get("key_name"), created_at, owners)

    @property
    def label(self):
        return f"{self.alias or self.name or 'without name'} ({self.token})"


def is_telling(name):
    """Whether it has the end of the secret, as the names of long ones do."""
    return isinstance(name, str) and len(name) > len("sk-...")


# What identifies a key, best first, if it is not None; and whether keys that have it in common are told apart by all
# that there is to say of them.
IDENTITIES = (
    (lambda one: one.token_in_pg_org, False),
    (lambda one: (one.alias, one.name, one.created_at, one.owners), True),
    (lambda one: (one.name, one.created_at) if is_telling(one.name) else None, False),
    (lambda one: one.alias and (one.alias, one.owners), False),
    (lambda one: one.alias, False),
    (lambda one: (one.name, one.owners) if is_telling(one.name) else None, True),
)


def match_keys(litellm, pg_org, contents_of):
    """Pairs of keys that are the same, and those that only the one or the other has."""
    pairs, left = [], [litellm, pg_org]
    for identity, may_be_shared in IDENTITIES:
        groups = collections.defaultdict(lambda: ([], []))
        for side in (0, 1):
            for one in left[side]:
                groups[identity(one)][side].append(one)
        found = []
        for name, group in groups.items():
            if name is None or not all(group):
                continue
            if len(group[0]) == len(group[1]) == 1:
                found.append((group[0][0], group[1][0]))
            elif may_be_shared:
                found += match_by_contents(group, contents_of)
        pairs += found
        matched = [{pair[side].token for pair in found} for side in (0, 1)]
        left = [[one for one in left[side] if one.token not in matched[side]] for side in (0, 1)]
    return sorted(pairs, key=lambda pair: pair[1].label), *left


def match_by_contents(group, contents_of):
    """Pairs of keys with the same contents, and then, as far as they go, of the others."""
    by_contents = [collections.defaultdict(list), collections.defaultdict(list)]
    for side in (0, 1):
        for one, text in zip(group[side], contents_of(side, group[side])):
            by_contents[side][text].append(one)
    pairs, others = [], ([], [])
    for text in sorted({**by_contents[0], **by_contents[1]}):
        keys = by_contents[0][text], by_contents[1][text]
        same = list(zip(*keys))
        pairs += same
        for side in (0, 1):
            others[side].extend(keys[side][len(same) :])
    return pairs + list(zip(*others))


# ---- Showing

COLUMNS = "kind", "id", "field", "LiteLLM", "pg_org"
WIDTHS = 20, 60, 40, 40, 40
RIGHT_TO_LEFT = ("R", "AL", "AN")
UNPRINTABLE = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")


def text_of(value):
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if is_number(value):
        return f"{Decimal(value).normalize():f}" if abs(Decimal(value)) < Decimal("1e30") else str(value)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=float)


def printable(text):
    """Nothing that moves the cursor, or turns the direction of what follows."""
    shown = "".join(
        character.encode("unicode_escape").decode() if unicodedata.category(character) in UNPRINTABLE else character
        for character in text
    )
    if any(unicodedata.bidirectional(character) in RIGHT_TO_LEFT for character in shown):
        shown = f"\u2068{shown}\u2069"
    return shown


def width(text):
    return sum(
        0 if unicodedata.combining(character) or character in "\u2068\u2069"
        else 2 if unicodedata.east_asian_width(character) in "WF"
        else 1
        for character in text
    )


def cut(text, room):
    return text if len(text) <= room else text[: room - 1] + "…"


def from_where_they_differ(texts, room):
    """Two values of which the beginning, as far as it is equal, is left out if they are too long for the table."""
    same = len(os.path.commonprefix(texts))
    if max(map(len, texts)) <= room or same < room // 2:
        return texts
    return ["…" + text[same - room // 4 :] for text in texts]


def cells_of(difference):
    values = from_where_they_differ([text_of(difference.litellm), text_of(difference.pg_org)], WIDTHS[-1])
    texts = difference.kind, difference.id, difference.field, *values
    return [printable(cut(text, room)) for text, room in zip(texts, WIDTHS)]


def show_table(rows):
    widths = [max(map(width, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell + " " * (room - width(cell)) for cell, room in zip(row, widths)).rstrip())


def show(comparison, shows_all, limit):
    differences = comparison.differences
    rows = [cells_of(difference) + [why or ""] * shows_all for difference, why in differences[: limit or None]]
    if rows:
        show_table([[*COLUMNS, *["expected because"] * shows_all], *rows])
        if len(differences) > len(rows):
            print(f"… and {len(differences) - len(rows)} more: --limit 0 shows all")
        print()
    compared = ", ".join(counted(count, kind) for kind, count in comparison.compared.items())
    print(f"Compared {compared or 'nothing: both are empty'}.")
    print(f"{counted(comparison.unexpected, 'difference')}. Expected, besides: {comparison.expected:,}.")


def counted(count, noun):
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def progress(text):
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


# ---- The program


def positive(text):
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def not_negative(text):
    number = int(text)
    if number < 0:
        raise ValueError
    return number


def add_arguments(parser):
    parser.add_argument("--litellm", metavar="URL", required=True, help="LiteLLM's proxy")
    parser.add_argument("--pg-org", metavar="URL", required=True, help="pg_org's gateway")
    parser.add_argument("--key", help="a proxy admin's key, of both (arguments show in ps: the environment doesn't)")
    parser.add_argument("--litellm-key", metavar="KEY", help="LiteLLM's, if it differs (or LITELLM_API_KEY)")
    parser.add_argument("--pg-org-key", metavar="KEY", help="pg_org's, if it differs (or PG_ORG_API_KEY)")
    parser.add_argument("--jobs", metavar="N", type=positive, default=8, help="how many questions at once (8)")
    parser.add_argument("--limit", metavar="N", type=not_negative, default=100, help="rows to show (100; 0: all)")
    parser.add_argument(
        "--skip", metavar="KIND", choices=KINDS, action="append", default=[], help=f"one of {', '.join(KINDS)}"
    )
    parser.add_argument("--all", action="store_true", help="also show differences that are expected, and why")


def run(arguments):
    """0: nothing differs but what is expected. 1: something does. 2: one of the two can't be asked."""
    key_of = {
        "LITELLM_API_KEY": arguments.litellm_key or arguments.key,
        "PG_ORG_API_KEY": arguments.pg_org_key or arguments.key,
    }
    litellm_key, pg_org_key = (given or os.environ.get(name) for name, given in key_of.items())
    try:
        servers = Server("LiteLLM", arguments.litellm, litellm_key), Server("pg_org", arguments.pg_org, pg_org_key)
        comparison = Comparison(*servers, arguments.jobs, keeps_expected=arguments.all)
        comparison.run(skipped=arguments.skip)
    except Unanswered as error:
        progress("")
        print(f"pg_org compare-litellm: {error}", file=sys.stderr)
        return 2
    sys.stdout.reconfigure(errors="backslashreplace")
    try:
        show(comparison, arguments.all, arguments.limit)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads it has seen enough, as head has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1 if comparison.unexpected else 0


if __name__ == "__main__":
    command = argparse.ArgumentParser(prog="pg_org compare-litellm", description=__doc__.partition("\n")[0])
    add_arguments(command)
    sys.exit(run(command.parse_args()))
