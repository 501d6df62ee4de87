"""Unreachable intervals: from reachability events to who was gone from when to when.

The rules are the contract's: a further UNREACHABLE belongs to the interval that is open; the next Reachable or
Lagged line ends it, and so does a deliberate Unregister; an expiry, a removed contact or a PBX restart does not.
A PJSIP peer is unreachable while none of its contacts is reachable.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

import polars as pl

from starface_nb.frames import UTC_TIME
from starface_nb.observations.schemas import RAW

UP, DOWN, GONE = 1, 0, 2
"""States a line can put a peer into: answering, not answering, unregistered on purpose."""

REPEAT_AFTER_S = 2.0
"""PJSIP writes one change as two lines (endpoint and contact); a later line is a repeat of its own."""

REPLACED_S = 2.0
"""A PJSIP contact that replaces another is probed within this time, and an endpoint without one is told of."""

OF_A_STATE = ("row", "time", "kind", "peer", "tech", "rtt_ms", "last_rtt_ms", "file", "line", "offset", "state")
"""What a line about a peer's state tells."""


def with_states(events: pl.DataFrame) -> pl.DataFrame:
    """Add `row` (the log's order) and `state` (up 1, down 0, gone 2, null: says nothing) to the events.

    Parameters
    ----------
    events : polars.DataFrame
        Frame of schema `EVENTS`, in the log's order.
    """
    frame, kind, pjsip = events.with_row_index("row").drop_nulls("time"), pl.col("kind"), pl.col("tech") == "PJSIP"
    told = {"unreachable": DOWN, "reachable": UP, "lagged": UP, "unregistered": GONE}
    state = kind.replace_strict(told, default=None, return_dtype=pl.Int8)
    frame = frame.with_columns(pl.when(pl.col("peer").is_not_null()).then(state).alias("state"))
    contacts = frame.filter(pjsip | (kind == "restart"))
    if contacts.filter(pjsip).is_empty():
        return frame
    lines = contacts.select("kind", "peer", "contact", pl.col("time").dt.epoch("ms") / 1000).iter_rows()
    states = contacts.select("row", pl.Series("pjsip", contact_states(lines), pl.Int8))
    frame = frame.join(states, on="row", how="left", maintain_order="left")
    return frame.with_columns(pl.when(pjsip).then("pjsip").otherwise("state").alias("state")).drop("pjsip")


def contact_states(lines: Iterable[tuple[str, str | None, str | None, float]]) -> list[int | None]:
    """Return the peer's state after each (kind, peer, contact, seconds) line of a PJSIP log.

    A restart forgets all contacts.
    """
    peers: dict[str, _Contacts] = {}
    states: list[int | None] = []
    for kind, peer, contact, time in lines:
        if kind == "restart":
            peers.clear()
        states.append(None if peer is None else peers.setdefault(peer, _Contacts()).after(kind, contact, time))
    return states


class _Contacts:
    """The contacts of one PJSIP peer: which answer, and when one was last added or taken back by the phone."""

    def __init__(self) -> None:
        self.answers: dict[str, bool] = {}
        self.changed = float("-inf")

    def after(self, kind: str, contact: str | None, time: float) -> int | None:
        """Return the peer's state after a line, None where the line does not change it."""
        if kind in ("registered", "unregistered"):
            self.changed = time
        if kind in ("reachable", "lagged"):
            if contact is not None:
                self.answers[contact] = True
            return UP
        if kind == "unreachable":
            return self._lost(contact, time)
        if kind in ("unregistered", "expired"):
            self.answers.pop(contact or "", None)
            return GONE if kind == "unregistered" and not any(self.answers.values()) else None
        return None

    def _lost(self, contact: str | None, time: float) -> int | None:
        if contact is None:
            self.answers.clear()
            # A contact that replaces another is not probed yet: the endpoint is between two contacts, not lost. Nor is
            # one whose phone has just logged off.
            return None if 0 <= time - self.changed <= REPLACED_S else DOWN
        self.answers[contact] = False
        return None if any(self.answers.values()) else DOWN


def by_peer(states: pl.DataFrame, peers: pl.Series) -> pl.DataFrame:
    """Return the rows that say something about a peer's state (`OF_A_STATE`), with its index `phone`, by phone and row.

    Parameters
    ----------
    states : polars.DataFrame
        Events with `row` and `state`, from `with_states`.
    peers : polars.Series of str
        The peers, sorted; the index counts in it.
    """
    rows = states.filter(pl.col("state").is_not_null()).select(*OF_A_STATE, phone_index(peers))
    return rows.filter(pl.col("phone").is_not_null()).sort("phone", maintain_order=True)


