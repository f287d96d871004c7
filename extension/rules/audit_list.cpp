// The audit log in LiteLLM's shape: numbered pages of changes inside one or more organizations, or of all.

#include "base/fail.hpp"
#include "base/paging.hpp"
#include "base/time_range.hpp"

using namespace pg_org;

namespace {

// clang-format off

// LiteLLM's names of what was changed, and how. A key's new secret is seen by its new key_name.
#define TABLE_NAME \
    "CASE a.kind WHEN 'organization' THEN 'LiteLLM_OrganizationTable' WHEN 'budget' THEN 'LiteLLM_BudgetTable'" \
    " WHEN 'user' THEN 'LiteLLM_UserTable' WHEN 'membership' THEN 'LiteLLM_OrganizationMembership'" \
    " WHEN 'team' THEN 'LiteLLM_TeamTable' WHEN 'team_member' THEN 'LiteLLM_TeamMembership'" \
    " WHEN 'api_key' THEN 'LiteLLM_VerificationToken' WHEN 'end_user' THEN 'LiteLLM_EndUserTable' ELSE a.kind END"
#define ACTION \
    "CASE WHEN a.before IS NULL THEN 'created' WHEN a.after IS NULL THEN 'deleted'" \
    " WHEN a.kind = 'api_key' AND a.action = 'key_regenerate' THEN 'rotated'" \
    " WHEN a.after -> 'blocked' = 'true' THEN 'blocked' WHEN a.after -> 'blocked' = 'false' THEN 'unblocked'" \
    " ELSE 'updated' END"

// clang-format on

#define IS_ASKED                                                                                                       \
    "    ($1 IS NULL OR a.actor = $1)"                                                                                 \
    " AND ($2 IS NULL OR a.key_id = $2)"                                                                               \
    " AND ($3 IS NULL OR " ACTION " = $3)"                                                                             \
    " AND ($4 IS NULL OR " TABLE_NAME " = $4)"                                                                         \
    " AND ($5 IS NULL OR a.id = $5)"                                                                                   \
    " AND ($6 IS NULL OR a.occurred_at >= $6)"                                                                         \
    " AND ($7 IS NULL OR a.occurred_at < $7)"

// The logs that the caller reads: all organizations that have entries, from one to the next as the index has them, or
// $8, without what is from before their creation.
#define LOGS                                                                                                           \
    "WITH RECURSIVE every AS ("                                                                                        \
    "    (SELECT organization_id FROM org.audit_log WHERE $8 IS NULL ORDER BY organization_id LIMIT 1)"                \
    "     UNION ALL"                                                                                                   \
    "    SELECT next.organization_id"                                                                                  \
    "      FROM every e, LATERAL (SELECT a.organization_id"                                                            \
    "                               FROM org.audit_log a"                                                              \
    "                              WHERE a.organization_id > e.organization_id"                                        \
    "                              ORDER BY a.organization_id"                                                         \
    "                              LIMIT 1) AS next),"                                                                 \
    " log AS ("                                                                                                        \
    "    SELECT organization_id, timestamptz '-infinity' AS since FROM every"                                          \
    "     UNION ALL"                                                                                                   \
    "    SELECT asked.id, CASE WHEN $9 THEN timestamptz '-infinity' ELSE o.created_at END"                             \
    "      FROM unnest($8) AS asked (id) LEFT JOIN org.organization o ON o.organization_id = asked.id) "
#define ENTRIES_OF_LOG                                                                                                 \
    " FROM org.audit_log a"                                                                                            \
    " WHERE a.organization_id = l.organization_id AND a.occurred_at >= l.since AND " IS_ASKED

#define ENTRY_COLUMNS                                                                                                  \
    "a.audit_id AS id, a.occurred_at AS updated_at, a.actor AS changed_by, a.key_id AS changed_by_api_key, " ACTION    \
    " AS action, " TABLE_NAME " AS table_name, a.id AS object_id, a.before AS before_value, a.after AS updated_values" \
    ", nullif(a.organization_id, '') AS organization_id"

// The first entries of each log that has some among the first of all.
#define LIST(direction, reaches)                                                                                       \
    Statement                                                                                                          \
    {                                                                                                                  \
        LOGS ", first AS ("                                                                                            \
             "    SELECT l.*, f.occurred_at AS first_at"                                                               \
             "      FROM log l, LATERAL (SELECT a.occurred_at, a.audit_id" ENTRIES_OF_LOG                              \
             "                            ORDER BY a.occurred_at " direction ", a.audit_id " direction                 \
             " LIMIT 1) AS f"                                                                                          \
             "     ORDER BY f.occurred_at " direction ", f.audit_id " direction " LIMIT $10 + $11),"                   \
             " bound AS (SELECT first_at AS at FROM first ORDER BY first_at " direction                                \
             "            OFFSET $10 + $11 - 1)"                                                                       \
             " SELECT e.*"                                                                                             \
             "  FROM first l, LATERAL (SELECT " ENTRY_COLUMNS ENTRIES_OF_LOG                                           \
             "                            AND (a.occurred_at " reaches " (SELECT at FROM bound)) IS NOT FALSE"         \
             "                          ORDER BY a.occurred_at " direction ", a.audit_id " direction                   \
             "                          LIMIT $10 + $11) AS e"                                                         \
             " ORDER BY e.updated_at " direction ", e.id " direction " LIMIT $10 OFFSET $11",                          \
            Planned::each_time                                                                                         \
    }

constinit Statement list_newest{LIST("DESC", ">=")}, list_oldest{LIST("ASC", "<=")};

constinit Statement count_entries{LOGS "SELECT count(*) FROM (SELECT FROM log l, LATERAL (SELECT" ENTRIES_OF_LOG
                                       " LIMIT $10) AS a LIMIT $10) AS counted",
                                  Planned::each_time};

constinit Statement find_entry{LOGS "SELECT e.* FROM log l, LATERAL (SELECT " ENTRY_COLUMNS ENTRIES_OF_LOG
                                    " AND a.audit_id = $10) AS e LIMIT 1",
                               Planned::each_time};

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

EntryFilter read_filter(Session &session)
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
    const EntryFilter filter = read_filter(session);
    const auto logs = readable_logs(session, session.argument("organization_id", not_empty));
    session.plan_for_first_rows();
    const int64 total = *run(session, count_entries, filter, logs, max_counted)[0].get<int64>(0);
    const ListPage page = page_by_number(asked, total, {});
    Writer &reply = session.reply;
    reply.begin_object().key("audit_logs").begin_array();
    for (const Row entry : run(session, newest_first ? list_newest : list_oldest, filter, logs, asked.size,
                               (asked.page - 1) * asked.size))
        reply.object(entry);
    reply.end_array().key("total").value(page.total).key("page").value(page.number);
    reply.key("page_size").value(page.size).key("total_pages").value(page.total_pages).end_object();
}

PG_ORG_READ(audit_info)
{
    const Text id = session.required<Text>("id");
    session.plan_for_first_rows();
    const Rows found = run(session, find_entry, {}, readable_logs(session, {}), id);
    if (found.empty())
        not_found("Audit log not found for id=%.*s", FMT_ARG(id));
    session.reply.object(found[0]);
}
