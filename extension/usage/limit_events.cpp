// Emitting events about limits.

#include "limit_events.hpp"

#include "limits.hpp"
#include "rules/event.hpp"

namespace pg_org {

namespace {

bool is_reached(const AppliedLimit &applied)
{
    const UsageLimit &limit = *applied.limit;
    if (limit.what != Limited::cost && !limit.soft)
        return false;
    if (limit.what == Limited::parallel_requests)
        return applied.counter->is_changed && applied.held >= limit.value;
    return applied.count->has_grown && applied.spent >= limit.value;
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
            const bool is_of_counter = limit.soft == soft && limit.scope.model == counter.scope.model &&
                                       limit.scope.tag == counter.scope.tag && limit.scope.each == counter.scope.each;
            if (!is_of_counter)
                continue;
            AppliedLimit applied{&limit, &owner, &part, &counter, counter.find(limit)};
            if (applied.count == nullptr || limit.only_counts)
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
        for (const bool soft : {true, false}) {
            emit_of_part(counters, owner, owner.everything, soft);
            for (PartCounters &part : owner.parts)
                emit_of_part(counters, owner, part, soft);
            for (PartCounters *part = owner.more_parts; part != nullptr; part = part->next)
                emit_of_part(counters, owner, *part, soft);
        }
}

} // namespace pg_org
