// Durations as clients write them: a positive whole number and one of s, m, h, d, w, mo; at most a hundred years. A day
// has 24 hours; months are counted in UTC. A budget may also have a calendar period in a time zone: 1d@Europe/Berlin,
// 1w@… (from Monday), 1mo@…, 1q@… or 1y@….
#pragma once

#include "types.hpp"

namespace pg_org {

// The parts of a stored duration; none if the text is no duration. It has any time zone: which ones may be set has
// changed, and can change with the server's time zone database, and a budget that lost its period for that would never
// start again.
struct Duration {
    int64 count;
    int64 microseconds; // of one unit; 0 for months
    Text calendar;      // with a time zone: day, week, month, quarter or year
    Text zone;          // empty: none
};
Maybe<Duration> parse_duration(Text text);
// Whether a budget may get that duration.
bool is_duration(Text text);

// The transaction's start plus the duration; none if there is no duration. An error names the field.
Maybe<Time> from_now(Maybe<Text> duration, const char *name);
// The end of a budget's first period, which begins at the transaction's start. Otherwise the same.
Maybe<Time> first_reset(Maybe<Text> duration, const char *name);

// The time that an ISO 8601 text gives, as in 2026-12-01T00:00:00Z; without zone it is UTC. None if it is no such text.
Maybe<Time> parse_time(Text text);
// The same, or an error naming the field; none if there is no text.
Maybe<Time> checked_time(Maybe<Text> text, const char *name);

// A period of time: start is in it, end is not; without end it never ends.
struct Window {
    Time start;
    Maybe<Time> end;
};
inline constexpr Window forever{{DT_NOBEGIN}, {}};
// The period that a point in time is in. One period ends at the anchor; calendar periods ignore it.
Window window_at(Time time, const Duration &duration, Time anchor);
// The period of a budget that a point in time is in; forever without a duration. A budget without a reset counts its
// periods from the creation of its owner.
Window budget_window(Time time, Maybe<Text> duration, Maybe<Time> reset_at, Time owner_created_at);

} // namespace pg_org
