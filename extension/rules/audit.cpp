// The audit log: reading it and deleting old entries. Triggers write it.

#include "base/fail.hpp"
#include "base/paging.hpp"
#include "base/session.hpp"

using namespace pg_org;

namespace {

// Entries of the organization $1; unless $2, without those of an earlier organization of the same id.
#define ENTRIES                                                                                                        \
    "  FROM org.audit_log"                                                                                             \
    " WHERE organization_id = $1"                                                                                      \
    "   AND ($2 OR occurred_at >= (SELECT created_at FROM org.organization WHERE organization_id = $1))"

constinit Statement find_entry_page_start{"SELECT occurred_at" ENTRIES " AND audit_id = $3", Planned::each_time};

constinit Statement list_entries{R"(
    SELECT audit_id, organization_id, occurred_at, actor, key_id, key_made_by, database_role, action, kind, id, before,
           after, request_id)" ENTRIES R"(
       AND ($3 IS NULL OR (occurred_at, audit_id) < ($3, $4))
     ORDER BY occurred_at DESC, audit_id DESC
     LIMIT $5)",
                                 Planned::each_time};

constinit Statement purge_audit_log{"DELETE FROM org.audit_log WHERE occurred_at < $1"};

} // namespace

PG_ORG_READ(org_audit)
{
    const Text organization_id = session.required<Text>("organization_id");
    const auto limit = session.argument("limit", page_limit);
    const auto after = session.argument<Text>("after");
    const bool reads_everything = session.caller.reads_everything();
    if (!reads_everything)
        require_organization_admin(session, organization_id, "/organization/audit");
    const PageStart start = page_start(after, "audit_id", [&](Text id) {
        return session.run(find_entry_page_start, organization_id, reads_everything, id);
    });
    session.reply.begin_array();
    for (const Row row : session.run(list_entries, organization_id, reads_everything, start.time, start.id, limit))
        session.reply.object(row);
    session.reply.end_array();
}

PG_ORG_WRITE(org_audit_purge)
{
    const Time before = session.required<Time>("before");
    if (session.caller.key_id)
        forbidden("Only the owner of the tables can purge the audit log, without an api_key");
    const Rows purged = session.run(purge_audit_log, before);
    session.reply.begin_object().key("deleted").value(static_cast<int64>(purged.size())).end_object();
}
