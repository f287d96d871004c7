// Finding the limits of calls, and writing them.

#include "limits.hpp"

#include "ranges.hpp"

namespace pg_org {

namespace {

constexpr std::array<Text, 5> limit_names{"max_budget", "model_max_budget", "max_parallel_requests", "rpm_limit",
                                          "tpm_limit"};

class LimitList {
public:
    LimitList(Counters &counters, size_t max_size) : counters_(counters), limits_(allocate<UsageLimit>(max_size)) {}

    UsageLimits limits() const { return limits_.first(count_); }

    void add_budgets(Owner &owner, const Maybe<Text> &model)
    {
        if (owner.limits.max_budget) {
            Counter &counter = counter_of_all_models(owner);
            limits_[count_++] = {.kind = UsageLimit::max_budget,
                                 .owner = &owner,
                                 .counter = &counter,
                                 .value = *owner.limits.max_budget,
                                 .spent = counter.window_spend,
                                 .held = counter.held(),
                                 .resets_at = owner.window.end};
        }
        if (owner.limits.model_max_budget && model)
            add_budgets_of_model(owner, *model);
        else if (owner.limits.model_max_budget)
            add_budgets_of_all_models(owner);
    }

    void add_rates(Owner &owner)
    {
        const OwnerLimits &limits = owner.limits;
        const Time next_minute{counters_.minute().value + USECS_PER_MINUTE};
        if (limits.max_parallel_requests)
            add_rate(owner, UsageLimit::max_parallel_requests, *limits.max_parallel_requests, 0,
                     counter_of_all_models(owner).parallel_requests(), {});
        if (limits.rpm_limit)
            add_rate(owner, UsageLimit::rpm_limit, *limits.rpm_limit, counter_of_all_models(owner).requests(), 0,
                     next_minute);
        if (limits.tpm_limit)
            add_rate(owner, UsageLimit::tpm_limit, *limits.tpm_limit, counter_of_all_models(owner).tokens(), 0,
                     next_minute);
    }

private:
    Counters &counters_;
    std::span<UsageLimit> limits_;
    size_t count_ = 0;

    Counter &counter_of_all_models(Owner &owner) { return counters_.counter_of(owner, {}, owner.window); }

    // A budget may name the model with or without its provider.
    void add_budgets_of_model(Owner &owner, Text model)
    {
        const Value entries = to_value(*owner.limits.model_max_budget, "");
        const auto add_if_any = [&](Text name) {
            const Value entry = entries.member(c_string(name));
            if (entry.is_null())
                return;
            const ModelBudget budget = model_budget(owner, name, entry, counters_.now());
            add_model_budget(owner, budget, counters_.counter_of(owner, name, budget.window));
        };
        const Text bare = without_provider(model);
        add_if_any(model);
        if (bare != model)
            add_if_any(bare);
    }

    void add_budgets_of_all_models(Owner &owner)
    {
        const auto budgets = map<ModelBudget>(members(*owner.limits.model_max_budget), [&](const Member &entry) {
            return model_budget(owner, entry.key, entry.value, counters_.now());
        });
        const auto counters = counters_.counters_of(owner, budgets);
        for (size_t i = 0; i < budgets.size(); i++)
            add_model_budget(owner, budgets[i], *counters[i]);
    }

    void add_model_budget(const Owner &owner, const ModelBudget &budget, Counter &counter)
    {
        limits_[count_++] = {.kind = UsageLimit::model_max_budget,
                             .owner = &owner,
                             .counter = &counter,
                             .value = budget.value,
                             .spent = counter.window_spend,
                             .held = counter.held(),
                             .resets_at = budget.window.end};
    }

    void add_rate(Owner &owner, UsageLimit::Kind kind, int64 value, int64 spent, int64 held, Maybe<Time> resets_at)
    {
        limits_[count_++] = {.kind = kind,
                             .owner = &owner,
                             .counter = &counter_of_all_models(owner),
                             .value = number(value),
                             .spent = number(spent),
                             .held = number(held),
                             .resets_at = resets_at};
    }
};

size_t max_limits(const Owner &owner, const Maybe<Text> &model)
{
    constexpr size_t of_all_models = 4;
    return of_all_models + (!owner.limits.model_max_budget ? 0 : model ? 2 : size(*owner.limits.model_max_budget));
}

} // namespace

Text UsageLimit::name() const { return limit_names[kind]; }

UsageLimits limits_of(Counters &counters, const CallOwners &owners, Maybe<Text> model)
{
    const auto existing =
        filter(std::span<Owner *const>{owners.owners}, [](const Owner *owner) { return owner != nullptr; });
    size_t max_size = 0;
    for (const Owner *owner : existing)
        max_size += max_limits(*owner, model);
    LimitList list{counters, max_size};
    for (Owner *owner : existing)
        list.add_budgets(*owner, model);
    for (Owner *owner : existing)
        list.add_rates(*owner);
    return list.limits();
}

void write_limit(Writer &reply, const UsageLimit &limit)
{
    const Text model = limit.kind == UsageLimit::model_max_budget ? limit.counter->model : Text{};
    reply.key("owner").value(name_of(limit.owner->kind)).key("id").value(limit.owner->id());
    reply.key("limit").value(limit.name()).key("model").value(not_empty(model)).key("value");
    write_amount(reply, limit, limit.value);
}

void write_amount(Writer &reply, const UsageLimit &limit, Number amount)
{
    if (limit.is_budget())
        reply.value(amount);
    else
        reply.value(DatumGetInt64(DirectFunctionCall1(numeric_int8, amount.datum)));
}

} // namespace pg_org
