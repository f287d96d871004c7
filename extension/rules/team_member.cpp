// Members of teams: who is in a team, as what, with which budget.

#include "team_member.hpp"

#include "base/fail.hpp"
#include "budget.hpp"
#include "lock.hpp"
#include "membership.hpp"
#include "quota.hpp"
#include "show.hpp"
#include "team_rights.hpp"

using namespace pg_org;

namespace {

constinit Statement find_member_budgets{R"(
    SELECT budget_id
      FROM org.team_member
     WHERE organization_id = $1
       AND team_id = $2
       AND user_id = ANY ($3)
       AND budget_id IS NOT NULL)"};

constinit Statement find_budgets_to_leave{R"(
    SELECT budget_id
      FROM org.team_member
     WHERE organization_id = $1
       AND team_id = $2
       AND user_id = $3
       AND budget_id IS NOT NULL
     UNION
    SELECT budget_id
      FROM org.api_key
     WHERE team_id = $2
       AND user_id = $3
       AND budget_id IS NOT NULL)"};

constinit Statement upsert_team_member{R"(
    INSERT INTO org.team_member AS m (organization_id, team_id, user_id, role, created_by, updated_by, created_at,
                                      updated_at)
    VALUES ($1, $2, $3, coalesce($4, 'user'), $5, $5, $6, $6)
        ON CONFLICT (organization_id, team_id, user_id) DO UPDATE
       SET role = coalesce($4, m.role), updated_at = now(), updated_by = $5
    RETURNING m.budget_id)"};

constinit Statement set_member_budget{
    "UPDATE org.team_member SET budget_id = $4 WHERE organization_id = $1 AND team_id = $2 AND user_id = $3"};

constinit Statement touch_team{R"(
    UPDATE org.team
       SET updated_at = greatest(now(), created_at), updated_by = $3
     WHERE organization_id = $1
       AND team_id = $2)"};

constinit Statement delete_keys_of_member{"DELETE FROM org.api_key WHERE team_id = $1 AND user_id = $2"};

constinit Statement delete_team_member{
    "DELETE FROM org.team_member WHERE organization_id = $1 AND team_id = $2 AND user_id = $3"};

constinit Statement find_open_team{
    "SELECT organization_id FROM org.team WHERE team_id = $1 AND open AND ($2 IS NULL OR organization_id = $2)"};

// Everybody who may be in the team, but is not: all users, or all members of its organization.
constinit Statement find_others{R"(
    SELECT u.user_id
      FROM org."user" u
     WHERE ($1 = '' OR EXISTS (SELECT
                                 FROM org.membership m
                                WHERE m.organization_id = $1
                                  AND m.user_id = u.user_id))
       AND NOT EXISTS (SELECT
                         FROM org.team_member tm
                        WHERE tm.organization_id = $1
                          AND tm.team_id = $2
                          AND tm.user_id = u.user_id)
     ORDER BY u.user_id)",
                                Planned::each_time};

constexpr const char *max_budget_in_team = "max_budget_in_team";

// The budget that each of the members gets, or its change.
BudgetChange read_team_member_budget(Session &session)
{
    BudgetChange budget = read_member_budget(session, max_budget_in_team);
    budget.tpm_limit = change_to(session.argument("tpm_limit", limit));
    budget.rpm_limit = change_to(session.argument("rpm_limit", limit));
    budget.budget_duration = change_to(session.argument("budget_duration", checked_duration));
    return budget;
}

// The member's id: a person who is unknown becomes a user, and a member of the team's organization if the caller may
// add members there.
Text find_or_add_person(Session &session, const TeamName &team, const Person &person)
{
    if (team.is_of_platform())
        return find_or_make_user(session, person);
    if (const auto member = known_member(session, team.organization_id, person))
        return *member;
    if (!administers(session, team.organization_id))
        forbidden("User not allowed to add people to Team %.*s who are not members of its Organization %.*s. "
                  "Your role is %s",
                  FMT_ARG(team.team_id), FMT_ARG(team.organization_id), role_name(session.caller.role));
    const Text user_id = find_or_make_user(session, person);
    add_member(session, team.organization_id, user_id);
    return user_id;
}

