"""The router's own log beside that of the PBX: clocks aligned by common events, causes confirmed or contradicted."""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from starface_nb.analysis.diagnosis import Finding
from starface_nb.analysis.restraint import Results
from starface_nb.frames import UTC_TIME, Column, Schema
from starface_nb.model.schemas import CAUSE
from starface_nb.observations.addresses import UNKNOWN
from starface_nb.reading.bundle import Fact
from starface_nb.reading.router import KINDS

BOOT_S, NOTICED_S = 600.0, 60.0
"""A restart is told when it is over, a line that fails when that is noticed: both began within this time before.

A restart later than that after a line failed is not what began it, but what was tried against it.
"""
CLOCK_S = 90.0
"""Clocks that differ by less than this agree."""
_GRID_S, _HOUR_S, _QUARTERS = 900.0, 3600.0, 58  # time zones lie so many quarters of an hour apart at most
_FARTHEST_S = _QUARTERS * _GRID_S  # were it a day, forced reconnects would fit as well
_UNSHOWN = 1.6  # log-odds against an outage that no phone shows
_WITH_LINE = 3.0  # log-odds for a first return within the minute in which the line was back
_CLEAR = 3.0  # log-odds by which one reading must be ahead of the next
_SHARE = 1 / 3  # of a site's phones that an outage takes at least; others may be behind another router
_NOT_PUBLIC = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
_FIRST_YEAR = 1970  # stamps without a year have an earlier one
_SLACK_S = 15.0  # of clocks that agree
_PROVEN, _CONTRADICTED = 0.99, 0.9  # confidence where both logs say the same, and where the router's says another cause
_MOST = 60  # outages of a router that are compared
_NOT_ITS = ("nat_expiry", "pbx_restart", "blacklisted")
"""Causes that a line that fails at the same time does not explain away; they are kept."""

ROUTER_EVENTS = Schema(
    "router_events",
    (
        Column("time", UTC_TIME, "when, by the clock of the PBX", "UTC"),
        Column("kind", pl.Enum(KINDS), "what happened"),
        Column("address", pl.String, "the router's own public address, where told", nullable=True),
        Column("site", pl.String, "the site whose router it is; null: not known", nullable=True),
        Column("incident", pl.Int64, "the incident it belongs to", nullable=True),
        Column("product", pl.String, "whose wording it is"),
        Column("source", pl.String, "member and line"),
    ),
)


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
class RouterLog:
    """One router's log: where it lies, whose router it is, and its clock."""

    member: str
    product: str
    site: str | None
    clock: Clock
    first: datetime
    last: datetime
    events: int


@dataclass(frozen=True)
class RouterStory:
    """What the routers' own logs add; frame of schema `ROUTER_EVENTS`."""

    logs: tuple[RouterLog, ...] = ()
    events: pl.DataFrame = field(default_factory=ROUTER_EVENTS.empty)
    findings: tuple[Finding, ...] = ()

    def document(self) -> dict[str, object]:
        """Return the story as data: the logs with their clocks, and the events."""
        logs = [asdict(one) for one in self.logs]
        return {"logs": logs, "events": self.events.to_dicts()}

    def with_incidents(self, intervals: pl.DataFrame, incident_of: pl.Series) -> RouterStory:
        """Return the story with the incident of each event: that of the losses which begin in its outage."""
        if self.events.is_empty():
            return self
        known = dict[str, int | None]()
        for text, incident in zip(intervals["evidence"], incident_of, strict=True):
            known |= dict.fromkeys(json.loads(text).get("router", {}).get("sources", ()), incident)
        found = self.events["source"].replace_strict(known, default=None, return_dtype=pl.Int64)
        return replace(self, events=self.events.with_columns(found.alias("incident")))


@dataclass(frozen=True)
class _Site:
    """The losses of a site, in seconds: those that begin together, and when the first of them was back."""

    name: str
    first: np.ndarray
    back: np.ndarray


