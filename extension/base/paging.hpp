// Lists in pages: the size of a page, and the element it begins after.
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

// The sort time of the last element of the previous page: the first column of the one row.
inline Maybe<Time> page_start(const Rows &rows, const char *id)
{
    if (rows.empty())
        invalid("after", "must be the %s that the page before ended with", id);
    return rows[0].get<Time>(0);
}

} // namespace pg_org
