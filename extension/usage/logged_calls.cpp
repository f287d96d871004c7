// Finding calls of the ledger by its indexes.

#include "logged_calls.hpp"

namespace pg_org {

namespace {

using Way = CallSource::Way;

constinit Statement find_key{"SELECT key_id FROM org.api_key WHERE key_hash = $1 OR key_id = $2"};

// A key or team that was moved or deleted has left sums where it was.
constinit Statement find_organizations_of_key{R"(
    SELECT coalesce(organization_id, '') FROM org.api_key WHERE key_id = $1
     UNION
    SELECT organization_id FROM org.usage_daily WHERE key_id = $1)"};

constinit Statement find_organizations_of_team{R"(
    SELECT organization_id FROM org.team WHERE team_id = $1
     UNION
    SELECT organization_id FROM org.usage_daily WHERE team_id = $1 AND team_id <> '')"};

constinit Statement find_creation_of_user{"SELECT created_at FROM org.\"user\" WHERE user_id = $1"};

constinit Statement find_creation_of_key{"SELECT created_at FROM org.api_key WHERE key_id = $1"};

constinit Statement find_administered_organizations{
    "SELECT organization_id, created_at FROM org.organization WHERE organization_id = ANY ($1)"};

// Of the user $1 with a key of the organization $2, outside the organizations $3.
constinit Statement find_administered_teams{R"(
    SELECT t.organization_id, t.team_id, t.created_at
      FROM org.team_member tm
      JOIN org.team t USING (organization_id, team_id)
     WHERE tm.user_id = $1
       AND tm.role = 'admin'
       AND ($2 IS NULL OR tm.organization_id = $2)
       AND tm.organization_id <> ALL ($3))"};

#define SOURCES(name)                                                                                                  \
    "unnest($1) AS " name " (way text, of_organization boolean, organization_id text, team_id text, key_id text,"      \
    "                        user_id text, since timestamptz, own boolean)"
using SourceRecord = std::tuple<Text, bool, Text, Text, Text, Text, Time, bool>;

#define IS_OF(source)                                                                                                  \
    "(NOT " source ".of_organization OR u.organization_id = " source ".organization_id)"                               \
    " AND (" source ".team_id = '' OR u.team_id = " source ".team_id)"                                                 \
    " AND (" source ".key_id = '' OR u.key_id = " source ".key_id)"                                                    \
    " AND (" source ".user_id = '' OR u.user_id = " source ".user_id)"                                                 \
    " AND u.reserved_at >= " source ".since"

#define IS_ASKED                                                                                                       \
    "    ($2 IS NULL OR u.request_id = $2)"                                                                            \
    " AND ($3 IS NULL OR u.end_user = $3)"                                                                             \
    " AND ($4 IS NULL OR u.model = $4)"                                                                                \
    " AND ($5 IS NULL OR CASE $5 WHEN 'success' THEN u.state = 'settled' AND NOT u.failed ELSE u.failed END)"          \
    " AND ($6 IS NULL OR u.cost >= $6)"                                                                                \
    " AND ($7 IS NULL OR u.cost <= $7)"                                                                                \
    " AND ($8 IS NULL OR u.closed_at >= $8)"                                                                           \
    " AND ($9 IS NULL OR u.closed_at < $9)"

#define NEWEST_FIRST " ORDER BY closed_at DESC, request_id DESC "

#define NOT_IN_OTHERS " AND NOT (s.own AND EXISTS (SELECT FROM " SOURCES("o") " WHERE NOT o.own AND " IS_OF("o") "))"

// The calls of a source: one of these, by its way.
#define CALLS_OF(way, condition, columns, end)                                                                         \
    "(SELECT " columns " FROM org.usage u WHERE s.way = '" way "' AND " condition                                      \
    " AND " IS_OF("s") " AND " IS_ASKED end ")"
// clang-format off
#define CALLS(columns, end) \
    "(" CALLS_OF("request", "u.request_id = $2", columns, NOT_IN_OTHERS end) \
    " UNION ALL " CALLS_OF("user", "u.user_id = s.user_id AND u.user_id <> ''", columns, NOT_IN_OTHERS end) \
    " UNION ALL " CALLS_OF("end_user", "u.end_user = $3 AND u.end_user <> ''", columns, NOT_IN_OTHERS end) \
    " UNION ALL " CALLS_OF("team", "u.organization_id = '' AND u.team_id = s.team_id AND u.team_id <> ''", \
                           columns, end) \
    " UNION ALL " CALLS_OF("organization", "u.organization_id = s.organization_id AND u.closed_at >= s.since", \
                           columns, end) ")"
// clang-format on

// After the call closed at $10 with the request_id $11.
#define IS_AFTER " AND ($10 IS NULL OR u.closed_at <= $10 AND (u.closed_at, u.request_id) < ($10, $11))"

constinit Statement find{"SELECT c.closed_at, c.request_id, c.organization_id FROM " SOURCES("s") ", LATERAL " CALLS(
                             "u.closed_at, u.request_id, u.organization_id",
                             IS_AFTER NEWEST_FIRST "LIMIT $12 + $13") " AS c" NEWEST_FIRST "LIMIT $12 OFFSET $13",
                         Planned::each_time};

constinit Statement count{"SELECT count(*) FROM (SELECT FROM " SOURCES("s") ", LATERAL " CALLS(
                              "", " LIMIT $10") " AS c LIMIT $10) AS counted",
                          Planned::each_time};

// The organizations that have calls: from one to the next, as the index has them.
#define ORGANIZATIONS                                                                                                  \
    "WITH RECURSIVE ledger AS ("                                                                                       \
    "    (SELECT organization_id FROM org.usage ORDER BY organization_id LIMIT 1)"                                     \
    "     UNION ALL"                                                                                                   \
    "    SELECT next.organization_id"                                                                                  \
    "      FROM ledger l, LATERAL (SELECT u.organization_id"                                                           \
    "                                FROM org.usage u"                                                                 \
    "                               WHERE u.organization_id > l.organization_id"                                       \
    "                               ORDER BY u.organization_id"                                                        \
    "                               LIMIT 1) AS next) "

// Organizations by their newest calls, or by the calls that so many ($13) newer ones precede in each.
constinit Statement find_newest{
    ORGANIZATIONS "SELECT l.organization_id, c.closed_at FROM ledger l,"
                  " LATERAL (SELECT u.closed_at, u.request_id FROM org.usage u"
                  "           WHERE u.organization_id = l.organization_id AND " IS_ASKED IS_AFTER NEWEST_FIRST
                  "           LIMIT 1 OFFSET $13) AS c" NEWEST_FIRST "LIMIT $12",
    Planned::each_time};

constinit Statement count_all{ORGANIZATIONS "SELECT count(*) FROM (SELECT FROM ledger l, LATERAL ("
                                            "    SELECT FROM org.usage u"
                                            "     WHERE u.organization_id = l.organization_id AND " IS_ASKED
                                            "     LIMIT $10) AS c LIMIT $10) AS counted",
                              Planned::each_time};

#define SUMS_OF(calls)                                                                                                 \
    "SELECT to_char(day, 'YYYY-MM-DD'),"                                                                               \
    "       CASE GROUPING(user_id, model, key_id) WHEN 7 THEN 0 WHEN 3 THEN 1 WHEN 5 THEN 2 ELSE 3 END::bigint AS of," \
    "       coalesce(user_id, model, key_id, '') AS id, sum(cost)"                                                     \
    "  FROM (SELECT (c.closed_at AT TIME ZONE 'UTC')::date AS day, c.* FROM " calls " AS c) AS calls"                  \
    " GROUP BY GROUPING SETS ((day), (day, user_id), (day, model), (day, key_id))"                                     \
    " ORDER BY day, of, id"
#define SUMMED "u.closed_at, u.user_id, u.model, u.key_id, u.cost"

constinit Statement sum{SUMS_OF(SOURCES("s") ", LATERAL " CALLS(SUMMED, "")), Planned::each_time};

constinit Statement sum_all{ORGANIZATIONS SUMS_OF("ledger l, LATERAL (SELECT " SUMMED " FROM org.usage u"
                                                  " WHERE u.organization_id = l.organization_id AND " IS_ASKED ")"),
                            Planned::each_time};

constexpr std::array<Text, 6> ways{"all", "request", "user", "end_user", "team", "organization"};

std::span<const SourceRecord> to_records(CallSources sources)
{
    const auto records = allocate<SourceRecord>(sources.size());
    std::ranges::transform(sources, records.begin(), [](const CallSource &source) {
        return SourceRecord{ways[static_cast<size_t>(source.way)],
                            source.of_organization,
                            source.organization_id,
                            source.team_id,
                            source.key_id,
                            source.user_id,
                            source.since,
                            source.own};
    });
    return records;
}

template <typename... Values>
Rows run(Session &session, Statement &statement, CallSources sources, const CallFilter &filter, const Values &...values)
{
    return session.run(statement, to_records(sources), filter.request_id, filter.end_user, filter.model, filter.status,
                       filter.min_spend, filter.max_spend, filter.closed.from, filter.closed.before, values...);
}

class Sources {
public:
    explicit Sources(size_t at_most) : sources_(allocate<CallSource>(at_most)) {}
    void add(const CallSource &source) { sources_[size_++] = source; }
    CallSources all() const { return sources_.first(size_); }

private:
    std::span<CallSource> sources_;
    size_t size_ = 0;
};

// All calls that the caller may see, as if they asked for no others. For most of them Way says nothing yet.
CallSources visible_calls(Session &session)
{
    const Caller &caller = session.caller;
    const Time ever{DT_NOBEGIN};
    if (caller.reads_everything()) {
        Sources all{1};
        all.add({.since = ever});
        return all.all();
    }
    const Text organization_id = caller.organization_id.value_or(Text{});
    if (!caller.user_id) {
        Sources of_key{1};
        if (const Rows key = session.run(find_creation_of_key, caller.key_id); !key.empty())
            of_key.add({.of_organization = true,
                        .organization_id = organization_id,
                        .team_id = caller.organization_id ? Text{} : caller.team_id.value_or(Text{}),
                        .key_id = *caller.key_id,
                        .since = *key[0].get<Time>(0)});
        return of_key.all();
    }
    const Texts administered = administered_organizations(session);
    const Rows organizations = session.run(find_administered_organizations, administered);
    const Rows teams = session.run(find_administered_teams, *caller.user_id, caller.organization_id, administered);
    const Rows user = session.run(find_creation_of_user, *caller.user_id);
    Sources visible{organizations.size() + teams.size() + 1};
    for (const Row row : organizations)
        visible.add({.of_organization = true, .organization_id = *row.get<Text>(0), .since = *row.get<Time>(1)});
    for (const Row row : teams)
        visible.add({.of_organization = true,
                     .organization_id = *row.get<Text>(0),
                     .team_id = *row.get<Text>(1),
                     .since = *row.get<Time>(2)});
    for (const Row row : user)
        visible.add({.of_organization = caller.organization_id.has_value(),
                     .organization_id = organization_id,
                     .user_id = *caller.user_id,
                     .since = *row.get<Time>(0),
                     .own = true});
    return visible.all();
}

// Restricts an owner of a source to the one asked for; false if it is another.
bool restrict_to(Text &owner, const Maybe<Text> &asked)
{
    if (asked && !owner.empty() && owner != *asked)
        return false;
    owner = asked.value_or(owner);
    return true;
}

bool restrict_to(CallSource &source, const CallFilter &filter)
{
    if (filter.organization_id && source.of_organization && source.organization_id != *filter.organization_id)
        return false;
    if (filter.organization_id) {
        source.of_organization = true;
        source.organization_id = *filter.organization_id;
    }
    return restrict_to(source.team_id, filter.team_id) && restrict_to(source.key_id, filter.key_id) &&
           restrict_to(source.user_id, filter.user_id);
}

Way way_of(const CallSource &source, const CallFilter &filter)
{
    if (filter.request_id)
        return Way::request;
    if (!source.user_id.empty())
        return Way::user;
    if (filter.end_user)
        return Way::end_user;
    if (!source.of_organization)
        return Way::all;
    return source.organization_id.empty() && !source.team_id.empty() ? Way::team : Way::organization;
}

// The calls of a key or team anywhere: where it is, or was.
CallSources in_each_organization(Session &session, const CallSource &anywhere)
{
    const bool of_key = !anywhere.key_id.empty();
    const Rows found = session.run(of_key ? find_organizations_of_key : find_organizations_of_team,
                                   of_key ? anywhere.key_id : anywhere.team_id);
    Sources sources{found.size()};
    for (const Text organization_id : found.texts()) {
        CallSource source = anywhere;
        source.of_organization = true;
        source.organization_id = organization_id;
        source.way = way_of(source, {});
        sources.add(source);
    }
    return sources.all();
}

bool are_all(CallSources sources) { return sources.size() == 1 && sources[0].way == Way::all; }

// Of all calls, those of the organizations that can have some of the newest ones.
struct Newest {
    CallSources sources;
    Maybe<Time> from; // none of them is older
};
Newest newest_calls(Session &session, const CallFilter &filter, const PageStart &start, int64 number)
{
    // When the last of so many organizations made the call that so many newer ones of its own precede.
    Maybe<Time> last;
    const auto find_organizations = [&](int64 organizations, int64 newer) {
        const Rows found = run(session, find_newest, {}, filter, start.time, start.id, organizations, newer);
        const bool are_enough = !found.empty() && static_cast<int64>(found.size()) == organizations;
        last = are_enough ? found[found.size() - 1].get<Time>(1) : Maybe<Time>{};
        return found;
    };
    const Rows found = find_organizations(number, 0);
    Sources sources{found.size()};
    for (const Row row : found)
        sources.add({.way = Way::organization,
                     .of_organization = true,
                     .organization_id = *row.get<Text>(0),
                     .since = {DT_NOBEGIN}});
    // Where there are fewer organizations than calls, some of them have several of the newest calls.
    if (!last && !found.empty()) {
        const int64 of_each = 2 * number / static_cast<int64>(found.size()) + 1;
        find_organizations(number / of_each + 1, of_each - 1);
    }
    return {sources.all(), last};
}

} // namespace

CallSources sources_of_calls(Session &session, const CallFilter &filter)
{
    session.plan_for_first_rows();
    const CallSources visible = visible_calls(session);
    Sources sources{visible.size()};
    for (CallSource source : visible)
        if (restrict_to(source, filter)) {
            source.way = way_of(source, filter);
            sources.add(source);
        }
    const CallSources found = sources.all();
    if (are_all(found) && (filter.key_id || filter.team_id))
        return in_each_organization(session, found[0]);
    return found;
}

Rows find_calls(Session &session, CallSources sources, const CallFilter &filter, const PageStart &start, int64 limit,
                int64 offset)
{
    CallFilter narrowed = filter;
    if (are_all(sources)) {
        const Newest newest = newest_calls(session, filter, start, limit + offset);
        sources = newest.sources;
        if (newest.from)
            narrowed.closed.from = newest.from;
    }
    return run(session, find, sources, narrowed, start.time, start.id, limit, offset);
}

int64 count_calls(Session &session, CallSources sources, const CallFilter &filter)
{
    return *run(session, are_all(sources) ? count_all : count, sources, filter, max_counted)[0].get<int64>(0);
}

Rows sum_calls_by_day(Session &session, CallSources sources, const CallFilter &filter)
{
    return run(session, are_all(sources) ? sum_all : sum, sources, filter);
}

Text id_of_key(Session &session, Text key)
{
    const Rows found = session.run(find_key, digest(key), key);
    return found.empty() ? key : *found[0].get<Text>(0);
}

} // namespace pg_org
