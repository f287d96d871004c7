// The audit log in LiteLLM's shape: numbered pages of changes inside one or more organizations, or of all.

#include "base/fail.hpp"
#include "base/paging.hpp"
#include "base/time_range.hpp"

using namespace pg_org;

namespace {

constinit Statement find_entries{
#include "queries/find_audit_entries.inc"
    , Planned::each_time};

constinit Statement count_entries{
#include "queries/count_audit_entries.inc"
    , Planned::each_time};

constinit Statement find_entry{
#include "queries/find_audit_entry.inc"
    , Planned::each_time};

struct EntryFilter {
    Maybe<Text> actor, key_id, action, table_name, object_id;
    TimeRange occurred;
};

// The organizations whose log the caller reads, or the one asked for; none means all.
Maybe<Texts> readable_logs(Session &session, const Maybe<Text> &asked)
{
    if (session.caller.reads_everything())
        return asked ? only(*asked) : Maybe<Texts>{};
    if (asked) {
        require_organization_admin(session, *asked, "/audit");
        return only(*asked);
    }
    const Texts administered = administered_organizations(session);
    if (administered.empty())
        forbidden("Only admins can read the audit log. Your role is = %s", role_name(session.caller.role));
    return administered;
}

template <typename... Values> Rows run(Session &session, Statement &statement, const EntryFilter &filter,
                                       const Maybe<Texts> &logs, const Values &...values)
{
    return session.run(statement, filter.actor, filter.key_id, filter.action, filter.table_name, filter.object_id,
                       filter.occurred.from, filter.occurred.before, logs, session.caller.reads_everything(),
                       values...);
}

EntryFilter read_entry_filter(Session &session)
{
    constexpr std::array<Text, 6> actions{"created", "updated", "deleted", "blocked", "unblocked", "rotated"};
    EntryFilter filter{session.argument("changed_by", not_empty), session.argument("changed_by_api_key", not_empty),
                       session.argument("action", not_empty),     session.argument("table_name", not_empty),
                       session.argument("object_id", not_empty),  read_time_range(session)};
    if (filter.action && std::ranges::find(actions, *filter.action) == actions.end())
        invalid("action", "must be one of created, updated, deleted, blocked, unblocked, rotated");
    return filter;
}

// Only the time has an index.
bool is_newest_first(Session &session)
{
    const auto sort_by = session.argument("sort_by", not_empty), sort_order = session.argument("sort_order", not_empty);
    if (sort_by && *sort_by != "updated_at")
        invalid("sort_by", "must be updated_at");
    if (sort_order && *sort_order != "asc" && *sort_order != "desc")
        invalid("sort_order", "must be asc or desc");
    return sort_order != "asc";
}

} // namespace

PG_ORG_READ(audit_list)
{
    const Asked asked = read_asked(session, {.size_name = "page_size", .size = 10});
    require_counted_page(asked, "give dates, or read /organization/audit");
    const bool newest_first = is_newest_first(session);
    const EntryFilter filter = read_entry_filter(session);
    const auto logs = readable_logs(session, session.argument("organization_id", not_empty));
    session.plan_for_first_rows();
    const int64 total = *run(session, count_entries, filter, logs, max_counted)[0].get<int64>(0);
    const ListPage page = page_by_number(asked, total, {});
    Writer &reply = session.reply;
    reply.begin_object().key("audit_logs").begin_array();
    for (const Row entry :
         run(session, find_entries, filter, logs, newest_first, asked.size, (asked.page - 1) * asked.size))
        reply.object(entry);
    reply.end_array().key("total").value(page.total).key("page").value(page.number);
    reply.key("page_size").value(page.size).key("total_pages").value(page.total_pages).end_object();
}

PG_ORG_READ(audit_info)
{
    const Text id = session.required<Text>("id");
    session.plan_for_first_rows();
    const Rows found = session.run(find_entry, readable_logs(session, {}), session.caller.reads_everything(), id);
    if (found.empty())
        not_found("Audit log not found for id=%.*s", FMT_ARG(id));
    session.reply.object(found[0]);
}
