// Reading durations and adding them to the present.

#include "duration.hpp"

#include "fail.hpp"

namespace pg_org {

namespace {

struct Unit {
    Text name;
    int64 microseconds; // of a unit of fixed length
    int32 months;       // of a unit of the calendar
    int64 most;         // how many of it make a hundred years
};

constexpr int64 days_of_century = 36525;
constexpr std::array units{
    Unit{"s", USECS_PER_SEC, 0, days_of_century * SECS_PER_DAY},
    Unit{"m", USECS_PER_MINUTE, 0, days_of_century * MINS_PER_HOUR * HOURS_PER_DAY},
    Unit{"h", USECS_PER_HOUR, 0, days_of_century * HOURS_PER_DAY},
    Unit{"d", USECS_PER_DAY, 0, days_of_century},
    Unit{"w", 7 * USECS_PER_DAY, 0, days_of_century / 7},
    Unit{"mo", 0, 1, 100 * MONTHS_PER_YEAR},
};

} // namespace

Maybe<Time> from_now(const char *name, Maybe<Text> duration)
{
    if (!duration)
        return {};
    int64 count = 0;
    const char *const end = duration->data() + duration->size();
    const auto [rest, error] = std::from_chars(duration->data(), end, count);
    const Text unit_name{rest, static_cast<size_t>(end - rest)};
    const auto unit = std::ranges::find(units, unit_name, &Unit::name);
    if (error != std::errc{} || count <= 0 || unit == units.end())
        invalid(name, "must be a positive whole number and one of s, m, h, d, w, mo, as in 30d");
    if (count > unit->most)
        invalid(name, "must be at most a hundred years");

    const TimestampTz now = GetCurrentTransactionStartTimestamp();
    if (unit->months == 0)
        return Time{now + count * unit->microseconds};
    // On a timestamp without time zone the calendar is UTC's, whatever the session's zone.
    Interval months{.time = 0, .day = 0, .month = static_cast<int32>(count) * unit->months};
    return Time{DatumGetTimestamp(
        DirectFunctionCall2(timestamp_pl_interval, TimestampGetDatum(now), IntervalPGetDatum(&months)))};
}

} // namespace pg_org
