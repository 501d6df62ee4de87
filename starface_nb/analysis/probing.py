"""How the PBX probed, by the log itself: losses come at whole probe intervals after the phone was last found.

So, over PJSIP, whose repeated probes are as far apart, do returns after the probe that found the phone lost.
"""

import numpy as np
import polars as pl

from starface_nb.observations.completeness import LIMIT_MS
from starface_nb.observations.intervals import of_kind
from starface_nb.observations.story import PJSIP_TIMEOUT_S, Bools, Floats, Ints

MOST_LINES = 100_000
"""Of a longer log the lines of some phones are looked at."""
LEAST_GAPS, LEAST_COUNTS, MOST_GAPS = 8, 6, 5_000
"""So many losses; after so many different numbers of probes they tell an interval from its fractions and multiples."""
FITS_S, STRAY = 3.0, 0.1
"""Stamps are rounded: so far a loss may lie from a whole interval. Share of losses whose count began elsewhere."""
SHARE = 0.75
"""So many losses must fit an interval for the log to show it."""
LONGEST_GAP_S = 3_600.0
"""In a longer one the phone has registered again, mostly without a line, and the count of probes has begun anew."""
MOST_ALIKE = 4
"""One timeout makes many equal gaps; so many of them count."""
SHORTEST_S, LONGEST_S = 15, 600
CLEAR = 12.0  # log-odds from which a file is refuted


