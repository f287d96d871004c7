// Teams: groups of an organization's members.

#include "team.hpp"

#include "budget.hpp"
#include "duration.hpp"
#include "fail.hpp"
#include "key.hpp"
#include "membership.hpp"
#include "models.hpp"
#include "organization.hpp"

using namespace pg_org;

namespace {

constinit Statement find_organizations_of_team{
    "SELECT organization_id FROM org.team"
    " WHERE team_id = $1 AND ($2 IS NULL OR organization_id = $2) ORDER BY organization_id"};

constinit Statement lock_one{
    "SELECT models FROM org.team WHERE organization_id = $1 AND team_id = $2 FOR KEY SHARE"};

constinit Statement find_role{
    "SELECT role FROM org.team_member WHERE organization_id = $1 AND team_id = $2 AND user_id = $3"};

constinit Statement insert_team{
    "INSERT INTO org.team (organization_id, team_id, team_alias, metadata, models, blocked, max_budget, tpm_limit,"
    "                      rpm_limit, max_parallel_requests, budget_duration, budget_reset_at, created_by, updated_by)"
    " VALUES ($1, $2, $3, coalesce($4, '{}'), coalesce($5, '{}'), coalesce($6, false), $7, $8, $9, $10, $11, $12,"
    "         $13, $13)"
    " ON CONFLICT DO NOTHING RETURNING team_id"};

constinit Statement insert_team_member{
    "INSERT INTO org.team_member AS m (organization_id, team_id, user_id, role, created_by, updated_by)"
    " VALUES ($1, $2, $3, $4, $5, $5)"
    " ON CONFLICT (organization_id, team_id, user_id) DO UPDATE SET role = excluded.role"};

constinit Statement show_team{
    "SELECT " TEAM_COLUMNS " FROM org.team t WHERE t.organization_id = $1 AND t.team_id = $2"};

constinit Statement show_teams_of_user{
    "SELECT " TEAM_COLUMNS " FROM org.team_member of_user JOIN org.team t USING (organization_id, team_id)"
    " WHERE of_user.user_id = $1 AND ($2 IS NULL OR t.organization_id = ANY ($2))"
    " ORDER BY t.created_at, t.organization_id, t.team_id"};

constinit Statement show_team_memberships{
    "SELECT tm.user_id, tm.team_id, tm.spend, tm.budget_id, " BUDGET_COLUMNS
    "  FROM org.team_member tm LEFT JOIN org.budget b ON b.budget_id = tm.budget_id"
    " WHERE tm.organization_id = $1 AND tm.team_id = $2 ORDER BY tm.created_at, tm.user_id"};

// A member of the new team as the request names them.
struct NewTeamMember {
    Text role;
    Maybe<Text> user_id, user_email;
};

Maybe<Text> optional_text(const Value &value) { return value.is_null() ? Maybe<Text>{} : value.as_text(); }

std::span<const NewTeamMember> read_members(const Maybe<Json> &json)
{
    if (!json)
        return {};
    const auto values = to_value(*json, "members_with_roles").elements();
    const auto list = allocate<NewTeamMember>(values.size());
    std::ranges::transform(values, list.begin(), [](const Value &value) {
        const Value role = value.member("role");
        const NewTeamMember member{
            .role = required(optional_text(role), role.path()),
            .user_id = optional_text(value.member("user_id")),
            .user_email = optional_text(value.member("user_email")),
        };
        if (member.role != "admin" && member.role != "user")
            invalid(role.path(), "must be one of admin, user");
        if (!member.user_id && !member.user_email)
            invalid(value.path(), "is not valid: Value error, Either user id or user email must be provided");
        return member;
    });
    return list;
}

void write_team_memberships(Session &session, const TeamName &team)
{
    constexpr int own_columns = 4;
    for (const Row row : session.run(show_team_memberships, team.organization_id, team.team_id)) {
        Writer &reply = session.reply.begin_object().columns(row, 0, own_columns).key("litellm_budget_table");
        if (row.get<Text>(own_columns - 1))
            reply.begin_object().columns(row, own_columns, own_columns + budget_columns).end_object();
        else
            reply.null();
        reply.end_object();
    }
}

} // namespace

