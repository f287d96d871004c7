// Organizations, as the other rooms need them.
#pragma once

#include "base/session.hpp"

namespace pg_org {

// What changes of an organization look at.
struct Organization {
    Text budget_id;
    Json metadata, model_aliases, quotas;
};

// Locks an organization, as every change inside it does first, or says it is not found.
Organization lock_organization(Session &session, Text organization_id);

// Locks those of the organizations that exist, in the fixed order, and returns them.
Texts lock_organizations(Session &session, Texts organization_ids);

// Locks organizations that turn out to be concerned only when what comes after them is locked: without waiting, which
// could be for ever. The caller is to try again if somebody else has one of them.
void require_organizations_locked(Session &session, Texts organization_ids);

// As lock_organization, for one of its admins (or a proxy admin), who must still be that once the lock is there.
Organization lock_organization_as_admin(Session &session, Text organization_id, const char *route);

// Writes the organizations in the order asked, with members, teams and budgets; those that do not exist are left out.
// Returns how many were written.
size_t write_organizations(Session &session, Texts organization_ids);

// See warm_up.
void warm_up_organizations(Session &session, Text nobody);

} // namespace pg_org
