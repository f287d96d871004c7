// Users, as the other rooms need them.
#pragma once

#include "session.hpp"

namespace pg_org {

// Writes the users in the order asked, with their teams in the organizations given (none: all).
void write_users(Session &session, Texts user_ids, Maybe<Texts> organization_ids);

// Locks a user against being deleted; an error if there is none.
void lock_user(Session &session, Text user_id);

} // namespace pg_org
