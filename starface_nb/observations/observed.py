"""What the log could show: when each phone was under observation, and which lines the log lacks.

Silence is evidence only where the log would have spoken: where the phone was probed, both directions are logged and
the stretch is whole. Survived cycles, all-clears and the after-side of a comparison are drawn from this.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, combinations, pairwise, permutations
from typing import NamedTuple

import polars as pl

from starface_nb.frames import UTC_TIME
from starface_nb.observations.addresses import is_private
from starface_nb.observations.completeness import STATES, Lacking, find_lacking
from starface_nb.observations.intervals import DOWN, UP, of_kind
from starface_nb.observations.pauses import DAY_S, GONE_S, keeps_rhythm, missing
from starface_nb.observations.schemas import KNOWN_BY, OBSERVED
from starface_nb.reading.log import Log
from starface_nb.sources.named import log_of

SAME_MOMENT_S = 5.0
"""A registration's state line follows it within this time."""
BY_CHANCE = 0.05
"""So improbable that all phones are up by chance that their losses must have ended."""
TOGETHER = timedelta(hours=1)
"""Two files that tell of the same time for longer than this, and half of it, are no parts of one log."""


@dataclass(frozen=True)
class Observation:
    """What one log could show.

    Attributes
    ----------
    stretches : polars.DataFrame
        Frame of schema `OBSERVED`, by peer and start.
    lacking : Lacking
        Which lines are missing.
    """

    stretches: pl.DataFrame = field(default_factory=OBSERVED.empty)
    lacking: Lacking = field(default_factory=Lacking)

    @property
    def usable(self) -> pl.DataFrame:
        """The stretches in which silence is evidence: peer, start, end."""
        return self.stretches.filter("probed", "both", "whole").select("peer", "start", "end")

    @property
    def probed(self) -> pl.DataFrame:
        """One row per peer: peer, probed, observed_s."""
        length = (pl.col("end") - pl.col("start")).dt.total_microseconds() / 1e6
        seen = length.filter("probed", "both", "whole").sum().round(1).alias("observed_s")
        return self.stretches.group_by("peer", maintain_order=True).agg(pl.first("probed"), seen)


def observe(
    log: Log, states: pl.DataFrame, peers: pl.DataFrame, probed: Mapping[str, bool] | None = None
) -> Observation:
    """Say when each phone was under observation.

    Parameters
    ----------
    log : Log
    states : polars.DataFrame
        Events with `row` and `state`, from `intervals.with_states`.
    peers : polars.DataFrame
        From `phones.find_peers`.
    probed : mapping, optional
        Peers that the PBX itself lists as monitored or not, where such a list is at hand.
    """
    lacking = find_lacking(log, states)
    if states.is_empty() or peers.is_empty():
        return Observation(OBSERVED.empty(), lacking)
    end = pl.lit(_last_sure(log, states), dtype=UTC_TIME).alias("end")
    told = _probed(states, peers, probed or {}, unsure=not STATES.isdisjoint(lacking.missing)).with_columns(end)
    stretches = _cut(told, _holes(log, states, peers, lacking), lacking).sort("peer", "start", "end")
    return Observation(OBSERVED.check(stretches), lacking)


def _probed(states: pl.DataFrame, peers: pl.DataFrame, listed: Mapping[str, bool], *, unsure: bool) -> pl.DataFrame:
    """Return peer, probed, by and start (when its observation begins); `unsure` where state lines are missing."""
    shown = states.filter(pl.col("state").is_in([UP, DOWN]))
    # The first loss of a phone tells by its last round trip that it had answered since before the log began.
    before = (pl.first("last_rtt_ms").fill_null(0.0) > 0).alias("before")
    frame = peers.select("peer", "first").join(shown.group_by("peer").agg(before), on="peer", how="left")
    none = (None, "no state line at all") if unsure or shown.is_empty() else (False, "no state line after registering")
    told = {True: (True, "state lines"), False: none}
    known = [
        (listed[peer], "the PBX's own list") if peer in listed else told[is_shown]
        for peer, is_shown in frame.select("peer", pl.col("before").is_not_null()).iter_rows()
    ]
    start = pl.when("before").then(pl.lit(states["time"].min())).otherwise("first").cast(UTC_TIME).alias("start")
    return frame.select("peer", start).hstack(pl.DataFrame(known, {"probed": pl.Boolean, "by": KNOWN_BY}, orient="row"))


