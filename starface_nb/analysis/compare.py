"""Before and after: did a change of the router, or of the phones' keepalive, end the NAT losses?

Under the old timeout a phone that was lost before is lost again once in every re-REGISTER period, about as reliably as
before. What speaks for a cure is exposure: periods in which such a phone should have been lost and was not. Prior
odds of a cure are even.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil, comb, exp, log
from zoneinfo import ZoneInfo

import polars as pl

from starface_nb.analysis.comparison import Comparison, Side, SiteComparison
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.analysis.exposure import Exposure, Window, bracket, expose, side_of
from starface_nb.analysis.sites import UNKNOWN
from starface_nb.errors import SettingError

__all__ = ["Comparison", "Side", "SiteComparison", "compare", "compare_at"]

SURE = 0.95
"""Probability from which a verdict is given."""
LEAST_MISS = 0.02
"""A period may pass without its loss because a renewal was not seen."""
PARTIAL, PARTIAL_MISS = 0.1, 0.7
"""Prior share of "not cured" in which the timeout now only just misses the period, and how often it then holds."""
SWITCHED_OFF = 0.1
"""Probability that a phone without any line in the second log was switched off rather than well."""
ALL_SILENT, SOME_LINES = 0.03, 0.002
"""Probability that a quiet log is quiet for a reason common to all phones: without any peer's line, and with some."""
STRAY = 0.02
"""Probability per period of a loss that only looks like the NAT timeout's."""
RARE = 0.01
"""A count of losses less probable than this under the old rate counts as a change."""
LEAST_LOSSES = 3
"""Losses after the change that it takes to call the timeout another one."""
LEAST_PERIODS = 2
"""Periods that at least half of the phones must have outlived before a cure is told: once may be luck of the moment."""
SLOP_S, CLEARLY_S = 1.5, 30.0
"""How far a bracket's end may be off, and how far two brackets' middles must lie apart to be two timeouts: seconds."""


def compare(before: Diagnosis, after: Diagnosis, *, keepalive_after_s: float | None = None) -> Comparison:
    """Compare two logs of one customer.

    Parameters
    ----------
    before, after : Diagnosis
        The second log is the one after the change.
    keepalive_after_s : float, optional
        The phones' keepalive in the second log where that is what was changed, seconds.

    Returns
    -------
    Comparison
    """
    found = []
    for old, new in _matching_sites(before, after):
        a, b = _newest(before, old, first=True), _newest(after, new, first=False)
        if a is None or b is None:
            continue
        changed = _changed_at(after, new[0]) or (a.end if a.end != before.log.last else None)
        grace = changed is not None or a.end > b.start - timedelta(hours=2)
        found.append(_judge(a, b, changed, grace=grace, keepalive=keepalive_after_s))
    return _overall(found, after.log.time_zone)


def compare_at(case: Diagnosis, at: datetime | None = None, *, keepalive_after_s: float | None = None) -> Comparison:
    """Compare one log before and after a moment.

    Parameters
    ----------
    case : Diagnosis
    at : datetime, optional
        Aware; where not given, each site is cut where its timeout was found to change.
    keepalive_after_s : float, optional
        As in `compare`.

    Raises
    ------
    SettingError
        `at` has no time zone, or lies outside the log.
    """
    at = _moment(case, at) if at is not None else None
    found = []
    for sites in _places(case):
        window = _whole(case, sites)
        if window is None:
            continue
        changed = _changed_at(case, sites[0])
        cut = at or changed or window.start + (window.end - window.start) / 2
        left, right = replace(window, end=cut), replace(window, start=cut, joined=True)
        found.append(_judge(left, right, at or changed, grace=bool(at or changed), keepalive=keepalive_after_s))
    return _overall(found, case.log.time_zone)


def _moment(case: Diagnosis, at: datetime) -> datetime:
    first, last = case.log.first, case.log.last
    if at.tzinfo is None:
        raise SettingError(f"The time {at} has no time zone.", next_step="Give an aware datetime.")
    if first is None or last is None or not first < at < last:
        zone = ZoneInfo(case.log.time_zone)
        span = f"{first.astimezone(zone)} to {last.astimezone(zone)}" if first and last else "no time at all"
        raise SettingError(f"The time {at} lies outside the log.", next_step=f"The log covers {span}.")
    return at.astimezone(UTC)


# -- which site is which ----------------------------------------------------------------------------------------------


def _places(case: Diagnosis) -> list[tuple[str, ...]]:
    """Return the log's sites; phones without a known address belong to the only site there is."""
    names = [name for name in case.sites["site"] if name != UNKNOWN]
    lost = UNKNOWN in case.sites["site"]
    if len(names) == 1 and lost:
        return [(names[0], UNKNOWN)]
    return [(name,) for name in [*names, *([UNKNOWN] if lost else [])]]