def lay_beside(results: Results) -> tuple[Results, RouterStory]:
    """Lay the routers' own logs beside the losses.

    Parameters
    ----------
    results : Results

    Returns
    -------
    results : Results
        Causes that a router's log proves or contradicts are its own; `evidence.router` tells which, what the log of the
        PBX alone said, and where it stands.
    story : RouterStory
    """
    known = results.log.bundle.router
    if known.is_empty() or results.log.first is None:
        return results, RouterStory()
    home = _homes(results)
    losses = results.intervals.with_row_index("row").filter(~pl.col("trunk"))
    losses = losses.with_columns(pl.col("site").replace(home).alias("home"))
    sites = [_site(results, losses, name, home) for name in losses["home"].unique().sort() if name != UNKNOWN]
    logs, events, told = list[RouterLog](), list[dict[str, object]](), dict[int, dict[str, object]]()
    for rows in known.partition_by("member", maintain_order=True):
        seconds, outages = _outages(rows, results)
        site, clock = _placed(outages, _possible(sites, rows["address"].drop_nulls().to_list(), home), results)
        here = [replace(one, begin=one.begin + clock.offset_s, end=one.end + clock.offset_s,
                        told=one.told + clock.offset_s) for one in outages]  # fmt: skip
        if site is not None:
            told |= _verdicts(results, losses.filter(pl.col("home") == site.name), here, site, clock)
        times = [_utc(second + clock.offset_s) for second in seconds]
        name = site.name if site else None
        logs.append(RouterLog(rows["member"][0], rows["product"][0], name, clock, times[0], times[-1], rows.height))
        events += _events(rows, times, name)
    results = replace(results, intervals=_with_verdicts(results.intervals, told))
    story = RouterStory(tuple(logs), ROUTER_EVENTS.frame(events).sort("time"))
    return results, replace(story, findings=tuple(_findings(story, told)))


def _possible(sites: list[_Site], addresses: list[str], home: dict[str, str]) -> list[_Site]:
    """Return the sites whose router may have these addresses: behind a carrier's NAT it has no public one."""
    own = {home[address] for address in addresses if address in home}
    public = [one for one in addresses if not any(ip_address(one) in network for network in _NOT_PUBLIC)]
    return [one for one in sites if one.name in own] if own or public else sites


def _homes(results: Results) -> dict[str, str]:
    """Return the site of each address."""
    return {address: row["site"] for row in results.sites.iter_rows(named=True) for address in row["addresses"]}


def _utc(second: float) -> datetime:
    return datetime.fromtimestamp(round(second), UTC)


# ---- the router's log ----


