// Putting users into teams and organizations.

#include "user_join.hpp"

#include "base/fail.hpp"
#include "lock.hpp"
#include "membership.hpp"
#include "team_member.hpp"
#include "team_rights.hpp"

namespace pg_org {

namespace {

constinit Statement find_other_team{
    "SELECT team_id FROM org.team_member WHERE user_id = $1 AND team_id <> ALL ($2) ORDER BY team_id LIMIT 1"};

TeamToJoin read_team(const Value &value)
{
    if (const auto team_id = value.text())
        return {identifier(*team_id, value.path())};
    if (!value.is_object())
        invalid(value.path(), "must be a team_id, or an object of team_id, user_role and max_budget_in_team");
    TeamToJoin team{required(optional_text(value.member("team_id")), psprintf("%s.team_id", value.path()))};
    if (const Value role = value.member("user_role"); !role.is_null())
        team.role = team_role(role.as_text(), role.path());
    if (const Value amount = value.member("max_budget_in_team"); !amount.is_null())
        team.budget.set("max_budget", Value{amount.raw(), amount.path()}, false);
    return team;
}

TeamName team_to_join(Session &session, Text team_id)
{
    const auto team = find_team(session, team_id, {});
    if (!team)
        not_found("Team not found for team_id=%.*s", FMT_ARG(team_id));
    return *team;
}

} // namespace

std::span<const TeamToJoin> read_teams_to_join(const Session &session, Maybe<Text> team_id)
{
    const auto given = session.json("teams");
    const std::span<const TeamToJoin> teams = given ? read_list(*given, read_team) : std::span<TeamToJoin>{};
    if (!team_id || std::ranges::find(teams, *team_id, &TeamToJoin::team_id) != teams.end())
        return teams;
    const auto all = allocate<TeamToJoin>(teams.size() + 1);
    std::ranges::copy(teams, all.begin());
    all[teams.size()].team_id = *team_id;
    return all;
}

ToJoin lock_to_join(Session &session, std::span<const TeamToJoin> teams, Texts organization_ids)
{
    const auto names = allocate<TeamName>(teams.size());
    const auto platform_teams = allocate<Text>(teams.size());
    size_t platform_count = 0;
    const auto all = allocate<Text>(organization_ids.size() + teams.size());
    auto end = std::ranges::copy(organization_ids, all.begin()).out;
    for (size_t i = 0; i < teams.size(); i++) {
        CHECK_FOR_INTERRUPTS();
        names[i] = team_to_join(session, teams[i].team_id);
        if (names[i].is_of_platform())
            platform_teams[platform_count++] = names[i].team_id;
        else
            *end++ = names[i].organization_id;
    }
    const auto named = all.first(static_cast<size_t>(end - all.begin()));
    std::ranges::sort(named);
    const Texts each = each_once(named);
    for (const Text organization_id : each)
        lock_organization_as_admin(session, organization_id, "/organization/member_add");
    if (platform_count > 0)
        lock_platform_teams(session, each_once(platform_teams.first(platform_count)));
    for (const TeamName &team : names)
        lock_team(session, team.organization_id, team.team_id);
    session.audit_as({}); // the user belongs to no organization
    return {teams, names, each};
}

Text organization_to_join(const ToJoin &to_join, Text team_id)
{
    return std::ranges::find(to_join.names, team_id, &TeamName::team_id)->organization_id;
}

void join(Session &session, const ToJoin &to_join, Text user_id)
{
    for (const Text organization_id : to_join.organization_ids)
        add_member(session, organization_id, user_id);
    for (size_t i = 0; i < to_join.teams.size(); i++) {
        CHECK_FOR_INTERRUPTS();
        const auto &[team_id, role, budget] = to_join.teams[i];
        const TeamName &team = to_join.names[i];
        if (!role && budget.empty() && is_in_team(session, team, user_id))
            continue;
        session.audit_as(team.organization_id);
        const NewTeamMember member{.role = role, .person = {.user_id = user_id, .user_email = {}}};
        put_members(session, team, {&member, 1}, budget);
    }
}

void require_all_teams(Session &session, const ToJoin &to_join, Text user_id)
{
    const auto listed = allocate<Text>(to_join.teams.size());
    std::ranges::transform(to_join.teams, listed.begin(), &TeamToJoin::team_id);
    const Rows other = session.run(find_other_team, user_id, Texts{listed});
    if (!other.empty())
        refused("User with user_id=%.*s is in Team %.*s, which teams does not list. Please remove them from that team "
                "with /team/member_delete",
                FMT_ARG(user_id), FMT_ARG(*other[0].get<Text>(0)));
}

} // namespace pg_org
