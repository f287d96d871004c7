// Finding calls of the ledger by its indexes.

#include "logged_calls.hpp"

namespace pg_org {

namespace {

using Way = CallSource::Way;

constinit Statement find_key_id{"SELECT key_id FROM org.api_key WHERE key_hash = $1 OR key_id = $2"};

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

// These look for calls in sources.
constinit Statement find{
#include "queries/find_calls.inc"
    , Planned::each_time};

constinit Statement count{
#include "queries/count_calls.inc"
    , Planned::each_time};

constinit Statement sum_of_sources{
#include "queries/sum_calls.inc"
    , Planned::each_time};

// These look at the calls of all organizations.
constinit Statement find_newest{
#include "queries/find_organizations_by_newest_call.inc"
    , Planned::each_time};

constinit Statement count_all{
#include "queries/count_all_calls.inc"
    , Planned::each_time};

constinit Statement sum_all{
#include "queries/sum_all_calls.inc"
    , Planned::each_time};

using SourceRecord = std::tuple<Text, bool, Text, Text, Text, Text, Time, bool>;
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
Rows run(Session &session, Statement &statement, const CallFilter &filter, const Values &...values)
{
    return session.run(statement, filter.request_id, filter.end_user, filter.model, filter.status, filter.min_spend,
                       filter.max_spend, filter.closed.from, filter.closed.before, values...);
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
        const Rows found = run(session, find_newest, filter, start.time, start.id, organizations, newer);
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
    return run(session, find, narrowed, to_records(sources), start.time, start.id, limit, offset);
}

int64 count_calls(Session &session, CallSources sources, const CallFilter &filter)
{
    const Rows counted = are_all(sources) ? run(session, count_all, filter, max_counted)
                                          : run(session, count, filter, to_records(sources), max_counted);
    return *counted[0].get<int64>(0);
}

Rows sum_calls_by_day(Session &session, CallSources sources, const CallFilter &filter)
{
    return are_all(sources) ? run(session, sum_all, filter) : run(session, sum_of_sources, filter, to_records(sources));
}

Text id_of_key(Session &session, Text key)
{
    const Rows found = session.run(find_key_id, digest(key), key);
    return found.empty() ? key : *found[0].get<Text>(0);
}

} // namespace pg_org
