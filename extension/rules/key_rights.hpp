// What callers may do with keys, and the keys that requests name.
#pragma once

#include "key.hpp"

namespace pg_org {

// A key that a request names by its secret or its token_id.
struct NamedKey {
    Text key_id;
    Maybe<Text> organization_id, user_id;
    bool has_permissions;
};

// The callers that may change a key: proxy admins and admins of its organization, or its user, too.
enum class Allowed { admins, key_user_too };

// The key, if the caller may do this to it; after that, locked behind its organization. This is where the rights to a
// key are decided.
NamedKey key_to_change(Session &session, Text key, Allowed allowed, const char *route);
NamedKey lock_key_to_change(Session &session, Text key, Allowed allowed, const char *route);

// Whether the key is the caller's own.
bool is_own(Session &session, const NamedKey &key);

// Completes the user, team and organization of the key, locks them and checks that the caller may make it.
void resolve_owners(Session &session, NewKey &key);

// A key with permissions acts for others, which only a proxy admin may grant.
void require_giver_of(const Caller &caller, const Maybe<Json> &permissions);

// A key that somebody else made for the user, or that such a key made, does not carry the user's role on the platform.
bool is_delegated(const Caller &caller, const Maybe<Text> &user_id);

// Keys that the caller sees: $1 is null for all, else the organizations they administer; $2 is who they are and $3
// the organization that their key is confined to.
#define VISIBLE_KEYS                                                                                                   \
    "  FROM org.api_key k"                                                                                             \
    " WHERE ($1 IS NULL OR k.organization_id = ANY ($1)"                                                               \
    "        OR (k.user_id = $2 AND ($3 IS NULL OR k.organization_id = $3)))"

// The organizations whose keys the caller sees; none means all.
Maybe<Texts> visible_organizations(Session &session);

} // namespace pg_org