def gaps(events: pl.DataFrame) -> pl.DataFrame:
    """Return the time from each answer to the probe that failed next; over PJSIP, from that to the next answer as well.

    A registration in between begins a new count of probes (chan_sip.c 13.38.3:17095) and leaves the gap out.

    Parameters
    ----------
    events : polars.DataFrame

    Returns
    -------
    polars.DataFrame
        `gap_s`; `slip_s`, by which the next probe comes later than the interval: chan_sip counts from the answer;
        `since_s`, seconds from the phone's loss before to this one; `file`, `line`.
    """
    needed = ("time", "kind", "peer", "tech", "contact", "rtt_ms", "limit_ms", "file", "line")
    rows = of_kind(events.select(needed), "reachable", "lagged", "unreachable", "registered").drop_nulls("time")
    if rows.height > MOST_LINES:
        # Some phones tell as well as all.
        peers = rows["peer"].unique().sort()
        rows = rows.filter(pl.col("peer").is_in(peers.gather_every(-(-rows.height // MOST_LINES)).implode()))
    rows = rows.sort("time", maintain_order=True)
    # Of PJSIP the contacts' lines alone tell of probes: an endpoint is unreachable also between two contacts.
    probed = (pl.col("kind") != "registered") & pl.col("contact").is_not_null()
    lost = _apart(rows.filter((pl.col("tech") != "PJSIP") | probed))
    lost = lost.filter(pl.col("kind") == "unreachable", pl.col("before") == "reachable")
    since = pl.col("time").diff().over("peer").dt.total_microseconds() / 1e6
    # A new contact is probed at once, whenever that is.
    back = _apart(rows.filter(pl.col("contact").is_not_null(), tech="PJSIP"))
    back = back.filter(pl.col("kind") == "reachable", pl.col("before") == "unreachable")
    answered = pl.col("gap_s") + 2 * PJSIP_TIMEOUT_S - pl.col("rtt_ms").fill_null(0.0) / 1000
    told = [lost.with_columns(since_s=since), back.with_columns(gap_s=answered, since_s=None)]
    return pl.concat(told, how="vertical_relaxed").sort("time").select("gap_s", "slip_s", "file", "line", "since_s")


def _apart(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each line with the kind of the phone's line before and the time since, without that line's wait."""
    slip = pl.when(pl.col("tech") == "SIP").then(pl.col("rtt_ms").fill_null(0.0) / 1000).otherwise(0.0)
    wait = 2 * pl.col("limit_ms").fill_null(LIMIT_MS) / 1000  # chan_sip.c 20.20.1:30709
    wait = pl.when(pl.col("tech") == "PJSIP").then(PJSIP_TIMEOUT_S).otherwise(wait)
    gap = pl.col("time").diff().dt.total_microseconds() / 1e6 - wait.shift()
    before = {"before": pl.col("kind").shift(), "gap_s": gap, "slip_s": slip.shift()}
    of_peer = pl.col("peer").cast(pl.Categorical).to_physical()
    return rows.with_columns(one.over(of_peer).alias(name) for name, one in before.items())


def probed_every(apart: pl.DataFrame, told_s: float, usual_s: float) -> float | None:
    """Return the probe interval that a log shows where it refutes the one that a file tells; else None.

    Parameters
    ----------
    apart : polars.DataFrame
        See `gaps`.
    told_s, usual_s : float
        What the file says, and what is assumed without one.
    """
    usable = apart.filter(pl.col("gap_s").is_between(SHORTEST_S, LONGEST_GAP_S))
    usable = usable.gather_every(max(usable.height // MOST_GAPS, 1))
    if usable.height < LEAST_GAPS or told_s < SHORTEST_S:
        return None
    # No probe comes sooner than its interval: losses again and again at one sooner moment refute it.
    sooner = usable.filter(pl.col("gap_s") < told_s - 2 * FITS_S)["gap_s"].to_numpy()
    first = float(np.round(np.median(sooner))) if len(sooner) >= LEAST_GAPS else told_s
    if first < told_s and (np.abs(sooner - first) <= FITS_S).mean() >= SHARE <= fitting(usable, first)[0]:
        return first
    few = usable.filter(pl.int_range(pl.len()).over((pl.col("gap_s") / (2 * FITS_S)).round()) < MOST_ALIKE)
    tried = np.arange(SHORTEST_S, LONGEST_S + 1.0)
    whole: list[float] = tried[fitting(few, tried)[1] >= LEAST_COUNTS].tolist()
    # One timeout alone makes one gap: of what it fits, half the usual interval is the likeliest after that.
    shown = [one for one in (usual_s, usual_s / 2, *whole) if fitting(usable, one)[0] >= SHARE]
    every = max(shown, key=lambda one: _weight(few, one), default=told_s)
    # Losses in the time of a phone's own keepalive seem to show a fraction: repeated probes come in between.
    again = usable.select("slip_s", gap_s="since_s").drop_nulls()
    kept = again.height >= LEAST_GAPS and np.greater_equal(fitting(again, told_s), (SHARE, LEAST_COUNTS)).all()
    if kept and told_s % every == 0:
        return None
    # Of gaps of any length, which calls and registrations leave, a short interval fits more than a long one.
    shows = _weight(few, every)
    return every if shows > max(_weight(few, told_s) + CLEAR, 0.0) else None


def fitting(apart: pl.DataFrame, interval_s: float | Floats) -> tuple[Floats, Ints]:
    """Return for each interval the share of losses after a whole number of probes, and how many such numbers differ."""
    fits, count = _fits(apart, interval_s)
    numbers = np.sort(np.where(fits, count, 0.0), axis=-1)
    return fits.mean(axis=-1), (np.diff(numbers, axis=-1, prepend=0.0) > 0).sum(axis=-1)


def _fits(apart: pl.DataFrame, interval_s: float | Floats) -> tuple[Bools, Floats]:
    gap, every = apart["gap_s"].to_numpy(), np.asarray(interval_s)[..., None] + apart["slip_s"].to_numpy()
    count = np.maximum(np.round(gap / every), 1)
    return np.abs(gap - count * every) <= FITS_S, count


def _weight(apart: pl.DataFrame, interval_s: float) -> float:
    """Return the log-odds of an interval against none."""
    fits, _ = _fits(apart, interval_s)
    return float(np.log(np.where(fits, (1 - STRAY) * interval_s / (2 * FITS_S) + STRAY, STRAY)).sum())
