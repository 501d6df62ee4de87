"""Exposure: for how many periods could a phone have been lost by the NAT timeout, and in how many was it?"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from starface_nb.analysis.comparison import Side
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.model.estimate import estimate_timeout

SEEN_S = 64.0
"""A binding's death is seen at the next probe, which waits 4 s for an answer."""
JITTER = 1.05
"""How much longer than usual a phone's re-REGISTER period may be once."""
Bracket = tuple[float | None, float | None]


@dataclass(frozen=True)
class Window:
    """A stretch of one diagnosis: a place's phones between two moments.

    `sites` is the site's name and, where its phones are among those without a known address, `unknown`. `seen` holds
    the stretches in which a loss of a phone would have shown: peer, start, end.
    """

    case: Diagnosis
    sites: tuple[str, ...]
    start: datetime
    end: datetime
    seen: pl.DataFrame


class Lived(NamedTuple):
    """One phone in a window: seconds that count, its re-REGISTER period, and NAT losses."""

    seconds: float
    period: float
    losses: int

    @property
    def periods(self) -> int:
        """Periods that could have held a NAT loss: under a timeout shorter than the period each of them does."""
        return max(int((self.seconds - SEEN_S) // self.period), self.losses)


Exposure = dict[str, Lived]


def expose(window: Window, periods: dict[str, float], ceiling: float | None = None) -> Exposure:
    """Count for each phone in `periods` that is observed in the window what could have been lost and what was.

    A raised timeout acts from each phone's next renewal. Where the window begins with a change, `ceiling` is the
    longest that a binding made before it may still live by the old timeout, seconds; that time does not count.
    """
    intervals, calls = window.case.intervals.select("peer", "start", "end", "cause"), window.case.log.calls
    lost_of, begun = intervals.rows_by_key("peer"), calls.select("by", "time").drop_nulls().rows_by_key("by")
    stretches = window.seen.select("peer", "start", "end").rows_by_key("peer")
    found = {}
    for peer in (peer for peer in periods if peer in stretches):
        period, seconds, losses = periods[peer], 0.0, 0
        settling = 0.0 if ceiling is None else min(period * JITTER, ceiling + SEEN_S)
        for start, end in stretches[peer]:
            since, until = max(start, window.start + timedelta(seconds=settling)), min(end, window.end)
            lived, lost = _within(lost_of.get(peer, []), since, until, period)
            if lived > 0:
                # Calls that the phone began in a period may have kept its binding alive.
                calls_at = [int((at - since).total_seconds()) for (at,) in begun.get(peer, []) if since <= at <= until]
                called = len({second // period for second in calls_at})
                seconds, losses = seconds + max(lived - period * called, 0.0), losses + lost
        found[peer] = Lived(seconds, period, losses)
    return found


def _within(rows: list[tuple[Any, ...]], start: datetime, end: datetime, period: float) -> tuple[float, int]:
    """Return the seconds of a stretch that count, and the NAT losses (rows: start, end, cause) that began in it."""
    seconds, losses = (end - start).total_seconds(), 0
    for begin, stop, cause in rows:
        away = (min(stop or end, end) - max(begin, start)).total_seconds()
        if cause != "nat_expiry":
            # A longer loss of another cause ends in a renewal: the period it falls into proves nothing.
            seconds -= away + (period if away > SEEN_S else 0.0) if away > 0 else 0.0
        elif start <= begin < end:
            losses += 1
    return seconds, losses


def bracket(window: Window) -> Bracket:
    """Return the timeout's bracket in the window, seconds: of its newest era, or else from the cycles begun in it.

    An era that holds the whole window and saw no expiry is told as it is: that only a REGISTER renews, as the cycles
    would have it, nothing has shown there.
    """
    case = window.case
    slack = pl.lit(timedelta(seconds=case.settings.keepalive_s))
    here = pl.col("site").is_in(window.sites)
    within = (pl.col("start") >= pl.lit(window.start) - slack) & (pl.col("end") <= pl.lit(window.end) + slack)
    around = (pl.col("start") <= window.start) & (pl.col("end") >= window.end) & pl.col("high_s").is_null()
    eras = case.eras.filter(
        here,
        within | around,
        pl.col("start") < window.end,
        pl.col("end") > window.start,
        pl.col("low_s").is_not_null(),
    ).sort("start", "site")
    if eras.height:
        return eras["low_s"][-1], eras["high_s"][-1]
    begun = pl.col("start").is_between(window.start, window.end, closed="left")
    cycles = case.cycles.filter(here, begun, pl.col("outcome") != "excluded")
    if not cycles.height:
        return None, None
    upper = cycles["upper_s"].fill_null(np.inf).to_numpy()
    threshold = case.settings.keepalive_s
    estimate = estimate_timeout(cycles["lower_s"].to_numpy(), upper, threshold=threshold, level=case.settings.level)
    return round(estimate.low, 1), round(estimate.high, 1) if np.isfinite(estimate.high) else None


def nat_losses(window: Window, peers: list[str]) -> pl.DataFrame:
    """Return the intervals of these phones that the NAT timeout caused and that began in the window."""
    begun = pl.col("start").is_between(window.start, window.end, closed="left")
    return window.case.intervals.filter(pl.col("peer").is_in(peers), pl.col("cause") == "nat_expiry", begun)


def side_of(window: Window, exposure: Exposure, found: Bracket) -> Side:
    """Return one side of the comparison."""
    hours = (window.end - window.start).total_seconds() / 3600.0
    losses = nat_losses(window, list(exposure)).height
    within = pl.col("time").is_between(window.start, window.end, closed="left")
    calls = window.case.calls_lost.filter(pl.col("site").is_in(window.sites), within)["call"].n_unique()
    return Side(losses, max(losses, sum(phone.periods for phone in exposure.values())), hours, *found, calls_lost=calls)
