// Teams, as the other rooms need them.
#pragma once

#include "session.hpp"

namespace pg_org {

// A team t in wire order.
#define TEAM_COLUMNS                                                                                                   \
    "t.team_id, t.team_alias, t.organization_id, "                                                                     \
    "ARRAY(SELECT tm.user_id::text FROM org.team_member tm WHERE (tm.organization_id, tm.team_id, tm.role) = "         \
    "      (t.organization_id, t.team_id, 'admin') ORDER BY tm.created_at, tm.user_id) AS admins, "                    \
    "ARRAY(SELECT tm.user_id::text FROM org.team_member tm WHERE (tm.organization_id, tm.team_id) = "                  \
    "      (t.organization_id, t.team_id) ORDER BY tm.created_at, tm.user_id) AS members, "                            \
    "(SELECT coalesce(json_agg(json_build_object('user_id', tm.user_id, 'user_email', u.user_email, 'role', tm.role) " \
    "                 ORDER BY tm.created_at, tm.user_id), '[]')"                                                      \
    "   FROM org.team_member tm JOIN org.\"user\" u USING (user_id)"                                                   \
    "  WHERE (tm.organization_id, tm.team_id) = (t.organization_id, t.team_id)) AS members_with_roles, "               \
    "t.metadata, t.tpm_limit, t.rpm_limit, t.max_budget, t.budget_duration, t.models, t.blocked, t.spend, "            \
    "t.max_parallel_requests, t.budget_reset_at, t.created_at, t.updated_at, "                                         \
    "NULL::text AS model_id, NULL::text AS litellm_model_table"
inline constexpr int team_organization_column = 2;

// A team that a request names by its id and, if several organizations have one of that id, by organization.
struct TeamName {
    Text organization_id, team_id;
};

// Writes a team with its keys and memberships.
void write_team_info(Session &session, const TeamName &team);

// Writes the teams of a user inside the organizations given (none: all).
void write_teams_of_user(Session &session, Text user_id, Maybe<Texts> organization_ids);

// The team, if the caller may know of it; none otherwise.
Maybe<TeamName> find_team(Session &session, Text team_id, Maybe<Text> organization_id);
// Locks a team against being deleted, or says it is not found.
void lock_team(Session &session, const TeamName &team);
// The caller's role in the team.
Maybe<Text> role_in_team(Session &session, const TeamName &team);

} // namespace pg_org
