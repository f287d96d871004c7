// Events about limits that are reached. Each is emitted once in a period, unless the limit is raised.
#pragma once

#include "counters.hpp"

namespace pg_org {

// Emits events for what the counted calls have reached: budgets, and limits that only tell; to be called before
// counters.write().
void emit_limit_events(Counters &counters);

// Emits an event for a budget that refused a call.
void emit_exceeded(Counters &counters, const AppliedLimit &limit);

} // namespace pg_org