// Puts users into the team, who may be in it, each with a budget of their own if one is given.
void put_users(Session &session, const TeamName &team, Texts user_ids, std::span<const Maybe<Text>> roles,
               const BudgetChange &budget)
{
    if (!budget.empty())
        lock_budgets(session, session.run(find_member_budgets, team.organization_id, team.team_id, user_ids).texts());
    for (size_t i = 0; i < user_ids.size(); i++) {
        CHECK_FOR_INTERRUPTS();
        const Rows rows = session.run(upsert_team_member, team.organization_id, team.team_id, user_ids[i], roles[i],
                                      session.caller.user_id, session.made_at());
        if (!budget.empty())
            session.run(set_member_budget, team.organization_id, team.team_id, user_ids[i],
                        change_budget(session, rows[0].get<Text>(0), budget));
    }
    require_room_in_team(session, team.organization_id, team.team_id);
    session.run(touch_team, team.organization_id, team.team_id, session.caller.user_id);
}

// The id of the team's member whom the request names.
Text find_team_member(Session &session, const TeamName &team, const Person &person)
{
    const auto user_id = person.user_id ? person.user_id : user_of_email(session, *person.user_email);
    if (!user_id || !is_in_team(session, team, *user_id))
        not_found("Member not found in team for %s=%.*s", person.user_id ? "user_id" : "user_email",
                  FMT_ARG(person.user_id ? *person.user_id : *person.user_email));
    return *user_id;
}

// Whether the request only adds the caller, as a plain member.
bool is_only_caller(const Caller &caller, std::span<const NewTeamMember> members)
{
    return members.size() == 1 && members[0].role == "user" && caller.user_id && !caller.delegated &&
           caller.role == Role::internal_user && members[0].person.user_id == caller.user_id;
}

// The open team, locked, if the caller may join it.
Maybe<TeamName> lock_open_team(Session &session, Text team_id, Maybe<Text> organization_id)
{
    const Rows open = session.run(find_open_team, team_id, organization_id);
    if (open.empty())
        return {};
    const TeamName team{*open[0].get<Text>(0), team_id};
    const Caller &caller = session.caller;
    if (team.is_of_platform() ? caller.organization_id.has_value()
                              : role_in(session, team.organization_id) != "internal_user")
        return {};
    if (!team.is_of_platform())
        lock_organization(session, team.organization_id);
    lock_team_to_write(session, team.organization_id, team_id);
    return session.run(find_open_team, team_id, Maybe<Text>{team.organization_id}).empty() ? Maybe<TeamName>{}
                                                                                           : Maybe<TeamName>{team};
}

TeamName lock_team_to_add(Session &session, Text team_id, std::span<const NewTeamMember> members)
{
    const auto organization_id = session.argument<Text>("organization_id");
    if (is_only_caller(session.caller, members))
        if (const auto team = lock_open_team(session, team_id, organization_id))
            return *team;
    return lock_team_to_change(session, team_id, organization_id, TeamRight::team_admin, "/team/member_add");
}

} // namespace

namespace pg_org {

Text team_role(Text role, const char *name)
{
    if (role != "admin" && role != "user")
        invalid(name, "must be one of admin, user");
    return role;
}

NewTeamMember read_team_member(const Value &value)
{
    const Value role = value.member("role");
    const Text role_name = pg_org::required(optional_text(role), role.path());
    return {team_role(role_name, role.path()), read_new_person(value)};
}

Texts put_members(Session &session, const TeamName &team, std::span<const NewTeamMember> members,
                  const BudgetChange &budget)
{
    lock_people(session, people_of(members));
    const auto user_ids = allocate<Text>(members.size());
    const auto roles = allocate<Maybe<Text>>(members.size());
    for (size_t i = 0; i < members.size(); i++) {
        user_ids[i] = find_or_add_person(session, team, members[i].person);
        roles[i] = members[i].role;
    }
    put_users(session, team, user_ids, roles, budget);
    return each_once(user_ids);
}

void put_first_members(Session &session, const TeamName &team, std::span<const NewTeamMember> members)
{
    const Caller &caller = session.caller;
    const auto is_caller = [&](const NewTeamMember &member) {
        const Person &person = member.person;
        return caller.user_id &&
               (person.user_id ? person.user_id : user_of_email(session, *person.user_email)) == caller.user_id;
    };
    const auto all = allocate<NewTeamMember>(members.size() + 1);
    std::ranges::copy(members, all.begin() + 1);
    all[0] = {.role = "admin", .person = {.user_id = caller.user_id}};
    const bool joins = caller.user_id && std::ranges::none_of(members, is_caller) &&
                       (team.is_of_platform() || known_member(session, team.organization_id, all[0].person));
    put_members(session, team, joins ? all : all.subspan(1), {});
}

} // namespace pg_org

