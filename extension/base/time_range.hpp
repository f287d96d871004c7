// Ranges of time: from and to a day, or a moment, on the clocks of a time zone.
#pragma once

#include "session.hpp"

namespace pg_org {

// None: without a beginning, or without an end.
struct TimeRange {
    Maybe<Time> from, before;
};

// The arguments start_date and end_date, both inclusive, and timezone (UTC without one): its name, an offset of ISO
// 8601, or the minutes that clocks in UTC are ahead of its clocks, as browsers tell them.
TimeRange read_time_range(const Session &session);

} // namespace pg_org
