// A limit that stands in the way of a call: which, of whom, why, and when there will be room.
#pragma once

#include "counters.hpp"
#include "base/fail.hpp"

namespace pg_org {

struct Exceeded {
    UsageLimit limit;
    Number asked;
    Maybe<Time> frees_at;
    Maybe<int64> retry_after; // in seconds; none: waiting alone does not help
};

Exceeded make_exceeded(const UsageLimit &limit, Number asked, Time now);
Refusal refusal_of(const Exceeded &exceeded);

// owner, id, limit, model and value, as members of the open object.
void write_limit_name(Writer &reply, const UsageLimit &limit);
// An amount of a limit: money with a decimal point, counts without.
void write_amount(Writer &reply, const UsageLimit &limit, Number amount);
// Writes the error of a request among many.
void write_refusal(Writer &reply, const Refusal &refusal, const Maybe<Exceeded> &exceeded);

} // namespace pg_org
