// Teams, as the other rooms need them.
#pragma once

#include "base/session.hpp"

namespace pg_org {

// A team by its identifier, which is unique on the platform, and the organization that owns it: empty for a team of the
// platform.
struct TeamName {
    Text organization_id, team_id;
    bool is_of_platform() const { return organization_id.empty(); }
};

// The team, if it exists and the caller may know of it.
Maybe<TeamName> find_team(Session &session, Text team_id, Maybe<Text> organization_id);

// See warm_up.
void warm_up_teams(Session &session, Text nobody);
void warm_up_team_list(Session &session, Text nobody);

} // namespace pg_org
