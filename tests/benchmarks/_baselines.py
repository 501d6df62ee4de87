"""What the diagnosis is held beside: the naive reading, and lifelines' interval-censored estimate."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import polars as pl

from tests.benchmarks._truth import NO_SITE, Truth


@dataclass
class Reading:
    """A bracket and verdict for one site."""

    low: float | None
    high: float | None
    verdict: str


def gaps(events: pl.DataFrame) -> pl.DataFrame:
    """Return every loss: peer, site, start, seconds, and its age since the last line that shows a renewal."""
    rows = []
    state: dict[str, dict] = {}
    peers = events.filter(pl.col("peer").is_not_null(), pl.col("time").is_not_null())
    for time, kind, peer, address in peers.select(
        pl.col("time").dt.epoch("ms") / 1000, "kind", "peer", "address"
    ).rows():
        p = state.setdefault(peer, {"site": NO_SITE, "renewed": None, "down": None, "last": time})
        p["last"] = time
        if kind == "registered":
            p["site"], p["renewed"] = address or p["site"], time
        elif kind == "unreachable" and p["down"] is None:
            age = time - 4.0 - p["renewed"] if p["renewed"] is not None else None
            p["down"] = {"peer": peer, "site": p["site"], "start": time, "age": age, "seconds": None}
            rows.append(p["down"])
            p["renewed"] = None
        elif kind in ("reachable", "lagged") and p["down"] is not None:
            p["down"]["seconds"], p["down"], p["renewed"] = time - p["down"]["start"], None, time
    schema = {"peer": pl.String, "site": pl.String, "start": pl.Float64, "age": pl.Float64, "seconds": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def naive(losses: pl.DataFrame, truth: Truth) -> Reading:
    """60 minutes minus the gap: the middle one, give or take half a probe interval."""
    seconds = losses["seconds"].drop_nulls().to_numpy()
    guesses = truth.keepalive_s - seconds[(seconds > 0) & (seconds < truth.keepalive_s)]
    if not guesses.size:
        return Reading(None, None, "no_expiry_seen")
    middle = float(np.median(guesses))
    return Reading(middle - 30.0, middle + 30.0, "too_short")


def npmle(losses: pl.DataFrame, truth: Truth, limit: int = 150) -> Reading:
    """lifelines' interval-censored NPMLE on every loss's age: the interval that holds most of the mass."""
    from lifelines import KaplanMeierFitter

    ages = losses["age"].drop_nulls().to_numpy()
    ages = ages[(ages > 0) & (ages < 1.2 * truth.keepalive_s)][:limit]
    if ages.size < 2:
        return Reading(None, None, "undetermined")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitter = KaplanMeierFitter().fit_interval_censoring(np.maximum(ages - 60.5, 0.0), ages + 0.5)
    upper = fitter.survival_function_.iloc[:, 0]
    drops = -np.diff(upper.to_numpy())
    if not drops.size or drops.max() <= 0:
        return Reading(None, None, "undetermined")
    i = int(drops.argmax())
    low, high = float(upper.index[i]), float(upper.index[i + 1])
    return Reading(low, max(high, low + 1e-6), "too_short" if low < truth.keepalive_s else "no_expiry_seen")


def site_losses(losses: pl.DataFrame, addresses: set[str]) -> pl.DataFrame:
    """Return the losses of the phones that were ever seen at one of these addresses."""
    return losses.filter(pl.col("site").is_in(sorted(addresses)))
