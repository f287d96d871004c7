// Counters: what the calls of an owner that a scope has in it amount to, as org.usage_counter has it. A counter has one
// count for each limit of that scope, and what is held for calls in progress.
#pragma once

#include "rules/limit.hpp"

namespace pg_org {

// The calls of the current period of a limit: what they have cost, how many they are, or how many tokens they took.
// Held calls are requests, with the tokens that are held for them.
struct Count {
    Text name; // of its limit
    Time start;
    Number amount;
    // The last event about it: the period and the value of the limit that was reached.
    Time told_start;
    Number told_value;

    const UsageLimit *limit; // null: the owner has it no more
    Window window;           // the current one
    Number expired;          // the part that is due to reservations which have expired, but are not closed yet
    bool is_stored;
    bool has_grown; // by the calls that are counted now
};

struct Counter {
    Scope scope;
    Time since; // calls that were reserved before are not counted
    Number held_cost;
    int64 held_requests;
    std::span<Count> counts;
    Time counted_at;
    EachSet counted_each; // of the counter of everything: which parts have counters

    bool is_current; // whether the counts are those of the current limits and periods
    Number expired_cost;
    int64 expired_requests;
    Maybe<Tid> tid; // none: not stored yet
    bool is_changed;
    Counter *next; // of the same owner and part

    Number held() const { return held_cost - expired_cost; }
    int64 parallel_requests() const { return held_requests - expired_requests; }
    Count *find(const UsageLimit &limit)
    {
        const auto found = std::ranges::find(counts, limit.name, &Count::name);
        return found == counts.end() ? nullptr : &*found;
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

    Counter *find(const Scope &scope) const
    {
        for (Counter &counter : *this)
            if (counter.scope.model == scope.model && counter.scope.tag == scope.tag)
                return &counter;
        return nullptr;
    }
    Counter &add(const Counter &counter)
    {
        Counter *added = allocate<Counter>(1).data();
        *added = counter;
        added->next = first_;
        return *(first_ = added);
    }

private:
    Counter *first_ = nullptr;
};

// The counters of an owner's calls that have a part in common; those of all calls have each none and no part.
struct PartCounters {
    Each each;
    Text part;
    Time since;
    CounterList counters;
    PartCounters *next;
};

} // namespace pg_org
