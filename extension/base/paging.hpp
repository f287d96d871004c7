// Lists in pages: by number, or by the element that a page begins after.
#pragma once

#include "fail.hpp"
#include "session.hpp"

namespace pg_org {

// The size of a page, from 1 to 1000; none means all.
inline Maybe<int64> page_limit(Maybe<int64> limit, const char *name)
{
    if (limit && (*limit < 1 || *limit > 1000))
        invalid(name, "must be from 1 to 1000");
    return limit;
}

// Where a page begins: after the element of this sort time and identifier; none: with the first element.
struct PageStart {
    Maybe<Time> time;
    Maybe<Text> id;
};

// A cursor: sort time and identifier of an element, as in 2026-11-23T10:18:07.402113Z/acme. Unlike the identifier
// alone, it works when the element is gone.
Text cursor(Time time, Text id);
Maybe<PageStart> read_cursor(Text text);

// The start of a page after this cursor or identifier, whose sort time `find` reads as the first column of one row.
template <typename Find> PageStart page_start(Maybe<Text> after, const char *id, Find find)
{
    if (!after)
        return {};
    if (const auto start = read_cursor(*after))
        return *start;
    const Rows rows = find(*after);
    if (rows.empty())
        invalid("after", "must be the %s that the page before ended with", id);
    return {rows[0].get<Time>(0), after};
}

// An order of a list: two statements for the one direction and for the other. Their rows begin with an identifier and
// a creation time, and the last two parameters are LIMIT and OFFSET.
struct Order {
    Text name;
    Statement ascending, descending;
};

// What a caller asks of a list: a page by number, or (with limit or after) a page by cursor.
struct Asked {
    bool by_cursor = false;
    Maybe<int64> limit;
    Maybe<Text> after;
    int64 page = 1, size = 0;
    size_t order = 0; // which of the orders; by cursor always the first
    bool descending = false;
};

// What LiteLLM's lists differ in.
struct ListDefaults {
    const char *size_name; // of the argument
    int64 size;
    bool descending; // with sort_by, but without sort_order; without both, the newest come first
};
Asked read_asked(Session &session, const ListDefaults &defaults, std::span<const Order> orders);
// The same of a list that has but one order and no pages by cursor.
Asked read_asked(Session &session, const ListDefaults &defaults);

// A page: the identifiers on it.
struct ListPage {
    Texts ids;
    Maybe<int64> number, size, total, total_pages; // number and totals: none for a page by cursor
    Maybe<Text> next;                              // by cursor: where the next page begins; none: this is the last one
};
// Turns rows into a page.
ListPage page_by_cursor(const Asked &asked, const Rows &rows);
ListPage page_by_number(const Asked &asked, int64 total, Texts ids);

// Of long lists only so many elements are counted: it would take the longer the more there are.
inline constexpr int64 max_counted = 10'000;
// Refuses a page beyond them; `instead` says how to read on.
inline void require_counted_page(const Asked &asked, const char *instead)
{
    if (asked.page - 1 >= max_counted / asked.size)
        invalid("page", "must be within the first %lld elements: %s", static_cast<long long>(max_counted), instead);
}

// Reads a page. count() returns how many elements there are, run(statement, start, limit, offset) rows.
template <typename Start, typename Count, typename Run>
ListPage read_page(const Asked &asked, std::span<Order> orders, Start start, Count count, Run run)
{
    if (asked.by_cursor)
        return page_by_cursor(asked, run(orders[0].ascending, start(), asked.limit, int64{0}));
    const int64 total = count();
    if (asked.page - 1 > total / asked.size || (asked.page - 1) * asked.size >= total)
        return page_by_number(asked, total, {});
    const int64 before = (asked.page - 1) * asked.size, on_page = std::min(asked.size, total - before);
    // A page of the second half is nearer to the end.
    const bool from_end = before > total / 2;
    Order &order = orders[asked.order];
    Statement &statement = asked.descending != from_end ? order.descending : order.ascending;
    const Texts found =
        run(statement, PageStart{}, Maybe<int64>{on_page}, from_end ? total - before - on_page : before).texts();
    if (!from_end)
        return page_by_number(asked, total, found);
    const auto ids = allocate<Text>(found.size());
    std::ranges::reverse_copy(found, ids.begin());
    return page_by_number(asked, total, ids);
}

// Ends the object of a list of users or teams, whose elements have been written.
void end_list(Writer &reply, const ListPage &page);

// How many elements of this kind there are (see org.list_total): on the whole platform, or in these organizations.
int64 list_total(Session &session, Text kind, Maybe<Texts> organization_ids);

} // namespace pg_org
