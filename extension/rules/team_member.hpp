// Members of teams, as the other rooms need them.
#pragma once

#include "budget.hpp"
#include "people.hpp"
#include "team.hpp"

namespace pg_org {

// A member to be put into a team, as a request names them.
struct NewTeamMember {
    Maybe<Text> role; // none keeps it
    Person person;
};
NewTeamMember read_team_member(const Value &value);

// A role in a team, or an error naming the field.
Text team_role(Text role, const char *name);

// Puts people into the locked team, each with a budget of their own if the change sets one; unknown people become
// users. Returns their ids.
Texts put_members(Session &session, const TeamName &team, std::span<const NewTeamMember> members,
                  const BudgetChange &budget);

// Puts the members into a new team, and makes the caller an admin of it unless they are listed. A proxy admin who is
// not a member of the team's organization does not become one.
void put_first_members(Session &session, const TeamName &team, std::span<const NewTeamMember> members);

} // namespace pg_org
