"""A limit as it holds for calls: a sentence of an owner, the part that it is about, and the calls that it counts."""

from datetime import datetime
from decimal import Decimal
from typing import Callable, NamedTuple, Optional

from sentences import Sentence

UNKNOWN = object()  # a part that is not known


class Owner(NamedTuple):
    """Whom limits belong to, and which of the calls of an organization, a user, an end user or a key are theirs."""

    kind: str
    id: str
    name: tuple  # by which it is known, also when it was made: one made anew is another
    created_at: datetime
    sentences: tuple
    among: tuple
    counts: Callable


class Subject(NamedTuple):
    """Whose calls limits are asked about; what is None may be anything."""

    organization_id: str
    team_id: str
    user_id: str
    key_id: str
    model: Optional[str]
    tags: Optional[tuple]
    end_user: Optional[str]


class Reset(NamedTuple):
    """A new period: of the sentences of that name, or of all that limit cost; for one part of each, or all."""

    at: datetime
    name: Optional[tuple]
    part: Optional[str]

    def concerns(self, sentence, part):
        if self.name is None:
            return sentence.limit == "cost"
        return self.name == sentence.name and self.part in (None, part)


def asked_of(sentence, call):
    """What the call takes of a limit."""
    return dict(cost=call.max_cost, tokens=call.max_tokens).get(sentence.limit, 1)


class Limit(NamedTuple):
    """A sentence of an owner, as it holds for one part if it holds for each."""

    owner: Owner
    sentence: Sentence
    part: Optional[str]
    calls: list
    now: datetime
    start: datetime  # of its window, or its last reset
    resets_at: Optional[datetime]

    @property
    def value(self):
        return self.sentence.value_at(self.now)

    @property
    def is_known(self):
        return self.part is not UNKNOWN

    def spent(self):
        """What calls have taken of it in its window."""
        kind = self.sentence.limit
        if kind == "parallel_requests":
            return 0
        if kind == "cost":
            return sum((c.cost for c in self.calls if c.state == "settled" and c.closed_at >= self.start), Decimal(0))
        calls = [c for c in self.calls if c.reserved_at >= self.start and (c.state == "settled" or c.holds(self.now))]
        return len(calls) if kind == "requests" else sum(c.tokens() for c in calls)

    def held(self):
        """What calls take of it while they are under way."""
        kind = self.sentence.limit
        if kind in ("requests", "tokens"):
            return 0
        holds = [c for c in self.calls if c.holds(self.now)]
        return len(holds) if kind == "parallel_requests" else sum((c.max_cost for c in holds), Decimal(0))

    def remaining(self):
        return self.value - self.spent() - self.held()

    def shown(self):
        """What it is called."""
        sentence = self.sentence
        names = ("limit", "field", "per", "model", "tag", "each", "soft")
        return dict(
            {name: getattr(sentence, name) for name in names},
            owner=self.owner.kind.removesuffix("_of_platform"),
            id=self.owner.id,
            part=self.part if self.is_known else None,
            value=self.value,
        )


def parts_of(each, call):
    """Of which parts the call is one, if a limit is for each; without, it is of the whole."""
    if each is None:
        return (None,)
    if each == "tag":
        return (UNKNOWN,) if call.tags is None else call.tags
    part = dict(
        model=call.model, end_user=call.end_user, member=call.user_id, key=call.key_id, team=call.team_id
    )[each]
    return (UNKNOWN,) if part is None else (part,) if part else ()
