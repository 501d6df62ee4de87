"""The one experiment that narrows a site's NAT timeout most, and what each outcome would mean.

Nothing in it is needed for the cure, which is a timeout longer than the keepalive: it is for routers whose timeout
cannot be set or seen, and for logs that cannot tell.
"""

from dataclasses import dataclass
from math import ceil
from typing import Any

import polars as pl

from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.analysis.findings import GUIDE_KEEPALIVE_S, hours_missing, tries_keepalive
from starface_nb.errors import SettingError
from starface_nb.observations.addresses import PRIVATE

MOST_RUNGS = 5
NARROW_S = 15.0
"""A bracket narrower than this needs no experiment."""
SHORTER_S = 20.0
"""Beside the 30 s of the guide: some routers' default is just that."""
QUALIFY_S = 300.0


@dataclass(frozen=True)
class Outcome:
    """What may be seen, and the bracket of the timeout it would leave; `high_s` None: no upper bound."""

    id: str
    low_s: float
    high_s: float | None
    at_s: float | None = None


@dataclass(frozen=True)
class Experiment:
    """One thing to try at one site.

    Attributes
    ----------
    id : str
        `two_keepalives`, `one_keepalive`, `reregister_ladder`, `slower_probes`, `more_log`, `whole_log` (lines are
        missing), `seconds` (its times have none) or `none`.
    site : str
    settings_s : tuple of float
        The values to set, seconds: keepalives or re-REGISTER periods from short to long, or a probe interval.
    phones : tuple of str
        Phones to set them on, one each, in the same order; empty where it is half of the phones each.
    watch_hours : float
        How long to watch before reading the outcome.
    outcomes : tuple of Outcome
        From the shortest timeout to the longest.
    """

    id: str
    site: str
    settings_s: tuple[float, ...] = ()
    phones: tuple[str, ...] = ()
    watch_hours: float = 0.0
    outcomes: tuple[Outcome, ...] = ()


def what_next(case: Diagnosis, site: str | None = None) -> Experiment:
    """Return the experiment that narrows a site's timeout most.

    Parameters
    ----------
    case : Diagnosis
    site : str, optional
        Where not given, the site whose timeout is too short or not told, with the most losses.

    Returns
    -------
    Experiment

    Raises
    ------
    SettingError
        The log has no such site, or none at all.
    """
    row = _site(case, site)
    name, low, high = row["site"], row["low_s"] or 0.0, row["high_s"]
    keepalive = case.settings.keepalive_s
    phones = _steady_phones(case, name)
    if name == PRIVATE:
        return Experiment("none", name)
    watched = case.phones.filter(pl.col("peer").is_in(phones) & (pl.col("observed_s") > 0))
    if not case.observation.lacking.more_would_tell or watched.is_empty():
        better = "seconds" if "seconds" in case.observation.lacking.missing else "whole_log"
        return Experiment(better if row["verdict"] != "too_short" else "none", name)
    if row["verdict"] == "undetermined":
        seen = row["cycles_expired"] + row["cycles_survived"]
        lost = case.intervals.filter(pl.col("peer").is_in(phones))
        hours = hours_missing(seen, len(phones), case.log, keepalive)
        if hours is None:
            return (
                _one_keepalive(name, lost, keepalive) if tries_keepalive(lost, keepalive) else Experiment("none", name)
            )
        outcomes = (Outcome("repeating", 0.0, keepalive), Outcome("no_loss", keepalive, None))
        return Experiment("more_log", name, (), (), float(ceil(max(hours, 2.0 * keepalive / 3600.0))), outcomes)
    if row["verdict"] == "no_expiry_seen" and low < QUALIFY_S:
        outcomes = (Outcome("lost", low, QUALIFY_S), Outcome("quiet", QUALIFY_S, None))
        return Experiment("slower_probes", name, (QUALIFY_S,), phones[:1], 1.0, outcomes)
    if row["verdict"] == "too_short" and (high is None or high <= case.settings.probe_interval_s + 5.0):
        return _two_keepalives(name, low, high)
    if row["verdict"] == "too_short" and high - low > NARROW_S and _ports_tell(case, phones):
        return _ladder(name, low, high, phones)
    return Experiment("none", name)


