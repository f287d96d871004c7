// Time zones by name or offset, and their clocks.

#include "zone.hpp"

#include "digits.hpp"

namespace pg_org {

namespace {

// Files of the time zone database that are no places, or that the system's administrator chooses.
constexpr std::array<Text, 3> no_zones{"Factory", "localtime", "posixrules"};
// Its files whose names have digits and no small letters. PostgreSQL reads every other such text as a POSIX one.
constexpr std::array<Text, 7> like_posix{"CST6CDT", "EST5EDT", "GMT+0", "GMT-0", "GMT0", "MST7MDT", "PST8PDT"};

constexpr bool is_small(char c) { return c >= 'a' && c <= 'z'; }

// The seconds east of Greenwich of an offset of ISO 8601.
Maybe<int64> read_offset(Text zone)
{
    if (zone.empty() || (zone[0] != '+' && zone[0] != '-') ||
        !(fits(tail(zone, 1), "00") || fits(tail(zone, 1), "00:00")))
        return {};
    const int hours = number_at(zone, 1, 2), minutes = zone.size() > 3 ? number_at(zone, 4, 2) : 0;
    if (hours > MAX_TZDISP_HOUR || minutes >= MINS_PER_HOUR)
        return {};
    const int64 seconds = hours * SECS_PER_HOUR + minutes * SECS_PER_MINUTE;
    return zone[0] == '-' ? -seconds : seconds;
}

// pg_tzset() finds files whatever the case, and keeps their names; of a POSIX text it keeps the capital letters.
bool is_in_database(Text name)
{
    const bool is_posix = std::ranges::any_of(name, is_digit) && std::ranges::none_of(name, is_small) &&
                          std::ranges::find(like_posix, name) == like_posix.end();
    if (is_posix || name.starts_with("posix/") || name.starts_with("right/") ||
        std::ranges::find(no_zones, name) != no_zones.end())
        return false;
    pg_tz *zone = pg_tzset(c_string(name));
    return zone != nullptr && pg_tz_acceptable(zone) && to_text(pg_get_timezone_name(zone)) == name;
}

[[noreturn]] void out_of_range()
{
    ereport(ERROR, errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range"));
    pg_unreachable();
}

} // namespace

bool is_time_zone(Text zone) { return read_offset(zone) || is_in_database(zone); }

pg_tz *stored_time_zone(Text zone)
{
    const auto offset = read_offset(zone);
    pg_tz *found = offset ? pg_tzset_offset(-*offset) : pg_tzset(c_string(zone));
    return found != nullptr ? found : pg_tzset("GMT");
}

Timestamp local_time(pg_tz *zone, Time time)
{
    pg_tm parts{};
    fsec_t fraction = 0;
    int offset = 0;
    Timestamp local = 0;
    if (timestamp2tm(time.value, &offset, &parts, &fraction, nullptr, zone) != 0 ||
        tm2timestamp(&parts, fraction, nullptr, &local) != 0)
        out_of_range();
    return local;
}

Time moment_of(pg_tz *zone, Timestamp local)
{
    pg_tm parts{};
    fsec_t fraction = 0;
    TimestampTz time = 0;
    if (timestamp2tm(local, nullptr, &parts, &fraction, nullptr, nullptr) != 0)
        out_of_range();
    int offset = DetermineTimeZoneOffset(&parts, zone);
    if (tm2timestamp(&parts, fraction, &offset, &time) != 0)
        out_of_range();
    return {time};
}

} // namespace pg_org
