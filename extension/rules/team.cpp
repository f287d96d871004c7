// Teams: groups of an organization's members.

#include "team.hpp"

#include "base/fail.hpp"
#include "base/paging.hpp"
#include "budget.hpp"
#include "etag.hpp"
#include "lock.hpp"
#include "models.hpp"
#include "ownership.hpp"
#include "person.hpp"
#include "quota.hpp"
#include "show.hpp"

using namespace pg_org;

namespace {

constinit Statement find_organization_of_team{
    "SELECT organization_id FROM org.team WHERE team_id = $1 AND ($2 IS NULL OR organization_id = $2)"};

constinit Statement find_role{
    "SELECT role FROM org.team_member WHERE organization_id = $1 AND team_id = $2 AND user_id = $3"};

constinit Statement insert_team{R"(
    INSERT INTO org.team (organization_id, team_id, team_alias, metadata, models, blocked, max_budget, tpm_limit,
                          rpm_limit, max_parallel_requests, budget_duration, budget_reset_at, created_by, updated_by,
                          created_at, updated_at)
    VALUES ($1, $2, $3, coalesce($4, '{}'), coalesce($5, '{}'), coalesce($6, false), $7, $8, $9, $10, $11, $12, $13,
            $13, $14, $14)
        ON CONFLICT DO NOTHING
    RETURNING team_id)"};

constinit Statement update_team{R"(
    UPDATE org.team
       SET team_alias = CASE WHEN 'team_alias' = ANY ($12) THEN NULL ELSE coalesce($3, team_alias) END,
           models = coalesce($4, models),
           metadata = coalesce($5, metadata),
           max_budget = CASE WHEN 'max_budget' = ANY ($12) THEN NULL ELSE coalesce($6, max_budget) END,
           tpm_limit = CASE WHEN 'tpm_limit' = ANY ($12) THEN NULL ELSE coalesce($7, tpm_limit) END,
           rpm_limit = CASE WHEN 'rpm_limit' = ANY ($12) THEN NULL ELSE coalesce($8, rpm_limit) END,
           max_parallel_requests = CASE WHEN 'max_parallel_requests' = ANY ($12) THEN NULL
                                        ELSE coalesce($9, max_parallel_requests) END,
           budget_duration = CASE WHEN 'budget_duration' = ANY ($12) THEN NULL ELSE coalesce($10, budget_duration) END,
           budget_reset_at = CASE WHEN 'budget_duration' = ANY ($12) THEN NULL
                                  WHEN $10 <> coalesce(budget_duration, '') THEN $11
                                  ELSE budget_reset_at END,
           blocked = coalesce($13, blocked),
           updated_at = now(),
           updated_by = $14
     WHERE organization_id = $1
       AND team_id = $2)"};

constinit Statement set_blocked{R"(
    UPDATE org.team
       SET blocked = $3, updated_at = now(), updated_by = $4
     WHERE organization_id = $1
       AND team_id = $2)"};

constinit Statement find_member_budgets{R"(
    SELECT budget_id
      FROM org.team_member
     WHERE organization_id = $1
       AND team_id = $2
       AND ($3 IS NULL OR user_id = ANY ($3))
       AND budget_id IS NOT NULL)"};

constinit Statement find_budgets_of_teams{R"(
    SELECT budget_id
      FROM org.team_member
     WHERE organization_id = $1
       AND team_id = ANY ($2)
       AND budget_id IS NOT NULL)"};

constinit Statement delete_teams_statement{"DELETE FROM org.team WHERE organization_id = $1 AND team_id = ANY ($2)"};

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

constinit Statement delete_keys_of_member{
    "DELETE FROM org.api_key WHERE organization_id = $1 AND team_id = $2 AND user_id = $3"};

constinit Statement delete_team_member{
    "DELETE FROM org.team_member WHERE organization_id = $1 AND team_id = $2 AND user_id = $3"};

// Teams of the organization $1 and with the member $2 (null: any) that the caller sees: $3 is null for all, else the
// organizations they administer; $4 is who they are and $5 the organization that their key is confined to.
#define VISIBLE_TEAMS                                                                                                  \
    "  FROM org.team t"                                                                                                \
    " WHERE ($1 IS NULL OR t.organization_id = $1)"                                                                    \
    "   AND ($2 IS NULL OR EXISTS (SELECT FROM org.team_member tm WHERE (tm.organization_id, tm.team_id, tm.user_id)"  \
    "                              = (t.organization_id, t.team_id, $2)))"                                             \
    "   AND ($3 IS NULL OR t.organization_id = ANY ($3)"                                                               \
    "        OR (EXISTS (SELECT FROM org.team_member tm WHERE (tm.organization_id, tm.team_id, tm.user_id)"            \
    "                    = (t.organization_id, t.team_id, $4))"                                                        \
    "            AND ($5 IS NULL OR t.organization_id = $5)))"

constinit Statement find_page_start{"SELECT t.created_at" VISIBLE_TEAMS " AND t.team_id = $6", Planned::each_time};

constinit Statement list_teams{"SELECT " TEAM_COLUMNS VISIBLE_TEAMS R"(
       AND ($6 IS NULL OR position(org.folded($6) IN org.folded(t.team_alias)) > 0)
       AND ($7 IS NULL OR (t.created_at, t.team_id) > ($7, $8))
     ORDER BY t.created_at, t.team_id
     LIMIT $9)",
                               Planned::each_time};