def _site(case: Diagnosis, site: str | None) -> dict[str, Any]:
    rows = case.sites if site is None else case.sites.filter(pl.col("site") == site)
    if not rows.height:
        known = ", ".join(case.sites["site"]) or "none"
        raise SettingError(f"The log has no site {site or ''}.", next_step=f"Sites in it: {known}.")
    order = pl.col("verdict").replace_strict({"too_short": 0, "undetermined": 1, "no_expiry_seen": 2})
    return rows.sort(order, -pl.col("cycles_expired"), "site").row(0, named=True)


def _steady_phones(case: Diagnosis, site: str) -> tuple[str, ...]:
    """Return the site's phones, first those that lose their entries, then those with the fewest other losses.

    The first may have no keepalive of their own, which would keep any entry alive; the fewest answer most clearly.
    """
    nat = (pl.col("cause") == "nat_expiry").sum()
    lost = case.intervals.group_by("peer").agg(nat.alias("nat"), (pl.len() - nat).alias("others"))
    here = case.phones.filter(pl.col("site") == site, ~pl.col("trunk")).join(lost, on="peer", how="left")
    here = here.with_columns(pl.col("nat", "others").fill_null(0))
    return tuple(here.sort(2 * pl.col("nat") < pl.col("nat").max(), "others", "peer")["peer"].to_list())


def _one_keepalive(site: str, lost: pl.DataFrame, keepalive: float) -> Experiment:
    """The phone that is lost most often, for twice as long as it takes it to be lost again."""
    span = (pl.col("start").max() - pl.col("start").min()).dt.total_seconds()
    each = lost.group_by("peer").agg(pl.len(), span.alias("span"))
    peer, count, whole = each.sort(-pl.col("len").cast(int), "peer").row(0)
    hours = float(ceil(2 * max(keepalive, whole / max(count - 1, 1)) / 3600.0))
    outcomes = (Outcome("it_ends", GUIDE_KEEPALIVE_S, keepalive), Outcome("it_goes_on", keepalive, None))
    return Experiment("one_keepalive", site, (GUIDE_KEEPALIVE_S,), (peer,), hours, outcomes)


def _two_keepalives(site: str, low: float, high: float | None) -> Experiment:
    outcomes = (
        Outcome("none_quiet", low, SHORTER_S, SHORTER_S),
        Outcome("shorter_quiet", max(low, SHORTER_S), GUIDE_KEEPALIVE_S, SHORTER_S),
        Outcome("all_quiet", max(low, GUIDE_KEEPALIVE_S), high, GUIDE_KEEPALIVE_S),
    )
    return Experiment("two_keepalives", site, (SHORTER_S, GUIDE_KEEPALIVE_S), (), 3.0, outcomes)


def _ports_tell(case: Diagnosis, phones: tuple[str, ...]) -> bool:
    """Whether a phone whose binding died comes back from another port, which its registration then shows."""
    here = pl.col("peer").is_in(phones)
    died = case.intervals.filter(here, pl.col("cause") == "nat_expiry").height
    return 2 * case.log.events.filter(here, pl.col("kind") == "registered").height > died


def _ladder(site: str, low: float, high: float, phones: tuple[str, ...]) -> Experiment:
    """One phone each with another re-REGISTER period: so many outcomes at once.

    Between two probes a binding may die and be made anew without a loss. That shows in the port: it stays only where
    the period is shorter than the timeout.
    """
    rungs = max(1, min(MOST_RUNGS, len(phones) - 1, int((high - low) // 10.0)))
    step = (high - low) / (rungs + 1)
    values = sorted({float(round((low + step * (i + 1)) / 5.0) * 5) for i in range(rungs)})
    values = [v for v in values if low < v < high] or [round((low + high) / 2.0, 1)]
    kept = (Outcome("kept_up_to", at, above, at) for at, above in zip(values, [*values[1:], high], strict=True))
    outcomes = (Outcome("none_kept", low, values[0]), *kept)
    hours = max(1.0, ceil(3.0 * high / 1800.0) / 2.0)
    return Experiment("reregister_ladder", site, tuple(values), phones[: len(values)], hours, outcomes)
