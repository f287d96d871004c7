// Teams, as the other rooms need them.
#pragma once

#include "base/session.hpp"
#include "budget.hpp"

namespace pg_org {

// A team by its identifier, which is unique on the platform, and the organization that owns it.
struct TeamName {
    Text organization_id, team_id;
    bool operator==(const TeamName &) const = default;
};

// The team, if it exists and the caller may know of it.
Maybe<TeamName> find_team(Session &session, Text team_id, Maybe<Text> organization_id);
// The caller's role in the team.
Maybe<Text> role_in_team(Session &session, const TeamName &team);

// A role in a team, or an error naming the field.
Text team_role(Text role, const char *name);
// Puts a member of the organization into its team, with a budget of their own if the change sets one. The organization
// and the team are locked.
void put_into_team(Session &session, const TeamName &team, Text user_id, Text role, const BudgetChange &budget);

// See warm_up.
void warm_up_teams(Session &session, Text nobody);

} // namespace pg_org
