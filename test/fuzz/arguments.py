"""Arguments for the functions, as SQL: what makes sense by their names, what fits their types, and what hurts.

Things get their names from small pools, so that calls meet each other.  All of it is ASCII and means the same
whatever the session's settings are.
"""

import json
import string

ORGANIZATIONS = [f"org-{number}" for number in range(6)]
TEAMS = [f"team-{number}" for number in range(4)]
USERS = [f"user-{number}" for number in range(8)]
BUDGETS = [f"budget-{number}" for number in range(6)]
KEYS = [f"sk-{number}" for number in range(8)]
MODELS = ["m1", "m2", "p/m1", "gpt-4o", "alias"]
STANDING_KEYS = ["sk-admin", "sk-viewer", "sk-usage", "sk-events", "sk-member", "sk-org-admin"]

PLAIN = set(string.ascii_letters + string.digits + " !\"#$%&()*+,-./:;<=>?@[]^_`{|}~")

LIMITS = [
    "max_budget", "soft_budget", "tpm_limit", "rpm_limit", "max_parallel_requests", "model_max_budget",
    "budget_duration",
]  # fmt: skip
CLEARABLE = LIMITS + [
    "metadata", "models", "tags", "default_reserve", "blocked", "duration", "user_email", "key_alias", "permissions",
    "max_budget_in_organization", "max_budget_in_team", "organization_alias", "alias", "budget_id", "default_model",
]  # fmt: skip

ODD_TEXTS = [
    "", " ", "'", '"', "\\", "';--", "$$", "%s%n%d", "{}", '{"a":', "NULL", "null", "0", "\x01\x1f\x7f", "\n\r\t",
    "\u202e", "\U0001f4a9", "\uffff", "e\u0301", "\u0130", "a" * 255, "a" * 256, "\u00e9" * 128, "../..", "sk-",
    "Bearer sk-admin",
    "-infinity", "2026-02-30", "9999-12-31", "99999999999mo", "1d@Europe/Berlin", "1d@Nowhere", "*", "org.organization",
    "*, W/\"\"", "default_user_id",
]  # fmt: skip
ODD_ARRAYS = [
    "{}", "{NULL}", "{NULL,a}", "{{a,b},{c,d}}", "[5:6]={a,b}", '{""}', '{{{"org-1"}}}', "{a", "[0:0]={org-1}",
]  # fmt: skip
ODD_NUMERICS = [
    "NaN", "Infinity", "-Infinity", "0", "-0", "-1", "1e-400", "1e400", "1e131071", "-1e131071", "9" * 1000, "1e-16383",
    "0." + "3" * 500, "9223372036854775808", "1e400000000", "x", "",
]  # fmt: skip
ODD_BIGINTS = [
    "0", "-1", "9223372036854775807", "-9223372036854775808", "9223372036854775806", "4294967296", "2147483648", "1001",
    "9223372036854775808", "1e3", "1.5", "x", "",
]  # fmt: skip
ODD_TIMES = [
    "-infinity", "infinity", "epoch", "4713-01-01 BC", "294276-12-31 23:59:59.999999Z", "294277-01-01", "0001-01-01",
    "x", "2026-10-25 02:30 Europe/Berlin", "",
]  # fmt: skip
ODD_JSONS = [
    "null", "true", "0", "-0", "1e400", "1e-400", '""', "[]", "{}", "[[]]", "[{}]", "[null]", '{"a":1,"a":2}',
    '{"":""}', '{"role":"org_admin"}', '{"role":null,"user_id":null}', '{"role":"org_admin","user_id":["user-1"]}',
    '"\\u0000"', '{"\\u0000":1}', '{"role":"\\u0000","user_id":"user-1"}', '"\\ud800"', '{"max_budget":"1"}',
    '{"max_budget":1e400}', '{"models":[1]}', '{"metadata":[]}', '{"budget_id":"budget-1"}', "{", "nul", "", '{"a":',
    '["\x01"]', '[{"key":"sk-1","model":"m1","max_cost":1e400}]', '[{"key":"sk-1","model":"m1","max_cost":"NaN"}]',
    '[{"request_id":"call-1","cost":-1}]', '[{"request_id":"call-1","cost":1e131071}]', '[{"max_tokens":1e30}]',
    '{"tpm_limit":1.5}', '{"rpm_limit":99999999999999999999}', '{"m1":{"budget_limit":"NaN"}}', '{"m1":{}}',
    '{"m1":-1}', '{"m1":{"budget_limit":1,"time_period":"0d"}}', '{"usage":1}', '{"usage":true,"more":true}',
]  # fmt: skip


