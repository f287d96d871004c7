// Teams, as the other rooms need them.
#pragma once

#include "base/session.hpp"

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

// See warm_up.
void warm_up_teams(Session &session, Text nobody);
void warm_up_team_list(Session &session, Text nobody);

} // namespace pg_org