// A member to be put into a team, as the request names them.
struct NewTeamMember {
    Maybe<Text> role; // none keeps it
    Person person;
};

void require_team_role(Text role, const char *name)
{
    if (role != "admin" && role != "user")
        invalid(name, "must be one of admin, user");
}

NewTeamMember read_member(const Value &value)
{
    const Value role = value.member("role");
    const Text role_name = required(optional_text(role), role.path());
    require_team_role(role_name, role.path());
    return {role_name, read_person(value)};
}

void write_team(Session &session, const TeamName &team) { write_team(session, team.organization_id, team.team_id); }

// The team that a caller wants to change, if they may.
TeamName team_to_change(Session &session, Text team_id, Maybe<Text> organization_id, const char *route)
{
    const auto team = find_team(session, team_id, organization_id);
    if (team) {
        require_organization_admin(session, team->organization_id, route);
        return *team;
    }
    if (!session.caller.is_proxy_admin())
        forbidden("You do not have the required role to perform %s on Team %.*s. Your role is %s", route,
                  FMT_ARG(team_id), role_name(session.caller.role));
    not_found("Team not found for team_id=%.*s", FMT_ARG(team_id));
}

// The same after locking its organization and then the team.
TeamName lock_team_to_change(Session &session, Text team_id, Maybe<Text> organization_id, const char *route)
{
    const TeamName team = team_to_change(session, team_id, organization_id, route);
    lock_organization_as_admin(session, team.organization_id, route);
    lock_team(session, team.organization_id, team.team_id);
    return team;
}

// Puts the members into the team, each with a budget of their own if one is given. Returns their ids.
Texts put_members(Session &session, const TeamName &team, std::span<const NewTeamMember> members,
                  const BudgetChange &budget)
{
    const auto user_ids = allocate<Text>(members.size());
    std::ranges::transform(members, user_ids.begin(), [&](const NewTeamMember &member) {
        return find_member(session, team.organization_id, member.person);
    });
    if (!budget.empty())
        lock_budgets(
            session,
            session.run(find_member_budgets, team.organization_id, team.team_id, Maybe<Texts>{user_ids}).texts());
    for (size_t i = 0; i < members.size(); i++) {
        const Rows rows = session.run(upsert_team_member, team.organization_id, team.team_id, user_ids[i],
                                      members[i].role, session.caller.user_id, session.made_at());
        if (!budget.empty())
            session.run(set_member_budget, team.organization_id, team.team_id, user_ids[i],
                        change_budget(session, rows[0].get<Text>(0), budget));
    }
    session.run(touch_team, team.organization_id, team.team_id, session.caller.user_id);
    return each_once(user_ids);
}

// The id of the team's member whom the request names.
Text find_team_member(Session &session, const TeamName &team, const Person &person)
{
    const Text member = find_member(session, team.organization_id, person);
    if (session.run(find_role, team.organization_id, team.team_id, member).empty())
        not_found("Member not found in team for user_id=%.*s", FMT_ARG(member));
    return member;
}

// Deletes the teams, those of an organization in one statement, so that statement triggers run once for them.
void delete_teams(Session &session, std::span<TeamName> teams)
{
    std::ranges::sort(teams, {}, &TeamName::organization_id);
    while (!teams.empty()) {
        const Text organization_id = teams[0].organization_id;
        const auto of_organization = std::ranges::equal_range(teams, organization_id, {}, &TeamName::organization_id);
        const auto team_ids = allocate<Text>(of_organization.size());
        std::ranges::transform(of_organization, team_ids.begin(), &TeamName::team_id);
        session.audit_as(organization_id);
        const Texts budgets =
            lock_budgets(session, session.run(find_budgets_of_teams, organization_id, Texts{team_ids}).texts());
        session.run(delete_teams_statement, organization_id, Texts{team_ids});
        delete_unowned_budgets(session, budgets);
        teams = teams.subspan(of_organization.size());
    }
}

