// Keys, as the other rooms need them.
#pragma once

#include "budget.hpp"

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
    OwnLimits limits;
};

// A key that was made, the only time that its secret is known.
struct CreatedKey {
    Text secret, key_id;
};

CreatedKey create_key(Session &session, const NewKey &key);

// See warm_up.
void warm_up_keys(Session &session, Text nobody);
void warm_up_key_list(Session &session, Text nobody);

} // namespace pg_org
