// Keeping within quotas, without counting all there are each time.

#include "quota.hpp"

#include "base/bounds.hpp"
#include "base/fail.hpp"
#include "base/number.hpp"

namespace pg_org {

namespace {

constexpr int64 max_quota = 1'000'000'000;

// How many of something an organization, or a team of it, may have. Each owner has an upper bound of how many there
// are; they are counted only when it reaches the quota.
struct Quota {
    const char *name;
    int64 by_default;
    Statement add;   // $3 to the bound of the organization $1 (and team $2); returns it and the quota, by default $4
    Statement count; // those that there are, up to $3
    Statement set;   // the bound to $3
};

constinit Quota teams{
    "max_teams",
    10'000,
    Statement{R"(
    UPDATE org.organization
       SET teams_at_most = teams_at_most + $3
     WHERE organization_id = $1
    RETURNING teams_at_most, coalesce((quotas->>'max_teams')::numeric::bigint, $4))"},
    Statement{"SELECT count(*) FROM (SELECT FROM org.team WHERE organization_id = $1 LIMIT $3) AS counted",
              Planned::each_time},
    Statement{"UPDATE org.organization SET teams_at_most = $3 WHERE organization_id = $1"},
};

constinit Quota memberships{
    "max_members",
    100'000,
    Statement{R"(
    UPDATE org.organization
       SET members_at_most = members_at_most + $3
     WHERE organization_id = $1
    RETURNING members_at_most, coalesce((quotas->>'max_members')::numeric::bigint, $4))"},
    Statement{"SELECT count(*) FROM (SELECT FROM org.membership WHERE organization_id = $1 LIMIT $3) AS counted",
              Planned::each_time},
    Statement{"UPDATE org.organization SET members_at_most = $3 WHERE organization_id = $1"},
};

constinit Quota end_users{
    "max_end_users",
    100'000,
    Statement{R"(
    UPDATE org.organization
       SET end_users_at_most = end_users_at_most + $3
     WHERE organization_id = $1
    RETURNING end_users_at_most, coalesce((quotas->>'max_end_users')::numeric::bigint, $4))"},
    Statement{"SELECT count(*) FROM (SELECT FROM org.end_user WHERE organization_id = $1 LIMIT $3) AS counted",
              Planned::each_time},
    Statement{"UPDATE org.organization SET end_users_at_most = $3 WHERE organization_id = $1"},
};

constinit Quota all_keys{
    "max_keys",
    100'000,
    Statement{R"(
    UPDATE org.organization
       SET keys_at_most = keys_at_most + $3
     WHERE organization_id = $1
    RETURNING keys_at_most, coalesce((quotas->>'max_keys')::numeric::bigint, $4))"},
    Statement{"SELECT count(*) FROM (SELECT FROM org.api_key WHERE organization_id = $1 LIMIT $3) AS counted",
              Planned::each_time},
    Statement{"UPDATE org.organization SET keys_at_most = $3 WHERE organization_id = $1"},
};

constinit Quota team_keys{
    "max_team_keys",
    10'000,
    Statement{R"(
    UPDATE org.team
       SET keys_at_most = keys_at_most + $3
     WHERE organization_id = $1
       AND team_id = $2
    RETURNING keys_at_most,
              coalesce((SELECT (quotas->>'max_team_keys')::numeric::bigint
                          FROM org.organization o
                         WHERE o.organization_id = $1), $4))"},
    Statement{R"(
    SELECT count(*)
      FROM (SELECT
              FROM org.api_key
             WHERE coalesce(organization_id, '') = $1
               AND team_id = $2
             LIMIT $3) AS counted)",
              Planned::each_time},
    Statement{"UPDATE org.team SET keys_at_most = $3 WHERE organization_id = $1 AND team_id = $2"},
};

constexpr std::array<Text, 5> names{"max_teams", "max_members", "max_keys", "max_team_keys", "max_end_users"};

constinit Statement count_new_members{R"(
    SELECT count(*)
      FROM unnest($2) AS asked (user_id)
     WHERE NOT EXISTS (SELECT
                         FROM org.membership m
                        WHERE m.organization_id = $1
                          AND m.user_id = asked.user_id))"};

constexpr int64 max_keys_of_user = 10'000; // unless the user has a quota of their own
constinit Statement count_keys_of_user{R"(
    SELECT allowed,
           (SELECT count(*)
              FROM (SELECT
                      FROM org.api_key k
                     WHERE k.user_id = u.user_id
                       AND k.organization_id IS NULL
                       AND k.team_id IS NULL
                     LIMIT allowed) AS counted)
      FROM org."user" u, coalesce((u.quotas->>'max_keys')::numeric::bigint, $2) AS allowed
     WHERE u.user_id = $1
       FOR NO KEY UPDATE OF u)",
                                       Planned::each_time};

constexpr int64 max_members_of_team = 100'000;
constinit Statement count_members_of_team{R"(
    SELECT count(*)
      FROM (SELECT
              FROM org.team_member
             WHERE organization_id = $1
               AND team_id = $2
             LIMIT $3) AS counted)",
                                          Planned::each_time};

void require_room(Session &session, Quota &quota, Text organization_id, Maybe<Text> team_id, int64 more)
{
    const Rows added = session.run(quota.add, organization_id, team_id, more, quota.by_default);
    if (added.empty()) // no such owner: the rule that called this refuses it
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
        if (!count || *count < 0 || *count > max_quota)
            invalid(name, "must give %.*s a whole number from 0 to " INT64_FORMAT, FMT_ARG(quota), max_quota);
    }
    return value;
}

} // namespace

Maybe<Json> quotas(Maybe<Json> value, const char *name)
{
    return checked(value, name, names, "must be of max_teams, max_members, max_keys, max_team_keys and max_end_users");
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

void require_room_for_end_users(Session &session, Text organization_id, int64 more)
{
    if (more > 0)
        require_room(session, end_users, organization_id, {}, more);
}

void require_room_in_team(Session &session, Text organization_id, Text team_id)
{
    const Rows counted = session.run(count_members_of_team, organization_id, team_id, max_members_of_team + 1);
    if (*counted[0].get<int64>(0) > max_members_of_team)
        refused("Team=%.*s cannot have more than " INT64_FORMAT " members", FMT_ARG(team_id), max_members_of_team);
}

void require_room_for_keys(Session &session, Text organization_id, int64 more)
{
    if (more > 0)
        require_room(session, all_keys, organization_id, {}, more);
}

void require_room_for_key(Session &session, const Maybe<Text> &organization_id, const Maybe<Text> &team_id,
                          const Maybe<Text> &user_id)
{
    if (organization_id) {
        require_room(session, all_keys, *organization_id, {}, 1);
        if (team_id)
            require_room(session, team_keys, *organization_id, team_id, 1);
    } else if (team_id) {
        require_room(session, team_keys, {}, team_id, 1);
    } else if (user_id) {
        const Rows counted = session.run(count_keys_of_user, *user_id, max_keys_of_user);
        if (!counted.empty() && *counted[0].get<int64>(1) >= *counted[0].get<int64>(0))
            refused("User=%.*s has reached their quota max_keys=" INT64_FORMAT " of keys outside organizations",
                    FMT_ARG(*user_id), *counted[0].get<int64>(0));
    }
}

void require_room_for_key_in_team(Session &session, Text organization_id, Text team_id)
{
    require_room(session, team_keys, organization_id, team_id, 1);
}

} // namespace pg_org
