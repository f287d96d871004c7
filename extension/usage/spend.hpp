// Where spend lands: with the owners that calls are charged to, and in the sums of their days.
#pragma once

#include "counters.hpp"

namespace pg_org {

void write_spend(Session &session, Counters &counters, Calls settled);

// See warm_up.
void warm_up_writing_spend(Session &session);

} // namespace pg_org
