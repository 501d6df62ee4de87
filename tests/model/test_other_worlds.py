"""What customers have and simulators leave out: a base with many accounts, a switch, closing time, a full table."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import starface_nb as sf
from starface_nb.simulation import Fault, simulate
from tests.analysis.customers import HOUR, at, diagnosed, lines_of, rng, site, with_lines
from tests.analysis.recorded import ZONE, Writer
from tests.simulation.families import make

REGISTRAR = "res_pjsip_registrar.c"


def test_the_entries_of_a_base_live_from_the_last_register_of_any_of_its_accounts(tmp_path: Path) -> None:
    """Four accounts register in turn from the base's one port; its entry is gone ten minutes after the last of them."""
    log, turns = Writer([]), 40
    offsets = {f"2{n}.gigasetn510": 300.0 * n for n in range(4)}
    for turn in range(turns):
        for peer, offset in offsets.items():
            back = turn * HOUR + offset
            log.registered(back, peer, 20_000 + turn)
            log.reachable(back, peer)
            log.lost(turn * HOUR + 900 + 600 + (offset * 7 + 11 * turn) % 60, peer)
    for number in range(3):
        peer = f"3{number}.snomd345"
        for turn in range(turns):
            back = turn * HOUR + 700 * number + 1300
            log.registered(back, peer, 40_000 + 100 * number + turn)
            log.reachable(back, peer)
            log.lost(back + 662, peer)
    case = log.case(tmp_path)
    (row,) = case.sites.rows(named=True)
    assert row["verdict"] == "too_short"
    assert row["low_s"] < 660
    assert row["high_s"] >= 600
    assert (case.intervals["cause"] == "nat_expiry").mean() > 0.95


def test_a_base_that_is_off_among_phones_that_answer_is_one_device(tmp_path: Path) -> None:
    log, base = Writer([]), [f"2{n}.gigasetn510" for n in range(5)]
    for n in range(4):
        log.registered(n, f"3{n}.snomd345", 30_000 + n)
        log.reachable(n, f"3{n}.snomd345")
    for turn, (off, on) in enumerate([(0, 20), (20_000, 20_095), (61_000, 61_900), (90_000, 99_000)]):
        for n, peer in enumerate(base):
            if off:
                log.lost(off + 11 * n, peer)
            log.registered(on + 2 * n, peer, 20_000 + turn)
            log.reachable(on + 2 * n, peer)
    log.reachable(150_000, "30.snomd345")
    causes = log.case(tmp_path).intervals["cause"].to_list()
    assert len(causes) == 15
    assert set(causes) <= {"phone_restart", "phone_offline"}


def test_phones_that_renew_at_random_within_a_lease_lose_their_entries_to_the_router(tmp_path: Path) -> None:
    """A renewal after less than the timeout of 40 minutes leaves no line, so that ages seem odd."""
    log, r = Writer([]), rng(8)
    for number in range(6):
        peer, back = f"6{number}.snomd345", 100.0 * number
        for turn in range(60):
            log.registered(back, peer, 20_000 + 100 * number + turn)
            log.reachable(back, peer)
            while (wait := r.uniform(1800, 3420)) < 2400:
                back += wait
            log.lost(back + 2404 + r.uniform(0, 60) * (wait > 2470), peer)
            back += wait if wait > 2470 else 2470
    case = log.case(tmp_path)
    assert case.sites["verdict"].to_list() == ["too_short"]
    assert (case.intervals["cause"] == "nat_expiry").mean() > 0.95


def test_a_phone_that_was_away_for_longer_than_a_period_was_off(tmp_path: Path) -> None:
    """Whose entry expires is back within one, at its next renewal or the one after it."""
    log = Writer([])
    for n in range(5):
        log.registered(40 * n, f"8{n}.snomd345", 30_000 + n)
        log.reachable(40 * n, f"8{n}.snomd345")
    for turn, (off, on) in enumerate([(70_000, 75_100), (190_000, 196_300)]):
        log.lost(off, "82.snomd345")
        log.registered(on, "82.snomd345", 40_000 + turn)
        log.reachable(on, "82.snomd345")
    log.reachable(260_000, "80.snomd345")
    assert log.case(tmp_path).intervals["cause"].to_list() == ["phone_offline"] * 2


