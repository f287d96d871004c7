// Comparing counters with the ledger they are sums of, and mending them.

#include "base/fail.hpp"
#include "ledger.hpp"
#include "rules/organization.hpp"

using namespace pg_org;

namespace {

// An owner is known by four columns, as in usage_account; a call is charged to each owner that it names.
#define CHARGED_TO                                                                                                     \
    "  CROSS JOIN LATERAL (VALUES (c.organization_id, '', '', '', c.organization_id <> ''),"                           \
    "                             (c.organization_id, c.team_id, '', '', c.team_id <> ''),"                            \
    "                             (c.organization_id, '', c.user_id, '', c.organization_id <> '' AND c.user_id <> ''),"\
    "                             (c.organization_id, c.team_id, c.user_id, '', c.team_id <> '' AND c.user_id <> '')," \
    "                             ('', '', c.user_id, '', c.user_id <> '' AND NOT c.delegated),"                       \
    "                             (c.organization_id, '', '', c.key_id, true)) AS owner (o, t, u, k, is_named)"        \
    " WHERE is_named"
#define SPEND_OF(kind, table, columns, condition)                                                                      \
    "SELECT '" kind "', " columns ", created_at, spend FROM org." table " WHERE " condition
#define COUNTER_OF_DAYS(name) " ('usage_daily." name "', d." name "::numeric, s." name "::numeric)"

// All that counts calls, and what it should say. $1: one organization, null for all.
constinit Statement find_differences{
    "WITH settled AS NOT MATERIALIZED ("
    "    SELECT * FROM org.usage c WHERE c.state = 'settled' AND ($1 IS NULL OR c.organization_id = $1)"
    "), owner (kind, organization_id, team_id, user_id, key_id, since, spend) AS ("
    SPEND_OF("organization", "organization", "organization_id, '', '', ''", "$1 IS NULL OR organization_id = $1")
    " UNION ALL "
    SPEND_OF("team", "team", "organization_id, team_id, '', ''", "$1 IS NULL OR organization_id = $1")
    " UNION ALL "
    SPEND_OF("membership", "membership", "organization_id, '', user_id, ''", "$1 IS NULL OR organization_id = $1")
    " UNION ALL "
    SPEND_OF("team_member", "team_member", "organization_id, team_id, user_id, ''",
             "$1 IS NULL OR organization_id = $1")
    " UNION ALL "
    SPEND_OF("user", "\"user\"", "'', '', user_id, ''", "$1 IS NULL")
    " UNION ALL "
    SPEND_OF("api_key", "api_key", "coalesce(organization_id, ''), '', '', key_id",
             "$1 IS NULL OR organization_id = $1")
    "), charge AS NOT MATERIALIZED ("
    "    SELECT o, t, u, k, c.model, c.reserved_at, c.closed_at, c.cost, 0::numeric AS held_cost, 0 AS held_requests,"
    "           c.prompt_tokens + c.completion_tokens AS tokens"
    "      FROM settled c" CHARGED_TO
    "     UNION ALL "
    "    SELECT o, t, u, k, c.model, c.reserved_at, '-infinity', 0, c.max_cost, 1, c.max_tokens"
    "      FROM org.reservation c" CHARGED_TO " AND ($1 IS NULL OR c.organization_id = $1)"
    "), spent AS ("
    "    SELECT w.*, coalesce(sum(c.cost), 0) AS expected"
    "      FROM owner w LEFT JOIN charge c"
    "        ON c.o = w.organization_id AND c.t = w.team_id AND c.u = w.user_id AND c.k = w.key_id"
    "       AND c.reserved_at >= w.since"
    "     GROUP BY w.kind, w.organization_id, w.team_id, w.user_id, w.key_id, w.since, w.spend"
    "), model_owner (kind, organization_id, user_id, since, model_spend) AS ("
    "    SELECT 'organization', organization_id, '', created_at, model_spend FROM org.organization"
    "     WHERE $1 IS NULL OR organization_id = $1"
    "     UNION ALL SELECT 'user', '', user_id, created_at, model_spend FROM org.\"user\" WHERE $1 IS NULL"
    "), model_spent AS ("
    "    SELECT kind, organization_id, user_id, model, sum(found) AS found, sum(expected) AS expected"
    "      FROM (SELECT w.kind, w.organization_id, w.user_id, m.model, m.amount::numeric AS found, 0 AS expected"
    "              FROM model_owner w CROSS JOIN LATERAL jsonb_each_text(w.model_spend) AS m (model, amount)"
    "             UNION ALL"
    "            SELECT w.kind, w.organization_id, w.user_id, c.model, 0, c.cost"
    "              FROM model_owner w"
    "              JOIN settled c ON c.organization_id = w.organization_id AND c.reserved_at >= w.since"
    "             WHERE w.kind = 'organization'"
    "             UNION ALL"
    "            SELECT w.kind, w.organization_id, w.user_id, c.model, 0, c.cost"
    "              FROM model_owner w JOIN settled c"
    "                ON c.user_id = w.user_id AND NOT c.delegated AND c.reserved_at >= w.since"
    "             WHERE w.kind = 'user') AS sides"
    "     GROUP BY kind, organization_id, user_id, model"
    "), account AS ("
    "    SELECT a.* FROM org.usage_account a"
    "      JOIN owner w ON (w.organization_id, w.team_id, w.user_id, w.key_id, w.since)"
    "                    = (a.organization_id, a.team_id, a.user_id, a.key_id, a.owner_since)"
    "), counted AS ("
    "    SELECT a.organization_id, a.team_id, a.user_id, a.key_id, a.model,"
    "           coalesce(sum(c.cost) FILTER (WHERE c.closed_at >= a.window_start), 0) AS window_spend,"
    "           coalesce(sum(c.held_cost), 0) AS held_cost, coalesce(sum(c.held_requests), 0) AS held_requests,"
    "           (count(*) FILTER (WHERE date_trunc('minute', c.reserved_at) = a.minute))::numeric AS minute_requests,"
    "           coalesce(sum(c.tokens) FILTER (WHERE date_trunc('minute', c.reserved_at) = a.minute), 0)"
    "               AS minute_tokens"
    "      FROM account a LEFT JOIN charge c"
    "        ON c.o = a.organization_id AND c.t = a.team_id AND c.u = a.user_id AND c.k = a.key_id"
    "       AND c.reserved_at >= a.owner_since"
    "       AND (a.model = '' OR c.model = a.model OR substr(c.model, strpos(c.model, '/') + 1) = a.model)"
    "     GROUP BY a.organization_id, a.team_id, a.user_id, a.key_id, a.model"
    "), daily AS ("
    "    SELECT organization_id, (closed_at AT TIME ZONE 'UTC')::date AS day, team_id, key_id, model,"
    "           sum(cost) AS spend, sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens,"
    "           sum(cache_read_input_tokens) AS cache_read_input_tokens,"
    "           sum(cache_creation_input_tokens) AS cache_creation_input_tokens,"
    "           count(*) FILTER (WHERE NOT failed) AS successful_requests,"
    "           count(*) FILTER (WHERE failed) AS failed_requests"
    "      FROM settled GROUP BY organization_id, day, team_id, key_id, model"
    ")"
    "SELECT kind || '.spend' AS counter, organization_id, team_id, user_id, key_id AS token_id, '' AS model,"
    "       '' AS day, spend AS found, expected FROM spent WHERE spend <> expected"
    " UNION ALL "
    "SELECT kind || '.model_spend', organization_id, '', user_id, '', model, '', found, expected"
    "  FROM model_spent WHERE found <> expected"
    " UNION ALL "
    "SELECT v.counter, account.organization_id, account.team_id, account.user_id, account.key_id, account.model, '',"
    "       v.found, v.expected"
    "  FROM account JOIN counted s"
    "    ON (s.organization_id, s.team_id, s.user_id, s.key_id, s.model)"
    "     = (account.organization_id, account.team_id, account.user_id, account.key_id, account.model)"
    " CROSS JOIN LATERAL (VALUES ('usage_account.window_spend', account.window_spend, s.window_spend),"
    "       ('usage_account.held_cost', account.held_cost, s.held_cost),"
    "       ('usage_account.held_requests', account.held_requests, s.held_requests),"
    "       ('usage_account.minute_requests', account.minute_requests, s.minute_requests),"
    "       ('usage_account.minute_tokens', account.minute_tokens, s.minute_tokens)) AS v (counter, found, expected)"
    " WHERE v.found <> v.expected"
    " UNION ALL "
    "SELECT v.counter, organization_id, team_id, '', key_id, model,"
    "       to_char(day, 'YYYY-MM-DD'), coalesce(v.found, 0), coalesce(v.expected, 0)"
    "  FROM (SELECT * FROM org.usage_daily WHERE $1 IS NULL OR organization_id = $1) AS d"
    "  FULL JOIN daily s USING (organization_id, day, team_id, key_id, model)"
    " CROSS JOIN LATERAL (VALUES " COUNTER_OF_DAYS("spend") "," COUNTER_OF_DAYS("prompt_tokens") ","
    COUNTER_OF_DAYS("completion_tokens") "," COUNTER_OF_DAYS("cache_read_input_tokens") ","
    COUNTER_OF_DAYS("cache_creation_input_tokens") "," COUNTER_OF_DAYS("successful_requests") ","
    COUNTER_OF_DAYS("failed_requests") ") AS v (counter, found, expected)"
    " WHERE coalesce(v.found, 0) <> coalesce(v.expected, 0)"
    " ORDER BY 1, 2, 3, 4, 5, 6, 7",
    Planned::each_time};

// Who comes after organizations in the order of locks, and is locked by calls: users, $1, and those of keys, $2, of no
// organization; then such keys.
constinit Statement lock_users{
    "SELECT FROM org.\"user\" WHERE user_id = ANY ($1)"
    "    OR user_id IN (SELECT user_id FROM org.api_key WHERE organization_id IS NULL AND key_id = ANY ($2))"
    " ORDER BY user_id FOR NO KEY UPDATE"};
constinit Statement lock_keys{
    "SELECT FROM org.api_key WHERE organization_id IS NULL AND key_id = ANY ($1) ORDER BY key_id FOR NO KEY UPDATE"};

#define MENDED "FROM unnest($1, $2, $3, $4, $5, $6) AS d (o, t, u, k, model, expected) WHERE "
#define MEND_SPEND(table, condition)                                                                                   \
    {                                                                                                                  \
        table ".spend", Statement{"UPDATE org.\"" table "\" x SET spend = expected " MENDED condition}                 \
    }
#define MEND_MODEL_SPEND(table, condition)                                                                             \
    {                                                                                                                  \
        table ".model_spend",                                                                                          \
            Statement{"UPDATE org.\"" table "\" x SET model_spend = x.model_spend - m.models || m.spend"               \
                      "  FROM (SELECT o, u, array_agg(model) AS models,"                                               \
                      "               coalesce(jsonb_object_agg(model, expected) FILTER (WHERE expected > 0), '{}')"   \
                      "                   AS spend"                                                                    \
                      "          FROM unnest($1, $2, $3, $4, $5, $6) AS d (o, t, u, k, model, expected)"               \
                      "         GROUP BY o, u) AS m WHERE " condition}                                                 \
    }

// What sets a counter, or counters whose name begins like this, to what is expected. An account is taken away: the
// next call counts again. Days are summed again.
struct Mending {
    Text counter;
    Statement statement;
};
constinit std::array<Mending, 9> mendings{
    Mending MEND_SPEND("organization", "organization_id = o"),
    Mending MEND_SPEND("team", "organization_id = o AND team_id = t"),
    Mending MEND_SPEND("membership", "organization_id = o AND user_id = u"),
    Mending MEND_SPEND("team_member", "organization_id = o AND team_id = t AND user_id = u"),
    Mending MEND_SPEND("user", "user_id = u"),
    Mending MEND_SPEND("api_key", "key_id = k"),
    Mending MEND_MODEL_SPEND("organization", "organization_id = o"),
    Mending MEND_MODEL_SPEND("user", "user_id = u"),
    Mending{"usage_account.",
            Statement{"DELETE FROM org.usage_account x USING unnest($1, $2, $3, $4, $5, $6) AS d (o, t, u, k, m, e)"
                      " WHERE (organization_id, team_id, user_id, key_id, model) = (o, t, u, k, m)"}},
};
constexpr Text days = "usage_daily.";

constinit Statement forget_days{
    "DELETE FROM org.usage_daily USING unnest($1, $2) AS d (o, of_day)"
    " WHERE organization_id = o AND day = of_day::date"};

constinit Statement sum_days{
    "INSERT INTO org.usage_daily (organization_id, day, team_id, key_id, model, spend, prompt_tokens,"
    "       completion_tokens, cache_read_input_tokens, cache_creation_input_tokens, successful_requests,"
    "       failed_requests, first_reserved_at)"
    " SELECT organization_id, d.day, team_id, key_id, model, sum(cost), sum(prompt_tokens), sum(completion_tokens),"
    "        sum(cache_read_input_tokens), sum(cache_creation_input_tokens), count(*) FILTER (WHERE NOT failed),"
    "        count(*) FILTER (WHERE failed), min(reserved_at)"
    "   FROM (SELECT DISTINCT o, of_day::date AS day FROM unnest($1, $2) AS d (o, of_day)) AS d"
    "   JOIN org.usage"
    "     ON organization_id = o AND state = 'settled' AND closed_at >= d.day::timestamp AT TIME ZONE 'UTC'"
    "    AND closed_at < (d.day + 1)::timestamp AT TIME ZONE 'UTC'"
    "  GROUP BY organization_id, d.day, team_id, key_id, model"};

// A counter that is not what it should be, by the columns of find_differences.
struct Difference {
    Row row;
    Text counter() const { return *row.get<Text>(0); }
    Text text(int column) const { return *row.get<Text>(column); }
    Number expected() const { return *row.get<Number>(8); }
};
constexpr int organization_column = 1, user_column = 3, key_column = 4, day_column = 6;

std::span<const Difference> differences(Session &session, Maybe<Text> organization_id)
{
    const Rows rows = session.run(find_differences, organization_id);
    const auto found = allocate<Difference>(rows.size());
    for (size_t i = 0; i < rows.size(); i++)
        found[i] = {rows[i]};
    return found;
}

void write_differences(Session &session, std::span<const Difference> found)
{
    session.reply.begin_array();
    for (const Difference &difference : found)
        session.reply.object(difference.row);
    session.reply.end_array();
}

template <typename Condition>
std::span<const Difference> those(std::span<const Difference> found, Condition condition)
{
    const auto some = allocate<Difference>(found.size());
    const auto end = std::ranges::copy_if(found, some.begin(), condition).out;
    return {some.begin(), end};
}

std::span<const Difference> those_of(std::span<const Difference> found, Text counter)
{
    return those(found, [&](const Difference &difference) { return difference.counter().starts_with(counter); });
}

void mend(Session &session, std::span<const Difference> found)
{
    const auto texts = [](std::span<const Difference> some, int place) {
        return column<Text>(some, [&](const Difference &difference) { return difference.text(place); });
    };
    for (auto &[counter, statement] : mendings)
        if (const auto some = those_of(found, counter); !some.empty())
            session.run(statement, texts(some, 1), texts(some, 2), texts(some, 3), texts(some, 4), texts(some, 5),
                        column<Number>(some, [](const Difference &difference) { return difference.expected(); }));
    if (const auto some = those_of(found, days); !some.empty()) {
        session.run(forget_days, texts(some, organization_column), texts(some, day_column));
        session.run(sum_days, texts(some, organization_column), texts(some, day_column));
    }
}

// Whose counters are mended in one call: no more than calls should wait for.
struct Concerned {
    static constexpr size_t most = 100; // of each
    Texts organizations, users, keys;   // the latter two where they count for no organization

