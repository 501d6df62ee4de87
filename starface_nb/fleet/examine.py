"""One customer, read and diagnosed: what a worker does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from starface_nb.analysis import diagnose
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.errors import StarfaceError, memory_error
from starface_nb.fleet.schemas import BINS, URGENCY
from starface_nb.guide.conclusion import cured_sites, gone_sites
from starface_nb.reading import read_log
from starface_nb.settings import Settings
from starface_nb.tables import table

Row = dict[str, Any]
_WARNINGS = table("guide/texts")["fleet_warning"]


@dataclass(frozen=True)
class Examined:
    """What came of one customer's log.

    Attributes
    ----------
    row : dict
        The summary's columns that come from the log; without a log only `state` and `reason`.
    intervals : polars.DataFrame or None
        None where the log could not be read.
    lasting : bool
        Whether another try would give the same: false where a worker died or the program failed.
    """

    row: Row
    intervals: pl.DataFrame | None = None
    lasting: bool = True


def examine(source: str, settings: Settings, time_zone: str | None) -> Examined:
    """Read and diagnose one customer's log; whatever goes wrong is part of the answer."""
    try:
        log = read_log(source, time_zone=time_zone, progress=False)
        if not log.events["peer"].is_not_null().any():
            return failed(log.notes[-1])  # which says why
        case = diagnose(log, settings)
    except StarfaceError as error:
        return failed(str(error).removeprefix(f"{source}: "))
    except Exception as error:  # a log that breaks the program must not stop the other customers
        told = memory_error(error) or f"The program failed on this log: {type(error).__name__}: {error}"
        return failed(str(told), lasting=False)
    return Examined(summarise(case), case.intervals)


def failed(reason: str, *, lasting: bool = True) -> Examined:
    """Return what came of a log that gave nothing."""
    return Examined({"state": "failed", "reason": reason}, None, lasting)


def summarise(case: Diagnosis) -> Row:
    """Return one customer's row: the worst site's verdict and bracket, and the losses of all phones (no trunks)."""
    phones = case.phones.filter(~pl.col("trunk"))
    losses = case.intervals.filter(~pl.col("trunk"))
    is_nat = losses["cause"] == "nat_expiry"
    others = losses.filter(~is_nat)["cause"].cast(pl.String).value_counts()
    others = others.sort(pl.col("cause") == "unknown", "count", "cause", descending=[False, True, False])
    lost = phones.filter(pl.col("losses") > 0).sort("unreachable_s", "losses", "peer", descending=[True, True, False])
    first, last = case.log.first, case.log.last
    return {
        "state": "read",
        "sites": case.sites.height,
        "gone": gone_sites(case),
        **_worst_site(case),
        "phones": phones.height,
        "phones_lost": lost.height,
        "losses": losses.height,
        "nat_losses": int(is_nat.sum()),
        "other_losses": int((~is_nat).sum()),
        "unreachable_s": float(phones["unreachable_s"].sum()),
        "worst_phones": lost["peer"].head(3).to_list(),
        "not_nat": others["cause"].to_list(),
        "not_nat_losses": others["count"].to_list(),
        "first": first,
        "last": last,
        "nat_by_bin": _by_bin(losses.filter(is_nat)["start"], first, last),
        "other_by_bin": _by_bin(losses.filter(~is_nat)["start"], first, last),
        "warnings": [finding.id for finding in case.findings if finding.id in _WARNINGS],
        "events": case.log.events.height,
        "unparsed": case.log.unparsed.height,
    }


def _worst_site(case: Diagnosis) -> Row:
    """Return the columns about the site that needs help most; what its bracket was before it was fixed in the log."""
    earlier = case.eras.filter(pl.col("verdict") == "too_short").sort("era").group_by("site")
    before = earlier.agg(before_low_s=pl.col("low_s").last(), before_high_s=pl.col("high_s").last())
    fixed = cured_sites(case).select("site", fixed_at="changed_at").join(before, on="site")
    ranking = (URGENCY, pl.col("fixed_at").is_null(), -pl.col("cycles_expired"), pl.col("site"))
    worst = case.sites.join(fixed, on="site", how="left").sort(ranking).head(1)
    own = ("verdict", "site", "low_s", "high_s", "level", "probability_too_short")
    return next(worst.select(*own, *fixed.columns[1:]).iter_rows(named=True), {})


def _by_bin(starts: pl.Series, first: datetime | None, last: datetime | None) -> list[int]:
    """Return how many of these times lie in each of `BINS` equal parts of the log."""
    if first is None or last is None:
        return [0] * BINS
    begin, end = first.timestamp(), max(last.timestamp(), first.timestamp() + 1)
    seconds = starts.dt.epoch("us").to_numpy() / 1e6
    counts, _ = np.histogram(seconds.clip(begin, end), BINS, (begin, end))
    return [int(n) for n in counts]
