"""Random operations: what could happen next to the organizations of a small platform.

Limits are tight and calls come close to them; organizations, members and keys
come and go, some under names that were used before; the clock moves from not
at all to months, often exactly to where a hold or a period ends.
"""

from datetime import datetime, timedelta, timezone
from decimal import Decimal

from calls_at_random import ALIASES, END_USERS, Calls
from limits_at_random import BUDGETS, DURATIONS, MODELS, OF_ALL, SHORT_FORMS, TAGS
from operation import BudgetId, Operation

LISTS = [["gpt-4o", "o3", "*/*"], ["openai/*", "claude"], ["*"], ["fast", "*a*"], ["all-proxy-models"]] + 5 * [[]]
PEOPLE = ["ann", "ben", "cem", "dee"]
TEAMS = ["red", "blue"]
FIELDS_IN_TEAM = ["budget_duration", "tpm_limit", "rpm_limit"]
FIELDS_OF_END_USERS = ["max_budget", "soft_budget", "model_max_budget", "budget_duration", "tpm_limit", "rpm_limit"]
FIELDS_OF_END_USERS += ["max_parallel_requests"]
KINDS = ["end_user", "organization", "team", "member", "team_member", "user", "key"]

MICROSECOND = timedelta(microseconds=1)


def team_ids(organization_id):
    """The teams that an organization may have: the identifier of a team is unique on the platform."""
    return [f"{organization_id}-{team}" for team in TEAMS]


