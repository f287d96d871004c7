// Activity: the spend and usage of organizations day by day, by model, provider, key and organization.

#include "base/fail.hpp"
#include "base/number.hpp"
#include "base/session.hpp"

using namespace pg_org;

namespace {

constinit Statement find_key{"SELECT key_id FROM org.api_key WHERE key_hash = $1"};

// $1 and $2 are the first and last day; $3 organizations, $4 model and $5 key, null for all. Unless $6, the activity of
// an earlier organization of the same identifier is left out: its calls were reserved before this one was made. Where
// that is unknown, the activity of later days and that of existing keys is this one's.
constinit Statement find_days{R"(
    SELECT to_char(d.day, 'YYYY-MM-DD')
      FROM org.usage_daily d
      LEFT JOIN org.organization o USING (organization_id)
      LEFT JOIN org.api_key k USING (key_id)
     WHERE d.organization_id <> '' AND d.day BETWEEN $1::date AND $2::date
       AND ($3 IS NULL OR d.organization_id = ANY ($3)) AND ($4 IS NULL OR d.model = $4)
       AND ($5 IS NULL OR d.key_id = $5)
       AND ($6 OR d.first_reserved_at >= o.created_at OR d.first_reserved_at IS NULL
                  AND (k.key_id IS NOT NULL OR d.day > (o.created_at AT TIME ZONE 'UTC')::date))
     GROUP BY d.day ORDER BY d.day DESC)",
                              Planned::each_time};

constinit Statement read_activity{R"(
    SELECT to_char(d.day, 'YYYY-MM-DD'), d.organization_id, o.organization_alias, d.model, d.key_id, k.key_alias,
           nullif(d.team_id, ''), d.spend, d.prompt_tokens, d.completion_tokens, d.cache_read_input_tokens,
           d.cache_creation_input_tokens, d.successful_requests, d.failed_requests
      FROM org.usage_daily d
      LEFT JOIN org.organization o USING (organization_id)
      LEFT JOIN org.api_key k USING (key_id)
     WHERE d.organization_id <> '' AND d.day BETWEEN $1::date AND $2::date
       AND ($3 IS NULL OR d.organization_id = ANY ($3)) AND ($4 IS NULL OR d.model = $4)
       AND ($5 IS NULL OR d.key_id = $5)
       AND ($6 OR d.first_reserved_at >= o.created_at OR d.first_reserved_at IS NULL
                  AND (k.key_id IS NOT NULL OR d.day > (o.created_at AT TIME ZONE 'UTC')::date)))",
                                  Planned::each_time};

// A deleted organization is known by its activity.
constinit Statement find_unknown_organizations{R"(
    SELECT id FROM unnest($1) AS id
     WHERE NOT EXISTS (SELECT FROM org.organization WHERE organization_id = id)
       AND NOT EXISTS (SELECT FROM org.usage_daily WHERE organization_id = id AND id <> ''))"};

struct Metrics {
    Number spend;
    enum Count { prompt_tokens, completion_tokens, cache_read, cache_creation, successful, failed, counts };
    std::array<int64, counts> count;

    void add(const Metrics &other)
    {
        spend = spend + other.spend;
        for (size_t i = 0; i < counts; i++)
            count[i] = sum(count[i], other.count[i]);
    }
    int64 total_tokens() const { return sum(count[prompt_tokens], count[completion_tokens]); }
    int64 requests() const { return sum(count[successful], count[failed]); }

private:
    // Raises an error on overflow.
    static int64 sum(int64 a, int64 b) { return DatumGetInt64(DirectFunctionCall2(int8pl, a, b)); }
};

// The usage of a day by a key of a model.
struct Activity {
    Text date, organization_id;
    Maybe<Text> organization_alias; // none: it was deleted
    Text model, key_id;
    Maybe<Text> key_alias, team_id;
    Metrics metrics;

    Text provider() const
    {
        const size_t slash = model.find('/');
        return slash == Text::npos || slash == 0 ? Text{"unknown"} : model.substr(0, slash);
    }
};
using Activities = std::span<Activity>;

Activity to_activity(const Row &row)
{
    constexpr int spend = 7;
    Activity activity{*row.get<Text>(0), *row.get<Text>(1), row.get<Text>(2), *row.get<Text>(3),
                      *row.get<Text>(4), row.get<Text>(5),  row.get<Text>(6), {*row.get<Number>(spend), {}}};
    for (int i = 0; i < Metrics::counts; i++)
        activity.metrics.count[i] = *row.get<int64>(spend + 1 + i);
    return activity;
}

