// Teams: groups of an organization's members.

#include "team.hpp"

#include "budget.hpp"
#include "etag.hpp"
#include "base/fail.hpp"
#include "key.hpp"
#include "ownership.hpp"
#include "membership.hpp"
#include "models.hpp"
#include "organization.hpp"
#include "base/paging.hpp"
#include "quota.hpp"
#include "user.hpp"

using namespace pg_org;

namespace {

constinit Statement find_organization_of_team{
    "SELECT organization_id FROM org.team WHERE team_id = $1 AND ($2 IS NULL OR organization_id = $2)"};

constinit Statement lock_one{
    "SELECT FROM org.team WHERE organization_id = $1 AND team_id = $2 FOR KEY SHARE"};

constinit Statement find_role{
    "SELECT role FROM org.team_member WHERE organization_id = $1 AND team_id = $2 AND user_id = $3"};

constinit Statement insert_team{
    "INSERT INTO org.team (organization_id, team_id, team_alias, metadata, models, blocked, max_budget, tpm_limit,"
    "                      rpm_limit, max_parallel_requests, budget_duration, budget_reset_at, created_by, updated_by,"
    "                      created_at, updated_at)"
    " VALUES ($1, $2, $3, coalesce($4, '{}'), coalesce($5, '{}'), coalesce($6, false), $7, $8, $9, $10, $11, $12,"
    "         $13, $13, $14, $14)"
    " ON CONFLICT DO NOTHING RETURNING team_id"};

constinit Statement show_team{
    "SELECT " TEAM_COLUMNS " FROM org.team t WHERE t.organization_id = $1 AND t.team_id = $2"};

constinit Statement show_teams_of_user{
    "SELECT " TEAM_COLUMNS " FROM org.team_member of_user JOIN org.team t USING (organization_id, team_id)"
    " WHERE of_user.user_id = $1 AND ($2 IS NULL OR t.organization_id = ANY ($2))"
    " ORDER BY t.created_at, t.organization_id, t.team_id"};

constinit Statement show_team_memberships{
    "SELECT tm.user_id, tm.team_id, u.user_email, tm.role, tm.spend, tm.budget_id, "
    "       b.max_budget AS max_budget_in_team, " BUDGET_COLUMNS
    "  FROM org.team_member tm JOIN org.\"user\" u USING (user_id) LEFT JOIN org.budget b ON b.budget_id = tm.budget_id"
    " WHERE tm.organization_id = $1 AND tm.team_id = $2 AND ($3 IS NULL OR tm.user_id = ANY ($3))"
    " ORDER BY tm.created_at, tm.user_id"};

constinit Statement update_team{
    "UPDATE org.team"
    "   SET " CHANGED("team_alias", "$3", "$12") ", models = coalesce($4, models), metadata = coalesce($5, metadata), "
    CHANGED("max_budget", "$6", "$12") ", " CHANGED("tpm_limit", "$7", "$12") ", " CHANGED("rpm_limit", "$8", "$12")
    ", " CHANGED("max_parallel_requests", "$9", "$12") ", " CHANGED_DURATION("$10", "$11", "$12")
    ", blocked = coalesce($13, blocked), updated_at = now(), updated_by = $14"
    " WHERE organization_id = $1 AND team_id = $2"};

constinit Statement set_blocked{
    "UPDATE org.team SET blocked = $3, updated_at = now(), updated_by = $4"
    " WHERE organization_id = $1 AND team_id = $2"};

constinit Statement find_member_budgets{
    "SELECT budget_id FROM org.team_member"
    " WHERE organization_id = $1 AND team_id = $2 AND ($3 IS NULL OR user_id = ANY ($3)) AND budget_id IS NOT NULL"};

constinit Statement find_budgets_of_teams{
    "SELECT budget_id FROM org.team_member"
    " WHERE organization_id = $1 AND team_id = ANY ($2) AND budget_id IS NOT NULL"};

constinit Statement delete_teams_statement{"DELETE FROM org.team WHERE organization_id = $1 AND team_id = ANY ($2)"};

constinit Statement show_members{
    "SELECT tm.organization_id, tm.team_id, tm.user_id, u.user_email, tm.role, tm.created_at"
    "  FROM unnest($1, $2) AS asked (organization_id, team_id)"
    "  JOIN org.team_member tm USING (organization_id, team_id) JOIN org.\"user\" u USING (user_id)"};

constinit Statement upsert_team_member{
    "INSERT INTO org.team_member AS m (organization_id, team_id, user_id, role, created_by, updated_by, created_at,"
    "                                  updated_at)"
    " VALUES ($1, $2, $3, coalesce($4, 'user'), $5, $5, $6, $6)"
    " ON CONFLICT (organization_id, team_id, user_id) DO UPDATE"
    "   SET role = coalesce($4, m.role), updated_at = now(), updated_by = $5"
    " RETURNING m.budget_id"};

constinit Statement set_member_budget{
    "UPDATE org.team_member SET budget_id = $4 WHERE organization_id = $1 AND team_id = $2 AND user_id = $3"};

constinit Statement touch_team{
    "UPDATE org.team SET updated_at = greatest(now(), created_at), updated_by = $3"
    " WHERE organization_id = $1 AND team_id = $2"};

constinit Statement delete_keys_of_member{
    "DELETE FROM org.api_key WHERE organization_id = $1 AND team_id = $2 AND user_id = $3"};

constinit Statement delete_team_member{
    "DELETE FROM org.team_member WHERE organization_id = $1 AND team_id = $2 AND user_id = $3"};

// Teams that the caller sees: $3 is null for all, else the organizations they administer; $4 who they are and $5 what
// their key is confined to.
#define VISIBLE_TEAMS                                                                                                  \
    "  FROM org.team t"                                                                                                \
    " WHERE ($1 IS NULL OR t.organization_id = $1)"                                                                    \
    "   AND ($2 IS NULL OR EXISTS (SELECT FROM org.team_member tm WHERE (tm.organization_id, tm.team_id, tm.user_id)"  \
    "                              = (t.organization_id, t.team_id, $2)))"                                             \
    "   AND ($3 IS NULL OR t.organization_id = ANY ($3)"                                                               \
    "        OR (EXISTS (SELECT FROM org.team_member tm WHERE (tm.organization_id, tm.team_id, tm.user_id)"            \
    "                    = (t.organization_id, t.team_id, $4))"                                                        \
    "            AND ($5 IS NULL OR t.organization_id = $5)))"

constinit Statement find_page_start{
    "SELECT t.created_at" VISIBLE_TEAMS " AND t.team_id = $6",
    Planned::each_time};

constinit Statement list_teams{
    "SELECT " TEAM_COLUMNS VISIBLE_TEAMS
    "   AND ($6 IS NULL OR position(org.folded($6) IN org.folded(t.team_alias)) > 0)"
    "   AND ($7 IS NULL OR (t.created_at, t.team_id) > ($7, $8))"
    " ORDER BY t.created_at, t.team_id LIMIT $9",
    Planned::each_time};

// A member of the new team as the request names them.
struct NewTeamMember {
    Maybe<Text> role; // none: as it is

