"""Random operations: what could happen next to the organizations of a small platform.

Limits are tight and calls come close to them; organizations, members and keys
come and go, some under names that were used before; the clock moves from not
at all to months, often exactly to where a hold or a period ends.
"""

from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

MODELS = ["gpt-4o", "openai/gpt-4o", "azure/gpt-4o", "o3", "claude", "anthropic/claude"]
ALIASES = ["fast", "best"]
LISTS = [["gpt-4o", "o3", "*/*"], ["openai/*", "claude"], ["*"], ["fast", "*a*"], ["all-proxy-models"]] + 5 * [[]]
COSTS = [Decimal(cost) for cost in ("0", "0.1", "0.25", "0.5", "1", "1.000000001", "0.33333333333333333333", "2.5")]
BUDGETS = [Decimal(amount) for amount in ("0", "0.3", "1", "2.25", "4", "7.5", "15", "10.00000000000000000001")]
COUNTS = [0, 1, 2, 2, 3, 5]
TOKENS = [0, 1, 10, 50, 100, 200]
TOKENS_A_MINUTE = [0, 100, 200, 400, 1000]
DURATIONS = ["1s", "30s", "1m", "1h", "36h", "1d", "7d", "2w", "1mo", "3mo"]
DURATIONS += [f"1{unit}@{zone}" for unit in ("d", "w", "mo") for zone in ("Europe/Berlin", "America/New_York")]
DURATIONS += ["1d@Asia/Kolkata", "1d@Africa/Cairo", "1d@America/Havana", "1w@Pacific/Auckland", "1mo@America/Sao_Paulo", "1d@UTC"]
LIFETIMES = [1, 5, 30, 60, 600, 3600, 86400]
PEOPLE = ["ann", "ben", "cem", "dee"]
TEAMS = ["red", "blue"]
KINDS = ["organization", "team", "member", "team_member", "user", "key"]

MICROSECOND = timedelta(microseconds=1)


def team_ids(organization_id):
    """The teams that an organization may have: the identifier of a team is unique on the platform."""
    return [f"{organization_id}-{team}" for team in TEAMS]


class Operation(NamedTuple):
    """A call of a function, by whose arguments it can be made again elsewhere: what only the database can name, one
    of the following stands for."""

    at: object
    function: str
    arguments: dict
    about: str  # the organization


class Reservation(NamedTuple):
    label: str  # what the test calls it: the request_id, unless the database is to make one
    by_request: bool


class TokenId(NamedTuple):
    secret: str


class BudgetId(NamedTuple):
    organization_id: str
    team_id: str
    user_id: str


