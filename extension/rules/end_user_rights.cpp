// Who may do what with end users, and finding those that a call names.

#include "end_user.hpp"

#include "base/fail.hpp"
#include "lock.hpp"

namespace pg_org {

namespace {

constinit Statement lock_several_end_users{R"(
    SELECT end_user_id, budget_id
      FROM org.end_user
     WHERE organization_id = $1
       AND end_user_id = ANY ($2)
     ORDER BY end_user_id
       FOR UPDATE)"};

} // namespace

Text organization_of_end_user(const Session &session)
{
    const auto named = session.argument("organization_id", not_empty);
    return (named ? named : session.caller.organization_id).value_or(Text{});
}

void lock_for_end_users(Session &session, Text organization_id, const char *route)
{
    if (!organization_id.empty())
        lock_organization_as_admin(session, organization_id, route);
    else if (!session.caller.is_proxy_admin())
        forbidden("Only proxy admins can change end users of the platform. Your role is = %s",
                  role_name(session.caller.role));
}

void require_reader_of_end_users(Session &session, Text organization_id, const char *route)
{
    if (session.caller.reads_everything())
        return;
    if (organization_id.empty())
        forbidden("Only admins can see end users of the platform. Your role is = %s", role_name(session.caller.role));
    require_organization_admin(session, organization_id, route);
}

Rows lock_end_users(Session &session, Text organization_id, Texts end_user_ids)
{
    const Rows locked = session.run(lock_several_end_users, organization_id, end_user_ids);
    session.look_up_caller_again();
    return locked;
}

void require_all_end_users(Texts asked, const Rows &found)
{
    if (found.size() == asked.size())
        return;
    const Texts ids = found.texts();
    StringInfoData missing;
    initStringInfo(&missing);
    for (const Text id : asked)
        if (std::ranges::find(ids, id) == ids.end())
            appendStringInfo(&missing, "%s%.*s", missing.len > 0 ? ", " : "", FMT_ARG(id));
    not_found("End User Id(s)=%s do not exist in db", missing.data);
}

void no_such_end_user(Text end_user_id) { not_found("End User Id=%.*s does not exist in db", FMT_ARG(end_user_id)); }

} // namespace pg_org