void set_blocked_and_reply(Session &session, bool blocked, const char *route)
{
    const Text team_id = session.required<Text>("team_id");
    const TeamName team = lock_team_to_change(session, team_id, session.argument<Text>("organization_id"), route);
    session.run(set_blocked, team.organization_id, team.team_id, blocked, session.caller.user_id);
    write_team(session, team);
}

} // namespace

namespace pg_org {

Text team_role(Text role, const char *name)
{
    require_team_role(role, name);
    return role;
}

void put_into_team(Session &session, const TeamName &team, Text user_id, Text role, const BudgetChange &budget)
{
    const NewTeamMember member{.role = role, .person = {.user_id = user_id, .user_email = {}}};
    put_members(session, team, {&member, 1}, budget);
}

Maybe<Text> role_in_team(Session &session, const TeamName &team)
{
    if (!session.caller.user_id)
        return {};
    const Rows rows = session.run(find_role, team.organization_id, team.team_id, *session.caller.user_id);
    return rows.empty() ? Maybe<Text>{} : rows[0].get<Text>(0);
}

void warm_up_teams(Session &session, Text nobody)
{
    const Maybe<Text> none;
    find_team(session, nobody, none);
    session.run(list_teams, Maybe<Text>{nobody}, none, Maybe<Texts>{}, none, none, none, Maybe<Time>{}, none,
                Maybe<int64>{1});
}

Maybe<TeamName> find_team(Session &session, Text team_id, Maybe<Text> organization_id)
{
    const Rows owners = session.run(find_organization_of_team, team_id, organization_id);
    if (owners.empty())
        return {};
    const TeamName team{*owners[0].get<Text>(0), team_id};
    const auto role =
        session.caller.reads_everything() ? Maybe<Text>{"org_admin"} : role_in(session, team.organization_id);
    const bool may_know = role == "org_admin" || (role && role_in_team(session, team));
    return may_know ? Maybe<TeamName>{team} : Maybe<TeamName>{};
}

} // namespace pg_org

PG_ORG_WRITE(team_new)
{
    const Text organization_id = session.required<Text>("organization_id");
    const auto team_alias = session.argument<Text>("team_alias");
    const TeamName team{organization_id, session.argument("team_id", identifier_or_new)};
    const auto models = session.argument("models", model_list);
    const auto given = session.json("members_with_roles");
    const auto members = given ? read_list(*given, read_member) : std::span<NewTeamMember>{};
    const auto metadata = session.argument("metadata", object);
    const OwnLimits limits = read_own_limits(session, LimitsOf::team);
    const auto blocked = session.argument<bool>("blocked");

    lock_organization_as_admin(session, organization_id, "/team/new");
    require_room_for_team(session, organization_id);
    const Rows made =
        session.run(insert_team, organization_id, team.team_id, team_alias, metadata, models, blocked,
                    limits.max_budget, limits.tpm_limit, limits.rpm_limit, limits.max_parallel_requests,
                    limits.budget_duration, limits.budget_reset_at, session.caller.user_id, session.made_at());
    if (made.empty())
        refused("Team id = %.*s already exists. Please use a different team id.", FMT_ARG(team.team_id));
    require_team_within_organization(session, organization_id, team.team_id);
    put_members(session, team, members, {});
    write_team(session, team);
}

PG_ORG_WRITE(team_update)
{
    const Text team_id = session.required<Text>("team_id");
    const auto organization_id = session.argument<Text>("organization_id");
    const auto team_alias = session.argument<Text>("team_alias");
    const auto models = session.argument("models", model_list);
    const auto metadata = session.argument("metadata", object);
    const OwnLimits limits = read_own_limits(session, LimitsOf::team);
    const auto blocked = session.argument<bool>("blocked");
    static constexpr std::array<Text, 6> clearable{
        "team_alias", "max_budget", "tpm_limit", "rpm_limit", "max_parallel_requests", "budget_duration"};
    const Texts clear = fields_to_clear(session, clearable);
    const bool cascade = session.argument<bool>("cascade").value_or(false);
    const auto if_match = session.argument<Text>("if_match");

    const TeamName team = lock_team_to_change(session, team_id, organization_id, "/team/update");
    require_match(session, if_match, [&] { write_team_info(session, team.organization_id, team_id); });
    session.run(update_team, team.organization_id, team_id, team_alias, models, metadata, limits.max_budget,
                limits.tpm_limit, limits.rpm_limit, limits.max_parallel_requests, limits.budget_duration,
                limits.budget_reset_at, clear, blocked, session.caller.user_id);
    require_team_within_organization(session, team.organization_id, team_id);
    if (models)
        keep_within_team(session, team.organization_id, team_id, cascade);
    write_team(session, team);
}

