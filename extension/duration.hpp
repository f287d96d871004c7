// Durations as clients write them: a positive whole number and one of s, m, h,
// d, w, mo; at most a hundred years.  A day has 24 hours; months are counted in UTC.
#pragma once

#include "types.hpp"

namespace pg_org {

// The point in time that lies the duration after now (the transaction's start), none for none, or an error naming the
// field.
Maybe<Time> from_now(const char *name, Maybe<Text> duration);

} // namespace pg_org
