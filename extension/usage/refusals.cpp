// Telling how many calls each limit has refused.

#include "base/clock.hpp"
#include "base/paging.hpp"
#include "base/time_range.hpp"
#include "limits.hpp"
#include "logged_calls.hpp"
#include "refusal_counts.hpp"
#include "rules/key_rights.hpp"

using namespace pg_org;

namespace {

constinit Statement find_refusals{
#include "queries/find_refusals.inc"
    , Planned::each_time};

// What the caller asks for. None stands for all.
struct RefusalFilter {
    Maybe<Text> organization_id, team_id, user_id, key_id, end_user;
    Time from, before;
};

RefusalFilter read_refusal_filter(Session &session)
{
    const TimeRange asked = read_time_range(session);
    // Rows older than that may not be deleted yet, and are not shown.
    const Time kept_from{present().value - refusal_days * USECS_PER_DAY};
    RefusalFilter filter{.organization_id = session.argument("organization_id", not_empty),
                         .team_id = session.argument("team_id", not_empty),
                         .user_id = session.argument("user_id", not_empty),
                         .key_id = {},
                         .end_user = session.argument("end_user", not_empty),
                         .from = {std::max(asked.from.value_or(kept_from).value, kept_from.value)},
                         .before = asked.before.value_or(Time{DT_NOEND})};
    if (const auto key = session.argument("key", not_empty))
        filter.key_id = id_of_key(session, *key);
    return filter;
}

Rows read_refusals(Session &session, const RefusalFilter &filter, const Asked &asked, bool by_hour)
{
    const Caller &caller = session.caller;
    const int64 skipped = std::min(asked.page - 1, PG_INT64_MAX / asked.size) * asked.size;
    // An hour that has a part of the time counts.
    const Time hour_before{filter.from.value - USECS_PER_HOUR};
    return session.run(find_refusals, by_hour, asked.size, skipped, hour_before, filter.before,
                       overseen_organizations(session), caller.user_id, caller.key_id, caller.organization_id,
                       filter.organization_id, filter.team_id, filter.user_id, filter.key_id, filter.end_user);
}

OwnerKind kind_of(const OwnerIds &owner)
{
    return *std::ranges::find_if(owner_kinds,
                                 [&](OwnerKind kind) { return owner.has(kind) && owner.of(kind) == owner; });
}

void write_refusals(Writer &reply, const Row &row)
{
    int column = 1; // after the number of all
    const auto text = [&] { return *row.get<Text>(column++); };
    const OwnerIds ids{text(), text(), text(), text(), text()};
    const Limited what = *limited_named(text());
    const char *field = c_string(text());
    const Maybe<Text> per = not_empty(text());
    const Scope scope{text(), text(), each_named(text()).value_or(Each::none)};
    const auto hour = row.get<Time>(column++);
    const UsageLimit limit{
        .what = what, .value = *row.get<Number>(column++), .per = per, .scope = scope, .field = field};
    Owner owner{.kind = kind_of(ids), .ids = ids};

    reply.begin_object().key("organization_id").value(not_empty(ids.organization_id));
    write_limit(reply, {&limit, &owner});
    reply.key("hour").value(hour).key("refused").value(*row.get<int64>(column));
    reply.key("last_refused_at").value(*row.get<Time>(column + 1)).end_object();
}

} // namespace

PG_ORG_READ(usage_refusals)
{
    const Asked asked = read_asked(session, {.size_name = "page_size", .size = 50});
    const bool by_hour = session.argument<bool>("by_hour").value_or(false);
    const Rows found = read_refusals(session, read_refusal_filter(session), asked, by_hour);
    const ListPage page = page_by_number(asked, *found[0].get<int64>(0), {});

    Writer &reply = session.reply;
    reply.begin_object().key("refusals").begin_array();
    for (const Row row : found)
        if (!row.is_null(1))
            write_refusals(reply, row);
    reply.end_array().key("total").value(page.total).key("page").value(page.number);
    reply.key("page_size").value(page.size).key("total_pages").value(page.total_pages).end_object();
}
