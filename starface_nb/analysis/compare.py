"""Before and after: did a change of the router, or of the phones' keepalive, end the NAT losses?

Under the old timeout a phone that was lost before is lost again once in every re-REGISTER period, about as reliably as
before. What speaks for a cure is exposure: periods in which such a phone should have been lost and was not. Prior
odds of a cure are even.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import comb, exp, log
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from starface_nb.analysis import common_phones
from starface_nb.analysis.comparison import Basis, Comparison, Side, SiteComparison
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.analysis.exposure import JITTER, Bracket, Exposure, Lived, Window, bracket, expose, nat_losses, side_of
from starface_nb.errors import SettingError
from starface_nb.observations.addresses import UNKNOWN
from starface_nb.observations.completeness import FORBID_ALL_CLEAR

__all__ = ["Comparison", "Side", "SiteComparison", "compare", "compare_at"]

SURE = 0.95
"""Probability from which a verdict is given."""
LEAST_MISS = 0.02
"""A period may pass without its loss because a renewal was not seen."""
PARTIAL, PARTIAL_MISS = 0.1, 0.7
"""Prior share of "not cured" in which the timeout now only just misses the period, and how often it then holds."""
ALL_SILENT = 0.002
"""Probability that a quiet log is quiet for a reason common to all phones, although it shows them."""
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
NOT_TOLD = ("never_lost", "nothing_to_compare", "open_before", "too_short_before", "too_short_after")
_NEVER = datetime.fromtimestamp(0, UTC)  # of a log without a time, which has no sites either
AT_ONCE = timedelta(hours=2)
"""A log that begins so soon after the other one may begin with bindings made under the old timeout."""
APART = timedelta(minutes=30)
"""Losses that stopped so far from the time that was named stopped at another one."""


def compare(before: Diagnosis, after: Diagnosis) -> Comparison:
    """Compare two logs of one customer.

    Parameters
    ----------
    before, after : Diagnosis
        The second log is the one after the change. What it repeats of the first one's time does not count.

    Returns
    -------
    Comparison
    """
    zone = after.log.time_zone
    shown = common_phones.seen_after(before, after)
    if why := _why_not(before, after, shown):
        lacks = {"after": after.observation.lacking.missing} if why == "incomplete" else {}
        return replace(_overall([_cannot(names, why) for names in _places(before)], zone), incomplete=lacks)
    found = []
    for old, new in _matching_sites(before, after):
        a, b = _newest(before, old, first=True), _newest(after, new, first=False)
        changed = _changed_at(after, new)
        if changed is None or changed < a.end:
            changed = a.end if a.end != before.log.last else None
        settling = changed is not None or a.end > b.start - AT_ONCE
        since = replace(b, start=max(b.start, a.end), seen=shown.filter(pl.col("end") > a.end))
        found.append(_judge(a, since, changed, settling))
    lacks = {name: _lacking(case) for name, case in (("before", before), ("after", after))}
    moved = common_phones.other_addresses(before, after)
    return replace(_overall(found, zone), other_addresses=moved, incomplete=lacks)


def _why_not(before: Diagnosis, after: Diagnosis, shown: pl.DataFrame) -> str:
    """Return why two logs are not compared, or nothing."""
    if common_phones.is_same(before.log, after.log):
        return "same"
    if common_phones.are_two_customers(before.log, after.log):
        return "two_customers"
    if common_phones.is_older(before.log, after.log):
        return "older"
    if shown.is_empty():
        both = set(before.phones["peer"]) & set(after.phones["peer"])
        return "incomplete" if both else "no_common_phone" if after.phones.height else "no_phone"
    if common_phones.are_strangers(before, after, shown):
        return "strangers"
    return "overlap" if common_phones.are_beside(before.log, after.log) else ""


def compare_at(case: Diagnosis, at: datetime | None = None) -> Comparison:
    """Compare one log before and after a moment.

    Parameters
    ----------
    case : Diagnosis
    at : datetime, optional
        Aware; where not given, each site is cut where its timeout was found to change. A site whose losses stopped
        there, and not at the time given, is cut there all the same, and says so.

    Raises
    ------
    SettingError
        `at` has no time zone, or lies outside the log.
    """
    at = _moment(case, at) if at is not None else None
    found = []
    for sites in _places(case):
        window, seen = _whole(case, sites), _changed_at(case, sites)
        judged = _parted(window, at or seen)
        found.append(_stopped_elsewhere(window, judged, at, seen) if at and seen else judged)
    unasked = at is None and bool(found) and all(site.changed_at is None for site in found)
    lacks = {"whole": _lacking(case)}
    return replace(_overall(found, case.log.time_zone), halves=unasked, incomplete=lacks)


def _parted(window: Window, changed: datetime | None) -> SiteComparison:
    """Compare a window before and after a change, or else its halves."""
    cut = changed or window.start + (window.end - window.start) / 2
    return _judge(replace(window, end=cut), replace(window, start=cut), changed, changed is not None)


def _stopped_elsewhere(window: Window, judged: SiteComparison, at: datetime, seen: datetime) -> SiteComparison:
    """Compare at the change that was seen where the losses stopped there: long after the time named, or before it."""
    there = _parted(window, seen)
    late = seen > at and judged.reason != "no_losses"
    early = seen < at and _parted(replace(window, end=at), seen).verdict == "fixed"
    stopped = there.verdict == "fixed" and abs(seen - at) > APART and (late or early)
    return replace(there, reason="another_time") if stopped else judged


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
    names = sorted(case.sites["site"], key=UNKNOWN.__eq__)
    return [tuple(names)] if len(names) == 2 and UNKNOWN in names else [(name,) for name in case.sites["site"]]


def _matching_sites(before: Diagnosis, after: Diagnosis) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Pair the places by the phones they share; a log that no phone of a place left a line in is still one of it."""
    old, new = (dict(c.phones.filter(~pl.col("trunk")).select("peer", "site").iter_rows()) for c in (before, after))
    places = _places(after)
    pairs = []
    for names in _places(before):
        there = [new[peer] for peer, where in old.items() if where in names and peer in new]
        best = max(places, key=lambda place: sum(where in place for where in there), default=names)
        pairs.append((names, best if any(where in best for where in there) else names))
    return pairs


