// Rights of teams' admins and members.

#include "team_rights.hpp"

#include "base/fail.hpp"
#include "lock.hpp"

namespace pg_org {

namespace {

constinit Statement find_role{
    "SELECT role FROM org.team_member WHERE organization_id = $1 AND team_id = $2 AND user_id = $3"};

constinit Statement find_permissions{
    "SELECT team_member_permissions FROM org.team WHERE organization_id = $1 AND team_id = $2"};

constexpr std::array<Text, 12> permissions{"/key/generate",   "/key/service-account/generate",
                                           "/key/update",     "/key/delete",
                                           "/key/regenerate", "/key/block",
                                           "/key/unblock",    "/key/info",
                                           "/key/list",       "/key/health",
                                           "/key/aliases",    "/team/daily/activity"};

[[noreturn]] void forbid(const Caller &caller, Text team_id, const char *route)
{
    forbidden("User not allowed to perform %s on Team %.*s. Your role is %s", route, FMT_ARG(team_id),
              role_name(caller.role));
}

// Refuses a member of the team, by the name of the permission that the team does not give.
[[noreturn]] void refuse_member(Text team_id, const char *route)
{
    Refusal refused = refusal(errcode_team_permission, nullptr,
                              "Team member does not have permissions for endpoint: %s. You only have access to the "
                              "endpoints that team_id=%.*s permits its members",
                              route, FMT_ARG(team_id));
    refused.hint = "An admin of the team can permit it with POST /team/permissions_update.";
    raise(refused);
}

// Whether the caller may change anything in the team's organization.
bool writes_in_organization(Session &session, const TeamName &team)
{
    return team.is_of_platform() || role_in(session, team.organization_id) == "internal_user";
}

// The role in the team of a caller who may change something there, if the team permits it.
Maybe<Text> role_of_writer(Session &session, const TeamName &team)
{
    const bool writes = session.caller.role == Role::internal_user && writes_in_organization(session, team);
    return writes ? role_in_team(session, team) : Maybe<Text>{};
}

} // namespace

Maybe<Text> role_in_team(Session &session, const TeamName &team)
{
    const Caller &caller = session.caller;
    if (!caller.user_id || (caller.organization_id && *caller.organization_id != team.organization_id))
        return {};
    const Rows rows = session.run(find_role, team.organization_id, team.team_id, *caller.user_id);
    return rows.empty() ? Maybe<Text>{} : rows[0].get<Text>(0);
}

bool is_in_team(Session &session, const TeamName &team, Text user_id)
{
    return !session.run(find_role, team.organization_id, team.team_id, user_id).empty();
}

bool has_right(Session &session, const TeamName &team, TeamRight right)
{
    const Caller &caller = session.caller;
    if (caller.is_proxy_admin() || (!team.is_of_platform() && administers(session, team.organization_id)))
        return true;
    const bool for_team_admins =
        right == TeamRight::team_admin || (right == TeamRight::remove && team.is_of_platform());
    return for_team_admins && role_of_writer(session, team) == "admin";
}

TeamName team_to_change(Session &session, Text team_id, Maybe<Text> organization_id, TeamRight right, const char *route)
{
    const auto team = find_team(session, team_id, organization_id);
    if (!team && session.caller.is_proxy_admin())
        not_found("Team not found for team_id=%.*s", FMT_ARG(team_id));
    if (!team || !has_right(session, *team, right))
        forbid(session.caller, team_id, route);
    return *team;
}

TeamName lock_team_to_change(Session &session, Text team_id, Maybe<Text> organization_id, TeamRight right,
                             const char *route)
{
    const TeamName team = team_to_change(session, team_id, organization_id, right, route);
    if (!team.is_of_platform())
        lock_organization(session, team.organization_id);
    lock_team_to_write(session, team.organization_id, team_id);
    // The caller may have lost the right while waiting for the locks.
    if (!has_right(session, team, right))
        forbid(session.caller, team_id, route);
    return team;
}

std::span<const Text> known_team_permissions() { return permissions; }

Texts permissions_of(Session &session, const TeamName &team)
{
    const Rows rows = session.run(find_permissions, team.organization_id, team.team_id);
    return rows.empty() ? Texts{} : *rows[0].get<Texts>(0);
}

Maybe<Texts> team_permissions(Maybe<Texts> list, const char *name)
{
    if (!text_list(list, name))
        return {};
    for (const Text permission : *list)
        if (std::ranges::find(permissions, permission) == permissions.end()) {
            Refusal refused = invalid_value(name, "must be routes that a team can permit its members to call");
            refused.hint = "GET /team/permissions_list returns them as all_available_permissions.";
            raise(refused);
        }
    return list;
}

bool may_with_keys_of(Session &session, const TeamName &team, Text route)
{
    if (has_right(session, team, TeamRight::team_admin))
        return true;
    if (!role_of_writer(session, team))
        return false;
    const Texts permitted = permissions_of(session, team);
    return std::ranges::find(permitted, route) != permitted.end();
}

void require_right_with_keys_of(Session &session, Text team_id, const char *route)
{
    const auto team = find_team(session, team_id, {});
    if (team && may_with_keys_of(session, *team, route))
        return;
    if (team && role_of_writer(session, *team))
        refuse_member(team_id, route);
    forbid(session.caller, team_id, route);
}

void require_permission_of_team(Session &session, const TeamName &team, const char *route)
{
    if (role_of_writer(session, team) && !may_with_keys_of(session, team, route))
        refuse_member(team.team_id, route);
}

void warm_up_team_rights(Session &session, Text nobody)
{
    session.run(find_role, nobody, nobody, nobody);
    session.run(find_permissions, nobody, nobody);
}

} // namespace pg_org
