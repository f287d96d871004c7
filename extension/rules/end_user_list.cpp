// Showing end users, and lists of them.

#include "base/fail.hpp"
#include "base/paging.hpp"
#include "end_user.hpp"
#include "show.hpp"

using namespace pg_org;

namespace {

// clang-format off

// An end user e with their budget b.
#define SELECT_END_USERS \
    "SELECT e.end_user_id AS user_id, e.blocked, e.alias, e.spend, " \
    PERIOD_SPEND_OF("e", "b.budget_duration", "b.budget_reset_at", "e.spend", "e.spend_reset_at", \
                    "e.organization_id, '', '', '', e.end_user_id") ", " \
    "e.kept ->> 'allowed_model_region' AS allowed_model_region, e.kept ->> 'default_model' AS default_model, " \
    "e.budget_id, " \
    "(SELECT shown FROM (SELECT " BUDGET_COLUMNS_OF("e") ") AS shown WHERE b.budget_id IS NOT NULL) " \
    "AS litellm_budget_table, " \
    "e.kept -> 'object_permission' AS object_permission, NULL::text AS object_permission_id, " \
    "nullif(e.organization_id, '') AS organization_id, e.metadata, e.created_at, e.created_by, e.updated_at, " \
    "e.updated_by" \
    "  FROM org.end_user e LEFT JOIN org.budget b ON b.budget_id = e.budget_id"

// clang-format on

constinit Statement show_end_users{SELECT_END_USERS R"(
      JOIN unnest($2) WITH ORDINALITY AS asked (id, place) ON asked.id = e.end_user_id
     WHERE e.organization_id = $1
     ORDER BY asked.place)"};

// Of the organization $1 (null: any; empty: the platform), and of the organizations $2 (null: all, and the platform).
#define LISTED " WHERE ($1 IS NULL OR e.organization_id = $1) AND ($2 IS NULL OR e.organization_id = ANY ($2))"

constinit Statement find_end_user_page_start{"SELECT min(e.created_at) FROM org.end_user e" LISTED
                                             " AND e.end_user_id = $3 HAVING count(*) > 0",
                                             Planned::each_time};

constinit Statement list_end_users{SELECT_END_USERS LISTED R"(
       AND ($3 IS NULL OR (e.created_at, e.end_user_id) > ($3, $4))
     ORDER BY e.created_at, e.end_user_id
     LIMIT $5)",
                                   Planned::each_time};

// The organizations whose end users the caller sees; none means all, and those of the platform.
Maybe<Texts> organizations_of_visible_end_users(Session &session, const Maybe<Text> &organization_id)
{
    if (session.caller.reads_everything())
        return {};
    if (organization_id)
        require_reader_of_end_users(session, *organization_id, "/customer/list");
    const Texts administered = administered_organizations(session);
    if (administered.empty())
        forbidden("Only admins can see end users. Your role is = %s", role_name(session.caller.role));
    return administered;
}

size_t write(Session &session, const Rows &end_users)
{
    for (const Row row : end_users) {
        CHECK_FOR_INTERRUPTS();
        session.reply.object(row);
    }
    return end_users.size();
}

} // namespace

size_t pg_org::write_end_users(Session &session, Text organization_id, Texts end_user_ids)
{
    return write(session, session.run(show_end_users, organization_id, end_user_ids));
}

PG_ORG_READ(customer_list)
{
    const auto organization_id = session.argument<Text>("organization_id");
    const auto limit = session.argument("limit", page_limit);
    const auto after = session.argument<Text>("after");
    const auto visible = organizations_of_visible_end_users(session, organization_id);
    const PageStart start = page_start(
        after, "user_id", [&](Text id) { return session.run(find_end_user_page_start, organization_id, visible, id); });
    session.reply.begin_array();
    write(session, session.run(list_end_users, organization_id, visible, start.time, start.id, limit));
    session.reply.end_array();
}
