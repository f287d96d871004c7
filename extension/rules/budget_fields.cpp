// Reading and checking the fields of budgets and of other limits.

#include "budget.hpp"

#include "base/duration.hpp"
#include "base/fail.hpp"
#include "base/number.hpp"
#include "limit.hpp"

namespace pg_org {

namespace {

constexpr size_t max_model_budgets = 200;

} // namespace

Maybe<Text> checked_duration(Maybe<Text> value, const char *name)
{
    first_reset(value, name);
    return value;
}

Maybe<Number> money(Maybe<Number> value, const char *name)
{
    if (const char *wrong = value ? broken_money_rule(*value) : nullptr)
        invalid(name, "%s", wrong);
    return value;
}

Maybe<int64> limit(Maybe<int64> value, const char *name)
{
    if (value && *value < 0)
        invalid(name, "must be zero or more");
    return value;
}

// Models are no part of the errors' path, because their names may contain dots.
Maybe<Json> model_budgets(Maybe<Json> value, const char *name)
{
    if (!object(value, name))
        return {};
    const auto entries = members(*value);
    if (entries.size() > max_model_budgets)
        invalid(name, "must be at most %zu entries", max_model_budgets);
    for (const auto &[model, entry] : entries) {
        if (model.empty() || model.size() > max_name_bytes)
            invalid(name, "must name models by 1 to %zu bytes", max_name_bytes);
        const auto [amount, duration] = read_model_budget(entry);
        const auto allowed = amount.number();
        if (!allowed || *allowed < zero() || *allowed > number(max_money))
            invalid(name, "must give %.*s an amount from 0 to " INT64_FORMAT ", alone or as budget_limit in an object",
                    FMT_ARG(model), max_money);
        if (broken_money_rule(*allowed) != nullptr)
            invalid(name, "must give %.*s an amount of at most %d digits after the point", FMT_ARG(model),
                    max_decimals);
        const auto text = duration.text();
        if (!duration.is_null() && !(text && is_duration(*text)))
            invalid(name,
                    "must give %.*s a time_period of a positive whole number and one of s, m, h, d, w, mo, as in 30d",
                    FMT_ARG(model));
    }
    return value;
}

ModelBudgetEntry read_model_budget(const Value &entry)
{
    const auto either = [&](const char *name, const char *other) {
        const Value value = entry.member(name);
        return value.is_null() ? entry.member(other) : value;
    };
    return {entry.is_object() ? either("budget_limit", "max_budget") : entry, either("time_period", "budget_duration")};
}

BudgetChange read_budget_fields(Session &session)
{
    BudgetChange fields{
        .max_budget = change_to(session.argument("max_budget", money)),
        .soft_budget = change_to(session.argument("soft_budget", money)),
        .tpm_limit = change_to(session.argument("tpm_limit", limit)),
        .rpm_limit = change_to(session.argument("rpm_limit", limit)),
        .max_parallel_requests = change_to(session.argument("max_parallel_requests", limit)),
        .model_max_budget = {},
        .budget_duration = change_to(session.argument("budget_duration", checked_duration)),
    };
    if (const auto by_model = session.argument("model_max_budget", model_budgets))
        fields.model_max_budget = ObjectChange{*by_model, false};
    fields.others.read(session);
    return fields;
}

BudgetChange read_member_budget(const Session &session, const char *name)
{
    BudgetChange budget{.max_budget = change_to(session.argument(name, money))};
    budget.others.sentences = sentences(session.json("limits"), "limits");
    return budget;
}

BudgetChange read_member_budget_change(const Session &session, const char *name)
{
    BudgetChange budget = read_member_budget(session, name);
    const std::array clearable{to_text(name), Text{"limits"}};
    for (const Text field : fields_to_clear(session, clearable))
        budget.clear(field == clearable[0] ? Text{"max_budget"} : field);
    return budget;
}

OwnLimits read_own_limits(Session &session, LimitsOf owner)
{
    OwnLimits limits{owner == LimitsOf::team   ? std::span<const JsonField>{short_limits_of_teams}
                     : owner == LimitsOf::user ? std::span<const JsonField>{short_limits_of_users}
                                               : std::span<const JsonField>{short_limits_of_keys}};
    limits.max_budget = session.argument("max_budget", money);
    if (owner != LimitsOf::team)
        limits.model_max_budget = session.argument("model_max_budget", model_budgets);
    limits.tpm_limit = session.argument("tpm_limit", limit);
    limits.rpm_limit = session.argument("rpm_limit", limit);
    if (owner != LimitsOf::user)
        limits.max_parallel_requests = session.argument("max_parallel_requests", limit);
    limits.budget_duration = session.argument<Text>("budget_duration");
    if (owner == LimitsOf::key)
        limits.budget_duration = not_empty(limits.budget_duration); // as clients send it when there is none
    limits.budget_reset_at = first_reset(limits.budget_duration, "budget_duration");
    limits.others.read(session);
    return limits;
}

bool BudgetChange::set(Text field, const Value &value, bool merge)
{
    if (value.is_null())
        return clear(field);
    const char *name = value.path();
    if (field == "max_budget")
        max_budget = money(value.as_number(), name);
    else if (field == "soft_budget")
        soft_budget = money(value.as_number(), name);
    else if (field == "tpm_limit")
        tpm_limit = limit(value.as_integer(), name);
    else if (field == "rpm_limit")
        rpm_limit = limit(value.as_integer(), name);
    else if (field == "max_parallel_requests")
        max_parallel_requests = limit(value.as_integer(), name);
    else if (field == "model_max_budget")
        model_max_budget = ObjectChange{merge ? value.as_object() : *model_budgets(value.as_object(), name), merge};
    else if (field == "budget_duration")
        budget_duration = checked_duration(value.as_text(), name);
    else
        return others.set(field, value);
    return true;
}

void BudgetChange::override_with(const BudgetChange &other)
{
    const auto override_field = [](auto &field, const auto &with) {
        if (with)
            field = with;
    };
    override_field(max_budget, other.max_budget);
    override_field(soft_budget, other.soft_budget);
    override_field(tpm_limit, other.tpm_limit);
    override_field(rpm_limit, other.rpm_limit);
    override_field(max_parallel_requests, other.max_parallel_requests);
    override_field(model_max_budget, other.model_max_budget);
    override_field(budget_duration, other.budget_duration);
    others.override_with(other.others);
}

bool BudgetChange::clear(Text field)
{
    if (field == "max_budget")
        max_budget.emplace();
    else if (field == "soft_budget")
        soft_budget.emplace();
    else if (field == "tpm_limit")
        tpm_limit.emplace();
    else if (field == "rpm_limit")
        rpm_limit.emplace();
    else if (field == "max_parallel_requests")
        max_parallel_requests.emplace();
    else if (field == "model_max_budget")
        model_max_budget.emplace();
    else if (field == "budget_duration")
        budget_duration.emplace();
    else
        return others.set(field, Value{});
    return true;
}

} // namespace pg_org
