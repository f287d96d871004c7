"""Calls at random: mostly sensible ones, many of which come close to a limit."""

from datetime import timedelta
from decimal import Decimal

from limits_at_random import COSTS, MODELS, TAGS, TOKENS, Chance
from operation import Reservation, TokenId

ALIASES = ["fast", "best"]
END_USERS = ["cust-1", "cust-2", "cust-3"]
LIFETIMES = [1, 5, 30, 60, 600, 3600, 86400]


class Calls(Chance):
    """Calls of an organization's keys; `calls` has their arguments, by organization and label, and `count` is of all
    operations."""

    def organization(self):
        return self.choose(self.model.facts.organizations)

    def keys_of(self, organization_id):
        return [key for key in self.model.facts.keys.values() if key.organization_id == organization_id]

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
        if self.perhaps(0.4):
            asked["tags"] = self.some(TAGS)
        if self.perhaps(0.5):
            asked["end_user"] = self.choose(END_USERS)
        if key and self.perhaps(0.25):
            self.aim(asked, key)
        if self.perhaps(0.02):
            asked.update(self.mistake())
        return self.remember(o, asked)

    def aim(self, asked, key):
        """All that is left of a limit, or the least bit more."""
        subject = self.model.subject(key, asked["model"], asked.get("end_user", ""), asked.get("tags", ()))
        limits = [it for it in self.model.limits(subject) if it.sentence.limit in ("cost", "tokens")]
        if not limits:
            return
        limit = self.choose(limits)
        if limit.sentence.limit == "cost":
            asked["max_cost"] = max(limit.remaining(), Decimal(0)) + self.choose([Decimal(0), Decimal("1e-20")])
        else:
            asked["max_tokens"] = max(limit.remaining(), 0) + self.choose([0, 1])

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

    def extend(self):
        o = self.organization()
        fields = dict(ttl_seconds=self.choose(LIFETIMES)) if self.perhaps(0.9) else {}
        return [("usage_extend", dict(reservation=self.reservation(o), **fields), o)]

    def record(self):
        o = self.organization()
        return self.record_of(o, self.ask_again(o) if self.perhaps(0.2) else self.ask(o))

    def record_of(self, o, asked):
        taken = ("key", "model", "request_id", "label", "tags", "end_user")
        recorded = {name: value for name, value in asked.items() if name in taken}
        former = self.former_keys_beside(recorded["key"])
        if former and self.perhaps(0.3):
            secret = self.choose(former).secret
            recorded["key"] = secret if self.perhaps(0.7) else TokenId(secret)
        return [("usage_record", dict(recorded, **self.cost_of("never")), o)]

    def former_keys_beside(self, key):
        """Deleted keys of the organization that the key belongs to: request_ids are unique within one."""
        secret = key.secret if isinstance(key, TokenId) else key
        former = [it.key for it in self.model.former_keys.values()]
        within = [it.organization_id for it in [*self.model.facts.keys.values(), *former] if it.secret == secret]
        return [it for it in former if it.organization_id in within]

    def show_limits(self):
        return self.show_limits_of(self.organization())

    def show_limits_of(self, o):
        key = self.key(o)
        if not key:
            return []
        about = dict(model=self.choose(MODELS + ALIASES), end_user=self.choose(END_USERS), tags=self.some(TAGS))
        about = {name: value for name, value in about.items() if self.perhaps(0.4)}
        return [("usage_limits", dict(key=TokenId(key.secret), **about), key.organization_id)]
