// Reading activity: of organizations and teams from the sums of days, which are days in UTC; all other from the ledger.

#include "activity.hpp"

namespace pg_org {

namespace {

constinit Statement read_days{
#include "queries/read_activity.inc"
    , Planned::each_time};

Activity to_activity(const Row &row)
{
    constexpr int spend = 8;
    Activity activity{*row.get<Text>(1), *row.get<Text>(2), row.get<Text>(3), *row.get<Text>(4),
                      *row.get<Text>(5), row.get<Text>(6),  row.get<Text>(7), {*row.get<Number>(spend)}};
    for (int i = 0; i < Metrics::counts; i++)
        activity.metrics.count[i] = *row.get<int64>(spend + 1 + i);
    return activity;
}

// The rows, by date. If the page has no days there is one row, without a day.
Activities to_activities(const Rows &rows)
{
    if (rows[0].is_null(1))
        return {};
    const auto activities = allocate<Activity>(rows.size());
    for (size_t i = 0; i < rows.size(); i++)
        activities[i] = to_activity(rows[i]);
    std::ranges::sort(activities, {}, &Activity::date);
    return activities;
}

Rows read(Session &session, const ActivityQuery &query, Text first, Text last, int64 skipped, bool by_tag)
{
    return session.run(read_days, query.entities, first, last, query.zone, query.ids, query.excluded, query.model,
                       query.key_id, query.organizations, query.of_all_times, skipped, query.page_size, by_tag,
                       query.team_id, query.user_id, query.end_user);
}

} // namespace

ActivityPage read_activity(Session &session, const ActivityQuery &query)
{
    int64 skipped = 0;
    if (pg_mul_s64_overflow(query.page - 1, query.page_size, &skipped))
        skipped = PG_INT64_MAX - query.page_size; // there are no such days
    const Rows rows = read(session, query, query.first, query.last, skipped, false);
    const int64 days = *rows[0].get<int64>(0);
    ActivityPage page{to_activities(rows), {}, query.page, (days + query.page_size - 1) / query.page_size};
    page.by_entity =
        query.entities != "tag" || page.activities.empty()
            ? page.activities
            : to_activities(read(session, query, page.activities.front().date, page.activities.back().date, 0, true));
    return page;
}

} // namespace pg_org
