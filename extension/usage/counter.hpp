// A counter of an owner, as org.usage_account has it: the money spent in the current budget period, the money and
// requests held by reservations, and the requests and tokens of the current minute.
#pragma once

#include "base/duration.hpp"
#include "base/number.hpp"

namespace pg_org {

// openai/gpt-4o becomes gpt-4o.
inline Text without_provider(Text model) { return tail(model, model.find('/') + 1); }

inline Time minute_of(Time time)
{
    int64 into = time.value % USECS_PER_MINUTE;
    if (into < 0)
        into += USECS_PER_MINUTE;
    return {time.value - into};
}

struct Counter {
    Text model; // as in model_max_budget, so perhaps without provider; empty: all models
    Time owner_since;
    Time window_start;
    Number window_spend;
    Number held_cost;
    int64 held_requests;
    Time minute;
    int64 minute_requests, minute_tokens;
    Time charged_at;
    // The last events of its budgets: the period and the amount they were about.
    Time warned_window, exceeded_window;
    Number warned_budget, exceeded_budget;

    Window window; // the current period
    // The part of the above that is due to reservations which have expired, but are not closed yet.
    Number expired_cost;
    int64 expired_requests, expired_minute_requests, expired_minute_tokens;
    Maybe<Tid> tid; // none: not stored yet
    bool changed;
    Counter *next; // of the same owner

    Number held() const { return held_cost - expired_cost; }
    int64 parallel_requests() const { return held_requests - expired_requests; }
    int64 requests() const { return minute_requests - expired_minute_requests; }
    int64 tokens() const { return minute_tokens - expired_minute_tokens; }
    bool counts(Text called_model) const
    {
        return model.empty() || model == called_model || model == without_provider(called_model);
    }
};

// A linked list, since an owner gets new counters while others are in use.
class CounterList {
public:
    struct Iterator {
        using value_type = Counter;
        using difference_type = std::ptrdiff_t;

        Counter *counter = nullptr;
        Counter &operator*() const { return *counter; }
        Iterator &operator++()
        {
            counter = counter->next;
            return *this;
        }
        Iterator operator++(int) { return {std::exchange(counter, counter->next)}; }
        bool operator==(const Iterator &) const = default;
    };
    Iterator begin() const { return {first_}; }
    Iterator end() const { return {nullptr}; }

    size_t size() const
    {
        size_t size = 0;
        for (const Counter *counter = first_; counter != nullptr; counter = counter->next)
            size++;
        return size;
    }
    Counter &add(const Counter &counter)
    {
        Counter *added = allocate<Counter>(1).data();
        *added = counter;
        added->next = first_;
        return *(first_ = added);
    }
    // Adds one that is not stored yet.
    Counter &add(Text model, const Window &window)
    {
        return add({.model = model,
                    .warned_window = {DT_NOEND},
                    .exceeded_window = {DT_NOEND},
                    .warned_budget = zero(),
                    .exceeded_budget = zero(),
                    .window = window,
                    .expired_cost = zero()});
    }

private:
    Counter *first_ = nullptr;
};

} // namespace pg_org
