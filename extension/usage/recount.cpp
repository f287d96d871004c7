// Summing the ledger.

#include "recount.hpp"

#include "base/clock.hpp"
#include "counter_rows.hpp"
#include "lock.hpp"
#include "ranges.hpp"

namespace pg_org {

namespace {

constinit Statement sum_calls{
#include "queries/recount.inc"
    , Planned::each_time};

constinit Statement find_archived_until{
    "SELECT coalesce(max(ends_at), '-infinity') FROM org.usage_archive WHERE archived_at IS NOT NULL"};

// The sums of calls that were closed, and reserved, in the same periods.
struct CallSum {
    Text model;
    Texts tags;
    Text organization_id, part;   // if they were asked for
    int64 closed_in, reserved_in; // how many of the periods had begun; closed_in less than 0: they are held
    Number cost;
    int64 requests, tokens;
    Time latest, first_reserved;
};

CallSum read_sum(const Row &row)
{
    return {*row.get<Text>(0),  *row.get<Texts>(1), *row.get<Text>(2),   *row.get<Text>(3),
            *row.get<int64>(4), *row.get<int64>(5), *row.get<Number>(6), *row.get<int64>(7),
            *row.get<int64>(8), *row.get<Time>(9),  *row.get<Time>(10)};
}

// The identifiers of the calls of an owner, or of one part of them.
OwnerIds with_part(OwnerIds ids, Each each, Text part)
{
    switch (each) {
    case Each::end_user: ids.end_user = part; break;
    case Each::member: ids.user_id = part; break;
    case Each::key: ids.key_id = part; break;
    case Each::team: ids.team_id = part; break;
    case Each::none:
    case Each::model:
    case Each::tag: break;
    }
    return ids;
}

// Which calls of an owner are summed, and how finely.
struct Wanted {
    Each each; // without a part: of all calls, by part
    Text part;
    Time since;                    // none that were reserved before
    std::span<const int64> starts; // of periods, sorted
    bool by_model, by_tags;
    Maybe<Time> expired_by; // without reservations that have expired by then
};

std::span<const CallSum> sum(Session &session, const Owner &owner, const Wanted &wanted)
{
    const auto [each, part, since, starts, by_model, by_tags, expired_by] = wanted;
    const int64 first_closed = std::max(since.value, starts.empty() ? DT_NOEND : starts[0]);
    const bool also_archived = first_closed < session.run(find_archived_until)[0].get<Time>(0)->value;
    const OwnerIds ids = part.empty() ? owner.ids : with_part(owner.ids, each, part);
    const Rows rows = session.run(sum_calls, ids.organization_id, ids.team_id, ids.user_id, ids.key_id, ids.end_user,
                                  owner.is_anywhere(), owner.kind == OwnerKind::user,
                                  each == Each::model ? part : Text{}, each == Each::tag ? part : Text{}, since,
                                  map<Time>(starts, [](int64 start) { return Time{start}; }), by_model, by_tags,
                                  also_archived, part.empty() ? name_of(each) : Text{}, expired_by);
    return map<CallSum>(rows.all(), read_sum);
}

// The spending of all time is known without reading the ledger, which may be long.
bool is_of_all_time(const Counter &counter, const Count &count)
{
    return counter.scope.is_everything() && count.limit->what == Limited::cost &&
           count.window.start.value == DT_NOBEGIN;
}

// Requests in progress are counted with what is held.
bool is_of_ledger(const Counter &counter, const Count &count)
{
    return count.limit->what != Limited::parallel_requests && !is_of_all_time(counter, count);
}

void reset(const Owner &owner, const PartCounters &part, Counter &counter, Time now)
{
    counter.since = part.since;
    counter.held_cost = zero();
    counter.held_requests = 0;
    counter.counted_at.value = std::max(counter.counted_at.value, now.value);
    counter.is_changed = true;
    for (Count &count : counter.counts) {
        count.start = count.window.start;
        count.amount = is_of_all_time(counter, count) ? owner.spend : zero();
        count.is_stored = true;
    }
}

// The starts of all periods are sorted.
void add(const CallSum &sum, std::span<const int64> starts, Counter &counter)
{
    counter.counted_at.value = std::max(counter.counted_at.value, sum.latest.value);
    const bool is_held = sum.closed_in < 0;
    if (is_held) {
        counter.held_cost = counter.held_cost + sum.cost;
        counter.held_requests += sum.requests;
    }
    for (Count &count : counter.counts) {
        if (!is_of_ledger(counter, count))
            continue;
        const int64 begun = std::ranges::lower_bound(starts, count.window.start.value) - starts.begin();
        if (count.limit->what == Limited::cost) {
            if (!is_held && begun < sum.closed_in)
                count.amount = count.amount + sum.cost;
        } else if (begun < sum.reserved_in) {
            count.amount = count.amount + number(count.limit->what == Limited::tokens ? sum.tokens : sum.requests);
        }
    }
}

// The calls of one part, or some of them.
struct PartSum {
    OwnerIds ids;
    Text part;
    const CallSum *sum;
};

// By part; a call with several tags counts for each of them.
std::span<const PartSum> sums_by_part(const Owner &owner, const UsageLimit &limit, std::span<const CallSum> sums)
{
    const Each each = limit.scope.each;
    const auto for_each_part = [&](auto visit) {
        for (const CallSum &sum : sums) {
            CHECK_FOR_INTERRUPTS();
            if (!limit.scope.counts(sum.model, sum.tags))
                continue;
            OwnerIds ids = with_part(owner.ids, each, sum.part);
            if (owner.is_anywhere())
                ids.organization_id = sum.organization_id;
            for (const Text part : parts_of(each, ids, sum.model, sum.tags))
                visit(PartSum{ids, part, &sum});
        }
    };
    size_t size = 0;
    for_each_part([&](const PartSum &) { size++; });
    const auto by_part = allocate<PartSum>(size);
    size = 0;
    for_each_part([&](const PartSum &sum) { by_part[size++] = sum; });
    std::ranges::sort(by_part, {}, &PartSum::part);
    return by_part;
}

// The starts of the limit's period for all parts, which differ where one was reset.
std::span<const int64> starts_of_parts(const Owner &owner, const UsageLimit &limit, Time at)
{
    if (limit.what == Limited::parallel_requests)
        return {};
    const auto starts = allocate<int64>(1 + owner.resets.size());
    starts[0] = owner.window_of(limit, {}, at).start.value;
    std::ranges::transform(owner.resets, starts.begin() + 1, [&](const LimitReset &reset) {
        return owner.window_of(limit, reset.scope.part, at).start.value;
    });
    return sort_unique(starts);
}

// One that counts for the limit, which is the owner's only one, in the period that a time is in.
Counter &add_counter(const Owner &owner, PartCounters &part, const UsageLimit &limit, Time at)
{
    Scope scope = limit.scope;
    scope.part = part.part;
    Counter &counter = part.counters.add(new_counter(owner, scope));
    for (Count &count : counter.counts)
        count.window = owner.window_of(limit, part.part, at);
    return counter;
}

} // namespace

void recount(Session &session, const Owner &owner, const PartCounters &part, std::span<Counter *const> counters,
             Time now, Maybe<Time> expired_by)
{
    if (counters.empty())
        return;
    size_t size = 0;
    Wanted wanted{.each = part.each, .part = part.part, .since = part.since, .expired_by = expired_by};
    for (const Counter *counter : counters) {
        size += counter->counts.size();
        wanted.by_model = wanted.by_model || !counter->scope.model.empty();
        wanted.by_tags = wanted.by_tags || !counter->scope.tag.empty();
    }
    const auto starts = allocate<int64>(size);
    size_t start_count = 0;
    for (Counter *counter : counters) {
        reset(owner, part, *counter, now);
        for (const Count &count : counter->counts)
            if (is_of_ledger(*counter, count))
                starts[start_count++] = count.window.start.value;
    }
    wanted.starts = sort_unique(starts.first(start_count));
    for (const CallSum &sum : pg_org::sum(session, owner, wanted)) {
        CHECK_FOR_INTERRUPTS();
        for (Counter *counter : counters)
            if (counter->scope.counts(sum.model, sum.tags))
                add(sum, wanted.starts, *counter);
    }
}

std::span<PartCounters> recount_parts(Session &session, const Owner &owner, const UsageLimit &limit, Time at, Time now)
{
    const Wanted wanted{.each = limit.scope.each,
                        .part = {},
                        .since = owner.created_at,
                        .starts = starts_of_parts(owner, limit, at),
                        .by_model = limit.scope.each == Each::model || !limit.scope.model.empty(),
                        .by_tags = limit.scope.each == Each::tag || !limit.scope.tag.empty(),
                        .expired_by = now};
    const auto sums = sums_by_part(owner, limit, sum(session, owner, wanted));
    const Owners owners =
        read_owners(session, map<OwnerIds>(sums, [](const PartSum &sum) { return sum.ids; }), now, {});
    const auto parts = allocate<PartCounters>(sums.size());
    size_t count = 0;
    for (auto rest = sums; !rest.empty();) {
        CHECK_FOR_INTERRUPTS();
        const auto end = std::ranges::find_if(rest, [&](const PartSum &sum) { return sum.part != rest[0].part; });
        const auto of_part = rest.first(static_cast<size_t>(end - rest.begin()));
        rest = rest.subspan(of_part.size());
        if (std::ranges::all_of(of_part, [&](const PartSum &sum) { return owners.of(sum.ids).has_own(owner, limit); }))
            continue;
        const CallOwners &call = owners.of(of_part[0].ids);
        PartCounters &part = parts[count++] = {wanted.each, of_part[0].part, call.start_of_part(owner, wanted.each)};
        Counter *counter = &add_counter(owner, part, limit, at);
        if (std::ranges::any_of(of_part,
                                [&](const PartSum &sum) { return sum.sum->first_reserved.value < part.since.value; })) {
            recount(session, owner, part, {&counter, 1}, now, now);
            continue;
        }
        reset(owner, part, *counter, now);
        for (const PartSum &sum : of_part)
            add(*sum.sum, wanted.starts, *counter);
    }
    return parts.first(count);
}

PartCounters recount_everything(Session &session, const Owner &owner, const UsageLimit &limit, Time at, Time now)
{
    PartCounters everything{.each = Each::none, .part = {}, .since = owner.created_at};
    Counter *counter = &add_counter(owner, everything, limit, at);
    recount(session, owner, everything, {&counter, 1}, now, now);
    return everything;
}

void warm_up_recounting(Session &session, Text nobody)
{
    const Time now = present();
    session.run(find_archived_until);
    for (const bool is_user : {true, false})
        session.run(sum_calls, Text{}, Text{}, nobody, Text{}, Text{}, is_user, is_user, Text{}, Text{}, now,
                    std::span<const Time>{&now, 1}, false, false, false, Text{}, Maybe<Time>{});
}

} // namespace pg_org
