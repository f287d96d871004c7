// Recounting counters from the ledger: new ones, and those whose period or owner has changed.
#pragma once

#include "owners.hpp"

namespace pg_org {

void recount(Session &session, const Owner &owner, Counter &counter, Time now);
// The same for several: one statement recounts all that are of a model.
void recount(Session &session, const Owner &owner, std::span<Counter *> counters, Time now);

// See warm_up.
void warm_up_recounting(Session &session, Text nobody);

} // namespace pg_org