def phone_index(peers: Sequence[str] | pl.Series) -> pl.Expr:
    """Return the column `phone`: the place of `peer` among the peers; null for others."""
    return pl.col("peer").cast(pl.Enum(peers), strict=False).to_physical().cast(pl.Int64).alias("phone")


def unreachable_intervals(rows: pl.DataFrame, gaps: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return one row per unreachable interval, sorted by start and peer.

    Parameters
    ----------
    rows : polars.DataFrame
        From `by_peer`.
    gaps : polars.DataFrame, optional
        start, end: where parts of the log are missing. What was lost before is still open there, and ends there.

    Returns
    -------
    polars.DataFrame
        Frame of schema `RAW`; `end` and what follows it are null while still unreachable at the log's
        end.
    """
    if rows.is_empty():
        return RAW.empty()
    if gaps is not None and gaps.height:
        rows = pl.concat([rows, *(_lost_at(rows, start) for start in gaps["start"])], how="diagonal")
        rows = rows.sort("phone", "row", maintain_order=True)
    down, same = pl.col("state") == DOWN, pl.col("phone") == pl.col("phone").shift(1)
    # res_pjsip writes the endpoint's line first, the contact's with the round trip right after it.
    gap = (pl.col("time").shift(-1) - pl.col("time")).dt.total_microseconds() / 1e6
    follows = same.shift(-1) & (pl.col("state").shift(-1) == UP) & (gap <= REPEAT_AFTER_S)
    trip = pl.coalesce("rtt_ms", pl.when(follows & (pl.col("state") == UP)).then(pl.col("rtt_ms").shift(-1)))
    rows = rows.with_columns(trip.alias("rtt_ms")).with_row_index("at")
    first = (~same | (down != down.shift(1))).fill_null(value=True)
    started = pl.when(first).then(pl.col("time")).forward_fill()
    late = (pl.col("time") - started).dt.total_microseconds() > REPEAT_AFTER_S * 1e6
    rows = rows.with_columns(
        pl.when(pl.col("tech") == "PJSIP").then(late.cast(pl.Int32)).otherwise(1).cum_sum().alias("n")
    )
    runs = rows.filter(first)
    ends = pl.concat([runs["at"][1:] - 1, pl.Series([rows.height - 1], dtype=runs["at"].dtype)])
    next_same = pl.col("phone").shift(-1) == pl.col("phone")
    after = {"end": "time", "end_rtt_ms": "rtt_ms", "end_file": "file", "end_line": "line", "end_offset": "offset"}
    runs = runs.with_columns(
        *[pl.when(next_same).then(pl.col(old).shift(-1)).alias(new) for new, old in after.items()],
        pl.when(next_same).then(pl.col("kind").shift(-1).cast(pl.String)).fill_null("open").alias("ended_by"),
        pl.col("tech").cast(pl.String),
        pl.col("time").alias("start"),
        rows["time"][ends].alias("last_down"),
        (rows["n"][ends] - runs["n"]).cast(pl.Int32).alias("repeats"),
    )
    end = pl.when(pl.col("end").is_not_null()).then(pl.max_horizontal("start", "end")).alias("end")
    lost = runs.filter(pl.col("state") == DOWN).with_columns(end).sort("start", "peer", "line")
    return lost.select(RAW.dtypes.keys())


def _lost_at(rows: pl.DataFrame, time: datetime) -> pl.DataFrame:
    """Return rows that end what is known of the phones that are lost at a time."""
    before = rows.filter(pl.col("time") <= time).group_by("phone", maintain_order=True).last()
    known = before.filter(pl.col("state") == DOWN).select("row", "peer", "tech", "phone")
    return known.with_columns(pl.lit(time, UTC_TIME).alias("time"), pl.lit(GONE, pl.Int8).alias("state"))


def down_at_the_end(states: pl.DataFrame) -> pl.Series:
    """Return the peers that are unreachable when the log ends."""
    last = states.drop_nulls("state").group_by("peer").agg(pl.last("state"))
    return last.filter(pl.col("state") == DOWN)["peer"]


def of_kind(events: pl.DataFrame, *kinds: str) -> pl.DataFrame:
    """Return the events of these kinds."""
    return events.filter(pl.any_horizontal(*(pl.col("kind") == kind for kind in kinds)))
