// Making and writing refusals.

#include "limit_refusal.hpp"

namespace pg_org {

namespace {

// These messages are LiteLLM's, because clients search them.

const char *rate_message(const UsageLimit &limit)
{
    const Owner &owner = *limit.owner;
    const Text id = owner.id();
    const char *type = limit.kind == UsageLimit::rpm_limit   ? "requests"
                       : limit.kind == UsageLimit::tpm_limit ? "tokens"
                                                             : "max_parallel_requests";
    const Text kind = owner.kind == OwnerKind::key ? Text{"api_key"} : name_of(owner.kind);
    const Number remaining = limit.remaining();
    return psprintf("Rate limit exceeded for %.*s: %.*s. Limit type: %s. Current limit: %s, Remaining: %s. "
                    "Limit resets at: %s",
                    FMT_ARG(kind), FMT_ARG(id), type, show(limit.value), show(remaining < zero() ? zero() : remaining),
                    limit.resets_at ? iso_8601(*limit.resets_at) : "the end of a call");
}

const char *model_budget_message(const UsageLimit &limit)
{
    const Owner &owner = *limit.owner;
    const Text id = owner.id(), model = limit.counter->model;
    if (owner.kind == OwnerKind::key)
        return psprintf("LiteLLM Virtual Key: %.*s, key_alias: %.*s, exceeded budget for model=%.*s", FMT_ARG(id),
                        FMT_ARG(owner.key_alias.value_or("None")), FMT_ARG(model));
    return psprintf("%.*s: %.*s, exceeded budget for model=%.*s", FMT_ARG(name_of(owner.kind)), FMT_ARG(id),
                    FMT_ARG(model));
}

const char *budget_message(const UsageLimit &limit)
{
    const auto money = [](Number amount) {
        Writer writer{makeStringInfo()};
        return writer.value(amount).buffer()->data;
    };
    const OwnerIds &ids = limit.owner->ids;
    const char *cost = money(limit.spent + limit.held), *budget = money(limit.value);
    const char *owner = "";
    switch (limit.owner->kind) {
    case OwnerKind::organization: owner = psprintf("Organization=%.*s ", FMT_ARG(ids.organization_id)); break;
    case OwnerKind::team: owner = psprintf("Team=%.*s ", FMT_ARG(ids.team_id)); break;
    case OwnerKind::member:
        owner = psprintf("User=%.*s in Organization=%.*s ", FMT_ARG(ids.user_id), FMT_ARG(ids.organization_id));
        break;
    case OwnerKind::team_member:
        owner = psprintf("User=%.*s in Team=%.*s ", FMT_ARG(ids.user_id), FMT_ARG(ids.team_id));
        break;
    case OwnerKind::user:
        return psprintf("ExceededBudget: User=%.*s over budget. Spend=%s, Budget=%s", FMT_ARG(ids.user_id), cost,
                        budget);
    case OwnerKind::key: break;
    }
    return psprintf("Budget has been exceeded! %sCurrent cost: %s, Max budget: %s", owner, cost, budget);
}

const char *message_of(const UsageLimit &limit)
{
    return limit.kind == UsageLimit::max_budget         ? budget_message(limit)
           : limit.kind == UsageLimit::model_max_budget ? model_budget_message(limit)
                                                        : rate_message(limit);
}

} // namespace

Refusal refusal_of(const ExceededLimit &exceeded)
{
    const UsageLimit &limit = exceeded.limit;
    const char *name = c_string(limit.name());
    Refusal refused = refusal(limit.is_budget() ? ERRCODE_CONFIGURATION_LIMIT_EXCEEDED : errcode_rate_limit, name, "%s",
                              message_of(limit));
    refused.detail = psprintf("%s of %.*s %.*s is %s: %s is spent, %s held, %s asked.", name,
                              FMT_ARG(name_of(limit.owner->kind)), FMT_ARG(limit.owner->id()), show(limit.value),
                              show(limit.spent), show(limit.held), show(exceeded.asked));
    refused.hint = exceeded.frees_at      ? psprintf("Try again at %s.", iso_8601(*exceeded.frees_at))
                   : exceeded.retry_after ? "Try again when a call under way is over."
                                          : "The limit must be raised first.";
    return refused;
}

ExceededLimit make_exceeded(const UsageLimit &limit, Number asked, Time now)
{
    ExceededLimit exceeded{limit, asked, {}, {}};
    if (asked > limit.value)
        return exceeded;
    if (limit.spent + asked <= limit.value) {
        exceeded.retry_after = 1;
    } else if (limit.resets_at) {
        exceeded.frees_at = limit.resets_at;
        exceeded.retry_after = (limit.resets_at->value - now.value + USECS_PER_SEC - 1) / USECS_PER_SEC;
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
        const UsageLimit &limit = exceeded->limit;
        write_limit(reply.begin_object(), limit);
        write_amount(reply.key("spent"), limit, limit.spent);
        write_amount(reply.key("held"), limit, limit.held);
        write_amount(reply.key("asked"), limit, exceeded->asked);
        reply.key("frees_at").value(exceeded->frees_at).end_object();
    } else {
        reply.null();
    }
    reply.end_object().end_object();
}

} // namespace pg_org
