"""What a router's log tells in outages; its clock, and whose router it is, by what stands in the PBX's log as well."""

import math
from bisect import bisect_right
from calendar import monthrange
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from starface_nb.analysis.restraint import LIKELY, Results
from starface_nb.bundle.facts import Fact
from starface_nb.frames import UTC_TIME

BOOT_S, NOTICED_S = 600.0, 60.0
"""A restart is told when it is over, a line that fails when that is noticed: both began within this time before.

A restart later than that after a line failed is not what began it, but what was tried against it.
"""
CLOCK_S = 90.0
"""Clocks that differ by less than this agree."""
_HOUR_S = 3600.0
ZONES_S = tuple(900.0 * n for n in range(-58, 59))
"""How far time zones lie apart: were it a day, forced reconnects would fit as well."""
# Log-odds of what a router's clock keeps, against the zone of the PBX: judged by how such clocks are set.
_UTC, _AN_HOUR, _HOURS, _QUARTER, _ANY, _NOT_EXACT = -3.0, -5.5, -7.0, -8.0, -10.0, -1.0
_UNSHOWN = 1.6  # log-odds against an outage that no phone shows
_WITH_LINE = 3.0  # log-odds for a first return within the minute in which the line was back
_CLEAR = 3.0  # log-odds by which one reading must be ahead of the next
_LEAST = 3  # outages that must coincide before a clock is believed that is neither the PBX's nor UTC
_SHARE = 1 / 3  # of a site's phones that an outage takes at least; others may be behind another router
_FIRST_YEAR = 1970  # stamps without a year have an earlier one
SLACK_S = 15.0  # of clocks that agree
_MOST = 60  # outages of a router that are compared
NOT_ITS = ("nat_expiry", "pbx_restart", "blacklisted")
"""Causes that a line that fails at the same time does not explain away; they are kept."""


Said = dict[str, object]
"""What a router's log says of a loss, as it stands in its evidence."""


@dataclass(frozen=True)
class Outage:
    """A time without a line by a router's log, in seconds: `told` when it was noticed, `begin` as early as may be."""

    begin: float
    end: float
    restart: bool
    told: float
    sources: tuple[str, ...] = ()

    @property
    def cause(self) -> str:
        """What the losses that begin in it come from."""
        return "router_restart" if self.restart else "wan_outage"

    def later(self, seconds: float) -> Self:
        """Return the outage by a clock that is so many seconds ahead."""
        return replace(self, begin=self.begin + seconds, end=self.end + seconds, told=self.told + seconds)


@dataclass(frozen=True)
class Clock:
    """How a router's clock was read: seconds to add, how many of its outages the log shows then, of how many.

    `how`: `agrees` as it is, `shifted`, or `as_is` where no common event decides it; `weight` is the log-odds for it.
    """

    offset_s: float = 0.0
    agree: int = 0
    of: int = 0
    how: str = "as_is"
    weight: float = 0.0


@dataclass(frozen=True)
class Site:
    """The losses of a site, in seconds: those that begin together, and when the first of them was back."""

    name: str
    first: np.ndarray
    back: np.ndarray


def said(cause: str, by_the_log: str, confidence: float, begin: float, end: float, *sources: str) -> Said:
    """Return that a loss has a cause by the router's log, from and to a second, beside what the PBX's log said."""
    span = {"from": utc(begin).isoformat(), "to": utc(end).isoformat(), "sources": list(sources)}
    by_the_log = by_the_log if confidence >= LIKELY else "unknown"  # as the log alone would tell it
    return {"says": cause, "by_the_log": by_the_log, "confidence_by_the_log": confidence, **span}


def utc(second: float) -> datetime:
    """Return a time in whole seconds."""
    return datetime.fromtimestamp(round(second), UTC)


def outages_of(rows: pl.DataFrame, results: Results) -> tuple[list[float], list[Outage]]:
    """Return the time of each row in seconds, and the outages that the rows tell."""
    zone, last = ZoneInfo(results.log.time_zone), results.log.last or datetime.now(UTC)
    stamps = _dated(rows["stamp"].to_list(), last.astimezone(zone).replace(tzinfo=None))
    zones = [UTC if zoned else zone for zoned in rows["zoned"]]
    seconds = [stamp.replace(tzinfo=one).timestamp() for stamp, one in zip(stamps, zones, strict=True)]
    outages, begun = list[Outage](), None
    for second, kind, line in zip(seconds, rows["kind"], rows["line"], strict=True):
        source = Fact("", rows["member"][0], line).source
        if kind in ("restart", "update", "line_down", "reconnect"):
            boot = kind in ("restart", "update")
            begun = begun or Outage(second - (BOOT_S if boot else NOTICED_S), second, boot, second)
            restart = begun.restart or (boot and second - begun.told <= BOOT_S)
            begun = replace(begun, restart=restart, end=second, sources=(*begun.sources, source))
        elif kind == "line_up" and begun:
            outages.append(replace(begun, end=second, sources=(*begun.sources, source)))
            begun = None
    return seconds, [*outages, *([replace(begun, end=max(begun.end, seconds[-1]))] if begun else [])]