def _whole(case: Diagnosis, sites: tuple[str, ...]) -> Window:
    return Window(case, sites, case.log.first or _NEVER, case.log.last or _NEVER, case.observation.usable)


def _newest(case: Diagnosis, sites: tuple[str, ...], *, first: bool) -> Window:
    """Return the log since its last change; if that was the cure of the first log itself, the time up to it."""
    window, changed = _whole(case, sites), _changed_at(case, sites)
    if changed is None:
        return window
    eras = case.eras.filter(pl.col("site") == sites[0]).sort("era")["verdict"].to_list()
    if first and eras[-2:] == ["too_short", "no_expiry_seen"]:
        return replace(window, end=changed)
    return replace(window, start=changed)


def _changed_at(case: Diagnosis, sites: tuple[str, ...]) -> datetime | None:
    found = case.sites.filter(pl.col("site") == sites[0])["changed_at"].drop_nulls()
    return found[0] if len(found) else None


# -- judgement --------------------------------------------------------------------------------------------------------


def _judge(left: Window, right: Window, changed: datetime | None, settling: bool) -> SiteComparison:
    usual = left.case.settings.keepalive_s
    here = left.case.phones.filter(pl.col("site").is_in(left.sites), ~pl.col("trunk")).sort("peer")
    periods = {peer: period or usual for peer, period in here.select("peer", "period_s").iter_rows()}
    lost = set(nat_losses(left, list(periods))["peer"])
    touched = {peer: period for peer, period in periods.items() if peer in lost}
    was, now = bracket(left), bracket(right)
    old = expose(left, touched or periods)
    new = expose(right, touched or periods, (usual if was[1] is None else was[1]) if settling else None)
    old = {peer: phone for peer, phone in old.items() if peer in new or not new}  # only phones in both are compared
    now = now if any(phone.seconds > 0 for phone in new.values()) else (None, None)  # silence has no timeout
    if touched and not new:
        return _cannot(right.sites, "no_common_phone")
    if any("seconds" in side.case.observation.lacking.missing for side in (left, right)):
        return _cannot(right.sites, "seconds")
    sides, (basis, few) = (side_of(left, old, was), side_of(right, new, now)), _basis(left, right, periods)
    hours = None
    if touched:
        cured = _cured(old, new)
        verdict, probability, reason = _verdict(cured, old, new, was, now)
        if few and verdict in ("fixed", "cannot_tell"):
            verdict, probability, reason = "cannot_tell", 0.5, "few_phones"
        elif verdict in ("fixed", "improved") and not _too_short(left):
            verdict, probability, reason = "cannot_tell", 0.5, "open_before"
        elif reason == "stray_losses" and _too_short(right):  # they are its own, though there are few
            verdict, reason = "cannot_tell", "too_little_exposure"
        hours = _hours_needed(old, new) if reason in ("too_little_exposure", "too_short_log") else None
    else:
        verdict, probability, reason = _nothing_before(right, *sides)
    needed = {"renewals"} if verdict == "cannot_tell" else set()  # more of the log will show them
    if reason != "same_losses" and any(set(_lacking(side.case)) - needed for side in (left, right)):
        return replace(_cannot(right.sites, "incomplete"), changed_at=changed)
    return SiteComparison(verdict, probability, changed, hours, *sides, right.sites[0], reason, basis)