namespace pg_org {

void write_teams_of_user(Session &session, Text user_id, Maybe<Texts> organization_ids)
{
    for (const Row row : session.run(show_teams_of_user, user_id, organization_ids))
        session.reply.object(row);
}

Maybe<Text> role_in_team(Session &session, const TeamName &team)
{
    if (!session.caller.user_id)
        return {};
    const Rows rows = session.run(find_role, team.organization_id, team.team_id, *session.caller.user_id);
    return rows.empty() ? Maybe<Text>{} : rows[0].get<Text>(0);
}

Maybe<TeamName> find_team(Session &session, Text team_id, Maybe<Text> organization_id)
{
    Maybe<TeamName> found;
    for (const Text owner : session.run(find_organizations_of_team, team_id, organization_id).texts()) {
        const TeamName team{owner, team_id};
        const auto role = session.caller.reads_everything() ? Maybe<Text>{"org_admin"} : role_in(session, owner);
        if (!role || (role != "org_admin" && !role_in_team(session, team)))
            continue;
        if (found)
            refused("Several organizations have team_id=%.*s. Pass organization_id as well.", SHOW(team_id));
        found = team;
    }
    return found;
}

Texts lock_team(Session &session, const TeamName &team)
{
    const Rows rows = session.run(lock_one, team.organization_id, team.team_id);
    if (rows.empty())
        not_found("Team not found for team_id=%.*s", SHOW(team.team_id));
    return *rows[0].get<Texts>(0);
}

} // namespace pg_org

PG_ORG_FUNCTION(team_new)
{
    Session session{fcinfo, Access::write};
    const Text organization_id = required(session.next<Text>(), "organization_id");
    const auto team_alias = session.next<Text>();
    const TeamName team{organization_id, identifier_or_new(session.next<Text>(), "team_id")};
    const auto models = text_list(session.next<Texts>(), "models");
    const auto members = read_members(session.next_json());
    const auto metadata = object(session.next<Json>(), "metadata");
    const auto max_budget = money(session.next<Number>(), "max_budget");
    const auto tpm_limit = limit(session.next<int64>(), "tpm_limit");
    const auto rpm_limit = limit(session.next<int64>(), "rpm_limit");
    const auto max_parallel_requests = limit(session.next<int64>(), "max_parallel_requests");
    const auto budget_duration = session.next<Text>();
    const auto budget_reset_at = from_now("budget_duration", budget_duration);
    const auto blocked = session.next<bool>();
    require_organization_admin(session, organization_id, "/team/new");

    const Organization organization = lock_organization(session, organization_id);
    if (models)
        if (const auto model = first_not_allowed(organization.models, *models))
            refused("Team model=%.*s is not among the models of Organization=%.*s: %s", SHOW(*model),
                    SHOW(organization_id), show_list(organization.models));
    const auto &caller_id = session.caller.user_id;
    if (session
            .run(insert_team, organization_id, team.team_id, team_alias, metadata, models, blocked, max_budget,
                 tpm_limit, rpm_limit, max_parallel_requests, budget_duration, budget_reset_at, caller_id)
            .empty())
        exists_already("Team already exists for team_id=%.*s", SHOW(team.team_id));
    for (const NewTeamMember &member : members)
        session.run(insert_team_member, organization_id, team.team_id,
                    find_member(session, organization_id, member.user_id, member.user_email), member.role, caller_id);

    session.reply.object(session.run(show_team, organization_id, team.team_id)[0]);
    return session.finish();
}

PG_ORG_FUNCTION(team_info)
{
    Session session{fcinfo, Access::read};
    const Text team_id = required(session.next<Text>(), "team_id");
    const auto team = find_team(session, team_id, session.next<Text>());
    if (!team)
        not_found("Team not found for team_id=%.*s", SHOW(team_id));

    Writer &reply = session.reply;
    reply.begin_object().key("team_id").value(team_id);
    reply.key("team_info").object(session.run(show_team, team->organization_id, team_id)[0]);
    reply.key("keys").begin_array();
    write_keys_of_team(session, *team);
    reply.end_array().key("team_memberships").begin_array();
    write_team_memberships(session, *team);
    reply.end_array().end_object();
    return session.finish();
}
