// Users, as the other rooms need them.
#pragma once

#include "base/fail.hpp"
#include "base/session.hpp"
#include "budget.hpp"

namespace pg_org {

// A role on the platform, internal_user if there is none, or an error naming the field.
Role checked_role(Maybe<Text> value, const char *name);

// Refuses the limits that a user has after such a change, if two are the same or they are too many.
void require_valid_limits_of_user(Session &session, Text user_id, const OwnLimits &change);

// Each address belongs to one user only.
Refusal taken_email(Text user_email);
// There is always a proxy admin.
Refusal last_proxy_admin();

// See warm_up.
void warm_up_users(Session &session, Text nobody);

} // namespace pg_org