def _matching_sites(before: Diagnosis, after: Diagnosis) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Pair the places by the phones they share; a log that no phone of a place left a line in is still one of it."""
    old = dict(before.phones.filter(~pl.col("trunk")).select("peer", "site").iter_rows())
    new = dict(after.phones.filter(~pl.col("trunk")).select("peer", "site").iter_rows())
    places = _places(after)
    pairs = []
    for names in _places(before):
        there = [new[peer] for peer, where in old.items() if where in names and peer in new]
        best = max(places, key=lambda place: sum(where in place for where in there), default=names)
        pairs.append((names, best if any(where in best for where in there) else names))
    return pairs


def _whole(case: Diagnosis, sites: tuple[str, ...]) -> Window | None:
    if case.log.first is None or case.log.last is None:
        return None
    return Window(case, sites, case.log.first, case.log.last)


def _newest(case: Diagnosis, sites: tuple[str, ...], *, first: bool) -> Window | None:
    """Return the log since its last change; if that was the cure of the first log itself, the time up to it."""
    window, changed = _whole(case, sites), _changed_at(case, sites[0])
    if window is None or changed is None:
        return window
    eras = case.eras.filter(pl.col("site") == sites[0]).sort("era")["verdict"].to_list()
    if first and eras[-2:] == ["too_short", "no_expiry_seen"]:
        return replace(window, end=changed)
    return replace(window, start=changed, joined=True)


def _changed_at(case: Diagnosis, site: str) -> datetime | None:
    found = case.sites.filter(pl.col("site") == site)["changed_at"].drop_nulls()
    return found[0] if len(found) else None


# -- judgement --------------------------------------------------------------------------------------------------------


def _judge(
    left: Window, right: Window, changed: datetime | None, *, grace: bool, keepalive: float | None
) -> SiteComparison:
    touched, periods = _touched(left)
    low, high = bracket(left)
    ceiling = high if high is not None else left.case.settings.keepalive_s
    old = expose(left, touched, periods, min(ceiling, 3600.0), grace=False)
    everyone = touched or _phones_at(left)
    new = expose(right, everyone, periods, min(ceiling, 3600.0), grace)
    after = bracket(right)
    sides = side_of(left, old, low, high), side_of(right, new, *after)
    if not touched:
        verdict, probability, reason = _nothing_before(right, sides[1])
        return SiteComparison(right.sites[0], verdict, probability, changed, None, *sides, *after, reason)
    cured = _cured(old, new, _peers_shown(right))
    verdict, probability, reason = _verdict(cured, old, new, (low, high), after)
    needed = _hours_needed(old, new, right, periods) if verdict == "cannot_tell" else None
    now = _narrowed((low, high), after, verdict, keepalive)
    return SiteComparison(right.sites[0], verdict, probability, changed, needed, *sides, *now, reason)


def _touched(window: Window) -> tuple[list[str], dict[str, float]]:
    """Return the phones that were lost by the NAT timeout, and every phone's re-REGISTER period in seconds."""
    case = window.case
    lost = case.intervals.filter(
        pl.col("cause") == "nat_expiry", pl.col("start") >= window.start, pl.col("start") < window.end
    )
    here = set(_phones_at(window))
    peers = sorted(peer for peer in lost["peer"].unique().to_list() if peer in here)
    rows = case.phones.select("peer", "period_s").iter_rows()
    return peers, {peer: period or case.settings.keepalive_s for peer, period in rows}


def _phones_at(window: Window) -> list[str]:
    return window.case.phones.filter(pl.col("site").is_in(window.sites), ~pl.col("trunk"))["peer"].sort().to_list()


def _peers_shown(window: Window) -> bool:
    events = window.case.log.events
    return events.filter(pl.col("peer").is_not_null(), pl.col("time") >= window.start).height > 0


def _cured(old: Exposure, new: Exposure, peers_shown: bool) -> float:
    """Return the probability of a cure."""
    whole = {"as before": log(1.0 - PARTIAL), "partly": log(PARTIAL)}
    well = 0.0
    for peer, periods in new.periods.items():
        lost = new.losses[peer]
        share = (1.0 + old.losses.get(peer, 0)) / (2.0 + old.periods.get(peer, 0))
        off = 0.0 if peer in new.shown else SWITCHED_OFF
        for name, miss in (("as before", max(1.0 - share, LEAST_MISS)), ("partly", PARTIAL_MISS)):
            kept = lost * log(max(1.0 - miss, 1e-3)) + (periods - lost) * log(miss)
            whole[name] += log(off + (1.0 - off) * exp(max(kept, -700.0)))
        well += lost * log(STRAY)
    common = log(SOME_LINES if peers_shown else ALL_SILENT) if not any(new.losses.values()) else -700.0
    worst = max(*whole.values(), common)
    ill = worst + log(sum(exp(v - worst) for v in (*whole.values(), common)))
    return min(max(1.0 / (1.0 + exp(min(ill - well, 700.0))), 1e-4), 1.0 - 1e-4)


