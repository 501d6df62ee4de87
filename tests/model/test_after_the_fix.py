"""A router whose timeout was raised is told as mended, whatever happens to its site afterwards."""

from __future__ import annotations

import pytest

import starface_nb as sf
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.simulation import Fault, Phone, Router, Scenario, Site, Style, simulate
from tests.analysis.customers import HOUR, rng


def mended(then: str, seed: int, tech: str) -> Diagnosis:
    """Return a site whose router is mended; an hour later something strikes it, and no line tells of it again."""
    r = rng(seed)
    phones = tuple(Phone(f"{20 + n}.snomd345", expires_s=3900.0) for n in range(r.randint(2, 6)))
    old, ports = r.choice([300.0, 900.0, 1800.0, 2700.0]), r.choice(["new", "preserve"])
    change, end = r.uniform(6, 12), r.uniform(22, 30)
    after = Router(r.choice([3700.0, 7200.0]), ports=ports)
    where = Site("office", "203.0.113.9", phones, Router(old, ports=ports))
    at = change * HOUR
    struck = at + r.uniform(600, 4800)
    kind, lasts, values = {
        "late answers": ("latency", 90.0, {"low_ms": 2100.0, "high_ms": 3500.0}),
        "an outage": ("wan_outage", r.uniform(130, 600), {}),
        "a PBX restart": ("pbx_restart", r.uniform(20, 200), {"crash": False}),
    }[then]
    faults = (
        Fault("router_change", at, at + 60, where.name, values={"router": after, "keep": True}),
        Fault(kind, struck, struck + lasts, where.name if kind != "pbx_restart" else None, values=values),
    )
    made = simulate(Scenario((where,), end, faults=faults, tech=tech, style=Style(noise=20.0)), seed)
    return sf.diagnose(made.log)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("then", ["late answers", "an outage", "a PBX restart"])
def test_hours_without_a_loss_after_a_disturbance_show_that_the_router_was_mended(then: str, seed: int) -> None:
    case = mended(then, seed, "PJSIP" if seed % 2 else "SIP")
    assert case.eras["verdict"][0] == "too_short"
    assert case.sites["verdict"].to_list() == ["no_expiry_seen"]
    assert case.sites["changed_at"].is_not_null().all()
