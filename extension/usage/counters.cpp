// Reading, counting and writing counters.

#include "counters.hpp"

#include "base/clock.hpp"
#include "ranges.hpp"
#include "recount.hpp"

namespace pg_org {

namespace {

// OFFSET 0 makes the planner look up the counters of one owner after the other.
constinit Statement read_statement{R"(
    SELECT h.place, a.model, a.owner_since, a.window_start, a.window_spend, a.held_cost, a.held_requests, a.minute,
           a.minute_requests, a.minute_tokens, a.charged_at, a.warned_window, a.exceeded_window,
           a.warned_budget, a.exceeded_budget, a.tid
      FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS h (organization_id, team_id, user_id, key_id, place)
     CROSS JOIN LATERAL (SELECT *, ctid AS tid FROM org.usage_account a
                          WHERE (a.organization_id, a.team_id, a.user_id, a.key_id)
                              = (h.organization_id, h.team_id, h.user_id, h.key_id) OFFSET 0) AS a)"};

constinit Statement update_statement{R"(
    UPDATE org.usage_account
       SET owner_since = c.owner_since, window_start = c.window_start, window_spend = c.window_spend,
           held_cost = c.held_cost, held_requests = c.held_requests, minute = c.minute,
           minute_requests = c.minute_requests, minute_tokens = c.minute_tokens, charged_at = c.charged_at,
           warned_window = c.warned_window, exceeded_window = c.exceeded_window,
           warned_budget = c.warned_budget, exceeded_budget = c.exceeded_budget
      FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        AS c (owner_since, window_start, window_spend, held_cost, held_requests, minute, minute_requests,
              minute_tokens, charged_at, warned_window, exceeded_window, warned_budget, exceeded_budget, tid)
     WHERE ctid = c.tid)"};

constinit Statement insert_statement{R"(
    INSERT INTO org.usage_account (owner_since, window_start, window_spend, held_cost, held_requests, minute,
           minute_requests, minute_tokens, charged_at, warned_window, exceeded_window, warned_budget,
           exceeded_budget, organization_id, team_id, user_id, key_id, model)
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18))"};

Counter read_counter(const Row &row)
{
    return {
        .model = *row.get<Text>(1),
        .owner_since = *row.get<Time>(2),
        .window_start = *row.get<Time>(3),
        .window_spend = *row.get<Number>(4),
        .held_cost = *row.get<Number>(5),
        .held_requests = *row.get<int64>(6),
        .minute = *row.get<Time>(7),
        .minute_requests = *row.get<int64>(8),
        .minute_tokens = *row.get<int64>(9),
        .charged_at = *row.get<Time>(10),
        .warned_window = *row.get<Time>(11),
        .exceeded_window = *row.get<Time>(12),
        .warned_budget = *row.get<Number>(13),
        .exceeded_budget = *row.get<Number>(14),
        .expired_cost = zero(),
        .tid = row.get<Tid>(15),
    };
}

// Of an owner with a budget period, period_spend is shown even if nothing is limited.
bool has_counter_of_all_models(const OwnerLimits &limits)
{
    return limits.max_budget || limits.soft_budget || limits.tpm_limit || limits.rpm_limit ||
           limits.max_parallel_requests || limits.budget_duration;
}

// The period of the model's budget, or of the owner's if the model has none.
Window window_of(const Owner &owner, Text model, Time now)
{
    if (model.empty() || !owner.limits.model_max_budget)
        return owner.window;
    const Value entry = to_value(*owner.limits.model_max_budget, "").member(c_string(model));
    return entry.is_null() ? owner.window : model_budget(owner, model, entry, now).window;
}

// The requests and tokens that a call adds to the counters of its minute.
int64 requests_in(State state) { return state == State::held || state == State::settled; }
int64 tokens_in(State state, const Call &call)
{
    return state == State::held ? call.max_tokens : state == State::settled ? call.tokens() : 0;
}

struct OwnedCounter {
    const Owner *owner;
    const Counter *counter;
};
using OwnedCounters = std::span<const OwnedCounter>;

// Runs a statement with the counts of the counters, and more.
template <typename... More>
void write_counts(Session &session, Statement &statement, OwnedCounters counters, const More &...more)
{
    const auto column = [&]<typename T>(T Counter::*member) {
        return map<T>(counters, [&](const OwnedCounter &owned) { return owned.counter->*member; });
    };
    session.run(statement, column(&Counter::owner_since), column(&Counter::window_start),
                column(&Counter::window_spend), column(&Counter::held_cost), column(&Counter::held_requests),
                column(&Counter::minute), column(&Counter::minute_requests), column(&Counter::minute_tokens),
                column(&Counter::charged_at), column(&Counter::warned_window), column(&Counter::exceeded_window),
                column(&Counter::warned_budget), column(&Counter::exceeded_budget), more...);
}

void update_counters(Session &session, OwnedCounters stored)
{
    write_counts(session, update_statement, stored,
                 map<Tid>(stored, [](const OwnedCounter &owned) { return *owned.counter->tid; }));
}

void insert_counters(Session &session, OwnedCounters added)
{
    const auto id = [&](auto member) {
        return map<Text>(added, [&](const OwnedCounter &owned) { return owned.owner->ids.*member; });
    };
    write_counts(session, insert_statement, added, id(&OwnerIds::organization_id), id(&OwnerIds::team_id),
                 id(&OwnerIds::user_id), id(&OwnerIds::key_id),
                 map<Text>(added, [](const OwnedCounter &owned) { return owned.counter->model; }));
}

} // namespace

