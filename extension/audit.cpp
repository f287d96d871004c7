// The audit log: reading it, and taking old entries away. Triggers write it.

#include "fail.hpp"
#include "paging.hpp"
#include "session.hpp"

using namespace pg_org;

namespace {

constinit Statement find_page_start{
    "SELECT occurred_at FROM org.audit_log WHERE organization_id = $1 AND audit_id = $2"};

constinit Statement list_entries{
    "SELECT audit_id, organization_id, occurred_at, actor, key_id, database_role, action, kind, id, before, after,"
    "       request_id"
    "  FROM org.audit_log"
    " WHERE organization_id = $1 AND ($2 IS NULL OR (occurred_at, audit_id) < ($2, $3))"
    " ORDER BY occurred_at DESC, audit_id DESC LIMIT $4",
    Planned::each_time};

constinit Statement purge{"DELETE FROM org.audit_log WHERE occurred_at < $1"};

} // namespace

PG_ORG_READ(org_audit)
{
    const Text organization_id = required(session.next<Text>(), "organization_id");
    const auto limit = page_limit(session.next<int64>());
    const auto after = session.next<Text>();
    if (!session.caller.reads_everything())
        require_organization_admin(session, organization_id, "/organization/audit");
    Maybe<Time> after_time;
    if (after)
        after_time = page_start(session.run(find_page_start, organization_id, *after), "audit_id");
    session.reply.begin_array();
    for (const Row row : session.run(list_entries, organization_id, after_time, after, limit))
        session.reply.object(row);
    session.reply.end_array();
}

PG_ORG_WRITE(org_audit_purge)
{
    const Time before = required(session.next<Time>(), "before");
    if (session.caller.key_id)
        forbidden("Only the owner of the tables can purge the audit log, without an api_key");
    const Rows purged = session.run(purge, before);
    session.reply.begin_object().key("deleted").value(static_cast<int64>(purged.size())).end_object();
}