# -- how far a log shows what it would have shown ----------------------------------------------------------------------


class _File(NamedTuple):
    name: str
    first: str  # of the parts of its log
    start: datetime
    end: datetime
    phones: set[str]
    addresses: set[str]

    def is_beside(self, other: _File) -> bool:
        """Say whether both tell of the same time, as no parts of one log do."""
        shorter = min(self.end - self.start, other.end - other.start)
        together = min(self.end, other.end) - max(self.start, other.start)
        return together > max(shorter / 2, TOGETHER)

    def is_akin(self, other: _File) -> bool:
        """Say whether both are parts of one log, or name phones in common.

        Half of the fewer; all but one of them if they were at other addresses, any if at the same one at other times.
        """
        common, fewer = len(self.phones & other.phones), min(len(self.phones), len(other.phones))
        enough = common > 0 and 2 * common >= fewer
        if self.addresses and other.addresses and not self.addresses & other.addresses:
            enough &= common >= fewer - 1
        elif self.addresses and other.addresses and not self.is_beside(other):
            enough = common > 0
        return self.first == other.first or enough


def without_common_phone(log: Log, states: pl.DataFrame, peers: pl.DataFrame) -> tuple[str, str] | None:
    """Return two files that name few phones or none in common and are no parts of one rotated log, if there are such.

    Parameters
    ----------
    log : Log
    states : polars.DataFrame
        Events with `state`: file, time, peer, kind.
    peers : polars.DataFrame
        From `phones.find_peers`; customers may have a trunk's name in common.
    """
    parts, groups = dict[str, tuple[str, datetime]](), list[list[_File]]()
    for file in _files(states, peers):
        first, until = parts.get(log_of(file.name), (file.name, file.start))
        if file.start < until or _stands_still(log, until, file.start):
            first = file.name  # of another log, whatever its name
        parts[log_of(file.name)] = first, max(until, file.end)
        file = file._replace(first=first)
        near = [group for group in groups if any(map(file.is_akin, group))]
        groups = [group for group in groups if group not in near]
        groups.append([*chain.from_iterable(near), file])
    return (groups[0][0].name, groups[1][0].name) if len(groups) > 1 else None


def _files(states: pl.DataFrame, peers: pl.DataFrame) -> Iterator[_File]:
    """Yield each file, in time, with its phones and their public addresses."""
    phones = peers.filter(~pl.col("trunk"))["peer"]
    told = states.filter(pl.col("peer").is_in(phones.implode()))
    told = told.filter(pl.col("state").is_not_null() | (pl.col("kind") == "registered"))
    placed = pl.col("address").drop_nulls().unique()
    files = told.group_by("file").agg(pl.min("time"), pl.max("time").alias("end"), pl.col("peer").unique(), placed)
    for name, start, end, own, addresses in files.sort("time", "file").iter_rows():
        yield _File(name, name, start, end, set(own), {address for address in addresses if not is_private(address)})


def at_other_addresses(states: pl.DataFrame, peers: pl.DataFrame) -> list[tuple[str, list[str]]]:
    """Return two logs that follow each other, with public addresses of which none is in both, if there are such.

    Each is a file's name and the addresses; the parts of a rotated log are one.
    """
    logs = dict[str, tuple[str, set[str]]]()
    for file in _files(states, peers):
        logs.setdefault(log_of(file.name), (file.name, set()))[1].update(file.addresses)
    placed = [(name, sorted(public)) for name, public in logs.values() if public]
    return next(([one, other] for one, other in pairwise(placed) if not {*one[1]} & {*other[1]}), [])


