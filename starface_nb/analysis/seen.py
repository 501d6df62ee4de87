"""What the findings about other causes look at: registrations, losses and sites, prepared once."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from operator import itemgetter

import polars as pl

from starface_nb.analysis.calls import CALLS_LOST
from starface_nb.analysis.restraint import Results
from starface_nb.observations.intervals import of_kind

MOST_LINES = 6  # shown as evidence
_MODEL = re.compile(r"[^.]+\.(?P<model>[A-Za-z]+\d*)")


@dataclass(frozen=True)
class Seen:
    """What the findings look at, once prepared.

    Attributes
    ----------
    results : Results
    registered : dict
        Peer to its registrations (time, address, port), in time.
    losses : polars.DataFrame
        Intervals of phones, by start, with `home`: the site whose addresses they belong to.
    homes : dict
        Site to its phones.
    calls : polars.DataFrame
        See `CALLS_LOST`.
    """

    results: Results
    registered: dict[str, list[tuple[datetime, str, int | None]]]
    losses: pl.DataFrame
    homes: dict[str, list[str]]
    calls: pl.DataFrame = field(default_factory=CALLS_LOST.empty)

    def was_lost(self, peer: str, time: datetime) -> bool:
        """Say whether a phone was unreachable at a time."""
        spans = self._spans.get(peer, [])
        at = bisect_right(spans, time, key=itemgetter(0))
        end = spans[at - 1][1] if at else None
        return at > 0 and (end is None or end >= time)

    @cached_property
    def _spans(self) -> dict[str, list[tuple[datetime, datetime | None]]]:
        """Start and end of each phone's losses, in time."""
        spans: dict[str, list[tuple[datetime, datetime | None]]] = {}
        for peer, start, end in self.losses.sort("start").select("peer", "start", "end").iter_rows():
            spans.setdefault(peer, []).append((start, end))
        return spans

    def lines(
        self, peers: Iterable[str], *kinds: str, since: datetime | None = None, until: datetime | None = None
    ) -> list[dict[str, object]]:
        """Return where the first lines of these kinds about these phones stand, between two times: the evidence."""
        rows = of_kind(self.results.log.events, *kinds).filter(pl.col("peer").is_in(list(peers)))
        if since is not None:
            rows = rows.filter(pl.col("time") >= since)
        if until is not None:
            rows = rows.filter(pl.col("time") <= until)
        return rows.select("file", "line").head(MOST_LINES).to_dicts()

    @property
    def period(self) -> timedelta:
        """The longest time after which a phone that can register has registered again."""
        return timedelta(seconds=1.05 * self.results.settings.keepalive_s + 120)


def prepare(results: Results, calls: pl.DataFrame) -> Seen:
    """Return what the findings look at."""
    phones = results.phones.filter(~pl.col("trunk"))
    lines = of_kind(results.log.events, "registered").filter(
        pl.col("peer").is_in(phones["peer"].implode()) & pl.col("address").is_not_null() & pl.col("time").is_not_null()
    )
    registered: dict[str, list[tuple[datetime, str, int | None]]] = {}
    for peer, *place in lines.select("peer", "time", "address", "port").iter_rows():
        registered.setdefault(peer, []).append(tuple(place))
    site_of = {address: row["site"] for row in results.sites.iter_rows(named=True) for address in row["addresses"]}
    homes: dict[str, list[str]] = {}
    for peer, site in phones.select("peer", "site").iter_rows():
        homes.setdefault(site_of.get(site, site), []).append(peer)
    home = pl.col("site").replace(site_of).alias("home")
    losses = results.intervals.filter(~pl.col("trunk")).with_columns(home).sort("start")
    return Seen(results, registered, losses, homes, calls)


def model_of(peer: str) -> str | None:
    """Return the model code in a phone account's name (`1001.snomd345`: snomd345), or None."""
    found = _MODEL.match(peer)
    return found["model"].lower() if found else None
