"""How long a registration was granted for, and that it ran out: what PJSIP's lines tell of a phone's REGISTERs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.analysis.customers import HOUR, rng
from tests.analysis.recorded import Writer

PROBE, TIMEOUT = 60.0, 3.0


@dataclass
class Pjsip(Writer):
    """Writes what res_pjsip says of one contact of each phone."""

    lease: int = 600

    def contact(self, peer: str, port: int) -> str:
        return f"sip:{peer}@203.0.113.9:{port}"

    def registrar(self, second: float, text: str, level: str = "VERBOSE") -> None:
        self.at(second, text, level, "res_pjsip_registrar.c")

    def added(self, second: float, peer: str, port: int) -> None:
        uri = self.contact(peer, port)
        self.registrar(second, f"Added contact '{uri}' to AOR '{peer}' with expiration of {self.lease} seconds")
        self.state(second, peer, port, "Reachable")

    def state(self, second: float, peer: str, port: int, state: str) -> None:
        rtt = "20.000" if state == "Reachable" else "0.000"
        text = f"Contact {peer}/{self.contact(peer, port)} is now {state}.  RTT: {rtt} msec"
        self.at(second, text, "VERBOSE", "res_pjsip/pjsip_options.c")

    def expired(self, second: float, peer: str, port: int) -> None:
        uri = self.contact(peer, port)
        self.registrar(second, f"Removed contact '{uri}' from AOR '{peer}' due to expiration")


def test_a_line_was_down_where_leases_ran_out_and_the_other_phones_answered_again(tmp_path: Path) -> None:
    """Leases of ten minutes, renewed unseen each 500 s; the router keeps ports; the line is down three times."""
    log, r = Pjsip([]), rng(3)
    begin, over = 30_000.0, 30_480.0
    for number in range(12):
        peer, port, phase = f"4{number}.snomd345", 9100 + number, r.uniform(0, PROBE)
        log.added(20.0 * number, peer, port)
        for short in (10_000.0, 20_000.0):
            first = short + (phase - short) % PROBE
            log.state(first + TIMEOUT, peer, port, "Unreachable")
            log.state(first + 2 * PROBE, peer, port, "Reachable")
        first = begin + (phase - begin) % PROBE
        log.state(first + TIMEOUT, peer, port, "Unreachable")
        renewed = begin - r.uniform(0, 500)
        if renewed + 600 < over:
            log.expired(renewed + 600, peer, port)
            log.added(over + r.uniform(5, 150), peer, port)
        else:
            log.state(over + (phase - over) % PROBE, peer, port, "Reachable")
    log.state(60_000, "40.snomd345", 9100, "Reachable")
    case = log.case(tmp_path)
    assert case.intervals.height == 3 * 12
    assert set(case.intervals["cause"]) == {"wan_outage"}
    assert (case.intervals["confidence"] > 0.9).all()


@pytest.mark.parametrize(("lease", "told"), [(600, "phone_restart"), (3900, "nat_expiry")])
def test_what_comes_each_hour_is_no_renewal_of_a_lease_of_ten_minutes(tmp_path: Path, lease: int, told: str) -> None:
    """A phone is away for two minutes each hour, and registers anew; with a lease of an hour the entry dies so."""
    log, r = Pjsip([], lease=lease), rng(5)
    for turn in range(30):
        back = turn * HOUR + r.uniform(0, 2)
        log.added(back, "41.snomd345", 9000 + turn)
        log.state(back + 58 * PROBE + TIMEOUT, "41.snomd345", 9000 + turn, "Unreachable")
    causes = log.case(tmp_path).intervals["cause"].to_list()
    assert causes.count(told) >= 28


@pytest.mark.parametrize(("why", "told"), [("away", "phone_offline"), ("refused", "unknown"), ("older", "unknown")])
def test_a_registration_that_ran_out_tells_that_no_register_arrived(tmp_path: Path, why: str, told: str) -> None:
    """Not where the PBX refused the phone's registrations, nor of a contact that another one has followed."""
    log, peer, gone = Pjsip([]), "42.snomd345", 40_030 + TIMEOUT
    refused = f"from endpoint '{peer}' (203.0.113.9:9005) to AOR '{peer}' will exceed max contacts of 1"
    log.added(10, peer, 9000)
    log.added(10, "43.snomd345", 9001)
    if why == "older":
        log.state(39_000, peer, 9000, "Unreachable")
        log.added(39_100, peer, 9007)
    log.state(gone, peer, 9007 if why == "older" else 9000, "Unreachable")
    log.expired(gone + 350, peer, 9000)
    if why == "refused":
        log.registrar(gone + 170, f"Registration attempt {refused}", "WARNING")
    log.added(gone + 397, peer, 9009)
    log.state(60_000, "43.snomd345", 9001, "Reachable")
    assert log.case(tmp_path).intervals["cause"].to_list()[-1] == told
