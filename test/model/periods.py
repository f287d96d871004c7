"""Budget periods and minutes, by the calendar: what a point in time belongs to.

Nothing here remembers anything: a period is worked out from the duration, the
anchor that one period ends at, and the time asked about.
"""

import calendar
import functools
import re
from datetime import datetime, timedelta, timezone
from typing import NamedTuple, Optional
from zoneinfo import ZoneInfo

UTC = timezone.utc
BEGINNING = datetime.min.replace(tzinfo=UTC)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

LENGTHS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


class Period(NamedTuple):
    """From start until before end; without end it never ends."""

    start: datetime
    end: Optional[datetime]


FOREVER = Period(BEGINNING, None)


def period_of(time, duration, anchor):
    """The period of a budget that the time is in."""
    if duration is None:
        return FOREVER
    count, unit, zone = parts_of(duration)
    if zone:
        return calendar_period(time, unit, zone_of(zone))
    if unit == "mo":
        return months_period(time, count, anchor)
    length = count * LENGTHS[unit]
    start = anchor + (time - anchor) // length * length
    return Period(start, start + length)


def window_of(time, per, since):
    """The window of a sentence that the time is in: of the clock, of the calendar, or counted from its setting."""
    if per is None:
        return Period(since, None)
    count, unit, zone = parts_of(per)
    if unit in ("s", "m", "h"):
        return period_of(time, per, EPOCH)
    if count == 1:
        return calendar_period(time, unit, zone_of(zone or "UTC"))
    return period_of(time, per, since)


@functools.cache
def parts_of(duration):
    """How many, of what, and by the calendar of which time zone."""
    count, unit, zone = re.fullmatch(r"(\d+)(s|m|h|d|w|mo|q|y)(?:@(.+))?", duration).groups()
    return int(count), unit, zone


def zone_of(name):
    """A time zone by its name, or by the time that its clocks are ahead of UTC."""
    offset = re.fullmatch(r"([+-])(\d\d):?(\d\d)?", name)
    if not offset:
        return ZoneInfo(name)
    ahead = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
    return timezone(ahead if offset[1] == "+" else -ahead)


def months_period(time, months, anchor):
    """Each bound is counted from the anchor: the 31st stays the 31st where there is one."""
    passed = (time.year - anchor.year) * 12 + time.month - anchor.month
    period = passed // months
    while plus_months(anchor, period * months) > time:
        period -= 1
    while plus_months(anchor, (period + 1) * months) <= time:
        period += 1
    return Period(plus_months(anchor, period * months), plus_months(anchor, (period + 1) * months))


def plus_months(time, months):
    month = time.year * 12 + time.month - 1 + months
    year, month = month // 12, month % 12 + 1
    day = min(time.day, calendar.monthrange(year, month)[1])
    return time.replace(year=year, month=month, day=day)


def calendar_period(time, unit, zone):
    """A day, week (from Monday), month, quarter or year as people in the zone live it, from midnight to midnight."""
    today = time.astimezone(zone).date()
    if unit == "d":
        first, after = today, today + timedelta(days=1)
    elif unit == "w":
        first = today - timedelta(days=today.weekday())
        after = first + timedelta(weeks=1)
    else:
        months = dict(mo=1, q=3, y=12)[unit]
        first = today.replace(month=(today.month - 1) // months * months + 1, day=1)
        after = (first + timedelta(days=31 * months)).replace(day=1)
    return Period(midnight(first, zone), midnight(after, zone))


def midnight(day, zone):
    """When the day begins; of two midnights in a night that has two, the first."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
