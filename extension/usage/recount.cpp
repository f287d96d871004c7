// Summing the ledger.

#include "recount.hpp"

#include "base/clock.hpp"
#include "ranges.hpp"

namespace pg_org {

namespace {

constinit Statement recount_counter{
#include "queries/recount_counter.inc"
    , Planned::each_time};

constinit Statement recount_models{
#include "queries/recount_models.inc"
    , Planned::each_time};

// The sums of one model, and of the calls that are held, or were settled in the same periods.
struct ModelSum {
    Text model;
    int64 periods; // how many of the periods had begun when the calls were settled; less than 0: they are held
    Number cost;
    int64 requests, minute_requests, minute_tokens;
    Time charged_at;
};

ModelSum read_model_sum(const Row &row)
{
    return {*row.get<Text>(0),  *row.get<int64>(1), *row.get<Number>(2), *row.get<int64>(3),
            *row.get<int64>(4), *row.get<int64>(5), *row.get<Time>(6)};
}

void reset(const Owner &owner, Counter &counter, Time minute)
{
    counter.owner_since = owner.created_at;
    counter.window_start = counter.window.start;
    counter.window_spend = counter.held_cost = zero();
    counter.held_requests = counter.minute_requests = counter.minute_tokens = 0;
    counter.minute = minute;
    counter.charged_at = {DT_NOBEGIN};
    counter.changed = true;
}

// The starts of all periods are sorted.
void add(const ModelSum &sum, std::span<const int64> starts, Counter &counter)
{
    if (sum.periods < 0) {
        counter.held_cost = counter.held_cost + sum.cost;
        counter.held_requests += sum.requests;
    } else if (std::ranges::lower_bound(starts, counter.window.start.value) - starts.begin() < sum.periods) {
        counter.window_spend = counter.window_spend + sum.cost;
    }
    counter.minute_requests += sum.minute_requests;
    counter.minute_tokens += sum.minute_tokens;
    counter.charged_at = {std::max(counter.charged_at.value, sum.charged_at.value)};
}

void recount_by_model(Session &session, const Owner &owner, std::span<Counter *> counters, Time now)
{
    const auto all_starts = allocate<int64>(counters.size());
    std::ranges::transform(counters, all_starts.begin(), [](Counter *counter) { return counter->window.start.value; });
    const std::span<const int64> starts = sort_unique(all_starts);
    for (Counter *counter : counters)
        reset(owner, *counter, minute_of(now));
    std::ranges::sort(counters, {}, &Counter::model);
    const auto add_to = [&](Text model, const ModelSum &sum) {
        const auto found = std::ranges::lower_bound(counters, model, {}, &Counter::model);
        if (found != counters.end() && (*found)->model == model)
            add(sum, starts, **found);
    };
    const OwnerIds &ids = owner.ids;
    for (const Row row :
         session.run(recount_models, ids.organization_id, ids.team_id, ids.user_id, ids.key_id, owner.created_at,
                     map<Time>(starts, [](int64 start) { return Time{start}; }), minute_of(now))) {
        const ModelSum sum = read_model_sum(row);
        const Text bare = without_provider(sum.model);
        add_to(sum.model, sum);
        if (bare != sum.model)
            add_to(bare, sum);
    }
}

} // namespace

void recount(Session &session, const Owner &owner, Counter &counter, Time now)
{
    // The spending of all time is known without reading the ledger, which may be long.
    const bool is_of_all_time = counter.model.empty() && counter.window.start.value == DT_NOBEGIN;
    const OwnerIds &ids = owner.ids;
    const Row row =
        session.run(recount_counter, ids.organization_id, ids.team_id, ids.user_id, ids.key_id, counter.model,
                    owner.created_at, is_of_all_time ? now : counter.window.start, minute_of(now))[0];
    reset(owner, counter, minute_of(now));
    counter.window_spend = is_of_all_time ? owner.spend : *row.get<Number>(0);
    counter.held_cost = *row.get<Number>(1);
    counter.held_requests = *row.get<int64>(2);
    counter.minute_requests = *row.get<int64>(3);
    counter.minute_tokens = *row.get<int64>(4);
    counter.charged_at = is_of_all_time ? now : *row.get<Time>(5);
}

void recount(Session &session, const Owner &owner, std::span<Counter *> counters, Time now)
{
    const auto is_of_model = [](const Counter *counter) { return !counter->model.empty(); };
    const auto of_all_models = std::ranges::partition(counters, is_of_model);
    for (Counter *counter : of_all_models)
        recount(session, owner, *counter, now);
    const auto of_models = counters.first(counters.size() - of_all_models.size());
    if (!of_models.empty())
        recount_by_model(session, owner, of_models, now);
}

void warm_up_recounting(Session &session, Text nobody)
{
    const Time now = present();
    session.run(recount_counter, Text{}, Text{}, nobody, Text{}, Text{}, now, now, now);
    session.run(recount_counter, nobody, Text{}, Text{}, Text{}, Text{}, now, now, now);
}

} // namespace pg_org
