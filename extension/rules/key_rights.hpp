// What callers may do with keys, and the keys that requests name.
#pragma once

#include "key.hpp"

namespace pg_org {

// A key that a request names by its secret or its token_id.
struct NamedKey {
    Text key_id;
    Maybe<Text> organization_id, team_id, user_id, budget_id, key_alias;
    bool has_permissions;
};

// The callers that may change a key: proxy admins and admins of its organization, or its user, too.
enum class Allowed { admins, key_user_too };

// The two places where rights to keys are decided: whether the caller may do with a key what the route does, and
// whether they may make one for these owners, or move one to them.
bool may_change(Session &session, const NamedKey &key, Allowed allowed, const char *route);
bool may_make(Session &session, const NewKey &key);

// The key, if it exists and the caller may do this to it. To those who may not, an unknown key looks like one of
// others.
NamedKey key_to_change(Session &session, Text key, Allowed allowed, const char *route);
// The key of that secret or token_id, whoever asks.
Maybe<NamedKey> find_key(Session &session, Text key);

// Whether the key is the caller's own.
bool is_own(Session &session, const NamedKey &key);

// Refuses a caller that may not make the key.
void require_maker(Session &session, const NewKey &key);
// Completes the team's organization.
void resolve_team(Session &session, NewKey &key);
// Completes the user, team and organization of the key, locks them and checks that the caller may make it.
void resolve_owners(Session &session, NewKey &key);
// Locks the team of a key that has one.
void lock_team_of(Session &session, const NewKey &key);
// Locks the user to whom a key shall belong, who must be a member of its organization unless a proxy admin says so; a
// proxy admin's unknown user is made.
void lock_key_user(Session &session, const NewKey &key);

// A key with permissions acts for others, which only a proxy admin may grant.
void require_giver_of(const Caller &caller, const Maybe<Json> &permissions);

// A key that somebody else made for the user, or that such a key made, does not carry the user's role on the platform.
bool is_delegated(const Caller &caller, const Maybe<Text> &user_id);

// Refuses an alias that another key of the organization has; outside organizations, of the user. The organization is
// locked.
void require_free_alias(Session &session, const NewKey &key, Maybe<Text> key_id);

// Keys that the caller sees: $1 is null for all, else the organizations they administer; $2 is who they are and $3
// the organization that their key is confined to.
#define VISIBLE_KEYS "  FROM org.api_key k WHERE " SEES_KEY

// The organizations inside which the caller sees all keys and calls; none means all.
Maybe<Texts> overseen_organizations(Session &session);

} // namespace pg_org
