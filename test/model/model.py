"""The rules of usage, slow and obviously right.

The model keeps nothing but the list of all calls and, as facts, who there is
with which limits.  It has no counters: whatever a question needs is summed up
from the calls again, by the definitions in docs/limits.md.  What it answers is
what the functions usage_* must answer.
"""

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal, Inexact, getcontext

from facts import Call, Facts, FormerKey
from limits import UNKNOWN, Limit, Reset, Subject, asked_of, parts_of
from owners import Owners
from refused import Refused
from sentences import KINDS_OF_LIMITS, matches, name_as_sent


# Money is exact to the last digit.
getcontext().prec = 100
getcontext().traps[Inexact] = True

# Rules ---------------------------------------------------------------------

MOST = Decimal(10) ** 15
MICROSECOND = timedelta(microseconds=1)


def allows(models, asked, resolved):
    """Whether a list of models allows a call; an empty one allows all."""
    return not models or any(
        name == "all-proxy-models" or matches(name, asked) or matches(name, resolved) for name in models
    )


class Model(Owners):
    def __init__(self):
        self.facts = Facts()
        self.former_keys = {}  # by key_id
        self.now = None
        # The list of all calls, cut in pieces, so that a question reads only the piece that it can be about.
        self.all_calls = []
        self.calls = {}  # the last of each name
        self.calls_of = defaultdict(list)
        self.labelled = {}
        self.resets = defaultdict(list)  # by name of the owner
        self.memory = timedelta(days=35)  # how long the name of a call that is over is its own, and an hour more
        self.forgotten_before = None
        self.last_forgotten_at = None  # when somebody named a call that is not remembered any more
        self.archived_until = None

    def add(self, call, label):
        self.all_calls.append(call)
        self.calls[call.organization_id, call.request_id] = call
        self.labelled[label or call.request_id] = call
        self.calls_of["organization", call.organization_id].append(call)
        self.calls_of["user", call.user_id].append(call)
        self.calls_of["end_user", call.end_user].append(call)
        self.calls_of["key", call.key_id].append(call)

    def at(self, function, time):
        """When it can happen.  The clock goes back over nothing that was made or set since, or has expired; and nobody
        is made at a time when calls with the name are on record already."""
        if function.endswith(("_new", "_add", "_generate")):
            time = max([time, *(call.reserved_at + MICROSECOND for call in self.calls.values())])
        return time if time >= self.now else max(time, self.earliest())

    def earliest(self):
        """How far the clock may be put back."""
        begun = [at for at in (self.archived_until, self.last_forgotten_at) if at]
        begun += [owner.created_at for _, owner in self.facts.named()]
        begun += [it.since for _, owner in self.facts.named() for it in owner.sentences if it.since]
        begun += [reset.at for resets in self.resets.values() for reset in resets]
        begun += [it.expires_at for it in self.calls.values() if it.state == "reserved" and it.expires_at <= self.now]
        return max(begun)

    def forget_keys(self, before):
        """Keys that were there before and are no longer: their calls can still be recorded."""
        for key_id in before.keys() - self.facts.keys.keys():
            self.former_keys[key_id] = FormerKey(before[key_id], self.now)

    def find(self, organization_id, request_id):
        call = self.calls.get((organization_id, request_id))
        if not call or self.is_remembered(call):
            return call
        self.last_forgotten_at = self.now
        return None

    def is_remembered(self, call):
        ended_at = call.ended_at()
        return ended_at is None or ended_at >= self.remembered_from() and not self.is_archived(call)

    def remembered_from(self):
        since = self.now - self.memory - timedelta(hours=1)
        return max(since, self.forgotten_before) if self.forgotten_before else since

    def is_archived(self, call):
        ended_at = call.ended_at()
        return bool(self.archived_until and ended_at and ended_at < self.archived_until)

    # Asking for a call

    def usage_reserve(
        self,
        key,
        model,
        max_cost=None,
        max_tokens=None,
        request_id=None,
        ttl_seconds=600,
        tags=(),
        end_user=None,
        label=None,
    ):
        self.check_arguments(key=key, model=model, max_cost=max_cost, max_tokens=max_tokens, ttl_seconds=ttl_seconds)
        holder = self.usable_key(key)
        self.require_end_user(holder, end_user)
        resolved = self.resolved(holder, model)
        known = self.find(holder.organization_id, request_id)
        if known:
            if not known.holds(self.now):
                raise Refused("23505", "Reservation is over")
            # The hold of a call without max_cost may have been another amount then.
            most = known.max_cost if max_cost is None else max_cost
            asked = holder.key_id, end_user or "", resolved, most, max_tokens or 0
            if asked != (known.key_id, known.end_user, known.model, known.max_cost, known.max_tokens):
                raise Refused("23505", "Another request")
            return self.grant(known)

        self.require_model(holder, model, resolved)
        call = self.new_call(holder, resolved, request_id, tags, end_user)
        limits = self.limits(call)
        hard = {limit.sentence.limit for limit in limits if not limit.sentence.soft}
        if max_cost is None:
            max_cost = self.default_reserve(holder)
        if max_cost is None and "cost" in hard:
            raise Refused("22004", '"max_cost"')
        if max_tokens is None and "tokens" in hard:
            raise Refused("22004", '"max_tokens"')
        call.expires_at = self.now + timedelta(seconds=ttl_seconds)
        call.max_cost = Decimal(max_cost or 0)
        call.max_tokens = max_tokens or 0
        for limit in limits:
            self.require_room(limit, asked_of(limit.sentence, call))
        self.add(call, label)
        return self.grant(call)

    def new_call(self, holder, model, request_id, tags, end_user, made_at=None):
        return Call(
            organization_id=holder.organization_id,
            request_id=request_id,
            key_id=holder.key_id,
            team_id=holder.team_id,
            user_id=holder.user_id,
            model=model,
            reserved_at=made_at or self.now,
            expires_at=made_at or self.now,
            tags=self.all_tags(holder, tags, made_at),
            end_user=end_user or "",
        )

    def require_room(self, limit, asked):
        """What takes nothing breaks no limit."""
        if not limit.sentence.soft and asked > 0 and asked > limit.remaining():
            raise Refused("53400" if limit.sentence.limit == "cost" else "53RAT", "", self.explained(limit, asked))

    def explained(self, limit, asked):
        """A limit that a call would exceed.  Holds may end at any time, what is spent stays until the period ends."""
        spent, held = limit.spent(), limit.held()
        waits_for_period = asked <= limit.value < spent + asked
        return dict(
            limit.shown(),
            spent=spent,
            held=held,
            asked=asked,
            resets_at=limit.resets_at,
            frees_at=limit.resets_at if waits_for_period else None,
        )

    def grant(self, call):
        return dict(
            request_id=call.request_id,
            model=call.model,
            expires_at=call.expires_at,
            limits=[
                dict(limit.shown(), remaining=limit.remaining(), resets_at=limit.resets_at)
                for limit in self.limits(call)
            ],
        )

    # Telling what became of it

    def usage_settle(self, label, cost, prompt_tokens=None, completion_tokens=None):
        self.check_arguments(cost=cost, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
        call = self.reservation(label, also_forgotten=True)
        if call.state == "settled":
            return self.settlement(call)
        if self.is_remembered(call):
            self.settle(call, cost, prompt_tokens, completion_tokens)
            return self.settlement(call)
        self.last_forgotten_at = self.now
        new = replace(call, max_cost=Decimal(0), max_tokens=0, put_away_at=None)
        self.add(new, label)
        self.settle(new, cost, prompt_tokens, completion_tokens)
        return dict(self.settlement(new), recorded_as_new=True)

    def usage_cancel(self, label):
        call = self.reservation(label)
        if call.state == "settled":
            raise Refused("55000", "Reservation is settled")
        if call.state == "reserved":
            call.state = "cancelled" if call.holds(self.now) else "expired"
        return dict(request_id=call.request_id, state="cancelled" if call.state == "cancelled" else "expired")

    def reservation(self, label, also_forgotten=False):
        call = self.labelled.get(label)
        if not call or self.is_archived(call) or not (also_forgotten or self.is_remembered(call)):
            raise Refused("P0002", "Reservation not found")
        return call

    def usage_record(
        self,
        key,
        model,
        cost,
        request_id=None,
        prompt_tokens=None,
        completion_tokens=None,
        tags=(),
        end_user=None,
        label=None,
    ):
        self.check_arguments(
            key=key, model=model, cost=cost, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens
        )
        holder, made_at = self.key_or_former_key(key)
        call = self.find(holder.organization_id, request_id)
        if call and call.state != "settled":
            raise Refused("23505", "Reserved already")
        resolved = self.resolved(holder, model, made_at)
        if call and (call.key_id, call.model) != (holder.key_id, resolved):
            raise Refused("23505", "Another request")
        if call:
            return self.settlement(call)
        call = self.new_call(holder, resolved, request_id, tags, end_user, made_at)
        self.add(call, label)
        self.settle(call, cost, prompt_tokens, completion_tokens)
        return self.settlement(call)

    def settle(self, call, cost, prompt_tokens, completion_tokens):
        call.state = "settled"
        call.cost = cost
        call.prompt_tokens = prompt_tokens or 0
        call.completion_tokens = completion_tokens or 0
        call.closed_at = max(self.now, call.reserved_at)

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

    def usage_extend(self, label, ttl_seconds=600):
        self.check_arguments(ttl_seconds=ttl_seconds)
        call = self.reservation(label)
        if call.state == "settled":
            raise Refused("55000", "Reservation is settled")
        if not call.holds(self.now):
            raise Refused("55000", "Reservation")
        call.expires_at = max(call.expires_at, self.now + timedelta(seconds=ttl_seconds))
        return dict(request_id=call.request_id, expires_at=call.expires_at)

    # How long calls are kept: callers see nothing of it, but that names are forgotten

    def usage_archive(self, before):
        if before > self.now - self.memory:
            raise Refused("22023", '"before" must be at least')

    def org_maintain(self):
        pass

    def org_retention_update(self, request_memory_days, ledger_days, partition=None):
        if 0 < ledger_days < request_memory_days:
            raise Refused("22023", '"ledger_days" must be at least')
        memory = timedelta(days=request_memory_days)
        if memory > self.memory:  # what was forgotten stays so
            self.forgotten_before = max(self.forgotten_before or self.now - self.memory, self.now - self.memory)
        self.memory = memory

    # Showing what is left

    def usage_limits(self, key, model=None, end_user=None, tags=None):
        holder = self.known_key(key)
        return dict(
            token_id=holder.key_id,
            limits=[self.left_of(limit) for limit in self.limits(self.subject(holder, model, end_user, tags))],
        )

    def left_of(self, limit):
        names = ("spent", "held", "remaining")
        amounts = {name: getattr(limit, name)() if limit.is_known else None for name in names}
        return dict(limit.shown(), **amounts, resets_at=limit.resets_at if limit.is_known else None)

    def subject(self, holder, model=None, end_user=None, tags=None):
        """Calls with the key; what is not said may be anything."""
        return Subject(
            holder.organization_id,
            holder.team_id,
            holder.user_id,
            holder.key_id,
            model and self.resolved(holder, model),
            None if tags is None else self.all_tags(holder, tags),
            end_user,
        )

    # Beginning a new period before its time

    def usage_reset(self, limit=None, part=None, **named):
        name = limit and name_as_sent(limit)
        if name and limit["limit"] == "parallel_requests":
            raise Refused("55000", "not counted from a time")
        owner = self.owner_named(**named)
        if name and name not in {sentence.name for sentence in owner.sentences}:
            raise Refused("P0002", "has no such limit")
        known = self.resets[owner.name]
        if name:
            known[:] = [it for it in known if self.matters(it, owner) and (it.name, it.part) != (name, part)]
        known.append(Reset(self.now, name, part))

    def matters(self, reset, owner):
        """A reset of a single limit is forgotten when another comes and no window that is open now depends on it."""
        return reset.name is None or any(
            sentence.name == reset.name and reset.at > sentence.period(self.now).start for sentence in owner.sentences
        )

    def key_reset_spend(self, key, reset_to):
        self.usage_reset(key=key)

    def team_reset_spend(self, team_id, reset_to):
        self.usage_reset(team_id=team_id)

    def user_reset_spend(self, user_id, reset_to):
        self.usage_reset(user_id=user_id)

    # Counters that are never reset

    def spend(self, kind, *names):
        calls = self.calls_by(self.owner(kind, Subject(*names[:4], None, None, names[4])))
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

    def key_or_former_key(self, name):
        """The key, or else the last that was deleted, and when its call was made at the latest; None for now."""
        try:
            return self.key(name), None
        except Refused:
            former = [it for it in self.former_keys.values() if name in (it.key.key_id, it.key.secret)]
            if not former:
                raise
        key, deleted_at = max(former, key=lambda it: it.deleted_at)
        return key._replace(tags=()), min(deleted_at, self.now)

    def known_key(self, name):
        try:
            return self.key(name)
        except Refused:
            raise Refused("P0002", "not found") from None

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

    def organization_of(self, key, made_at=None):
        """None if it was made after the call."""
        organization = self.facts.organizations.get(key.organization_id)
        return organization if organization and not (made_at and organization.created_at > made_at) else None

    def resolved(self, key, model, made_at=None):
        organization = self.organization_of(key, made_at)
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

    def require_end_user(self, key, end_user):
        for organization_id in {"", key.organization_id}:
            known = self.facts.end_users.get((organization_id, end_user))
            if known and known.blocked:
                raise Refused("28000", f"End user={end_user} is blocked")

    def all_tags(self, key, tags, made_at=None):
        """Those of the call, and those that all calls with the key have."""
        organization = self.organization_of(key, made_at)
        team = self.facts.teams.get((key.organization_id, key.team_id))
        if team and made_at and team.created_at > made_at:
            team = None
        known = [tag for it in (key, team, organization) if it for tag in it.tags]
        return tuple(dict.fromkeys([*(tags or ()), *known]))

    def default_reserve(self, key):
        organization = self.facts.organizations.get(key.organization_id)
        return organization.default_reserve if organization else None

    def calls_by(self, owner):
        """Those since the owner was made: what was before was somebody else's of the same name."""
        calls = self.calls_of[owner.among]
        return [call for call in calls if call.reserved_at >= owner.created_at and owner.counts(call)]

    def limits(self, subject):
        """Those that such calls must keep: of cost first, and of the outermost owner first."""
        owners = self.owners(subject)
        found = [(place, limit) for place, owner in enumerate(owners) for limit in self.limits_of(owner, subject)]

        def rank(placed):
            place, limit = placed
            kind = KINDS_OF_LIMITS.index(limit.sentence.limit)
            return kind > 0, place, kind

        return [limit for _, limit in sorted(found, key=rank)]

    def limits_of(self, owner, subject):
        sentences = [it for it in owner.sentences if it.is_about(subject.model, subject.tags)]
        calls = self.calls_by(owner) if sentences else []
        for sentence in sentences:
            for part in parts_of(sentence.each, subject):
                if part is UNKNOWN or not self.has_own(owner, sentence, subject):
                    yield self.limit(owner, sentence, part, calls, subject)

    def limit(self, owner, sentence, part, calls, subject):
        start, end = sentence.period(self.now) if sentence.limit != "parallel_requests" else (None, None)
        resets = [it.at for it in self.resets[owner.name] if it.concerns(sentence, part)]
        mine = [
            call
            for call in calls
            if sentence.is_about(call.model, call.tags) and (part is None or part in parts_of(sentence.each, call))
        ]
        # A member, key or team that was made anew begins with nothing.  An end user need not be made; and for owners of
        # calls anywhere, a part may be somebody in each of several organizations.
        is_anywhere = owner.kind in ("user", "end_user_of_platform")
        itself = sentence.each != "end_user" and not is_anywhere and self.part_itself(owner, sentence, subject)
        if itself:
            mine = [call for call in mine if call.reserved_at >= itself.created_at]
        return Limit(owner, sentence, part, mine, self.now, start and max([start, *resets]), end)