class Story(Calls):
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
            self.reset: 2,
            self.extend: 2,
            self.change_end_users: 2,
            self.change_tags: 1,
            self.share_budget: 1,
            self.change_models: 1,
            self.block_and_unblock: 1,
            self.change_people: 3,
            self.change_keys: 2,
            self.replace_team: 1,
            self.keep_calls: 1,
            self.record_around: 2,
        }

    def next(self):
        while not self.planned:
            self.planned = self.populate() or self.choose(self.actions, self.actions.values())()
        function, arguments, about, *wait = self.planned.pop(0)
        self.count += 1
        at = self.model.now + wait[0] if wait else self.tick()
        # Changes take a new point in time: outside of tests nothing happens at the very same time.
        if not function.startswith("usage_") or function == "usage_reset":
            at = max(at, self.model.now + MICROSECOND)
        return Operation(at, function, arguments, about)

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
        if self.perhaps(0.02):
            return self.earlier()
        edges = self.edges() if self.model.facts.organizations and self.perhaps(0.12) else []
        return self.choose(edges) if edges else self.model.now + step

    def edges(self):
        """Just before, at and just after a hold, a window or a raise ends."""
        now = self.model.now
        organization_id = self.choose(self.model.facts.organizations)
        calls = self.model.calls_of["organization", organization_id][-30:]
        ends = [call.expires_at for call in calls if call.holds(now)]
        if calls:
            for limit in self.model.limits(calls[-1]):
                ends += [limit.resets_at] if limit.resets_at else []
                ends += [limit.sentence.raised.until] if limit.sentence.raised else []
        edges = [end + self.choose([-1, 0, 1]) * MICROSECOND for end in ends]
        return [edge for edge in edges if edge >= now]

    def earlier(self):
        """The clock is put back."""
        now, earliest = self.model.now, self.model.earliest()
        back = self.choose([now - earliest, timedelta(milliseconds=1), timedelta(minutes=1), timedelta(days=1)])
        return max(earliest, now - back)

    # The people

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
        steps = [("org_new", dict(organization_alias=o, organization_id=o, **self.some_limits("organization", o)), o)]
        steps += [self.add_member(o, user) for user in members]
        for team in team_ids(o):
            steps.append(self.make_team(o, team, self.some(members)))
            steps += [self.add_to_team(o, team, user) for user in self.some(members)]
        steps += [self.make_key(o, user, team) for user in members[:2] + [None] for team in [None] + team_ids(o)]
        return steps

    def add_member(self, o, user):
        amount = self.limits_of_member("member", o)
        return "org_member_add", dict(organization_id=o, member=dict(role="org_admin", user_id=user), **amount), o

    def limits_of_member(self, kind, o):
        names = dict(member=["max_budget_in_organization"], team_member=["max_budget_in_team", *FIELDS_IN_TEAM])
        if not self.is_limited(kind, o):
            return {}
        return {name: self.short_form(name) for name in names[kind] if self.perhaps(0.6)}

    def add_to_team(self, o, team, user):
        amount = self.limits_of_member("team_member", o)
        member = dict(role="user", user_id=user)
        return "team_member_add", dict(organization_id=o, team_id=team, member=member, **amount), o

    def make_team(self, o, team, members):
        people = [dict(role="user", user_id=user) for user in members]
        named = dict(organization_id=o, team_id=team, members_with_roles=people)
        return "team_new", dict(named, **self.some_limits("team", o)), o

    def make_key(self, o, user, team):
        secret = f"sk-{o}-{user or 'nobody'}-{team or 'none'}-{self.random.randrange(10**6)}"
        arguments = dict(organization_id=o, user_id=user, team_id=team, key=secret, key_alias=secret)
        return "key_generate", dict(arguments, **self.some_limits("key", o)), o

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
            named = dict(user_id=user, key=outside, key_alias=outside)
            return [("key_generate", dict(named, **self.some_limits("key", o)), "")]
        return [made]

    def replace_team(self):
        o = self.organization()
        team = self.choose(team_ids(o))
        delete = ("team_delete", dict(organization_id=o, team_ids=[team]), o)
        made = self.make_team(o, team, self.some(self.members_of(o)))
        return [delete, made, self.make_key(o, self.choose([None] + self.members_of(o)), team)]

    def record_around(self):
        """Equal calls on the same day, one before and one after somebody begins to count anew."""
        o = self.organization()
        second = timedelta(seconds=1)
        [(function, recorded, about)] = self.record_of(o, self.ask(o))
        change = self.choose([self.reset_of, self.reset_of, self.change_limits_of])(o, *self.owner(o))
        again = dict(recorded, request_id=f"{o}-{self.count}-around")
        again.pop("label", None)
        return [(function, recorded, about), *((*step, second) for step in change), (function, again, about, second)]

    # How long calls are kept

    def keep_calls(self):
        return self.choose([self.archive, self.maintain, self.change_retention, self.repair], [5, 4, 1, 1])()

    def archive(self):
        """Mostly calls of the past year: windows that end later may have begun in this one, also of limits to come."""
        forgotten = self.model.now - self.model.memory
        before = min(forgotten, self.before_all_windows())
        if self.perhaps(0.2):
            before = forgotten + self.choose([MICROSECOND, timedelta(days=1), self.model.memory])
        return [("usage_archive", dict(before=before.isoformat()), ""), *self.forget_counters()]

    def before_all_windows(self):
        """When no window had begun yet that is open now: the longest are a year, somewhere, and three months."""
        year = datetime(self.model.now.year, 1, 1, tzinfo=timezone.utc) - timedelta(days=1)
        return min(year, self.model.now - timedelta(days=93))

    def forget_counters(self):
        """They are counted again from the calls."""
        return [("forget_counters", {}, "")] if self.perhaps(0.3) else []

    def maintain(self):
        ledger_days = (self.model.now - self.before_all_windows()).days + self.random.randrange(30)
        days = dict(request_memory_days=self.model.memory.days, ledger_days=ledger_days)
        steps = [("org_maintain", {}, "")] * self.random.randint(1, 5)
        return [("org_retention_update", days, ""), *steps, *self.forget_counters()]

    def change_retention(self):
        days = self.choose([2, 10, 20, 30, 35])
        partition = self.choose(["day", "week", "month"], [1, 2, 4])
        days = dict(request_memory_days=days, ledger_days=self.choose([0, days, days - 1, 400]), partition=partition)
        return [("org_retention_update", days, "")]

    def repair(self):
        return [("usage_repair", {}, "")]

    # Limits

    def is_limited(self, kind, o):
        return kind in self.limited[o] and self.perhaps(0.7)

    def some_limits(self, kind, o, now_there=()):
        """Some of the limits that an owner of that kind may have."""
        return self.limits(kind, 0.12 if kind in self.limited[o] or kind == "budget" else 0.01, now_there)

    def clear(self, kind):
        names = [*OF_ALL, *SHORT_FORMS.get(kind, []), "limits"]
        return [name for name in names if self.perhaps(0.3)]

    def owner(self, o):
        """A kind of owner in the organization, the arguments that name one, and the owner."""
        facts = self.model.facts
        organization = facts.organizations[o]
        budgets = [(BudgetId(o, "", ""), organization)]
        budgets += [
            (BudgetId(o, getattr(it, "team_id", ""), it.user_id), it)
            for it in [*facts.members.values(), *facts.team_members.values()]
            if it.organization_id == o and it.budget_id
        ]
        kinds = dict(
            organization=[(dict(organization_id=o), organization)],
            team=[(dict(team_id=team), facts.teams[o, team]) for team in self.teams_of(o)],
            user=[(dict(user_id=user), facts.users[user]) for user in self.members_of(o)],
            key=[(dict(key=key.secret), key) for key in self.keys_of(o)],
            budget=[(dict(budget_id=budget_id), owner) for budget_id, owner in budgets],
            member=[
                (dict(organization_id=o, user_id=user), facts.members[o, user]) for user in self.members_of(o)
            ],
            team_member=[
                (dict(organization_id=o, team_id=team, user_id=user), facts.team_members[o, team, user])
                for team, user in self.members_of_teams(o)
            ],
            end_user=[
                (dict(organization_id=of or None, user_id=end_user), owner)
                for (of, end_user), owner in facts.end_users.items()
                if of in ("", o)
            ],
        )
        kind = self.choose([kind for kind in kinds if kinds[kind]])
        return kind, *self.choose(kinds[kind])

    def change_limits(self):
        o = self.organization()
        return self.change_limits_of(o, *self.owner(o))

    def change_limits_of(self, o, kind, named, owner):
        now_there = [it for it in owner.sentences if it.field == "limits"]
        if kind in ("member", "team_member", "end_user") or self.perhaps(0.5):
            fields = dict(limits=self.sentences(now_there))
        else:
            fields = dict(self.some_limits(kind, o, now_there), clear=self.clear(kind))
        return [self.change(o, kind, named, fields)]

    def change_periods(self):
        """What was spent counts again, or no more, when a budget gets other periods."""
        o = self.organization()
        return self.change_periods_of(o, *self.owner(o))

    def change_periods_of(self, o, kind, named, owner):
        if kind in ("member", "team_member", "end_user"):
            return self.change_limits_of(o, kind, named, owner)
        fields = dict(budget_duration=self.choose(DURATIONS))
        models = [it.model for it in owner.sentences if it.field == "model_max_budget"]
        if models or self.perhaps(0.3):
            models = models or self.random.sample(MODELS, 2)
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

    def reset(self):
        """A new period now: of one limit, of one part of it, or of all that limit cost."""
        o = self.organization()
        return self.reset_of(o, *self.owner(o))

    def reset_of(self, o, kind, named, owner):
        if kind == "budget":
            return []
        if kind in ("team", "key", "user") and self.perhaps(0.3):
            return [(f"{kind}_reset_spend", dict(named, reset_to=Decimal(0)), o)]
        if kind == "end_user":
            named = dict(organization_id=named["organization_id"], end_user=named["user_id"])
        fields = {}
        if owner.sentences and self.perhaps(0.6):
            sentence = self.choose(owner.sentences)
            members = zip(("limit", "per", "model", "tag", "each", "soft"), sentence.name)
            fields["limit"] = {member: value for member, value in members if value not in (None, False)}
            parts = dict(model=MODELS, tag=TAGS, end_user=END_USERS, member=PEOPLE).get(sentence.each)
            if parts and self.perhaps(0.5):
                fields["part"] = self.choose(parts)
        named = {name: value for name, value in named.items() if value is not None}
        return [("usage_reset", dict(named, **fields), o)]

    def change_end_users(self):
        """Made, deleted, blocked: each in an organization or on the platform."""
        o = self.organization()
        user_id = self.choose(END_USERS)
        named = dict(user_id=user_id)
        where = dict(organization_id=o) if self.perhaps(0.7) else {}
        known = (where.get("organization_id", ""), user_id) in self.model.facts.end_users
        if not known:
            limits = {name: self.short_form(name) for name in FIELDS_OF_END_USERS if self.perhaps(0.3)}
            if self.perhaps(0.5):
                limits["limits"] = self.sentences()
            return [("customer_new", dict(named, **where, **limits), o)]
        many = dict(user_ids=[user_id], **where)
        if self.perhaps(0.5):
            return [("customer_delete", many, o)]
        return [("customer_block", many, o)] + self.reserve_of(o) + [("customer_unblock", many, o)]

    def share_budget(self):
        """An organization or a key takes the budget of another, with the periods that it has there."""
        o, other = self.organization(), BudgetId(self.organization(), "", "")
        keys = self.keys_of(o)
        if not keys or self.perhaps(0.3):
            return [("org_update", dict(organization_id=o, budget_id=other, cascade=True), o)]
        key = self.choose(keys)
        fields = dict(clear=["budget_id"]) if key.budget_id and self.perhaps(0.5) else dict(budget_id=other)
        return [("key_update", dict(key=key.secret, **fields), o)]

    def change(self, o, kind, named, fields):
        function = dict(organization="org_update", member="org_member_update", end_user="customer_update").get(
            kind, f"{kind}_update"
        )
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

    def change_tags(self):
        o = self.organization()
        tags = [] if self.perhaps(0.5) else self.some(TAGS)
        choices = [("org_update", dict(organization_id=o, tags=tags), o)]
        choices += [("team_update", dict(team_id=team, tags=tags), o) for team in self.teams_of(o)]
        choices += [("key_update", dict(key=key.secret, tags=tags), o) for key in self.keys_of(o)[:3]]
        return [self.choose(choices)]

    def block_and_unblock(self):
        o = self.organization()
        choices = [("org", dict(organization_id=o))]
        choices += [("team", dict(organization_id=o, team_id=team)) for team in self.teams_of(o)]
        choices += [("key", dict(key=key.secret)) for key in self.keys_of(o)[:4]]
        kind, named = self.choose(choices)
        blocked = [step for _ in range(3) for step in self.choose([self.reserve_of, self.settle_of])(o)]
        return [(f"{kind}_block", named, o)] + blocked + [(f"{kind}_unblock", named, o)]
