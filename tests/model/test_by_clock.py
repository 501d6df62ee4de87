"""What strikes a site by the clock convicts no router, whatever the ages of its registrations; a power cut may."""

from __future__ import annotations

import random

import polars as pl
import pytest

import starface_nb as sf
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.simulation import Fault, Phone, Router, Scenario, Site, simulate
from tests.analysis.customers import HOUR, rng


def struck(kind: str, every: float, seed: int, tech: str) -> Diagnosis:
    """Return a healthy site, kept alive by its probes, whose line or router fails at the same minutes."""
    r = rng(seed)
    lasts, timeout = r.uniform(200, 900), r.choice([300.0, 600.0, 900.0])
    if kind == "outage":
        lasts = timeout + r.uniform(60, 300)
    phones = tuple(
        Phone(f"{20 + n}.snomd345", expires_s=3900.0, retry_s=r.choice([60.0, 90.0, 300.0, 3000.0]))
        for n in range(r.randint(3, 9))
    )
    where = Site(
        "office", "203.0.113.9", phones, Router(timeout, renewal="any_packet", ports=r.choice(["new", "preserve"]))
    )
    faults, begin = [], r.uniform(0, 1800)
    while begin + lasts < 35 * HOUR:
        start = begin + r.uniform(-20, 20)
        faults.append(Fault("wan_outage" if kind == "outage" else "router_restart", start, start + lasts, where.name))
        begin += every
    return sf.diagnose(simulate(Scenario((where,), 36, faults=tuple(faults), tech=tech), seed).log)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["outage", "restart"])
def test_what_comes_each_half_hour_is_no_timeout(kind: str, seed: int) -> None:
    case = struck(kind, HOUR / 2, seed, "PJSIP" if seed % 2 else "SIP")
    assert case.intervals.height > 40
    assert case.sites["verdict"].to_list() != ["too_short"]


@pytest.mark.parametrize("seed", range(6, 10))
def test_what_comes_each_hour_is_no_timeout(seed: int) -> None:
    case = struck("restart", HOUR, seed, "PJSIP" if seed % 2 else "SIP")
    assert case.intervals.height > 40
    assert case.sites["verdict"].to_list() != ["too_short"]


@pytest.mark.parametrize("seed", range(4))
def test_phones_that_a_power_cut_brought_into_step_still_convict_their_router(seed: int) -> None:
    r = random.Random(seed)  # noqa: S311  a simulation, no secret
    phones = tuple(Phone(f"{20 + n}.snomd345", jitter=0.002) for n in range(r.randint(3, 9)))
    where = Site("office", "203.0.113.9", phones, Router(r.choice([300.0, 900.0, 1500.0, 2400.0]), ports="new"))
    cut = Fault("power_cut", 600.0, 900.0, where.name)
    case = sf.diagnose(simulate(Scenario((where,), 36, faults=(cut,)), seed).log)
    assert case.sites["verdict"].to_list() == ["too_short"]
    assert case.intervals.filter(pl.col("cause") == "nat_expiry").height > 0.9 * case.intervals.height


@pytest.mark.parametrize("seed", range(8))
def test_a_line_that_is_full_each_hour_is_no_timeout(seed: int) -> None:
    """Over PJSIP a phone that answers too late comes and goes with the probes, minutes apart, and lives for an hour."""
    r = rng(seed)
    phones = tuple(Phone(f"{20 + n}.snomd345", expires_s=3900.0) for n in range(r.randint(3, 9)))
    where = Site("office", "203.0.113.9", phones, Router(9000.0, ports=r.choice(["new", "preserve"])))
    faults = [
        Fault("latency", begin, begin + 600, where.name, values={"low_ms": 2000.0, "high_ms": 5000.0})
        if seed % 2
        else Fault("packet_loss", begin, begin + 600, where.name, values={"rate": 0.8})
        for begin in (900 + HOUR * hour + r.uniform(-60, 60) for hour in range(35))
    ]
    case = sf.diagnose(simulate(Scenario((where,), 36, faults=tuple(faults), tech="PJSIP"), seed).log)
    assert case.intervals.height > 40
    assert case.sites["verdict"].to_list() != ["too_short"]


def switched_off(every: float, seed: int, tech: str) -> Diagnosis:
    """Return a healthy site whose phones are off together for some minutes, again and again, more or less on time."""
    r, hours = rng(seed), 36
    phones = tuple(Phone(f"{20 + n}.snomd345", expires_s=3900.0, jitter=0.001) for n in range(r.randint(2, 6)))
    where = Site("office", "203.0.113.9", phones, Router(9000.0, ports=r.choice(["new", "preserve"])))
    lasts, stray = r.uniform(300, 0.6 * every), r.choice([60.0, 300.0])
    faults, begin = [], r.uniform(0, every)
    while begin + lasts + 600 < hours * HOUR:
        away = max(begin + r.uniform(-stray, stray), 1.0)
        faults += [
            Fault("phone_offline", away + r.uniform(0, 20), away + lasts, where.name, phone.peer) for phone in phones
        ]
        begin += every
    return sf.diagnose(simulate(Scenario((where,), hours, faults=tuple(faults), tech=tech), seed).log)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("every", [HOUR / 2, 3 * HOUR / 4])
def test_phones_that_are_off_for_minutes_again_and_again_are_behind_no_short_timeout(every: float, seed: int) -> None:
    """They are lost together, at ages that stray over minutes, yet never as old as their registrations may become."""
    case = switched_off(every, seed, "PJSIP" if seed % 2 else "SIP")
    assert case.intervals.height > 20
    assert case.sites["verdict"].to_list() != ["too_short"]
