"""Exposure: in how many periods could a phone have been lost by the NAT timeout, and in how many was it?"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from starface_nb.analysis.comparison import Side
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.analysis.estimate import estimate_timeout


@dataclass(frozen=True)
class Window:
    """A stretch of one diagnosis: a place's phones between two moments.

    `sites` is the site's name and, where its phones are among those without a known address, `unknown`; `joined` is
    true where the log begins before the window.
    """

    case: Diagnosis
    sites: tuple[str, ...]
    start: datetime
    end: datetime
    joined: bool = False


@dataclass
class Exposure:
    """Per phone: periods that could have held a NAT loss, NAT losses, whether the log shows the phone at all."""

    periods: dict[str, int] = field(default_factory=dict)
    losses: dict[str, int] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)


def expose(window: Window, peers: list[str], periods: dict[str, float], ceiling: float, grace: bool) -> Exposure:
    """Count what could have been lost and what was; a raised timeout acts from each phone's next renewal."""
    found = Exposure()
    frame = window.case.intervals.filter(pl.col("peer").is_in(peers))
    first = _first_lines(window.case)
    by_peer = {str(key[0]): part for key, part in frame.group_by("peer", maintain_order=True)}
    for peer in peers:
        period = periods.get(peer, window.case.settings.keepalive_s)
        start = window.start + timedelta(seconds=period * 1.05 if grace else 0.0)
        if peer in first:
            found.shown.add(peer)
            when, kind = first[peer]
            start = max(start, when) if kind in ("registered", "reachable") and not window.joined else start
        seconds = (window.end - start).total_seconds()
        losses = 0
        for row in by_peer.get(peer, frame.clear()).iter_rows(named=True):
            away = (min(row["end"] or window.end, window.end) - max(row["start"], start)).total_seconds()
            if row["cause"] != "nat_expiry":
                # A longer loss of another cause ends in a renewal: the period it falls into proves nothing.
                seconds -= away + (period if away > 64.0 else 0.0) if away > 0 else 0.0
            elif start <= row["start"] < window.end:
                losses += 1
        found.periods[peer] = max(int((seconds - ceiling - 64.0) // period), losses if seconds > 0 else 0)
        found.losses[peer] = losses if seconds > 0 else 0
    return found


def _first_lines(case: Diagnosis) -> dict[str, tuple[datetime, str]]:
    events = case.log.events.filter(pl.col("peer").is_not_null(), pl.col("time").is_not_null())
    first = events.group_by("peer", maintain_order=True).first()
    return {peer: (time, str(kind)) for peer, time, kind in first.select("peer", "time", "kind").iter_rows()}


def bracket(window: Window) -> tuple[float | None, float | None]:
    """Return the timeout's bracket in the window, seconds: of its newest era, or else from the cycles begun in it."""
    case = window.case
    slack = pl.lit(timedelta(seconds=case.settings.keepalive_s))
    eras = case.eras.filter(
        pl.col("site").is_in(window.sites),
        pl.col("start") >= pl.lit(window.start) - slack,
        pl.col("end") <= pl.lit(window.end) + slack,
        pl.col("start") < window.end,
        pl.col("end") > window.start,
        pl.col("low_s").is_not_null(),
    ).sort("start", "site")
    if eras.height:
        return eras["low_s"][-1], eras["high_s"][-1]
    cycles = case.cycles.filter(
        pl.col("site").is_in(window.sites),
        pl.col("outcome") != "excluded",
        pl.col("start") >= window.start,
        pl.col("start") < window.end,
    )
    if not cycles.height:
        return None, None
    upper = cycles["upper_s"].fill_null(np.inf).to_numpy()
    threshold = case.settings.keepalive_s
    estimate = estimate_timeout(cycles["lower_s"].to_numpy(), upper, threshold=threshold, level=case.settings.level)
    return round(estimate.low, 1), round(estimate.high, 1) if np.isfinite(estimate.high) else None


def side_of(window: Window, exposure: Exposure, low: float | None, high: float | None) -> Side:
    """Return one side of the comparison."""
    hours = (window.end - window.start).total_seconds() / 3600.0
    losses = window.case.intervals.filter(
        pl.col("peer").is_in(list(exposure.periods)), pl.col("cause") == "nat_expiry",
        pl.col("start") >= window.start, pl.col("start") < window.end,
    )  # fmt: skip
    return Side(losses.height, sum(exposure.periods.values()), hours, low, high)
