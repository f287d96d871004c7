// Moving teams between organizations and the platform.

#include "team_move.hpp"

#include "base/fail.hpp"
#include "lock.hpp"
#include "people.hpp"
#include "quota.hpp"
#include "team_rights.hpp"

namespace pg_org {

namespace {

constinit Statement find_members{R"(
    SELECT user_id
      FROM org.team_member tm
     WHERE organization_id = $1
       AND team_id = $2
       AND NOT EXISTS (SELECT
                         FROM org.membership m
                        WHERE m.organization_id = $3
                          AND m.user_id = tm.user_id)
     ORDER BY user_id)"};

constinit Statement count_keys{"SELECT count(*) FROM org.api_key WHERE team_id = $1", Planned::each_time};

constinit Statement find_key_with_permissions{
    "SELECT key_id FROM org.api_key WHERE team_id = $1 AND permissions <> '{}' ORDER BY key_id LIMIT 1",
    Planned::each_time};

// Counters, and counts of refusals, stay where the calls were counted, which is nobody's place any more.
constinit Statement delete_counters{R"(
    WITH refusals AS (
        DELETE FROM org.usage_refusal
         WHERE organization_id = $1
           AND (team_id = $2 OR key_id IN (SELECT key_id FROM org.api_key WHERE team_id = $2)))
    DELETE FROM org.usage_counter
     WHERE organization_id = $1
       AND (team_id = $2 OR key_id IN (SELECT key_id FROM org.api_key WHERE team_id = $2)))"};

// One statement, so that foreign keys are checked when all rows are moved. spend is that of the calls which were made
// in the organization: of a team that moves back.
constinit Statement move_rows{R"(
    WITH spent AS MATERIALIZED (
        SELECT user_id, key_id, cost, reserved_at
          FROM org.usage_settled
         WHERE organization_id = $3
           AND team_id = $2
    ), moved_team AS (
        UPDATE org.team
           SET organization_id = $3, updated_at = greatest(now(), created_at), updated_by = $4,
               spend = (SELECT coalesce(sum(cost), 0) FROM spent WHERE reserved_at >= created_at)
         WHERE organization_id = $1
           AND team_id = $2
    ), moved_members AS (
        UPDATE org.team_member tm
           SET organization_id = $3,
               spend = (SELECT coalesce(sum(cost), 0)
                          FROM spent
                         WHERE spent.user_id = tm.user_id
                           AND reserved_at >= tm.created_at)
         WHERE organization_id = $1
           AND team_id = $2
    )
    UPDATE org.api_key k
       SET organization_id = nullif($3, ''), updated_at = greatest(now(), created_at), updated_by = $4,
           spend = (SELECT coalesce(sum(cost), 0)
                      FROM org.usage_settled c
                     WHERE c.organization_id = $3
                       AND c.key_id = k.key_id
                       AND c.reserved_at >= k.created_at)
     WHERE team_id = $2)",
                              Planned::each_time};

// Makes the team's members also members of the organization, if it has room for all that the team has.
void make_room(Session &session, const TeamName &team, Text organization_id)
{
    require_room_for_team(session, organization_id);
    const Texts newcomers = session.run(find_members, team.organization_id, team.team_id, organization_id).texts();
    require_room_for_members(session, organization_id, newcomers);
    for (const Text user_id : newcomers) {
        CHECK_FOR_INTERRUPTS();
        upsert_membership(session, organization_id, user_id, "internal_user");
    }
    require_room_for_keys(session, organization_id, *session.run(count_keys, team.team_id)[0].get<int64>(0));
}

// The permissions of an organization's keys are limited to it: on the platform they would hold for all organizations.
void require_no_permissions(Session &session, const TeamName &team)
{
    const Rows keys = session.run(find_key_with_permissions, team.team_id);
    if (!keys.empty())
        refused("A key of Team %.*s has permissions, which outside its organization would hold for all. Please take "
                "them away first: token_id=%.*s",
                FMT_ARG(team.team_id), FMT_ARG(*keys[0].get<Text>(0)));
}

} // namespace

TeamName lock_team_to_move(Session &session, Text team_id, Text organization_id)
{
    const TeamName team = team_to_change(session, team_id, {}, TeamRight::owner, "/team/update");
    if (!session.caller.is_proxy_admin())
        forbidden("User not allowed to move Team %.*s to another organization. Your role is %s", FMT_ARG(team_id),
                  role_name(session.caller.role));
    const std::array organizations{team.organization_id, organization_id};
    const Texts locked = lock_organizations(session, organizations);
    if (!organization_id.empty() && !std::ranges::binary_search(locked, organization_id))
        no_such_reference("Organization not found for organization_id=%.*s", FMT_ARG(organization_id));
    lock_team_to_write(session, team.organization_id, team_id);
    return team;
}

TeamName move_team(Session &session, const TeamName &team, Text organization_id)
{
    session.audit_as(organization_id);
    if (organization_id.empty())
        require_no_permissions(session, team);
    else
        make_room(session, team, organization_id);
    session.run(delete_counters, team.organization_id, team.team_id);
    session.run(move_rows, team.organization_id, team.team_id, organization_id, session.caller.user_id);
    return {organization_id, team.team_id};
}

} // namespace pg_org
