// Lists of users, and finding users to add.

#include "base/bounds.hpp"
#include "base/fail.hpp"
#include "base/paging.hpp"
#include "show.hpp"
#include "user.hpp"

using namespace pg_org;

namespace {

// How the caller sees the user u (see USER_COLUMNS): $1 is null for whole users, else the organizations that the caller
// administers; $2 is who they are and $3 the organization that their key is confined to.
#define SEEN                                                                                                           \
    "LATERAL (SELECT $1 IS NULL OR (u.user_id = $2 AND $3 IS NULL) AS whole,"                                          \
    "                CASE WHEN u.user_id = $2 THEN $3 END AS inside) AS seen"

// When an account was made is nobody's business but a platform admin's: others get users in the order of the user_id.
#define SEEN_SINCE "CASE WHEN $1 IS NULL THEN u.created_at ELSE timestamptz 'epoch' END"

#define VISIBLE_USERS                                                                                                  \
    "  FROM org.\"user\" u, " SEEN                                                                                     \
    " WHERE ($1 IS NULL OR u.user_id = ANY (ARRAY(SELECT m.user_id FROM org.membership m"                              \
    "                                              WHERE m.organization_id = ANY ($1) UNION SELECT $2)))"

// Whether the caller sees what the user does in the organization.
#define IS_SEEN_IN(row)                                                                                                \
    "($1 IS NULL OR " row ".organization_id = ANY ($1)"                                                                \
    " OR (" row ".user_id = $2 AND ($3 IS NULL OR " row ".organization_id = $3)))"

// Of the role $4, with $5 in the e-mail address, with the user_id $6, of the user_ids $7, in the organization $8 and
// the team $9.
#define LISTED_USERS                                                                                                   \
    VISIBLE_USERS                                                                                                      \
    "   AND ($4 IS NULL OR (u.user_role = $4 AND seen.whole))"                                                         \
    "   AND ($5 IS NULL OR " HAS_PART(                                                                                 \
        "u.user_email",                                                                                                \
        "$5") ")"                                                                                                      \
              "   AND ($6 IS NULL OR u.user_id = $6)"                                                                  \
              "   AND ($7 IS NULL OR u.user_id = ANY ($7))"                                                            \
              "   AND ($8 IS NULL OR u.user_id = ANY (ARRAY(SELECT m.user_id FROM org.membership m"                    \
              "                                              WHERE m.organization_id = $8 AND " IS_SEEN_IN(            \
                  "m") ")))"                                                                                           \
                       "   AND ($9 IS NULL OR u.user_id = ANY (ARRAY(SELECT tm.user_id FROM org.team_member tm"        \
                       "                                              WHERE tm.team_id = $9 AND " IS_SEEN_IN(          \
                           "tm") ")))"

// The direction must be that of both columns.
#define USERS_BY(column, direction)                                                                                    \
    Statement                                                                                                          \
    {                                                                                                                  \
        "SELECT u.user_id, " SEEN_SINCE LISTED_USERS " AND ($10 IS NULL OR (" SEEN_SINCE ", u.user_id) > ($10, $11))"  \
        " ORDER BY " column direction ", u.user_id" direction " LIMIT $12 OFFSET $13",                                 \
            Planned::each_time                                                                                         \
    }
#define USER_ORDER(name, column) {name, USERS_BY(column, ""), USERS_BY(column, " DESC")}
constinit std::array<Order, 6> user_orders{{
    USER_ORDER("created_at", SEEN_SINCE),
    {"user_id", USERS_BY("u.user_id", ""), USERS_BY("u.user_id", " DESC")},
    USER_ORDER("user_email", "u.user_email"),
    USER_ORDER("user_alias", "u.user_alias"),
    USER_ORDER("user_role", "CASE WHEN seen.whole THEN u.user_role END"),
    USER_ORDER("spend", "CASE WHEN seen.whole THEN u.spend ELSE"
                        " (SELECT coalesce(sum(m.spend), 0) FROM org.membership m WHERE m.user_id = u.user_id"
                        "     AND (m.organization_id = ANY ($1) OR m.organization_id = seen.inside)) END"),
}};

constinit Statement count_users{"SELECT count(*)" LISTED_USERS, Planned::each_time};

constinit Statement find_user_page_start{"SELECT " SEEN_SINCE VISIBLE_USERS " AND u.user_id = $4", Planned::each_time};

constinit Statement show_page{"SELECT " USER_COLUMNS R"(
      FROM unnest($4) WITH ORDINALITY AS asked (id, place)
      JOIN org."user" u ON u.user_id = asked.id, )" SEEN " ORDER BY asked.place",
                              Planned::each_time};

