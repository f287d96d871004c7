// Warming up: a session's first calls would otherwise wait for what later ones find done.

#include "rehearsal.hpp"

#include "books.hpp"
#include "usage_request.hpp"

using namespace pg_org;

namespace {

void rehearse_reading(Session &session, Text nobody)
{
    rehearse_callers(session, nobody);
    rehearse_organizations(session, nobody);
    rehearse_teams(session, nobody);
    rehearse_users(session, nobody);
    rehearse_keys(session, nobody);
}

void rehearse_usage(Session &session, Text nobody)
{
    session.plan_for_look_ups();
    party_of_token_id(session, nobody);
    party_of_secret(session, nobody);
    rehearse_reading_books(session, nobody);
    rehearse_reading_calls(session, nobody);
    // A standby refuses even to lock nothing.
    if (XactReadOnly)
        return;
    const std::array parties{Party{nobody, {}, nobody, {}}, Party{{}, {}, {}, nobody}};
    for (const bool wait : {false, true})
        lock_parties(session, parties, wait);
    rehearse_writing_calls(session, nobody);
    rehearse_writing_books(session);
    rehearse_writing_spend(session);
}

} // namespace

PG_ORG_FUNCTION(org_warm_up)
{
    Session session{fcinfo, Access::rehearsal, "org_warm_up"};
    // No identifier is as long as that.
    const Text nobody = to_text(psprintf("%256s", "nobody"));
    rehearse_reading(session, nobody);
    rehearse_usage(session, nobody);
    session.finish();
    PG_RETURN_VOID();
}
