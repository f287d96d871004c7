"""Limits at random: tight ones, of all that a sentence can say, and in all the short forms that there are."""

from datetime import timedelta
from decimal import Decimal

MODELS = ["gpt-4o", "openai/gpt-4o", "azure/gpt-4o", "o3", "claude", "anthropic/claude"]
PATTERNS = ["gpt-4o", "openai/gpt-4o", "openai/*", "*/*", "c*", "*", "o3", "gpt-*"]
TAGS = ["a", "b", "c"]
COSTS = [Decimal(cost) for cost in ("0", "0.1", "0.25", "0.5", "1", "1.000000001", "0.33333333333333333333", "2.5")]
BUDGETS = [Decimal(amount) for amount in ("0", "0.3", "1", "2.25", "4", "7.5", "15", "10.00000000000000000001")]
COUNTS = [0, 1, 2, 2, 3, 5]
TOKENS = [0, 1, 10, 50, 100, 200]
MOST_TOKENS = [0, 100, 200, 400, 1000]
VALUES = dict(cost=BUDGETS, tokens=MOST_TOKENS, requests=COUNTS, parallel_requests=COUNTS)
DURATIONS = ["1s", "30s", "1m", "1h", "36h", "1d", "7d", "2w", "1mo", "3mo"]
DURATIONS += [f"1{unit}@{zone}" for unit in ("d", "w", "mo") for zone in ("Europe/Berlin", "America/New_York")]
DURATIONS += ["1d@Asia/Kolkata", "1d@Africa/Cairo", "1d@America/Havana", "1w@Pacific/Auckland", "1d@UTC"]
DURATIONS += ["1mo@America/Sao_Paulo"]
PERS = ["1s", "15s", "1m", "5m", "1h", "7h", "1d", "1w", "1mo", "1q", "1y", "2d", "2w", "30d", "3mo"]
PERS += ["1d@Europe/Berlin", "1d@America/Havana", "1w@America/New_York", "1mo@Asia/Kolkata", "1q@Europe/Berlin"]
PERS += ["1y@Pacific/Auckland", "1d@+05:30"]
EACH = ["model", "tag", "end_user", "member", "key", "team"]

RATES = ("tpm_limit", "rpm_limit", "tpd_limit", "rpd_limit")
SHORT_FORMS = dict(
    organization=["default_reserve"],
    team=[
        "team_member_budget",
        "team_member_budget_duration",
        "team_member_tpm_limit",
        "team_member_rpm_limit",
    ],
    key=["temp_budget_increase"],
)
OF_ALL = ["max_budget", "soft_budget", "model_max_budget", "budget_duration", "budget_limits", *RATES]
OF_ALL += ["model_tpm_limit", "model_rpm_limit", "max_parallel_requests"]


class Chance:
    """Choices of somebody with a source of random numbers, `random`, and a model, `model`."""

    def choose(self, things, weights=None):
        return self.random.choices(list(things), weights)[0]

    def perhaps(self, chance):
        return self.random.random() < chance

    def some(self, things):
        return [thing for thing in things if self.perhaps(0.5)]

    # Sentences

    def sentence(self):
        limit = self.choose(list(VALUES), [5, 2, 2, 1])
        sentence = dict(limit=limit, value=self.choose(VALUES[limit]))
        if limit != "parallel_requests" and self.perhaps(0.75):
            sentence["per"] = self.choose(PERS)
        if self.perhaps(0.25):
            sentence["model"] = self.choose(PATTERNS)
        if self.perhaps(0.2):
            sentence["tag"] = self.choose(TAGS)
        if self.perhaps(0.35):
            sentence["each"] = self.choose(EACH)
        if self.perhaps(0.12):
            sentence["soft"] = self.perhaps(0.9)
        if self.perhaps(0.1):
            sentence["raise"] = self.raise_of(limit)
        return sentence

    def raise_of(self, limit):
        return dict(amount=self.choose(VALUES[limit]), until=self.soon())

    def soon(self):
        """A time when a raise ends."""
        wait = self.choose([timedelta(seconds=1), timedelta(minutes=2), timedelta(days=3), timedelta(days=-1)])
        return (self.model.now + wait).isoformat()

    def sentences(self, now_there=()):
        """A list to replace the limits that there are: some stay, some change, some go, and some are new."""
        kept = [self.changed(sentence) for sentence in now_there if self.perhaps(0.75)]
        new = [self.sentence() for _ in range(self.choose([0, 1, 2], [3, 3, 1] if kept else [1, 3, 2]))]
        both = kept + new
        self.random.shuffle(both)
        return both + both[:1] if self.perhaps(0.02) else both  # which is refused

    def changed(self, sentence):
        """Mostly the same as before, as it would be sent."""
        told = {name: getattr(sentence, name) for name in ("limit", "value", "per", "model", "tag", "each", "soft")}
        told = {name: value for name, value in told.items() if value is not None}
        if sentence.raised:
            told["raise"] = dict(amount=sentence.raised.amount, until=sentence.raised.until.isoformat())
        if self.perhaps(0.2):
            told["value"] = self.choose(VALUES[sentence.limit])
        if self.perhaps(0.1):
            told["raise"] = self.raise_of(sentence.limit)
        if self.perhaps(0.1):
            told["model"] = self.choose(PATTERNS)
        return told

    # Short forms

    def limits(self, kind, chance, now_there=()):
        """Some of the limits that an owner of that kind may have, as arguments of a function."""
        fields = {name: self.short_form(name) for name in OF_ALL + SHORT_FORMS.get(kind, []) if self.perhaps(chance)}
        if "temp_budget_increase" in fields:
            fields["temp_budget_expiry"] = self.soon()
        if self.perhaps(3 * chance):
            fields["limits"] = self.sentences(now_there)
        return fields

    def short_form(self, name):
        if name in ("model_max_budget", "model_tpm_limit", "model_rpm_limit"):
            entry = self.limit_of_model if name == "model_max_budget" else lambda: self.count_of(name)
            return {model: entry() for model in self.random.sample(MODELS, self.choose([0, 1, 2]))}
        if name == "budget_limits":
            durations = self.random.sample(DURATIONS, self.choose([0, 1, 2]))
            return [dict(budget_duration=duration, max_budget=self.choose(BUDGETS)) for duration in durations]
        if name.endswith("_duration"):
            return self.choose(DURATIONS)
        if name.endswith(("_limit", "_requests")):
            return self.count_of(name)
        return self.choose(COSTS if name == "default_reserve" else BUDGETS)

    def count_of(self, name):
        return self.choose(MOST_TOKENS if "tp" in name else COUNTS)

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