// The rows, sorted by date.
Activities to_activities(const Rows &rows)
{
    const auto activities = allocate<Activity>(rows.size());
    for (size_t i = 0; i < rows.size(); i++)
        activities[i] = to_activity(rows[i]);
    std::ranges::sort(activities, {}, &Activity::date);
    return activities;
}

Metrics total(Activities activities)
{
    Metrics metrics{zero(), {}};
    for (const Activity &activity : activities) {
        CHECK_FOR_INTERRUPTS();
        metrics.add(activity.metrics);
    }
    return metrics;
}

// Sorts activities by a property, and handles those with the same value together.
template <typename By, typename Do> void for_each_group(Activities activities, By by, Do work)
{
    std::ranges::sort(activities, {}, by);
    while (!activities.empty()) {
        CHECK_FOR_INTERRUPTS();
        const auto group = std::ranges::equal_range(activities, std::invoke(by, activities[0]), {}, by);
        work(Activities{group.begin(), group.end()});
        activities = activities.subspan(group.size());
    }
}

void write_metrics(Writer &reply, Activities activities)
{
    const Metrics metrics = total(activities);
    reply.key("metrics").begin_object();
    reply.key("spend").value(metrics.spend);
    reply.key("prompt_tokens").value(metrics.count[Metrics::prompt_tokens]);
    reply.key("completion_tokens").value(metrics.count[Metrics::completion_tokens]);
    reply.key("cache_read_input_tokens").value(metrics.count[Metrics::cache_read]);
    reply.key("cache_creation_input_tokens").value(metrics.count[Metrics::cache_creation]);
    reply.key("total_tokens").value(metrics.total_tokens());
    reply.key("successful_requests").value(metrics.count[Metrics::successful]);
    reply.key("failed_requests").value(metrics.count[Metrics::failed]);
    reply.key("api_requests").value(metrics.requests()).end_object();
}

void write_by_key(Writer &reply, const char *name, Activities activities)
{
    reply.key(name).begin_object();
    for_each_group(activities, &Activity::key_id, [&](Activities of_key) {
        reply.name(of_key[0].key_id).begin_object();
        write_metrics(reply, of_key);
        reply.key("metadata").begin_object().key("key_alias").value(of_key[0].key_alias);
        reply.key("team_id").value(of_key[0].team_id).end_object().end_object();
    });
    reply.end_object();
}

template <typename By, typename Metadata>
void write_by(Writer &reply, const char *name, Activities activities, By by, Metadata write_metadata)
{
    reply.key(name).begin_object();
    for_each_group(activities, by, [&](Activities group) {
        reply.name(std::invoke(by, group[0])).begin_object();
        write_metrics(reply, group);
        reply.key("metadata").begin_object();
        write_metadata(group[0]);
        reply.end_object();
        write_by_key(reply, "api_key_breakdown", group);
        reply.end_object();
    });
    reply.end_object();
}

// In LiteLLM's shape, where model groups are the names by which callers know models. MCP servers and endpoints are not
// recorded.
void write_day(Writer &reply, Activities activities)
{
    const auto nothing = [](const Activity &) {};
    const auto alias = [&](const Activity &activity) {
        reply.key("organization_alias").value(activity.organization_alias);
    };
    reply.begin_object().key("date").value(activities[0].date);
    write_metrics(reply, activities);
    reply.key("breakdown").begin_object();
    reply.key("mcp_servers").begin_object().end_object();
    write_by(reply, "models", activities, &Activity::model, nothing);
    write_by(reply, "model_groups", activities, &Activity::model, nothing);
    write_by(reply, "providers", activities, &Activity::provider, nothing);
    reply.key("endpoints").begin_object().end_object();
    write_by_key(reply, "api_keys", activities);
    write_by(reply, "entities", activities, &Activity::organization_id, alias);
    reply.end_object().end_object();
}

// The pages of a list.
struct Pages {
    int64 page, page_size, total_pages;

    Pages(int64 page, int64 page_size, size_t elements)
        : page(page), page_size(page_size), total_pages((static_cast<int64>(elements) + page_size - 1) / page_size)
    {
    }
    // The elements on this page.
    Texts of(Texts elements) const
    {
        return page > total_pages ? Texts{}
                                  : elements.subspan((page - 1) * page_size)
                                        .first(std::min<size_t>(page_size, elements.size() - (page - 1) * page_size));
    }
};

