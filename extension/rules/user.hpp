// Users, as the other rooms need them.
#pragma once

#include "base/session.hpp"

namespace pg_org {

// The role of this name, internal_user by default; another name is an error naming the argument.
Role checked_role(Maybe<Text> value, const char *name);

// See warm_up.
void warm_up_users(Session &session, Text nobody);

} // namespace pg_org
