"""Limits as sentences: [each X] may spend at most so much of something [per time] [on a model] [under a tag].

Fields such as rpm_limit are short forms of sentences; here they become the sentences that they stand for.
"""

import re
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Optional, Union

from periods import EPOCH, Period, period_of, window_of

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

    def period(self, now) -> Period:
        if self.field == "limits":
            return window_of(now, self.per, self.since)
        return period_of(now, self.per, self.anchor)

    def is_about(self, model, tags):
        """Whether it means calls to the model with these tags; None is any."""
        return (self.model is None or model is None or means(self.model, model)) and (
            self.tag is None or tags is None or self.tag in tags
        )


def names_of(model):
    """By what names a limit may mean the model: openai/gpt-4o is a gpt-4o as well."""
    return [model, model.partition("/")[2]] if "/" in model else [model]


def means(pattern, model):
    return any(matches(pattern, name) for name in names_of(model))


def matches(pattern, model):
    """Whether a name with * for any characters stands for the model."""
    if "*" not in pattern:
        return pattern == model
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), model) is not None


# From what the tables say ---------------------------------------------------


def sentences_of(row, created_at):
    """All limits in a row of a budget, team, user or key, for the owner that was made at that time."""
    if not row:
        return ()
    short = row.get("short_limits") or {}
    return (
        *budgets_of(row, short, created_at),
        *rates_of(row, short),
        *limits_of_members(short, created_at),
        *(sentence_of(sentence) for sentence in row.get("limits") or ()),
    )


def sentence_of(told):
    raised = told.get("raise") and Raise(told["raise"]["amount"], told["raise"]["until"])
    fields = {name: told.get(name) for name in ("limit", "value", "per", "model", "tag", "each", "since")}
    return Sentence(**fields, soft=bool(told.get("soft")), raised=raised)


def budgets_of(row, short, created_at):
    per = row["budget_duration"]
    anchor = row["budget_reset_at"] or created_at
    raised = short.get("temp_budget_increase") and Raise(short["temp_budget_increase"], short["temp_budget_expiry"])
    if row.get("max_budget") is not None:
        yield Sentence("cost", row["max_budget"], per, raised=raised, field="max_budget", anchor=anchor)
    for soft_budget in (row.get("soft_budget"), short.get("soft_budget")):
        if soft_budget is not None:
            yield Sentence("cost", soft_budget, per, soft=True, field="soft_budget", anchor=anchor)
    for model, entry in (short.get("model_max_budget") or row.get("model_max_budget") or {}).items():
        amount, own_per = limit_by_model(entry)
        its_own = (own_per, created_at) if own_per else (per, anchor)
        yield Sentence("cost", amount, its_own[0], model, field="model_max_budget", anchor=its_own[1])
    for entry in short.get("budget_limits") or ():
        yield Sentence("cost", entry["max_budget"], entry["budget_duration"], field="budget_limits", anchor=created_at)


def limit_by_model(entry):
    """A limit of a model is an amount, or an object with one and perhaps a duration of its own."""
    if not isinstance(entry, dict):
        return entry, None
    amount = entry.get("budget_limit", entry.get("max_budget"))
    return amount, entry.get("time_period", entry.get("budget_duration"))


def rates_of(row, short):
    parallel = row.get("max_parallel_requests", short.get("max_parallel_requests"))
    if parallel is not None:
        yield Sentence("parallel_requests", parallel, field="max_parallel_requests")
    for letter, limit in ("r", "requests"), ("t", "tokens"):
        for field, per in (f"{letter}pm_limit", "1m"), (f"{letter}pd_limit", "1d"):
            value = short.get(field, row.get(field))
            if value is not None:
                yield Sentence(limit, value, per, field=field, anchor=EPOCH)
        for model, value in (short.get(f"model_{letter}pm_limit") or {}).items():
            yield Sentence(limit, value, "1m", model, field=f"model_{letter}pm_limit", anchor=EPOCH)


def limits_of_members(short, created_at):
    """What a team allows each of its members."""
    if short.get("team_member_budget") is not None:
        per = short.get("team_member_budget_duration")
        value = short["team_member_budget"]
        yield Sentence("cost", value, per, each="member", field="team_member_budget", anchor=created_at)
    for field, limit in ("team_member_rpm_limit", "requests"), ("team_member_tpm_limit", "tokens"):
        if short.get(field) is not None:
            yield Sentence(limit, short[field], "1m", each="member", field=field, anchor=EPOCH)
