// Organizations.
#pragma once

#include "base/session.hpp"

namespace pg_org {

// See warm_up.
void warm_up_organizations(Session &session, Text nobody);

} // namespace pg_org
