// Reading and writing counters.

#include "counter_rows.hpp"

#include "base/clock.hpp"
#include "ranges.hpp"

namespace pg_org {

namespace {

// The counters of $7 parts of the owners $1 to $5. OFFSET 0 makes the planner look up one after the other.
constinit Statement read_statement{R"(
    SELECT h.place, a.model, a.tag, a.since, a.held_cost, a.held_requests, a.counted_at, a.counted_each, a.names,
           a.starts, a.amounts, a.told_starts, a.told_values, a.tid
      FROM unnest($1, $2, $3, $4, $5, $6, $7) WITH ORDINALITY
        AS h (organization_id, team_id, user_id, key_id, end_user, each, part, place)
     CROSS JOIN LATERAL (SELECT model, tag, since, held_cost, held_requests, counted_at, counted_each, names, starts,
                                amounts, told_starts, told_values, ctid AS tid
                           FROM org.usage_counter a
                          WHERE (a.organization_id, a.team_id, a.user_id, a.key_id, a.end_user, a.each, a.part)
                              = (h.organization_id, h.team_id, h.user_id, h.key_id, h.end_user, h.each, h.part)
                         OFFSET 0) AS a)"};

#define COUNTER_COLUMNS                                                                                                \
    "since, held_cost, held_requests, counted_at, idle_after, counted_each, names, starts, amounts, told_starts, "     \
    "told_values"
#define TYPED_COUNTER_COLUMNS                                                                                          \
    "since timestamptz, held_cost numeric, held_requests bigint, counted_at timestamptz, idle_after timestamptz, "     \
    "counted_each text[], names text[], starts timestamptz[], amounts numeric[], told_starts timestamptz[], "          \
    "told_values numeric[]"
using CounterColumns = std::tuple<Time, Number, int64, Time, Time, Texts, Texts, std::span<const Time>,
                                  std::span<const Number>, std::span<const Time>, std::span<const Number>>;

constinit Statement update_statement{
    R"(
    UPDATE org.usage_counter
       SET ()" COUNTER_COLUMNS
    R"() = ROW(c.since, c.held_cost, c.held_requests, c.counted_at, c.idle_after, c.counted_each,
                                  c.names, c.starts, c.amounts, c.told_starts, c.told_values)
      FROM unnest($1) AS c (tid tid, )" TYPED_COUNTER_COLUMNS R"()
     WHERE ctid = c.tid)"};

constinit Statement insert_statement{R"(
    INSERT INTO org.usage_counter (organization_id, team_id, user_id, key_id, end_user, each, part, model, tag,
                                   )" COUNTER_COLUMNS R"()
    SELECT *
      FROM unnest($1) AS c (organization_id text, team_id text, user_id text, key_id text, end_user text, each text,
                            part text, model text, tag text, )" TYPED_COUNTER_COLUMNS ")"};

constinit Statement delete_statement{"DELETE FROM org.usage_counter WHERE ctid = ANY ($1)"};

constinit Statement delete_parts{R"(
    DELETE FROM org.usage_counter
     WHERE (organization_id, team_id, user_id, key_id, end_user) = ($1, $2, $3, $4, $5)
       AND each = ANY ($6))"};

// Counters of $1 to $5 owners that nothing was counted in for half a day before $6 or longer, a few at a time.
constinit Statement delete_idle_statement{R"(
    DELETE FROM org.usage_counter
     WHERE ctid = ANY (ARRAY(
           SELECT a.tid
             FROM unnest($1, $2, $3, $4, $5) AS h (organization_id, team_id, user_id, key_id, end_user)
            CROSS JOIN LATERAL (
                  SELECT ctid AS tid
                    FROM org.usage_counter
                   WHERE (organization_id, team_id, user_id, key_id, end_user)
                       = (h.organization_id, h.team_id, h.user_id, h.key_id, h.end_user)
                     AND each <> ''
                     AND idle_after <= $6
                     AND held_requests = 0
                   ORDER BY idle_after
                   LIMIT 100) AS a)))"};

EachSet read_each(Texts names)
{
    EachSet set;
    for (const Text name : names)
        if (const auto each = each_named(name))
            set.add(*each);
    return set;
}

Texts names_of(EachSet set)
{
    return map<Text>(filter(std::span<const Each>{all_each}, [&](Each each) { return set.has(each); }),
                     [](Each each) { return name_of(each); });
}

constexpr Time no_time{DT_NOEND};

Count new_count(const UsageLimit &limit)
{
    return {.name = limit.name,
            .start = {DT_NOBEGIN},
            .amount = zero(),
            .told_start = no_time,
            .told_value = zero(),
            .limit = &limit,
            .window = {},
            .expired = zero(),
            .is_stored = false,
            .has_grown = false};
}

// Requests in progress are counted with what is held. Only a soft limit of them has a count, which tells of events.
bool has_count(const UsageLimit &limit) { return limit.what != Limited::parallel_requests || limit.soft; }

// The counts of the limits that the owner has, as they are stored or new.
std::span<Count> counts_of(const Owner &owner, const Scope &scope, std::span<const Count> stored)
{
    const auto counts = allocate<Count>(owner.limits.size());
    size_t size = 0;
    for (const UsageLimit &limit : owner.limits) {
        const bool is_counted = has_count(limit) && limit.scope.is_like(scope);
        if (!is_counted || std::ranges::find(counts.first(size), limit.name, &Count::name) != counts.begin() + size)
            continue;
        const auto found = std::ranges::find(stored, limit.name, &Count::name);
        counts[size] = found == stored.end() ? new_count(limit) : *found;
        counts[size++].limit = &limit;
    }
    return counts.first(size);
}

Counter read_counter(const Row &row, const Owner &owner, const PartCounters &part)
{
    const Texts names = *row.get<Texts>(8);
    const auto starts = *row.get<std::span<const Time>>(9), told_starts = *row.get<std::span<const Time>>(11);
    const auto amounts = *row.get<std::span<const Number>>(10), told_values = *row.get<std::span<const Number>>(12);
    const size_t size = std::min({names.size(), starts.size(), amounts.size(), told_starts.size(), told_values.size()});
    const auto stored = allocate<Count>(size);
    for (size_t i = 0; i < size; i++)
        stored[i] = {.name = names[i],
                     .start = starts[i],
                     .amount = amounts[i],
                     .told_start = told_starts[i],
                     .told_value = told_values[i],
                     .limit = nullptr,
                     .window = {},
                     .expired = zero(),
                     .is_stored = true,
                     .has_grown = false};
    Counter counter{.scope = {*row.get<Text>(1), *row.get<Text>(2), part.each, part.part},
                    .since = *row.get<Time>(3),
                    .held_cost = *row.get<Number>(4),
                    .held_requests = *row.get<int64>(5),
                    .counts = {},
                    .counted_at = *row.get<Time>(6),
                    .counted_each = read_each(*row.get<Texts>(7)),
                    .is_current = false,
                    .expired_cost = zero(),
                    .expired_requests = 0,
                    .tid = row.get<Tid>(13),
                    .is_changed = false,
                    .next = nullptr};
    counter.counts = counts_of(owner, counter.scope, stored);
    return counter;
}

// Whether no limit of the owner needs the counter any more.
bool is_unused(const Owner &owner, const Counter &counter)
{
    if (counter.scope.is_everything())
        return !owner.needs_counter_of_everything();
    return std::ranges::none_of(owner.limits,
                                [&](const UsageLimit &limit) { return limit.scope.is_like(counter.scope); });
}

constexpr int64 half_a_day = USECS_PER_DAY / 2;

// The first midnight or noon after the periods of all counts of a part: a column of an index should seldom change.
Time idle_after(const Counter &counter, Time now)
{
    if (counter.scope.each == Each::none)
        return no_time;
    Time end = now;
    for (const Count &count : counter.counts) {
        if (count.amount == zero())
            continue;
        if (!count.window.end)
            return no_time;
        end.value = std::max(end.value, count.window.end->value);
    }
    const int64 half_days = end.value / half_a_day + (end.value < 0 ? 0 : 1);
    return {half_days * half_a_day};
}

struct OwnedCounter {
    const Owner *owner;
    const Counter *counter;
};
using OwnedCounters = std::span<OwnedCounter>;

CounterColumns columns_of(const Counter &counter, Time now)
{
    const auto counts = [&]<typename T>(T Count::*member) {
        return map<T>(counter.counts, [&](const Count &count) { return count.*member; });
    };
    return {counter.since,
            counter.held_cost,
            counter.held_requests,
            counter.counted_at,
            idle_after(counter, now),
            names_of(counter.counted_each),
            counts(&Count::name),
            counts(&Count::start),
            counts(&Count::amount),
            counts(&Count::told_start),
            counts(&Count::told_value)};
}

// The counters of a part of several owners are kept side by side, since the same calls need them.
OwnedCounters sorted_by_part(OwnedCounters counters)
{
    std::ranges::sort(counters, {}, [](const OwnedCounter &owned) { return owned.counter->scope.part; });
    return counters;
}

void update_counters(Session &session, OwnedCounters stored, Time now)
{
    using Record = decltype(std::tuple_cat(std::tuple<Tid>{}, CounterColumns{}));
    session.run(update_statement, map<Record>(sorted_by_part(stored), [&](const OwnedCounter &owned) {
                    return std::tuple_cat(std::tuple{*owned.counter->tid}, columns_of(*owned.counter, now));
                }));
}

void insert_counters(Session &session, OwnedCounters added, Time now)
{
    using Key = std::tuple<Text, Text, Text, Text, Text, Text, Text, Text, Text>;
    using Record = decltype(std::tuple_cat(Key{}, CounterColumns{}));
    session.run(insert_statement, map<Record>(sorted_by_part(added), [&](const OwnedCounter &owned) {
                    const OwnerIds &ids = owned.owner->ids;
                    const Scope &scope = owned.counter->scope;
                    return std::tuple_cat(Key{ids.organization_id, ids.team_id, ids.user_id, ids.key_id, ids.end_user,
                                              name_of(scope.each), scope.part, scope.model, scope.tag},
                                          columns_of(*owned.counter, now));
                }));
}

} // namespace

