// Emitting events about limits.

#include "limit_events.hpp"

#include "limits.hpp"
#include "rules/event.hpp"

namespace pg_org {

namespace {

// Whether an event tells when the limit is reached, and the calls that are counted now may have reached it.
bool may_be_reached(const AppliedLimit &applied)
{
    const UsageLimit &limit = *applied.limit;
    if (applied.count == nullptr || limit.only_counts || (limit.what != Limited::cost && !limit.soft))
        return false;
    return limit.what == Limited::parallel_requests ? applied.counter->is_changed : applied.count->has_grown;
}

bool is_reached(const AppliedLimit &applied)
{
    const bool is_held = applied.limit->what == Limited::parallel_requests;
    return (is_held ? applied.held : applied.spent) >= applied.limit->value;
}

enum class Reason { reached, refused };

void emit(Counters &counters, AppliedLimit applied, Reason reason)
{
    const UsageLimit &limit = *applied.limit;
    Count &count = *applied.count;
    const bool is_budget = limit.what == Limited::cost;
    // Requests in progress have no period: they are told of once in a minute.
    const Time period = limit.what == Limited::parallel_requests
                            ? Time{counters.now().value - counters.now().value % USECS_PER_MINUTE}
                            : count.start;
    if (count.told_start.value == period.value && limit.value <= count.told_value)
        return;
    counters.leave_out_expired();
    applied.look_up();
    if (reason == Reason::reached && !is_reached(applied))
        return; // only with reservations that have expired
    count.told_start = period;
    count.told_value = limit.value;
    applied.counter->is_changed = true;

    Writer data{makeStringInfo()};
    write_limit(data.begin_object(), applied);
    write_amount(data.key("spent"), limit, applied.spent);
    write_amount(data.key("held"), limit, applied.held);
    data.key("resets_at").value(applied.resets_at()).end_object();
    const Text type = !limit.soft ? "budget.exceeded"
                      : is_budget ? "budget.soft_limit_crossed"
                                  : "limit.soft_limit_crossed";
    emit_event(counters.session(), applied.owner->ids.organization_id, type, to_text(data.buffer()->data));
}

void emit_of_part(Counters &counters, Owner &owner, PartCounters &part, bool soft)
{
    for (Counter &counter : part.counters)
        for (const UsageLimit &limit : owner.limits) {
            if (limit.soft != soft || !limit.scope.is_like(counter.scope))
                continue;
            AppliedLimit applied{&limit, &owner, &part, &counter, counter.find(limit)};
            if (!may_be_reached(applied))
                continue;
            applied.look_up();
            if (is_reached(applied))
                emit(counters, applied, Reason::reached);
        }
}

} // namespace

void emit_exceeded(Counters &counters, const AppliedLimit &limit) { emit(counters, limit, Reason::refused); }

void emit_limit_events(Counters &counters)
{
    for (Owner &owner : counters.owners())
        for (const bool soft : {true, false})
            owner.for_each_part([&](PartCounters &part) { emit_of_part(counters, owner, part, soft); });
}

} // namespace pg_org