def _verdict(
    cured: float,
    old: Exposure,
    new: Exposure,
    before: tuple[float | None, float | None],
    after: tuple[float | None, float | None],
) -> tuple[str, float, str]:
    lost, periods = sum(new.losses.values()), sum(new.periods.values())
    if cured >= SURE and _long_enough(new):
        return "fixed", cured, "no_losses" if not lost else "stray_losses"
    if 1.0 - cured < SURE or not lost:
        return "cannot_tell", cured, "too_little_exposure" if periods else "too_short_log"
    moved = _moved(before, after) if lost >= LEAST_LOSSES else 0
    if moved:
        return ("improved", 1.0 - cured, "longer_timeout") if moved > 0 else ("worse", 1.0 - cured, "shorter_timeout")
    rate = (0.5 + sum(old.losses.values())) / (1.0 + sum(old.periods.values()))
    if lost <= 0.6 * rate * periods and _at_most(lost, periods, rate) < RARE:
        return "improved", 1.0 - cured, "fewer_losses"
    if rate < 0.6 and 1.0 - _at_most(lost - 1, periods, rate) < RARE:
        return "worse", 1.0 - cured, "more_losses"
    return "unchanged", 1.0 - cured, "same_losses"


def _moved(before: tuple[float | None, float | None], after: tuple[float | None, float | None]) -> int:
    """Return 1 where the timeout's bracket lies higher than before, -1 where it lies lower, else 0."""
    if before[1] is None or after[1] is None:
        return 0
    low, high, new_low, new_high = before[0] or 0.0, before[1], after[0] or 0.0, after[1]
    if abs(new_low + new_high - low - high) / 2.0 < CLEARLY_S:
        return 0
    return int(new_low >= high - SLOP_S) - int(new_high <= low + SLOP_S)


def _long_enough(new: Exposure) -> bool:
    told = sum(periods >= LEAST_PERIODS for periods in new.periods.values())
    return 2 * told >= max(len(new.periods), 1)


def _at_most(k: int, n: int, p: float) -> float:
    """Return the binomial probability of at most `k` of `n`."""
    return sum(comb(n, i) * p**i * (1.0 - p) ** (n - i) for i in range(min(k, n) + 1)) if k >= 0 else 0.0


def _nothing_before(right: Window, after: Side) -> tuple[str, float, str]:
    """Judge a site without NAT losses before the change."""
    row = right.case.sites.filter(pl.col("site") == right.sites[0])
    verdict = str(row["verdict"][0]) if row.height else "undetermined"
    if verdict == "too_short" and after.losses:
        return "worse", float(row["probability_too_short"][0] or 0.0), "new_losses"
    if verdict == "undetermined":
        return "cannot_tell", 0.5, "nothing_to_compare"
    return "unchanged", 1.0 - float(row["probability_too_short"][0] or 0.0), "never_lost"


def _hours_needed(old: Exposure, new: Exposure, window: Window, periods: dict[str, float]) -> float | None:
    """Return how many more quiet hours would tell a cure; None where no reasonable log would."""
    ahead = Exposure(dict(new.periods), dict(new.losses), set(new.shown))
    keepalive = window.case.settings.keepalive_s
    for hours in [h / 2 for h in range(1, 97)] + list(range(50, 337, 2)):
        for peer, periods_now in new.periods.items():
            ahead.periods[peer] = periods_now + int(hours * 3600.0 // periods.get(peer, keepalive))
        if _long_enough(ahead) and _cured(old, ahead, peers_shown=True) >= SURE:
            return float(ceil(hours * 2) / 2)
    return None


def _narrowed(
    before: tuple[float | None, float | None],
    after: tuple[float | None, float | None],
    verdict: str,
    keepalive: float | None,
) -> tuple[float | None, float | None]:
    """Return what is known of the timeout now; an experiment leaves the router as it is and narrows the old bracket."""
    if keepalive is None or before[1] is None:
        return after
    low, high = before[0] or 0.0, before[1]
    if verdict == "fixed":
        return max(low, min(keepalive, high)), high
    if verdict == "unchanged" and low < keepalive:
        return low, min(high, keepalive)
    return low, high


def _overall(sites: list[SiteComparison], time_zone: str) -> Comparison:
    """Sum up; sites that never had NAT losses decide only where there is no other."""
    told = [s for s in sites if s.reason not in ("never_lost", "nothing_to_compare")] or sites
    verdicts = {s.verdict for s in told}
    if "worse" in verdicts:
        verdict = "worse"
    elif verdicts == {"fixed"}:
        verdict = "fixed"
    elif verdicts <= {"unchanged"} and verdicts:
        verdict = "unchanged"
    elif verdicts & {"fixed", "improved"} and verdicts != {"fixed", "cannot_tell"}:
        verdict = "improved"
    else:
        verdict = "cannot_tell"
    chosen = [s for s in told if s.verdict == verdict] or told
    probability = min((s.probability for s in chosen), default=0.5)
    changes = [s.changed_at for s in told if s.changed_at]
    needed = [s.hours_needed for s in told if s.hours_needed is not None]
    return Comparison(
        verdict, probability, min(changes) if changes else None, max(needed) if needed else None,
        _sum([s.before for s in told]), _sum([s.after for s in told]), tuple(sites), time_zone,
    )  # fmt: skip


def _sum(sides: list[Side]) -> Side:
    one = sides[0] if len(sides) == 1 else None
    return Side(
        sum(s.losses for s in sides), sum(s.periods for s in sides), max((s.hours for s in sides), default=0.0),
        one.low_s if one else None, one.high_s if one else None,
    )  # fmt: skip
