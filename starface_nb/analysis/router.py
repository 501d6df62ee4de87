"""The router's own log beside that of the PBX: clocks aligned by common events, causes confirmed or contradicted."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

import numpy as np
import polars as pl

from starface_nb.analysis import router_clock
from starface_nb.analysis.diagnosis import Finding, say
from starface_nb.analysis.frames import ROUTER_EVENTS
from starface_nb.analysis.nat_states import kept_for, state_verdicts
from starface_nb.analysis.restraint import Results
from starface_nb.analysis.router_clock import CLOCK_S, NOT_ITS, SLACK_S, Clock, Outage, Said, Site, said, utc, within_s
from starface_nb.bundle.facts import Fact
from starface_nb.model.schemas import CAUSE
from starface_nb.networks import is_of
from starface_nb.observations.addresses import UNKNOWN
from starface_nb.reading.log import Log

_PROVEN, _CONTRADICTED = 0.99, 0.9  # confidence where both logs say the same, and where the router's says another cause


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

    def with_incidents(self, intervals: pl.DataFrame, incident_of: pl.Series) -> Self:
        """Return the story with the incident of each event: that of the losses which begin in its outage."""
        if self.events.is_empty():
            return self
        known = dict[str, int | None]()
        for text, incident in zip(intervals["evidence"], incident_of, strict=True):
            known |= dict.fromkeys(json.loads(text).get("router", {}).get("sources", ()), incident)
        found = self.events["source"].replace_strict(known, default=None, return_dtype=pl.Int64)
        return replace(self, events=self.events.with_columns(found.alias("incident")))


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
    home = results.home_of
    losses = results.intervals.with_row_index("row").filter(~pl.col("trunk"))
    losses = losses.with_columns(pl.col("site").replace(home).alias("home"))
    names = (name for name in losses["home"].unique().sort() if name != UNKNOWN)
    sites = [router_clock.site_of(results, losses, name, home) for name in names]
    logs, events, tables = list[RouterLog](), list[dict[str, object]](), list[Finding]()
    claims = list[tuple[float, dict[int, Said]]]()
    members = known.partition_by("member", maintain_order=True)
    read = [router_clock.outages_of(rows, results) for rows in members]
    possible = [_possible(sites, rows["address"].drop_nulls().to_list(), home) for rows in members]
    of = router_clock.all_placed([(outages, one) for (_, outages), one in zip(read, possible, strict=True)], results)
    for rows, (seconds, outages), (site, clock) in zip(members, read, of, strict=True):
        if site is not None:
            mine_lost = losses.filter(pl.col("home") == site.name)
            by_table, behind = state_verdicts(results, mine_lost, rows, seconds)
            if by_table and not clock.agree:
                how = "shifted" if behind else "agrees"
                clock = Clock(behind, len(by_table), len(by_table), how)
            tables += kept_for(results, rows, site.name)
            here = [one.later(clock.offset_s) for one in outages]
            claims.append((clock.weight, by_table | _verdicts(results, mine_lost, here, site, clock)))
        times, name = [utc(second + clock.offset_s) for second in seconds], site.name if site else None
        mine = [
            {**row, "time": time, "site": name, "source": Fact("", row["member"], row["line"]).source}
            for row, time in zip(rows.iter_rows(named=True), times, strict=True)
            if row["kind"] not in ("begin", "end")
        ]
        logs.append(RouterLog(rows["member"][0], rows["product"][0], name, clock, times[0], times[-1], len(mine)))
        events += mine
    # Where two logs claim a loss, the one whose outages fit the site better has the word.
    coarse = "seconds" in results.observation.lacking.missing  # what was at the same time is not known
    by_fit = sorted(claims, key=lambda one: one[0]) if not coarse else ()
    told = {row: one for _, rows in by_fit for row, one in rows.items()}
    found = (*_findings(logs, told, results.log), *tables, *_silent(logs, told, losses))
    results = replace(results, intervals=_with_verdicts(results.intervals, told))
    return results, RouterStory(tuple(logs), ROUTER_EVENTS.frame(events).sort("time"), found)


def _possible(sites: list[Site], addresses: list[str], home: dict[str, str]) -> list[Site]:
    """Return the sites whose router may have these addresses: behind a carrier's NAT it has no public one."""
    own = {home[address] for address in addresses if address in home}
    public = any(not is_of(one, "private", "carrier") for one in addresses)
    return [one for one in sites if one.name in own] if own or public else sites


