// The owner of limits that a request names: by organization_id, team_id, user_id, key or end_user.
#pragma once

#include "limited_owner.hpp"

namespace pg_org {

// The owner that the arguments name, by the identifiers of its calls.
struct NamedOwner {
    OwnerKind kind;
    OwnerIds ids;
};

// Reads these arguments. An unknown key has no identifiers.
NamedOwner read_named_owner(Session &session);
// That owner, as read from its table, or an error if there is none.
const Owner &existing_owner(const Owners &owners, const NamedOwner &named);

} // namespace pg_org