void write_metadata(Writer &reply, const Metrics &totals, const Pages &pages)
{
    reply.key("metadata").begin_object();
    reply.key("total_spend").value(totals.spend);
    reply.key("total_prompt_tokens").value(totals.count[Metrics::prompt_tokens]);
    reply.key("total_completion_tokens").value(totals.count[Metrics::completion_tokens]);
    reply.key("total_tokens").value(totals.total_tokens());
    reply.key("total_api_requests").value(totals.requests());
    reply.key("total_successful_requests").value(totals.count[Metrics::successful]);
    reply.key("total_failed_requests").value(totals.count[Metrics::failed]);
    reply.key("total_cache_read_input_tokens").value(totals.count[Metrics::cache_read]);
    reply.key("total_cache_creation_input_tokens").value(totals.count[Metrics::cache_creation]);
    reply.key("page").value(pages.page).key("total_pages").value(pages.total_pages);
    reply.key("has_more").value(pages.page < pages.total_pages).end_object();
}

bool is_date(Text text)
{
    constexpr Text pattern = "0000-00-00";
    const auto fits = [](char c, char wanted) { return wanted == '0' ? c >= '0' && c <= '9' : c == wanted; };
    if (!std::ranges::equal(text, pattern, fits))
        return false;
    const auto part = [&](size_t at, size_t digits) {
        int value = 0;
        std::from_chars(text.data() + at, text.data() + at + digits, value);
        return value;
    };
    const int year = part(0, 4), month = part(5, 2), day = part(8, 2);
    return year >= 1 && month >= 1 && month <= MONTHS_PER_YEAR && day >= 1 && day <= day_tab[isleap(year)][month - 1];
}

Maybe<Text> date(Maybe<Text> text, const char *name)
{
    const auto date = not_empty(text);
    if (date && !is_date(*date))
        invalid(name, "must be a date, as in 2026-11-23");
    return date;
}

// The token_id of a key given by secret or token_id; of a deleted key the token_id is still known.
Text id_of(Session &session, Text key)
{
    const Rows found = session.run(find_key, digest(key));
    return found.empty() ? key : *found[0].get<Text>(0);
}

void require_known(Session &session, Texts organization_ids)
{
    const auto unknown = session.run(find_unknown_organizations, organization_ids).texts();
    if (!unknown.empty())
        no_such_reference("Organization not found for organization_id=%.*s", FMT_ARG(unknown[0]));
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

} // namespace

PG_ORG_READ(org_daily_activity)
{
    const auto listed = session.argument("organization_ids", text_list);
    const auto asked = listed && !listed->empty() ? listed : Maybe<Texts>{};
    const auto start_date = session.argument("start_date", date);
    const auto end_date = session.argument("end_date", date);
    const auto model = session.argument("model", not_empty);
    const auto key = session.argument("key", not_empty);
    const int64 page = session.argument<int64>("page").value_or(1);
    const int64 page_size = session.argument<int64>("page_size").value_or(50);
    if (page < 1)
        invalid("page", "must be 1 or more");
    if (page_size < 1 || page_size > 1000)
        invalid("page_size", "must be from 1 to 1000");
    if (!start_date || !end_date)
        refused("Please provide start_date and end_date");
    if (*end_date < *start_date)
        invalid("end_date", "must not be before start_date");

    const auto organizations = visible_organizations(session, asked);
    const auto key_id = key ? Maybe<Text>{id_of(session, *key)} : Maybe<Text>{};
    const auto run = [&](Statement &statement, Text first, Text last) {
        return session.run(statement, first, last, organizations, model, key_id, session.caller.reads_everything());
    };
    const Texts days = run(find_days, *start_date, *end_date).texts();
    const Pages pages{page, page_size, days.size()};
    const Texts shown = pages.of(days);

    Activities activities;
    if (!shown.empty())
        activities = to_activities(run(read_activity, shown.back(), shown.front()));
    session.reply.begin_object().key("results").begin_array();
    for (const Text day : shown) {
        const auto of_day = std::ranges::equal_range(activities, day, {}, &Activity::date);
        write_day(session.reply, {of_day.begin(), of_day.end()});
    }
    session.reply.end_array();
    write_metadata(session.reply, total(activities), pages);
    session.reply.end_object();
}
