// Taking locks.

#include "lock.hpp"

#include "base/fail.hpp"

namespace pg_org {

namespace {

constinit Statement lock_one_organization{R"(
    SELECT budget_id, metadata, model_aliases, quotas
      FROM org.organization
     WHERE organization_id = $1
       FOR NO KEY UPDATE)"};

constinit Statement lock_several_organizations{R"(
    SELECT organization_id
      FROM org.organization
     WHERE organization_id = ANY ($1)
     ORDER BY organization_id
       FOR NO KEY UPDATE)"};

constinit Statement lock_more_organizations{R"(
    SELECT organization_id
      FROM org.organization
     WHERE organization_id = ANY ($1)
     ORDER BY organization_id
       FOR NO KEY UPDATE SKIP LOCKED)"};

constinit Statement lock_several_budgets{
    "SELECT budget_id FROM org.budget WHERE budget_id = ANY ($1) ORDER BY budget_id FOR UPDATE"};

constinit Statement lock_one_team{"SELECT FROM org.team WHERE organization_id = $1 AND team_id = $2 FOR KEY SHARE"};

constinit Statement find_team_anywhere{"SELECT FROM org.team WHERE team_id = $1"};

constinit Statement lock_one_team_to_write{
    "SELECT FROM org.team WHERE organization_id = $1 AND team_id = $2 FOR NO KEY UPDATE"};

constinit Statement lock_several_platform_teams{R"(
    SELECT team_id
      FROM org.team
     WHERE organization_id = ''
       AND team_id = ANY ($1)
     ORDER BY team_id
       FOR NO KEY UPDATE)"};

constinit Statement lock_one_user{R"(SELECT FROM org."user" WHERE user_id = $1 FOR KEY SHARE)"};

constinit Statement lock_all_names{R"(
    SELECT pg_advisory_xact_lock(hash)
      FROM (SELECT DISTINCT hashtextextended(org.folded(btrim(name)), 1869768034) AS hash
              FROM unnest($1) AS name
             ORDER BY hash) AS sorted)"};

constinit Statement lock_named_users{R"(
    SELECT
      FROM org."user"
     WHERE user_id IN
           (SELECT user_id
              FROM org."user"
             WHERE user_id = ANY ($1)
             UNION
            SELECT user_id
              FROM org."user" u
              JOIN unnest($1) AS name ON org.folded(btrim(u.user_email)) = org.folded(btrim(name)))
     ORDER BY user_id
       FOR KEY SHARE)"};

// Refuses a team that is not where it was found: it has been deleted, or somebody has just moved it.
[[noreturn]] void refuse_lost_team(Session &session, Text team_id)
{
    if (!session.run(find_team_anywhere, team_id).empty())
        busy();
    not_found("Team not found for team_id=%.*s", FMT_ARG(team_id));
}

} // namespace

Organization lock_organization(Session &session, Text organization_id)
{
    session.audit_as(organization_id);
    const Rows rows = session.run(lock_one_organization, organization_id);
    session.look_up_caller_again();
    if (rows.empty())
        not_found("Organization not found for organization_id=%.*s", FMT_ARG(organization_id));
    return {*rows[0].get<Text>(0), *rows[0].get<Json>(1), *rows[0].get<Json>(2), *rows[0].get<Json>(3)};
}

Organization lock_organization_as_admin(Session &session, Text organization_id, const char *route)
{
    require_organization_admin(session, organization_id, route);
    const Organization organization = lock_organization(session, organization_id);
    require_organization_admin(session, organization_id, route);
    return organization;
}

Texts lock_organizations(Session &session, Texts organization_ids)
{
    const Texts locked = session.run(lock_several_organizations, organization_ids).texts();
    session.look_up_caller_again();
    return locked;
}

void require_organizations_locked(Session &session, Texts organization_ids)
{
    if (session.run(lock_more_organizations, organization_ids).size() < organization_ids.size())
        busy();
}

Texts lock_budgets(Session &session, Texts budget_ids) { return session.run(lock_several_budgets, budget_ids).texts(); }

void lock_team(Session &session, Text organization_id, Text team_id)
{
    if (session.run(lock_one_team, organization_id, team_id).empty())
        refuse_lost_team(session, team_id);
}

void lock_team_to_write(Session &session, Text organization_id, Text team_id)
{
    const Rows rows = session.run(lock_one_team_to_write, organization_id, team_id);
    session.look_up_caller_again();
    if (rows.empty())
        refuse_lost_team(session, team_id);
}

Texts lock_platform_teams(Session &session, Texts team_ids)
{
    const Texts locked = session.run(lock_several_platform_teams, team_ids).texts();
    session.look_up_caller_again();
    return locked;
}

void lock_user(Session &session, Text user_id)
{
    if (session.run(lock_one_user, user_id).empty())
        no_such_reference("User not found for user_id=%.*s", FMT_ARG(user_id));
}

void lock_names(Session &session, Texts names) { session.run(lock_all_names, names); }

void lock_user_names(Session &session, Texts names)
{
    lock_names(session, names);
    session.run(lock_named_users, names);
    session.look_up_caller_again();
}

} // namespace pg_org
