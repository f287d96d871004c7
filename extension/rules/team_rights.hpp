// Who may do what with teams and their keys.
#pragma once

#include "team.hpp"

namespace pg_org {

// The callers that may change a team: the admins of its organization (proxy admins of a team of the platform), or the
// team's own admins, too. A team of the platform may also be removed by its own admins.
enum class TeamRight { owner, remove, team_admin };

// The caller's role in the team, none if they are not in it. A key that is confined to an organization has no role in
// the teams of others.
Maybe<Text> role_in_team(Session &session, const TeamName &team);

bool is_in_team(Session &session, const TeamName &team, Text user_id);

bool has_right(Session &session, const TeamName &team, TeamRight right);

// The team, locked, if the caller has the right. An unknown team is refused like one of others.
TeamName lock_team_to_change(Session &session, Text team_id, Maybe<Text> organization_id, TeamRight right,
                             const char *route);
// The same without a lock.
TeamName team_to_change(Session &session, Text team_id, Maybe<Text> organization_id, TeamRight right,
                        const char *route);

// The routes that team_member_permissions may list.
std::span<const Text> known_team_permissions();
// What the team permits its members to do with its keys.
Texts permissions_of(Session &session, const TeamName &team);
// Permissions, or an error naming the field.
Maybe<Texts> team_permissions(Maybe<Texts> permissions, const char *name);

// Whether the caller may do with the team's keys what the route does: its admins may, and its other members if the team
// permits it.
bool may_with_keys_of(Session &session, const TeamName &team, Text route);
// Refuses callers who may not. An unknown team is refused like one of others.
void require_right_with_keys_of(Session &session, Text team_id, const char *route);
// Refuses a member of the team whom it does not permit that, by name of the missing permission; others do nothing here.
void require_permission_of_team(Session &session, const TeamName &team, const char *route);

// See warm_up.
void warm_up_team_rights(Session &session, Text nobody);

} // namespace pg_org
