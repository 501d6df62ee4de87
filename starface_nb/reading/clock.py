"""The clock: the missing year, and local time to UTC over both changes of daylight saving time."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from struct import error as StructError  # noqa: N812  a class, whatever its name
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import numpy as np
import polars as pl
from numpy.typing import NDArray

from starface_nb.errors import SettingError
from starface_nb.reading.stamps import NO_YEAR

_SECOND = 1_000_000
_HOUR = 3600 * _SECOND
_DAY = 24 * _HOUR
_PAUSE = _HOUR // 6  # the missing hour would make one six times as long
_QUARTER = _HOUR // 4  # zones change their offset on a quarter of an hour
NOT_A_TIME = np.iinfo(np.int64).min
# A line may be written a moment after a later one (several threads); only more than this is a clock set back.
STEP_BACK_S = 2.0

_MOSTLY = 0.8  # of the steps from line to line
_PART_BACK = _HOUR // 12
_LEAST_PART = 3  # lines
_PARTS_APART_H = 24  # rotated files follow on one another, but for a quiet day
_MOST_PARTS = 200

Micros = NDArray[np.int64]
Bools = NDArray[np.bool_]
Nearby = Callable[[int, int], tuple[Micros, Micros]]


def zone(name: str) -> ZoneInfo:
    """Return the zone, however its name is capitalised; or say what is wrong with it, or with this machine's rules."""
    cause, step = f"{name!r} is no time zone.", "Use a name such as Europe/Berlin (MEZ, CEST), Europe/Paris or UTC."
    try:
        pl.Series([0], dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone(name)  # it knows fewer names, by heart
        if name[:1].isupper():  # no empty one, "utc" or "+01:00", which it takes as well
            cause = f"The rules of the time zone {name!r} are missing or damaged on this machine."
            step = "Install `tzdata` anew (the system's, or by pip); PYTHONTZPATH must name no other folder."
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, EOFError, IndexError, StructError, pl.exceptions.ComputeError):
        meant = [known for known in available_timezones() if known.lower() == name.strip().lower()]
        if len(meant) == 1 and meant != [name]:
            return zone(meant[0])
        raise SettingError(cause, next_step=step) from None


def micros(times: pl.Series) -> Micros:
    """Return microseconds since 1970 (`NOT_A_TIME` for null)."""
    return times.to_numpy().astype(np.int64)


def datetime_of(time: int) -> datetime | None:
    """Return microseconds since 1970 as a naive time, None for `NOT_A_TIME`."""
    return None if time == NOT_A_TIME else datetime(1970, 1, 1) + timedelta(microseconds=time)


def _year_start(year: Micros) -> Micros:
    return (year - 1970).astype("datetime64[Y]").astype("datetime64[us]").astype(np.int64)


def _is_leap(year: Micros) -> Bools:
    leap: Bools = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    return leap


def with_years(local: Micros, newest: datetime, first_year: int | None = None) -> tuple[Micros, bool]:
    """Put the missing years into local times.

    Parameters
    ----------
    local : ndarray of int64, shape (n,)
        Local times in the log's order, microseconds; in the year `NO_YEAR` where the stamp has none.
    newest : datetime
        Naive local time that the last line cannot be later than (the file's own time).
    first_year : int, optional
        Year of the first line, where the user knows it.

    Returns
    -------
    ndarray of int64, shape (n,)
    bool
        Whether a year was inferred.

    Notes
    -----
    From December to January the year counts up. The year comes from the nearest line with a full date, else from
    `first_year`, else it is the latest that does not lie after `newest`; a 29 February must exist in it.
    """
    start = int(_year_start(np.array([NO_YEAR]))[0])
    known = local != NOT_A_TIME
    nameless = (local >= start) & (local < start + 366 * _DAY)
    where = np.flatnonzero(known & nameless)
    if not where.size:
        return local, False
    key = local[where] - start
    jumps = np.diff(key, prepend=key[0])
    relative = np.cumsum((jumps < -180 * _DAY).astype(np.int64) - (jumps > 330 * _DAY).astype(np.int64))
    full = np.flatnonzero(known & ~nameless)
    if full.size:
        base = _year_by_neighbour(local, where, full, key, relative)
    elif first_year is not None:
        base = first_year
    else:
        base = _year_by_file(newest, key, relative)
    out = local.copy()
    out[where] = _in_year(key, base + relative)
    return out, True


