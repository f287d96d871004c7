// Who is calling, and what may they do.
#pragma once

#include "types.hpp"

namespace pg_org {

class Session;

// A caller's role on the whole platform.
enum class Role { proxy_admin, proxy_admin_viewer, internal_user, internal_user_viewer };

struct Caller {
    Role role = Role::internal_user;
    Maybe<Text> key_id;          // none: the database role speaks for itself
    Maybe<Text> user_id;         // whose key it is
    Maybe<Text> organization_id; // the organization that the key belongs to and is confined to
    Maybe<Text> team_id;         // the team that the key belongs to
    Texts models;                // the key's; empty means all
    bool delegated = false;      // an organization's admin made the key for this user
    Maybe<Text> key_made_by;     // then: who
    bool by_old_secret = false;  // one that was replaced, in its time of grace
    Maybe<Json> permissions;     // the key's: what it may do besides

    bool is_proxy_admin() const { return role == Role::proxy_admin; }
    bool reads_everything() const { return role == Role::proxy_admin || role == Role::proxy_admin_viewer; }
};

// The user that the database role acts as when there is no key.
inline constexpr Text default_user_id = "default_user_id";

// Whether two callers may do the same.
bool have_same_rights(const Caller &one, const Caller &other);

// The caller whose key this is, or an error of class 28.
Caller authenticate(Session &session, Text api_key);

const char *role_name(Role role);
Maybe<Role> parse_role(Text name);

// The lower-case hexadecimal sha256 of a text: all that is stored of a key.
Text digest(Text text);
// The bytes in lower-case hexadecimal.
Text hexadecimal(std::span<const uint8> bytes);

// The caller's role inside an organization, none if it is not theirs.
Maybe<Text> role_in(Session &session, Text organization_id);
// The organizations that the caller has a role in.
Texts organizations_of(Session &session);
// Those of them that the caller administers as org_admin.
Texts administered_organizations(Session &session);
// Whether the caller administers the organization: as its org_admin or as proxy admin.
bool administers(Session &session, Text organization_id);

// Whether the caller's key holds the permission; proxy admins have all of them.
bool has_permission(Session &session, const char *permission);

// The organizations whose things may be shown to a caller who works inside one: that one, for those who read
// everything all (none).
Maybe<Texts> seen_inside(Session &session, const Text &organization_id);

// Each of these returns if the caller may, and refuses otherwise. An organization that does not exist is refused
// like one that is not theirs, so only proxy admins (and viewers, for reading) come through for it.
void require_proxy_admin(Session &session, Text organization_id, const char *route);
void require_organization_admin(Session &session, Text organization_id, const char *route);
void require_reader(Session &session, Text organization_id);

// See warm_up.
void warm_up_callers(Session &session, Text nobody);

} // namespace pg_org
