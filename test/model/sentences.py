"""Limits as sentences: [each X] may spend at most so much of something [per time] [on a model] [under a tag].

Fields such as rpm_limit are short forms of sentences; here they become the sentences that they stand for.
"""

import functools
import re
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Optional, Union

from periods import EPOCH, period_of, window_of

KINDS_OF_LIMITS = ("cost", "parallel_requests", "requests", "tokens")  # in the order in which they are checked


class Raise(NamedTuple):
    """So much more, until then."""

    amount: Union[Decimal, int]
    until: datetime


class Sentence(NamedTuple):
    limit: str
    value: Union[Decimal, int]
    per: Optional[str] = None
    model: Optional[str] = None
    tag: Optional[str] = None
    each: Optional[str] = None
    soft: bool = False
    raised: Optional[Raise] = None
    field: str = "limits"  # that it was set by
    since: Optional[datetime] = None  # when it was set
    anchor: Optional[datetime] = None  # of a short form: an end of one of its periods

    @property
    def name(self):
        """What makes it another sentence if it changes."""
        return self.limit, self.per, self.model, self.tag, self.each, self.soft

    def value_at(self, now):
        return self.value + (self.raised.amount if self.raised and now < self.raised.until else 0)

    def period(self, now):
        if self.field == "limits":
            return window_of(now, self.per, self.since)
        return period_of(now, self.per, self.anchor)

    def is_about(self, model, tags):
        """Whether it means calls to the model with these tags; None is any."""
        return (self.model is None or model is None or means(self.model, model)) and (
            self.tag is None or tags is None or self.tag in tags
        )


def name_as_sent(sentence):
    return (*map(sentence.get, ("limit", "per", "model", "tag", "each")), bool(sentence.get("soft")))


def names_of(model):
    """By what names a limit may mean the model: openai/gpt-4o is a gpt-4o as well."""
    return [model, model.partition("/")[2]] if "/" in model else [model]


def means(pattern, model):
    return any(matches(pattern, name) for name in names_of(model))


@functools.cache
def matches(pattern, model):
    """Whether a name with * for any characters stands for the model."""
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), model) is not None


# From what the tables say ---------------------------------------------------


def sentences_of(row, created_at, shared=None):
    """All limits in a row of a budget, team, user or key, for the owner that was made at that time; a key may have
    those of a budget besides."""
    if not row:
        return ()
    short = row.get("short_limits") or {}
    columns = both(row, shared) if shared else row
    budget = Period(columns["budget_duration"], columns["budget_reset_at"] or created_at)
    found = [*budgets_of(columns, budget, created_at, short), *rates_of(columns)]
    for it in (row, shared):
        more = it and it.get("short_limits")
        if more:
            found += [*budgets_of(more, budget, created_at, {}), *rates_of(more)]
    for it in (row, shared):
        found += [sentence_of(sentence) for sentence in it and it.get("limits") or ()]
    return tuple(found)


def both(key, shared):
    """The columns of a key with a budget: the lower of two counts, and amounts and periods of the key if it has any."""
    columns = dict(shared)
    for name in "max_budget", "budget_duration", "budget_reset_at":
        columns[name] = shared[name] if key[name] is None else key[name]
    for name in "tpm_limit", "rpm_limit", "max_parallel_requests":
        columns[name] = min((it[name] for it in (key, shared) if it[name] is not None), default=None)
    return columns


class Period(NamedTuple):
    """Of a budget: how long, and when one ends."""

    per: Optional[str]
    anchor: datetime


def sentence_of(told):
    raised = told.get("raise") and Raise(told["raise"]["amount"], told["raise"]["until"])
    fields = {name: told.get(name) for name in ("limit", "value", "per", "model", "tag", "each", "since")}
    return Sentence(**fields, soft=bool(told.get("soft")), raised=raised)


def budgets_of(fields, period, created_at, short):
    """Those of a table's columns, or those that are kept together as short forms."""
    if fields.get("max_budget") is not None:
        raised = None
        if short.get("temp_budget_increase") is not None and short.get("temp_budget_expiry") is not None:
            raised = Raise(short["temp_budget_increase"], short["temp_budget_expiry"])
        value = fields["max_budget"]
        yield Sentence("cost", value, period.per, raised=raised, field="max_budget", anchor=period.anchor)
    if fields.get("soft_budget") is not None:
        yield Sentence("cost", fields["soft_budget"], period.per, soft=True, field="soft_budget", anchor=period.anchor)
    for model, entry in (fields.get("model_max_budget") or {}).items():
        amount, own_per = limit_by_model(entry)
        its = Period(own_per, created_at) if own_per else period
        yield Sentence("cost", amount, its.per, model, field="model_max_budget", anchor=its.anchor)
    for entry in fields.get("budget_limits") or ():
        yield Sentence("cost", entry["max_budget"], entry["budget_duration"], field="budget_limits", anchor=created_at)
    if fields.get("team_member_budget") is not None:
        value, per = fields["team_member_budget"], fields.get("team_member_budget_duration")
        yield Sentence("cost", value, per, each="member", field="team_member_budget", anchor=created_at)


def limit_by_model(entry):
    """A limit of a model is an amount, or an object with one and perhaps a duration of its own."""
    if not isinstance(entry, dict):
        return entry, None
    amount = entry.get("budget_limit", entry.get("max_budget"))
    return amount, entry.get("time_period", entry.get("budget_duration"))


def rates_of(fields):
    if fields.get("max_parallel_requests") is not None:
        yield Sentence("parallel_requests", fields["max_parallel_requests"], field="max_parallel_requests")
    for letter, limit in ("r", "requests"), ("t", "tokens"):
        for form, per, each in (
            (f"{letter}pm_limit", "1m", None),
            (f"{letter}pd_limit", "1d", None),
            (f"model_{letter}pm_limit", "1m", None),
            (f"team_member_{letter}pm_limit", "1m", "member"),
        ):
            value = fields.get(form)
            by_model = value if isinstance(value, dict) else {None: value}
            for model, value in by_model.items():
                if value is not None:
                    yield Sentence(limit, value, per, model, each=each, field=form, anchor=EPOCH)
