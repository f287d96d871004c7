// What each room rehearses: the statements of the calls that matter most are run about nobody, so that they find, lock
// and write nothing, and the first real call finds tables opened and plans made.
#pragma once

#include "session.hpp"

namespace pg_org {

void rehearse_callers(Session &session, Text nobody);
void rehearse_organizations(Session &session, Text nobody);
void rehearse_teams(Session &session, Text nobody);
void rehearse_users(Session &session, Text nobody);
void rehearse_keys(Session &session, Text nobody);

// Usage: what is only read, and what is locked and written.
void rehearse_reading_books(Session &session, Text nobody);
void rehearse_writing_books(Session &session);
void rehearse_reading_calls(Session &session, Text nobody);
void rehearse_writing_calls(Session &session, Text nobody);
void rehearse_writing_spend(Session &session);

} // namespace pg_org
