// Budget periods as replies show them: when the current one ends, and what was spent in it.
#pragma once

#include "base/writer.hpp"

namespace pg_org {

// The end of the current period of a budget, as a column budget_reset_at. The arguments are aliases of tables: the
// owner was made at its created_at, and the budget has budget_duration and budget_reset_at.
#define PERIOD_END(owner, budget) PERIOD_END_OF(owner, budget) " AS budget_reset_at"
#define PERIOD_END_OF(owner, budget) "ROW(" budget ".budget_duration, " budget ".budget_reset_at, " owner ".created_at)"

// What an owner spent in the current period of its budget, as a column period_spend. The last four arguments are
// expressions for the owner's identifiers in org.usage_account.
#define PERIOD_SPEND(owner, budget, organization_id, team_id, user_id, key_id)                                         \
    PERIOD_SPEND_OF(owner, budget ".budget_duration", budget ".budget_reset_at", owner ".spend", organization_id,      \
                    team_id, user_id, key_id)
#define PERIOD_SPEND_OF(owner, duration, reset_at, spend, organization_id, team_id, user_id, key_id)                   \
    "ROW(" duration ", " reset_at ", " owner ".created_at, " spend ", " organization_id "::text, " team_id             \
    "::text, " user_id "::text, " key_id "::text, "                                                                    \
    "(SELECT ROW(a.owner_since, a.window_start, a.window_spend, a.charged_at) FROM org.usage_account a"                \
    "  WHERE " duration " IS NOT NULL"                                                                                 \
    "    AND a.organization_id = " organization_id " AND a.team_id = " team_id " AND a.user_id = " user_id             \
    "    AND a.key_id = " key_id " AND a.model = '')) AS period_spend"

// Writes the value of such a column.
void write_period(Writer &reply, Datum record);

} // namespace pg_org
