"""Line outages about as long as the silence that bindings outlive: some phones' bindings die, the others' do not."""

from __future__ import annotations

import pytest

import starface_nb as sf
from starface_nb.simulation import Fault, Phone, Router, Scenario, Site, simulate

PERIODS = (600.0, 3600.0)


def outages(length: float, tech: str) -> Scenario:
    """Return a day of twelve phones whose line drops every 2,417 s, out of step with the probes."""
    phones = tuple(Phone(f"{1100 + i}", reregister_s=PERIODS[i % 5 > 0]) for i in range(12))
    site = Site("site1", "203.0.113.40", phones, Router(180.0, renewal="any_packet"))
    faults = tuple(Fault("wan_outage", at, at + length, "site1") for at in range(3000, 84000, 2417))
    return Scenario((site,), 24.0, faults=faults, warm_up_s=7200.0, tech=tech)


@pytest.mark.parametrize("tech", ["SIP", "PJSIP"])
@pytest.mark.parametrize("length", [95.0, 107.0, 120.0])
def test_outages_that_cost_some_bindings_are_not_lost_packets(length: float, tech: str) -> None:
    causes = sf.diagnose(simulate(outages(length, tech), 7).log).intervals["cause"]
    assert len(causes) > 100
    assert (causes == "wan_outage").mean() > 0.9
