// Durations as clients write them: a positive whole number and one of s, m, h,
// d, w, mo; at most a hundred years.  A day has 24 hours; months are counted in UTC.
// A budget's may also be a period of the calendar somewhere: 1d@Europe/Berlin, 1w@… (from Monday) or 1mo@….
#pragma once

#include "types.hpp"

namespace pg_org {

// What a duration says, if it says anything.
struct Duration {
    int64 count;
    int64 microseconds; // of one unit; 0: it is a month
    Text calendar;      // with a time zone: day, week or month
    Text zone;          // empty: none
};
Maybe<Duration> parse_duration(Text text);

// The point in time that lies the duration after now (the transaction's start), none for none, or an error naming the
// field.
Maybe<Time> from_now(Maybe<Text> duration, const char *name);
// Likewise when the first period of a budget ends that begins now.
Maybe<Time> first_reset(Maybe<Text> duration, const char *name);

// A period of time, from start until before end; without end it never ends.
struct Window {
    Time start;
    Maybe<Time> end;
};
inline constexpr Window forever{{DT_NOBEGIN}, {}};
// The period that a point in time is in. One period ends at the anchor; those of the calendar need none.
Window window_at(Time time, const Duration &duration, Time anchor);

} // namespace pg_org
