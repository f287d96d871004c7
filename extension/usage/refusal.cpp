// Making and writing refusals.

#include "refusal.hpp"

#include "limits.hpp"

namespace pg_org {

namespace {

// These messages are LiteLLM's, because clients search them.

// For which part the limit is, and under which tag, as in " for end_user=cust-7".
const char *narrower(const AppliedLimit &applied)
{
    const Scope &scope = applied.limit->scope;
    const Text each = name_of(scope.each);
    const char *part = each.empty() ? "" : psprintf(" for %.*s=%.*s", FMT_ARG(each), FMT_ARG(applied.part->part));
    return scope.tag.empty() ? part : psprintf("%s under tag=%.*s", part, FMT_ARG(scope.tag));
}

const char *rate_message(const ExceededLimit &exceeded)
{
    const AppliedLimit &applied = exceeded.applied;
    const UsageLimit &limit = *applied.limit;
    const Owner &owner = *applied.owner;
    const Text id = owner.id(), model = limit.scope.model;
    const Text what = limit.what == Limited::parallel_requests ? Text{"max_parallel_requests"} : name_of(limit.what);
    const Text kind = owner.kind == OwnerKind::key ? Text{"api_key"} : name_of(owner.kind);
    const Number remaining = limit.value - exceeded.spent - exceeded.held;
    return psprintf("Rate limit exceeded for %.*s: %.*s%s%s. Limit type: %.*s. Current limit: %s, Remaining: %s. "
                    "Limit resets at: %s",
                    FMT_ARG(kind), FMT_ARG(id), narrower(applied),
                    model.empty() ? "" : psprintf(", model=%.*s", FMT_ARG(model)), FMT_ARG(what), show(limit.value),
                    show(remaining < zero() ? zero() : remaining),
                    applied.resets_at()                        ? iso_8601(*applied.resets_at())
                    : limit.what == Limited::parallel_requests ? "the end of a call"
                                                               : "never");
}

const char *model_budget_message(const AppliedLimit &applied)
{
    const Owner &owner = *applied.owner;
    const Text id = owner.id(), model = applied.limit->scope.model;
    if (owner.kind == OwnerKind::key)
        return psprintf("LiteLLM Virtual Key: %.*s, key_alias: %.*s, exceeded budget for model=%.*s%s", FMT_ARG(id),
                        FMT_ARG(owner.key_alias.value_or("None")), FMT_ARG(model), narrower(applied));
    return psprintf("%.*s: %.*s, exceeded budget for model=%.*s%s", FMT_ARG(name_of(owner.kind)), FMT_ARG(id),
                    FMT_ARG(model), narrower(applied));
}

const char *owner_phrase(const Owner &owner)
{
    const OwnerIds &ids = owner.ids;
    switch (owner.kind) {
    case OwnerKind::organization: return psprintf("Organization=%.*s ", FMT_ARG(ids.organization_id));
    case OwnerKind::team: return psprintf("Team=%.*s ", FMT_ARG(ids.team_id));
    case OwnerKind::member:
        return psprintf("User=%.*s in Organization=%.*s ", FMT_ARG(ids.user_id), FMT_ARG(ids.organization_id));
    case OwnerKind::team_member: return psprintf("User=%.*s in Team=%.*s ", FMT_ARG(ids.user_id), FMT_ARG(ids.team_id));
    case OwnerKind::user: return psprintf("User=%.*s ", FMT_ARG(ids.user_id));
    case OwnerKind::platform_end_user: return psprintf("End User=%.*s ", FMT_ARG(ids.end_user));
    case OwnerKind::end_user:
        return psprintf("End User=%.*s in Organization=%.*s ", FMT_ARG(ids.end_user), FMT_ARG(ids.organization_id));
    case OwnerKind::key: return "Key ";
    }
    pg_unreachable();
}

const char *budget_message(const ExceededLimit &exceeded)
{
    const auto money = [](Number amount) {
        Writer writer{makeStringInfo()};
        return writer.value(amount).buffer()->data;
    };
    const AppliedLimit &applied = exceeded.applied;
    const char *cost = money(exceeded.spent + exceeded.held), *budget = money(applied.limit->value);
    const char *narrowed = narrower(applied);
    if (applied.owner->kind == OwnerKind::user && *narrowed == '\0')
        return psprintf("ExceededBudget: User=%.*s over budget. Spend=%s, Budget=%s",
                        FMT_ARG(applied.owner->ids.user_id), cost, budget);
    // For a key alone LiteLLM names no owner.
    const bool names_owner = applied.owner->kind != OwnerKind::key || *narrowed != '\0';
    return psprintf("Budget has been exceeded! %s%s%sCurrent cost: %s, Max budget: %s",
                    names_owner ? owner_phrase(*applied.owner) : "", *narrowed == '\0' ? "" : narrowed + 1,
                    *narrowed == '\0' ? "" : " ", cost, budget);
}

const char *message_of(const ExceededLimit &exceeded)
{
    const UsageLimit &limit = *exceeded.applied.limit;
    return limit.what != Limited::cost ? rate_message(exceeded)
           : limit.scope.model.empty() ? budget_message(exceeded)
                                       : model_budget_message(exceeded.applied);
}

} // namespace

Refusal refusal_of(const ExceededLimit &exceeded)
{
    const AppliedLimit &applied = exceeded.applied;
    const UsageLimit &limit = *applied.limit;
    Refusal refused = refusal(limit.what == Limited::cost ? ERRCODE_CONFIGURATION_LIMIT_EXCEEDED : errcode_rate_limit,
                              limit.field, "%s", message_of(exceeded));
    const bool has_own_field = to_text(limit.field) != "limits";
    const char *name = has_own_field ? limit.field : psprintf("The limit of %.*s", FMT_ARG(limit.name));
    refused.detail = psprintf("%s of %.*s %.*s%s is %s: %s is spent, %s held, %s asked.", name,
                              FMT_ARG(name_of(applied.owner->kind)), FMT_ARG(applied.owner->id()), narrower(applied),
                              show(limit.value), show(exceeded.spent), show(exceeded.held), show(exceeded.asked));
    refused.hint = exceeded.frees_at      ? psprintf("Try again at %s.", iso_8601(*exceeded.frees_at))
                   : exceeded.retry_after ? "Try again when a call under way is over."
                                          : "The limit must be raised first.";
    return refused;
}

ExceededLimit make_exceeded(const AppliedLimit &applied, Number asked, Time now)
{
    const Number value = applied.limit->value;
    ExceededLimit exceeded{applied, applied.spent, applied.held, asked, {}, {}};
    if (asked > value)
        return exceeded;
    if (exceeded.spent + asked <= value) {
        exceeded.retry_after = 1;
    } else if (const auto resets_at = applied.resets_at()) {
        exceeded.frees_at = resets_at;
        exceeded.retry_after = (resets_at->value - now.value + USECS_PER_SEC - 1) / USECS_PER_SEC;
    }
    return exceeded;
}

void write_refusal(Writer &reply, const Refusal &refusal, const Maybe<ExceededLimit> &exceeded)
{
    const auto optional = [](const char *text) { return text != nullptr ? to_text(text) : Maybe<Text>{}; };
    reply.begin_object().key("error").begin_object();
    // First, so that a client need not parse the rest to find it.
    if (refusal.held != nullptr)
        reply.key("held").value(to_text(refusal.held));
    reply.key("sqlstate").value(to_text(unpack_sql_state(refusal.sqlstate)));
    reply.key("message").value(to_text(refusal.message)).key("param").value(optional(refusal.argument));
    reply.key("hint").value(optional(refusal.hint));
    reply.key("retry_after").value(exceeded ? exceeded->retry_after : Maybe<int64>{}).key("limit");
    if (exceeded) {
        const UsageLimit &limit = *exceeded->applied.limit;
        write_limit(reply.begin_object(), exceeded->applied);
        write_amount(reply.key("spent"), limit, exceeded->spent);
        write_amount(reply.key("held"), limit, exceeded->held);
        write_amount(reply.key("asked"), limit, exceeded->asked);
        reply.key("resets_at").value(exceeded->applied.resets_at());
        reply.key("frees_at").value(exceeded->frees_at).end_object();
    } else {
        reply.null();
    }
    reply.end_object().end_object();
}

} // namespace pg_org
