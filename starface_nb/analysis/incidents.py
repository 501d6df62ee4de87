"""Incidents: losses that one thing struck; the same thing at regular times is one incident that repeats."""

from datetime import timedelta

import numpy as np
import polars as pl

from starface_nb.analysis.frames import INCIDENTS
from starface_nb.model.evidence import BY_PBX
from starface_nb.observations.story import Floats

TOGETHER_S = 68.0
"""Losses of one fault of a whole site are seen within one probing interval, the probe's timeout and its rounding."""
LEAST_REPEATS = 3
REGULAR, NEAR_S, NEAR_SHARE, MOST_SKIPPED = 0.75, 90.0, 0.02, 3
"""Share of steps that must be a multiple of the usual one, how exactly (seconds, share), and the most multiples."""
OF_A_SITE = ("wan_outage", "router_restart", "blacklisted")
OF_A_PHONE = ("phone_restart", "phone_offline")

KEYS = ("place", "cause", "part")


def find_incidents(intervals: pl.DataFrame, eras: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """Put losses together by what struck them.

    Losses by the NAT timeout are one incident per site and era, those of one phone by its own fault one per phone and
    cause; a fault of a site is one for all phones that went with it, and the same at regular times one that repeats.

    Parameters
    ----------
    intervals, eras : polars.DataFrame
        Frames of schema `INTERVALS` and `ERAS`.

    Returns
    -------
    incidents : polars.DataFrame
        Frame of schema `INCIDENTS`, most losses first.
    ids : polars.Series of int
        The incident of each interval.
    """
    if intervals.is_empty():
        return INCIDENTS.empty(), pl.Series("incident", [], dtype=pl.Int64)
    losses = _struck(intervals, eras)
    bursts = losses.group_by(*KEYS, "burst", maintain_order=True).agg(pl.min("start"))
    bursts = _with_repeats(bursts.sort(*KEYS, "start"))
    losses = losses.join(bursts.drop("start"), on=[*KEYS, "burst"], how="left", maintain_order="left")
    key = [*KEYS, "series"]
    found = losses.group_by(key, maintain_order=True).agg(
        pl.min("start"),
        pl.when(pl.col("end").is_not_null().all()).then(pl.col("end").max()).alias("end"),
        pl.when(pl.col("peer").n_unique() == 1).then(pl.first("peer")).alias("peer"),
        pl.col("peer").n_unique().cast(pl.Int64).alias("phones"),
        pl.len().cast(pl.Int64).alias("losses"),
        pl.col("burst").n_unique().cast(pl.Int64).alias("repeats"),
        pl.first("every_s"),
        pl.col("seconds").median().alias("lasts_s"),
        pl.col("confidence").mean().round(3),
    )
    found = found.sort("losses", "start", "place", descending=[True, False, False])
    found = found.with_columns(pl.int_range(1, pl.len() + 1).alias("id"))
    ids = losses.join(found.select("id", *key), on=key, how="left").sort("row")["id"].alias("incident")
    return INCIDENTS.check(found.rename({"place": "site"})), ids


def _struck(intervals: pl.DataFrame, eras: pl.DataFrame) -> pl.DataFrame:
    """Return the losses with place, part (era, phone or nothing) and burst, the number of the moment they belong to."""
    begun = eras.select("site", "era", pl.col("start").alias("begun")).sort("begun")
    columns = ("peer", "site", "start", "end", "cause", "seconds", "confidence", "evidence")
    losses = intervals.select(columns).with_row_index("row")
    losses = losses.sort("start").join_asof(
        begun, left_on="start", right_on="begun", by="site", check_sortedness=False, coalesce=False
    )
    cause, era = pl.col("cause"), pl.format("era {}", pl.col("era").fill_null(0))
    part = pl.when(cause == "nat_expiry").then(era).when(cause.is_in(OF_A_PHONE)).then("peer").otherwise(pl.lit(""))
    place = pl.when((cause == "pbx_restart") | BY_PBX).then(pl.lit("all")).otherwise("site")
    losses = losses.with_columns(part.alias("part"), place.alias("place")).sort(*KEYS, "start", "row")
    apart = pl.col("start").diff() > timedelta(seconds=TOGETHER_S)
    return losses.with_columns(apart.fill_null(value=False).cum_sum().over(KEYS).alias("burst"))


def _with_repeats(bursts: pl.DataFrame) -> pl.DataFrame:
    """Add `series` (bursts of one series are one incident) and `every_s` to bursts sorted by key and start."""
    series, told = list[int](), list[float | None]()
    groups = bursts.group_by(KEYS, maintain_order=True).agg(pl.col("start").dt.epoch("ms"))
    for place, cause, starts in groups.select("place", "cause", "start").iter_rows():
        every = regular_step(np.array(starts) / 1000.0)
        apart = every is None and (place == "all" or cause in OF_A_SITE)
        series += range(len(starts)) if apart else [0] * len(starts)
        told += [None if cause == "nat_expiry" else every] * len(starts)
    return bursts.with_columns(pl.Series("series", series, pl.Int64), pl.Series("every_s", told, pl.Float64))


def regular_step(times: Floats) -> float | None:
    """Return the time from one to the next, seconds, where that is regular, a few left out; else None.

    Parameters
    ----------
    times : array of float, shape (n,)
        Seconds, sorted.
    """
    if len(times) < LEAST_REPEATS:
        return None
    steps = np.diff(times)
    usual = float(np.median(steps))
    if usual <= 2 * TOGETHER_S:
        return None
    count = np.clip(np.round(steps / usual), 1, MOST_SKIPPED)
    near = np.abs(steps - count * usual) <= NEAR_S + NEAR_SHARE * usual
    if near.mean() < REGULAR:
        return None
    return round(float(np.median((steps / count)[near])), 1)