def _in_year(key: Micros, year: Micros) -> Micros:
    """Return the time `key` after the start of a leap year, as the same day and month of `year`."""
    after_february = (key >= 60 * _DAY) & ~_is_leap(year)
    return _year_start(year) + key - np.where(after_february, _DAY, 0)


def _year_by_neighbour(local: Micros, where: Micros, full: Micros, key: Micros, relative: Micros) -> int:
    """Return the year of relative year 0, by the closest pair of neighbours of which one has a full date."""
    at = np.clip(np.searchsorted(full, where), 0, full.size - 1)
    before = full[np.maximum(at - 1, 0)]
    nearest = np.where(np.abs(before - where) <= np.abs(full[at] - where), before, full[at])
    i = int(np.argmin(np.abs(nearest - where)))
    other = int(local[nearest[i]])
    year = 1970 + int(np.datetime64(other, "us").astype("datetime64[Y]").astype(np.int64))
    options = np.array([year - 1, year, year + 1], dtype=np.int64)
    distance = np.abs(_in_year(np.repeat(key[i], 3), options) - other)
    return int(options[np.argmin(distance)] - relative[i])


def _year_by_file(newest: datetime, key: Micros, relative: Micros) -> int:
    latest = int(np.datetime64(newest + timedelta(days=1), "us").astype(np.int64))
    base = newest.year - int(relative[-1])
    if int(_in_year(key[-1:], np.array([newest.year]))[0]) > latest:
        base -= 1
    leap_days = np.unique(relative[(key >= 59 * _DAY) & (key < 60 * _DAY)])
    for back in range(9):
        if bool(np.all(_is_leap(leap_days + base - back))):
            return base - back
    return base


