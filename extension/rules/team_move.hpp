// Moving a team to another organization, or to the platform.
#pragma once

#include "team.hpp"

namespace pg_org {

// The team, locked together with the organization that it moves to (none: to the platform), if the caller may move it.
TeamName lock_team_to_move(Session &session, Text team_id, Text organization_id);

// Moves the team with its members, who become members of the organization, and its keys. What was spent stays on record
// where it was spent. Returns the team's new name.
TeamName move_team(Session &session, const TeamName &team, Text organization_id);

} // namespace pg_org
