// The reports of activity: what the caller asks for and may see.

#include "activity.hpp"

#include "base/fail.hpp"
#include "base/time_range.hpp"
#include "logged_calls.hpp"
#include "rules/team_rights.hpp"

using namespace pg_org;

namespace {

// A deleted organization is known by its activity.
constinit Statement find_unknown_organizations{R"(
    SELECT id FROM unnest($1) AS id
     WHERE NOT EXISTS (SELECT FROM org.organization WHERE organization_id = id)
       AND NOT EXISTS (SELECT FROM org.usage_daily WHERE organization_id = id AND id <> ''))"};

// Teams in which the caller $2 is or, $1, whose organizations they administer.
constinit Statement find_teams{R"(
    SELECT organization_id, team_id
      FROM org.team
     WHERE organization_id = ANY ($1)
        OR (organization_id, team_id) IN (SELECT organization_id, team_id FROM org.team_member WHERE user_id = $2))",
                               Planned::each_time};

constexpr int64 max_page_size = 1000;

Maybe<Text> date(Maybe<Text> text, const char *name)
{
    const auto date = not_empty(text);
    if (date && !is_date(*date))
        invalid(name, "must be a date, as in 2026-11-23");
    return date;
}

void require_known(Session &session, Texts organization_ids)
{
    const auto unknown = session.run(find_unknown_organizations, organization_ids).texts();
    if (!unknown.empty())
        no_such_reference("Organization not found for organization_id=%.*s", FMT_ARG(unknown[0]));
}

// A time zone as AT TIME ZONE reads it.
Text zone_argument(Session &session)
{
    const Text name = to_text(pg_get_timezone_name(read_time_zone(session)));
    return name == "GMT" ? Text{"UTC"} : name;
}

// A list of identifiers; an empty one asks for all, like none.
Maybe<Texts> ids_argument(Session &session, const char *name)
{
    const auto listed = session.argument(name, text_list);
    return listed && !listed->empty() ? listed : Maybe<Texts>{};
}

} // namespace

ActivityQuery pg_org::read_activity_query(Session &session, Text entities)
{
    ActivityQuery query{.entities = entities,
                        .zone = zone_argument(session),
                        .model = session.argument("model", not_empty),
                        .of_all_times = session.caller.reads_everything(),
                        .page = 1,
                        .page_size = all_days};
    const auto start_date = session.argument("start_date", date);
    const auto end_date = session.argument("end_date", date);
    if (const auto key = session.argument("key", not_empty))
        query.key_id = id_of_key(session, *key);
    if (session.has_argument("page")) {
        query.page = session.argument<int64>("page").value_or(1);
        query.page_size = session.argument<int64>("page_size").value_or(50);
    }
    if (query.page < 1)
        invalid("page", "must be 1 or more");
    if (session.has_argument("page") && (query.page_size < 1 || query.page_size > max_page_size))
        invalid("page_size", "must be from 1 to %d", static_cast<int>(max_page_size));
    if (!start_date || !end_date)
        refused("Please provide start_date and end_date");
    if (*end_date < *start_date)
        invalid("end_date", "must not be before start_date");
    query.first = *start_date;
    query.last = *end_date;
    return query;
}

Maybe<Texts> pg_org::readable_organizations(Session &session, const char *what)
{
    if (session.caller.reads_everything())
        return {};
    const Texts administered = administered_organizations(session);
    if (administered.empty())
        forbidden("Only admins can read the activity of %s. Your role is = %s", what, role_name(session.caller.role));
    return administered;
}

namespace {

void report(Session &session, const ActivityQuery &query, const char *alias)
{
    write_activity(session.reply, read_activity(session, query), alias);
}

// The organizations whose activity the caller asks for and may see, none for all.
Maybe<Texts> visible_organizations(Session &session, const Maybe<Texts> &asked)
{
    if (session.caller.reads_everything()) {
        require_known(session, asked.value_or(Texts{}));
        return asked;
    }
    if (!asked)
        return administered_organizations(session);
    for (const Text organization_id : *asked)
        require_organization_admin(session, organization_id, "/organization/daily/activity");
    return asked;
}

// Likewise teams: those of which the caller is admin, or which permit it to their members.
Maybe<Texts> visible_teams(Session &session, const Maybe<Texts> &asked)
{
    constexpr const char *route = "/team/daily/activity";
    if (session.caller.reads_everything())
        return asked;
    if (asked) {
        for (const Text team_id : *asked)
            require_right_with_keys_of(session, team_id, route);
        return asked;
    }
    const Rows teams = session.run(find_teams, administered_organizations(session), session.caller.user_id);
    const auto ids = allocate<Text>(teams.size());
    size_t count = 0;
    for (const Row row : teams)
        if (const TeamName team{*row.get<Text>(0), *row.get<Text>(1)}; may_with_keys_of(session, team, route))
            ids[count++] = team.team_id;
    return Texts{ids.first(count)};
}

// Callers see their own calls; admins of organizations see those of others that were made in these.
void report_users(Session &session)
{
    ActivityQuery query = read_activity_query(session, "user");
    const Caller &caller = session.caller;
    const auto asked = session.argument("user_id", not_empty);
    const Maybe<Text> user_id = asked || caller.reads_everything() ? asked : caller.user_id;
    if (!user_id && !caller.reads_everything())
        forbidden("The key has no user: name one as user_id. Your role is = %s", role_name(caller.role));
    if (user_id && user_id == caller.user_id && !caller.reads_everything())
        query.organizations = caller.organization_id ? only(*caller.organization_id) : Maybe<Texts>{};
    else
        query.organizations = readable_organizations(session, "other users");
    if (user_id)
        query.ids = only(*user_id);
    report(session, query, "user_alias");
}

} // namespace

PG_ORG_READ(org_daily_activity)
{
    ActivityQuery query = read_activity_query(session, "organization");
    query.ids = visible_organizations(session, ids_argument(session, "organization_ids"));
    query.excluded = ids_argument(session, "exclude_organization_ids").value_or(Texts{});
    report(session, query, "organization_alias");
}

PG_ORG_READ(team_daily_activity)
{
    ActivityQuery query = read_activity_query(session, "team");
    query.ids = visible_teams(session, ids_argument(session, "team_ids"));
    query.excluded = ids_argument(session, "exclude_team_ids").value_or(Texts{});
    report(session, query, "team_alias");
}

PG_ORG_READ(user_daily_activity) { report_users(session); }

PG_ORG_READ(user_daily_activity_aggregated) { report_users(session); }

PG_ORG_READ(tag_daily_activity)
{
    ActivityQuery query = read_activity_query(session, "tag");
    query.organizations = readable_organizations(session, "tags");
    query.ids = ids_argument(session, "tags");
    report(session, query, nullptr);
}

PG_ORG_READ(customer_daily_activity)
{
    ActivityQuery query = read_activity_query(session, "customer");
    query.organizations = readable_organizations(session, "end users");
    query.ids = ids_argument(session, "end_user_ids");
    query.excluded = ids_argument(session, "exclude_end_user_ids").value_or(Texts{});
    report(session, query, "alias");
}
