// Locks, taken in one order so that there are no deadlocks: organizations before what belongs to them, and several of a
// kind by id.
#pragma once

#include "base/session.hpp"

namespace pg_org {

// The fields of an organization that changes depend on.
struct Organization {
    Text budget_id;
    Json metadata, model_aliases, quotas;
};

// Locks an organization, as every change inside it does first; an error if there is none.
Organization lock_organization(Session &session, Text organization_id);

// The same for one of its admins (or a proxy admin), who must still be one once the lock is taken.
Organization lock_organization_as_admin(Session &session, Text organization_id, const char *route);

// Locks the organizations that exist and returns them.
Texts lock_organizations(Session &session, Texts organization_ids);

// Locks organizations found after later locks were taken. It never waits, since waiting out of order could deadlock: if
// somebody else holds one of them, the caller is asked to try again.
void require_organizations_locked(Session &session, Texts organization_ids);

// Locks the budgets that exist and returns them.
Texts lock_budgets(Session &session, Texts budget_ids);

// Locks a team against being deleted; an error if there is none.
void lock_team(Session &session, Text organization_id, Text team_id);

// Locks a team, as every change inside a team of the platform does first; an error if there is none.
void lock_team_to_write(Session &session, Text organization_id, Text team_id);

// The same for teams of the platform; returns those that exist.
Texts lock_platform_teams(Session &session, Texts team_ids);

// Locks a user against being deleted; an error if there is none.
void lock_user(Session &session, Text user_id);

// Locks names (ids or e-mail addresses) and the users who have them, so that two requests at once do not make two users
// of one.
void lock_user_names(Session &session, Texts names);
// Only the names, before the users are locked otherwise.
void lock_names(Session &session, Texts names);

} // namespace pg_org
