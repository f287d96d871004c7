// Keeping within quotas, without counting all there are each time.

#include "quota.hpp"

#include "base/bounds.hpp"
#include "base/fail.hpp"
#include "base/number.hpp"

namespace pg_org {

namespace {

constexpr int64 most = 1'000'000'000;

// $1 the organization, $2 the team, $3 how many more there will be: then they are this many at most, and may be $4,
// unless the organization has a quota of its own.
#define ADD(table, column, condition, quota)                                                                           \
    "UPDATE org." table " x SET " column " = x." column " + $3 FROM org.organization o"                                \
    " WHERE o.organization_id = $1 AND x.organization_id = $1" condition                                               \
    " RETURNING x." column ", coalesce((o.quotas->>'" quota "')::numeric::bigint, $4)"
// How many there are, or $3 if there are more.
#define COUNT(table, condition)                                                                                        \
    "SELECT count(*) FROM (SELECT FROM org." table " WHERE organization_id = $1" condition " LIMIT $3) AS counted"
#define SET(table, column, condition)                                                                                  \
    "UPDATE org." table " SET " column " = $3 WHERE organization_id = $1" condition

// What an organization, or a team of it, may have some of.
struct Quota {
    const char *name;
    int64 by_default;
    Statement add, count, set;
};
#define QUOTA(name, by_default, owners, column, of_owner, counted, of_counted)                                         \
    {                                                                                                                  \
        name, by_default, Statement{ADD(owners, column, of_owner("x."), name)},                                        \
            Statement{COUNT(counted, of_counted), Planned::each_time}, Statement{SET(owners, column, of_owner(""))}    \
    }
#define ANY_TEAM(table) " AND ($2 IS NULL OR true)"
#define THE_TEAM(table) " AND " table "team_id = $2"

constinit Quota teams QUOTA("max_teams", 10'000, "organization", "teams_at_most", ANY_TEAM, "team", ANY_TEAM(""));
constinit Quota memberships
    QUOTA("max_members", 100'000, "organization", "members_at_most", ANY_TEAM, "membership", ANY_TEAM(""));
constinit Quota all_keys QUOTA("max_keys", 100'000, "organization", "keys_at_most", ANY_TEAM, "api_key", ANY_TEAM(""));
constinit Quota team_keys
    QUOTA("max_team_keys", 10'000, "team", "keys_at_most", THE_TEAM, "api_key", THE_TEAM(""));

constexpr std::array<Text, 4> names{"max_teams", "max_members", "max_keys", "max_team_keys"};

constinit Statement count_new_members{
    "SELECT count(*) FROM unnest($2) AS asked (user_id)"
    " WHERE NOT EXISTS (SELECT FROM org.membership m WHERE m.organization_id = $1 AND m.user_id = asked.user_id)"};

constexpr int64 max_keys_of_user = 10'000; // unless the user has a quota of their own
constinit Statement count_keys_of_user{
    "SELECT allowed, (SELECT count(*) FROM (SELECT FROM org.api_key k WHERE k.user_id = u.user_id"
    "                                          AND k.organization_id IS NULL LIMIT allowed) AS counted)"
    "  FROM org.\"user\" u, coalesce((u.quotas->>'max_keys')::numeric::bigint, $2) AS allowed"
    " WHERE u.user_id = $1 FOR NO KEY UPDATE OF u",
    Planned::each_time};

void require_room(Session &session, Quota &quota, Text organization_id, Maybe<Text> team_id, int64 more)
{
    const Rows added = session.run(quota.add, organization_id, team_id, more, quota.by_default);
    if (added.empty()) // there is no such owner, which whoever makes them will say
        return;
    const int64 allowed = *added[0].get<int64>(1);
    if (*added[0].get<int64>(0) <= allowed)
        return;
    const int64 count = *session.run(quota.count, organization_id, team_id, allowed + 1)[0].get<int64>(0) + more;
    if (count > allowed)
        refused("%s=%.*s has reached its quota %s=" INT64_FORMAT, team_id ? "Team" : "Organization",
                FMT_ARG(team_id ? *team_id : organization_id), quota.name, allowed);
    session.run(quota.set, organization_id, team_id, count);
}

Maybe<Json> checked(Maybe<Json> value, const char *name, Texts quotas, const char *rule)
{
    if (!object(value, name))
        return {};
    for (const auto &[quota, entry] : members(*value)) {
        if (std::ranges::find(quotas, quota) == quotas.end())
            invalid(name, "%s", rule);
        const auto count = entry.integer();
        if (!count || *count < 0 || *count > most)
            invalid(name, "must give %.*s a whole number from 0 to " INT64_FORMAT, FMT_ARG(quota), most);
    }
    return value;
}

} // namespace

Maybe<Json> quotas(Maybe<Json> value, const char *name)
{
    return checked(value, name, names, "must be of max_teams, max_members, max_keys and max_team_keys");
}

Maybe<Json> quotas_of_user(Maybe<Json> value, const char *name)
{
    static constexpr Text max_keys = "max_keys";
    return checked(value, name, {&max_keys, 1}, "must be of max_keys");
}

void require_room_for_team(Session &session, Text organization_id)
{
    require_room(session, teams, organization_id, {}, 1);
}

void require_room_for_members(Session &session, Text organization_id, Texts user_ids)
{
    const int64 more = *session.run(count_new_members, organization_id, user_ids)[0].get<int64>(0);
    if (more > 0)
        require_room(session, memberships, organization_id, {}, more);
}

void require_room_for_key(Session &session, const Maybe<Text> &organization_id, const Maybe<Text> &team_id,
                          const Maybe<Text> &user_id)
{
    if (organization_id) {
        require_room(session, all_keys, *organization_id, {}, 1);
        if (team_id)
            require_room(session, team_keys, *organization_id, team_id, 1);
    } else if (user_id) {
        const Rows counted = session.run(count_keys_of_user, *user_id, max_keys_of_user);
        if (!counted.empty() && *counted[0].get<int64>(1) >= *counted[0].get<int64>(0))
            refused("User=%.*s has reached their quota max_keys=" INT64_FORMAT " of keys outside organizations",
                    FMT_ARG(*user_id), *counted[0].get<int64>(0));
    }
}

} // namespace pg_org
