"""The result of a comparison: the two sides, each site, and all sites together, as data and as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from starface_nb.analysis.diagnosis import Finding, say


@dataclass(frozen=True)
class Side:
    """One side of the change: NAT losses, the periods that could have held one, hours, the bracket, and calls lost."""

    losses: int
    periods: int
    hours: float
    low_s: float | None
    high_s: float | None
    calls_lost: int = 0

    @property
    def bracket(self) -> dict[str, float | None]:
        """The bracket as plain data."""
        return {"low_s": self.low_s, "high_s": self.high_s}

    def to_json(self) -> dict[str, Any]:
        """Return the side as plain data."""
        counts = {"losses": self.losses, "periods": self.periods, "hours": round(self.hours, 2)}
        return {**counts, "bracket": self.bracket, "calls_lost": self.calls_lost}


def _plain_side(side: Side | None) -> dict[str, Any]:
    """Return a side as plain data: where nothing is compared, each of its figures is null."""
    nothing = dict.fromkeys(("losses", "periods", "hours", "bracket", "calls_lost"))
    return side.to_json() if side else {**nothing, "bracket": _plain_bracket(side)}


def _plain_bracket(side: Side | None) -> dict[str, float | None]:
    return side.bracket if side else {"low_s": None, "high_s": None}


@dataclass(frozen=True)
class Basis:
    """On how many phones of the time before it rests; which of them are not seen after, or are dead up to the end."""

    phones_before: int
    not_seen_after: list[str]
    unreachable_to_the_end: list[str]


@dataclass(frozen=True)
class Judged:
    """What a change did.

    Attributes
    ----------
    verdict : str
        `fixed`, `improved`, `unchanged`, `worse` or `cannot_tell`.
    probability : float
        Of the verdict; for `cannot_tell` that of a cure.
    changed_at : datetime or None
        When the timeout changed, UTC.
    hours_needed : float or None
        Further hours of log until a cure could be told, if nothing happens in them.
    before, after : Side or None
        None where nothing is compared.
    """

    verdict: str
    probability: float
    changed_at: datetime | None
    hours_needed: float | None
    before: Side | None
    after: Side | None

    def _plain(self, zone: ZoneInfo) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "probability": round(self.probability, 4),
            "changed_at": self.changed_at.astimezone(zone).isoformat() if self.changed_at else None,
            "hours_needed": self.hours_needed,
            "before": _plain_side(self.before),
            "after": _plain_side(self.after),
        }


@dataclass(frozen=True)
class SiteComparison(Judged):
    """What the change did at one site.

    Attributes
    ----------
    site : str
        As in the second log.
    reason : str
        Key of the sentence that explains the verdict.
    basis : Basis or None
        None where nothing is compared.
    """

    site: str
    reason: str
    basis: Basis | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the comparison tells of the site beside its verdict: a setting that does not act on the phones."""
        highs = [side and side.high_s for side in (self.before, self.after)]
        if self.reason != "same_losses" or self.after is None or None in highs:
            return ()
        values = {**self.after.bracket, "losses": self.after.losses, "probability": self.probability}
        return (say("offload", "action", self.site, **values),)

    def to_json(self, zone: ZoneInfo) -> dict[str, Any]:
        """Return the site's comparison as plain data."""
        told = [{"id": one.id, "severity": one.severity, "values": dict(one.values)} for one in self.findings]
        site = {"site": self.site, **self._plain(zone), "nat_timeout": _plain_bracket(self.after)}
        basis = asdict(self.basis) if self.basis else None
        return {**site, "reason": self.reason, "findings": told, "basis": basis}


@dataclass(frozen=True)
class Comparison(Judged):
    """Did the change fix it, over all sites; `before` and `after` count the sites that had NAT losses.

    `halves`: no change was named and none was found, so that the first half of the log stands against its second.
    `other_addresses`: the phones' public addresses in the two logs, where they have none in common.
    `incomplete`: what the log `before`, the one `after` or the `whole` one lacks, so that its silence proves nothing.
    """

    sites: tuple[SiteComparison, ...]
    time_zone: str
    halves: bool = False
    other_addresses: tuple[list[str], list[str]] | None = None
    incomplete: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """Whether nothing needs action any more: cured, or never lost."""
        return self.verdict == "fixed" or {s.reason for s in self.sites} == {"never_lost"}

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as `starface-nb compare --json` prints it."""
        zone = ZoneInfo(self.time_zone)
        sites = [site.to_json(zone) for site in self.sites]
        moved = self.other_addresses and dict(zip(("before", "after"), self.other_addresses, strict=True))
        more = {"other_addresses": moved, "incomplete": {name: list(lacks) for name, lacks in self.incomplete.items()}}
        return {"schema": "starface-nb/compare/1", **self._plain(zone), "sites": sites, **more}
