// The ledger call by call, in LiteLLM's shapes.

#include "base/bounds.hpp"
#include "base/fail.hpp"
#include "logged_calls.hpp"

using namespace pg_org;

namespace {

// Without a limit, a list with more calls is refused rather than cut off.
constexpr int64 max_calls = max_counted;

// The calls $2 of the organizations $1. What the ledger does not record is null. A key or team that is elsewhere by
// now, or was made later, is not named: its name is not this organization's. A deleted one has the name that it had.
constinit Statement show_calls{R"(
    SELECT u.request_id, NULL::text AS call_type, u.key_id AS api_key, u.cost AS spend,
           u.prompt_tokens + u.completion_tokens AS total_tokens, u.prompt_tokens, u.completion_tokens,
           u.cache_read_input_tokens, u.cache_creation_input_tokens,
           u.reserved_at AS "startTime", u.closed_at AS "endTime", u.model, u.model AS model_group,
           nullif(u.user_id, '') AS "user", nullif(u.team_id, '') AS team_id, nullif(u.end_user, '') AS end_user,
           nullif(u.organization_id, '') AS organization_id, u.tags AS request_tags,
           (SELECT names
              FROM (SELECT coalesce(k.key_alias, fk.alias) AS user_api_key_alias,
                           coalesce(t.team_alias, ft.alias) AS user_api_key_team_alias) AS names)
               AS metadata,
           CASE WHEN u.failed THEN 'failure' WHEN u.state = 'settled' THEN 'success' END AS status, u.state
      FROM unnest($1, $2) WITH ORDINALITY AS asked (organization_id, request_id, place)
      JOIN org.usage u ON u.organization_id = asked.organization_id AND u.request_id = asked.request_id
      LEFT JOIN org.api_key k ON k.key_id = u.key_id AND coalesce(k.organization_id, '') = u.organization_id
      LEFT JOIN org.team t ON t.organization_id = u.organization_id AND t.team_id = u.team_id
                              AND t.created_at <= u.reserved_at
      LEFT JOIN org.former_owner fk ON fk.kind = 'key' AND fk.id = u.key_id AND fk.organization_id = u.organization_id
      LEFT JOIN org.former_owner ft ON ft.kind = 'team' AND ft.id = u.team_id AND ft.organization_id = u.organization_id
     ORDER BY asked.place)",
                               Planned::each_time};

Maybe<Text> read_status(Maybe<Text> status, const char *name)
{
    if (status && *status != "success" && *status != "failure")
        invalid(name, "must be success or failure");
    return status;
}

Maybe<Number> read_money(Maybe<Number> money, const char *name)
{
    if (const char *rule = money ? broken_money_rule(*money) : nullptr)
        invalid(name, "%s", rule);
    return money;
}

CallFilter read_call_filter(Session &session)
{
    CallFilter filter;
    filter.request_id = session.argument("request_id", not_empty);
    filter.user_id = session.argument("user_id", not_empty);
    filter.team_id = session.argument("team_id", not_empty);
    filter.end_user = session.argument("end_user", not_empty);
    filter.organization_id = session.argument("organization_id", not_empty);
    filter.model = session.argument("model", not_empty);
    filter.status = read_status(session.argument("status_filter", not_empty), "status_filter");
    filter.min_spend = session.argument("min_spend", read_money);
    filter.max_spend = session.argument("max_spend", read_money);
    filter.closed = read_time_range(session);
    if (const auto key = session.argument("key", not_empty))
        filter.key_id = id_of_key(session, *key);
    return filter;
}

void write_calls(Session &session, const Rows &found)
{
    const auto organization_ids = allocate<Text>(found.size()), request_ids = allocate<Text>(found.size());
    for (size_t i = 0; i < found.size(); i++) {
        request_ids[i] = *found[i].get<Text>(1);
        organization_ids[i] = *found[i].get<Text>(2);
    }
    session.reply.begin_array();
    if (!found.empty())
        for (const Row call : session.run(show_calls, Texts{organization_ids}, Texts{request_ids}))
            session.reply.object(call);
    session.reply.end_array();
}