def text(value):
    """In an escape string, which no setting changes the meaning of."""

    def escaped(character):
        if character in PLAIN:
            return character
        code = ord(character)
        return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

    return "E'" + "".join(map(escaped, value)) + "'"


def array(values):
    return f"ARRAY[{', '.join('NULL' if value is None else text(value) for value in values)}]::pg_catalog.text[]"


class Arguments:
    """Made from one source of randomness."""

    def __init__(self, random):
        self.random = random

    def fitting(self, function, name, type_name):
        """A value that the function may well accept."""
        made = getattr(self, f"make_{name}", None)
        if name == "limit" and type_name == "json":
            return f"{self.limit_to_reset()}::json"
        if made:
            return f"{made()}::{type_name}"
        if type_name == "timestamp with time zone":
            return "'2001-01-01Z'::timestamptz"  # to purge nothing: the log is looked at in the end
        return f"{self.of_type(function, name, type_name)}::{type_name}"

    def of_type(self, function, name, type_name):
        random = self.random
        if type_name == "boolean":
            return random.choice(["true", "false"])
        if type_name == "numeric":
            return text(str(random.choice([0, 0.001, 1, 10, 100, 1000, round(random.uniform(0, 50), 6)])))
        if type_name == "bigint":
            return str(random.choice([0, 1, 5, 10, 100, 1000, 100000]))
        if type_name == "text[]":
            return array(self.some(self.pool(name)))
        if type_name == "name":
            return text(random.choice(["org_gateway", "nobody"]))
        if type_name in ("json", "jsonb"):
            return text(json.dumps({random.choice("abc"): random.choice([1, None, "x", [], {}, [1, {"d": 2}]])}))
        return text(random.choice(self.pool(name)))

    def pool(self, name):
        for part, values in (
            ("org", ORGANIZATIONS),
            ("team", TEAMS),
            ("user", USERS),
            ("budget", BUDGETS),
            ("key", KEYS),
            ("model", MODELS),
            ("clear", CLEARABLE),
        ):
            if part in name:
                return values
        return ["a", "b", "Acme", "Ann's"]

    def some(self, values, most=3):
        return [self.random.choice(values) for _ in range(self.random.randint(0 if most > 1 else 1, most))]

    def hurting(self, function, type_name):
        """A value of the type, or what is none."""
        random = self.random
        if random.random() < 0.15:
            return f"NULL::{type_name}"
        if type_name == "boolean":
            value = text(random.choice(["t", "F", "maybe", "", "2"]))
        elif type_name == "numeric":
            value = text(random.choice(ODD_NUMERICS))
        elif type_name == "bigint":
            value = text(random.choice(ODD_BIGINTS))
        elif type_name == "text[]":
            value = self.odd_array()
        elif type_name == "timestamp with time zone":
            value = text(random.choice(ODD_TIMES if function != "org_audit_purge" else ODD_TIMES[:1]))
        elif type_name in ("json", "jsonb"):
            value = self.odd_json()
        else:
            value = self.odd_text()
        return f"{value}::{type_name}"

    def odd_text(self):
        random = self.random
        kind = random.random()
        if kind < 0.03:
            return f"pg_catalog.repeat({self.choice(*'xé{,')}, {random.choice([2**16, 10**6])})"
        if kind < 0.15:
            return text("".join(chr(self.code()) for _ in range(random.randint(1, 40))))
        return text(random.choice(ODD_TEXTS))

    def code(self):
        """Of any character that PostgreSQL can keep."""
        return self.random.randint(*self.random.choice([(1, 127), (128, 0xD7FF), (0xE000, 0x10FFFF)]))

    def odd_array(self):
        random = self.random
        kind = random.random()
        if kind < 0.3:
            return text(random.choice(ODD_ARRAYS))
        if kind < 0.35:
            element = text("x" * random.randint(1, 300))
            return f"pg_catalog.array_fill({element}::text, ARRAY[{random.choice([1000, 20000])}])"
        return array([random.choice(ODD_TEXTS + [None]) for _ in range(random.randint(1, 5))])

    def odd_json(self):
        random = self.random
        kind = random.random()
        if kind < 0.06:
            depth = random.choice([90, 101, 2000, 50000])
            opening, closing = random.choice([("[", "]"), ('{"a":', "}")])
            middle = random.choice(["", "1"]) if opening == "[" else "1"
            nested = "pg_catalog.repeat({0}, {3}) || {1} || pg_catalog.repeat({2}, {3})"
            return f"({nested.format(text(opening), text(middle), text(closing), depth)})"
        if kind < 0.09:
            return (
                "(SELECT pg_catalog.json_object_agg('k' || g, pg_catalog.repeat('v', 100))"
                f" FROM pg_catalog.generate_series(1, {random.choice([100, 5000])}) AS g)"
            )
        if kind < 0.11:
            member = """'{"role":"user","user_id":"user-1"},'"""
            return f"('[' || pg_catalog.repeat({member}, {random.choice([100, 3000])}) || '1]')"
        if kind < 0.2:
            return text(json.dumps(self.odd_value(4)))
        return text(random.choice(ODD_JSONS))

    def odd_value(self, depth):
        random = self.random
        names = ["role", "user_id", "user_email", "key", "model", "cost", "max_cost", "request_id", "models", "", "a"]
        kind = random.randint(0, 5 if depth else 3)
        if kind == 4:
            return [self.odd_value(depth - 1) for _ in range(random.randint(0, 4))]
        if kind == 5:
            return {random.choice(names): self.odd_value(depth - 1) for _ in range(random.randint(0, 4))}
        number = random.choice([0, -1, 1e308, 2**63, 0.1])
        return [None, number, random.choice(ODD_TEXTS), random.choice([True, False])][kind]

    # By name ---------------------------------------------------------------------

    def choice(self, *values):
        return text(self.random.choice(values))

    def make_api_key(self):
        key = self.random.choice(STANDING_KEYS + KEYS)
        return text("sk-admin" if self.random.random() < 0.5 else key)

    def make_key(self):
        key = self.random.choice(KEYS + STANDING_KEYS[-3:])
        if self.random.random() < 0.2:
            return f"(SELECT k.key_id FROM org.api_key k WHERE k.key_hash = encode(sha256({text(key)}::bytea), 'hex'))"
        return text(key)

    def make_id(self):
        return self.choice(*BUDGETS)

    def make_after(self):
        return self.choice("0", "1", "10", *ORGANIZATIONS[:2], *USERS[:2])

    def make_budget_id(self):
        if self.random.random() < 0.2:
            organization = self.choice(*ORGANIZATIONS)
            return f"(SELECT o.budget_id FROM org.organization o WHERE o.organization_id = {organization})"
        return self.choice(*BUDGETS)

    def make_model(self):
        return self.choice(*MODELS)

    def make_role(self):
        return self.choice("org_admin", "internal_user", "internal_user_viewer", "admin", "user", "org_gateway")

    def make_user_role(self):
        return self.choice("proxy_admin", "proxy_admin_viewer", "internal_user", "internal_user_viewer")

    def make_user_email(self):
        return text(f"{self.random.choice(USERS)}@example.com")

    def make_budget_duration(self):
        return self.choice("30s", "10m", "1h", "1d", "2w", "1mo", "1d@Europe/Berlin", "1mo@UTC", "1w@America/New_York")

    def make_duration(self):
        return self.choice("1s", "10m", "1h", "30d", "1mo")

    def make_grace_period(self):
        return self.choice("0s", "1s", "1h")

    def make_member(self):
        members = [self.member("org_admin", "internal_user", "admin", "user") for _ in range(self.random.randint(1, 3))]
        return text(json.dumps(members if self.random.random() < 0.5 else members[0]))

    def make_members_with_roles(self):
        return text(json.dumps([self.member("admin", "user") for _ in range(self.random.randint(0, 2))]))

    def member(self, *roles):
        user = self.random.choice(USERS)
        named = dict(user_id=user) if self.random.random() < 0.7 else dict(user_email=f"{user}@example.com")
        return dict(role=self.random.choice(roles), **named)

    def model_budget(self):
        limit = self.random.choice([0, 1, 100])
        return self.random.choice([limit, dict(budget_limit=limit, time_period=self.random.choice(["1d", "1mo@UTC"]))])

    def make_model_max_budget(self):
        return text(json.dumps({model: self.model_budget() for model in self.some(MODELS)}))

    def make_model_aliases(self):
        return text(json.dumps({"alias": self.random.choice(MODELS)}))

    def make_permissions(self):
        return text(json.dumps({name: self.random.choice([True, False]) for name in self.some(["usage", "events"])}))

    def limit_to_reset(self):
        limit = dict(
            limit=self.random.choice(["cost", "requests", "tokens", "parallel_requests", "money", None, 1]),
            per=self.random.choice(["1d", "1m", "30d", None, 1]),
            each=self.random.choice([None, None, "end_user", "tag", "nobody"]),
        )
        return text(json.dumps({name: limit[name] for name in self.some(list(limit))}))

    def limits(self):
        values = dict(
            max_budget=self.random.choice([0, 10, 1000, None]),
            soft_budget=self.random.choice([1, None]),
            tpm_limit=self.random.choice([0, 1000, 100000, None]),
            rpm_limit=self.random.choice([1, 1000, None]),
            budget_duration=self.random.choice(["1d", None]),
            model_max_budget={"m1": self.model_budget()},
        )
        return {name: values[name] for name in self.some(list(values))}

    def make_litellm_budget_table(self):
        return text(json.dumps(self.limits()))

    def make_patch(self):
        more = dict(organization_alias="B", models=self.some(MODELS), metadata={"a": None}, blocked=False, tags=["x"])
        return text(json.dumps(dict(self.limits(), **{name: more[name] for name in self.some(list(more))})))

    def make_requests(self):
        random = self.random
        requests = []
        for _ in range(random.randint(0, 4)):
            request = dict(request_id=f"call-{random.randint(0, 60)}")
            if random.random() < 0.5:
                most = random.choice([0, 1, "0.5"])
                request.update(key=random.choice(KEYS), model=random.choice(MODELS), max_cost=most)
            else:
                request.update(cost=random.choice([0, 1, 0.25]), prompt_tokens=random.randint(0, 10))
            requests.append(request)
        return text(json.dumps(requests))

    def make_if_match(self):
        current = f"public.org_etag({self.info()})"
        return self.random.choice(["'*'", "public.org_etag('{}'::json)", current])

    def info(self):
        return f"public.org_info({self.choice(*ORGANIZATIONS)}, api_key => 'sk-admin')"

    def make_reply(self):
        return self.random.choice([self.info(), "'{}'::json", self.odd_json()])

    def make_idempotency_key(self):
        return text(f"again-{self.random.randint(0, self.random.choice([10, 10**6, 10**6]))}")

    def make_request_id(self):
        return text(f"call-{self.random.randint(0, 60)}")

    def make_reservation_id(self):
        return text(f"5.{self.random.choice(ORGANIZATIONS)}.call-{self.random.randint(0, 60)}")

    def make_ttl_seconds(self):
        return str(self.random.choice([1, 2, 600]))

    def make_lease_seconds(self):
        return str(self.random.choice([1, 60]))

    def make_limit(self):
        return str(self.random.choice([1, 2, 100, 1000]))

    def make_page(self):
        return str(self.random.choice([1, 2]))

    def make_page_size(self):
        return str(self.random.choice([1, 50, 1000]))

    def make_start_date(self):
        return self.choice("2026-01-01", "2000-01-01")

    def make_end_date(self):
        return self.choice("2026-12-31", "2100-01-01")