constinit Statement filter_users{
    "SELECT u.user_id, u.user_email, u.user_alias" VISIBLE_USERS " AND ($4 IS NULL OR " HAS_PART(
        "u.user_email", "$4") ")"
                              " AND ($5 IS NULL OR " HAS_PART("u.user_id", "$5") ")"
                                                                                 " ORDER BY " SEEN_SINCE
                                                                                 ", u.user_id LIMIT $6 OFFSET $7",
    Planned::each_time};

struct UserFilter {
    Maybe<Text> role, user_email, user_id;
    Maybe<Texts> user_ids;
    Maybe<Text> organization_id, team_id;

    bool is_empty() const { return !role && !user_email && !user_id && !user_ids && !organization_id && !team_id; }
};

template <typename... Values> Rows run_on_users(Session &session, Statement &statement,
                                                const Maybe<Texts> &administered, const UserFilter &filter,
                                                const Values &...values)
{
    return session.run(statement, administered, session.caller.user_id, session.caller.organization_id, filter.role,
                       filter.user_email, filter.user_id, filter.user_ids, filter.organization_id, filter.team_id,
                       values...);
}

// An argument that has two names.
Maybe<Text> one_of(Session &session, const char *name, const char *other)
{
    const auto first = session.argument<Text>(name), second = session.argument<Text>(other);
    if (first && second && *first != *second)
        invalid(other, "must be the same as %s", name);
    return first ? first : second;
}

} // namespace

void pg_org::warm_up_users(Session &session, Text nobody)
{
    run_on_users(session, user_orders[0].descending, {}, {.user_id = nobody}, Maybe<Time>{}, Maybe<Text>{},
                 Maybe<int64>{1}, int64{0});
}

PG_ORG_READ(user_list)
{
    UserFilter filter;
    filter.role = one_of(session, "role", "user_role");
    if (filter.role)
        checked_role(filter.role, "role");
    filter.user_email = session.argument("user_email", part_of_name);
    filter.user_id = session.argument<Text>("user_id");
    filter.user_ids = session.argument("user_ids", text_list);
    filter.organization_id = session.argument<Text>("organization_id");
    filter.team_id = one_of(session, "team", "team_id");
    const Asked asked = read_asked(session, {.size_name = "page_size", .size = 25, .descending = false}, user_orders);

    const Caller &caller = session.caller;
    const auto administered = caller.reads_everything() ? Maybe<Texts>{} : administered_organizations(session);
    const auto start = [&] {
        return page_start(asked.after, "user_id", [&](Text id) {
            return session.run(find_user_page_start, administered, caller.user_id, caller.organization_id, id);
        });
    };
    const auto count = [&] {
        return !administered && filter.is_empty()
                   ? list_total(session, "user", {})
                   : *run_on_users(session, count_users, administered, filter)[0].get<int64>(0);
    };
    const auto read = [&](Statement &statement, const PageStart &from, Maybe<int64> limit, int64 offset) {
        return run_on_users(session, statement, administered, filter, from.time, from.id, limit, offset);
    };
    const ListPage page = read_page(asked, user_orders, start, count, read);

    Writer &reply = session.reply;
    reply.begin_object().key("users").begin_array();
    for (const Row row : session.run(show_page, administered, caller.user_id, caller.organization_id, page.ids))
        reply.object(row);
    reply.end_array();
    end_list(reply, page);
}

PG_ORG_READ(user_filter)
{
    const auto user_email = session.argument("user_email", part_of_name);
    const auto user_id = session.argument("user_id", part_of_name);
    const int64 page = session.argument<int64>("page").value_or(1);
    const int64 page_size = *page_limit(session.argument<int64>("page_size").value_or(50), "page_size");
    constexpr int64 max_page = 1'000'000'000;
    if (page < 1 || page > max_page)
        invalid("page", "must be from 1 to " INT64_FORMAT, max_page);

    const Caller &caller = session.caller;
    const auto administered = caller.reads_everything() ? Maybe<Texts>{} : administered_organizations(session);
    session.reply.begin_array();
    for (const Row row : session.run(filter_users, administered, caller.user_id, caller.organization_id, user_email,
                                     user_id, page_size, (page - 1) * page_size))
        session.reply.object(row);
    session.reply.end_array();
}