// LiteLLM sums up, unless told otherwise, what is asked for between two dates.
bool sums_up(Session &session)
{
    const bool in_pages = session.argument<int64>("limit") || session.argument<Text>("after");
    const auto asked = session.argument<bool>("summarize");
    if (asked.value_or(false) && in_pages)
        invalid("summarize", "must not be true together with limit or after");
    const bool sums_up = asked.value_or(!in_pages && session.argument("start_date", not_empty) &&
                                        session.argument("end_date", not_empty));
    if (sums_up && session.argument("timezone", not_empty))
        invalid("timezone", "is not supported for sums by day: give summarize=false");
    return sums_up;
}

// Begins or ends the list of a day's sums that those of one kind are in. Sums by key are members of the day itself.
void begin_list(Writer &reply, SumOf kind)
{
    if (kind == SumOf::user || kind == SumOf::model)
        reply.key(kind == SumOf::user ? "users" : "models").begin_object();
}
void end_list(Writer &reply, SumOf kind)
{
    if (kind == SumOf::user || kind == SumOf::model)
        reply.end_object();
}

// A day has a sum of each kind, since each call has a key, a user (perhaps none, an empty text) and a model.
void write_sums(Session &session, const Rows &sums)
{
    Writer &reply = session.reply;
    reply.begin_array();
    Maybe<SumOf> before;
    for (const Row sum : sums) {
        const SumOf kind{*sum.get<int64>(1)};
        if (before != kind) {
            if (before)
                end_list(reply, *before);
            if (before && kind == SumOf::day)
                reply.end_object();
            begin_list(reply, kind);
        }
        if (kind == SumOf::day)
            reply.begin_object().key("startTime").value(*sum.get<Text>(0)).key("spend").value(*sum.get<Number>(3));
        else
            reply.name(*sum.get<Text>(2)).value(*sum.get<Number>(3));
        before = kind;
    }
    if (before)
        reply.end_object();
    reply.end_array();
}

} // namespace

PG_ORG_READ(spend_logs)
{
    const auto limit = session.argument("limit", page_limit);
    const auto after = session.argument<Text>("after");
    const CallFilter filter = read_call_filter(session);
    const bool in_sums = sums_up(session);
    const CallSources sources = sources_of_calls(session, filter);
    if (in_sums) {
        write_sums(session, sum_calls_by_day(session, sources, filter));
        return;
    }
    const PageStart start = page_start(after, "request_id", [&](Text request_id) {
        CallFilter of_call;
        of_call.request_id = request_id;
        return find_calls(session, sources_of_calls(session, of_call), of_call, {}, 1);
    });
    const Rows found = find_calls(session, sources, filter, start, limit.value_or(max_calls + 1));
    if (!limit && static_cast<int64>(found.size()) > max_calls)
        refused("There are more than %lld such calls: ask for fewer, or for pages with limit and after",
                static_cast<long long>(max_calls));
    write_calls(session, found);
}

PG_ORG_READ(spend_logs_ui)
{
    const Asked asked = read_asked(session, {.size_name = "page_size", .size = 50});
    require_counted_page(asked, "give dates, or read /spend/logs with limit and after");
    const CallFilter filter = read_call_filter(session);
    const CallSources sources = sources_of_calls(session, filter);
    const ListPage page = page_by_number(asked, count_calls(session, sources, filter), {});
    session.reply.begin_object().key("data");
    write_calls(session, find_calls(session, sources, filter, {}, asked.size, (asked.page - 1) * asked.size));
    session.reply.key("total").value(page.total).key("page").value(page.number).key("page_size").value(page.size);
    session.reply.key("total_pages").value(page.total_pages).end_object();
}
