// Deciding what callers may do with keys.

#include "key_rights.hpp"

#include "base/fail.hpp"
#include "lock.hpp"
#include "people.hpp"
#include "team_rights.hpp"

namespace pg_org {

namespace {

constinit Statement find_named_key{R"(
    SELECT key_id, organization_id, team_id, user_id, budget_id, key_alias, permissions <> '{}'
      FROM org.api_key
     WHERE key_hash = $1
        OR key_id = $2)"};

constinit Statement share_membership{
    "SELECT FROM org.membership WHERE organization_id = $1 AND user_id = $2 FOR KEY SHARE"};

constinit Statement find_alias_in_organization{
    "SELECT FROM org.api_key WHERE key_alias = $1 AND organization_id = $2 AND ($3 IS NULL OR key_id <> $3) LIMIT 1"};

constinit Statement find_alias_of_user{R"(
    SELECT
      FROM org.api_key
     WHERE key_alias = $1
       AND organization_id IS NULL
       AND user_id IS NOT DISTINCT FROM $2
       AND ($3 IS NULL OR key_id <> $3)
     LIMIT 1)"};

// No lock of a row keeps two keys outside organizations from getting the same alias.
constinit Statement lock_alias{"SELECT pg_advisory_xact_lock(hashtextextended(concat_ws('/', $2, $1), 1634493811))"};

[[noreturn]] void forbid_keys(const Caller &caller)
{
    forbidden("You are not allowed to make this key: only admins can make keys for others, or in an organization "
              "outside their own teams. Your role is = %s",
              role_name(caller.role));
}

// Whether the caller is an internal user making a key for themself, outside organizations and with a key that is not
// confined to one.
bool makes_personal_key(const Caller &caller, const NewKey &key)
{
    return !key.organization_id && key.user_id && key.user_id == caller.user_id && !caller.organization_id &&
           !caller.delegated && caller.role == Role::internal_user;
}

// The team of a key, a named or a new one, that has a team.
template <typename Key> TeamName team_of(const Key &key)
{
    return {key.organization_id.value_or(Text{}), *key.team_id};
}

// A team's key of nobody in particular is one of a service.
const char *route_to_make(const NewKey &key) { return key.user_id ? "/key/generate" : "/key/service-account/generate"; }

// Whether the caller may make the key in its team: the team's admins for its members, who make keys for themselves if
// the team permits it.
bool makes_key_of_team(Session &session, const NewKey &key)
{
    const TeamName team = team_of(key);
    const bool is_for_others = key.user_id && key.user_id != session.caller.user_id;
    if (!is_for_others)
        return may_with_keys_of(session, team, route_to_make(key));
    return has_right(session, team, TeamRight::team_admin) && is_in_team(session, team, *key.user_id);
}

} // namespace

bool may_make(Session &session, const NewKey &key)
{
    if (session.caller.is_proxy_admin())
        return true;
    if (key.secret)
        return false;
    if (key.organization_id && administers(session, *key.organization_id))
        return true;
    return key.team_id ? makes_key_of_team(session, key) : makes_personal_key(session.caller, key);
}

bool may_change(Session &session, const NamedKey &key, Allowed allowed, const char *route)
{
    if (session.caller.is_proxy_admin() || (key.organization_id && administers(session, *key.organization_id)))
        return true;
    if (allowed == Allowed::key_user_too && is_own(session, key))
        return true;
    return key.team_id && may_with_keys_of(session, team_of(key), route);
}

bool is_own(Session &session, const NamedKey &key)
{
    const Caller &caller = session.caller;
    if (!key.user_id || key.user_id != caller.user_id || caller.role != Role::internal_user)
        return false;
    if (!key.organization_id)
        return !caller.organization_id;
    const auto role = role_in(session, *key.organization_id);
    return role == "internal_user" || role == "org_admin";
}

Maybe<NamedKey> find_key(Session &session, Text key)
{
    const Rows found = session.run(find_named_key, digest(key), key);
    if (found.empty())
        return {};
    const Row row = found[0];
    return NamedKey{*row.get<Text>(0), row.get<Text>(1), row.get<Text>(2), row.get<Text>(3),
                    row.get<Text>(4),  row.get<Text>(5), *row.get<bool>(6)};
}

NamedKey key_to_change(Session &session, Text key, Allowed allowed, const char *route)
{
    const auto named = find_key(session, key);
    if (named && named->team_id && !may_change(session, *named, allowed, route))
        require_permission_of_team(session, team_of(*named), route);
    if (!may_change(session, named.value_or(NamedKey{}), allowed, route))
        forbidden("You are not allowed to perform %s on this key. Your role is = %s", route,
                  role_name(session.caller.role));
    if (!named)
        not_found("Key not found");
    return *named;
}

void require_maker(Session &session, const NewKey &key)
{
    if (may_make(session, key))
        return;
    if (key.team_id && !key.secret)
        require_permission_of_team(session, team_of(key), route_to_make(key));
    forbid_keys(session.caller);
}

void resolve_team(Session &session, NewKey &key)
{
    if (!key.team_id)
        return;
    const auto team = find_team(session, *key.team_id, key.organization_id);
    if (!team) {
        if (!session.caller.is_proxy_admin())
            forbid_keys(session.caller);
        no_such_reference("Team not found for team_id=%.*s", FMT_ARG(*key.team_id));
    }
    key.organization_id = not_empty(team->organization_id);
}

void resolve_owners(Session &session, NewKey &key)
{
    resolve_team(session, key);
    require_maker(session, key);
    if (key.organization_id)
        lock_organization(session, *key.organization_id);
    if (key.team_id)
        lock_team_of(session, key);
    // The caller may have lost the right while waiting for the locks.
    require_maker(session, key);
    lock_key_user(session, key);
}

void lock_team_of(Session &session, const NewKey &key)
{
    if (key.organization_id)
        lock_team(session, *key.organization_id, *key.team_id);
    else
        lock_team_to_write(session, {}, *key.team_id);
}

void lock_key_user(Session &session, const NewKey &key)
{
    if (!key.user_id)
        return;
    const Text user_id = identifier(key.user_id, "user_id");
    if (session.caller.is_proxy_admin())
        make_user(session, user_id);
    else if (key.organization_id && session.run(share_membership, *key.organization_id, user_id).empty())
        no_such_reference("Member not found in organization for user_id=%.*s", FMT_ARG(user_id));
    lock_user(session, user_id);
}

void require_giver_of(const Caller &caller, const Maybe<Json> &permissions)
{
    if (permissions && !members(*permissions).empty() && !caller.is_proxy_admin())
        forbidden("You are not allowed to give permissions to keys, only proxy admins are. Your role is = %s",
                  role_name(caller.role));
}

bool is_delegated(const Caller &caller, const Maybe<Text> &user_id)
{
    return caller.delegated || (!caller.is_proxy_admin() && user_id != caller.user_id);
}

void require_free_alias(Session &session, const NewKey &key, Maybe<Text> key_id)
{
    if (!key.key_alias)
        return;
    if (!key.organization_id)
        session.run(lock_alias, *key.key_alias, key.user_id);
    const Rows taken = key.organization_id
                           ? session.run(find_alias_in_organization, *key.key_alias, *key.organization_id, key_id)
                           : session.run(find_alias_of_user, *key.key_alias, key.user_id, key_id);
    if (!taken.empty())
        refused("Key with alias '%.*s' already exists.", FMT_ARG(*key.key_alias));
}

Maybe<Texts> overseen_organizations(Session &session)
{
    return session.caller.reads_everything() ? Maybe<Texts>{} : administered_organizations(session);
}

} // namespace pg_org
