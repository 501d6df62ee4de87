"""Stamps moved by whole weeks: the same moment of the week in UTC, written the way the stamp was."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WEEK = timedelta(weeks=1)
_EPOCH = re.compile(r"(\d{9,11})((?:[.,]\d+)?)")
_OFFSET = re.compile(r"(\d{4}-\d\d-\d\d)(.*(?:Z|[+-]\d\d:?\d\d))")
_FORMS = (
    (re.compile(r"\d{4}(?P<gap>[-/])\d\d(?P=gap)\d\d"), "{0:%Y}{gap}{0:%m}{gap}{0:%d}"),
    (re.compile(r"\d\d\.\d\d\.\d{4}"), "{0:%d.%m.%Y}"),
    (re.compile(r"\d{8}(?=[- T])"), "{0:%Y%m%d}"),
    (re.compile(r"\d\d(?P<gap>[ /-])[A-Z][a-z]{2}[ /-]\d{4}"), "{0:%d}{gap}{month}{gap}{0:%Y}"),
    (re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} +\d{1,2}(?=.* \d{4}$)"), "{weekday} {month} {day}"),
    (re.compile(r"[A-Z][a-z]{2} +\d{1,2} \d{4}"), "{month} {day} {0:%Y}"),
    (re.compile(r"[A-Z][a-z]{2} +\d{1,2}"), "{month} {day}"),
)


def shifted(stamp: str, time: datetime, weeks: int, zone: ZoneInfo) -> str | None:
    """Return the stamp `weeks` later, or None where its form is not known.

    Parameters
    ----------
    stamp : str
        As it stands in the line.
    time : datetime
        The moment it means, aware.
    weeks : int
        May be negative.
    zone : ZoneInfo
        Zone of the log's local times. Over a change of daylight saving time the wall clock moves along, so that all
        distances in time stay.
    """
    epoch, offset = _EPOCH.fullmatch(stamp), _OFFSET.fullmatch(stamp)
    if epoch:
        return f"{int(epoch[1]) + round((weeks * _WEEK).total_seconds())}{epoch[2]}"
    if offset:
        return f"{date.fromisoformat(offset[1]) + weeks * _WEEK:%Y-%m-%d}{offset[2]}"
    return _rewritten(stamp, (time.astimezone(UTC) + weeks * _WEEK).astimezone(zone))


def _rewritten(stamp: str, local: datetime) -> str | None:
    for pattern, form in _FORMS:
        found = pattern.match(stamp)
        clock = re.search(r"\d\d:\d\d:\d\d", stamp[found.end() :]) if found else None
        if found is None or clock is None:
            continue
        gap = found.groupdict().get("gap", "")
        width = "02" if re.search(r" 0\d", found[0]) else "" if re.search(r"[a-z] \d\b", found[0]) else ">2"
        day = format(local.day, width)
        text = form.format(local, gap=gap, month=_MONTHS[local.month - 1], weekday=_DAYS[local.weekday()], day=day)
        rest = stamp[found.end() :]
        rest = rest[: clock.start()] + f"{local:%H:%M:%S}" + rest[clock.end() :]
        if "{weekday}" in form:
            rest = re.sub(r"\d{4}$", f"{local:%Y}", rest)
        return text + rest
    return None
