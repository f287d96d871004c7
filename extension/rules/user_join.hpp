// Teams and organizations that a user joins when they are made or changed.
#pragma once

#include "budget.hpp"
#include "team.hpp"

namespace pg_org {

// A team that the request puts the user into, and as what.
struct TeamToJoin {
    Text team_id;
    Maybe<Text> role = {}; // none: user, or what they already are
    BudgetChange budget = {};
};

// Teams and organizations that a user joins, locked. Whoever joins a team becomes a member of its organization.
struct ToJoin {
    std::span<const TeamToJoin> teams;
    std::span<const TeamName> names; // of the teams
    Texts organization_ids;
};

// The teams that the argument teams names, and this one.
std::span<const TeamToJoin> read_teams_to_join(const Session &session, Maybe<Text> team_id);

// Locks them, before the user is locked or made.
ToJoin lock_to_join(Session &session, std::span<const TeamToJoin> teams, Texts organization_ids);

// The organization of one of the teams, empty for a team of the platform.
Text organization_to_join(const ToJoin &to_join, Text team_id);

// Lets the user join what they are not in. The name of the user is locked.
void join(Session &session, const ToJoin &to_join, Text user_id);

// Refuses a list of teams without one that the user is in.
void require_all_teams(Session &session, const ToJoin &to_join, Text user_id);

} // namespace pg_org
