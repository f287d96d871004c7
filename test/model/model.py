"""The rules of usage, slow and obviously right.

The model keeps nothing but the list of all calls and, as facts, who there is
with which limits.  It has no counters: whatever a question needs is summed up
from the calls again, by the definitions in docs/limits.md.  What it answers is
what the functions usage_* must answer.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, Inexact, getcontext
from typing import Callable, NamedTuple, Optional

from periods import minute_of, minute_period, period_of


# Facts: who there is -------------------------------------------------------


class Limits(NamedTuple):
    """What an owner may spend and how fast; None is no limit."""

    max_budget: Optional[Decimal] = None
    model_max_budget: dict = {}
    tpm_limit: Optional[int] = None
    rpm_limit: Optional[int] = None
    max_parallel_requests: Optional[int] = None
    budget_duration: Optional[str] = None
    budget_reset_at: Optional[datetime] = None


class Organization(NamedTuple):
    organization_id: str
    created_at: datetime
    limits: Limits = Limits()
    models: tuple = ()
    model_aliases: dict = {}
    blocked: bool = False
    default_reserve: Optional[Decimal] = None
    budget_id: Optional[str] = None


class Team(NamedTuple):
    organization_id: str
    team_id: str
    created_at: datetime
    limits: Limits = Limits()
    models: tuple = ()
    blocked: bool = False


class User(NamedTuple):
    user_id: str
    created_at: datetime
    limits: Limits = Limits()
    models: tuple = ()


class Member(NamedTuple):
    organization_id: str
    user_id: str
    created_at: datetime
    limits: Limits = Limits()
    budget_id: Optional[str] = None


class TeamMember(NamedTuple):
    organization_id: str
    team_id: str
    user_id: str
    created_at: datetime
    limits: Limits = Limits()
    budget_id: Optional[str] = None


class Key(NamedTuple):
    key_id: str
    secret: str
    created_at: datetime
    organization_id: str = ""
    team_id: str = ""
    user_id: str = ""
    limits: Limits = Limits()
    models: tuple = ()
    blocked: bool = False
    expires: Optional[datetime] = None


@dataclass
class Facts:
    organizations: dict = field(default_factory=dict)  # by organization_id
    teams: dict = field(default_factory=dict)  # by organization_id, team_id
    users: dict = field(default_factory=dict)  # by user_id
    members: dict = field(default_factory=dict)  # by organization_id, user_id
    team_members: dict = field(default_factory=dict)  # by organization_id, team_id, user_id
    keys: dict = field(default_factory=dict)  # by key_id


# Calls ---------------------------------------------------------------------


@dataclass
class Call:
    organization_id: str
    request_id: str
    key_id: str
    team_id: str
    user_id: str
    model: str
    reserved_at: datetime
    expires_at: datetime
    max_cost: Decimal = Decimal(0)
    max_tokens: int = 0
    state: str = "reserved"  # then settled or cancelled
    cost: Decimal = Decimal(0)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    closed_at: Optional[datetime] = None

    def holds(self, now):
        return self.state == "reserved" and self.expires_at > now

    def row(self):
        """As the tables have it."""
        return (
            self.organization_id,
            self.request_id,
            self.key_id,
            self.team_id,
            self.user_id,
            self.model,
            self.max_cost,
            self.max_tokens,
            self.reserved_at,
            self.state,
            self.cost,
            self.prompt_tokens,
            self.completion_tokens,
            self.closed_at,
        )

    def tokens(self):
        return self.prompt_tokens + self.completion_tokens if self.state == "settled" else self.max_tokens


class Owner(NamedTuple):
    """Whom limits belong to, and which of the calls of an organization, a user or a key are theirs."""

    kind: str
    id: str
    created_at: datetime
    limits: Limits
    among: tuple
    counts: Callable


class Refused(Exception):
    """A refusal: sqlstate, words of the message, and the limit that is the reason."""

    def __init__(self, sqlstate, words, limit=None):
        super().__init__(f"{sqlstate} {words}")
        self.sqlstate = sqlstate
        self.words = words
        self.limit = limit


# Money is exact to the last digit.
getcontext().prec = 100
getcontext().traps[Inexact] = True

# Rules ---------------------------------------------------------------------

MOST = Decimal(10) ** 15
KINDS = ("organization", "team", "member", "team_member", "user", "key")
RATES = ("max_parallel_requests", "rpm_limit", "tpm_limit")


def names_of(model):
    """By what names a limit may mean the model: openai/gpt-4o is a gpt-4o as well."""
    return [model, model.partition("/")[2]] if "/" in model else [model]


def allows(models, asked, resolved):
    """Whether a list of models allows a call; an empty one allows all."""
    return not models or any(
        name == "all-proxy-models" or matches(name, asked) or matches(name, resolved) for name in models
    )


def matches(pattern, model):
    """Whether a name with * for any characters stands for the model."""
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), model) is not None


def limit_by_model(value):
    """A limit of a model is an amount, or an object with one and perhaps a duration of its own."""
    if not isinstance(value, dict):
        return value, None
    amount = value.get("budget_limit", value.get("max_budget"))
    return amount, value.get("time_period", value.get("budget_duration"))


class Limit(NamedTuple):
    """One limit of one owner, as it applies to one model or, if that is None, to all."""

    owner: Owner
    calls: list
    name: str
    model: Optional[str]
    value: Decimal
    duration: Optional[str] = None
    anchor: Optional[datetime] = None

    def is_budget(self):
        return self.name in ("max_budget", "model_max_budget")

    def period(self, now):
        if self.name in ("rpm_limit", "tpm_limit"):
            return minute_period(now)
        return period_of(now, self.duration, self.anchor)

    def spent(self, now):
        """What calls have taken of it for as long as its period lasts."""
        if self.name == "max_parallel_requests":
            return 0
        if self.is_budget():
            start = self.period(now).start
            return sum((c.cost for c in self.calls if c.state == "settled" and c.closed_at >= start), Decimal(0))
        calls = [c for c in self.calls if minute_of(c.reserved_at) == minute_of(now)]
        calls = [c for c in calls if c.state == "settled" or c.holds(now)]
        return len(calls) if self.name == "rpm_limit" else sum(c.tokens() for c in calls)

    def held(self, now):
        """What calls take of it while they are under way."""
        holds = [c for c in self.calls if c.holds(now)]
        if self.name == "max_parallel_requests":
            return len(holds)
        return sum((c.max_cost for c in holds), Decimal(0)) if self.is_budget() else 0

    def resets_at(self, now):
        return None if self.name == "max_parallel_requests" else self.period(now).end


class Model:
    def __init__(self):
        self.facts = Facts()
        self.now = None
        # The list of all calls, cut in pieces, so that a question reads only the piece that it can be about.
        self.calls = {}
        self.calls_of = defaultdict(list)
        self.labelled = {}

    def add(self, call, label):
        self.calls[call.organization_id, call.request_id] = call
        self.labelled[label or call.request_id] = call
        self.calls_of["organization", call.organization_id].append(call)
        self.calls_of["user", call.user_id].append(call)
        self.calls_of["key", call.key_id].append(call)

    def find(self, organization_id, request_id):
        return self.calls.get((organization_id, request_id))

    # Asking for a call

    def usage_reserve(
        self, key, model, max_cost=None, max_tokens=None, request_id=None, ttl_seconds=600, tags=None, label=None
    ):
        self.check_arguments(key=key, model=model, max_cost=max_cost, max_tokens=max_tokens, ttl_seconds=ttl_seconds)
        holder = self.usable_key(key)
        resolved = self.resolved(holder, model)
        limits = self.limits(holder, resolved)
        known = self.find(holder.organization_id, request_id)
        if known:
            if not known.holds(self.now):
                raise Refused("23505", "Reservation is over")
            # The hold of a call without max_cost may have been another amount then.
            asked = holder.key_id, resolved, known.max_cost if max_cost is None else max_cost, max_tokens or 0
            if asked != (known.key_id, known.model, known.max_cost, known.max_tokens):
                raise Refused("23505", "Another request")
            return self.grant(known, holder)

        self.require_model(holder, model, resolved)
        if max_cost is None:
            max_cost = self.default_reserve(holder)
        if max_cost is None and any(limit.is_budget() for limit in limits):
            raise Refused("22004", '"max_cost"')
        if max_tokens is None and any(limit.name == "tpm_limit" for limit in limits):
            raise Refused("22004", '"max_tokens"')
        call = Call(
            organization_id=holder.organization_id,
            request_id=request_id,
            key_id=holder.key_id,
            team_id=holder.team_id,
            user_id=holder.user_id,
            model=resolved,
            reserved_at=self.now,
            expires_at=self.now + timedelta(seconds=ttl_seconds),
            max_cost=Decimal(max_cost or 0),
            max_tokens=max_tokens or 0,
        )
        for limit in limits:
            self.require_room(limit, call)
        self.add(call, label)
        return self.grant(call, holder)

    def require_room(self, limit, call):
        asked = call.max_cost if limit.is_budget() else call.max_tokens if limit.name == "tpm_limit" else 1
        if limit.spent(self.now) + limit.held(self.now) + asked > limit.value:
            raise Refused("53400" if limit.is_budget() else "53RAT", "", self.explained(limit, asked))

    def explained(self, limit, asked):
        """A limit that a call would exceed.  Holds may end at any time, what is spent stays until the period ends."""
        spent, held, resets_at = limit.spent(self.now), limit.held(self.now), limit.resets_at(self.now)
        waits_for_period = asked <= limit.value < spent + asked
        return dict(
            self.named(limit),
            spent=spent,
            held=held,
            asked=asked,
            frees_at=resets_at if waits_for_period else None,
        )

    def named(self, limit):
        return dict(
            owner=limit.owner.kind, id=limit.owner.id, limit=limit.name, model=limit.model, value=limit.value
        )

    def grant(self, call, holder):
        return dict(
            request_id=call.request_id,
            model=call.model,
            expires_at=call.expires_at,
            limits=[self.remaining(limit) for limit in self.limits(holder, call.model)],
        )

    def remaining(self, limit):
        return dict(
            self.named(limit),
            remaining=limit.value - limit.spent(self.now) - limit.held(self.now),
            resets_at=limit.resets_at(self.now),
        )

    # Telling what became of it

    def usage_settle(self, label, cost, prompt_tokens=None, completion_tokens=None):
        self.check_arguments(cost=cost, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
        call = self.reservation(label)
        if call.state != "settled":
            self.settle(call, cost, prompt_tokens, completion_tokens)
        return self.settlement(call)

    def usage_cancel(self, label):
        call = self.reservation(label)
        if call.state == "settled":
            raise Refused("55000", "Reservation is settled")
        if call.holds(self.now):
            call.state = "cancelled"
        return dict(request_id=call.request_id, state="cancelled" if call.state == "cancelled" else "expired")

    def reservation(self, label):
        if label not in self.labelled:
            raise Refused("P0002", "Reservation not found")
        return self.labelled[label]

    def usage_record(
        self,
        key,
        model,
        cost,
        request_id=None,
        prompt_tokens=None,
        completion_tokens=None,
        tags=None,
        label=None,
    ):
        self.check_arguments(
            key=key, model=model, cost=cost, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens
        )
        holder = self.key(key)
        call = self.find(holder.organization_id, request_id)
        if call and call.state != "settled":
            raise Refused("23505", "Reserved already")
        if call and (call.key_id, call.model) != (holder.key_id, self.resolved(holder, model)):
            raise Refused("23505", "Another request")
        if call:
            return self.settlement(call)
        call = Call(
            organization_id=holder.organization_id,
            request_id=request_id,
            key_id=holder.key_id,
            team_id=holder.team_id,
            user_id=holder.user_id,
            model=self.resolved(holder, model),
            reserved_at=self.now,
            expires_at=self.now,
        )
        self.add(call, label)
        self.settle(call, cost, prompt_tokens, completion_tokens)
        return self.settlement(call)

    def settle(self, call, cost, prompt_tokens, completion_tokens):
        call.state = "settled"
        call.cost = cost
        call.prompt_tokens = prompt_tokens or 0
        call.completion_tokens = completion_tokens or 0
        call.closed_at = self.now

    def settlement(self, call):
        return dict(
            request_id=call.request_id,
            organization_id=call.organization_id or None,
            token_id=call.key_id,
            model=call.model,
            cost=call.cost,
            prompt_tokens=call.prompt_tokens,
            completion_tokens=call.completion_tokens,
            state="settled",
            settled_at=call.closed_at,
        )

    # Showing what is left

    def usage_limits(self, key):
        try:
            holder = self.key(key)
        except Refused:
            raise Refused("P0002", "Key not found") from None
        shown = [
            dict(self.remaining(limit), spent=limit.spent(self.now), held=limit.held(self.now))
            for limit in self.limits(holder)
        ]
        return dict(token_id=holder.key_id, limits=shown)

    # Counters that are never reset

    def spend(self, *owner):
        calls = self.calls_by(self.owner(*owner))
        return sum((call.cost for call in calls if call.state == "settled"), Decimal(0))

    # Questions that all of these answer

    def check_arguments(self, **arguments):
        for name, value in arguments.items():
            if value is None:
                if name in ("key", "model", "cost"):
                    raise Refused("22004", f'"{name}"')
            elif name in ("max_cost", "cost") and not 0 <= value <= MOST:
                raise Refused("22023", f'"{name}"')
            elif name.endswith("_tokens") and value < 0:
                raise Refused("22023", f'"{name}"')
            elif name == "ttl_seconds" and not 1 <= value <= 86400:
                raise Refused("22023", f'"{name}"')

    def key(self, name):
        found = [key for key in self.facts.keys.values() if name in (key.key_id, key.secret)]
        if not found:
            raise Refused("28000", "Invalid proxy server token")
        return found[0]

    def usable_key(self, name):
        key = self.key(name)
        if key.blocked:
            raise Refused("28000", "Key is blocked")
        if key.expires and key.expires <= self.now:
            raise Refused("28EXP", "Expired Key")
        if key.team_id and self.facts.teams[key.organization_id, key.team_id].blocked:
            raise Refused("28000", f"Team={key.team_id} is blocked")
        if key.organization_id and self.facts.organizations[key.organization_id].blocked:
            raise Refused("28000", f"Organization={key.organization_id} is blocked")
        return key

    def resolved(self, key, model):
        organization = self.facts.organizations.get(key.organization_id)
        return organization.model_aliases.get(model, model) if organization else model

    def require_model(self, key, asked, resolved):
        organization = self.facts.organizations.get(key.organization_id)
        team = self.facts.teams.get((key.organization_id, key.team_id))
        user = self.facts.users.get(key.user_id)
        lists = dict(
            key=() if "all-team-models" in key.models else key.models,  # what the team may, that is
            team=team.models if team else (),
            organization=organization.models if organization else (),
            user=user.models if user else (),
        )
        for whose, models in lists.items():
            if not allows(models, asked, resolved):
                raise Refused("28MOD", f"{whose} not allowed to access model")

    def default_reserve(self, key):
        organization = self.facts.organizations.get(key.organization_id)
        return organization.default_reserve if organization else None

    def owners(self, key):
        """Whose limits a call with the key must keep, in the order in which they are asked."""
        owners = [self.owner(kind, key.organization_id, key.team_id, key.user_id, key.key_id) for kind in KINDS]
        return [owner for owner in owners if owner]

    def owner(self, kind, o, t, u, k):
        """The owner of that kind of calls with a key of these; None if there is none."""
        facts = self.facts
        of_organization, of_user, of_key = ("organization", o), ("user", u), ("key", k)
        found, owner_id, among, counts = dict(
            organization=(facts.organizations.get(o), o, of_organization, lambda call: True),
            team=(facts.teams.get((o, t)), t, of_organization, lambda call: call.team_id == t),
            member=(facts.members.get((o, u)), u, of_organization, lambda call: call.user_id == u),
            team_member=(
                facts.team_members.get((o, t, u)),
                f"{t}/{u}",
                of_organization,
                lambda call: call.team_id == t and call.user_id == u,
            ),
            user=(facts.users.get(u), u, of_user, lambda call: True),
            key=(facts.keys.get(k), k, of_key, lambda call: True),
        )[kind]
        return found and Owner(kind, owner_id, found.created_at, found.limits, among, counts)

    def calls_by(self, owner):
        """Those since the owner was made: what was before was somebody else's of the same name."""
        calls = self.calls_of[owner.among]
        return [call for call in calls if call.reserved_at >= owner.created_at and owner.counts(call)]

    def limits(self, key, model=None):
        """Those of calls to a model, or of all models; budgets first, and of the outermost owner first."""
        owners = self.owners(key)
        budgets = [limit for owner in owners for limit in self.budgets_of(owner, model)]
        return budgets + [limit for owner in owners for limit in self.rates_of(owner)]

    def budgets_of(self, owner, model):
        of = owner.limits
        period = of.budget_duration, of.budget_reset_at
        if of.max_budget is not None:
            yield Limit(owner, self.calls_by(owner), "max_budget", None, of.max_budget, *period)
        for name in of.model_max_budget if model is None else names_of(model):
            if name in of.model_max_budget:
                value, duration = limit_by_model(of.model_max_budget[name])
                calls = [call for call in self.calls_by(owner) if name in names_of(call.model)]
                own_period = (duration, owner.created_at) if duration else period
                yield Limit(owner, calls, "model_max_budget", name, value, *own_period)

    def rates_of(self, owner):
        for name in RATES:
            if getattr(owner.limits, name) is not None:
                yield Limit(owner, self.calls_by(owner), name, None, getattr(owner.limits, name))
