// Pages: which one is asked for, and what it says about itself.

#include "paging.hpp"

#include "arguments.hpp"
#include "digits.hpp"

namespace pg_org {

namespace {

constexpr Text time_pattern = "0000-00-00T00:00:00.000000Z";

constinit Statement sum_of_platform{"SELECT coalesce(sum(amount), 0)::bigint FROM org.list_total WHERE list = $1"};

constinit Statement sum_of_organizations{R"(
    SELECT coalesce(sum(t.amount), 0)::bigint
      FROM unnest($2) AS asked (organization_id)
      JOIN org.list_total t ON t.list = $1 || '/' || asked.organization_id)"};

// The inverse of iso_8601(); none if the text is not exactly what that writes.
Maybe<Time> read_iso_8601(Text text)
{
    if (!fits(text, time_pattern))
        return {};
    pg_tm parts{};
    parts.tm_year = number_at(text, 0, 4);
    parts.tm_mon = number_at(text, 5, 2);
    parts.tm_mday = number_at(text, 8, 2);
    parts.tm_hour = number_at(text, 11, 2);
    parts.tm_min = number_at(text, 14, 2);
    parts.tm_sec = number_at(text, 17, 2);
    Time time{};
    if (tm2timestamp(&parts, number_at(text, 20, 6), nullptr, &time.value) != 0 || to_text(iso_8601(time)) != text)
        return {};
    return time;
}

void refuse_with_cursor(const char *name, bool given)
{
    if (given)
        invalid(name, "must not be given together with limit or after");
}

bool is_descending(Maybe<Text> sort_order, bool otherwise)
{
    if (!sort_order)
        return otherwise;
    if (*sort_order != "asc" && *sort_order != "desc")
        invalid("sort_order", "must be asc or desc");
    return *sort_order == "desc";
}

size_t find_order(Text sort_by, std::span<const Order> orders)
{
    const auto found = std::ranges::find(orders, sort_by, &Order::name);
    if (found == orders.end()) {
        StringInfoData names;
        initStringInfo(&names);
        for (const Order &order : orders)
            appendStringInfo(&names, "%s%.*s", names.len > 0 ? ", " : "", FMT_ARG(order.name));
        invalid("sort_by", "must be one of %s", names.data);
    }
    return static_cast<size_t>(found - orders.begin());
}

} // namespace

Text cursor(Time time, Text id) { return to_text(psprintf("%s/%.*s", iso_8601(time), FMT_ARG(id))); }

Maybe<PageStart> read_cursor(Text text)
{
    if (text.size() <= time_pattern.size() || text[time_pattern.size()] != '/')
        return {};
    const auto time = read_iso_8601(head(text, time_pattern.size()));
    return time ? Maybe<PageStart>{PageStart{time, tail(text, time_pattern.size() + 1)}} : Maybe<PageStart>{};
}

Asked read_asked(Session &session, const ListDefaults &defaults)
{
    Asked asked;
    const auto page = session.argument<int64>("page");
    if (page && *page < 1)
        invalid("page", "must be 1 or more");
    asked.page = page.value_or(1);
    asked.size = session.argument(defaults.size_name, page_limit).value_or(defaults.size);
    return asked;
}

Asked read_asked(Session &session, const ListDefaults &defaults, std::span<const Order> orders)
{
    Asked asked = read_asked(session, defaults);
    asked.limit = session.argument("limit", page_limit);
    asked.after = session.argument<Text>("after");
    asked.by_cursor = asked.limit || asked.after;
    const auto sort_by = not_empty(session.argument<Text>("sort_by"));
    const auto sort_order = not_empty(session.argument<Text>("sort_order"));
    asked.order = sort_by ? find_order(*sort_by, orders) : 0;
    asked.descending = is_descending(sort_order, sort_by ? defaults.descending : true);
    if (asked.by_cursor) {
        refuse_with_cursor("page", session.argument<int64>("page").has_value());
        refuse_with_cursor(defaults.size_name, session.argument<int64>(defaults.size_name).has_value());
        refuse_with_cursor("sort_by", sort_by.has_value());
        refuse_with_cursor("sort_order", sort_order.has_value());
    }
    return asked;
}

ListPage page_by_cursor(const Asked &asked, const Rows &rows)
{
    ListPage page;
    page.ids = rows.texts();
    page.size = asked.limit;
    if (!rows.empty() && asked.limit && static_cast<int64>(rows.size()) == *asked.limit) {
        const Row last = rows[rows.size() - 1];
        page.next = cursor(*last.get<Time>(1), *last.get<Text>(0));
    }
    return page;
}

ListPage page_by_number(const Asked &asked, int64 total, Texts ids)
{
    ListPage page;
    page.ids = ids;
    page.number = asked.page;
    page.size = asked.size;
    page.total = total;
    page.total_pages = (total + asked.size - 1) / asked.size;
    return page;
}

void end_list(Writer &reply, const ListPage &page)
{
    reply.key("total").value(page.total).key("page").value(page.number).key("page_size").value(page.size);
    reply.key("total_pages").value(page.total_pages).key("next").value(page.next).end_object();
}

int64 list_total(Session &session, Text kind, Maybe<Texts> organization_ids)
{
    const Rows sum = organization_ids ? session.run(sum_of_organizations, kind, *organization_ids)
                                      : session.run(sum_of_platform, kind);
    return *sum[0].get<int64>(0);
}

} // namespace pg_org
