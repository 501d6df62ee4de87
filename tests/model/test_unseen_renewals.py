"""Renewals that no line shows: a REGISTER just as the binding ends, a binding that phones share, lossy lines."""

from __future__ import annotations

import pytest

import starface_nb as sf
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.simulation import Fault, Phone, Router, Scenario, Site, simulate

HOUR = 3600.0


def diagnosed(router: Router, phones: int, period: float, tech: str, faults: tuple[Fault, ...] = ()) -> Diagnosis:
    """Return a day and a half of phones of one period behind this router."""
    desk = tuple(Phone(f"{1100 + i}", reregister_s=period) for i in range(phones))
    site = Site("site1", "203.0.113.40", desk, router)
    return sf.diagnose(simulate(Scenario((site,), 36.0, faults=faults, warm_up_s=2 * HOUR, tech=tech), 11).log)


@pytest.mark.parametrize("tech", ["SIP", "PJSIP"])
def test_a_register_just_after_the_timeout_is_the_one_due(tech: str) -> None:
    causes = diagnosed(Router(1800.0, ports="new"), 8, 1800.0, tech).intervals["cause"]
    assert len(causes) > 50
    assert (causes == "nat_expiry").mean() > 0.95


def test_a_binding_that_many_phones_share_dies_of_age_whoever_renewed_it() -> None:
    causes = diagnosed(Router(125.0, ports="kernel"), 16, HOUR, "PJSIP").intervals["cause"]
    assert len(causes) > 500
    assert (causes == "nat_expiry").mean() > 0.98


def test_lost_probes_soon_after_a_renewal_by_chance_are_no_short_timeout() -> None:
    faults = tuple(
        Fault("packet_loss", at, at + 12.0, "site1", values={"rate": 0.9}) for at in range(600, 128_000, 397)
    )
    case = diagnosed(Router(120.0, renewal="any_packet", ports="preserve"), 7, HOUR, "PJSIP", faults)
    assert case.intervals.height > 100
    assert case.sites["verdict"].to_list() != ["too_short"]
