"""Budget periods and minutes, by the calendar: what a point in time belongs to.

Nothing here remembers anything: a period is worked out from the duration, the
anchor that one period ends at, and the time asked about.
"""

import calendar
import re
from datetime import datetime, timedelta, timezone
from typing import NamedTuple, Optional
from zoneinfo import ZoneInfo

UTC = timezone.utc
BEGINNING = datetime.min.replace(tzinfo=UTC)

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


def minute_of(time):
    return time.replace(second=0, microsecond=0)


def minute_period(time):
    return Period(minute_of(time), minute_of(time) + timedelta(minutes=1))


def period_of(time, duration, anchor):
    """The period of a budget that the time is in."""
    if duration is None:
        return FOREVER
    count, unit, zone = re.fullmatch(r"(\d+)(s|m|h|d|w|mo)(?:@(.+))?", duration).groups()
    if zone:
        return calendar_period(time, unit, ZoneInfo(zone))
    if unit == "mo":
        return months_period(time, int(count), anchor)
    length = int(count) * LENGTHS[unit]
    start = anchor + (time - anchor) // length * length
    return Period(start, start + length)


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
    """A day, week (from Monday) or month as people in the time zone live it, from midnight to midnight."""
    today = time.astimezone(zone).date()
    if unit == "d":
        first, after = today, today + timedelta(days=1)
    elif unit == "w":
        first = today - timedelta(days=today.weekday())
        after = first + timedelta(weeks=1)
    else:
        first = today.replace(day=1)
        after = (first + timedelta(days=31)).replace(day=1)
    return Period(midnight(first, zone), midnight(after, zone))


def midnight(day, zone):
    """When the day begins; of two midnights in a night that has two, the first."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