void read_counters(Session &session, std::span<OwnedPart> parts)
{
    std::ranges::sort(parts, {}, [](const OwnedPart &owned) { return owned.part->part; });
    const auto id = [&](Text OwnerIds::*member) {
        return map<Text>(parts, [&](const OwnedPart &owned) { return owned.owner->ids.*member; });
    };
    for (const Row row : session.run(read_statement, id(&OwnerIds::organization_id), id(&OwnerIds::team_id),
                                     id(&OwnerIds::user_id), id(&OwnerIds::key_id), id(&OwnerIds::end_user),
                                     map<Text>(parts, [](const OwnedPart &owned) { return name_of(owned.part->each); }),
                                     map<Text>(parts, [](const OwnedPart &owned) { return owned.part->part; }))) {
        const auto place = static_cast<size_t>(*row.get<int64>(0)) - 1;
        const auto [owner, part] = parts[place];
        part->counters.add(read_counter(row, *owner, *part));
    }
}

Counter new_counter(const Owner &owner, const Scope &scope)
{
    return {.scope = scope, .counts = counts_of(owner, scope, {}), .expired_cost = zero()};
}

void write_counters(Session &session, std::span<Owner> owners, Time now)
{
    size_t size = 0;
    const auto for_each = [&](auto visit) {
        for (Owner &owner : owners)
            owner.for_each_part([&](const PartCounters &part) {
                for (Counter &counter : part.counters)
                    visit(owner, counter);
            });
    };
    for_each([&](const Owner &, const Counter &) { size++; });
    const auto stored = allocate<OwnedCounter>(size), added = allocate<OwnedCounter>(size);
    const auto unused = allocate<Tid>(size);
    size_t stored_count = 0, added_count = 0, unused_count = 0;
    for_each([&](const Owner &owner, const Counter &counter) {
        if (!counter.is_changed)
            return;
        if (is_unused(owner, counter)) {
            if (counter.tid)
                unused[unused_count++] = *counter.tid;
        } else {
            (counter.tid ? stored[stored_count++] : added[added_count++]) = {&owner, &counter};
        }
    });
    for (const Owner &owner : owners)
        if (!owner.forgotten.empty())
            session.run(delete_parts, owner.ids.organization_id, owner.ids.team_id, owner.ids.user_id, owner.ids.key_id,
                        owner.ids.end_user, names_of(owner.forgotten));
    if (unused_count > 0)
        session.run(delete_statement, std::span<const Tid>{unused.first(unused_count)});
    if (stored_count > 0)
        update_counters(session, stored.first(stored_count), now);
    if (added_count > 0)
        insert_counters(session, added.first(added_count), now);
}

void delete_idle_counters(Session &session, std::span<Owner> owners, Time now)
{
    const auto with_parts = filter(owners, [](const Owner &owner) { return !owner.each.empty(); });
    if (with_parts.empty())
        return;
    const auto id = [&](Text OwnerIds::*member) {
        return map<Text>(with_parts, [&](const Owner &owner) { return owner.ids.*member; });
    };
    session.run(delete_idle_statement, id(&OwnerIds::organization_id), id(&OwnerIds::team_id), id(&OwnerIds::user_id),
                id(&OwnerIds::key_id), id(&OwnerIds::end_user), Time{now.value - half_a_day});
}

void warm_up_writing_counters(Session &session)
{
    const Time now = present();
    update_counters(session, {}, now);
    insert_counters(session, {}, now);
}

} // namespace pg_org
