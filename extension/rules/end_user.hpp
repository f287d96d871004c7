// End users: the customers of whoever calls models. They belong to an organization or, with an empty organization_id,
// to the platform. An organization's admins manage its end users, proxy admins all.
#pragma once

#include "base/session.hpp"

namespace pg_org {

// The organization whose end user a call means: the one that it names, or that the caller's key belongs to.
Text organization_of_end_user(const Session &session);

// Locks the organization for a change of its end users. Refuses a caller that may not make it.
void lock_for_end_users(Session &session, Text organization_id, const char *route);
// Refuses a caller that may not see the end users there.
void require_reader_of_end_users(Session &session, Text organization_id, const char *route);

// Locks the end users that exist. Each row is an end_user_id and a budget_id.
Rows lock_end_users(Session &session, Text organization_id, Texts end_user_ids);

// Refuses end users that do not exist: without an error, the rows are of all that were asked for.
void require_all_end_users(Texts asked, const Rows &found);
[[noreturn]] void no_such_end_user(Text end_user_id);

// Writes the end users that exist, in the order asked. Returns how many.
size_t write_end_users(Session &session, Text organization_id, Texts end_user_ids);

} // namespace pg_org
