// Deciding what callers may do with keys.

#include "key_rights.hpp"

#include "base/fail.hpp"
#include "lock.hpp"
#include "person.hpp"
#include "team.hpp"

namespace pg_org {

namespace {

constinit Statement find_key{R"(
    SELECT key_id, organization_id, user_id, permissions <> '{}'
      FROM org.api_key
     WHERE key_hash = $1
        OR key_id = $2)"};

constinit Statement lock_key{"SELECT key_id FROM org.api_key WHERE key_id = $1 FOR UPDATE"};

[[noreturn]] void forbid_keys(const Caller &caller)
{
    forbidden("Only admins of an organization can make keys for others or outside a team they belong to. "
              "Your role is = %s",
              role_name(caller.role));
}

// Whether the caller is a member making a key of their own within a team they belong to.
bool makes_own_key(Session &session, const NewKey &key)
{
    return key.team_id && key.user_id && key.user_id == session.caller.user_id &&
           role_in(session, *key.organization_id) == "internal_user" &&
           role_in_team(session, {*key.organization_id, *key.team_id});
}

// Proxy admins make any key, an organization's admins make keys inside it.
void require_maker(Session &session, const NewKey &key)
{
    const Caller &caller = session.caller;
    if (caller.is_proxy_admin())
        return;
    if (key.secret || !key.organization_id)
        forbid_keys(caller);
    if (!makes_own_key(session, key) && !administers(session, *key.organization_id))
        forbid_keys(caller);
}

} // namespace

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

NamedKey key_to_change(Session &session, Text key, Allowed allowed, const char *route)
{
    const Rows found = session.run(find_key, digest(key), key);
    NamedKey named{};
    if (!found.empty())
        named = {*found[0].get<Text>(0), found[0].get<Text>(1), found[0].get<Text>(2), *found[0].get<bool>(3)};
    if (!session.caller.is_proxy_admin() && !(named.organization_id && administers(session, *named.organization_id)) &&
        !(allowed == Allowed::key_user_too && is_own(session, named)))
        forbidden("You do not have the required role to perform %s on this key. Your role is = %s", route,
                  role_name(session.caller.role));
    if (found.empty())
        not_found("Key not found");
    return named;
}

NamedKey lock_key_to_change(Session &session, Text key, Allowed allowed, const char *route)
{
    const NamedKey named = key_to_change(session, key, allowed, route);
    if (named.organization_id) {
        session.audit_as(*named.organization_id);
        lock_organizations(session, Texts{&*named.organization_id, 1});
    }
    if (session.run(lock_key, named.key_id).empty())
        not_found("Key not found");
    session.look_up_caller_again();
    return key_to_change(session, named.key_id, allowed, route);
}

void resolve_owners(Session &session, NewKey &key)
{
    if (key.team_id) {
        const auto team = find_team(session, *key.team_id, key.organization_id);
        if (!team) {
            if (!session.caller.is_proxy_admin())
                forbid_keys(session.caller);
            no_such_reference("Team not found for team_id=%.*s", FMT_ARG(*key.team_id));
        }
        key.organization_id = team->organization_id;
    }
    // Without a user_id an admin makes a key of no user, anybody else one for themself.
    if (!key.user_id && !session.caller.is_proxy_admin() &&
        !(key.organization_id && administers(session, *key.organization_id)))
        key.user_id = session.caller.user_id;
    require_maker(session, key);
    if (key.organization_id)
        lock_organization(session, *key.organization_id);
    if (key.team_id)
        lock_team(session, *key.organization_id, *key.team_id);
    // The caller may have lost the right while waiting for the locks.
    require_maker(session, key);
    if (key.user_id && !session.caller.is_proxy_admin())
        require_member(session, *key.organization_id, *key.user_id);
    if (key.user_id)
        lock_user(session, *key.user_id);
}

void require_giver_of(const Caller &caller, const Maybe<Json> &permissions)
{
    if (permissions && !members(*permissions).empty() && !caller.is_proxy_admin())
        forbidden("Only proxy admins can give permissions to keys. Your role is = %s", role_name(caller.role));
}

bool is_delegated(const Caller &caller, const Maybe<Text> &user_id)
{
    return caller.delegated || (!caller.is_proxy_admin() && user_id != caller.user_id);
}

Maybe<Texts> visible_organizations(Session &session)
{
    return session.caller.reads_everything() ? Maybe<Texts>{} : administered_organizations(session);
}

} // namespace pg_org
