// Users, as the other rooms need them.
#pragma once

#include "base/session.hpp"

namespace pg_org {

// See warm_up.
void warm_up_users(Session &session, Text nobody);

} // namespace pg_org
