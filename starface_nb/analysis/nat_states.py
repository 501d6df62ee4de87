"""The router's own NAT table beside the losses: whether a phone's entry was gone when its probe failed."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from starface_nb.analysis.diagnosis import Finding, say
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
Ends = dict[Entry, list[tuple[float, int]]]


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
    lost = _lost(results, losses) if ends else []
    within = within_s(results) + _SLACK_S
    offsets = sorted(ZONES_S, key=lambda s: (s % 3600.0 > 0, abs(s)))
    met = {s: sum(_ended(ends, one, s, one["start"] - within) is not None for one in lost) for s in offsets}
    offset = max(offsets, key=lambda s: met[s]) if lost else 0.0
    told: dict[int, Said] = {}
    first, last = (side((at + offset for mine in ends.values() for at, _ in mine), default=0.0) for side in (min, max))
    for one in lost if met.get(offset, 0) >= LEAST else ():
        since, start, word = one["since"], one["start"], (one["cause"], one["confidence"])
        end, covered = _ended(ends, one, offset, start - within), first < since <= start < last
        if end is not None:
            source = Fact("", rows["member"][0], end[1]).source
            told[one["row"]] = said("nat_expiry", *word, end[0] + offset, start, source)
        elif one["cause"] == "nat_expiry" and covered and not _ended(ends, one, offset, since):
            told[one["row"]] = said("unknown", *word, since, start, Fact("", rows["member"][0], None).source)
    return told, offset


def _ends(rows: pl.DataFrame, seconds: list[float]) -> Ends:
    """Return when each entry ended, and the line that tells; those dropped together with others are left out."""
    timed = rows.with_columns(pl.Series("second", seconds, pl.Float64)).filter(kind="state_expired").drop_nulls("port")
    found = timed.select("second", "address", "port", "line").rows()
    together = Counter(round(second / _AT_ONCE_S) for second, *_ in found)
    ends = defaultdict[Entry, list[tuple[float, int]]](list)
    for second, address, port, line in found:
        if together[round(second / _AT_ONCE_S)] < _FLUSHED:
            ends[address, port].append((second, line))
    return ends


def _lost(results: Results, losses: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the losses whose phone's address and port the log shows, and since when, in seconds."""
    places = of_kind(results.log.events, "registered").select("peer", "address", "port", since="time").drop_nulls()
    lost = losses.select("row", "peer", "start", pl.col("cause").cast(pl.String), "confidence").sort("start")
    lost = lost.join_asof(
        places.sort("since"), left_on="start", right_on="since", by="peer", check_sortedness=False, coalesce=False
    )
    in_seconds = pl.col("start", "since").dt.epoch("us") / 1e6
    return lost.drop_nulls("since").sort("row").with_columns(in_seconds).to_dicts()


def _ended(ends: Ends, one: Mapping[str, Any], offset: float, since: float) -> tuple[float, int] | None:
    """Return when the phone's entry ended first from a time on up to its loss, and the line."""
    mine = ends.get((one["address"], one["port"]), ())
    return next((end for end in mine if since <= end[0] + offset <= one["start"] + _SLACK_S), None)


def kept_for(results: Results, rows: pl.DataFrame, site: str) -> Iterator[Finding]:
    """Yield how long the table itself gives an entry of a phone, beside the log's bracket."""
    told = rows.filter(pl.col("kind") == "state_renewed")["seconds"].drop_nulls()
    row = results.sites.filter(pl.col("site") == site).to_dicts()
    if len(told) and row:
        seconds, low, high = float(told.max()), row[0]["low_s"], row[0]["high_s"]  # type: ignore[arg-type]
        fits = (low or 0.0) - _SLACK_S <= seconds <= (high or seconds) + _SLACK_S
        values = {"told_s": seconds, "low_s": low, "high_s": high, "source": Fact("", rows["member"][0], None).source}
        values |= {} if fits else {"told_as": "nat_table_contradicts"}
        yield say("nat_table", "info" if fits else "action", site, **values)
