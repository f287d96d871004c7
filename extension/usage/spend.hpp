// Adding the costs of settled calls to the spend of their owners and to the sums of the day.
#pragma once

#include "counters.hpp"

namespace pg_org {

void write_spend(Session &session, Counters &counters, Calls settled);

// See warm_up.
void warm_up_writing_spend(Session &session);

} // namespace pg_org
