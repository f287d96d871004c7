// Telling of limits.

#include "exceeded.hpp"

#include "base/number.hpp"

namespace pg_org {

namespace {

// As LiteLLM puts it, whose clients look for the words.
const char *message_of(const Exceeded &exceeded)
{
    const UsageLimit &limit = exceeded.limit;
    const Holder &holder = *limit.holder;
    const Text id = holder.id();
    if (!limit.is_budget()) {
        const char *type = limit.kind == UsageLimit::rpm_limit   ? "requests"
                           : limit.kind == UsageLimit::tpm_limit ? "tokens"
                                                            : "max_parallel_requests";
        const Text owner = holder.owner == Owner::key ? Text{"api_key"} : owner_name(holder.owner);
        const Number left = limit.value - limit.spent - limit.held;
        return psprintf("Rate limit exceeded for %.*s: %.*s. Limit type: %s. Current limit: %s, Remaining: %s. "
                        "Limit resets at: %s",
                        FMT_ARG(owner), FMT_ARG(id), type, show(limit.value), show(left < zero() ? zero() : left),
                        limit.resets_at ? iso_8601(*limit.resets_at) : "the end of a call");
    }
    const auto money = [](Number amount) {
        Writer writer{makeStringInfo()};
        return writer.value(amount).buffer()->data;
    };
    const char *cost = money(limit.spent + limit.held), *most = money(limit.value);
    if (limit.kind == UsageLimit::model_max_budget) {
        const Text model = limit.account->model;
        if (holder.owner == Owner::key)
            return psprintf("LiteLLM Virtual Key: %.*s, key_alias: %.*s, exceeded budget for model=%.*s", FMT_ARG(id),
                            FMT_ARG(holder.key_alias.value_or("None")), FMT_ARG(model));
        return psprintf("%.*s: %.*s, exceeded budget for model=%.*s", FMT_ARG(owner_name(holder.owner)), FMT_ARG(id),
                        FMT_ARG(model));
    }
    const Party &name = holder.name;
    const char *whose = "";
    switch (holder.owner) {
    case Owner::organization:
        whose = psprintf("Organization=%.*s ", FMT_ARG(id));
        break;
    case Owner::team:
        whose = psprintf("Team=%.*s ", FMT_ARG(id));
        break;
    case Owner::member:
        whose = psprintf("User=%.*s in Organization=%.*s ", FMT_ARG(name.user_id), FMT_ARG(name.organization_id));
        break;
    case Owner::team_member:
        whose = psprintf("User=%.*s in Team=%.*s ", FMT_ARG(name.user_id), FMT_ARG(name.team_id));
        break;
    case Owner::user:
        return psprintf("ExceededBudget: User=%.*s over budget. Spend=%s, Budget=%s", FMT_ARG(id), cost, most);
    case Owner::key:
        break;
    }
    return psprintf("Budget has been exceeded! %sCurrent cost: %s, Max budget: %s", whose, cost, most);
}

} // namespace

Refusal refusal_of(const Exceeded &exceeded)
{
    const UsageLimit &limit = exceeded.limit;
    const char *name = c_string(limit.name());
    Refusal refused = refusal(limit.is_budget() ? ERRCODE_CONFIGURATION_LIMIT_EXCEEDED : errcode_rate_limit, name,
                              "%s", message_of(exceeded));
    refused.detail = psprintf("%s of %.*s %.*s is %s: %s is spent, %s held, %s asked.", name,
                              FMT_ARG(owner_name(limit.holder->owner)), FMT_ARG(limit.holder->id()), show(limit.value),
                              show(limit.spent), show(limit.held), show(exceeded.asked));
    refused.hint = exceeded.frees_at      ? psprintf("Try again at %s.", iso_8601(*exceeded.frees_at))
                   : exceeded.retry_after ? "Try again when a call under way is over."
                                          : "The limit must be raised first.";
    return refused;
}

Exceeded make_exceeded(const UsageLimit &limit, Number asked, Time now)
{
    Exceeded exceeded{limit, asked, {}, {}};
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

void write_amount(Writer &reply, const UsageLimit &limit, Number amount)
{
    if (limit.is_budget())
        reply.value(amount);
    else
        reply.value(DatumGetInt64(DirectFunctionCall1(numeric_int8, amount.datum)));
}

void write_limit_name(Writer &reply, const UsageLimit &limit)
{
    const Text model = limit.kind == UsageLimit::model_max_budget ? limit.account->model : Text{};
    reply.key("owner").value(owner_name(limit.holder->owner)).key("id").value(limit.holder->id());
    reply.key("limit").value(limit.name()).key("model").value(model.empty() ? Maybe<Text>{} : model).key("value");
    write_amount(reply, limit, limit.value);
}

void write_refusal(Writer &reply, const Refusal &refusal, const Maybe<Exceeded> &exceeded)
{
    const auto optional = [](const char *text) { return text != nullptr ? to_text(text) : Maybe<Text>{}; };
    reply.begin_object().key("error").begin_object();
    // First, so that a reader finds it without reading the rest.
    if (refusal.held != nullptr)
        reply.key("held").value(to_text(refusal.held));
    reply.key("sqlstate").value(to_text(unpack_sql_state(refusal.sqlstate)));
    reply.key("message").value(to_text(refusal.message)).key("param").value(optional(refusal.argument));
    reply.key("retry_after").value(exceeded ? exceeded->retry_after : Maybe<int64>{}).key("limit");
    if (exceeded) {
        const UsageLimit &limit = exceeded->limit;
        write_limit_name(reply.begin_object(), limit);
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