def _outages(rows: pl.DataFrame, results: Results) -> tuple[list[float], list[Outage]]:
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
    undated = [stamp for stamp in stamps if stamp.year < _FIRST_YEAR]
    if not undated:
        return stamps
    newest = max(undated)
    near = min(range(last.year - 1, last.year + 2), key=lambda year: abs(_in_year(newest, year) - last))
    return [
        stamp if stamp.year >= _FIRST_YEAR else _in_year(stamp, near - (newest.year - stamp.year) // 4)
        for stamp in stamps
    ]


def _in_year(stamp: datetime, year: int) -> datetime:
    try:
        return stamp.replace(year=year)
    except ValueError:  # 29 February
        return stamp.replace(year=year, day=28)


# ---- its clock, and whose router it is ----


def _site(results: Results, losses: pl.DataFrame, name: str, home: dict[str, str]) -> _Site:
    """Return when a good part of a site's phones was lost at once, and when the first of them was back."""
    phones = results.phones.filter(~pl.col("trunk") & (pl.col("site").replace(home) == name)).height
    mine = losses.filter((pl.col("home") == name) & ~pl.col("cause").cast(pl.String).is_in(_NOT_ITS)).sort("start")
    end = (results.log.last or datetime.now(UTC)).timestamp()
    rows = [(start.timestamp(), stop.timestamp() if stop else end, peer)
            for start, stop, peer in mine.select("start", "end", "peer").iter_rows()]  # fmt: skip
    within = results.settings.probe_interval_s + results.settings.probe_timeout_s + 4
    lost = losses.filter(pl.col("home") == name)
    down = [(a.timestamp(), b.timestamp() if b else end) for a, b in lost.select("start", "end").iter_rows()]
    first, back, at = [], [], 0
    while at < len(rows):
        until = bisect_right(rows, rows[at][0] + within, key=lambda row: row[0])
        gone = len({row[2] for row in rows[at:until]})
        up = phones - sum(a < rows[at][0] - 1 < b for a, b in down)
        if gone >= max(min(2, up), _SHARE * up):
            first.append(rows[at][0])
            back.append(min(row[1] for row in rows[at:until]))
        at = until
    return _Site(name, np.array(first), np.array(back))


def _agreeing(
    outages: Sequence[Outage], site: _Site, offsets: np.ndarray, within: float
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
            fits = (low + n < high) & (late >= -_SLACK_S)
            shown, ended = shown | fits, ended | (fits & (late <= within))
        count, with_line = count + shown, with_line + ended
    return count, with_line


def _placed(outages: list[Outage], sites: list[_Site], results: Results) -> tuple[_Site | None, Clock]:
    """Return whose router it is, and its clock: the site and the offset that show most of its outages, if one does."""
    if not sites:
        return None, Clock(of=len(outages))
    alone = sites[0] if len(sites) == 1 else None
    found = sorted(((_clock(outages[-_MOST:], site, results), site) for site in sites), key=lambda one: -one[0].weight)
    (best, site), others = found[0], [clock.weight for clock, _ in found[1:]]
    clear = not others or best.weight - max(*others, math.log(len(found))) >= _CLEAR
    return (site, best) if clear else (alone, Clock(of=len(outages)))


def _clock(outages: list[Outage], site: _Site, results: Results) -> Clock:
    """Return how to read a clock: the offset by which most outages coincide, weighed against how usual it is.

    An outage that coincides by chance does so as often as the site's losses fill the time; offsets that few routers
    have need more of them. Where two offsets weigh nearly the same, the clock is taken as it is.
    """
    settings, (first, last) = results.settings, _span(results)
    within = settings.probe_interval_s + settings.probe_timeout_s + 4
    if not outages or not len(site.first):
        return Clock(of=len(outages))
    window = within + float(np.mean([one.told - one.begin for one in outages]))
    gain = _UNSHOWN - math.log(min(0.9, len(site.first) * window / max(last - first, window)))
    near = (
        site.first[:, None] - np.array([one.told for one in outages]) - settings.probe_timeout_s - within / 4
    ).ravel()
    summer = ZoneInfo(results.log.time_zone).utcoffset(datetime.fromtimestamp(last, UTC)) or timedelta()
    exact = {0.0: 0.0, summer.total_seconds(): -3.0, -_HOUR_S: -5.5, _HOUR_S: -5.5}
    grid = {n * _GRID_S: -7.0 - (n % 4 > 0) for n in range(-_QUARTERS, _QUARTERS + 1)}
    about = {
        zone + n: how - 1.0 for zone, how in {**grid, **exact}.items() for n in np.arange(-CLOCK_S, CLOCK_S + 1, 15)
    }
    usual = {**dict.fromkeys(near[np.abs(near) <= _FARTHEST_S].tolist(), -10.0), **about, **grid, **exact}
    offsets = np.array(list(usual))
    agree, ended = _agreeing(outages, site, offsets, within)
    weight = agree * gain + ended * _WITH_LINE + np.array(list(usual.values()))
    best = int(np.argmax(weight))
    others = weight[np.abs(offsets - offsets[best]) > 2 * CLOCK_S]
    if not agree[best] or weight[best] - others.max(initial=0.0 if abs(offsets[best]) > CLOCK_S else -np.inf) < _CLEAR:
        return Clock(of=len(outages))
    equal = offsets[(weight == weight[best]) & (np.abs(offsets - offsets[best]) <= CLOCK_S)]
    offset = float(np.median(equal))
    how = "agrees" if abs(offset) <= CLOCK_S else "shifted"
    of = sum(first < one.end + offset and one.begin + offset < last for one in outages)
    if 2 * agree[best] < of:
        return Clock(of=len(outages))
    return Clock(offset, int(agree[best]), of, how, float(weight[best]))


def _span(results: Results) -> tuple[float, float]:
    """Return the begin and end of the log of the PBX, in seconds."""
    first, last = results.log.first, results.log.last
    return (first.timestamp(), last.timestamp()) if first and last else (0.0, 0.0)


# ---- what it says of the losses ----


def _verdicts(
    results: Results, losses: pl.DataFrame, outages: Sequence[Outage], site: _Site, clock: Clock
) -> dict[int, dict[str, object]]:
    """Return what the router's log says of losses that begin in one of its outages, by their row.

    A clock that nothing confirms is believed only for outages that the log shows itself.
    """
    within = results.settings.probe_interval_s + results.settings.probe_timeout_s + 4
    slack = CLOCK_S / 2  # an offset is known to less than a probing interval
    told: dict[int, dict[str, object]] = {}
    for one in outages:
        if clock.how == "as_is" and not _agreeing([one], site, np.zeros(1), within)[0][0]:
            continue
        low, high = _utc(one.begin - slack), _utc(max(one.told + within, one.end + _SLACK_S) + slack)
        for row, cause, confidence in (
            losses.filter(pl.col("start").is_between(low, high))
            .select("row", pl.col("cause").cast(pl.String), "confidence")
            .iter_rows()
        ):
            told[row] = {
                "says": one.cause, "by_the_log": cause, "confidence_by_the_log": confidence,
                "from": _utc(one.told).isoformat(), "to": _utc(one.end).isoformat(), "sources": list(one.sources),
            }  # fmt: skip
    return told


def _with_verdicts(intervals: pl.DataFrame, told: dict[int, dict[str, object]]) -> pl.DataFrame:
    """Return intervals with the router's word as cause and evidence; what it cannot explain away keeps its cause."""
    if not told:
        return intervals
    causes, sure = intervals["cause"].cast(pl.String).to_list(), intervals["confidence"].to_list()
    evidence = intervals["evidence"].to_list()
    for row, said in told.items():
        same = said["says"] == causes[row]
        if causes[row] not in _NOT_ITS:
            causes[row], sure[row] = str(said["says"]), max(sure[row], _PROVEN) if same else _CONTRADICTED
        evidence[row] = json.dumps({**json.loads(evidence[row]), "router": said})
    return intervals.with_columns(
        pl.Series("cause", causes, dtype=CAUSE),
        pl.Series("confidence", sure, dtype=pl.Float64),
        pl.Series("evidence", evidence, dtype=pl.String),
    )


def _events(rows: pl.DataFrame, times: list[datetime], site: str | None) -> Iterator[dict[str, object]]:
    for row, time in zip(rows.iter_rows(named=True), times, strict=True):
        if row["kind"] not in ("begin", "end"):
            source = Fact("", row["member"], row["line"]).source
            yield {**row, "time": time, "site": site, "source": source}


def _findings(story: RouterStory, told: dict[int, dict[str, object]]) -> Iterator[Finding]:
    for one in story.logs:
        clock = one.clock
        how = {"shifted": "behind" if clock.offset_s > 0 else "ahead", "agrees": "agrees"}.get(clock.how, "as_is")
        values = {
            "told_as": f"router_log_{how if one.site else 'nowhere'}",
            "site": one.site,
            "product": one.product,
            "events": one.events,
            "agree": clock.agree,
            "of": clock.of,
            "off_s": abs(clock.offset_s),
        }
        yield Finding("router_log", "info" if clock.agree else "warning", one.site, values)
    other = [said for said in told.values() if said["by_the_log"] not in (said["says"], *_NOT_ITS)]
    if other:
        was, now = (dict(Counter(str(said[key]) for said in other)) for key in ("by_the_log", "says"))
        yield Finding("router_contradicts", "info", None, {"losses": len(other), "was": was, "now": now})
    same = sum(said["by_the_log"] == said["says"] for said in told.values())
    if same:
        yield Finding("router_confirms", "info", None, {"losses": same})
