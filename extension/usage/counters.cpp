// Bringing counters up to date, and counting calls.

#include "counters.hpp"

#include "base/clock.hpp"
#include "counter_rows.hpp"
#include "ranges.hpp"
#include "recount.hpp"

namespace pg_org {

namespace {

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
    counter.counted_at.value = std::max(counter.counted_at.value, now.value); // the clock may go back
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
    const auto everything = allocate<OwnedPart>(owners_.all.size());
    std::ranges::transform(owners_.all, everything.begin(),
                           [](Owner &owner) { return OwnedPart{&owner, &owner.everything}; });
    read_counters(session_, everything);
    for (Owner &owner : owners_.all) {
        if (!owner.needs_counter_of_everything())
            continue;
        Counter *counter = owner.everything.counters.find({});
        const EachSet counted =
            counter != nullptr && counter->since.value == owner.created_at.value ? counter->counted_each : EachSet{};
        if (counter == nullptr)
            counter = &owner.everything.counters.add(new_counter(owner, {}));
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

// The parts of all calls are collected at once: a batch may have many calls of many owners.
void Counters::read_parts()
{
    struct FoundPart {
        Owner *owner;
        PartCounters part;
    };
    const auto for_each_part = [&](auto visit) {
        for (const CallOwners &call : owners_.of_calls) {
            CHECK_FOR_INTERRUPTS();
            for (Owner *owner : call.owners)
                if (owner != nullptr && !owner->each.empty())
                    for (const Each each : each_of_ids)
                        if (owner->each.has(each))
                            for (const Text part : parts_of(each, call.ids, {}, {}))
                                visit(*owner, call, each, part);
        }
    };
    size_t size = 0;
    for_each_part([&](Owner &, const CallOwners &, Each, Text) { size++; });
    if (size == 0)
        return;
    const auto found = allocate<FoundPart>(size);
    size = 0;
    for_each_part([&](Owner &owner, const CallOwners &call, Each each, Text part) {
        found[size++] = {&owner, {each, part, call.start_of_part(owner, each), {}, nullptr}};
    });
    const auto order = [](const FoundPart &owned) { return std::tuple{owned.owner, owned.part.each, owned.part.part}; };
    std::ranges::sort(found, {}, order);
    const auto repeated = std::ranges::unique(found, {}, order);
    const auto distinct = found.first(size - repeated.size());

    const auto parts = allocate<PartCounters>(distinct.size());
    const auto read = allocate<OwnedPart>(distinct.size());
    size_t count = 0;
    for (size_t i = 0; i < distinct.size(); i++) {
        Owner &owner = *distinct[i].owner;
        parts[i] = distinct[i].part;
        owner.parts = owner.parts.empty() ? parts.subspan(i, 1) : std::span{owner.parts.data(), owner.parts.size() + 1};
        if (!owner.forgotten.has(parts[i].each))
            read[count++] = {&owner, &parts[i]};
    }
    if (count > 0)
        read_counters(session_, read.first(count));
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
    *added = {each, part, call.start_of_part(owner, each), {}, owner.more_parts};
    owner.more_parts = added;
    OwnedPart owned{&owner, added};
    if (!owner.forgotten.has(each))
        read_counters(session_, {&owned, 1});
    return *added;
}

Counter &Counters::counter_of(Owner &owner, PartCounters &part, const UsageLimit &limit)
{
    if (Counter *found = part.counters.find(limit.scope))
        return *found;
    Scope scope = limit.scope;
    scope.part = part.part;
    return part.counters.add(new_counter(owner, scope));
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
    for (Owner &owner : owners_.all)
        owner.for_each_part([&](const PartCounters &part) {
            for (Counter &counter : part.counters)
                if (counter.is_current)
                    pg_org::leave_out_expired(*unclosed_, owner, part, counter);
        });
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
        if (!is_asked(limit))
            return;
        const bool applies = !call.owners.has_own(owner, limit);
        if (each == Each::none) {
            applied[size++] = {&limit, &owner, &owner.everything, &counter_of(owner, owner.everything, limit)};
            return;
        }
        const Texts parts = parts_of(each, call.owners.ids, call.model, call.tags);
        if (applies && !call.knows_part(each))
            applied[size++] = {&limit, &owner};
        for (const Text name : parts) {
            PartCounters &part = part_of(owner, call.owners, each, name);
            // It counts the call in any case: another call, which the limit applies to, may follow.
            Counter &counter = counter_of(owner, part, limit);
            if (applies)
                applied[size++] = {&limit, &owner, &part, &counter};
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
            bring_up_to_date(*owner, part);
            if (call.reserved_at.value < part.since.value)
                return;
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

void warm_up_reading_counters(Session &session, Text nobody)
{
    const OwnerIds ids{nobody, nobody, nobody, nobody, nobody};
    Counters{session, {&ids, 1}, present(), {}};
    warm_up_recounting(session, nobody);
}

} // namespace pg_org
