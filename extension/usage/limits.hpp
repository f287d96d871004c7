// The limits of calls, each with its counter.
#pragma once

#include "counters.hpp"

namespace pg_org {

struct UsageLimit {
    enum Kind { max_budget, model_max_budget, max_parallel_requests, rpm_limit, tpm_limit } kind;
    const Owner *owner;
    Counter *counter;
    Number value, spent, held;
    Maybe<Time> resets_at;

    bool is_budget() const { return kind <= model_max_budget; }
    Text name() const; // as in replies
    Number remaining() const { return value - spent - held; }
};
using UsageLimits = std::span<const UsageLimit>;

// The limits of calls of a model, or of every model if none is given: budgets first, each from the outermost owner in.
UsageLimits limits_of(Counters &counters, const CallOwners &owners, Maybe<Text> model);

// Writes owner, id, limit, model and value as members of the open object.
void write_limit(Writer &reply, const UsageLimit &limit);
// Writes money with a decimal point, and counts without.
void write_amount(Writer &reply, const UsageLimit &limit, Number amount);

} // namespace pg_org
