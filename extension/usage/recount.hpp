// Recounting counters from the ledger: new ones, and those whose period or owner has changed.
#pragma once

#include "limited_owner.hpp"

namespace pg_org {

// Sets the counts of counters of one part to the sums of the ledger. The counts have their windows already.
void recount(Session &session, const Owner &owner, const PartCounters &part, std::span<Counter *const> counters,
             Time now);

// See warm_up.
void warm_up_recounting(Session &session, Text nobody);

} // namespace pg_org