PG_ORG_READ(team_info)
{
    const Text team_id = session.required<Text>("team_id");
    const auto team = find_team(session, team_id, session.argument<Text>("organization_id"));
    if (!team)
        not_found("Team not found for team_id=%.*s", FMT_ARG(team_id));
    write_team_info(session, team->organization_id, team_id);
}

PG_ORG_READ(team_list)
{
    const auto organization_id = session.argument<Text>("organization_id");
    const auto user_id = session.argument<Text>("user_id");
    const auto team_alias = session.argument("team_alias", part_of_name);
    const auto limit = session.argument("limit", page_limit);
    const auto after = session.argument<Text>("after");

    const Caller &caller = session.caller;
    const auto administered = caller.reads_everything() ? Maybe<Texts>{} : administered_organizations(session);
    const auto after_created = after ? page_start(session.run(find_page_start, organization_id, user_id, administered,
                                                              caller.user_id, caller.organization_id, *after),
                                                  "team_id")
                                     : Maybe<Time>{};
    session.reply.begin_array();
    write_teams(session, session.run(list_teams, organization_id, user_id, administered, caller.user_id,
                                     caller.organization_id, team_alias, after_created, after, limit));
    session.reply.end_array();
}

PG_ORG_WRITE(team_delete)
{
    const Texts team_ids = each_once(session.required("team_ids", text_list));
    const auto organization_id = session.argument<Text>("organization_id");
    const auto teams = allocate<TeamName>(team_ids.size());
    const auto organizations = allocate<Text>(team_ids.size());
    for (size_t i = 0; i < team_ids.size(); i++) {
        teams[i] = team_to_change(session, team_ids[i], organization_id, "/team/delete");
        organizations[i] = teams[i].organization_id;
    }
    lock_organizations(session, Texts{organizations});

    session.reply.begin_array();
    for (size_t i = 0; i < teams.size(); i++) {
        CHECK_FOR_INTERRUPTS();
        const TeamName &team = teams[i];
        // The caller may have lost the right while waiting for the locks.
        require_organization_admin(session, team.organization_id, "/team/delete");
        if (std::ranges::find(teams.first(i), team) != teams.begin() + i)
            continue;
        if (!write_team(session, team.organization_id, team.team_id)) // somebody else has just deleted it
            not_found("Team not found for team_id=%.*s", FMT_ARG(team.team_id));
    }
    session.reply.end_array();
    delete_teams(session, teams);
}

PG_ORG_WRITE(team_block) { set_blocked_and_reply(session, true, "/team/block"); }

PG_ORG_WRITE(team_unblock) { set_blocked_and_reply(session, false, "/team/unblock"); }

PG_ORG_WRITE(team_member_add)
{
    const Text team_id = session.required<Text>("team_id");
    const auto members = read_one_or_list(required(session.json("member"), "member"), read_member);
    const BudgetChange budget = read_member_budget(session, "max_budget_in_team");
    const TeamName team =
        lock_team_to_change(session, team_id, session.argument<Text>("organization_id"), "/team/member_add");
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

PG_ORG_WRITE(team_member_update)
{
    const Text team_id = session.required<Text>("team_id");
    const Person person = read_person(session);
    const auto role = session.argument<Text>("role");
    if (role)
        require_team_role(*role, "role");
    const BudgetChange budget = read_member_budget_change(session, "max_budget_in_team");
    const TeamName team =
        lock_team_to_change(session, team_id, session.argument<Text>("organization_id"), "/team/member_update");

    const NewTeamMember member{.role = role, .person = {.user_id = find_team_member(session, team, person)}};
    const Texts user_ids = put_members(session, team, {&member, 1}, budget);
    write_team_memberships(session, team.organization_id, team_id, Maybe<Texts>{user_ids});
}

PG_ORG_WRITE(team_member_delete)
{
    const Text team_id = session.required<Text>("team_id");
    const Person person = read_person(session);
    const TeamName team =
        lock_team_to_change(session, team_id, session.argument<Text>("organization_id"), "/team/member_delete");

    const Text member = find_team_member(session, team, person);
    const Texts budgets = lock_budgets(
        session,
        session.run(find_member_budgets, team.organization_id, team_id, Maybe<Texts>{Texts{&member, 1}}).texts());
    session.run(delete_keys_of_member, team.organization_id, team_id, member);
    session.run(delete_team_member, team.organization_id, team_id, member);
    delete_unowned_budgets(session, budgets);
    session.run(touch_team, team.organization_id, team_id, session.caller.user_id);
    write_team(session, team);
}
