"""What the findings about other causes look at: registrations, losses and sites, prepared once."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from operator import itemgetter

import polars as pl

from starface_nb.analysis.restraint import Results
from starface_nb.observations.intervals import of_kind

MOST_LINES = 6  # shown as evidence
TOGETHER_S = 64.0  # one probe interval and the time to give up
SIP_PORT = 5060
_MODEL = r"^[^.]+\.([A-Za-z]+\d*)"
Place = tuple[datetime, str, int | None]
"""A registration: when, and from which address and port."""


@dataclass(frozen=True)
class Seen:
    """What the findings look at, once prepared.

    Attributes
    ----------
    results : Results
    registered : polars.DataFrame
        Registrations of phones: peer, time (UTC), address, port, its site (`home`), `model`;
        by phone, in the log's order.
    losses : polars.DataFrame
        Intervals of phones, by start, with `home`: the site whose addresses they belong to.
    homes : dict
        Site to its phones.
    models : dict
        Phone to the model code in its name.
    calls : polars.DataFrame
        See `CALLS_LOST`.
    """

    results: Results
    registered: pl.DataFrame
    losses: pl.DataFrame
    homes: dict[str, list[str]]
    models: dict[str, str | None]
    calls: pl.DataFrame

    def places(self, peer: str) -> list[Place]:
        """Return the registrations of a phone: time, address, port."""
        at, n = self.rows.get(peer, (0, 0))
        return self.registered.slice(at, n).select("time", "address", "port").rows()

    @cached_property
    def rows(self) -> dict[str, tuple[int, int]]:
        """Where the registrations of each phone begin, and how many it has."""
        counts = self.registered.group_by("peer", maintain_order=True).len("n")
        return {peer: (past - n, n) for peer, n, past in counts.with_columns(past=pl.col("n").cum_sum()).rows()}

    @cached_property
    def movers(self) -> set[str]:
        """Phones that registered from more than one address."""
        return set(self.registered.filter(_changed("address", 1))["peer"])

    @cached_property
    def returners(self) -> set[str]:
        """Phones that registered from the place before the last one again."""
        moved = _changed("address", 1) | _changed("port", 1)
        before = pl.col("peer") == pl.col("peer").shift(2)
        return set(self.registered.filter(before & moved & ~(_changed("address", 2) | _changed("port", 2)))["peer"])

    @cached_property
    def at_sip_port(self) -> dict[str, tuple[datetime, str]]:
        """When and from which address phones registered first that always do from one place, at SIP's own port."""
        always = (pl.col("port").eq_missing(SIP_PORT) & (pl.col("address") == pl.first("address"))).all()
        counts = self.registered.group_by("peer").agg(pl.first("time", "address"), always=always)
        return {peer: (time, address) for peer, time, address, there in counts.iter_rows() if there}

    def was_lost(self, peer: str, time: datetime) -> bool:
        """Say whether a phone was unreachable at a time."""
        spans = self._spans.get(peer, [])
        at = bisect_right(spans, time, key=itemgetter(0))
        return at > 0 and (spans[at - 1][1] or time) >= time

    @cached_property
    def techs(self) -> dict[str, str]:
        """Channel driver of each peer, where known."""
        return dict(self.results.phones.drop_nulls("tech").select("peer", pl.col("tech").cast(pl.String)).iter_rows())

    @cached_property
    def _spans(self) -> dict[str, list[tuple[datetime, datetime | None]]]:
        """Start and end of each phone's losses, in time."""
        return self.losses.select("peer", "start", "end").rows_by_key("peer")

    def lines(self, peers: Iterable[str], *kinds: str, since: datetime | None = None) -> list[dict[str, object]]:
        """Return where the first lines of these kinds about these phones stand, from a time on: the evidence."""
        rows = of_kind(self.results.log.events, *kinds).filter(pl.col("peer").is_in(list(peers)))
        return evidence(rows if since is None else rows.filter(pl.col("time") >= since))

    @property
    def period(self) -> timedelta:
        """The longest time after which a phone that can register has registered again."""
        return timedelta(seconds=1.05 * self.results.settings.keepalive_s + 120)


def models_of(peers: pl.Series) -> pl.Series:
    """Return the model codes in phone accounts' names (`1001.snomd345`: snomd345), null where there is none."""
    return peers.str.extract(_MODEL).str.to_lowercase()


def evidence(rows: pl.DataFrame) -> list[dict[str, object]]:
    """Return where the first of these lines stand."""
    return rows.select("file", "line").head(MOST_LINES).to_dicts()


def _changed(column: str, back: int) -> pl.Expr:
    """Say whether a phone's registration differs in this from the one so many before."""
    before = pl.col(column).shift(back)
    return (pl.col("peer") == pl.col("peer").shift(back)) & pl.col(column).ne_missing(before)


def prepare(results: Results, calls: pl.DataFrame) -> Seen:
    """Return what the findings look at."""
    phones = results.phones.filter(~pl.col("trunk"))
    home = pl.col("site").replace(results.home_of).alias("home")
    own = phones.select("peer", home, models_of(phones["peer"]).alias("model"))
    homes = dict(own.group_by("home", maintain_order=True).agg("peer").iter_rows())
    lines = of_kind(results.log.events, "registered").drop_nulls(["address", "time"])
    registered = lines.select("peer", "time", "address", "port").sort("peer", maintain_order=True)
    registered = registered.join(own, on="peer", maintain_order="left")
    losses = results.intervals.filter(~pl.col("trunk")).with_columns(home).sort("start")
    return Seen(results, registered, losses, homes, dict(own.select("peer", "model").iter_rows()), calls)
