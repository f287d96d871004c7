// Reading ranges of time.

#include "time_range.hpp"

#include "digits.hpp"
#include "fail.hpp"
#include "zone.hpp"

namespace pg_org {

namespace {

constexpr const char *time_rule = "must be a date, as in 2026-11-23, or a date and a time, as in 2026-11-23 10:18:07";
constexpr Text date_pattern = "0000-00-00", clock_pattern = "00:00:00";
constexpr int fraction_digits = 6;

// Reads digits after a decimal point as microseconds, and removes them from the text; none if there are too many.
Maybe<fsec_t> take_fraction(Text &text)
{
    if (!text.starts_with('.'))
        return fsec_t{0};
    text.remove_prefix(1);
    fsec_t fraction = 0;
    int digits = 0;
    for (; !text.empty() && text[0] >= '0' && text[0] <= '9'; digits++, text.remove_prefix(1))
        fraction = digits < fraction_digits ? fraction * 10 + (text[0] - '0') : fraction;
    if (digits == 0 || digits > fraction_digits)
        return {};
    for (; digits < fraction_digits; digits++)
        fraction *= 10;
    return fraction;
}

// A date, perhaps with a time of the day.
struct Moment {
    pg_tm parts{};
    fsec_t fraction = 0;
    bool has_time = false, is_utc = false;
};

bool read_date(Text text, pg_tm &parts)
{
    if (!fits(text, date_pattern))
        return false;
    parts.tm_year = number_at(text, 0, 4);
    parts.tm_mon = number_at(text, 5, 2);
    parts.tm_mday = number_at(text, 8, 2);
    return parts.tm_year >= 1 && parts.tm_mon >= 1 && parts.tm_mon <= MONTHS_PER_YEAR && parts.tm_mday >= 1 &&
           parts.tm_mday <= day_tab[isleap(parts.tm_year)][parts.tm_mon - 1];
}

bool read_time(Text text, Moment &moment)
{
    if (text.size() < clock_pattern.size() || !fits(head(text, clock_pattern.size()), clock_pattern))
        return false;
    moment.parts.tm_hour = number_at(text, 0, 2);
    moment.parts.tm_min = number_at(text, 3, 2);
    moment.parts.tm_sec = number_at(text, 6, 2);
    text.remove_prefix(clock_pattern.size());
    const auto fraction = take_fraction(text);
    moment.fraction = fraction.value_or(0);
    moment.has_time = true;
    moment.is_utc = text == "Z" || text == "+00:00";
    return fraction && (text.empty() || moment.is_utc) && moment.parts.tm_hour < HOURS_PER_DAY &&
           moment.parts.tm_min < MINS_PER_HOUR && moment.parts.tm_sec < SECS_PER_MINUTE;
}

Moment read_moment(Text text, const char *name)
{
    Moment moment;
    const size_t size = std::min(text.size(), date_pattern.size());
    const Text rest = tail(text, size);
    const bool has_time = rest.starts_with(' ') || rest.starts_with('T');
    if (!read_date(head(text, size), moment.parts) || (has_time ? !read_time(tail(rest, 1), moment) : !rest.empty()))
        invalid(name, "%s", time_rule);
    return moment;
}

Timestamp local_time_of(Moment moment)
{
    Timestamp local = 0;
    if (tm2timestamp(&moment.parts, moment.fraction, nullptr, &local) != 0)
        ereport(ERROR, errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range"));
    return local;
}

// None if the text is no number of minutes.
Maybe<int> read_minutes(Text text)
{
    int minutes = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), minutes);
    const bool is_number = error == std::errc{} && end == text.data() + text.size();
    return is_number && std::abs(minutes) <= MAX_TZDISP_HOUR * MINS_PER_HOUR ? Maybe<int>{minutes} : Maybe<int>{};
}

} // namespace

bool is_date(Text text)
{
    pg_tm parts{};
    return read_date(text, parts);
}

pg_tz *read_time_zone(const Session &session)
{
    const auto zone = not_empty(session.argument<Text>("timezone"));
    if (!zone || zone == "0")
        return pg_tzset("GMT");
    if (is_time_zone(*zone))
        return stored_time_zone(*zone);
    const auto minutes = read_minutes(*zone);
    if (!minutes)
        invalid("timezone", "must be a time zone, as in Europe/Berlin, an offset from UTC, as in +02:00, or the "
                            "minutes that UTC is ahead, as in -120");
    return pg_tzset_offset(*minutes * SECS_PER_MINUTE);
}

TimeRange read_time_range(const Session &session)
{
    const auto start = not_empty(session.argument<Text>("start_date"));
    const auto end = not_empty(session.argument<Text>("end_date"));
    pg_tz *zone = read_time_zone(session);
    pg_tz *utc = pg_tzset("GMT");
    TimeRange range;
    if (start) {
        const Moment moment = read_moment(*start, "start_date");
        range.from = moment_of(moment.is_utc ? utc : zone, local_time_of(moment));
    }
    if (end) {
        const Moment moment = read_moment(*end, "end_date");
        const Timestamp local = local_time_of(moment);
        range.before = moment.has_time ? Time{moment_of(moment.is_utc ? utc : zone, local).value + 1}
                                       : moment_of(zone, local + USECS_PER_DAY);
    }
    if (range.from && range.before && range.before->value <= range.from->value)
        invalid("end_date", "must not be before start_date");
    return range;
}

} // namespace pg_org