def _too_short(window: Window) -> bool:
    """Say whether the log tells that a timeout was too short at any time of a window."""
    then = (pl.col("start") < window.end) & (pl.col("end") > window.start) & (pl.col("verdict") == "too_short")
    return window.case.eras.filter(pl.col("site").is_in(window.sites), then).height > 0


def _basis(left: Window, right: Window, periods: dict[str, float]) -> tuple[Basis, bool]:
    """Return which phones the comparison rests on, and whether most of them are missing or mostly dead after."""
    there = {peer for peer, phone in expose(left, periods).items() if phone.seconds > 0}
    missing = there - set(expose(right, periods))
    lost = right.case.intervals.filter(pl.col("peer").is_in(list(there - missing)), pl.col("end").is_null())
    starts = lost.select("peer", "start").iter_rows()
    away = {peer: (right.end - max(start, right.start)).total_seconds() for peer, start in starts}
    gone = {peer: seconds for peer, seconds in away.items() if seconds > JITTER * periods[peer]}
    dead = sum(2 * seconds > (right.end - right.start).total_seconds() for seconds in gone.values())
    basis = Basis(len(there), sorted(missing), sorted(gone))
    return basis, 2 * (len(missing) + dead) > len(there)


def _lacking(case: Diagnosis) -> tuple[str, ...]:
    """Return the missing lines without which a phone's silence is no evidence; calls show phones all the same."""
    told = FORBID_ALL_CLEAR - {"others"} if case.phones.height else ()
    return tuple(name for name in case.observation.lacking.missing if name in told)


def _cannot(sites: tuple[str, ...], reason: str) -> SiteComparison:
    """Return that nothing is compared at a place, and why."""
    return SiteComparison("cannot_tell", 0.5, None, None, None, None, sites[0], reason)


def _cured(old: Exposure, new: Exposure) -> float:
    """Return the probability of a cure."""
    as_before, partly, losses = log(1.0 - PARTIAL), log(PARTIAL), sum(phone.losses for phone in new.values())
    for peer, phone in new.items():
        share = (1.0 + old[peer].losses) / (2.0 + old[peer].periods) if peer in old else 0.5
        as_before += _odds_of(phone, max(1.0 - share, LEAST_MISS))
        partly += _odds_of(phone, PARTIAL_MISS)
    ill = float(np.logaddexp.reduce([as_before, partly, -700.0 if losses else log(ALL_SILENT)]))
    return min(max(1.0 / (1.0 + exp(min(ill - losses * log(STRAY), 700.0))), 1e-4), 1.0 - 1e-4)


def _odds_of(phone: Lived, miss: float) -> float:
    """Return the log-likelihood of a phone's losses where a period passes without one by a probability."""
    return max(phone.losses * log(max(1.0 - miss, 1e-3)) + (phone.periods - phone.losses) * log(miss), -700.0)


