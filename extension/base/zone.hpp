// Time zones: names of pg_timezone_names, as written there, and offsets of ISO 8601, ±HH or ±HH:MM, positive east of
// Greenwich.
#pragma once

#include "types.hpp"

namespace pg_org {

// Whether a time zone may be set: PostgreSQL itself also reads POSIX texts, whose offsets have the opposite sign.
bool is_time_zone(Text zone);

// The time zone of a stored value. What earlier versions accepted keeps its meaning, except that an offset of ISO 8601
// has its sign; a name that the server's time zone database no longer knows means UTC.
pg_tz *stored_time_zone(Text zone);

// What clocks in the zone show at a point in time.
Timestamp local_time(pg_tz *zone, Time time);
// The moment when clocks in the zone show a time: of two the second, and if it is skipped, one after the change.
Time moment_of(pg_tz *zone, Timestamp local);

} // namespace pg_org
