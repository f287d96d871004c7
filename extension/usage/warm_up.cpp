// Warming up a connection: the most important statements are run about nobody, so that they find, lock and write
// nothing. The first real call then finds its tables opened and its plans made.

#include "counters.hpp"
#include "refusal_counts.hpp"
#include "request.hpp"
#include "rules/key.hpp"
#include "rules/organization.hpp"
#include "rules/team.hpp"
#include "rules/user.hpp"
#include "spend.hpp"

using namespace pg_org;

namespace {

void warm_up_reading(Session &session, Text nobody)
{
    warm_up_callers(session, nobody);
    warm_up_organizations(session, nobody);
    warm_up_teams(session, nobody);
    warm_up_users(session, nobody);
    warm_up_keys(session, nobody);
}

void warm_up_usage(Session &session, Text nobody)
{
    session.plan_for_look_ups();
    owners_of_token_id(session, nobody);
    owners_of_secret(session, nobody);
    warm_up_reading_counters(session, nobody);
    warm_up_reading_calls(session, nobody);
    // A standby refuses locks even of no rows.
    if (XactReadOnly)
        return;
    const std::array owners{OwnerIds{.organization_id = nobody, .user_id = nobody},
                            OwnerIds{.key_id = nobody, .end_user = nobody}};
    for (const bool wait : {false, true})
        lock_owners(session, owners, wait);
    warm_up_writing_calls(session, nobody);
    warm_up_writing_counters(session);
    warm_up_counting_refusals(session);
    warm_up_writing_spend(session);
}

} // namespace

PG_ORG_FUNCTION(org_warm_up)
{
    Session session{fcinfo, Access::warm_up, "org_warm_up"};
    // Longer than any identifier.
    const Text nobody = to_text(psprintf("%256s", "nobody"));
    warm_up_reading(session, nobody);
    warm_up_usage(session, nobody);
    session.finish();
    PG_RETURN_VOID();
}
