// Summing the ledger.

#include "recount.hpp"

#include "base/clock.hpp"
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
    int64 closed_in, reserved_in; // how many of the periods had begun; closed_in less than 0: they are held
    Number cost;
    int64 requests, tokens;
    Time latest;
};

CallSum read_sum(const Row &row)
{
    return {*row.get<Text>(0),   *row.get<Texts>(1), *row.get<int64>(2), *row.get<int64>(3),
            *row.get<Number>(4), *row.get<int64>(5), *row.get<int64>(6), *row.get<Time>(7)};
}

// The spending of all time is known without reading the ledger, which may be long.
bool is_of_all_time(const Counter &counter, const Count &count)
{
    return counter.scope.is_everything() && count.limit->what == Limited::cost &&
           count.window.start.value == DT_NOBEGIN;
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
        // Requests in progress are counted with what is held.
        if (is_of_all_time(counter, count) || count.limit->what == Limited::parallel_requests)
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

} // namespace

void recount(Session &session, const Owner &owner, const PartCounters &part, std::span<Counter *const> counters,
             Time now)
{
    if (counters.empty())
        return;
    size_t size = 0;
    bool by_model = false, by_tags = false;
    for (const Counter *counter : counters) {
        size += counter->counts.size();
        by_model = by_model || !counter->scope.model.empty();
        by_tags = by_tags || !counter->scope.tag.empty();
    }
    const auto all_starts = allocate<int64>(size);
    size_t start_count = 0;
    for (Counter *counter : counters) {
        reset(owner, part, *counter, now);
        for (const Count &count : counter->counts)
            if (!is_of_all_time(*counter, count))
                all_starts[start_count++] = count.window.start.value;
    }
    const std::span<const int64> starts = sort_unique(all_starts.first(start_count));
    const int64 first_closed = std::max(part.since.value, starts.empty() ? DT_NOEND : starts[0]);
    const bool also_archived = first_closed < session.run(find_archived_until)[0].get<Time>(0)->value;
    const OwnerIds ids = with_part(owner.ids, part.each, part.part);
    const bool is_of_user = owner.kind == OwnerKind::user;
    const bool is_anywhere = is_of_user || owner.kind == OwnerKind::platform_end_user;
    for (const Row row :
         session.run(sum_calls, ids.organization_id, ids.team_id, ids.user_id, ids.key_id, ids.end_user, is_anywhere,
                     is_of_user, part.each == Each::model ? part.part : Text{},
                     part.each == Each::tag ? part.part : Text{}, part.since,
                     map<Time>(starts, [](int64 start) { return Time{start}; }), by_model, by_tags, also_archived)) {
        const CallSum sum = read_sum(row);
        for (Counter *counter : counters)
            if (counter->scope.counts(sum.model, sum.tags))
                add(sum, starts, *counter);
    }
}

void warm_up_recounting(Session &session, Text nobody)
{
    const Time now = present();
    session.run(find_archived_until);
    for (const bool is_user : {true, false})
        session.run(sum_calls, Text{}, Text{}, nobody, Text{}, Text{}, is_user, is_user, Text{}, Text{}, now,
                    std::span<const Time>{&now, 1}, false, false, false);
}

} // namespace pg_org