Counters::Counters(Session &session, std::span<const OwnerIds> calls, Time now, const Maybe<LockedOwners> &locked)
    : session_(session), now_(now), owners_(read_owners(session, calls, now, locked))
{
    read_counters();
    for (Owner &owner : owners_.all) {
        start_periods(owner);
        if (has_counter_of_all_models(owner.limits))
            counter_of(owner, {}, owner.window);
    }
}

void Counters::read_counters()
{
    const auto id = [&](auto member) {
        return map<Text>(owners_.all, [&](const Owner &owner) { return owner.ids.*member; });
    };
    for (const Row row : session_.run(read_statement, id(&OwnerIds::organization_id), id(&OwnerIds::team_id),
                                      id(&OwnerIds::user_id), id(&OwnerIds::key_id))) {
        Owner &owner = owners_.all[static_cast<size_t>(*row.get<int64>(0)) - 1];
        Counter counter = read_counter(row);
        counter.window = window_of(owner, counter.model, now_);
        owner.counters.add(counter);
    }
}

// Brings the owner's counters to the current periods and minute.
void Counters::start_periods(Owner &owner)
{
    const auto outdated = allocate<Counter *>(owner.counters.size());
    size_t count = 0;
    for (Counter &counter : owner.counters)
        if (!start_period(owner, counter))
            outdated[count++] = &counter;
    recount(session_, owner, outdated.first(count), now_);
}

// Returns false if the counter must be recounted from the ledger.
bool Counters::start_period(const Owner &owner, Counter &counter) const
{
    if (counter.minute.value < minute().value) {
        counter.minute = minute();
        counter.minute_requests = counter.minute_tokens = 0;
        counter.changed = true;
    }
    if (counter.owner_since.value != owner.created_at.value)
        return false;
    if (counter.window_start.value == counter.window.start.value)
        return true;
    // Spending before the counted period is in no counter, and spending since the new period began may be mixed with
    // earlier spending.
    if (counter.window.start.value < counter.window_start.value ||
        counter.charged_at.value >= counter.window.start.value)
        return false;
    counter.window_start = counter.window.start;
    counter.window_spend = zero();
    counter.changed = true;
    return true;
}

Owner *Counters::owner_of(const Call &call, OwnerKind kind) const
{
    Owner *owner = owners_.of(call.owners).find(kind);
    return owner != nullptr && call.reserved_at.value >= owner->created_at.value ? owner : nullptr;
}