def _dated(stamps: list[datetime], last: datetime) -> list[datetime]:
    """Return stamps with the year that the PBX's log tells, where they have none: years stand there as leap years."""
    newest = max((stamp for stamp in stamps if stamp.year < _FIRST_YEAR), default=last)
    near = min(range(last.year - 1, last.year + 2), key=lambda year: abs(_in_year(newest, year) - last))
    years = [near - (newest.year - stamp.year) // 4 if stamp.year < _FIRST_YEAR else stamp.year for stamp in stamps]
    return list(map(_in_year, stamps, years))


def _in_year(stamp: datetime, year: int) -> datetime:
    return stamp.replace(year=year, day=min(stamp.day, monthrange(year, stamp.month)[1]))


# ---- its clock, and whose router it is ----


def site_of(results: Results, losses: pl.DataFrame, name: str, home: dict[str, str]) -> Site:
    """Return when a good part of a site's phones was lost at once, and when the first of them was back."""
    phones = results.phones.filter(~pl.col("trunk"), pl.col("site").replace(home) == name).height
    mine = losses.filter(pl.col("home") == name, ~pl.col("cause").is_in(NOT_ITS)).sort("start")
    within, last = within_s(results), pl.lit(results.log.last, UTC_TIME)
    seconds = (pl.col("start").dt.epoch("us") / 1e6, pl.col("end").fill_null(last).dt.epoch("us") / 1e6)
    rows, down = mine.select(*seconds, "peer").rows(), losses.filter(pl.col("home") == name).select(*seconds).rows()
    first, back, at = [], [], 0
    while at < len(rows):
        until = bisect_right(rows, rows[at][0] + within, key=lambda row: row[0])
        gone = len({row[2] for row in rows[at:until]})
        up = phones - sum(a < rows[at][0] - 1 < b for a, b in down)
        if gone >= max(min(2, up), _SHARE * up):
            first.append(rows[at][0])
            back.append(min(row[1] for row in rows[at:until]))
        at = until
    return Site(name, np.array(first), np.array(back))


def agreeing(
    outages: Sequence[Outage], site: Site, offsets: np.ndarray, within: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return how many outages the log shows at each offset, and in how many the first phone is back with the line.

    An outage is shown where phones are lost as it begins and none of them is back before its end.

    Returns
    -------
    shown, ended : ndarray of int, shape (offsets,)
    """
    count, with_line = np.zeros(len(offsets), np.int64), np.zeros(len(offsets), np.int64)
    back = np.append(site.back, -np.inf)
    for one in outages:
        low = np.searchsorted(site.first, one.begin + offsets)
        high = np.searchsorted(site.first, one.told + offsets + within, "right")
        shown, ended = np.zeros(len(offsets), bool), np.zeros(len(offsets), bool)
        for n in range(int((high - low).max(initial=0))):
            late = back[np.minimum(low + n, len(back) - 1)] - (one.end + offsets)
            fits = (low + n < high) & (late >= -SLACK_S)
            shown, ended = shown | fits, ended | (fits & (late <= within))
        count, with_line = count + shown, with_line + ended
    return count, with_line


def all_placed(logs: Sequence[tuple[list[Outage], list[Site]]], results: Results) -> list[tuple[Site | None, Clock]]:
    """Return whose router each log (outages, sites it may be of) is, and its clock, as `placed` does.

    Where several sites fit a log, those drop out whose losses at that time another router's log explains already.
    """
    found = [placed(outages, sites, results) for outages, sites in logs]
    while True:
        explained = defaultdict[str, list[Outage]](list)
        for (outages, _), (site, clock) in zip(logs, found, strict=True):
            if site is not None and clock.agree:
                explained[site.name] += [one.later(clock.offset_s) for one in outages]
        again = [
            (site, clock) if site else placed(outages, [_without(one, explained, results) for one in sites], results)
            for (outages, sites), (site, clock) in zip(logs, found, strict=True)
        ]
        if sum(site is None for site, _ in again) == sum(site is None for site, _ in found):
            return found
        found = again


def _without(site: Site, explained: dict[str, list[Outage]], results: Results) -> Site:
    """Return a site without the losses that begin in these outages."""
    late, open_ = within_s(results), np.ones(len(site.first), bool)
    for one in explained.get(site.name, ()):
        open_ &= (site.first < one.begin) | (site.first > one.told + late)
    return Site(site.name, site.first[open_], site.back[open_])


def placed(outages: list[Outage], sites: list[Site], results: Results) -> tuple[Site | None, Clock]:
    """Return whose router it is, and its clock: the site and the offset that show most of its outages, if one does."""
    if not sites:
        return None, Clock(of=len(outages))
    alone = sites[0] if len(sites) == 1 else None
    found = sorted(((_clock(outages[-_MOST:], site, results), site) for site in sites), key=lambda one: -one[0].weight)
    (best, site), others = found[0], [clock.weight for clock, _ in found[1:]]
    clear = not others or best.weight - max(*others, math.log(len(found))) >= _CLEAR
    return (site, best) if clear else (alone, Clock(of=len(outages)))


def _clock(outages: list[Outage], site: Site, results: Results) -> Clock:
    """Return how to read a clock: the offset by which most outages coincide, weighed against how usual it is.

    An outage that coincides by chance does so as often as the site's losses fill the time; offsets that few routers
    have need more of them: below `_LEAST` only the PBX's time and UTC are believed. Where two offsets weigh nearly the
    same, the clock is taken as it is.
    """
    within, (first, last) = within_s(results), _span(results)
    if not outages or not len(site.first):
        return Clock(of=len(outages))
    window = within + float(np.mean([one.told - one.begin for one in outages]))
    gain = _UNSHOWN - math.log(min(0.9, len(site.first) * window / max(last - first, window)))
    offsets, usual = _offsets(outages, site, results)
    agree, ended = agreeing(outages, site, offsets, within)
    weight = agree * gain + ended * _WITH_LINE + usual
    best = int(np.argmax(weight))
    others = weight[np.abs(offsets - offsets[best]) > 2 * CLOCK_S]
    if not agree[best] or weight[best] - others.max(initial=0.0 if abs(offsets[best]) > CLOCK_S else -np.inf) < _CLEAR:
        return Clock(of=len(outages))
    equal = offsets[(weight == weight[best]) & (np.abs(offsets - offsets[best]) <= CLOCK_S)]
    offset = float(np.median(equal))
    how = "agrees" if abs(offset) <= CLOCK_S else "shifted"
    of = sum(first < one.end + offset and one.begin + offset < last for one in outages)
    is_usual = usual[best] >= _UTC + _NOT_EXACT
    if 2 * agree[best] < of or (agree[best] < _LEAST and not is_usual):
        return Clock(of=len(outages))
    return Clock(offset, int(agree[best]), max(of, int(agree[best])), how, float(weight[best]))


def _offsets(outages: Sequence[Outage], site: Site, results: Results) -> tuple[np.ndarray, np.ndarray]:
    """Return the offsets that are tried, seconds, each with the log-odds of a clock that is off by it."""
    begins = np.array([one.told for one in outages]) + results.settings.probe_timeout_s + within_s(results) / 4
    near = (site.first[:, None] - begins).ravel()
    zone = ZoneInfo(results.log.time_zone).utcoffset(datetime.fromtimestamp(_span(results)[1], UTC)) or timedelta()
    exact = {-_HOUR_S: _AN_HOUR, _HOUR_S: _AN_HOUR, zone.total_seconds(): _UTC, 0.0: 0.0}
    exact = {offset: _QUARTER if offset % _HOUR_S else _HOURS for offset in ZONES_S} | exact
    fine = np.arange(-CLOCK_S, CLOCK_S + 1, 15).tolist()
    about = {offset + n: odds + _NOT_EXACT for offset, odds in exact.items() for n in fine}
    usual = dict.fromkeys(near[np.abs(near) <= ZONES_S[-1]].tolist(), _ANY) | about | exact
    return np.array(list(usual)), np.array(list(usual.values()))


def within_s(results: Results) -> float:
    """Return how long after the begin of an outage the last phone is seen to be lost, s."""
    return results.settings.probe_interval_s + results.settings.probe_timeout_s + 4


def _span(results: Results) -> tuple[float, float]:
    """Return the begin and end of the log of the PBX, in seconds."""
    first, last = results.log.first, results.log.last
    return (first.timestamp(), last.timestamp()) if first and last else (0.0, 0.0)
