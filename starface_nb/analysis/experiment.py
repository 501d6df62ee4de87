"""The one experiment that narrows a site's NAT timeout most, and what each outcome would mean.

Nothing in it is needed for the cure, which is a timeout longer than the keepalive: it is for routers whose timeout
cannot be set or seen, and for logs that cannot tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import polars as pl

from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.errors import SettingError

MOST_RUNGS = 5
NARROW_S = 15.0
"""A bracket narrower than this needs no experiment."""
ENOUGH_CYCLES = 6
GUIDE_KEEPALIVE_S, SHORTER_S = 30.0, 20.0
"""The guide's newer edition lowers the keepalive to 30 s; some routers' default is just that, hence 20 s beside it."""
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
        `two_keepalives`, `keepalive_ladder`, `longer_reregister`, `slower_probes`, `more_log` or `none`.
    site : str
    settings_s : tuple of float
        The values to set, seconds: keepalives from short to long, a re-REGISTER period or a probe interval.
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
    if row["verdict"] == "undetermined":
        seen = row["cycles_expired"] + row["cycles_survived"]
        hours = max(ENOUGH_CYCLES - seen, 2) / max(len(phones), 1) * keepalive / 3600.0
        outcomes = (Outcome("repeating", 0.0, keepalive), Outcome("no_loss", keepalive, None))
        return Experiment("more_log", name, (), (), float(ceil(max(hours, 2.0 * keepalive / 3600.0))), outcomes)
    if row["verdict"] == "no_expiry_seen":
        return _longer(name, low, phones[:1], keepalive, row["renewed_by"])
    if high is not None and high - low <= NARROW_S:
        return Experiment("none", name)
    if high is None or high <= case.settings.probe_interval_s + 5.0:
        return _two_keepalives(name, low, high)
    return _ladder(name, low, high, phones, keepalive)


def _site(case: Diagnosis, site: str | None) -> dict[str, Any]:
    rows = case.sites if site is None else case.sites.filter(pl.col("site") == site)
    if not rows.height:
        known = ", ".join(case.sites["site"]) or "none"
        raise SettingError(f"The log has no site {site or ''}.", next_step=f"Sites in it: {known}.")
    order = pl.col("verdict").replace_strict({"too_short": 0, "undetermined": 1, "no_expiry_seen": 2})
    return rows.sort(order, -pl.col("cycles_expired"), "site").row(0, named=True)


def _steady_phones(case: Diagnosis, site: str) -> tuple[str, ...]:
    """Return the site's phones, those with the fewest losses of other causes first: they answer most clearly."""
    other = case.intervals.filter(pl.col("cause") != "nat_expiry").group_by("peer").agg(pl.len().alias("others"))
    here = case.phones.filter(pl.col("site") == site, ~pl.col("trunk")).join(other, on="peer", how="left")
    return tuple(here.sort(pl.col("others").fill_null(0), "peer")["peer"].to_list())


def _two_keepalives(site: str, low: float, high: float | None) -> Experiment:
    outcomes = (
        Outcome("none_quiet", low, SHORTER_S, SHORTER_S),
        Outcome("shorter_quiet", max(low, SHORTER_S), GUIDE_KEEPALIVE_S, SHORTER_S),
        Outcome("all_quiet", max(low, GUIDE_KEEPALIVE_S), high, GUIDE_KEEPALIVE_S),
    )
    return Experiment("two_keepalives", site, (SHORTER_S, GUIDE_KEEPALIVE_S), (), 3.0, outcomes)


def _ladder(site: str, low: float, high: float, phones: tuple[str, ...], keepalive: float) -> Experiment:
    """One phone each with another keepalive: so many outcomes at once."""
    rungs = max(1, min(MOST_RUNGS, len(phones) - 1, int((high - low) // 10.0)))
    step = (high - low) / (rungs + 1)
    values = sorted({float(round((low + step * (i + 1)) / 5.0) * 5) for i in range(rungs)})
    values = [v for v in values if low < v < high] or [round((low + high) / 2.0, 1)]
    quiet = (Outcome("quiet_up_to", at, above, at) for at, above in zip(values, [*values[1:], high], strict=True))
    hours = ceil(3.0 * keepalive / 1800.0) / 2.0
    outcomes = (Outcome("all_lost", low, values[0]), *quiet)
    return Experiment("keepalive_ladder", site, tuple(values), phones[: len(values)], hours, outcomes)


def _longer(site: str, low: float, phone: tuple[str, ...], keepalive: float, renewed_by: str) -> Experiment:
    """No loss was seen: let one phone's binding grow older than any did so far."""
    if renewed_by == "any_packet":
        outcomes = (Outcome("lost", low, QUALIFY_S), Outcome("quiet", QUALIFY_S, None))
        return Experiment("slower_probes", site, (QUALIFY_S,), phone, 1.0, outcomes)
    longer = 2.0 * keepalive
    outcomes = (Outcome("lost", low, longer), Outcome("quiet", longer, None))
    return Experiment("longer_reregister", site, (longer,), phone, 4.0 * keepalive / 3600.0, outcomes)
