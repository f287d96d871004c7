// Ranges of time: from and to a day, or a moment, on the clocks of a time zone.
#pragma once

#include "session.hpp"

namespace pg_org {

// None: without a beginning, or without an end.
struct TimeRange {
    Maybe<Time> from, before;
};

// Whether it is a date such as 2026-11-23.
bool is_date(Text text);

// The argument timezone, UTC without one: its name, an offset of ISO 8601, or the minutes that clocks in UTC are ahead
// of its clocks, as JavaScript's getTimezoneOffset() returns them.
pg_tz *read_time_zone(const Session &session);

// The arguments start_date and end_date, both inclusive, on the clocks of timezone.
TimeRange read_time_range(const Session &session);

} // namespace pg_org
