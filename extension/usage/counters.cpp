// Reading, counting and writing counters.

#include "counters.hpp"

#include "base/clock.hpp"
#include "ranges.hpp"
#include "recount.hpp"

namespace pg_org {

namespace {

// The counters of $7 parts of the owners $1 to $5. OFFSET 0 makes the planner look up one after the other.
constinit Statement read_statement{R"(
    SELECT h.place, a.model, a.tag, a.since, a.held_cost, a.held_requests, a.counted_at, a.counted_each, a.names,
           a.starts, a.amounts, a.told_starts, a.told_values, a.tid
      FROM unnest($1, $2, $3, $4, $5, $6, $7) WITH ORDINALITY
        AS h (organization_id, team_id, user_id, key_id, end_user, each, part, place)
     CROSS JOIN LATERAL (SELECT *, ctid AS tid FROM org.usage_counter a
                          WHERE (a.organization_id, a.team_id, a.user_id, a.key_id, a.end_user, a.each, a.part)
                              = (h.organization_id, h.team_id, h.user_id, h.key_id, h.end_user, h.each, h.part)
                         OFFSET 0) AS a)"};
// Those of everything, which have all models and tags.
constexpr Text no_part;

// A row of unnest() can't have arrays: so the counts of all counters are arrays, of which each counter has a slice.
#define COUNTERS(more) "(first, last, since, held_cost, held_requests, counted_at, idle_after, counted_each" more ")"
#define COUNTS "($1)[first:last], ($2)[first:last], ($3)[first:last], ($4)[first:last], ($5)[first:last]"

constinit Statement update_statement{R"(
    UPDATE org.usage_counter
       SET since = c.since, held_cost = c.held_cost, held_requests = c.held_requests, counted_at = c.counted_at,
           idle_after = c.idle_after, counted_each = string_to_array(c.counted_each, ' '),
           (names, starts, amounts, told_starts, told_values) = ROW()" COUNTS R"()
      FROM unnest($6, $7, $8, $9, $10, $11, $12, $13, $14) AS c )" COUNTERS(", tid") R"(
     WHERE ctid = c.tid)"};

constinit Statement insert_statement{R"(
    INSERT INTO org.usage_counter (names, starts, amounts, told_starts, told_values, since, held_cost, held_requests,
                                   counted_at, idle_after, counted_each, organization_id, team_id, user_id, key_id,
                                   end_user, each, part, model, tag)
    SELECT )" COUNTS R"(, since, held_cost, held_requests, counted_at, idle_after, string_to_array(counted_each, ' '),
           o, t, u, k, e, of_each, part, model, tag
      FROM unnest($6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
        AS c )" COUNTERS(", o, t, u, k, e, of_each, part, model, tag")};
constexpr size_t max_written = 50; // at once, since slices are searched from the start

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

Text written_each(EachSet set)
{
    StringInfoData list;
    initStringInfo(&list);
    for (const Each each : all_each)
        if (set.has(each))
            appendStringInfo(&list, "%s%.*s", list.len == 0 ? "" : " ", FMT_ARG(name_of(each)));
    return {list.data, static_cast<size_t>(list.len)};
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
        const bool is_counted = has_count(limit) && limit.scope.model == scope.model && limit.scope.tag == scope.tag &&
                                limit.scope.each == scope.each;
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
    return std::ranges::none_of(owner.limits, [&](const UsageLimit &limit) {
        return limit.scope.model == counter.scope.model && limit.scope.tag == counter.scope.tag &&
               limit.scope.each == counter.scope.each;
    });
}

// Brings a count to its current period; false if it must be recounted from the ledger.
bool start_period(Counter &counter, Count &count)
{
    if (!count.is_stored)
        return false;
    if (count.start.value == count.window.start.value)
        return true;
    // What was before the counted period is in no count, and what was counted since the new period began may be mixed
    // with what was before.
    if (count.window.start.value < count.start.value || counter.counted_at.value >= count.window.start.value)
        return false;
    count.start = count.window.start;
    count.amount = zero();
    counter.is_changed = true;
    return true;
}

// The requests and tokens that a call adds to the periods in which it was reserved.
int64 requests_in(State state) { return state == State::held || state == State::settled; }
int64 tokens_in(State state, const Call &call)
{
    return state == State::held ? call.max_tokens : state == State::settled ? call.tokens() : 0;
}

void count_in(Counter &counter, const Call &call, State from, State to, Time now)
{
    counter.is_changed = true;
    counter.counted_at = now;
    if (from == State::held) {
        counter.held_cost = counter.held_cost - call.max_cost;
        counter.held_requests--;
    } else if (to == State::held) {
        counter.held_cost = counter.held_cost + call.max_cost;
        counter.held_requests++;
    }
    for (Count &count : counter.counts) {
        const bool is_cost = count.limit->what == Limited::cost;
        if (is_cost && to == State::settled) {
            count.amount = count.amount + call.cost;
            count.has_grown = true;
        }
        if (is_cost || call.reserved_at.value < count.start.value)
            continue;
        const int64 more = count.limit->what == Limited::requests ? requests_in(to) - requests_in(from)
                           : count.limit->what == Limited::tokens ? tokens_in(to, call) - tokens_in(from, call)
                                                                  : 0;
        if (more != 0)
            count.amount = count.amount + number(more);
        count.has_grown = count.has_grown || more > 0;
    }
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
using OwnedCounters = std::span<const OwnedCounter>;

// Runs a statement with the counters, and more.
template <typename... More>
void write_counters(Session &session, Statement &statement, OwnedCounters counters, Time now, const More &...more)
{
    size_t size = 0;
    for (const auto &[owner, counter] : counters)
        size += counter->counts.size();
    const auto counts = allocate<Count>(size);
    const auto first = allocate<int64>(counters.size()), last = allocate<int64>(counters.size());
    size_t count = 0;
    for (size_t i = 0; i < counters.size(); i++) {
        first[i] = static_cast<int64>(count) + 1;
        std::ranges::copy(counters[i].counter->counts, counts.begin() + count);
        last[i] = static_cast<int64>(count += counters[i].counter->counts.size());
    }
    const auto of_counts = [&]<typename T>(T Count::*member) {
        return map<T>(counts, [&](const Count &each) { return each.*member; });
    };
    const auto column = [&]<typename T>(T Counter::*member) {
        return map<T>(counters, [&](const OwnedCounter &owned) { return owned.counter->*member; });
    };
    session.run(
        statement, of_counts(&Count::name), of_counts(&Count::start), of_counts(&Count::amount),
        of_counts(&Count::told_start), of_counts(&Count::told_value), std::span<const int64>{first},
        std::span<const int64>{last}, column(&Counter::since), column(&Counter::held_cost),
        column(&Counter::held_requests), column(&Counter::counted_at),
        map<Time>(counters, [&](const OwnedCounter &owned) { return idle_after(*owned.counter, now); }),
        map<Text>(counters, [](const OwnedCounter &owned) { return written_each(owned.counter->counted_each); }),
        more...);
}

void update_counters(Session &session, OwnedCounters stored, Time now)
{
    write_counters(session, update_statement, stored, now,
                   map<Tid>(stored, [](const OwnedCounter &owned) { return *owned.counter->tid; }));
}

void insert_counters(Session &session, OwnedCounters added, Time now)
{
    const auto id = [&](Text OwnerIds::*member) {
        return map<Text>(added, [&](const OwnedCounter &owned) { return owned.owner->ids.*member; });
    };
    const auto scope = [&](Text Scope::*member) {
        return map<Text>(added, [&](const OwnedCounter &owned) { return owned.counter->scope.*member; });
    };
    write_counters(session, insert_statement, added, now, id(&OwnerIds::organization_id), id(&OwnerIds::team_id),
                   id(&OwnerIds::user_id), id(&OwnerIds::key_id), id(&OwnerIds::end_user),
                   map<Text>(added, [](const OwnedCounter &owned) { return name_of(owned.counter->scope.each); }),
                   scope(&Scope::part), scope(&Scope::model), scope(&Scope::tag));
}

// Writes a few at a time.
template <typename Write> void write_in_pieces(OwnedCounters counters, Write write)
{
    for (; !counters.empty(); counters = counters.subspan(std::min(counters.size(), max_written)))
        write(counters.first(std::min(counters.size(), max_written)));
}

auto order_of_parts(const PartCounters &part) { return std::pair{part.each, part.part}; }

// Parts that follow from the identifiers of the calls, so that those of many calls are read at once.
constexpr std::array each_of_ids{Each::end_user, Each::member, Each::key, Each::team};

} // namespace

void AppliedLimit::look_up()
{
    spent = held = zero();
    switch (limit->what) {
    case Limited::cost:
        held = counter->held();
        spent = count->amount - count->expired;
        break;
    case Limited::parallel_requests: held = number(counter->parallel_requests()); break;
    case Limited::requests:
    case Limited::tokens: spent = count->amount - count->expired; break;
    }
}

Counters::Counters(Session &session, std::span<const OwnerIds> calls, Time now, const Maybe<LockedOwners> &locked)
    : session_(session), now_(now), owners_(read_owners(session, calls, now, locked))
{
    read_everything();
    read_parts();
}

Owner *Counters::owner_of(const Call &call, OwnerKind kind) const
{
    Owner *owner = owners_.of(call.owners).find(kind);
    return owner != nullptr && call.reserved_at.value >= owner->created_at.value ? owner : nullptr;
}

// Calls that were made while an owner had no limit for each of something are in no counter of these parts: so the
// counter of everything tells for what there are counters, and others are forgotten.
void Counters::read_everything()
{
    const auto owners = map<Owner *>(owners_.all, [](Owner &owner) { return &owner; });
    read_into(map<PartCounters *>(owners_.all, [](Owner &owner) { return &owner.everything; }), owners);
    for (Owner &owner : owners_.all) {
        if (!owner.needs_counter_of_everything())
            continue;
        Counter *counter = owner.everything.counters.find({});
        const EachSet counted = counter != nullptr && counter->since.value == owner.created_at.value
                                    ? counter->counted_each
                                    : EachSet{};
        if (counter == nullptr)
            counter = &owner.everything.counters.add(
                {.scope = {}, .counts = counts_of(owner, {}, {}), .expired_cost = zero()});
        for (const Each each : all_each)
            if (owner.each.has(each) != counted.has(each))
                owner.forgotten.add(each);
        if (!owner.forgotten.empty()) {
            counter->counted_each = owner.each;
            counter->is_changed = true;
        }
        bring_up_to_date(owner, owner.everything);
    }
}

void Counters::read_parts()
{
    const bool has_parts = std::ranges::any_of(owners_.all, [](const Owner &owner) { return !owner.each.empty(); });
    if (!has_parts)
        return;
    const auto all = allocate<PartCounters *>(owners_.of_calls.size() * owner_kinds.size() * each_of_ids.size());
    const auto of = allocate<Owner *>(all.size());
    size_t count = 0;
    for (Owner &owner : owners_.all) {
        if (std::ranges::none_of(each_of_ids, [&](Each each) { return owner.each.has(each); }))
            continue;
        const auto parts = allocate<PartCounters>(owners_.of_calls.size() * each_of_ids.size());
        size_t size = 0;
        for (const CallOwners &call : owners_.of_calls) {
            CHECK_FOR_INTERRUPTS();
            if (call.find(owner.kind) != &owner)
                continue;
            for (const Each each : each_of_ids)
                if (owner.each.has(each))
                    for (const Text part : parts_of(each, call.ids, {}, {})) {
                        const Owner *itself = each == Each::end_user ? nullptr : call.part_itself(owner, each);
                        parts[size++] = {each, part,
                                         {std::max(owner.created_at.value,
                                                   itself == nullptr ? DT_NOBEGIN : itself->created_at.value)},
                                         {}, nullptr};
                    }
        }
        std::ranges::sort(parts.first(size), {}, order_of_parts);
        const auto repeated = std::ranges::unique(parts.first(size), {}, order_of_parts);
        owner.parts = parts.first(size - repeated.size());
        for (PartCounters &part : owner.parts)
            if (!owner.forgotten.has(part.each)) {
                of[count] = &owner;
                all[count++] = &part;
            }
    }
    if (count > 0)
        read_into(all.first(count), of.first(count));
}

void Counters::read_into(std::span<PartCounters *const> parts, std::span<Owner *const> owners)
{
    const auto id = [&](Text OwnerIds::*member) {
        return map<Text>(owners, [&](const Owner *owner) { return owner->ids.*member; });
    };
    for (const Row row : session_.run(read_statement, id(&OwnerIds::organization_id), id(&OwnerIds::team_id),
                                      id(&OwnerIds::user_id), id(&OwnerIds::key_id), id(&OwnerIds::end_user),
                                      map<Text>(parts, [](const PartCounters *part) { return name_of(part->each); }),
                                      map<Text>(parts, [](const PartCounters *part) { return part->part; }))) {
        const auto place = static_cast<size_t>(*row.get<int64>(0)) - 1;
        parts[place]->counters.add(read_counter(row, *owners[place], *parts[place]));
    }
}

PartCounters &Counters::part_of(Owner &owner, const CallOwners &call, Each each, Text part)
{
    if (each == Each::none)
        return owner.everything;
    const auto found = std::ranges::lower_bound(owner.parts, std::pair{each, part}, {}, order_of_parts);
    if (found != owner.parts.end() && found->each == each && found->part == part)
        return *found;
    for (PartCounters *more = owner.more_parts; more != nullptr; more = more->next)
        if (more->each == each && more->part == part)
            return *more;
    PartCounters *added = allocate<PartCounters>(1).data();
    *added = {each, part, owner.created_at, {}, owner.more_parts};
    if (const Owner *itself = each == Each::end_user ? nullptr : call.part_itself(owner, each); itself != nullptr)
        added->since.value = std::max(added->since.value, itself->created_at.value);
    owner.more_parts = added;
    Owner *of = &owner;
    if (!owner.forgotten.has(each))
        read_into({&added, 1}, {&of, 1});
    return *added;
}

Counter &Counters::counter_of(Owner &owner, PartCounters &part, const UsageLimit &limit)
{
    if (Counter *found = part.counters.find(limit.scope))
        return *found;
    Scope scope = limit.scope;
    scope.part = part.part;
    return part.counters.add({.scope = scope, .counts = counts_of(owner, scope, {}), .expired_cost = zero()});
}

// Counters that a limit still needs; those that are missing or of other periods are recounted, all of one part at once.
void Counters::bring_up_to_date(Owner &owner, PartCounters &part)
{
    size_t size = 0;
    for (const Counter &counter : part.counters)
        size += !counter.is_current;
    if (size == 0)
        return;
    const auto outdated = allocate<Counter *>(size), renewed = allocate<Counter *>(size);
    size_t outdated_count = 0, renewed_count = 0;
    for (Counter &counter : part.counters) {
        if (std::exchange(counter.is_current, true))
            continue;
        renewed[renewed_count++] = &counter;
        bool is_outdated = !counter.tid || counter.since.value != part.since.value;
        for (Count &count : counter.counts) {
            count.window = owner.window_of(*count.limit, part.part, now_);
            is_outdated = !start_period(counter, count) || is_outdated;
        }
        if (is_outdated)
            outdated[outdated_count++] = &counter;
    }
    recount(session_, owner, part, outdated.first(outdated_count), now_);
    if (unclosed_)
        for (Counter *counter : renewed.first(renewed_count))
            pg_org::leave_out_expired(*unclosed_, owner, part, *counter);
}

void Counters::leave_out_expired()
{
    if (std::exchange(is_without_expired_, true))
        return;
    unclosed_ = sum_unclosed(session_, owners_, now_);
    if (!unclosed_)
        return;
    const auto leave_out = [&](const Owner &owner, const PartCounters &part) {
        for (Counter &counter : part.counters)
            if (counter.is_current)
                pg_org::leave_out_expired(*unclosed_, owner, part, counter);
    };
    for (const Owner &owner : owners_.all) {
        leave_out(owner, owner.everything);
        for (const PartCounters &part : owner.parts)
            leave_out(owner, part);
        for (const PartCounters *part = owner.more_parts; part != nullptr; part = part->next)
            leave_out(owner, *part);
    }
}

AppliedLimits Counters::limits_of(const CountedCall &call)
{
    const auto is_asked = [&](const UsageLimit &limit) {
        const Scope &scope = limit.scope;
        return !limit.only_counts && (!call.model || Scope{.model = scope.model}.counts(*call.model, {})) &&
               (!call.tags || Scope{.tag = scope.tag}.counts({}, *call.tags));
    };
    size_t max_size = 0;
    for (const Owner *owner : call.owners.owners)
        if (owner != nullptr)
            max_size += owner->limits.size() * (owner->each.has(Each::tag) && call.tags ? 1 + call.tags->size() : 1);
    const auto applied = allocate<AppliedLimit>(max_size);
    size_t size = 0;
    const auto add_limit = [&](Owner &owner, const UsageLimit &limit) {
        const Each each = limit.scope.each;
        if (!is_asked(limit) || call.owners.has_own(owner, limit))
            return;
        if (each == Each::none) {
            applied[size++] = {&limit, &owner, &owner.everything, &counter_of(owner, owner.everything, limit)};
            return;
        }
        const Texts parts = parts_of(each, call.owners.ids, call.model, call.tags);
        if (!call.knows_part(each))
            applied[size++] = {&limit, &owner};
        for (const Text name : parts) {
            PartCounters &part = part_of(owner, call.owners, each, name);
            applied[size++] = {&limit, &owner, &part, &counter_of(owner, part, limit)};
        }
    };
    const auto add = [&](bool of_cost) {
        for (Owner *owner : call.owners.owners)
            if (owner != nullptr)
                for (const UsageLimit &limit : owner->limits)
                    if ((limit.what == Limited::cost) == of_cost)
                        add_limit(*owner, limit);
    };
    add(true);
    add(false);
    for (AppliedLimit &limit : applied.first(size))
        if (limit.counter != nullptr) {
            bring_up_to_date(*limit.owner, *limit.part);
            limit.count = limit.counter->find(*limit.limit);
            limit.look_up();
        }
    return applied.first(size);
}

void Counters::count(const Call &call, State from, State to)
{
    const CallOwners &owners = owners_of(call.owners);
    for (const OwnerKind kind : owner_kinds) {
        Owner *owner = owner_of(call, kind);
        if (owner == nullptr)
            continue;
        if (to == State::settled)
            owner->newly_spent = owner->newly_spent ? *owner->newly_spent + call.cost : call.cost;
        const auto count_part = [&](PartCounters &part) {
            if (call.reserved_at.value < part.since.value)
                return;
            bring_up_to_date(*owner, part);
            for (Counter &counter : part.counters)
                if (counter.scope.counts(call.model, call.tags))
                    count_in(counter, call, from, to, now_);
        };
        count_part(owner->everything);
        if (owner->each.empty())
            continue;
        for (const Each each : all_each)
            if (owner->each.has(each))
                for (const Text part : parts_of(each, call.owners, call.model, call.tags))
                    count_part(part_of(*owner, owners, each, part));
    }
}

void Counters::write()
{
    size_t size = 0;
    const auto for_each = [&](auto visit) {
        for (const Owner &owner : owners_.all) {
            for (Counter &counter : owner.everything.counters)
                visit(owner, counter);
            for (const PartCounters &part : owner.parts)
                for (Counter &counter : part.counters)
                    visit(owner, counter);
            for (const PartCounters *part = owner.more_parts; part != nullptr; part = part->next)
                for (Counter &counter : part->counters)
                    visit(owner, counter);
        }
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
    for (const Owner &owner : owners_.all)
        if (!owner.forgotten.empty()) {
            const auto names = map<Text>(filter(std::span<const Each>{all_each},
                                                [&](Each each) { return owner.forgotten.has(each); }),
                                         [](Each each) { return name_of(each); });
            session_.run(delete_parts, owner.ids.organization_id, owner.ids.team_id, owner.ids.user_id,
                         owner.ids.key_id, owner.ids.end_user, names);
        }
    if (unused_count > 0)
        session_.run(delete_statement, std::span<const Tid>{unused.first(unused_count)});
    write_in_pieces(stored.first(stored_count), [&](OwnedCounters some) { update_counters(session_, some, now_); });
    write_in_pieces(added.first(added_count), [&](OwnedCounters some) { insert_counters(session_, some, now_); });
}

void Counters::delete_idle()
{
    const auto with_parts = filter(owners_.all, [](const Owner &owner) { return !owner.each.empty(); });
    if (with_parts.empty())
        return;
    const auto id = [&](Text OwnerIds::*member) {
        return map<Text>(with_parts, [&](const Owner &owner) { return owner.ids.*member; });
    };
    session_.run(delete_idle_statement, id(&OwnerIds::organization_id), id(&OwnerIds::team_id), id(&OwnerIds::user_id),
                 id(&OwnerIds::key_id), id(&OwnerIds::end_user), Time{now_.value - half_a_day});
}

void warm_up_reading_counters(Session &session, Text nobody)
{
    const OwnerIds ids{nobody, nobody, nobody, nobody, nobody};
    Counters{session, {&ids, 1}, present(), {}};
    warm_up_recounting(session, nobody);
}

void warm_up_writing_counters(Session &session)
{
    const Time now = present();
    update_counters(session, {}, now);
    insert_counters(session, {}, now);
}

} // namespace pg_org