class Story:
    """What happens, one operation after the other; the model tells it how things stand."""

    organizations_at_once = 3
    calls_of_organization = 250

    def __init__(self, random, model):
        self.random = random
        self.model = model
        self.count = 0
        self.planned = []  # what must come next
        self.calls = {}  # by organization: arguments of usage_reserve and usage_record, by label
        self.limited = {}  # by organization: kinds of owners that have limits; so that each kind is the reason at times
        self.actions = {
            self.reserve: 32,
            self.reserve_again: 7,
            self.reserve_many: 7,
            self.settle: 18,
            self.settle_many: 4,
            self.settle_late: 1,
            self.cancel: 6,
            self.record: 5,
            self.show_limits: 3,
            self.change_limits: 7,
            self.change_periods: 3,
            self.change_again_and_again: 1,
            self.share_budget: 0.5,
            self.change_models: 1,
            self.block_and_unblock: 1,
            self.change_people: 3,
            self.change_keys: 2,
            self.replace_team: 1,
        }

    def next(self):
        while not self.planned:
            self.planned = self.populate() or self.choose(list(self.actions), self.actions.values())()
        function, arguments, about, *wait = self.planned.pop(0)
        self.count += 1
        at = self.model.now + wait[0] if wait else self.tick()
        # Creation takes a new point in time: outside of tests nothing happens at the very same time.
        if not function.startswith("usage_"):
            at = max(at, self.model.now + MICROSECOND)
        return Operation(at, function, arguments, about)

    # Chance

    def choose(self, things, weights=None):
        return self.random.choices(list(things), weights)[0]

    def perhaps(self, chance):
        return self.random.random() < chance

    def some(self, things):
        return [thing for thing in things if self.perhaps(0.5)]

    # Time

    def tick(self):
        step = self.choose(
            [
                timedelta(0),
                timedelta(milliseconds=self.random.randint(1, 2000)),
                timedelta(seconds=self.random.uniform(1, 90)),
                timedelta(minutes=self.random.uniform(1, 200)),
                timedelta(hours=self.random.uniform(1, 60)),
                timedelta(days=self.random.uniform(1, 45)),
            ],
            [40, 32, 10, 3, 1.5, 0.5],
        )
        edges = self.edges() if self.model.facts.organizations and self.perhaps(0.12) else []
        return self.choose(edges) if edges else self.model.now + step

    def edges(self):
        """Just before, at and just after a hold or a period ends."""
        now = self.model.now
        organization_id = self.choose(self.model.facts.organizations)
        holds = self.model.calls_of["organization", organization_id][-30:]
        ends = [call.expires_at for call in holds if call.holds(now)]
        for key in self.keys_of(organization_id)[:1]:
            ends += [limit.resets_at(now) for limit in self.model.limits(key) if limit.resets_at(now)]
        edges = [end + self.choose([-1, 0, 1]) * MICROSECOND for end in ends]
        return [edge for edge in edges if edge >= now]

    # The people

    def organization(self):
        return self.choose(self.model.facts.organizations)

    def keys_of(self, organization_id):
        return [key for key in self.model.facts.keys.values() if key.organization_id == organization_id]

    def members_of(self, organization_id):
        return [user for of, user in self.model.facts.members if of == organization_id]

    def teams_of(self, organization_id):
        return [team for of, team in self.model.facts.teams if of == organization_id]

    def members_of_teams(self, organization_id):
        return [(team, user) for of, team, user in self.model.facts.team_members if of == organization_id]

    # Coming and going

    def populate(self):
        """Makes an organization where one is missing, and ends those that have had enough calls."""
        alive = self.model.facts.organizations
        for organization_id in alive:
            if len(self.calls.get(organization_id, ())) > self.calls_of_organization:
                again = organization_id if self.perhaps(0.5) else f"o{self.count}"
                latest = list(self.calls.pop(organization_id).items())[-30:]
                return [self.delete_organization(organization_id)] + self.make_organization(again, dict(latest))
        return self.make_organization(f"o{self.count}") if len(alive) < self.organizations_at_once else None

    def delete_organization(self, organization_id):
        return "org_delete", dict(organization_ids=[organization_id]), organization_id

    def make_organization(self, o, calls_before=()):
        self.calls[o] = dict(calls_before)
        self.limited[o] = self.random.sample(KINDS, self.random.randint(1, 4))
        members = self.random.sample(PEOPLE, 3)
        steps = [("org_new", dict(organization_alias=o, organization_id=o, **self.limits("organization", o)), o)]
        steps += [self.add_member(o, user) for user in members]
        for team in team_ids(o):
            steps.append(self.make_team(o, team, self.some(members)))
            steps += [self.add_to_team(o, team, user) for user in self.some(members)]
        steps += [self.make_key(o, user, team) for user in members[:2] + [None] for team in [None] + team_ids(o)]
        return steps

    def add_member(self, o, user):
        amount = dict(max_budget_in_organization=self.choose(BUDGETS)) if self.is_limited("member", o) else {}
        return "org_member_add", dict(organization_id=o, member=dict(role="org_admin", user_id=user), **amount), o

    def add_to_team(self, o, team, user):
        amount = dict(max_budget_in_team=self.choose(BUDGETS)) if self.is_limited("team_member", o) else {}
        member = dict(role="user", user_id=user)
        return "team_member_add", dict(organization_id=o, team_id=team, member=member, **amount), o

    def make_team(self, o, team, members):
        people = [dict(role="user", user_id=user) for user in members]
        return "team_new", dict(organization_id=o, team_id=team, members_with_roles=people, **self.limits("team", o)), o

    def make_key(self, o, user, team):
        secret = f"sk-{o}-{user or 'nobody'}-{team or 'none'}-{self.random.randrange(10**6)}"
        arguments = dict(organization_id=o, user_id=user, team_id=team, key=secret, key_alias=secret)
        return "key_generate", dict(arguments, **self.limits("key", o)), o

    def change_people(self):
        o = self.organization()
        user = self.choose(PEOPLE)
        team = self.choose(team_ids(o))
        amount = self.choose(BUDGETS + [None])
        return [
            self.choose(
                [
                    self.add_member(o, user),
                    ("org_member_update", dict(organization_id=o, user_id=user, max_budget_in_organization=amount), o),
                    ("org_member_delete", dict(organization_id=o, user_id=user), o),
                    self.add_to_team(o, team, user),
                    (
                        "team_member_update",
                        dict(organization_id=o, team_id=team, user_id=user, max_budget_in_team=amount),
                        o,
                    ),
                    ("team_member_delete", dict(organization_id=o, team_id=team, user_id=user), o),
                    ("user_delete", dict(user_ids=[user]), ""),
                ],
                [5, 6, 1, 5, 6, 1, 0.3],
            )
        ]

    def change_keys(self):
        o = self.organization()
        keys = self.keys_of(o)
        made = self.make_key(
            o, self.choose([None] + self.members_of(o)), self.choose([None] + self.teams_of(o))
        )
        if keys and self.perhaps(0.4):
            return [("key_delete", dict(keys=[self.choose(keys).secret]), o), made]
        outside = f"sk-outside-{self.random.randrange(10**6)}"
        if self.perhaps(0.3) and self.model.facts.users:
            user = self.choose(self.model.facts.users)
            return [("key_generate", dict(user_id=user, key=outside, key_alias=outside, **self.limits("key", o)), "")]
        return [made]

    def replace_team(self):
        o = self.organization()
        team = self.choose(team_ids(o))
        delete = ("team_delete", dict(organization_id=o, team_ids=[team]), o)
        made = self.make_team(o, team, self.some(self.members_of(o)))
        return [delete, made, self.make_key(o, self.choose([None] + self.members_of(o)), team)]

    # Limits

    def is_limited(self, kind, o):
        return kind in self.limited[o] and self.perhaps(0.7)

    def limits(self, kind, o):
        """Some of the limits that an owner of that kind may have."""
        chance = 0.25 if kind in self.limited[o] or kind == "budget" else 0.02
        fields = dict(
            max_budget=lambda: self.choose(BUDGETS),
            tpm_limit=lambda: self.choose(TOKENS_A_MINUTE),
            rpm_limit=lambda: self.choose(COUNTS),
        )
        if kind != "user":
            fields["max_parallel_requests"] = lambda: self.choose(COUNTS)
        if kind != "team":
            fields["model_max_budget"] = self.limits_by_model
        if kind in ("organization", "budget"):
            fields["soft_budget"] = lambda: self.choose(BUDGETS)
        if kind == "organization":
            fields["default_reserve"] = lambda: self.choose(COSTS)
        fields["budget_duration"] = lambda: self.choose(DURATIONS)
        return {name: value() for name, value in fields.items() if self.perhaps(chance)}

    def limits_by_model(self):
        return {model: self.limit_of_model() for model in self.random.sample(MODELS, self.choose([0, 1, 2]))}

    def limit_of_model(self):
        amount, duration = self.choose(BUDGETS), self.choose(DURATIONS)
        return self.choose(
            [
                amount,
                dict(max_budget=amount),
                dict(budget_limit=amount, time_period=duration),
                dict(max_budget=amount, budget_duration=duration),
            ]
        )

    def clear(self, kind):
        names = ["max_budget", "tpm_limit", "rpm_limit", "budget_duration"]
        names += ["max_parallel_requests"] if kind != "user" else []
        names += ["model_max_budget"] if kind in ("organization", "budget") else []
        names += ["default_reserve"] if kind == "organization" else []
        return [name for name in names if self.perhaps(0.5)]

    def owner(self, o):
        """A kind of owner in the organization, the arguments that name one, and the limits it has."""
        facts = self.model.facts
        budgets = [(BudgetId(o, "", ""), facts.organizations[o].limits)]
        budgets += [
            (BudgetId(o, getattr(it, "team_id", ""), it.user_id), it.limits)
            for it in [*facts.members.values(), *facts.team_members.values()]
            if it.organization_id == o and it.budget_id
        ]
        kinds = dict(
            organization=[(dict(organization_id=o), facts.organizations[o].limits)],
            team=[
                (dict(team_id=team), facts.teams[o, team].limits) for team in self.teams_of(o)
            ],
            user=[(dict(user_id=user), facts.users[user].limits) for user in self.members_of(o)],
            key=[(dict(key=key.secret), key.limits) for key in self.keys_of(o)],
            budget=[(dict(budget_id=budget_id), limits) for budget_id, limits in budgets],
        )
        kind = self.choose([kind for kind in kinds if kinds[kind]])
        return kind, *self.choose(kinds[kind])

    def change_limits(self):
        o = self.organization()
        return self.change_limits_of(o, *self.owner(o))

    def change_limits_of(self, o, kind, named, limits):
        return [self.change(o, kind, named, dict(self.limits(kind, o), clear=self.clear(kind)))]

    def change_periods(self):
        """What was spent counts again, or no more, when a budget gets other periods."""
        o = self.organization()
        return self.change_periods_of(o, *self.owner(o))

    def change_periods_of(self, o, kind, named, limits):
        fields = dict(budget_duration=self.choose(DURATIONS))
        if kind != "team" and (limits.model_max_budget or self.perhaps(0.3)):
            models = limits.model_max_budget or self.random.sample(MODELS, 2)
            fields["model_max_budget"] = {model: self.limit_of_model() for model in models}
        else:
            fields["max_budget"] = self.choose(BUDGETS)
        return [self.change(o, kind, named, fields)]

    def change_again_and_again(self):
        """The same owner's limits, with calls in between that are not settled yet."""
        o = self.organization()
        owner = self.owner(o)
        steps = []
        for _ in range(3):
            steps += self.choose([self.change_limits_of, self.change_periods_of, self.change_periods_of])(o, *owner)
            steps += self.reserve_of(o) + self.reserve_of(o) + self.show_limits_of(o)
        return steps

    def share_budget(self):
        """An organization takes the budget of another, with the periods that it has there."""
        o, other = self.organization(), self.organization()
        return [("org_update", dict(organization_id=o, budget_id=BudgetId(other, "", ""), cascade=True), o)]

    def change(self, o, kind, named, fields):
        function = "org_update" if kind == "organization" else f"{kind}_update"
        cascade = dict(cascade=True) if kind in ("organization", "team", "budget") else {}
        return function, dict(named, **fields, **cascade), o

    def change_models(self):
        o = self.organization()
        models = self.choose(LISTS)
        aliases = {alias: self.choose(MODELS) for alias in self.some(ALIASES)}
        choices = [
            ("org_update", dict(organization_id=o, model_aliases=aliases), o),
            ("org_update", dict(organization_id=o, models=models, cascade=True), o),
            ("team_update", dict(team_id=self.choose(team_ids(o)), models=models, cascade=True), o),
            ("user_update", dict(user_id=self.choose(PEOPLE), models=models), o),
        ]
        choices += [
            ("key_update", dict(key=key.secret, models=self.choose(LISTS + [["all-team-models"]])), o)
            for key in self.keys_of(o)[:3]
        ]
        return [self.choose(choices)]

    def block_and_unblock(self):
        o = self.organization()
        choices = [("org", dict(organization_id=o))]
        choices += [("team", dict(organization_id=o, team_id=team)) for team in self.teams_of(o)]
        choices += [("key", dict(key=key.secret)) for key in self.keys_of(o)[:4]]
        kind, named = self.choose(choices)
        blocked = [step for _ in range(3) for step in self.choose([self.reserve_of, self.settle_of])(o)]
        return [(f"{kind}_block", named, o)] + blocked + [(f"{kind}_unblock", named, o)]

    # Calls

    def key(self, o):
        outside = [key for key in self.model.facts.keys.values() if not key.organization_id]
        keys = outside if outside and self.perhaps(0.1) else self.keys_of(o)
        return self.choose(keys) if keys else None

    def ask(self, o):
        """Arguments of usage_reserve; about half of them come close to a limit."""
        key = self.key(o)
        asked = dict(key="sk-unknown", model=self.choose(MODELS + ALIASES))
        if key and not self.perhaps(0.01):
            asked["key"] = key.secret if self.perhaps(0.7) else TokenId(key.secret)
        if not self.perhaps(0.07):
            asked["max_cost"] = self.choose(COSTS)
        if not self.perhaps(0.07):
            asked["max_tokens"] = self.choose(TOKENS)
        if self.perhaps(0.5):
            asked["ttl_seconds"] = self.choose(LIFETIMES)
        if self.perhaps(0.1):
            asked["tags"] = ["a", "b"]
        if key and self.perhaps(0.25):
            self.aim(asked, key)
        if self.perhaps(0.02):
            asked.update(self.mistake())
        return self.remember(o, asked)

    def aim(self, asked, key):
        """All that is left of a limit, or the least bit more."""
        limits = self.model.usage_limits(key.key_id)["limits"]
        for limit in limits and [self.choose(limits)]:
            if limit["limit"].endswith("max_budget") or limit["limit"] == "max_budget":
                asked["max_cost"] = max(limit["remaining"], Decimal(0)) + self.choose([Decimal(0), Decimal("1e-20")])
            elif limit["limit"] == "tpm_limit":
                asked["max_tokens"] = max(limit["remaining"], 0) + self.choose([0, 1])

    def mistake(self):
        return self.choose(
            [
                dict(max_cost=Decimal("-0.1")),
                dict(max_cost=Decimal("1000000000000000.01")),
                dict(max_tokens=-1),
                dict(ttl_seconds=0),
                dict(ttl_seconds=86401),
                dict(model=None),
                dict(key=None),
            ]
        )

    def remember(self, o, asked):
        """Gives the call its request_id; one in ten leaves that to the database."""
        label = f"{o}-{self.count}-{self.random.randrange(10**6)}"
        self.calls[o][label] = asked
        return dict(asked, request_id=label) if self.perhaps(0.9) else dict(asked, label=label)

    def reserve(self):
        return self.reserve_of(self.organization())

    def reserve_of(self, o):
        return [("usage_reserve", self.ask(o), o)]

    def ask_again(self, o):
        """Mostly the same as before, of a call that was asked for lately."""
        if not self.calls[o]:
            return self.ask(o)
        label = self.choose(list(self.calls[o])[-12:])
        asked = dict(self.calls[o][label], request_id=label)
        if self.perhaps(0.3):
            asked.update(self.choose([dict(max_cost=Decimal("0.7")), dict(model="o3"), dict(max_tokens=7)]))
        return asked

    def reserve_again(self):
        o = self.organization()
        return [("usage_reserve", self.ask_again(o), o)]

    def reserve_many(self):
        o = self.organization()
        requests = [self.ask(o) if self.perhaps(0.8) else self.ask_again(o) for _ in range(self.random.randint(1, 6))]
        return [("usage_reserve_many", dict(requests=requests, wait=self.perhaps(0.5)), o)]

    def reservation(self, o):
        """Mostly one that is under way."""
        granted = [label for label in list(self.calls[o])[-80:] if label in self.model.labelled]
        under_way = [label for label in granted if self.is_under_way(label)]
        label = "never"
        if granted and self.perhaps(0.97):
            label = self.choose(under_way if under_way and self.perhaps(0.75) else granted)
        return Reservation(label, self.perhaps(0.6))

    def is_under_way(self, label):
        return self.model.labelled[label].state == "reserved"

    def cost_of(self, label):
        """What a call turns out to have cost: seldom more than was held."""
        call = self.model.labelled.get(label)
        held = call.max_cost if call else Decimal(1)
        cost = self.choose([held, held / 2, held / 4, Decimal(0), held * 2, self.choose(COSTS)], [4, 3, 2, 1, 1, 1])
        most = call.max_tokens if call else 10
        outcome = dict(cost=cost)
        if self.perhaps(0.8):
            outcome.update(prompt_tokens=most // 2, completion_tokens=self.choose([most - most // 2, most // 4, most]))
        if self.perhaps(0.02):
            outcome.update(self.choose([dict(cost=Decimal(-1)), dict(prompt_tokens=-1), dict(cost=Decimal(10) ** 13)]))
        return outcome

    def outcome(self, o):
        reservation = self.reservation(o)
        return dict(reservation=reservation, **self.cost_of(reservation.label))

    def settle(self):
        return self.settle_of(self.organization())

    def settle_of(self, o):
        return [("usage_settle", self.outcome(o), o)]

    def settle_late(self):
        """After it has expired, with another call in between, and likely within the minute."""
        o = self.organization()
        second = timedelta(seconds=1)
        late = dict(self.ask(o), ttl_seconds=1)
        reservation = Reservation(late.get("label") or late["request_id"], self.perhaps(0.5))
        outcome = dict(reservation=reservation, **self.cost_of(reservation.label))
        return [
            ("usage_reserve", late, o),
            ("usage_reserve", self.ask(o), o, second),
            ("usage_settle", outcome, o, second),
            ("usage_reserve", self.ask(o), o, second),
        ]

    def settle_many(self):
        o = self.organization()
        requests = [self.outcome(o) for _ in range(self.random.randint(1, 6))]
        return [("usage_settle_many", dict(requests=requests, wait=self.perhaps(0.5)), o)]

    def cancel(self):
        o = self.organization()
        return [("usage_cancel", dict(reservation=self.reservation(o)), o)]

    def record(self):
        o = self.organization()
        asked = self.ask_again(o) if self.perhaps(0.2) else self.ask(o)
        taken = ("key", "model", "request_id", "label", "tags")
        recorded = {name: value for name, value in asked.items() if name in taken}
        return [("usage_record", dict(recorded, **self.cost_of("never")), o)]

    def show_limits(self):
        return self.show_limits_of(self.organization())

    def show_limits_of(self, o):
        key = self.key(o)
        return [("usage_limits", dict(key=TokenId(key.secret)), key.organization_id)] if key else []
