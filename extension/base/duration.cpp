// Reading durations, and counting with them.

#include "duration.hpp"

#include "fail.hpp"
#include "zone.hpp"

namespace pg_org {

namespace {

struct Unit {
    Text name;
    int64 microseconds; // of a unit of fixed length
    int64 max;          // how many of them make a hundred years; 0: a unit of the calendar only
    Text calendar;      // what the calendar calls it
    int32 months;       // of a unit without a fixed length
};

constexpr int64 days_of_century = 36525;
constexpr int64 months_of_century = 100 * MONTHS_PER_YEAR;
constexpr std::array units{
    Unit{"s", USECS_PER_SEC, days_of_century *SECS_PER_DAY, {}, 0},
    Unit{"m", USECS_PER_MINUTE, days_of_century *MINS_PER_HOUR *HOURS_PER_DAY, {}, 0},
    Unit{"h", USECS_PER_HOUR, days_of_century *HOURS_PER_DAY, {}, 0},
    Unit{"d", USECS_PER_DAY, days_of_century, "day", 0},
    Unit{"w", 7 * USECS_PER_DAY, days_of_century / 7, "week", 0},
    Unit{"mo", 0, months_of_century, "month", 1},
    Unit{"q", 0, 0, "quarter", 3},
    Unit{"y", 0, 0, "year", MONTHS_PER_YEAR},
};

// On a timestamp without time zone the calendar is UTC's, whatever the session's zone.
TimestampTz plus_months(TimestampTz time, int64 months)
{
    Interval interval{.time = 0, .day = 0, .month = static_cast<int32>(months)};
    return DatumGetTimestamp(
        DirectFunctionCall2(timestamp_pl_interval, TimestampGetDatum(time), IntervalPGetDatum(&interval)));
}

bool is_too_long(const Duration &duration)
{
    return duration.count > std::ranges::find(units, duration.microseconds, &Unit::microseconds)->max;
}

// The duration, in whatever time zone.
Maybe<Duration> parse(Text text)
{
    const size_t at = text.find('@');
    const Text length = at == Text::npos ? text : head(text, at);
    int64 count = 0;
    const char *const end = length.data() + length.size();
    const auto [rest, error] = std::from_chars(length.data(), end, count);
    const auto unit = std::ranges::find(units, Text{rest, static_cast<size_t>(end - rest)}, &Unit::name);
    if (error != std::errc{} || count <= 0 || unit == units.end())
        return {};
    if (at == Text::npos)
        return unit->max > 0 ? Duration{count, unit->microseconds, {}, {}} : Maybe<Duration>{};
    const Text zone = tail(text, at + 1);
    if (count != 1 || unit->calendar.empty() || zone.empty())
        return {};
    return Duration{1, unit->microseconds, unit->calendar, zone};
}

constexpr const char *duration_rule = "must be a positive whole number and one of s, m, h, d, w, mo, as in 30d";
constexpr const char *calendar_rule = ", or a period of the calendar, as in 1d@UTC, 1w@Asia/Tokyo, 1mo@Europe/Berlin";
constexpr const char *zone_rule =
    "must have a time zone as named in pg_timezone_names, as in 1d@Europe/Berlin, or an offset from UTC, as in "
    "1d@+02:00";

bool has_unknown_zone(const Duration &duration) { return !duration.zone.empty() && !is_time_zone(duration.zone); }

// The duration, or an error naming the field.
Duration checked(const char *name, Text text, const char *or_else = "")
{
    const auto duration = parse(text);
    if (!duration)
        invalid(name, "%s%s", duration_rule, or_else);
    if (is_too_long(*duration))
        invalid(name, "must be at most a hundred years");
    if (has_unknown_zone(*duration))
        invalid(name, "%s", or_else[0] == '\0' ? duration_rule : zone_rule);
    return *duration;
}

Time plus(Time time, const Duration &duration)
{
    if (duration.microseconds == 0)
        return {plus_months(time.value, duration.count)};
    return {time.value + duration.count * duration.microseconds};
}

// The moment when clocks in the zone first show a time. A time that occurs twice, because clocks are put back, is the
// second occurrence for PostgreSQL; a time that is skipped is the moment of the change.
Time first_at(pg_tz *zone, Timestamp local)
{
    const Time time = moment_of(zone, local);
    const Timestamp just_before = local_time(zone, {time.value - 1});
    return {time.value - std::max<int64>(just_before + 1 - local, 0)};
}

Window calendar_window(Time time, const Duration &duration)
{
    pg_tz *zone = stored_time_zone(duration.zone);
    const Datum unit =
        PointerGetDatum(cstring_to_text_with_len(duration.calendar.data(), static_cast<int>(duration.calendar.size())));
    const Datum start = DirectFunctionCall2(timestamp_trunc, unit, TimestampGetDatum(local_time(zone, time)));
    Interval length{.time = 0,
                    .day = static_cast<int32>(duration.microseconds / USECS_PER_DAY),
                    .month = std::ranges::find(units, duration.calendar, &Unit::calendar)->months};
    const Datum end = DirectFunctionCall2(timestamp_pl_interval, start, IntervalPGetDatum(&length));
    return {first_at(zone, DatumGetTimestamp(start)), first_at(zone, DatumGetTimestamp(end))};
}

// Counts from the anchor, not from period to period, so that the 31st stays the 31st in months that have one.
Window months_window(Time time, int64 months, Time anchor)
{
    constexpr int64 longest_month = 31 * USECS_PER_DAY;
    int64 periods = (time.value - anchor.value) / (months * longest_month) - 1;
    while (plus_months(anchor.value, periods * months) <= time.value)
        periods++;
    while (plus_months(anchor.value, (periods - 1) * months) > time.value)
        periods--;
    return {{plus_months(anchor.value, (periods - 1) * months)}, Time{plus_months(anchor.value, periods * months)}};
}

} // namespace

Maybe<Duration> parse_duration(Text text)
{
    const auto duration = parse(text);
    return duration && !is_too_long(*duration) ? duration : Maybe<Duration>{};
}

bool is_duration(Text text)
{
    const auto duration = parse_duration(text);
    return duration && !has_unknown_zone(*duration);
}

Maybe<Time> from_now(Maybe<Text> text, const char *name)
{
    if (!text)
        return {};
    const Duration duration = checked(name, *text);
    if (!duration.zone.empty())
        invalid(name, "%s", duration_rule);
    return plus({GetCurrentTransactionStartTimestamp()}, duration);
}

Maybe<Time> first_reset(Maybe<Text> text, const char *name)
{
    if (!text)
        return {};
    const Duration duration = checked(name, *text, calendar_rule);
    const Time now{GetCurrentTransactionStartTimestamp()};
    return duration.zone.empty() ? plus(now, duration) : calendar_window(now, duration).end;
}

Window window_at(Time time, const Duration &duration, Time anchor)
{
    if (!duration.zone.empty())
        return calendar_window(time, duration);
    if (duration.microseconds == 0)
        return months_window(time, duration.count, anchor);
    const int64 length = duration.count * duration.microseconds;
    const int64 since = time.value - anchor.value;
    const int64 periods = since / length + (since >= 0 ? 1 : since % length == 0 ? 1 : 0);
    const int64 end = anchor.value + periods * length;
    return {{end - length}, Time{end}};
}

Window budget_window(Time time, Maybe<Text> duration, Maybe<Time> reset_at, Time owner_created_at)
{
    const auto parsed = duration ? parse_duration(*duration) : Maybe<Duration>{};
    return parsed ? window_at(time, *parsed, reset_at.value_or(owner_created_at)) : forever;
}

Maybe<Time> parse_time(Text text)
{
    const char *at = text.data();
    const char *const end = at + text.size();
    bool is_wrong = false;
    const auto digits = [&](int count) {
        int number = 0;
        for (int i = 0; i < count; i++) {
            is_wrong = is_wrong || at == end || *at < '0' || *at > '9';
            number = is_wrong ? 0 : number * 10 + (*at++ - '0');
        }
        return number;
    };
    const auto skip = [&](Text any_of) { return at != end && any_of.find(*at) != Text::npos ? *at++ : '\0'; };
    const auto expect = [&](Text any_of) { is_wrong = skip(any_of) == '\0' || is_wrong; };

    pg_tm parts{};
    parts.tm_year = digits(4);
    expect("-");
    parts.tm_mon = digits(2);
    expect("-");
    parts.tm_mday = digits(2);
    int64 micros = 0, offset = 0;
    if (at != end) {
        expect("Tt ");
        parts.tm_hour = digits(2);
        expect(":");
        parts.tm_min = digits(2);
        if (skip(":") != '\0')
            parts.tm_sec = digits(2);
        if (skip(".") != '\0') {
            int64 unit = USECS_PER_SEC / 10;
            do
                micros += digits(1) * std::exchange(unit, unit / 10);
            while (at != end && *at >= '0' && *at <= '9');
        }
        if (const char sign = skip("+-"); sign != '\0') {
            offset = digits(2) * SECS_PER_HOUR;
            skip(":");
            if (at != end)
                offset += digits(2) * SECS_PER_MINUTE;
            offset = sign == '-' ? -offset : offset;
        } else {
            skip("Zz");
        }
    }
    const bool is_date = !is_wrong && at == end && parts.tm_year >= 1 && parts.tm_mon >= 1 && parts.tm_mon <= 12 &&
                         parts.tm_mday >= 1 && parts.tm_mday <= day_tab[isleap(parts.tm_year)][parts.tm_mon - 1];
    if (!is_date || parts.tm_hour > 23 || parts.tm_min > 59 || parts.tm_sec > 59 || std::abs(offset) > SECS_PER_DAY)
        return {};
    const int64 days = date2j(parts.tm_year, parts.tm_mon, parts.tm_mday) - POSTGRES_EPOCH_JDATE;
    const int64 seconds = parts.tm_hour * SECS_PER_HOUR + parts.tm_min * SECS_PER_MINUTE + parts.tm_sec - offset;
    return Time{days * USECS_PER_DAY + seconds * USECS_PER_SEC + micros};
}

Maybe<Time> checked_time(Maybe<Text> text, const char *name)
{
    const auto time = text ? parse_time(*text) : Maybe<Time>{};
    if (text && !time)
        invalid(name, "must be a time such as 2026-12-01T00:00:00Z");
    return time;
}

} // namespace pg_org