void Counters::leave_out_expired()
{
    if (std::exchange(is_without_expired_, true))
        return;
    unclosed_ = sum_unclosed(session_, owners_, now_);
    if (unclosed_)
        for (const Owner &owner : owners_.all)
            for (Counter &counter : owner.counters)
                pg_org::leave_out_expired(*unclosed_, owner, counter);
}

Counter &Counters::counter_of(Owner &owner, Text model, const Window &window)
{
    for (Counter &counter : owner.counters)
        if (counter.model == model)
            return counter;
    Counter &counter = owner.counters.add(model, window);
    recount(session_, owner, counter, now_);
    if (unclosed_)
        pg_org::leave_out_expired(*unclosed_, owner, counter);
    return counter;
}

std::span<Counter *> Counters::counters_of(Owner &owner, std::span<const ModelBudget> budgets)
{
    const auto by_model = allocate<Counter *>(owner.counters.size());
    std::ranges::transform(owner.counters, by_model.begin(), [](Counter &counter) { return &counter; });
    std::ranges::sort(by_model, {}, &Counter::model);

    const auto counters = allocate<Counter *>(budgets.size()), added = allocate<Counter *>(budgets.size());
    size_t count = 0;
    for (size_t i = 0; i < budgets.size(); i++) {
        const auto found = std::ranges::lower_bound(by_model, budgets[i].model, {}, &Counter::model);
        if (found != by_model.end() && (*found)->model == budgets[i].model)
            counters[i] = *found;
        else
            counters[i] = added[count++] = &owner.counters.add(budgets[i].model, budgets[i].window);
    }
    recount(session_, owner, added.first(count), now_);
    if (unclosed_)
        for (Counter *counter : added.first(count))
            pg_org::leave_out_expired(*unclosed_, owner, *counter);
    return counters;
}

void Counters::count(const Call &call, State from, State to)
{
    const bool is_charged = to == State::settled;
    for (const OwnerKind kind : owner_kinds) {
        Owner *owner = owner_of(call, kind);
        if (owner == nullptr)
            continue;
        if (is_charged)
            owner->newly_spent = owner->newly_spent ? *owner->newly_spent + call.cost : call.cost;
        for (Counter &counter : owner->counters) {
            if (!counter.counts(call.model))
                continue;
            counter.changed = true;
            if (from == State::held) {
                counter.held_cost = counter.held_cost - call.max_cost;
                counter.held_requests--;
            } else if (to == State::held) {
                counter.held_cost = counter.held_cost + call.max_cost;
                counter.held_requests++;
            }
            if (minute_of(call.reserved_at).value == counter.minute.value) {
                counter.minute_requests += requests_in(to) - requests_in(from);
                counter.minute_tokens += tokens_in(to, call) - tokens_in(from, call);
            }
            if (is_charged) {
                counter.window_spend = counter.window_spend + call.cost;
                counter.charged_at = now_;
            }
        }
    }
}

void Counters::write()
{
    size_t size = 0;
    for (const Owner &owner : owners_.all)
        size += owner.counters.size();
    const auto stored = allocate<OwnedCounter>(size), added = allocate<OwnedCounter>(size);
    size_t stored_count = 0, added_count = 0;
    for (const Owner &owner : owners_.all)
        for (const Counter &counter : owner.counters)
            if (counter.changed)
                (counter.tid ? stored[stored_count++] : added[added_count++]) = {&owner, &counter};
    if (stored_count > 0)
        update_counters(session_, stored.first(stored_count));
    if (added_count > 0)
        insert_counters(session_, added.first(added_count));
}

void warm_up_reading_counters(Session &session, Text nobody)
{
    const OwnerIds ids{nobody, nobody, nobody, nobody};
    Counters{session, {&ids, 1}, present(), {}};
    warm_up_recounting(session, nobody);
}

void warm_up_writing_counters(Session &session)
{
    update_counters(session, {});
    insert_counters(session, {});
}

} // namespace pg_org
