// Refusals of calls that exceed a limit.
#pragma once

#include "counters.hpp"

namespace pg_org {

struct ExceededLimit {
    AppliedLimit applied;
    Number spent, held, asked;
    Maybe<Time> frees_at;
    Maybe<int64> retry_after; // in seconds; none: waiting alone does not help
};

ExceededLimit make_exceeded(const AppliedLimit &applied, Number asked, Time now);
Refusal refusal_of(const ExceededLimit &exceeded);

// Writes the refusal of a request of a batch as an object with error.
void write_refusal(Writer &reply, const Refusal &refusal, const Maybe<ExceededLimit> &exceeded);

} // namespace pg_org
