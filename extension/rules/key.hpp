// Keys, as the other rooms need them.
#pragma once

#include "budget.hpp"

namespace pg_org {

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

// An object of booleans. Unknown permissions are kept, since clients of LiteLLM have some of their own.
Maybe<Json> permissions_object(Maybe<Json> value, const char *name);

// The secret without its middle, to recognize it by; a short secret would give away too much.
Text name_of_secret(Text secret);

// See warm_up.
void warm_up_keys(Session &session, Text nobody);

} // namespace pg_org