def _verdict(cured: float, old: Exposure, new: Exposure, was: Bracket, now: Bracket) -> tuple[str, float, str]:
    lost, periods = (sum(counts) for counts in zip(*((p.losses, p.periods) for p in new.values()), strict=True))
    if cured >= SURE and _long_enough(new):
        return "fixed", cured, "no_losses" if not lost else "stray_losses"
    if 1.0 - cured < SURE or not lost:
        return "cannot_tell", cured, "too_little_exposure" if periods else "too_short_log"
    moved = _moved(was, now) if lost >= LEAST_LOSSES else 0
    if moved:
        return ("improved", 1.0 - cured, "longer_timeout") if moved > 0 else ("worse", 1.0 - cured, "shorter_timeout")
    rate = (0.5 + sum(p.losses for p in old.values())) / (1.0 + sum(p.periods for p in old.values()))
    if lost <= 0.6 * rate * periods and _at_most(lost, periods, rate) < RARE:
        return "improved", 1.0 - cured, "fewer_losses"
    if rate < 0.6 and 1.0 - _at_most(lost - 1, periods, rate) < RARE:
        return "worse", 1.0 - cured, "more_losses"
    return "unchanged", 1.0 - cured, "same_losses"


def _moved(was: Bracket, now: Bracket) -> int:
    """Return 1 where the timeout's bracket lies higher than before, -1 where it lies lower, else 0."""
    if was[1] is None or now[1] is None:
        return 0
    low, high, new_low, new_high = was[0] or 0.0, was[1], now[0] or 0.0, now[1]
    if abs(new_low + new_high - low - high) / 2.0 < CLEARLY_S:
        return 0
    return int(new_low >= high - SLOP_S) - int(new_high <= low + SLOP_S)


def _long_enough(new: Exposure) -> bool:
    return 2 * sum(phone.periods >= LEAST_PERIODS for phone in new.values()) >= len(new)


def _at_most(k: int, n: int, p: float) -> float:
    """Return the binomial probability of at most `k` of `n`."""
    return sum(comb(n, i) * p**i * (1.0 - p) ** (n - i) for i in range(min(k, n) + 1))


def _nothing_before(right: Window, before: Side, after: Side) -> tuple[str, float, str]:
    """Judge a site without NAT losses before the change."""
    if not before.periods:
        return "cannot_tell", 0.5, "too_short_before"
    row = right.case.sites.filter(pl.col("site") == right.sites[0])
    verdict = str(row["verdict"][0]) if row.height else "undetermined"
    if verdict == "undetermined":
        return "cannot_tell", 0.5, "nothing_to_compare"
    too_short = float(row["probability_too_short"][0] or 0.0)
    if verdict == "too_short" and after.losses:
        return "worse", too_short, "new_losses"
    if not after.periods:
        return "cannot_tell", 0.5, "too_short_after"
    return "unchanged", 1.0 - too_short, "never_lost"


def _hours_needed(old: Exposure, new: Exposure) -> float | None:
    """Return how many more quiet hours would tell a cure; None where no two weeks of log would."""
    for hours in [h / 2 for h in range(1, 97)] + [float(h) for h in range(50, 337, 2)]:
        ahead = {peer: phone._replace(seconds=phone.seconds + 3600.0 * hours) for peer, phone in new.items()}
        if _long_enough(ahead) and _cured(old, ahead) >= SURE:
            return hours
    return None


def _overall(sites: Sequence[SiteComparison], time_zone: str) -> Comparison:
    """Sum up; sites that had NAT losses neither before nor after decide only where there is no other."""
    new = [s for s in sites if s.reason == "too_short_before" and s.after and s.after.losses]
    told = [s for s in sites if s.reason not in NOT_TOLD or s in new] or list(sites)
    verdicts = {s.verdict for s in told}
    if "worse" in verdicts:
        verdict = "worse"
    elif len(verdicts) == 1:
        verdict = verdicts.pop()
    elif verdicts & {"fixed", "improved"} and verdicts != {"fixed", "cannot_tell"}:
        verdict = "improved"
    else:
        verdict = "cannot_tell"
    chosen = [s for s in told if s.verdict == verdict] or told
    return Comparison(
        verdict,
        min((s.probability for s in chosen), default=0.5),
        min((s.changed_at for s in told if s.changed_at), default=None),
        max((s.hours_needed for s in told if s.hours_needed is not None), default=None),
        _sum([s.before for s in told]),
        _sum([s.after for s in told]),
        tuple(sites),
        time_zone,
    )


def _sum(sides: list[Side | None]) -> Side | None:
    there = [side for side in sides if side is not None]
    if len(there) < 2:
        return there[0] if there else None
    hours, calls = max(s.hours for s in there), sum(s.calls_lost for s in there)
    return Side(sum(s.losses for s in there), sum(s.periods for s in there), hours, None, None, calls)
