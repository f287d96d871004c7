// Finding the caller of a key, and the roles of a caller.

#include "caller.hpp"

#include "fail.hpp"
#include "session.hpp"

namespace pg_org {

namespace {

constexpr std::array<const char *, 4> role_names{"proxy_admin", "proxy_admin_viewer", "internal_user",
                                                 "internal_user_viewer"};

constinit Statement find_key{R"(
    SELECT k.user_id, k.organization_id, k.team_id, k.models, k.blocked, k.expires, k.delegated, u.user_role,
           k.key_id, k.permissions, k.created_by, k.allowed_routes
      FROM org.api_key k LEFT JOIN org."user" u USING (user_id)
     WHERE k.key_hash = $1)"};

// A replaced secret works until the end of its grace period.
constinit Statement find_replaced_key{R"(
    SELECT k.user_id, k.organization_id, k.team_id, k.models, k.blocked, least(k.expires, k.previous_expires),
           k.delegated, u.user_role, k.key_id, k.permissions, k.created_by, k.allowed_routes
      FROM org.api_key k LEFT JOIN org."user" u USING (user_id)
     WHERE k.previous_key_hash = $1)"};

constinit Statement find_blocked_owners{R"(
    SELECT (SELECT blocked FROM org.organization WHERE organization_id = $1),
           (SELECT blocked FROM org.team WHERE team_id = $2))"};

constinit Statement find_membership{"SELECT user_role FROM org.membership WHERE organization_id = $1 AND user_id = $2"};

constinit Statement find_organizations{R"(
    SELECT organization_id FROM org.membership
     WHERE user_id = $1 AND ($2 IS NULL OR organization_id = $2) AND (user_role = 'org_admin' OR NOT $3)
     ORDER BY organization_id)"};

// Proxy admins are exempt, because they must be able to unblock.
void require_owners_not_blocked(Session &session, const Caller &caller)
{
    if ((!caller.organization_id && !caller.team_id) || caller.is_proxy_admin())
        return;
    const Row owners = session.run(find_blocked_owners, caller.organization_id, caller.team_id)[0];
    if (owners.get<bool>(1).value_or(false))
        raise(blocked_team(*caller.team_id));
    if (owners.get<bool>(0).value_or(false))
        raise(blocked_organization(*caller.organization_id));
}

[[noreturn]] void forbid(const Maybe<Text> &role, Text organization_id, const char *route)
{
    if (!role)
        forbidden("You do not have a role within the selected organization. Passed organization_id: %.*s. "
                  "Please contact the organization admin to request access.",
                  FMT_ARG(organization_id));
    forbidden("You do not have the required role to perform %s in Organization %.*s. "
              "Your role is %.*s in Organization %.*s",
              route, FMT_ARG(organization_id), FMT_ARG(*role), FMT_ARG(organization_id));
}

} // namespace

bool have_same_rights(const Caller &one, const Caller &other)
{
    const auto rights = [](const Caller &caller) {
        return std::tuple{caller.role,    caller.key_id,    caller.user_id,      caller.organization_id,
                          caller.team_id, caller.delegated, caller.by_old_secret};
    };
    const auto same = [](const Maybe<Json> &a, const Maybe<Json> &b) {
        return a && b ? compareJsonbContainers(&a->get()->root, &b->get()->root) == 0 : !a && !b;
    };
    return rights(one) == rights(other) && std::ranges::equal(one.models, other.models) &&
           std::ranges::equal(one.allowed_routes, other.allowed_routes) && same(one.permissions, other.permissions);
}

const char *role_name(Role role) { return role_names[static_cast<size_t>(role)]; }

Maybe<Role> parse_role(Text name)
{
    for (size_t i = 0; i < role_names.size(); i++)
        if (name == role_names[i])
            return static_cast<Role>(i);
    return {};
}

Text hexadecimal(std::span<const uint8> bytes)
{
    char *hex = static_cast<char *>(palloc(2 * bytes.size()));
    hex_encode(reinterpret_cast<const char *>(bytes.data()), bytes.size(), hex);
    return {hex, 2 * bytes.size()};
}

Text digest(Text text)
{
    uint8 bytes[PG_SHA256_DIGEST_LENGTH];
    pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);
    if (context == nullptr || pg_cryptohash_init(context) < 0 ||
        pg_cryptohash_update(context, reinterpret_cast<const uint8 *>(text.data()), text.size()) < 0 ||
        pg_cryptohash_final(context, bytes, sizeof bytes) < 0)
        elog(ERROR, "could not compute a SHA-256 digest");
    pg_cryptohash_free(context);
    return hexadecimal(bytes);
}

