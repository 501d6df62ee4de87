"""What the estimate is held beside: the usual rule of thumb, a textbook estimator, and the truth where it is known."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.analysis.frames import FRAMES

READINGS, AGAINST_TRUTH = FRAMES["readings"], FRAMES["against_truth"]
NAIVE = "keepalive minus the gap"
NPMLE = "maximum likelihood (NPMLE)"
_MOST_AGES = 150


def readings(case: Diagnosis) -> pl.DataFrame:
    """Return the estimate of each site beside what simpler methods say; schema READINGS, by site.

    `keepalive minus the gap` takes the median gap for NAT, whatever its cause, give or take half a probe interval.
    The non-parametric maximum-likelihood estimate for interval-censored times (Turnbull 1976) takes the age of every
    loss for a death of the binding and answers with the interval that holds most of the mass; it comes from lifelines
    and is left out where that is not installed.
    """
    rows = []
    for site, low, high in case.sites.select("site", "low_s", "high_s").iter_rows():
        losses = case.intervals.filter(pl.col("site") == site)
        found = {"this analysis": (low, high), NAIVE: _naive(case, losses), NPMLE: _npmle(case, losses)}
        rows += [(site, name, *bounds) for name, bounds in found.items() if bounds]
    return READINGS.frame([dict(zip(("site", "reading", "low_s", "high_s"), row, strict=True)) for row in rows])


def _naive(case: Diagnosis, losses: pl.DataFrame) -> tuple[float | None, float | None]:
    gaps = losses["seconds"].drop_nulls().to_numpy()
    guesses = case.settings.keepalive_s - gaps[(gaps > 0) & (gaps < case.settings.keepalive_s)]
    if not guesses.size:
        return None, None
    half = case.settings.probe_interval_s / 2
    return max(0.0, float(np.median(guesses)) - half), float(np.median(guesses)) + half


def _npmle(case: Diagnosis, losses: pl.DataFrame) -> tuple[float, float] | None:
    try:
        from lifelines import KaplanMeierFitter
    except ImportError:
        return None
    settings = case.settings
    starts = case.cycles.select("peer", renewed="start").sort("renewed")
    ages = (
        losses.sort("start")
        .join_asof(starts, left_on="start", right_on="renewed", by="peer", coalesce=False, check_sortedness=False)
        .select((pl.col("start") - pl.col("renewed")).dt.total_milliseconds() / 1000 - settings.probe_timeout_s)
        .to_series()
        .drop_nulls()
        .to_numpy()
    )
    ages = ages[(ages > 0) & (ages < 1.2 * settings.keepalive_s)][:_MOST_AGES]
    if ages.size < 2:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lifelines warns of its own deprecated calls
        fitted = KaplanMeierFitter().fit_interval_censoring(np.maximum(ages - settings.probe_interval_s, 0), ages)
    upper = fitted.survival_function_.iloc[:, 0]
    place = int((-np.diff(upper.to_numpy())).argmax())
    return float(upper.index[place]), float(upper.index[place + 1])


def against_truth(case: Diagnosis, truth: Mapping[str, Any]) -> pl.DataFrame:
    """Return each site's bracket beside the timeout that its router really had; schema AGAINST_TRUTH, by site and era.

    Parameters
    ----------
    case : Diagnosis
    truth : Mapping
        A recorded or simulated log's truth: `sites[]` with `public_ip`, `T_s` and `changes`.
    """
    rows = []
    for place in truth["sites"]:
        addresses = {place["public_ip"], *(c["public_ip"] for c in place["changes"] if "public_ip" in c)}
        timeouts = [place["T_s"], *(c["T_s"] for c in place["changes"] if "T_s" in c)]
        found = list(_eras(case, addresses, alone=len(truth["sites"]) == 1))
        for era, timeout in enumerate(timeouts):
            row = found[min(era, len(found) - 1)] if found else dict.fromkeys(("low_s", "high_s", "verdict"))
            low, high = row["low_s"], row["high_s"]
            holds = None if low is None else low < timeout and (high is None or timeout <= high)
            known = {"low_s": low, "high_s": high, "verdict": row["verdict"], "holds": holds}
            rows.append({"site": place["public_ip"], "era": era, "true_s": float(timeout), **known})
    return AGAINST_TRUTH.frame(rows)


def coverage(tried: Iterable[tuple[Diagnosis, Mapping[str, Any]]]) -> pl.DataFrame:
    """Return how often the bracket holds the truth, and how wide it is, over many logs with known truth.

    Parameters
    ----------
    tried : iterable of (Diagnosis, truth)
        Each as in `against_truth`.

    Returns
    -------
    polars.DataFrame
        By verdict: `timeouts` (sites and eras with that verdict), `below_keepalive` (how many were shorter than the
        keepalive), `bracketed` (those with a bracket), `holding` (brackets that hold the truth), `median_width_s`.
    """
    held = [
        against_truth(case, truth).with_columns(keepalive_s=pl.lit(case.settings.keepalive_s)) for case, truth in tried
    ]
    return (
        pl.concat([AGAINST_TRUTH.empty().with_columns(keepalive_s=pl.lit(0.0)), *held])
        .with_columns(pl.col("verdict").fill_null("no phone seen"))
        .group_by("verdict")
        .agg(
            timeouts=pl.len(),
            below_keepalive=(pl.col("true_s") < pl.col("keepalive_s")).sum(),
            bracketed=pl.col("holds").is_not_null().sum(),
            holding=pl.col("holds").sum(),
            median_width_s=(pl.col("high_s") - pl.col("low_s")).median().round(1),
        )
        .sort("verdict")
    )


def _eras(case: Diagnosis, addresses: set[str], *, alone: bool) -> Iterator[dict[str, Any]]:
    for site, known in case.sites.select("site", "addresses").iter_rows():
        if addresses & {site, *known} or (alone and case.sites.height == 1):
            yield from case.eras.filter(pl.col("site") == site).sort("era").iter_rows(named=True)
