// Writing reports of activity in LiteLLM's shape.

#include "activity.hpp"

namespace pg_org {

namespace {

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
void write_day(Writer &reply, Activities activities, Activities by_entity, const char *alias)
{
    const auto nothing = [](const Activity &) {};
    const auto write_alias = [&](const Activity &activity) {
        if (alias != nullptr)
            reply.key(alias).value(activity.entity_alias);
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
    write_by(reply, "entities", by_entity, &Activity::entity, write_alias);
    reply.end_object().end_object();
}

void write_metadata(Writer &reply, const Metrics &totals, int64 page, int64 total_pages)
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
    reply.key("page").value(page).key("total_pages").value(total_pages);
    reply.key("has_more").value(page < total_pages).end_object();
}

Activities of_day(Activities activities, Text date)
{
    const auto found = std::ranges::equal_range(activities, date, {}, &Activity::date);
    return {found.begin(), found.end()};
}

} // namespace

Metrics total(Activities activities)
{
    Metrics metrics;
    for (const Activity &activity : activities) {
        CHECK_FOR_INTERRUPTS();
        metrics.add(activity.metrics);
    }
    return metrics;
}

Text Activity::provider() const
{
    const size_t slash = model.find('/');
    return slash == Text::npos || slash == 0 ? Text{"unknown"} : model.substr(0, slash);
}

void write_activity(Writer &reply, const ActivityPage &page, const char *alias)
{
    const Metrics totals = total(page.activities);
    reply.begin_object().key("results").begin_array();
    for (Activities rest = page.activities; !rest.empty();) {
        const Text date = rest.back().date; // the newest first
        const Activities day = of_day(rest, date);
        rest = rest.first(rest.size() - day.size());
        write_day(reply, day, of_day(page.by_entity, date), alias);
    }
    reply.end_array();
    write_metadata(reply, totals, page.page, page.total_pages);
    reply.end_object();
}

} // namespace pg_org
