"""The router's own NAT table beside the losses: whether a phone's entry was gone when its probe failed."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from starface_nb.analysis.diagnosis import Finding
from starface_nb.analysis.restraint import Results
from starface_nb.analysis.router_clock import ZONES_S, Said, said, within_s
from starface_nb.bundle.facts import Fact
from starface_nb.observations.intervals import of_kind

_SLACK_S = 3.0
LEAST = 3
"""So many losses must meet the end of their phone's entry before a table that is silent tells that one lived."""
_FLUSHED, _AT_ONCE_S = 3, 2.0
"""So many entries that end at once were dropped together: with the line, not by their age."""
Entry = tuple[str, int]


@dataclass(frozen=True)
class _Lost:
    """A loss, in seconds: its row, the phone's address and port, since when, and what the log says of it."""

    row: int
    entry: Entry
    since: float
    start: float
    cause: str
    confidence: float


def state_verdicts(
    results: Results, losses: pl.DataFrame, rows: pl.DataFrame, seconds: list[float]
) -> tuple[dict[int, Said], float]:
    """Return what a NAT table's log says of losses, by their row, and the seconds by which its clock is behind.

    An entry that ended within a probe's time before the loss expired; one whose end the table does not tell before the
    loss, although it tells that of others, still lived.

    Parameters
    ----------
    results : Results
    losses, rows : polars.DataFrame
        Losses with `row`; the events of one router's log.
    seconds : list of float
        Time of each event.
    """
    ends = _ends(rows, seconds)
    lost = list(_lost(results, losses)) if ends else []
    within = within_s(results) + _SLACK_S
    offsets = sorted(ZONES_S, key=lambda s: (s % 3600.0 > 0, abs(s)))
    met = {offset: sum(_ended(ends, one, offset, within) is not None for one in lost) for offset in offsets}
    offset = max(offsets, key=lambda s: met[s]) if lost else 0.0
    told: dict[int, Said] = {}
    first, last = (side((at + offset for mine in ends.values() for at, _ in mine), default=0.0) for side in (min, max))
    for one in lost if met.get(offset, 0) >= LEAST else ():
        end = _ended(ends, one, offset, within)
        if end is not None:
            source = Fact("", rows["member"][0], end[1]).source
            told[one.row] = said("nat_expiry", one.cause, one.confidence, end[0] + offset, one.start, source)
        elif one.cause == "nat_expiry" and first < one.since and one.start < last and not _any_end(ends, one, offset):
            source = Fact("", rows["member"][0], None).source
            told[one.row] = said("unknown", one.cause, one.confidence, one.since, one.start, source)
    return told, offset


def _ends(rows: pl.DataFrame, seconds: list[float]) -> dict[Entry, list[tuple[float, int]]]:
    """Return when each entry ended, and the line that tells; those dropped together with others are left out."""
    expired = (pl.col("kind") == "state_expired") & pl.col("port").is_not_null()
    timed = rows.with_columns(pl.Series("second", seconds, pl.Float64)).filter(expired)
    found = timed.select("second", "address", "port", "line").rows()
    together = Counter(round(second / _AT_ONCE_S) for second, *_ in found)
    ends: dict[Entry, list[tuple[float, int]]] = {}
    for second, address, port, line in found:
        if together[round(second / _AT_ONCE_S)] < _FLUSHED:
            ends.setdefault((address, port), []).append((second, line))
    return ends


def _lost(results: Results, losses: pl.DataFrame) -> Iterator[_Lost]:
    """Yield the losses whose phone's address and port the log shows."""
    lines = of_kind(results.log.events, "registered").drop_nulls(["time", "peer", "address", "port"]).sort("time")
    places: dict[str, list[tuple[float, Entry]]] = {}
    for peer, time, address, port in lines.select("peer", "time", "address", "port").iter_rows():
        places.setdefault(peer, []).append((time.timestamp(), (address, port)))
    cause = pl.col("cause").cast(pl.String)
    for row, peer, begin, why, sure in losses.select("row", "peer", "start", cause, "confidence").iter_rows():
        mine, start = places.get(peer, []), begin.timestamp()
        at = bisect_right(mine, start, key=lambda place: place[0])
        if at:
            yield _Lost(row, mine[at - 1][1], mine[at - 1][0], start, why, sure)


def _ended(
    ends: dict[Entry, list[tuple[float, int]]], one: _Lost, offset: float, within: float
) -> tuple[float, int] | None:
    """Return when the phone's entry ended, and the line, where that is within a probe's time before its loss."""
    return next(
        (end for end in ends.get(one.entry, ()) if one.start - within <= end[0] + offset <= one.start + _SLACK_S), None
    )


def _any_end(ends: dict[Entry, list[tuple[float, int]]], one: _Lost, offset: float) -> bool:
    return any(one.since <= end + offset <= one.start + _SLACK_S for end, _ in ends.get(one.entry, ()))


def kept_for(results: Results, rows: pl.DataFrame, site: str) -> Iterator[Finding]:
    """Yield how long the table itself gives an entry of a phone, beside the log's bracket."""
    told = rows.filter(pl.col("kind") == "state_renewed")["seconds"].drop_nulls()
    row = results.sites.filter(pl.col("site") == site).to_dicts()
    if len(told) and row:
        seconds, low, high = float(told.max()), row[0]["low_s"], row[0]["high_s"]  # type: ignore[arg-type]
        fits = (low or 0.0) - _SLACK_S <= seconds <= (high or seconds) + _SLACK_S
        values = {"site": site, "told_s": seconds, "low_s": low, "high_s": high}
        values |= {"source": Fact("", rows["member"][0], None).source}
        values |= {} if fits else {"told_as": "nat_table_contradicts"}
        yield Finding("nat_table", "info" if fits else "action", site, values)
