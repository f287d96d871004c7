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

// Organizations must be locked already. Teams of no organization and users that only the expired reservations have are
// locked now, with SKIP LOCKED: to wait for a lock out of order could deadlock. An owner that does not exist any more
// needs no lock.
ExpiredCalls lock_expired(Session &session, std::span<const OwnerIds> calls, LockedOwners &locked, Time now, bool wait)
{
    const Calls found = find_expired(session, calls, now);
    if (found.empty())
        return {};
    const auto organization_ids = map<Text>(found, [](const Call *call) { return call->owners.organization_id; });
    const Calls with_platform_team = filter(found, [](const Call *call) { return call->owners.has_platform_team(); });
    const auto team_ids = map<Text>(with_platform_team, [](const Call *call) { return call->owners.team_id; });
    const auto user_ids = map<Text>(found, [](const Call *call) { return call->owners.user_id; });
    if (!team_ids.empty())
        lock_free_teams(session, team_ids, locked);
    lock_free_users(session, user_ids, locked);
    const Texts teams = team_ids.empty() ? Texts{} : find_teams(session, team_ids);
    const Texts users = find_users(session, user_ids);
    const Texts organizations = find_organizations(session, organization_ids);
    const auto is_busy = [](Texts existing, Texts locked, Text id) {
        return std::ranges::binary_search(existing, id) && !std::ranges::binary_search(locked, id);
    };
    const auto is_free = [&](const Call *call) {
        return !is_busy(organizations, locked.organizations, call->owners.organization_id) &&
               !(call->owners.has_platform_team() && is_busy(teams, locked.teams, call->owners.team_id)) &&
               !is_busy(users, locked.users, call->owners.user_id);
    };
    std::span<Call *> free = filter(found, is_free);
    if (!wait && !free.empty())
        free = lock_free_calls(session, free);
    return {free, found.size() == max_expired || free.size() < found.size()};
}

Maybe<ReservationSums> sum_unclosed(Session &session, const Owners &owners, Time now)
{
    const auto calls = map<OwnerIds>(owners.of_calls, [](const CallOwners &call) { return call.ids; });
    if (find_expired(session, calls, now).empty())
        return {};
    // Counters distinguish calls by the creation of their owner, by minute, and by model.
    size_t counters = 0, budgets = 0;
    bool has_rate_limit = false;
    for (const Owner &owner : owners.all) {
        has_rate_limit = has_rate_limit || owner.limits.rpm_limit || owner.limits.tpm_limit;
        counters += owner.counters.size();
        budgets += owner.limits.model_max_budget ? size(*owner.limits.model_max_budget) : 0;
    }
    const auto times = allocate<Time>(2 + owners.all.size() + 2 * counters);
    const auto models = allocate<Text>(counters + budgets);
    size_t time_count = 0, model_count = 0;
    const auto add_minute = [&](Time minute) {
        times[time_count++] = minute;
        times[time_count++] = {minute.value + USECS_PER_MINUTE};
    };
    add_minute(minute_of(now));
    for (const Owner &owner : owners.all) {
        times[time_count++] = owner.created_at;
        for (const Counter &counter : owner.counters) {
            add_minute(counter.minute);
            models[model_count++] = counter.model;
        }
        if (owner.limits.model_max_budget)
            for (const auto &[model, entry] : members(*owner.limits.model_max_budget))
                models[model_count++] = model;
    }
    return sum_reservations(session, calls, now, has_rate_limit ? minute_of(now) : now, times, models);
}

// The expired reservations may be many, the others are few: so those are added up, and what else is held has expired.
void leave_out_expired(ReservationSums sums, const Owner &owner, Counter &counter)
{
    counter.expired_cost = counter.held_cost;
    counter.expired_requests = counter.held_requests;
    for (const ReservationSum &sum : sums) {
        CHECK_FOR_INTERRUPTS();
        if (!owner.is_charged(sum.owners, sum.reserved_at) || !counter.counts(sum.model))
            continue;
        if (!sum.has_expired) {
            counter.expired_cost = counter.expired_cost - sum.max_cost;
            counter.expired_requests -= sum.requests;
        } else if (minute_of(sum.reserved_at).value == counter.minute.value) {
            counter.expired_minute_requests += sum.requests;
            counter.expired_minute_tokens += sum.max_tokens;
        }
    }
}

} // namespace pg_org