    explicit Concerned(std::span<const Difference> found)
        : organizations(first_of(found, organization_column)),
          users(first_of(those_outside(found), user_column)), keys(first_of(those_outside(found), key_column))
    {
    }
    bool outside() const { return !users.empty() || !keys.empty(); }
    bool has(const Difference &difference) const
    {
        const auto among = [&](Texts some, int place) {
            return std::ranges::binary_search(some, difference.text(place));
        };
        return difference.text(organization_column).empty() ? among(users, user_column) || among(keys, key_column)
                                                            : among(organizations, organization_column);
    }

private:
    static std::span<const Difference> those_outside(std::span<const Difference> found)
    {
        return those(found, [](const Difference &difference) { return difference.text(organization_column).empty(); });
    }
    // What is in a column, in order.
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
        return all.first(std::min(distinct, most));
    }
};

// How the counters of those concerned differ now; one organization after the other, to read no more than theirs.
std::span<const Difference> differences_of(Session &session, const Concerned &concerned)
{
    const auto parts = allocate<std::span<const Difference>>(concerned.organizations.size() + 1);
    size_t count = 0, size = 0;
    const auto add = [&](Maybe<Text> organization_id) {
        parts[count] = those(differences(session, organization_id), [&](const Difference &difference) {
            return difference.text(organization_column) == organization_id.value_or(Text{}) &&
                   concerned.has(difference);
        });
        size += parts[count++].size();
    };
    for (const Text organization_id : concerned.organizations)
        add(organization_id);
    if (concerned.outside())
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
    write_differences(session, differences(session, organization_id));
}

PG_ORG_WRITE(usage_repair)
{
    const auto organization_id = session.argument("organization_id", not_empty);
    if (!session.caller.is_proxy_admin())
        forbidden("Only proxy admins can repair usage. Your role is = %s", role_name(session.caller.role));
    // Counters and ledger are of one moment without a lock. Only whose counters differ has to wait, while those are
    // looked at again.
    const Concerned concerned{differences(session, organization_id)};
    if (!concerned.organizations.empty())
        lock_organizations(session, concerned.organizations);
    if (!concerned.users.empty() || !concerned.keys.empty()) {
        session.run(lock_users, concerned.users, concerned.keys);
        session.run(lock_keys, concerned.keys);
    }
    const auto found = differences_of(session, concerned);
    mend(session, found);
    write_differences(session, found);
}