def _stands_still(log: Log, start: datetime, to: datetime) -> bool:
    """Say whether the log stands still for over a day between two times, so that no part of it is the next one."""
    if log.pauses is None:
        return False
    inside = log.pauses.filter((pl.col("start") >= start) & (pl.col("end") <= to))
    took = (pl.col("end") - pl.col("start")).dt.total_microseconds() / 1e6 - pl.col("usual_s")
    return bool(inside.select((took > DAY_S).any()).item())


def of_two_customers(states: pl.DataFrame) -> tuple[str, str] | None:
    """Return two files in which phones of the same names are at other addresses at the same time, if there are such.

    Parts of one log follow each other, and copies of one log name the same addresses.

    Parameters
    ----------
    states : polars.DataFrame
        Events with `state`: file, time, peer, address.
    """
    told = states.filter(pl.col("peer").is_not_null())
    placed = pl.col("peer", "address").filter(pl.col("address").is_not_null()).unique()
    files = told.group_by("file", maintain_order=True).agg(pl.min("time"), pl.max("time").alias("end"), placed)
    open_ones: list[_File] = []
    for name, start, end, own, addresses in files.sort("time").iter_rows():
        file = _File(name, name, start, end, set(own), set(addresses))
        open_ones = [other for other in open_ones if other.end > start]
        for other in open_ones:
            if file.phones & other.phones and not file.addresses & other.addresses and file.is_beside(other):
                return other.name, name
        open_ones.append(file)
    return None


def in_turns(log: Log, states: pl.DataFrame, peers: pl.DataFrame) -> tuple[str, str] | None:
    """Return two files that tell the same of the same phones in turns, for hours and without a common line, if any do.

    What one PBX logs into two files it writes into both, or into one of them by its level. Public addresses in both
    tell more.

    Parameters
    ----------
    log : Log
    states : polars.DataFrame
        Events with `state`: file, time, peer, kind.
    peers : polars.DataFrame
        From `phones.find_peers`.
    """
    told = of_kind(states, "reachable", "unreachable").drop_nulls(["time", "peer"])
    for one, other in combinations(_files(states, peers), 2):
        apart = one.phones & other.phones and one.is_beside(other) and not (one.addresses and other.addresses)
        if apart and not _have_lines_in_common(log, one.name, other.name) and _take_turns(told, one, other):
            return one.name, other.name
    return None


def _have_lines_in_common(log: Log, *names: str) -> bool:
    """Say whether reading has counted events of one file once only, because they stand in the other, too."""
    own = [f"{one}: %d events stand in {other} too; counted once." for one, other in permutations(names)]
    return any(re.sub(r"(?<=: )[0-9]+(?= events stand )", "%d", note) in own for note in log.notes)


def _take_turns(told: pl.DataFrame, one: _File, other: _File) -> bool:
    """Say whether lines stand between the other file's as those of two logs do that know nothing of each other."""
    both = told.filter(pl.col("file").is_in([one.name, other.name]))
    both = both.filter(pl.col("time").is_between(max(one.start, other.start), min(one.end, other.end)))
    both = both.filter(pl.col("file").n_unique().over("peer", "kind") == 2).sort("time")
    turn = pl.col("file") != pl.col("file").shift(1)
    again = (turn & (pl.col("time").diff() <= pl.duration(seconds=int(SAME_MOMENT_S)))).over("peer", "kind")
    turns, same = both.select(turn.sum().alias("turns"), again.sum().alias("same")).row(0)
    mine, its = (int((both["file"] == file.name).sum()) for file in (one, other))
    by_chance = 2 * mine * its / max(1, both.height)
    return bool(turns > max(2 * len(one.phones & other.phones), by_chance / 2) and 2 * same < min(mine, its))


def _last_sure(log: Log, states: pl.DataFrame) -> datetime | None:
    """Return until when the log would have shown a loss: its end if that is sure, or the last state line."""
    shown = states.filter(pl.col("state").is_in([UP, DOWN]))
    last = _time(shown["time"].max())
    if last is None:
        return _time(states["time"].min())
    later = states.filter(pl.col("time") > last)
    if log.last is None or not _whole_after(log, shown, later, last):
        return last
    return min(log.last, _time(of_kind(later, "shutdown")["time"].min()) or log.last)


