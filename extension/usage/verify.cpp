// Verifying that counters are the sums of the ledger, and archives those that were carried forward; repairing counters.

#include "base/fail.hpp"
#include "base/session.hpp"
#include "ranges.hpp"
#include "rules/lock.hpp"

using namespace pg_org;

namespace {

// Every counter that differs from the ledger, with the expected value. $1: one organization, null for all.
constinit Statement find_differences{
#include "queries/find_differences.inc"
    , Planned::each_time};

// Organizations are locked before these: teams of no organization, $1 users and the users of $2 keys of no
// organization, end users of the platform, then those keys.
constinit Statement lock_teams{R"(
    SELECT FROM org.team
     WHERE organization_id = '' AND team_id = ANY ($1)
     ORDER BY team_id FOR NO KEY UPDATE)"};
constinit Statement lock_users{R"(
    SELECT FROM org."user"
     WHERE user_id = ANY ($1)
        OR user_id IN (SELECT user_id FROM org.api_key WHERE organization_id IS NULL AND key_id = ANY ($2))
     ORDER BY user_id FOR NO KEY UPDATE)"};
constinit Statement lock_platform_end_users{R"(
    SELECT FROM org.end_user
     WHERE organization_id = '' AND end_user_id = ANY ($1)
     ORDER BY end_user_id FOR NO KEY UPDATE)"};
constinit Statement lock_keys{R"(
    SELECT FROM org.api_key
     WHERE organization_id IS NULL AND key_id = ANY ($1)
     ORDER BY key_id FOR NO KEY UPDATE)"};

// Sets the counters whose names begin like this to their expected values, by the columns of find_differences from $1
// organization_id to $9 tag, and $10 expected.
struct Repair {
    Text counter;
    Statement statement;
};
constinit std::array<Repair, 10> repairs{
    Repair{"organization.spend", Statement{R"(
    UPDATE org.organization SET spend = expected
      FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS d (o, t, u, k, e, of_each, part, model, tag, expected)
     WHERE organization_id = o)"}},
    Repair{"team.spend", Statement{R"(
    UPDATE org.team SET spend = expected
      FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS d (o, t, u, k, e, of_each, part, model, tag, expected)
     WHERE organization_id = o AND team_id = t)"}},
    Repair{"membership.spend", Statement{R"(
    UPDATE org.membership SET spend = expected
      FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS d (o, t, u, k, e, of_each, part, model, tag, expected)
     WHERE organization_id = o AND user_id = u)"}},
    Repair{"team_member.spend", Statement{R"(
    UPDATE org.team_member SET spend = expected
      FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS d (o, t, u, k, e, of_each, part, model, tag, expected)
     WHERE organization_id = o AND team_id = t AND user_id = u)"}},
    Repair{"user.spend", Statement{R"(
    UPDATE org."user" SET spend = expected
      FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS d (o, t, u, k, e, of_each, part, model, tag, expected)
     WHERE user_id = u)"}},
    Repair{"end_user.spend", Statement{R"(
    UPDATE org.end_user SET spend = expected
      FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS d (o, t, u, k, e, of_each, part, model, tag, expected)
     WHERE organization_id = o AND end_user_id = e)"}},
    Repair{"api_key.spend", Statement{R"(
    UPDATE org.api_key SET spend = expected
      FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS d (o, t, u, k, e, of_each, part, model, tag, expected)
     WHERE key_id = k)"}},
    Repair{"organization.model_spend", Statement{R"(
    UPDATE org.organization SET model_spend = model_spend - m.models || m.spend
      FROM (SELECT o, array_agg(model) AS models,
                   coalesce(jsonb_object_agg(model, expected) FILTER (WHERE expected > 0), '{}') AS spend
              FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS d (o, t, u, k, e, of_each, part, model, tag, expected)
             GROUP BY o) AS m
     WHERE organization_id = o)"}},
    Repair{"user.model_spend", Statement{R"(
    UPDATE org."user" SET model_spend = model_spend - m.models || m.spend
      FROM (SELECT u, array_agg(model) AS models,
                   coalesce(jsonb_object_agg(model, expected) FILTER (WHERE expected > 0), '{}') AS spend
              FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS d (o, t, u, k, e, of_each, part, model, tag, expected)
             GROUP BY u) AS m
     WHERE user_id = u)"}},
    // The next call recounts a counter that is missing.
    Repair{"usage_counter.", Statement{R"(
    DELETE FROM org.usage_counter x
     USING unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS d (o, t, u, k, e, of_each, p, m, g, expected)
     WHERE (organization_id, team_id, user_id, key_id, end_user, each, part, model, tag)
         = (o, t, u, k, e, of_each, p, m, g))"}},
};
// Days are deleted and summed again.
constexpr Text days = "usage_daily.";

constinit Statement delete_days{R"(
    DELETE FROM org.usage_daily
     USING unnest($1, $2) AS d (o, of_day)
     WHERE organization_id = o AND day = of_day::date)"};

constinit Statement sum_days{R"(
    INSERT INTO org.usage_daily (organization_id, day, team_id, key_id, model, spend, prompt_tokens,
           completion_tokens, cache_read_input_tokens, cache_creation_input_tokens, successful_requests,
           failed_requests, first_reserved_at)
    SELECT organization_id, d.day, team_id, key_id, model, sum(cost), sum(prompt_tokens), sum(completion_tokens),
           sum(cache_read_input_tokens), sum(cache_creation_input_tokens), sum(requests - failed_requests),
           sum(failed_requests), min(reserved_at)
      FROM (SELECT DISTINCT o, of_day::date AS day FROM unnest($1, $2) AS d (o, of_day)) AS d
      JOIN org.usage_settled
        ON organization_id = o AND closed_at >= d.day::timestamp AT TIME ZONE 'UTC'
       AND closed_at < (d.day + 1)::timestamp AT TIME ZONE 'UTC'
     GROUP BY organization_id, d.day, team_id, key_id, model)"};

// Of those whose tables are still there.
constinit Statement find_archives{R"(
    SELECT name, ends_at
      FROM org.usage_archive
     WHERE archived_at IS NOT NULL
       AND to_regclass(format('org_archive.%I', name)) IS NOT NULL
     ORDER BY ends_at)"};

constexpr const char *compare_archive =
#include "queries/compare_archive.inc"
    ;

// A row of find_differences.
struct Difference {
    Row row;
    Text counter() const { return *row.get<Text>(0); }
    Text text(int column) const { return *row.get<Text>(column); }
    Number expected() const { return *row.get<Number>(12); }
};
constexpr int organization_column = 1, team_column = 2, user_column = 3, key_column = 4, end_user_column = 5,
              day_column = 10;

std::span<const Difference> differences(Session &session, Maybe<Text> organization_id)
{
    const Rows rows = session.run(find_differences, organization_id);
    return map<Difference>(rows.all(), [](const Row &row) { return Difference{row}; });
}

void write(Session &session, std::span<const Difference> found)
{
    for (const Difference &difference : found)
        session.reply.object(difference.row);
}

// Of archived partitions from the sums that were carried forward.
void write_differences_of_archives(Session &session, Maybe<Text> organization_id)
{
    for (const Row archive : session.run(find_archives)) {
        const char *table = quote_qualified_identifier("org_archive", c_string(*archive.get<Text>(0)));
        for (const Row difference : session.run_about(table, compare_archive, organization_id, *archive.get<Time>(1)))
            session.reply.object(difference);
    }
}

void repair(Session &session, std::span<const Difference> found)
{
    const auto texts = [](std::span<const Difference> some, int place) {
        return map<Text>(some, [&](const Difference &difference) { return difference.text(place); });
    };
    const auto of = [&](Text counter) {
        return filter(found, [&](const Difference &difference) { return difference.counter().starts_with(counter); });
    };
    for (auto &[counter, statement] : repairs)
        if (const auto some = of(counter); !some.empty())
            session.run(statement, texts(some, 1), texts(some, 2), texts(some, 3), texts(some, 4), texts(some, 5),
                        texts(some, 6), texts(some, 7), texts(some, 8), texts(some, 9),
                        map<Number>(some, [](const Difference &difference) { return difference.expected(); }));
    if (const auto some = of(days); !some.empty()) {
        session.run(delete_days, texts(some, organization_column), texts(some, day_column));
        session.run(sum_days, texts(some, organization_column), texts(some, day_column));
    }
}

// The owners whose counters one call repairs: not too many, since calls wait for it.
struct OwnersToRepair {
    static constexpr size_t max_size = 100; // of each
    Texts organizations;
    Texts teams, users, end_users, keys; // that have counters outside organizations

    explicit OwnersToRepair(std::span<const Difference> found)
        : organizations(first_of(found, organization_column)), teams(first_of(those_outside(found), team_column)),
          users(first_of(those_outside(found), user_column)),
          end_users(first_of(those_outside(found), end_user_column)), keys(first_of(those_outside(found), key_column))
    {
    }
    bool has_outside() const { return !teams.empty() || !users.empty() || !end_users.empty() || !keys.empty(); }
    bool has(const Difference &difference) const
    {
        const auto among = [&](Texts some, int place) {
            return std::ranges::binary_search(some, difference.text(place));
        };
        if (!difference.text(organization_column).empty())
            return among(organizations, organization_column);
        return among(teams, team_column) || among(users, user_column) || among(end_users, end_user_column) ||
               among(keys, key_column);
    }

private:
    static std::span<const Difference> those_outside(std::span<const Difference> found)
    {
        return filter(found, [](const Difference &difference) { return difference.text(organization_column).empty(); });
    }
    // The first values of a column, sorted.
    static Texts first_of(std::span<const Difference> found, int place)
    {
        const auto texts = allocate<Text>(found.size());
        size_t count = 0;
        for (const Difference &difference : found)
            if (const Text text = difference.text(place); !text.empty())
                texts[count++] = text;
        const auto all = texts.first(count);
        std::ranges::sort(all);
        const size_t distinct = count - std::ranges::unique(all).size();
        return all.first(std::min(distinct, max_size));
    }
};

// The differences of the owners now. Organizations are verified one by one, to read only their part of the ledger.
std::span<const Difference> differences_of(Session &session, const OwnersToRepair &owners)
{
    const auto parts = allocate<std::span<const Difference>>(owners.organizations.size() + 1);
    size_t count = 0, size = 0;
    const auto add = [&](Maybe<Text> organization_id) {
        parts[count] = filter(differences(session, organization_id), [&](const Difference &difference) {
            return difference.text(organization_column) == organization_id.value_or(Text{}) && owners.has(difference);
        });
        size += parts[count++].size();
    };
    for (const Text organization_id : owners.organizations)
        add(organization_id);
    if (owners.has_outside())
        add({});
    const auto all = allocate<Difference>(size);
    auto end = all.begin();
    for (const auto part : parts.first(count))
        end = std::ranges::copy(part, end).out;
    std::ranges::sort(all, std::ranges::lexicographical_compare, [](const Difference &difference) {
        std::array<Text, day_column + 1> texts;
        for (int i = 0; i <= day_column; i++)
            texts[i] = difference.text(i);
        return texts;
    });
    return all;
}

} // namespace

PG_ORG_READ(usage_verify)
{
    const auto organization_id = session.argument("organization_id", not_empty);
    if (!session.caller.reads_everything())
        forbidden("Only proxy admins and viewers can verify usage. Your role is = %s", role_name(session.caller.role));
    session.reply.begin_array();
    write(session, differences(session, organization_id));
    write_differences_of_archives(session, organization_id);
    session.reply.end_array();
}

PG_ORG_WRITE(usage_repair)
{
    const auto organization_id = session.argument("organization_id", not_empty);
    if (!session.caller.is_proxy_admin())
        forbidden("Only proxy admins can repair usage. Your role is = %s", role_name(session.caller.role));
    // The first comparison needs no locks, since it is one snapshot. Only owners with differences are locked, and
    // compared again.
    const OwnersToRepair owners{differences(session, organization_id)};
    if (!owners.organizations.empty())
        lock_organizations(session, owners.organizations);
    if (owners.has_outside()) {
        session.run(lock_teams, owners.teams);
        session.run(lock_users, owners.users, owners.keys);
        session.run(lock_platform_end_users, owners.end_users);
        session.run(lock_keys, owners.keys);
    }
    const auto found = differences_of(session, owners);
    repair(session, found);
    session.reply.begin_array();
    write(session, found);
    session.reply.end_array();
}