    Maybe<Text> user_id, user_email;
};


void require_team_role(Text role, const char *name)
{
    if (role != "admin" && role != "user")
        invalid(name, "must be one of admin, user");
}

NewTeamMember read_member(const Value &value)
{
    const Value role = value.member("role");
    const NewTeamMember member{
        .role = required(optional_text(role), role.path()),
        .user_id = optional_text(value.member("user_id")),
        .user_email = optional_text(value.member("user_email")),
    };
    require_team_role(*member.role, role.path());
    require_id_or_email(value.path(), member.user_id, member.user_email);
    return member;
}

std::span<const NewTeamMember> read_list(const Value &value)
{
    const auto values = bounded_elements(value);
    const auto list = allocate<NewTeamMember>(values.size());
    std::ranges::transform(values, list.begin(), read_member);
    return list;
}

// A list of members, or one.
std::span<const NewTeamMember> read_members(const Value &value)
{
    if (!value.is_object())
        return read_list(value);
    const auto one = allocate<NewTeamMember>(1);
    one[0] = read_member(value);
    return one;
}

void write_team(Session &session, const TeamName &team)
{
    write_teams(session, session.run(show_team, team.organization_id, team.team_id).all());
}

void write_team_memberships(Session &session, const TeamName &team, Maybe<Texts> user_ids)
{
    constexpr int own_columns = 7, budget_id = 5;
    for (const Row row : session.run(show_team_memberships, team.organization_id, team.team_id, user_ids)) {
        Writer &reply = session.reply.begin_object().columns(row, 0, own_columns).key("litellm_budget_table");
        if (row.get<Text>(budget_id))
            reply.begin_object().columns(row, own_columns, own_columns + budget_columns).end_object();
        else
            reply.null();
        reply.end_object();
    }
}

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

// The same, with its organization locked, and then the team.
TeamName lock_team_to_change(Session &session, Text team_id, Maybe<Text> organization_id, const char *route)
{
    const TeamName team = team_to_change(session, team_id, organization_id, route);
    lock_organization_as_admin(session, team.organization_id, route);
    lock_team(session, team);
    return team;
}

// Puts the members into the team, with budgets of their own if one is given. Returns who they are.
Texts put_members(Session &session, const TeamName &team, std::span<const NewTeamMember> members,
                  const BudgetChange &budget)
{
    const auto user_ids = allocate<Text>(members.size());
    std::ranges::transform(members, user_ids.begin(), [&](const NewTeamMember &member) {
        return find_member(session, team.organization_id, member.user_id, member.user_email);
    });
    if (!budget.empty())
        lock_budgets(session, session.run(find_member_budgets, team.organization_id, team.team_id,
                                          Maybe<Texts>{user_ids}).texts());
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

BudgetChange read_member_budget(Session &session)
{
    BudgetChange budget;
    if (const auto amount = session.argument("max_budget_in_team", money))
        budget.max_budget = amount;
    return budget;
}

// The member of the team whom the request names.
Text find_team_member(Session &session, const TeamName &team, Maybe<Text> user_id, Maybe<Text> user_email)
{
    const Text member = find_member(session, team.organization_id, user_id, user_email);
    if (session.run(find_role, team.organization_id, team.team_id, member).empty())
        not_found("Member not found in team for user_id=%.*s", FMT_ARG(member));
    return member;
}

// Deletes the teams, those of an organization in one statement: so is written what is to be written of them.
void delete_teams(Session &session, std::span<TeamName> teams)
{
    std::ranges::sort(teams, {}, &TeamName::organization_id);
    while (!teams.empty()) {
        const Text organization_id = teams[0].organization_id;
        const auto its = std::ranges::equal_range(teams, organization_id, {}, &TeamName::organization_id);
        const auto team_ids = allocate<Text>(its.size());
        std::ranges::transform(its, team_ids.begin(), &TeamName::team_id);
        session.audit_as(organization_id);
        const Texts budgets = lock_budgets(
            session, session.run(find_budgets_of_teams, organization_id, Texts{team_ids}).texts());
        session.run(delete_teams_statement, organization_id, Texts{team_ids});
        delete_unowned_budgets(session, budgets);
        teams = teams.subspan(its.size());
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

TeamWriter::TeamWriter(Session &session, std::span<const Row> teams) : session_(session)
{
    if (teams.empty())
        return;
    const auto organization_ids = allocate<Text>(teams.size()), team_ids = allocate<Text>(teams.size());
    for (size_t i = 0; i < teams.size(); i++) {
        organization_ids[i] = *teams[i].get<Text>(team_organization_column);
        team_ids[i] = *teams[i].get<Text>(team_id_column);
    }
    members_ = session.run(show_members, Texts{organization_ids}, Texts{team_ids}).sorted_by([](const Row &row) {
        return std::tuple{*row.get<Text>(0), *row.get<Text>(1), row.get<Time>(5)->value, *row.get<Text>(2)};
    });
}

void TeamWriter::write_fields(const Row &team) const
{
    constexpr int before_members = 3, user_id = 2, role = 4, after_role = 5;
    const auto name = std::tuple{*team.get<Text>(team_organization_column), *team.get<Text>(team_id_column)};
    const auto members = std::ranges::equal_range(
        members_, name, {}, [](const Row &row) { return std::tuple{*row.get<Text>(0), *row.get<Text>(1)}; });

    Writer &reply = session_.reply;
    reply.columns(team, 0, before_members).key("admins").begin_array();
    for (const Row &member : members)
        if (member.get<Text>(role) == "admin")
            reply.value(*member.get<Text>(user_id));
    reply.end_array().key("members").begin_array();
    for (const Row &member : members)
        reply.value(*member.get<Text>(user_id));
    reply.end_array().key("members_with_roles").begin_array();
    for (const Row &member : members) {
        CHECK_FOR_INTERRUPTS();
        reply.begin_object().columns(member, user_id, after_role).end_object();
    }
    reply.end_array().columns(team, before_members, team.columns());
}

void TeamWriter::write(const Row &team) const
{
    CHECK_FOR_INTERRUPTS();
    session_.reply.begin_object();
    write_fields(team);
    session_.reply.end_object();
}

void write_teams(Session &session, std::span<const Row> teams)
{
    const TeamWriter writer{session, teams};
    for (const Row &team : teams) {
        CHECK_FOR_INTERRUPTS();
        writer.write(team);
    }
}

void write_team_info(Session &session, const TeamName &team)
{
    Writer &reply = session.reply;
    reply.begin_object().key("team_id").value(team.team_id);
    reply.key("team_info");
    write_team(session, team);
    reply.key("keys").begin_array();
    write_keys_of_team(session, team);
    reply.end_array().key("team_memberships").begin_array();
    write_team_memberships(session, team, {});
    reply.end_array().end_object();
}

void write_teams_of_user(Session &session, Text user_id, Maybe<Texts> organization_ids)
{
    write_teams(session, session.run(show_teams_of_user, user_id, organization_ids).all());
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
    const Texts nobodies{&nobody, 1};
    const Maybe<Text> none;
    find_team(session, nobody, none);
    session.run(show_team, nobody, nobody);
    session.run(show_members, nobodies, nobodies);
    write_keys_of_team(session, {nobody, nobody});
    write_team_memberships(session, {nobody, nobody}, {});
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

void lock_team(Session &session, const TeamName &team)
{
    if (session.run(lock_one, team.organization_id, team.team_id).empty())
        not_found("Team not found for team_id=%.*s", FMT_ARG(team.team_id));
}

} // namespace pg_org

PG_ORG_WRITE(team_new)
{
    const Text organization_id = session.required<Text>("organization_id");
    const auto team_alias = session.argument<Text>("team_alias");
    const TeamName team{organization_id, session.argument("team_id", identifier_or_new)};
    const auto models = session.argument("models", model_list);
    const auto given = session.json("members_with_roles");
    const auto members = given ? read_list(*given) : std::span<const NewTeamMember>{};
    const auto metadata = session.argument("metadata", object);
    const OwnLimits limits = read_own_limits(session, LimitsOf::team);
    const auto blocked = session.argument<bool>("blocked");

    lock_organization_as_admin(session, organization_id, "/team/new");
    require_room_for_team(session, organization_id);
    if (session
            .run(insert_team, organization_id, team.team_id, team_alias, metadata, models, blocked, limits.max_budget,
                 limits.tpm_limit, limits.rpm_limit, limits.max_parallel_requests, limits.budget_duration,
                 limits.budget_reset_at, session.caller.user_id, session.made_at())
            .empty())
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
    static constexpr std::array<Text, 6> clearable{"team_alias", "max_budget",            "tpm_limit",
                                                   "rpm_limit",  "max_parallel_requests", "budget_duration"};
    const Texts clear = fields_to_clear(session.argument<Texts>("clear"), clearable);
    const bool cascade = session.argument<bool>("cascade").value_or(false);
    const auto if_match = session.argument<Text>("if_match");

    const TeamName team = lock_team_to_change(session, team_id, organization_id, "/team/update");
    require_match(session, if_match, [&] { write_team_info(session, team); });
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
    write_team_info(session, *team);
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
    Maybe<Time> after_created;
    if (after)
        after_created = page_start(session.run(find_page_start, organization_id, user_id, administered, caller.user_id,
                                               caller.organization_id, *after),
                                   "team_id");
    session.reply.begin_array();
    write_teams(session, session.run(list_teams, organization_id, user_id, administered, caller.user_id,
                                     caller.organization_id, team_alias, after_created, after, limit)
                             .all());
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
        // They may have lost the right while they waited for the locks.
        require_organization_admin(session, team.organization_id, "/team/delete");
        if (std::ranges::find(teams.first(i), team) != teams.begin() + i)
            continue;
        const Rows rows = session.run(show_team, team.organization_id, team.team_id);
        if (rows.empty()) // deleted by somebody else just now
            not_found("Team not found for team_id=%.*s", FMT_ARG(team.team_id));
        write_teams(session, rows.all());
    }
    session.reply.end_array();
    delete_teams(session, teams);
}

PG_ORG_WRITE(team_block) { set_blocked_and_reply(session, true, "/team/block"); }

PG_ORG_WRITE(team_unblock) { set_blocked_and_reply(session, false, "/team/unblock"); }

PG_ORG_WRITE(team_member_add)
{
    const Text team_id = session.required<Text>("team_id");
    const auto members = read_members(required(session.json("member"), "member"));
    const BudgetChange budget = read_member_budget(session);
    const TeamName team = lock_team_to_change(session, team_id, session.argument<Text>("organization_id"), "/team/member_add");
    const Texts user_ids = put_members(session, team, members, budget);

    Writer &reply = session.reply;
    const auto rows = session.run(show_team, team.organization_id, team_id).all();
    reply.begin_object();
    TeamWriter{session, rows}.write_fields(rows[0]);
    reply.key("updated_users").begin_array();
    write_users(session, user_ids, seen_inside(session, team.organization_id));
    reply.end_array().key("updated_team_memberships").begin_array();
    write_team_memberships(session, team, Maybe<Texts>{user_ids});
    reply.end_array().end_object();
}

PG_ORG_WRITE(team_member_update)
{
    const Text team_id = session.required<Text>("team_id");
    const auto user_id = session.argument("user_id", not_empty);
    const auto user_email = session.argument("user_email", not_empty);
    require_id_or_email("user_id", user_id, user_email);
    const auto role = session.argument<Text>("role");
    if (role)
        require_team_role(*role, "role");
    BudgetChange budget = read_member_budget(session);
    static constexpr std::array<Text, 1> clearable{"max_budget_in_team"};
    if (!fields_to_clear(session.argument<Texts>("clear"), clearable).empty())
        budget.max_budget.emplace();
    const TeamName team = lock_team_to_change(session, team_id, session.argument<Text>("organization_id"), "/team/member_update");

    const NewTeamMember member{.role = role, .user_id = find_team_member(session, team, user_id, user_email)};
    const Texts user_ids = put_members(session, team, {&member, 1}, budget);
    write_team_memberships(session, team, Maybe<Texts>{user_ids});
}

PG_ORG_WRITE(team_member_delete)
{
    const Text team_id = session.required<Text>("team_id");
    const auto user_id = session.argument("user_id", not_empty);
    const auto user_email = session.argument("user_email", not_empty);
    require_id_or_email("user_id", user_id, user_email);
    const TeamName team = lock_team_to_change(session, team_id, session.argument<Text>("organization_id"), "/team/member_delete");

    const Text member = find_team_member(session, team, user_id, user_email);
    const Texts budgets = lock_budgets(session, session.run(find_member_budgets, team.organization_id, team_id,
                                                            Maybe<Texts>{Texts{&member, 1}}).texts());
    session.run(delete_keys_of_member, team.organization_id, team_id, member);
    session.run(delete_team_member, team.organization_id, team_id, member);
    delete_unowned_budgets(session, budgets);
    session.run(touch_team, team.organization_id, team_id, session.caller.user_id);
    write_team(session, team);
}