def _time(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None


def _whole_after(log: Log, shown: pl.DataFrame, later: pl.DataFrame, last: datetime) -> bool:
    """Say whether silence after the last state line is evidence.

    Not where phones went on registering without one, nor where the log ends amid losses or stops for longer than it
    ever did: a loss or a return was due, and its line is missing.
    """
    moment = pl.lit(last) + pl.duration(seconds=int(SAME_MOMENT_S))
    if of_kind(later, "registered").filter(pl.col("time") > moment).height:
        return False
    if not (shown["state"] == DOWN).any() or log.pauses is None:
        return True
    now = shown.group_by("peer", maintain_order=True).agg(pl.last("state"), pl.last("time"))
    lately = pl.col("time") >= pl.lit(last) - pl.duration(seconds=int(GONE_S))
    if now.filter((pl.col("state") == DOWN) & lately).height:
        return False
    return _all_up_by_chance(shown) <= BY_CHANCE or missing(log.pauses, shown).filter(pl.col("end") > last).is_empty()


def _all_up_by_chance(shown: pl.DataFrame) -> float:
    """Return how probable it is that no phone is down at some moment, each down for its usual share of the time."""
    took = (pl.col("time").shift(-1).over("peer") - pl.col("time")).dt.total_microseconds()
    down = shown.with_columns(took.fill_null(0).clip(lower_bound=0).alias("took")).filter(pl.col("state") == DOWN)
    span = shown.select((pl.col("time").max() - pl.col("time").min()).dt.total_microseconds()).item() or 1
    shares = down.group_by("peer").agg((pl.col("took").sum() / span).clip(upper_bound=1.0))["took"]
    return float((1.0 - shares).product()) if len(shares) else 1.0


def _holes(log: Log, states: pl.DataFrame, peers: pl.DataFrame, lacking: Lacking) -> pl.DataFrame:
    """Return where lines of each peer are missing, or seem to be, as in pauses of the log: peer, from, to."""
    pauses = lacking.gaps
    if log.pauses is not None:
        pauses = pl.concat([pauses, log.pauses.filter(pl.col("discarded") > 0).select("start", "end")])
        if keeps_rhythm(states) and (states["state"] == DOWN).any():
            last = states.filter(pl.col("state").is_in([UP, DOWN]))["time"].max()
            pauses = pl.concat([pauses, missing(log.pauses, states).filter(pl.col("start") < last)])
    of_all = peers.select("peer").join(pauses.unique().rename({"start": "from", "end": "to"}), how="cross")
    return pl.concat([of_all, lacking.holes])


def _cut(told: pl.DataFrame, holes: pl.DataFrame, lacking: Lacking) -> pl.DataFrame:
    """Return one row per peer and stretch, holes among them (`whole` false)."""
    span = told.filter(pl.col("start").is_not_null()).with_columns(pl.max_horizontal("start", "end").alias("end"))
    begin, until = pl.max_horizontal("from", "start").alias("from"), pl.min_horizontal("to", "end").alias("to")
    cut = span.join(holes, on="peer").with_columns(begin, until).filter(pl.col("from") < pl.col("to"))
    gaps = cut.with_columns(start="from", end="to", whole=pl.lit(value=False))
    # Between the holes: from the end of all before to the begin of the next, or the end.
    stops = pl.concat([cut, span.select(*span.columns, pl.col("end").alias("from"), pl.col("end").alias("to"))])
    reached = pl.col("to").cum_max().shift(1).over("peer", order_by="from")
    good = stops.with_columns(start=pl.coalesce(reached, "start"), end="from", whole=pl.lit(value=True))
    stretches = pl.concat([good.filter(pl.col("start") <= pl.col("end")), gaps])
    return stretches.with_columns(both=pl.lit(value=not lacking.one_sided))
