// The caller of a function, and what the caller may do.
#pragma once

#include "types.hpp"

namespace pg_org {

class Session;

// A caller's role on the whole platform.
enum class Role { proxy_admin, proxy_admin_viewer, internal_user, internal_user_viewer };

struct Caller {
    Role role = Role::internal_user;
    Maybe<Text> key_id;          // none: the database role calls without a key
    Maybe<Text> user_id;         // the key's user
    Maybe<Text> organization_id; // the organization to which the key belongs and is confined
    Maybe<Text> team_id;         // the team to which the key belongs
    Texts models;                // the key's; empty: all
    Texts allowed_routes;        // likewise
    bool delegated = false;      // an organization's admin made the key for the user
    Maybe<Text> key_made_by;     // that admin, if delegated
    bool by_old_secret = false;  // a replaced secret in its grace period
    Maybe<Json> permissions;     // further rights of the key

    bool is_proxy_admin() const { return role == Role::proxy_admin; }
    bool reads_everything() const { return role == Role::proxy_admin || role == Role::proxy_admin_viewer; }
};

// The user that the database role acts as when there is no key.
inline constexpr Text default_user_id = "default_user_id";

// Whether both callers have the same rights.
bool have_same_rights(const Caller &one, const Caller &other);

// The caller with this key, or an error of class 28.
Caller authenticate(Session &session, Text api_key);

const char *role_name(Role role);
Maybe<Role> parse_role(Text name);

// The SHA-256 digest of a text in lower-case hexadecimal; of a key's secret nothing else is stored.
Text digest(Text text);
// The bytes in lower-case hexadecimal.
Text hexadecimal(std::span<const uint8> bytes);

// The caller's role in an organization, if any.
Maybe<Text> role_in(Session &session, Text organization_id);
// The organizations in which the caller has a role.
Texts organizations_of(Session &session);
// The organizations in which the caller is org_admin.
Texts administered_organizations(Session &session);
// Whether the caller is org_admin of the organization, or a proxy admin.
bool administers(Session &session, Text organization_id);

// Whether the caller's key has the permission; proxy admins have every permission.
bool has_permission(Session &session, const char *permission);

// The organizations whose data a call about one organization (empty: of none) may show: only that one, or all (none) to
// callers who read everything.
Maybe<Texts> seen_inside(Session &session, const Text &organization_id);

// Each of these refuses a caller without the right. An organization that does not exist is refused like a foreign one,
// so only proxy admins (and viewers, for reading) learn that it does not exist.
void require_proxy_admin(Session &session, Text organization_id, const char *route);
void require_organization_admin(Session &session, Text organization_id, const char *route);
void require_reader(Session &session, Text organization_id);

// See warm_up.
void warm_up_callers(Session &session, Text nobody);

} // namespace pg_org
