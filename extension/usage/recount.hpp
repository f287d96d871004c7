// Recounting counters from the ledger: new ones, and those whose period or owner has changed.
#pragma once

#include "limited_owner.hpp"

namespace pg_org {

// Sets the counts of counters of one part to the sums of the ledger. The counts have their windows already. Counters
// include reservations that have expired and are not closed yet, unless `expired_by` is given.
void recount(Session &session, const Owner &owner, const PartCounters &part, std::span<Counter *const> counters,
             Time now, Maybe<Time> expired_by = {});

// Count what the owner's only limit would count by now in the period that the time `at` is in, without what has
// expired: of all calls, or of each part that has calls and no limit of its own in place of this one.
PartCounters recount_everything(Session &session, const Owner &owner, const UsageLimit &limit, Time at, Time now);
std::span<PartCounters> recount_parts(Session &session, const Owner &owner, const UsageLimit &limit, Time at, Time now);

// See warm_up.
void warm_up_recounting(Session &session, Text nobody);

} // namespace pg_org
