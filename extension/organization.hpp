// Organizations, as the other rooms need them.
#pragma once

#include "session.hpp"

namespace pg_org {

// What changes of an organization look at.
struct Organization {
    Text budget_id;
    Texts models;
    Json metadata, model_aliases;
};

// Locks an organization, as every change inside it does first, or says it is not found.
Organization lock_organization(Session &session, Text organization_id);

// The same for one of its admins (or a proxy admin), who must still be that once the lock is there.
Organization lock_organization_as_admin(Session &session, Text organization_id, const char *route);

// Writes the organizations in the order asked, with members, teams and budgets; those that do not exist are left out.
// Returns how many were written.
size_t write_organizations(Session &session, Texts organization_ids);

} // namespace pg_org
