// Locking expired reservations, and leaving them out of counters.

#include "expired.hpp"

#include "ranges.hpp"

namespace pg_org {

namespace {

// Moves the calls that other transactions have locked to the front; returns the rest.
std::span<Call *> lock_free_calls(Session &session, std::span<Call *> calls)
{
    const auto names =
        map<CallName>(calls, [](const Call *call) { return CallName{call->owners.organization_id, call->request_id}; });
    const auto is_free = allocate<bool>(calls.size());
    for (const auto &[place, call] : lock_calls(session, names, false))
        is_free[place] = call->state == State::held;
    size_t busy = 0;
    for (size_t i = 0; i < calls.size(); i++)
        if (!is_free[i])
            std::swap(calls[busy++], calls[i]);
    return calls.subspan(busy);
}

} // namespace

ExpiredCalls lock_expired(Session &session, std::span<const OwnerIds> calls, LockedOwners &locked, Time now, bool wait)
{
    const Calls found = find_expired(session, calls, now);
    if (found.empty())
        return {};
    // An owner that does not exist any more needs no lock.
    const LockedOwners more =
        lock_more_owners(session, map<OwnerIds>(found, [](const Call *call) { return call->owners; }), locked);
    std::span<Call *> free = filter(found, [&](const Call *call) { return !more.refusal_of(call->owners); });
    locked.teams.ours = more.teams.ours;
    locked.users.ours = more.users.ours;
    locked.end_users.ours = more.end_users.ours;
    if (!wait && !free.empty())
        free = lock_free_calls(session, free);
    return {free, found.size() == max_expired || free.size() < found.size()};
}

Maybe<ReservationSums> sum_unclosed(Session &session, const Owners &owners, Time now)
{
    const auto calls = map<OwnerIds>(owners.of_calls, [](const CallOwners &call) { return call.ids; });
    if (find_expired(session, calls, now).empty())
        return {};
    // Counters distinguish calls by the creation of their owner, by period, and by their scopes.
    size_t size = 1;
    for (const Owner &owner : owners.all)
        size += 1 + owner.limits.size() + owner.resets.size();
    const auto times = allocate<Time>(size);
    size_t count = 0;
    SumBy by{};
    // Requests and tokens count in the period in which they were reserved, even after they have expired.
    Time expire_after = now;
    for (const Owner &owner : owners.all) {
        times[count++] = owner.created_at;
        by.end_user = by.end_user || owner.kind == OwnerKind::end_user || owner.kind == OwnerKind::platform_end_user ||
                      owner.each.has(Each::end_user);
        by.model = by.model || owner.each.has(Each::model);
        by.tags = by.tags || owner.each.has(Each::tag);
        for (const LimitReset &reset : owner.resets)
            times[count++] = reset.at;
        for (const UsageLimit &limit : owner.limits) {
            by.model = by.model || !limit.scope.model.empty();
            by.tags = by.tags || !limit.scope.tag.empty();
            if (limit.what != Limited::requests && limit.what != Limited::tokens)
                continue;
            const Time start = limit.window_at(now).start;
            times[count++] = start;
            expire_after.value = std::min(expire_after.value, start.value);
        }
    }
    return sum_reservations(session, calls, now, expire_after, times.first(count), by);
}

// The expired reservations may be many, the others are few: so those are added up, and what else is held has expired.
void leave_out_expired(ReservationSums sums, const Owner &owner, const PartCounters &part, Counter &counter)
{
    counter.expired_cost = counter.held_cost;
    counter.expired_requests = counter.held_requests;
    for (Count &count : counter.counts)
        count.expired = zero();
    for (const ReservationSum &sum : sums) {
        CHECK_FOR_INTERRUPTS();
        const auto parts = parts_of(part.each, sum.owners, sum.model, sum.tags);
        if (!owner.is_charged(sum.owners, sum.reserved_at) || sum.reserved_at.value < part.since.value ||
            (part.each != Each::none && std::ranges::find(parts, part.part) == parts.end()) ||
            !counter.scope.counts(sum.model, sum.tags))
            continue;
        if (!sum.has_expired) {
            counter.expired_cost = counter.expired_cost - sum.max_cost;
            counter.expired_requests -= sum.requests;
            continue;
        }
        for (Count &count : counter.counts)
            if (sum.reserved_at.value >= count.start.value && count.limit->what != Limited::cost)
                count.expired =
                    count.expired + number(count.limit->what == Limited::tokens ? sum.max_tokens : sum.requests);
    }
}

} // namespace pg_org