# ---- what it says of the losses ----


def _verdicts(
    results: Results, losses: pl.DataFrame, outages: Sequence[Outage], site: Site, clock: Clock
) -> dict[int, Said]:
    """Return what the router's log says of losses that begin in one of its outages, by their row.

    A clock that nothing confirms is believed only for outages that the log shows itself.
    """
    within = within_s(results)
    slack = CLOCK_S / 2  # an offset is known to less than a probing interval
    told: dict[int, Said] = {}
    for one in outages:
        if clock.how == "as_is" and not router_clock.agreeing([one], site, np.zeros(1), within)[0][0]:
            continue
        low, high = utc(one.begin - slack), utc(max(one.told + within, one.end + SLACK_S) + slack)
        lost = losses.filter(pl.col("start").is_between(low, high))
        for row, cause, confidence in lost.select("row", pl.col("cause").cast(pl.String), "confidence").iter_rows():
            told[row] = said(one.cause, cause, confidence, one.told, one.end, *one.sources)
    return told


def _with_verdicts(intervals: pl.DataFrame, told: dict[int, Said]) -> pl.DataFrame:
    """Return intervals with the router's word as cause and evidence; what it cannot explain away keeps its cause."""
    causes, sure = intervals["cause"].cast(pl.String).to_list(), intervals["confidence"].to_list()
    evidence = intervals["evidence"].to_list()
    for row, one in told.items():
        same = one["says"] == causes[row]
        if same or _is_taken(one):
            causes[row], sure[row] = str(one["says"]), max(sure[row], _PROVEN) if same else _CONTRADICTED
        evidence[row] = json.dumps({**json.loads(evidence[row]), "router": one})
    changed = (("cause", causes, CAUSE), ("confidence", sure, pl.Float64), ("evidence", evidence, pl.String))
    return intervals.with_columns(pl.Series(*column) for column in changed)


def _is_taken(one: Said) -> bool:
    """Say whether a router's word goes before the log's: an outage does not explain everything, a living entry does."""
    return one["by_the_log"] not in NOT_ITS or one["says"] == "unknown"


def _silent(logs: list[RouterLog], told: dict[int, Said], losses: pl.DataFrame) -> Iterator[Finding]:
    """Yield the losses like an outage of which a router's log that covers their time knows nothing."""
    like = pl.col("cause").is_in(["wan_outage", "router_restart"]) & ~pl.col("row").is_in(list(told))
    for one in logs:
        if one.site is not None and one.clock.agree:
            here = losses.filter(like, pl.col("home") == one.site, pl.col("start").is_between(one.first, one.last))
            if here.height:
                since = here["start"].min()
                yield say("router_knows_nothing", "info", one.site, losses=here.height, since_at=since)


def _findings(logs: list[RouterLog], told: dict[int, Said], log: Log) -> Iterator[Finding]:
    for one in logs:
        clock = one.clock
        how = {"shifted": "behind" if clock.offset_s > 0 else "ahead", "agrees": "agrees"}.get(clock.how, "as_is")
        how = how if one.site else "nowhere"
        if not clock.agree and log.first and log.last and (one.last < log.first or one.first > log.last):
            how = "of_other_days"
        values: dict[str, Any] = {"told_as": f"router_log_{how}", "product": one.product, "events": one.events}
        values |= {"agree": clock.agree, "of": clock.of, "off_s": abs(clock.offset_s)}
        values |= {"first_at": one.first, "last_at": one.last}
        yield say("router_log", "info" if clock.agree else "warning", one.site, **values)
    other = [one for one in told.values() if one["by_the_log"] != one["says"] and _is_taken(one)]
    if other:
        was, now = (dict(Counter(str(one[key]) for one in other)) for key in ("by_the_log", "says"))
        yield say("router_contradicts", "info", losses=len(other), was=was, now=now)
    same = sum(one["by_the_log"] == one["says"] for one in told.values())
    if same:
        yield say("router_confirms", "info", losses=same)