Caller authenticate(Session &session, Text api_key)
{
    if (api_key.empty())
        key_required();
    if (!api_key.starts_with("sk-"))
        unauthenticated("Authentication Error, LiteLLM Virtual Key expected. Keys start with 'sk-'.");

    const Text key_hash = digest(api_key);
    Rows keys = session.run(find_key, key_hash);
    const bool by_old_secret = keys.empty();
    if (by_old_secret)
        keys = session.run(find_replaced_key, key_hash);
    if (keys.empty())
        raise(unknown_key());

    const Row key = keys[0];
    const bool delegated = *key.get<bool>(6);
    const Maybe<Text> user_role = delegated ? Maybe<Text>{} : key.get<Text>(7);
    const Caller caller{
        .role = user_role ? *parse_role(*user_role) : Role::internal_user,
        .key_id = key.get<Text>(8),
        // A key that a team's admin made for somebody speaks for them inside the team only, where they have no rights
        // that the team's keys do not have.
        .user_id = delegated && !key.get<Text>(1) ? Maybe<Text>{} : key.get<Text>(0),
        .organization_id = key.get<Text>(1),
        .team_id = key.get<Text>(2),
        .models = *key.get<Texts>(3),
        .allowed_routes = *key.get<Texts>(11),
        .delegated = delegated,
        .key_made_by = delegated ? key.get<Text>(10) : Maybe<Text>{},
        .by_old_secret = by_old_secret,
        .permissions = key.get<Json>(9),
    };
    if (*key.get<bool>(4))
        raise(blocked_key());
    const Maybe<Time> expires = key.get<Time>(5);
    if (expires && expires->value <= GetCurrentStatementStartTimestamp())
        raise(expired_key(*expires));
    require_owners_not_blocked(session, caller);
    return caller;
}

void warm_up_callers(Session &session, Text nobody)
{
    session.run(find_key, nobody);
    session.run(find_replaced_key, nobody);
    session.run(find_blocked_owners, Maybe<Text>{nobody}, Maybe<Text>{nobody});
    session.run(find_membership, nobody, nobody);
    session.run(find_organizations, nobody, Maybe<Text>{}, false);
}

Maybe<Text> role_in(Session &session, Text organization_id)
{
    const Caller &caller = session.caller;
    if (caller.organization_id && *caller.organization_id != organization_id)
        return {};
    if (!caller.user_id)
        return caller.organization_id ? Maybe<Text>{"internal_user"} : Maybe<Text>{};
    const Rows memberships = session.run(find_membership, organization_id, *caller.user_id);
    return memberships.empty() ? Maybe<Text>{} : memberships[0].get<Text>(0);
}

Texts organizations_of(Session &session)
{
    const Caller &caller = session.caller;
    if (caller.user_id)
        return session.run(find_organizations, *caller.user_id, caller.organization_id, false).texts();
    return caller.organization_id ? Texts{&*caller.organization_id, 1} : Texts{};
}

Texts administered_organizations(Session &session)
{
    const Caller &caller = session.caller;
    if (!caller.user_id)
        return {};
    return session.run(find_organizations, *caller.user_id, caller.organization_id, true).texts();
}

bool administers(Session &session, Text organization_id)
{
    return session.caller.is_proxy_admin() || role_in(session, organization_id) == "org_admin";
}

bool has_permission(Session &session, const char *permission)
{
    const Caller &caller = session.caller;
    if (caller.is_proxy_admin())
        return true;
    if (!caller.permissions)
        return false;
    const Value granted = to_value(*caller.permissions, "permissions").member(permission);
    return granted.raw().type == jbvBool && granted.raw().val.boolean;
}

Maybe<Texts> seen_inside(Session &session, const Text &organization_id)
{
    if (session.caller.reads_everything())
        return {};
    return organization_id.empty() ? Texts{} : Texts{&organization_id, 1};
}

void require_proxy_admin(Session &session, Text organization_id, const char *route)
{
    if (!session.caller.is_proxy_admin())
        forbid(role_in(session, organization_id), organization_id, route);
}

void require_organization_admin(Session &session, Text organization_id, const char *route)
{
    if (session.caller.is_proxy_admin())
        return;
    const Maybe<Text> role = role_in(session, organization_id);
    if (role != "org_admin")
        forbid(role, organization_id, route);
}

void require_reader(Session &session, Text organization_id)
{
    if (session.caller.reads_everything())
        return;
    const Maybe<Text> role = role_in(session, organization_id);
    if (!role)
        forbid(role, organization_id, "");
}

} // namespace pg_org
