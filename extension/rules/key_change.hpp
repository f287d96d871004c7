// Changes of keys, and of whom they belong to.
#pragma once

#include "key_rights.hpp"

namespace pg_org {

// A caller's change of a key; none keeps a field.
struct KeyChange {
    Maybe<Text> key_alias;
    Maybe<Texts> models;
    Maybe<Json> metadata, permissions;
    Maybe<Time> expires;
    OwnLimits limits{short_limits_of_keys};
    Maybe<bool> blocked;
    Maybe<Text> budget_id;
    Maybe<Texts> allowed_routes, tags;
    Maybe<Json> aliases;
    JsonFieldsChange kept{kept_of_keys};
    Maybe<Text> organization_id, team_id, user_id; // to whom it moves
    bool resets_spend = false;
    Texts clear;

    bool clears(Text field) const { return std::ranges::find(clear, field) != clear.end(); }
    bool moves() const { return organization_id || team_id || user_id; }
    // Holders of a key may name it, but not change what limits them.
    bool only_names() const;
};
// The arguments of a call that are such fields.
KeyChange read_key_change(Session &session);

// Locks the key, behind its owners, and changes it. Returns it as it was before.
NamedKey change_key(Session &session, Text key, const KeyChange &change, const char *route);

// Writes the key with what it was asked for by. A reply that is kept for repetitions has the token_id instead of a
// secret.
void write_key_as_asked(Session &session, Text asked, Text key_id);
Text shown_as_asked(Session &session, Text asked, Text key_id);

} // namespace pg_org
