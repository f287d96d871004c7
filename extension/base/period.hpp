// Budget periods as replies show them: when the current one ends, and what was spent in it.
//
// The macros make columns of anonymous rows, ROW(…), which hold what the period depends on. Writer::column() replaces
// them by their values.
#pragma once

#include "statement.hpp"

namespace pg_org {

class Writer;

// clang-format off

// The end of the current period of a budget, as a column budget_reset_at. The arguments are aliases of tables: the
// owner was made at its created_at, and the budget has budget_duration and budget_reset_at.
#define PERIOD_END(owner, budget) PERIOD_END_OF(owner, budget) " AS budget_reset_at"
#define PERIOD_END_OF(owner, budget) "ROW(" budget ".budget_duration, " budget ".budget_reset_at, " owner ".created_at)"

// What an owner spent in the current period of its budget, as a column period_spend. `ids` are expressions for the
// columns organization_id, team_id, user_id, key_id and end_user of the owner in org.usage_counter.
#define PERIOD_SPEND(owner, budget, ids) \
    PERIOD_SPEND_OF(owner, budget ".budget_duration", budget ".budget_reset_at", owner ".spend", owner ".spend_reset_at", ids)
// The same with expressions. Nothing that was spent until the time `reset` counts.
#define PERIOD_SPEND_OF(owner, duration, reset_at, spend, reset, ids) \
    "ROW(" duration ", " reset_at ", " owner ".created_at, " spend ", " reset ", ARRAY[" ids "]::text[]," \
    "    (SELECT ROW(a.since, a.starts[place], a.amounts[place], a.counted_at)" \
    "       FROM org.usage_counter a," \
    "            array_position(a.names, 'cost' || coalesce(' per ' || " duration ", '') || ' of the budget') AS place" \
    "      WHERE (" duration " IS NOT NULL OR " reset " IS NOT NULL)" \
    "        AND (a.organization_id, a.team_id, a.user_id, a.key_id, a.end_user) = (" ids ")" \
    "        AND (a.each, a.part, a.model, a.tag) = ('', '', '', '')" \
    "        AND place IS NOT NULL)) AS period_spend"

// clang-format on

// Whether a row is the value of such a column.
bool is_period(const Row &row);
void write_period(Writer &reply, const Row &row);

} // namespace pg_org