def test_a_router_that_sweeps_its_table_takes_several_entries_at_once(tmp_path: Path) -> None:
    """Entries die at the first sweep, every five minutes, at which they are fifteen old: those of several phones."""
    log = Writer([])
    for number, period in enumerate([3600, 3595, 3540, 3540, 3420, 3420, 3240, 3240]):
        peer = f"9{number}.snomd345"
        for turn in range(60):
            born = 470 * number + turn * period
            log.registered(born, peer, 20_000 + 100 * number + turn)
            log.reachable(born, peer)
            swept = (born + 900 + 299) // 300 * 300
            log.lost(born + (swept - born + 59) // 60 * 60 + 4, peer)
    case = log.case(tmp_path)
    assert case.sites["verdict"].to_list() == ["too_short"]
    assert (case.intervals["cause"] == "nat_expiry").mean() > 0.95


def test_one_phone_whose_calls_renew_its_entry_now_and_then_still_convicts_its_router(tmp_path: Path) -> None:
    """What a binding outlived before a later loss counts once, not for its cycle and for the loss again."""
    log = Writer([])
    for turn in range(42):
        born = 3600 * turn
        log.registered(born, "80.snomd345", 20_000 + turn)
        log.reachable(born, "80.snomd345")
        if turn % 7 != 6:  # in each seventh turn a call keeps it alive until the end, in two others for a while
            log.lost(born + {2: 3360, 4: 3000}.get(turn % 7, 2700) + 4, "80.snomd345")
    case = log.case(tmp_path)
    assert case.sites["verdict"].to_list() == ["too_short"]
    assert case.sites["low_s"][0] < 2700 <= case.sites["high_s"][0]


def test_a_phone_that_something_starts_by_the_clock_is_no_short_timeout(tmp_path: Path) -> None:
    """Each half hour at the same minute, back as soon as it has started: as regular as renewals, but by the clock."""
    log, r = Writer([]), rng(9)
    log.registered(0, "70.snomd345", 5060)
    log.reachable(0, "70.snomd345")
    for turn in range(1, 90):
        log.lost(1800 * turn + 14 + r.uniform(0, 15), "70.snomd345")
        log.reachable(1800 * turn + 110 + r.uniform(0, 25), "70.snomd345")
    case = log.case(tmp_path)
    assert "too_short" not in case.sites["verdict"].to_list()
    assert (case.intervals["cause"] == "nat_expiry").mean() < 0.1


def test_a_line_that_is_down_by_the_clock_is_no_short_timeout() -> None:
    """Five phones go in one wave at like ages, and are back at their own renewals: one witness, not five."""
    case = sf.diagnose(simulate(make("look_alikes", 490000719), 490000719).log)
    assert "too_short" not in case.sites["verdict"].to_list()


def test_refusals_that_go_on_for_days_speak_for_no_block(tmp_path: Path) -> None:
    where = site(3, 10, 5)
    outage = Fault("wan_outage", 40 * HOUR, 41 * HOUR, where.name)
    lines = lines_of([where], 48, [outage], 3)
    refused = (
        "NOTICE[7] chan_sip.c: Registration from '<sip:10077.snomd345@192.0.2.10>' failed for '203.0.113.10:5070' "
        "- Wrong password"
    )
    tries = [(at(lines, t), refused) for t in np.arange(600.0, 48 * HOUR, 65.0) if not 40 * HOUR < t < 41 * HOUR]
    case = diagnosed(tmp_path, with_lines(lines, tries))
    began = [at(lines, 40 * HOUR + more).replace(tzinfo=ZONE).astimezone(UTC) for more in (-60, 120)]
    told = case.intervals.filter(pl.col("start").is_between(*began))["cause"].to_list()
    assert len(told) >= 4
    assert "blacklisted" not in told


@pytest.mark.parametrize("tech", ["SIP", "PJSIP"])
def test_a_part_of_a_site_that_goes_and_comes_back_at_once_is_off(tmp_path: Path, tech: str) -> None:
    """Eight of twelve phones hang on a switch that is without power three times; the other four answer meanwhile."""
    where, faults = site(5, 10, 12), []
    for start in (7.3 * HOUR, 18.1 * HOUR, 31.7 * HOUR):
        faults += [Fault("phone_offline", start, start + 2400, where.name, p.peer) for p in where.phones[:8]]
    causes = diagnosed(tmp_path, lines_of([where], 40, faults, 5, tech)).intervals["cause"].to_list()
    assert causes.count("phone_offline") >= 16
    assert causes.count("wan_outage") + causes.count("router_restart") <= 8


def test_phones_that_are_off_from_closing_time_to_the_morning_are_off(tmp_path: Path) -> None:
    where, r, faults = site(6, 10, 8), rng(6), []
    for day in range(4):
        off, on = day * 24 * HOUR + 9.9 * HOUR, (day + 1) * 24 * HOUR - 2.2 * HOUR
        faults += [
            Fault("phone_offline", off + r.uniform(0, 5), on + r.uniform(0, 30), where.name, phone.peer)
            for phone in where.phones
        ]
    causes = diagnosed(tmp_path, lines_of([where], 100, faults, 6)).intervals["cause"].to_list()
    assert causes.count("phone_offline") > 0.9 * len(causes)


def test_a_full_table_is_neither_cleared_nor_lost_probes(tmp_path: Path) -> None:
    """In working hours the router throws out the oldest entries: deaths at any age, each phone back at its REGISTER."""
    log, r = Writer([]), rng(7)
    for number in range(8):
        peer, port = f"4{number}.snomd345", 30_000 + 500 * number
        begin, turn = 450.0 * number, 0
        log.registered(begin, peer, port)
        log.reachable(begin, peer)
        while begin + turn * HOUR < 70 * HOUR:
            born = begin + turn * HOUR
            if (born % (24 * HOUR)) < 9 * HOUR and r.random() < 0.6:
                port += 1
                log.lost(born + 60 * r.randrange(5, 50) + 2, peer)
                log.registered(born + HOUR, peer, port)
                log.reachable(born + HOUR, peer)
            turn += 1
    case = log.case(tmp_path)
    assert case.intervals.height > 60
    assert case.sites["verdict"].to_list() == ["undetermined"]
    assert (case.intervals["cause"] == "packet_loss").mean() < 0.1
    assert (case.intervals["cause"] == "nat_expiry").mean() > 0.8


def test_a_registration_that_runs_out_is_no_failed_probe(tmp_path: Path) -> None:
    """Phones register every hour, the PBX grants half an hour: the endpoint is Unreachable when that is over."""
    log = Writer([])
    for number in range(4):
        peer, uri = f"5{number}.snomd345", f"sip:5{number}.snomd345@203.0.113.9:{5100 + number}"
        for turn in range(30):
            back, over = 700 * number + turn * HOUR, 700 * number + turn * HOUR + 1810
            contact = f"Contact {peer}/{uri}"
            log.at(back, f"Added contact '{uri}' to AOR '{peer}' with expiration of 1800 seconds", "VERBOSE", REGISTRAR)
            log.at(back, f"{contact} is now Reachable.  RTT: 20.000 msec", "VERBOSE", "res_pjsip/pjsip_options.c")
            log.at(over, f"Endpoint {peer} is now Unreachable", "VERBOSE", "res_pjsip/pjsip_configuration.c")
            log.at(over, f"Removed contact '{uri}' from AOR '{peer}' due to expiration", "VERBOSE", REGISTRAR)
    case = log.case(tmp_path)
    assert case.intervals.height >= 4 * 29
    assert "too_short" not in case.sites["verdict"].to_list()
    assert "nat_expiry" not in case.intervals["cause"].to_list()


@pytest.mark.parametrize("beat", [True, False])
def test_a_keepalive_slower_than_the_router_keeps_time_and_lost_packets_do_not(tmp_path: Path, beat: bool) -> None:
    """Each phone's entry is dead in a third of its 45 s; every third probe, 180 s apart, meets that third."""
    log, r = Writer([]), rng(8)
    for number in range(3):
        peer, time = f"6{number}.snomd345", 20.0 * number
        log.registered(time, peer, 5060 + number)
        log.reachable(time, peer)
        while time < 8 * HOUR:
            time += 180 if beat else 60 * r.choice([1, 2, 3, 4, 5, 6, 9])
            log.lost(time, peer)
            log.reachable(time + 10, peer)
    case = log.case(tmp_path)
    (row,) = case.sites.rows(named=True)
    assert case.intervals.height > 300
    assert set(case.intervals["cause"]) == ({"nat_expiry"} if beat else {"packet_loss"})
    assert (row["verdict"] == "no_expiry_seen") is not beat
    assert (row["low_s"] == 0) is beat


def test_an_address_is_not_accused_of_what_strangers_show(tmp_path: Path) -> None:
    """Eight phones, of which no line shows an address, lose their entries; one shows its own and does not."""
    log = Writer([])
    for number in range(8):
        for turn in range(30):
            back = 410.0 * number + turn * HOUR
            log.reachable(back, f"7{number}.snomd345")
            log.lost(back + 904, f"7{number}.snomd345")
    for turn in range(3):
        log.registered(90 + turn * 9 * HOUR, "80.snomd345", 40_000 + turn)
        log.reachable(90 + turn * 9 * HOUR, "80.snomd345")
        log.lost(80 + (turn + 1) * 9 * HOUR - 400, "80.snomd345")
    sites = {row["site"]: row["verdict"] for row in log.case(tmp_path).sites.rows(named=True)}
    assert sites["unknown"] == "too_short"
    assert sites["203.0.113.9"] != "too_short"


def test_an_address_that_is_blocked_again_and_again_is_no_line_that_fails(tmp_path: Path) -> None:
    """After each fifth wrong password the address is blocked for ten minutes; who asked is silent as well."""
    log, time = Writer([]), 6 * HOUR
    peers = [f"9{n}.snomd345" for n in range(3)]
    for number, peer in enumerate(peers):
        log.registered(1200.0 * number, peer, 5060 + number)
        log.reachable(1200.0 * number, peer)
    refused = "Registration from '<sip:99.snomd345@192.0.2.1>' failed for '203.0.113.9:5099' - Wrong password"
    while time < 24 * HOUR:
        for turn in range(5):
            log.at(time + 90 * turn, refused)
        for number, peer in enumerate(peers):
            log.lost(time + 364 + 17 * number, peer)
            log.reachable(time + 960 + (11 * number + 7) % 14, peer)
        time += 1050
    case = log.case(tmp_path)
    assert case.intervals.height > 150
    assert (case.intervals["cause"] == "blacklisted").mean() > 0.9


def test_a_block_that_comes_minutes_after_the_last_wrong_password_is_learned(tmp_path: Path) -> None:
    """Four to seven wrong passwords every few hours; the address is blocked 200 s after the first, for ten minutes."""
    log, r, time = Writer([]), rng(19), 2 * HOUR
    peers = [f"91{n}.snomd345" for n in range(3)]
    for number, peer in enumerate(peers):
        log.registered(1200.0 * number, peer, 5060 + number)
        log.reachable(1200.0 * number, peer)
    refused = "Registration from '<sip:99.snomd345@192.0.2.1>' failed for '203.0.113.9:5099' - Wrong password"
    while time < 24 * HOUR:
        every = r.uniform(4, 20)
        for turn in range(r.randint(4, 7)):
            log.at(time + every * turn, refused)
        for number, peer in enumerate(peers):
            log.lost(time + 206 + r.uniform(0, 18) + 18 * number, peer)
            log.reachable(time + 801 + r.uniform(0, 14), peer)
        time += r.uniform(1.2, 3) * HOUR
    case = log.case(tmp_path)
    assert case.intervals.height > 20
    assert set(case.intervals["cause"]) == {"blacklisted"}


def test_one_phone_whose_refresh_varies_is_enough(tmp_path: Path) -> None:
    """It renews 70 to 95 % through each hour; its entry is gone 15 minutes after each REGISTER."""
    log, r, time, port = Writer([]), rng(9), 0.0, 5060
    while time < 80 * HOUR:
        log.registered(time, "60.ylnkt54", port := port + 1)
        log.reachable(time, "60.ylnkt54")
        log.lost(time + 900 + r.randrange(5, 60), "60.ylnkt54")
        time += HOUR * r.uniform(0.7, 0.95)
    case = log.case(tmp_path)
    assert case.sites["verdict"].to_list() == ["too_short"]
    assert (case.intervals["cause"] == "nat_expiry").mean() > 0.95


def test_a_phone_lost_at_one_age_is_not_outvoted_by_phones_that_keep_their_entries(tmp_path: Path) -> None:
    log = Writer([])
    for number in range(7):
        log.registered(100.0 * number, f"61{number}.ylnkt54", 5060 + number)
        log.reachable(100.0 * number, f"61{number}.ylnkt54")
    log.nat("620.ylnkt54", 50.0, 30.0, 70)
    case = log.case(tmp_path)
    assert case.sites["verdict"].to_list() == ["undetermined"]
    assert (case.intervals["cause"] == "nat_expiry").mean() > 0.95


@pytest.mark.parametrize("phases", ["each its own", "one", "none"])
def test_a_router_that_no_keepalive_impresses_forgets_each_phone_at_its_own_minute(tmp_path: Path, phases: str) -> None:
    """Half an hour after each REGISTER the entry is gone until the next keepalive; a job, and chance, do otherwise."""
    log, r = Writer([]), rng(9)
    for number in range(4):
        peer, offset = f"61{number}.snomd735", {"each its own": 740.0 * number, "one": 0.0}.get(phases)
        log.registered(13.0 * number, peer, 5060 + number)
        log.reachable(13.0 * number, peer)
        for turn in range(1, 40):
            if r.random() < 0.7:
                failed = turn * HOUR + (1800 + offset + r.uniform(-9, 9) if offset is not None else r.uniform(0, 3500))
                log.lost(failed, peer)
                log.reachable(failed + r.choice([10, 24]), peer)
    case = log.case(tmp_path)
    own = phases == "each its own"
    assert case.intervals.height > 90
    assert (case.intervals["cause"] == "nat_expiry").mean() == pytest.approx(float(own), abs=0.05)
    assert case.sites["verdict"].to_list() == ["no_expiry_seen" if phases == "none" else "undetermined"]


def test_phones_whose_keepalive_makes_the_entry_anew_share_the_turn_of_their_router(tmp_path: Path) -> None:
    """Entries live for 900 s whatever is sent, a keepalive makes the next, and which of the holes a probe meets varies.

    Of some phones it meets mostly every other one, early or late: their own usual spacing is no turn.
    """
    often = [929, 1783, 3599, 929, 2667, 930, 929, 4498, 929, 1772, 931, 930, 929, 1846]
    seldom = [1830, 1774, 1848, 3600, 1776, 1774, 1846, 1788, 3602, 915, 2681, 915, 2688, 1840]
    log, r = Writer([]), rng(21)
    for number, gaps in enumerate([often, often, seldom, seldom, seldom]):
        peer, start = f"63{number}.snomd735", 70.0 * number
        log.registered(start, peer, 5060 + number)
        log.reachable(start, peer)
        for failed in start + np.cumsum(np.tile(np.roll(gaps, 3 * number), 4)):
            log.lost(failed, peer)
            log.reachable(failed + r.choice([10, 24]), peer)
    case = log.case(tmp_path)
    assert case.intervals.height == 280
    assert (case.intervals["cause"] == "nat_expiry").mean() > 0.9
    assert case.sites["verdict"].to_list() == ["undetermined"]


@pytest.mark.parametrize("dead", [True, False])
def test_phones_that_are_lost_at_the_probe_after_each_return_have_entries_of_less_than_a_probe(
    tmp_path: Path, dead: bool
) -> None:
    """A keepalive each two minutes brings back what lives for 40 s; lost packets leave most probes answered."""
    log, r = Writer([]), rng(12)
    for number in range(3):
        peer, time = f"64{number}.snomd345", 17.0 * number
        log.registered(time, peer, 5060 + number)
        log.reachable(time, peer)
        while time < 6 * HOUR:
            failed = time + (64 if dead else 4 + 60 * r.randint(1, 8))
            log.lost(failed, peer)
            time = failed + r.choice([38, 52, 66] if dead else [10, 24, 38])
            log.reachable(time, peer)
    case = log.case(tmp_path)
    (row,) = case.sites.rows(named=True)
    assert case.intervals.height > 200
    assert (case.intervals["cause"] == "nat_expiry").mean() == pytest.approx(float(dead), abs=0.05)
    assert (row["verdict"] == "no_expiry_seen") is not dead
    assert ((row["low_s"], row["high_s"]) == (0, 60)) is dead


def test_a_job_that_fills_the_line_each_hour_is_no_timeout_of_nearly_an_hour(tmp_path: Path) -> None:
    """Two phones at half past each hour, back within two minutes, off the probing rhythm while answers are late."""
    log, r = Writer([]), rng(10)
    for number in range(2):
        peer = f"63{number}.snomd735"
        log.registered(700.0 * number, peer, 5060 + number)
        log.reachable(700.0 * number, peer)
        for turn in range(90):
            if r.random() < 0.8:
                failed = 1800 + turn * HOUR + r.uniform(5, 90)
                log.lost(failed, peer, 17)
                log.reachable(failed + r.uniform(15, 100), peer, r.choice([15, 600, 1400]))
    case = log.case(tmp_path)
    assert case.intervals.height > 100
    assert "too_short" not in case.sites["verdict"].to_list()
    assert (case.intervals["cause"] == "nat_expiry").mean() < 0.1


def test_apps_on_tls_that_reconnect_soon_make_no_restart_of_phones(tmp_path: Path) -> None:
    """The router restarts twice: apps are back in a minute or two, phones on UDP at their next REGISTER."""
    log, r, restarts = Writer([]), rng(11), [5.2 * HOUR, 6.3 * HOUR]

    def line(second: float, text: str, source: str = REGISTRAR) -> None:
        log.at(second, text, "VERBOSE", source)

    for number in range(5):
        app = number > 1
        peer, period, port = f"64{number}.{'WinClient' if app else 'snom735'}", 3300.0, 5060 + 100 * number
        born, end = 37.0 * number, 0.0
        uri = f"sip:{peer}@203.0.113.9:{port}" + (";transport=TLS" if app else "")
        line(born, f"Added contact '{uri}' to AOR '{peer}' with expiration of 3600 seconds")
        line(born, f"Contact {peer}/{uri} is now Reachable.  RTT: 20.000 msec", "res_pjsip/pjsip_options.c")
        for down in restarts:
            lost = down + 3 + r.uniform(0, 60)
            due = born + period * np.ceil((down + 60 - born) / period)
            end = down + 60 + r.uniform(5, 90) if app else due
            line(lost, f"Contact {peer}/{uri} is now Unreachable.  RTT: 0.000 msec", "res_pjsip/pjsip_options.c")
            port += 1
            uri = f"sip:{peer}@203.0.113.9:{port}" + (";transport=TLS" if app else "")
            line(end, f"Added contact '{uri}' to AOR '{peer}' with expiration of 3600 seconds")
            line(end, f"Contact {peer}/{uri} is now Reachable.  RTT: 20.000 msec", "res_pjsip/pjsip_options.c")
            born = end
    causes = log.case(tmp_path).intervals["cause"].to_list()
    assert len(causes) == 10
    assert causes.count("router_restart") >= 8


def test_a_request_that_no_line_shows_renews_an_entry_and_its_death_is_no_absence(tmp_path: Path) -> None:
    """Of three phones one subscribes to lamps now and then: its entry dies 25 minutes after that."""
    log, r = Writer([]), rng(12)
    for number in range(3):
        peer = f"65{number}.snomd345"
        for turn in range(70):
            back, more = 900.0 * number + turn * 2880, r.randrange(200, 1200) if number == 2 and turn % 2 else 0
            log.registered(back, peer, 20_000 + 100 * number + turn)
            log.reachable(back, peer)
            log.lost(back + 60 * ((1500 + more) // 60 + 1) + 4, peer)
    case = log.case(tmp_path)
    assert case.sites["verdict"].to_list() == ["too_short"]
    assert (case.intervals["cause"] == "nat_expiry").mean() > 0.97


def test_a_device_that_tries_in_turns_and_waits_is_not_blocked_each_time(tmp_path: Path) -> None:
    """Three wrong passwords every five minutes, all day; lost probes now and then, which the next probe answers."""
    log, r = Writer([]), rng(13)
    refused = "Registration from '<sip:99.snomd345@192.0.2.1>' failed for '203.0.113.9:5099' - Wrong password"
    for turn in range(12 * 24):
        for more in (0, 4, 8):
            log.at(300 * turn + more, refused)
    for number in range(3):
        peer = f"66{number}.snomd345"
        log.registered(40.0 * number, peer, 5060 + number)
        log.reachable(40.0 * number, peer)
        for turn in range(20):
            lost = 4300 * turn + 1000 * number + r.randrange(600, 900)
            log.lost(lost, peer)
            log.reachable(lost + 10, peer)
    causes = log.case(tmp_path).intervals["cause"]
    assert len(causes) == 60
    assert (causes == "packet_loss").mean() > 0.9


@pytest.mark.parametrize("seed", [0, 3])
def test_a_few_hours_of_calls_are_no_change_of_the_timeout(seed: int, tmp_path: Path) -> None:
    """T is 45 min; what phones send in the daytime renews most entries then, at the log's end as on days before."""
    log, r = Writer([]), rng(seed)
    for n, peer in enumerate(["1101", "1102", "1103"]):
        back, lost = 700.0 * n, True
        for turn in range(62):
            back += HOUR + r.uniform(-9, 9)
            if lost:
                log.registered(back, peer, 20_000 + 100 * n + turn)
                log.reachable(back, peer)
            lost = not 8 < turn % 24 < 18 or r.random() < 0.3
            if lost:
                log.lost(back + 2704, peer)
    assert log.case(tmp_path).eras["verdict"].to_list() == ["too_short"]


@pytest.mark.parametrize("seed", [3, 6])
def test_a_job_each_fifty_minutes_is_no_timeout(seed: int, tmp_path: Path) -> None:
    """It takes all entries; phones that are back by then go at one age of their registration every five hours."""
    log, r = Writer([]), rng(seed)
    first = r.uniform(0, HOUR)
    back, offsets = {"1101": -HOUR, "1102": -HOUR}, {"1101": first, "1102": first + 40}
    for strike in range(3000, 105_000, 3000):
        for n, (peer, since) in enumerate(back.items()):
            if since < strike:  # else away since the job before
                went = since + np.ceil((strike - since) / 60) * 60 + 4
                back[peer] = np.ceil((went - offsets[peer]) / HOUR) * HOUR + offsets[peer] + r.uniform(0, 9)
                log.lost(went, peer)
                log.registered(back[peer], peer, 20_000 + 100 * n + strike // 3000)
                log.reachable(back[peer], peer)
    case = log.case(tmp_path)
    assert "too_short" not in case.sites["verdict"].to_list()
    assert (case.intervals["cause"] == "nat_expiry").mean() < 0.1


@pytest.mark.parametrize("often", [True, False])
def test_phones_that_register_every_few_minutes_are_back_one_by_one_after_an_outage(
    tmp_path: Path, often: bool
) -> None:
    """A driver logs changes only, so that no line tells the period; returns within minutes, time and again, do."""
    log, r = Writer([]), rng(31)
    phones = [f"65{number}.snomd735" for number in range(6)]
    for number, peer in enumerate(phones):
        log.registered(7.0 * number, peer, 20_000 + number)
        log.reachable(7.0 * number, peer)
    for outage in range(12):
        begin, port = 5_000.0 + 9_100.0 * outage + r.uniform(0, 2000), 21_000 + 100 * outage
        over = begin + r.uniform(70, 140)
        for number, peer in enumerate(phones):
            failed = begin + r.uniform(4, 60)
            back = over + (r.uniform(0, 150) if often else r.uniform(0, 3000))
            log.lost(failed, peer)
            log.registered(back, peer, port + number)
            log.reachable(back, peer)
    causes = log.case(tmp_path).intervals["cause"]
    assert len(causes) == 72
    assert causes.is_in(["wan_outage", "router_restart"]).mean() > 0.9


@pytest.mark.parametrize("line", [True, False])
def test_a_line_that_loses_most_packets_is_no_entry_that_dies_at_the_first_probe(tmp_path: Path, line: bool) -> None:
    """What arrives at last is any of the four that a probe sends; an entry that lives again answers at once."""
    log, r = Writer([]), rng(33)
    for number in range(6):
        peer, time = f"66{number}.gxp1780", 11.0 * number
        log.registered(time, peer, 5060 + number)
        log.reachable(time, peer)
        while time < 2 * HOUR:
            failed = time + 64 + 60 * (r.random() < 0.12)
            time = failed + 10 + 14 * sum(r.random() < 0.7 for _ in range(3))
            sent = r.choice([0, 1, 2, 3]) if line else 0
            log.lost(failed, peer)
            (log.lagged if sent > 1 else log.reachable)(time + sent, peer, 30 + 1000 * sent)
            time += sent
    causes = log.case(tmp_path).intervals["cause"]
    assert len(causes) > 200
    assert ((causes == "nat_expiry").mean() < 0.1) is line


def test_losses_in_the_time_of_an_entry_that_a_keepalive_makes_anew_refute_no_probe_interval(tmp_path: Path) -> None:
    """A REGISTER each 900 s, an entry of 90 s and a keepalive each 120 s: lost in whole minutes, for 10 or 30 s.

    From answer to loss it is 20 or 40 s more than whole minutes then, as if probes came every 20 s.
    """
    minutes = np.tile([6, 14, 16, 61, 14, 10, 71, 4, 16, 14, 61, 14, 16, 63, 12, 14, 16, 67], 6)
    log, r, answered = Writer([]), rng(35), "Peer '{}' is now Reachable. (30ms / 5000ms)"
    for number in range(5):
        peer, begin = f"67{number}.snomd735", 61.0 * number
        log.registered(begin, peer, 5060 + number)
        log.at(begin, answered.format(peer))
        for failed in begin + 60 * np.cumsum(np.roll(minutes, 4 * number)):
            log.lost(failed, peer)
            log.at(failed + r.choice([10, 30]), answered.format(peer))
    case = log.case(tmp_path)
    assert case.settings.probe_interval_s == 60
    assert case.sites["verdict"].to_list() == ["undetermined"]
    assert (case.intervals["cause"] == "nat_expiry").mean() > 0.5


def test_a_round_trip_that_cannot_be_costs_no_memory(tmp_path: Path) -> None:
    log = Writer([])
    for turn in range(3):
        log.reachable(400 * turn, "680.snomd735", 10**14)
        log.lost(400 * turn + 64, "680.snomd735")
    assert log.case(tmp_path).intervals.height == 3


def test_a_router_that_only_throws_its_table_away_is_not_away_itself(tmp_path: Path) -> None:
    """Six times all entries are gone at once; each phone is back when it registers next, the first after seconds."""
    log, r, peers, period = Writer([]), rng(7), [f"65{number}.snomd345" for number in range(8)], 600.0
    flushed = [20_000.0 + 15_000 * turn + r.uniform(0, 600) for turn in range(6)]
    for number, peer in enumerate(peers):
        phase, probe = r.uniform(0, period), r.uniform(0, 60)
        log.registered(phase, peer, 5060 + number)
        log.reachable(phase, peer)
        for turn, gone in enumerate(flushed):
            lost, back = gone + (probe - gone) % 60, phase + period * np.ceil((gone - phase) / period)
            if back > lost:
                log.lost(lost + 4, peer)
                log.registered(max(back, lost + 5), peer, 10_000 + 100 * turn + number)
                log.reachable(max(back, lost + 5), peer)
    log.reachable(150_000, peers[0])
    causes = log.case(tmp_path).intervals["cause"].to_list()
    assert len(causes) > 40
    assert causes.count("router_restart") >= 0.9 * len(causes)
