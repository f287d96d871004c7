// Users, as the other rooms need them.
#pragma once

#include "base/session.hpp"

namespace pg_org {

// Writes the users in the order asked, with their teams in the organizations given (none: all).
void write_users(Session &session, Texts user_ids, Maybe<Texts> organization_ids);

// Whether a column holds the e-mail address that a parameter is.
#define IS_EMAIL(column, parameter) "org.folded(btrim(" column ")) = org.folded(btrim(" parameter "))"

// An e-mail address without white space around it, or an error that names the argument.
Maybe<Text> email_address(Maybe<Text> value, const char *name);

// The one user who has the address, none if nobody has it.
Maybe<Text> user_of_email(Session &session, Text user_email);

// Locks the users who have one of the names, ids or e-mail addresses, and the names, so that two requests at once don't
// make two users of one.
void lock_user_names(Session &session, Texts names);

// Locks a user against being deleted; an error if there is none.
void lock_user(Session &session, Text user_id);

// See warm_up.
void warm_up_users(Session &session, Text nobody);

} // namespace pg_org
