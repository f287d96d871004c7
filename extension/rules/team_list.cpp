// Lists of teams.

#include "base/bounds.hpp"
#include "base/paging.hpp"
#include "show.hpp"
#include "team.hpp"

using namespace pg_org;

namespace {

// Teams of the organization $1 and with the member $2 (null: any) that the caller sees: $3 is null for all, else the
// organizations they administer; $4 is who they are and $5 the organization that their key is confined to.
#define VISIBLE_TEAMS                                                                                                  \
    "  FROM org.team t"                                                                                                \
    " WHERE ($1 IS NULL OR t.organization_id = $1)"                                                                    \
    "   AND ($2 IS NULL OR EXISTS (SELECT FROM org.team_member tm WHERE (tm.organization_id, tm.team_id, tm.user_id)"  \
    "                              = (t.organization_id, t.team_id, $2)))"                                             \
    "   AND ($3 IS NULL OR t.organization_id = ANY ($3)"                                                               \
    "        OR (EXISTS (SELECT FROM org.team_member tm WHERE (tm.organization_id, tm.team_id, tm.user_id)"            \
    "                    = (t.organization_id, t.team_id, $4))"                                                        \
    "            AND ($5 IS NULL OR t.organization_id = $5)))"

// Those with $6 in their alias and the team_id $7.
#define LISTED_TEAMS                                                                                                   \
    VISIBLE_TEAMS                                                                                                      \
    "   AND ($6 IS NULL OR " HAS_PART("t.team_alias", "$6") ")"                                                        \
                                                            "   AND ($7 IS NULL OR t.team_id = $7)"

// The direction must be that of both columns.
#define TEAMS_BY(column, direction)                                                                                    \
    Statement                                                                                                          \
    {                                                                                                                  \
        "SELECT t.team_id, t.created_at" LISTED_TEAMS " AND ($8 IS NULL OR (t.created_at, t.team_id) > ($8, $9))"      \
        " ORDER BY " column direction ", t.team_id" direction " LIMIT $10 OFFSET $11",                                 \
            Planned::each_time                                                                                         \
    }
#define TEAM_ORDER(name, column) {name, TEAMS_BY(column, ""), TEAMS_BY(column, " DESC")}
constinit std::array<Order, 6> team_orders{{
    TEAM_ORDER("created_at", "t.created_at"),
    TEAM_ORDER("updated_at", "t.updated_at"),
    {"team_id", TEAMS_BY("t.team_id", ""), TEAMS_BY("t.team_id", " DESC")},
    TEAM_ORDER("team_alias", "t.team_alias"),
    TEAM_ORDER("spend", "t.spend"),
    TEAM_ORDER("max_budget", "t.max_budget"),
}};

constinit Statement count_teams{"SELECT count(*)" LISTED_TEAMS, Planned::each_time};

constinit Statement find_team_page_start{"SELECT t.created_at" VISIBLE_TEAMS " AND t.team_id = $6", Planned::each_time};

struct TeamFilter {
    Maybe<Text> organization_id, user_id, team_alias, team_id;

    bool is_empty() const { return !organization_id && !user_id && !team_alias && !team_id; }
};

template <typename... Values> Rows run_on_teams(Session &session, Statement &statement,
                                                const Maybe<Texts> &administered, const TeamFilter &filter,
                                                const Values &...values)
{
    return session.run(statement, filter.organization_id, filter.user_id, administered, session.caller.user_id,
                       session.caller.organization_id, filter.team_alias, filter.team_id, values...);
}

TeamFilter read_team_filter(Session &session)
{
    TeamFilter filter;
    filter.organization_id = session.argument<Text>("organization_id");
    filter.user_id = session.argument<Text>("user_id");
    filter.team_alias = session.argument("team_alias", part_of_name);
    return filter;
}

ListPage read_teams(Session &session, const Asked &asked, const TeamFilter &filter, const Maybe<Texts> &administered)
{
    const Caller &caller = session.caller;
    const auto start = [&] {
        return page_start(asked.after, "team_id", [&](Text id) {
            return session.run(find_team_page_start, filter.organization_id, filter.user_id, administered,
                               caller.user_id, caller.organization_id, id);
        });
    };
    const auto count = [&] {
        return !administered && filter.is_empty()
                   ? list_total(session, "team", {})
                   : *run_on_teams(session, count_teams, administered, filter)[0].get<int64>(0);
    };
    const auto read = [&](Statement &statement, const PageStart &from, Maybe<int64> limit, int64 offset) {
        return run_on_teams(session, statement, administered, filter, from.time, from.id, limit, offset);
    };
    return read_page(asked, team_orders, start, count, read);
}

Maybe<Texts> administered_by_caller(Session &session)
{
    return session.caller.reads_everything() ? Maybe<Texts>{} : administered_organizations(session);
}

} // namespace

void pg_org::warm_up_team_list(Session &session, Text nobody)
{
    run_on_teams(session, team_orders[0].ascending, {}, {.organization_id = nobody}, Maybe<Time>{}, Maybe<Text>{},
                 Maybe<int64>{1}, int64{0});
}

PG_ORG_READ(team_list)
{
    const TeamFilter filter = read_team_filter(session);
    const Asked asked{
        .by_cursor = true, .limit = session.argument("limit", page_limit), .after = session.argument<Text>("after")};
    const auto administered = administered_by_caller(session);
    const ListPage page = read_teams(session, asked, filter, administered);
    session.reply.begin_array();
    write_listed_teams(session, page.ids, administered);
    session.reply.end_array();
}

PG_ORG_READ(team_list_v2)
{
    TeamFilter filter = read_team_filter(session);
    filter.team_id = session.argument<Text>("team_id");
    const Asked asked = read_asked(session, {.size_name = "page_size", .size = 10, .descending = false}, team_orders);
    const auto administered = administered_by_caller(session);
    const ListPage page = read_teams(session, asked, filter, administered);
    session.reply.begin_object().key("teams").begin_array();
    write_listed_teams(session, page.ids, administered);
    session.reply.end_array();
    end_list(session.reply, page);
}
