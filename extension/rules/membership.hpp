// Memberships, as the other rooms need them.
#pragma once

#include "base/session.hpp"

namespace pg_org {

// Makes the user a member of the locked organization, as internal_user; a member keeps their role.
void add_member(Session &session, Text organization_id, Text user_id);

} // namespace pg_org
