// Events about budgets. Each is emitted once in a period, unless the budget is changed.
#pragma once

#include "counters.hpp"

namespace pg_org {

// Emits events for the owners whose spending has reached a budget now; to be called before counters.write().
void emit_budget_events(Counters &counters);

// Emits an event for a budget that refused a call.
void emit_budget_exceeded(Counters &counters, const Owner &owner, Counter &counter, Number budget);

} // namespace pg_org
