// Keys, as the other rooms need them.
#pragma once

#include "budget.hpp"
#include "kept.hpp"

namespace pg_org {

// Whether the caller sees the key k: $1 is null for all, else the organizations they administer; $2 is who they are and
// $3 the organization that their key is confined to.
#define SEES_KEY                                                                                                       \
    "($1 IS NULL OR k.organization_id = ANY ($1)"                                                                      \
    " OR (k.user_id = $2 AND ($3 IS NULL OR k.organization_id = $3)))"

// A key to be made.
struct NewKey {
    Maybe<Text> secret; // none: a random one
    Maybe<Text> user_id, organization_id, team_id, key_alias;
    Maybe<Texts> models;
    Maybe<Time> expires;
    Maybe<Json> metadata, permissions;
    OwnLimits limits{short_limits_of_keys};
    Maybe<bool> blocked;
    Maybe<Text> budget_id;
    Maybe<Texts> allowed_routes, tags;
    Maybe<Json> aliases;
    JsonFieldsChange kept{kept_of_keys};
};

// A key that was made, the only time that its secret is known.
struct CreatedKey {
    Text secret, key_id;
};

CreatedKey create_key(Session &session, const NewKey &key);
// Refuses the limits that a key has after such a change, if two are the same or they are too many.
void require_valid_limits_of_key(Session &session, Text key_id, const OwnLimits &change);

// An object of booleans. Unknown permissions are kept, since clients of LiteLLM have some of their own.
Maybe<Json> permissions_object(Maybe<Json> value, const char *name);

// A secret that the caller chooses, or an error naming the argument.
Maybe<Text> chosen_secret(Maybe<Text> secret, const char *name);

// When a key expires that works for a duration from now; -1 means never.
struct Expiry {
    bool never;
    Maybe<Time> at;
};
Expiry read_expiry(Maybe<Text> duration, const char *name);

// Refuses a budget beside limits of spend of the key itself.
void require_no_own_budget(Text budget_id, const OwnLimits &limits);

// The secret without its middle, to recognize it by; a short secret would give away too much.
Text name_of_secret(Text secret);

// See warm_up.
void warm_up_keys(Session &session, Text nobody);
void warm_up_key_list(Session &session, Text nobody);

} // namespace pg_org
