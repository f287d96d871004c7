// The report of spend by team, customer or key, in LiteLLM's shapes.

#include "activity.hpp"
#include "base/fail.hpp"

using namespace pg_org;

namespace {

// A day: each team or customer, and what it spent with each key on each model.
void write_day(Writer &reply, Activities day, const char *list, const char *name)
{
    const auto key_and_model = [](const Activity &activity) { return std::pair{activity.key_id, activity.model}; };
    reply.begin_object().key("group_by_day");
    reply.value(to_text(psprintf("%.*sT00:00:00+00:00", FMT_ARG(day[0].date))));
    reply.key(list).begin_array();
    for_each_group(day, &Activity::entity, [&](Activities of_entity) {
        reply.begin_object().key(name).value(of_entity[0].entity_alias.value_or(of_entity[0].entity));
        reply.key("total_spend").value(total(of_entity).spend).key("metadata").begin_array();
        for_each_group(of_entity, key_and_model, [&](Activities group) {
            const Metrics metrics = total(group);
            reply.begin_object().key("model").value(group[0].model).key("spend").value(metrics.spend);
            reply.key("total_tokens").value(metrics.total_tokens()).key("api_key").value(group[0].key_id).end_object();
        });
        reply.end_array().end_object();
    });
    reply.end_array().end_object();
}

void write_cost(Writer &reply, Activities activities)
{
    const Metrics metrics = total(activities);
    reply.key("total_cost").value(metrics.spend);
    reply.key("total_input_tokens").value(metrics.count[Metrics::prompt_tokens]);
    reply.key("total_output_tokens").value(metrics.count[Metrics::completion_tokens]);
}

void write_key(Writer &reply, Activities of_key)
{
    reply.begin_object().key("api_key").value(of_key[0].key_id);
    write_cost(reply, of_key);
    reply.key("model_details").begin_array();
    for_each_group(of_key, &Activity::model, [&](Activities of_model) {
        reply.begin_object().key("model").value(of_model[0].model);
        write_cost(reply, of_model);
        reply.end_object();
    });
    reply.end_array().end_object();
}

} // namespace

PG_ORG_READ(spend_report)
{
    const Text group_by = session.argument("group_by", not_empty).value_or(Text{"team"});
    if (group_by != "team" && group_by != "customer" && group_by != "api_key")
        invalid("group_by", "must be team, customer or api_key");
    const auto team_id = session.argument("team_id", not_empty),
               customer_id = session.argument("customer_id", not_empty);
    const auto user_id = session.argument("internal_user_id", not_empty);
    // What is asked for of one owner is shown key by key, unless it is grouped by that owner.
    const bool by_key = group_by == "api_key" || user_id || session.argument("key", not_empty) ||
                        (team_id && group_by != "team") || (customer_id && group_by != "customer");

    ActivityQuery query = read_activity_query(session, by_key ? Text{"key"} : group_by);
    query.organizations = readable_organizations(session, "several owners");
    query.team_id = team_id;
    query.user_id = user_id;
    query.end_user = customer_id;
    const Activities activities = read_activity(session, query).activities;
    session.reply.begin_array();
    if (by_key)
        for_each_group(activities, &Activity::key_id, [&](Activities of_key) { write_key(session.reply, of_key); });
    else
        for_each_group(activities, &Activity::date, [&](Activities day) {
            if (group_by == "team")
                write_day(session.reply, day, "teams", "team_name");
            else
                write_day(session.reply, day, "customers", "customer");
        });
    session.reply.end_array();
}
