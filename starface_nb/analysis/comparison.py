"""The result of a comparison: the two sides, each site, and all sites together, as data and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

VERDICTS = ("fixed", "improved", "unchanged", "worse", "cannot_tell")


@dataclass(frozen=True)
class Side:
    """One side of the change at one site: NAT losses, the periods that could have held one, hours, and the bracket."""

    losses: int
    periods: int
    hours: float
    low_s: float | None
    high_s: float | None


@dataclass(frozen=True)
class SiteComparison:
    """What the change did at one site.

    Attributes
    ----------
    site : str
        As in the second log.
    verdict : str
        One of `VERDICTS`.
    probability : float
        Of the verdict; for `cannot_tell` that of a cure.
    changed_at : datetime or None
        When the timeout changed, UTC.
    hours_needed : float or None
        Further hours of log until a cure could be told, if nothing happens in them.
    low_s, high_s : float or None
        What is known of the timeout by now, seconds; after a keepalive experiment with both logs' evidence.
    reason : str
        Key of the sentence that explains the verdict.
    """

    site: str
    verdict: str
    probability: float
    changed_at: datetime | None
    hours_needed: float | None
    before: Side
    after: Side
    low_s: float | None
    high_s: float | None
    reason: str


@dataclass(frozen=True)
class Comparison:
    """Did the change fix it, over all sites; `before` and `after` count the sites that had NAT losses."""

    verdict: str
    probability: float
    changed_at: datetime | None
    hours_needed: float | None
    before: Side
    after: Side
    sites: tuple[SiteComparison, ...]
    time_zone: str = "Europe/Berlin"

    @property
    def settled(self) -> bool:
        """Whether nothing needs action any more: cured, or never lost."""
        return self.verdict == "fixed" or {s.reason for s in self.sites} == {"never_lost"}

    def to_json(self) -> dict[str, object]:
        """Return the comparison as `starface-nb compare --json` prints it."""
        zone = ZoneInfo(self.time_zone)

        def side(one: Side) -> dict[str, object]:
            return {"losses": one.losses, "periods": one.periods, "hours": round(one.hours, 2),
                    "bracket": {"low_s": one.low_s, "high_s": one.high_s}}  # fmt: skip

        def common(one: Comparison | SiteComparison) -> dict[str, object]:
            return {
                "verdict": one.verdict,
                "probability": round(one.probability, 4),
                "changed_at": one.changed_at.astimezone(zone).isoformat() if one.changed_at else None,
                "hours_needed": one.hours_needed,
                "before": side(one.before),
                "after": side(one.after),
            }

        sites = [
            {"site": s.site, **common(s), "nat_timeout": {"low_s": s.low_s, "high_s": s.high_s}, "reason": s.reason}
            for s in self.sites
        ]
        return {"schema": "starface-nb/compare/1", **common(self), "sites": sites}