PG_ORG_WRITE(team_member_add)
{
    const Text team_id = session.required<Text>("team_id");
    const auto members = read_one_or_list(required(session.json("member"), "member"), read_team_member);
    const BudgetChange budget = read_team_member_budget(session);
    const TeamName team = lock_team_to_add(session, team_id, members);
    if (!budget.empty() && !has_right(session, team, TeamRight::team_admin))
        forbidden("User not allowed to set limits in Team %.*s. Your role is %s", FMT_ARG(team_id),
                  role_name(session.caller.role));
    const Texts user_ids = put_members(session, team, members, budget);

    Writer &reply = session.reply;
    reply.begin_object();
    write_team_fields(session, team.organization_id, team_id);
    reply.key("updated_users").begin_array();
    write_users(session, user_ids, seen_inside(session, team.organization_id));
    reply.end_array().key("updated_team_memberships").begin_array();
    write_team_memberships(session, team.organization_id, team_id, Maybe<Texts>{user_ids});
    reply.end_array().end_object();
}

PG_ORG_WRITE(team_bulk_member_add)
{
    const Text team_id = session.required<Text>("team_id");
    const auto given = session.json("members");
    const bool all_users = session.argument<bool>("all_users").value_or(false);
    if (!given && !all_users)
        missing("members");
    const auto members = given ? read_list(*given, read_team_member) : std::span<NewTeamMember>{};
    const BudgetChange budget = read_team_member_budget(session);
    const TeamName team =
        lock_team_to_change(session, team_id, session.argument<Text>("organization_id"),
                            all_users ? TeamRight::owner : TeamRight::team_admin, "/team/bulk_member_add");
    const Texts named = put_members(session, team, members, budget);
    const Texts others = all_users ? session.run(find_others, team.organization_id, team_id).texts() : Texts{};
    put_users(session, team, others, allocate<Maybe<Text>>(others.size()), budget);
    const auto user_ids = allocate<Text>(named.size() + others.size());
    std::ranges::copy(others, std::ranges::copy(named, user_ids.begin()).out);

    Writer &reply = session.reply;
    reply.begin_object().key("team_id").value(team_id);
    reply.key("results").begin_array();
    write_team_memberships(session, team.organization_id, team_id, Maybe<Texts>{user_ids});
    reply.end_array();
    reply.key("total_requested").value(static_cast<int64>(user_ids.size()));
    reply.key("successful_additions").value(static_cast<int64>(user_ids.size()));
    reply.key("failed_additions").value(int64{0}).key("updated_team");
    write_team(session, team.organization_id, team_id);
    reply.end_object();
}

PG_ORG_WRITE(team_member_update)
{
    const Text team_id = session.required<Text>("team_id");
    const Person person = read_person(session);
    const auto role = session.argument<Text>("role");
    if (role)
        team_role(*role, "role");
    BudgetChange budget = read_team_member_budget(session);
    static constexpr std::array<Text, 5> clearable{max_budget_in_team, "tpm_limit", "rpm_limit", "budget_duration",
                                                   "limits"};
    for (const Text field : fields_to_clear(session, clearable))
        budget.clear(field == max_budget_in_team ? Text{"max_budget"} : field);
    const TeamName team = lock_team_to_change(session, team_id, session.argument<Text>("organization_id"),
                                              TeamRight::team_admin, "/team/member_update");

    const Text member = find_team_member(session, team, person);
    put_users(session, team, {&member, 1}, {&role, 1}, budget);
    write_team_memberships(session, team.organization_id, team_id, Maybe<Texts>{Texts{&member, 1}});
}

PG_ORG_WRITE(team_member_delete)
{
    const Text team_id = session.required<Text>("team_id");
    const Person person = read_person(session);
    const TeamName team = lock_team_to_change(session, team_id, session.argument<Text>("organization_id"),
                                              TeamRight::team_admin, "/team/member_delete");

    const Text member = find_team_member(session, team, person);
    const Texts budgets =
        lock_budgets(session, session.run(find_budgets_to_leave, team.organization_id, team_id, member).texts());
    session.run(delete_keys_of_member, team_id, member);
    session.run(delete_team_member, team.organization_id, team_id, member);
    delete_unowned_budgets(session, budgets);
    session.run(touch_team, team.organization_id, team_id, session.caller.user_id);
    write_team(session, team.organization_id, team_id);
}
