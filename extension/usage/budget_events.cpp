// Emitting events about budgets.

#include "budget_events.hpp"

#include "rules/event.hpp"

namespace pg_org {

namespace {

void emit(Counters &counters, Text type, const Owner &owner, const Counter &counter, Number budget)
{
    counters.leave_out_expired();
    Writer data{makeStringInfo()};
    data.begin_object().key("owner").value(name_of(owner.kind)).key("id").value(owner.id());
    data.key("model").value(not_empty(counter.model));
    data.key("value").value(budget).key("spent").value(counter.window_spend).key("held").value(counter.held());
    data.key("resets_at").value(counter.window.end).end_object();
    emit_event(counters.session(), owner.ids.organization_id, type, to_text(data.buffer()->data));
}

// Whether the last event was about the current period and no higher budget.
bool is_emitted(const Counter &counter, Time window, Number last_budget, Number budget)
{
    return window.value == counter.window.start.value && budget <= last_budget;
}

void emit_soft_limit_crossed(Counters &counters, const Owner &owner, Counter &counter, Number budget)
{
    if (is_emitted(counter, counter.warned_window, counter.warned_budget, budget))
        return;
    counter.warned_window = counter.window.start;
    counter.warned_budget = budget;
    counter.changed = true;
    emit(counters, "budget.soft_limit_crossed", owner, counter, budget);
}

} // namespace

void emit_budget_exceeded(Counters &counters, const Owner &owner, Counter &counter, Number budget)
{
    if (is_emitted(counter, counter.exceeded_window, counter.exceeded_budget, budget))
        return;
    counter.exceeded_window = counter.window.start;
    counter.exceeded_budget = budget;
    counter.changed = true;
    emit(counters, "budget.exceeded", owner, counter, budget);
}

void emit_budget_events(Counters &counters)
{
    for (const Owner &owner : counters.owners())
        for (Counter &counter : owner.counters) {
            if (!counter.model.empty() || counter.charged_at.value != counters.now().value)
                continue;
            const auto soft = owner.limits.soft_budget, hard = owner.limits.max_budget;
            if (soft && counter.window_spend >= *soft)
                emit_soft_limit_crossed(counters, owner, counter, *soft);
            if (hard && counter.window_spend >= *hard)
                emit_budget_exceeded(counters, owner, counter, *hard);
        }
}

} // namespace pg_org
