// Teams, as the other rooms need them.
#pragma once

#include "base/session.hpp"

namespace pg_org {

// A team t in wire order; its members come after the third column.
#define TEAM_COLUMNS                                                                                                   \
    "t.team_id, t.team_alias, t.organization_id, t.metadata, t.tpm_limit, t.rpm_limit, t.max_budget, "                 \
    "t.budget_duration, t.models, t.blocked, t.spend, t.max_parallel_requests, t.budget_reset_at, t.created_at, "      \
    "t.updated_at, NULL::text AS model_id, NULL::text AS litellm_model_table"
inline constexpr int team_id_column = 0, team_organization_column = 2;

// The order in which an organization's teams are shown.
inline auto team_key(const Row &row)
{
    constexpr int created_at = 13;
    return std::tuple{*row.get<Text>(team_organization_column), row.get<Time>(created_at)->value,
                      *row.get<Text>(team_id_column)};
}

// Writes rows of TEAM_COLUMNS, having read the members of all of them at once.
class TeamWriter {
public:
    TeamWriter(Session &session, std::span<const Row> teams);
    void write(const Row &team) const;
    // Without the braces around it.
    void write_fields(const Row &team) const;

private:
    Session &session_;
    std::span<const Row> members_; // in the order of organization and team
};
void write_teams(Session &session, std::span<const Row> teams);

// A team by its identifier, which is unique on the platform, and the organization that owns it.
struct TeamName {
    Text organization_id, team_id;
    bool operator==(const TeamName &) const = default;
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

// See warm_up.
void warm_up_teams(Session &session, Text nobody);

} // namespace pg_org