def to_utc(local: Micros, offset: Micros, name: str, nearby: Nearby | None = None) -> tuple[Micros, int, bool]:
    """Turn local times into UTC.

    Parameters
    ----------
    local, offset : ndarray of int64, shape (n,)
        Local times (microseconds) and byte offsets of the lines, in the log's order.
    name : str
        Time zone.
    nearby : callable, optional
        `nearby(start, end)` returns offsets and local times of all lines between two byte offsets, read when lines fall
        into the hour that the autumn change repeats.

    Returns
    -------
    ndarray of int64, shape (n,)
        Microseconds since 1970, UTC.
    int
        How many lines have times that the zone's clocks leave out.
    bool
        Whether the log runs through that hour once without a pause, as no clock of the zone does.

    Notes
    -----
    In that hour the log's own order decides: the largest step backwards among its lines is the change. Without one the
    hour was passed through once, and the missing hour belongs into the larger gap before or after. Local times that
    spring leaves out keep winter time's offset.
    """
    known = local != NOT_A_TIME
    base, place = np.unique(np.where(known, local // _QUARTER * _QUARTER, 0), return_inverse=True)
    grid = pl.Series(base).cast(pl.Datetime("us"))
    early = micros(grid.dt.replace_time_zone(name, ambiguous="earliest", non_existent="null"))
    late = micros(grid.dt.replace_time_zone(name, ambiguous="latest", non_existent="null"))
    earlier = pl.Series(base - 3 * _HOUR).cast(pl.Datetime("us"))
    winter = micros(earlier.dt.replace_time_zone(name, ambiguous="earliest", non_existent="null")) + 3 * _HOUR
    gap = early == NOT_A_TIME
    first = np.where(gap, winter, early) - base
    second = np.where(gap, first, late - base)
    utc = np.where(known, local + first[place], NOT_A_TIME)
    twice, once = known & (first != second)[place], False
    if twice.any():
        rows = np.flatnonzero(known)
        passed, once = _second_pass(local[rows], offset[rows], twice[rows], nearby)
        utc[rows[passed]] += (second - first)[place[rows[passed]]]
    return utc, int((known & gap[place]).sum()), once


def _second_pass(local: Micros, offset: Micros, twice: Bools, nearby: Nearby | None) -> tuple[Bools, bool]:
    """Say for every line in a repeated hour whether it is of the hour's second pass, and whether one has no second."""
    late, once = np.zeros(local.size, np.bool_), False
    days = np.where(twice, local // _DAY, -1)
    for day in np.unique(days[twice]):
        here = np.flatnonzero(days == day)
        first, last = int(here[0]), int(here[-1])
        before = int(local[first - 1]) if first else None
        after = int(local[last + 1]) if last + 1 < local.size else None
        at, times = offset[here], local[here]
        if nearby is not None:
            low = int(offset[first - 1]) if first else 0
            high = int(offset[last + 1]) if last + 1 < local.size else int(offset[last]) + 1
            at, times, before, after = _with_nearby(nearby(low, high), at, times, before, after)
        turn, alone = _turn(at, times, before, after)
        late[here], once = offset[here] >= turn, once or alone
    return late, once


def _with_nearby(
    near: tuple[Micros, Micros], at: Micros, times: Micros, before: int | None, after: int | None
) -> tuple[Micros, Micros, int | None, int | None]:
    """Add the lines around to the lines in a repeated hour, and say which times stand next to that hour."""
    low, high = int(times.min()) // _HOUR * _HOUR, int(times.max()) // _HOUR * _HOUR + _HOUR
    offsets, locals_ = near
    inside = (locals_ >= low) & (locals_ < high)
    outer = locals_[~inside & (offsets < at[0])]
    before = int(outer[-1]) if outer.size else before
    outer = locals_[~inside & (offsets > at[-1])]
    after = int(outer[0]) if outer.size else after
    at, keep = np.unique(np.concatenate([offsets[inside], at]), return_index=True)
    return at, np.concatenate([locals_[inside], times])[keep], before, after


def _turn(at: Micros, times: Micros, before: int | None, after: int | None) -> tuple[int, bool]:
    """Return the byte offset from which lines belong to the second pass of a repeated hour, and whether none can."""
    steps = np.diff(times)
    if steps.size and steps.min() < -STEP_BACK_S * _SECOND:
        return int(at[int(np.argmin(steps)) + 1]), False
    gaps = times[0] - before if before is not None else np.inf, after - times[-1] if after is not None else np.inf
    turn = int(at[0]) if gaps[0] > gaps[1] else int(at[-1]) + 1
    return turn, bool(max(*gaps, steps.max(initial=0)) < _PAUSE)


def steps_back(utc: Micros) -> Micros:
    """Return the indices of the lines before which the clock was set back, in the log's order."""
    known = np.flatnonzero(utc != NOT_A_TIME)
    return known[1:][np.diff(utc[known]) < -STEP_BACK_S * _SECOND]


def is_reversed(local: Micros) -> bool:
    """Say whether lines with these times, in the log's order, stand with the newest first."""
    steps = np.diff(local[local != NOT_A_TIME])
    steps = steps[steps != 0]
    return bool(steps.size > 2 and (steps < 0).mean() > _MOSTLY)


def parts_in_order(local: Micros) -> list[slice] | None:
    """Return the parts of a log put together in a wrong order, in the right one; None where nothing says so.

    Parameters
    ----------
    local : ndarray of int64, shape (n,)
        Local times in the log's order, microseconds.

    Notes
    -----
    `cat full full.1` or a search over rotated files gives whole parts, each in order, that follow on one another as
    soon as they are sorted. A clock that was set does not: its parts overlap, or lie far apart.
    """
    known = np.flatnonzero(local != NOT_A_TIME)
    steps = np.diff(local[known])
    breaks = known[1:][(steps < -_PART_BACK) & (steps > -180 * _DAY)]
    if not 0 < breaks.size < _MOST_PARTS:
        return None
    edges = [0, *breaks.tolist(), local.size]
    parts = [slice(a, b) for a, b in pairwise(edges)]
    times = [local[part][local[part] != NOT_A_TIME] for part in parts]
    order = sorted(range(len(parts)), key=lambda i: (int(times[i][0]), int(times[i].max())))
    if min(len(some) for some in times) < _LEAST_PART:
        return None
    gaps = [int(times[j][0]) - int(times[i].max()) for i, j in pairwise(order)]
    if order == list(range(len(parts))) or min(gaps) < 0 or max(gaps) > _PARTS_APART_H * _HOUR:
        return None
    return [parts[i] for i in order]


def date_in_name(name: str) -> datetime | None:
    """Return the date that a rotated file's name ends with: `full-20260301`, `full.1772600137`, or None."""
    base = re.sub(r"\.(?:gz|bz2|xz|lzma|zst)$", "", name.rsplit("!", 1)[-1].replace("\\", "/").rsplit("/", 1)[-1])
    found = re.search(r"[-._](\d{8})(?:[-_T]?\d{4,6})?$|[-._](1\d{9})$", base)
    try:
        if found and found[1]:
            return datetime.strptime(found[1], "%Y%m%d") + timedelta(days=1)
        return datetime.fromtimestamp(int(found[2]), UTC).replace(tzinfo=None) if found else None
    except ValueError:
        return None
