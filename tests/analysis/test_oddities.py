"""Fifteen things that real logs show and that break naive readings; each has its test."""

import polars as pl
import pytest
from recorded import Writer, case, truth

from starface_nb import diagnose
from starface_nb.simulation import Fault, Phone, Router, Scenario, Site, simulate

PHONES = tuple(Phone(f"30{i}.snom720") for i in range(6))


def simulated(
    router: Router, hours: float = 14.0, faults: tuple[Fault, ...] = (), phones=PHONES, tech: str = "SIP", **more
):
    scenario = Scenario((Site("s", "203.0.113.9", phones, router),), hours, faults=faults, tech=tech, **more)
    return diagnose(simulate(scenario, 7).log)


def causes(found) -> set[str]:
    return set(found.intervals["cause"].cast(pl.String))


def test_01_a_dead_phone_that_another_one_brings_back_is_still_nat():
    found = simulated(Router(900.0, ports="kernel"), 24.0)
    inherited = found.intervals.filter((pl.col("seconds") < 1500) & (pl.col("cause") == "nat_expiry"))
    assert inherited.height > 10
    assert found.sites["low_s"][0] < 900 <= found.sites["high_s"][0]


def test_02_repeated_unreachable_is_one_interval(tmp_path):
    log = Writer([])
    log.lost(0, "101.a")
    log.lost(24, "101.a")
    log.reachable(38, "101.a")
    found = log.case(tmp_path)
    assert found.intervals.select("repeats", "seconds").rows() == [(1, 38.0)]


def test_03_the_burst_after_a_pbx_start_is_no_outage(tmp_path):
    log = Writer([])
    for i in range(6):
        log.nat(f"10{i}.a", 100 * i, 1800, 3, port=20000 + 100 * i)
    log.pbx_stop(9800)
    log.pbx_start(9860)
    for i in range(6):
        log.lost(9866 + i, f"10{i}.a", 0)
    found = log.case(tmp_path)
    assert causes(found) == {"nat_expiry"}
    assert found.intervals["repeats"].sum() == 6


def test_04_short_losses_on_the_retry_rhythm_are_lost_packets(tmp_path):
    log = Writer([])
    for i in range(5):
        log.registered(i * 10, f"10{i}.a", 5060 + i)
        log.reachable(i * 10, f"10{i}.a")
    for n, length in enumerate((10, 24, 38)):
        log.lost(4000 + 1000 * n, "102.a")
        log.reachable(4000 + 1000 * n + length, "102.a")
    assert causes(log.case(tmp_path)) == {"packet_loss"}


def test_05_the_bracket_is_one_cell_of_the_probing_grid_for_every_phone():
    (site,) = case("clean").sites.iter_rows(named=True)
    assert 1740 - 2 <= site["low_s"] < 1800 <= site["high_s"] <= 1804


def test_06_renewals_without_a_line_are_inferred():
    cycles = case("one-bad-phone").cycles
    assert cycles.filter(pl.col("renewal") == "routine").height > 100


def test_07_a_phone_whose_registration_ran_out_stays_one_interval():
    found = case("mixed").intervals
    (row,) = found.filter((pl.col("peer") == "23101.snom720") & (pl.col("seconds") > 10000)).iter_rows(named=True)
    assert row["cause"] == "phone_offline"


def test_08_registered_and_reachable_in_the_next_second_are_one_renewal(tmp_path):
    log = Writer([])
    log.nat("101.a", 0, 1800, 5)
    log.lines = [line.replace("08:00:00] NOTICE", "08:00:01] NOTICE") for line in log.lines]
    assert log.case(tmp_path).cycles.filter(pl.col("outcome") == "expired").height == 5


def test_09_a_log_opened_anew_is_no_restart(tmp_path):
    log = Writer([])
    log.nat("101.a", 0, 1800, 4)
    log.lines.append("[2026-03-02 08:30:10] Asterisk 16.30.0 built by root @ pbx on a x86_64 running Linux on x")
    assert causes(log.case(tmp_path)) == {"nat_expiry"}


def test_10_pjsip_modules_with_a_slash_are_read():
    assert case("pjsip-clean").intervals.height == len(truth("pjsip-clean")["unreachable_intervals"])


@pytest.mark.parametrize("name", ["mixed", "kept-alive-by-probing"])
def test_11_the_tail_after_an_outage_or_restart_is_not_taken_for_nat(name):
    wanted = {(u["peer"], u["start"][-8:]) for u in truth(name)["unreachable_intervals"]
              if u["cause"] in ("wan_outage", "router_reboot")}  # fmt: skip
    found = case(name).intervals.with_columns(
        pl.col("start").dt.convert_time_zone("Europe/Berlin").dt.strftime("%H:%M:%S").alias("clock"))  # fmt: skip
    taken = {(r["peer"], r["clock"]) for r in found.filter(pl.col("cause") == "nat_expiry").iter_rows(named=True)}
    assert wanted
    assert not wanted & taken


def test_11_nat_losses_in_step_after_a_power_cut_are_nat():
    cut = Fault("power_cut", 3 * 3600.0, 3 * 3600.0 + 120.0, "s")
    found = simulated(Router(1500.0), faults=(cut,))
    later = found.intervals.filter(pl.col("start") > found.log.first + pl.duration(hours=4))
    assert later.height > 20
    assert set(later["cause"].cast(pl.String)) == {"nat_expiry"}


def test_12_probing_keeps_180_s_alive_and_hides_it_but_not_30_s():
    sites = {row["site"]: row for row in case("kept-alive-by-probing").sites.iter_rows(named=True)}
    assert sites["203.0.113.31"]["verdict"] == "too_short"
    assert (sites["203.0.113.31"]["low_s"], sites["203.0.113.31"]["high_s"]) == (0.0, 60.0)
    assert sites["203.0.113.32"]["verdict"] == "no_expiry_seen"
    assert sites["203.0.113.32"]["low_s"] <= 180
    assert sites["203.0.113.32"]["high_s"] is None
    assert "any_packet" in [f.id for f in case("kept-alive-by-probing").findings]


def test_13_bindings_that_died_for_want_of_probes_are_the_pbx_restart():
    found = case("kept-alive-by-probing").intervals
    assert found.filter(pl.col("cause") == "pbx_restart").height == 4


def test_14_a_raised_timeout_is_seen_with_its_time_although_it_acts_late():
    eras = case("fixed-router").eras.rows(named=True)
    assert [era["verdict"] for era in eras] == ["too_short", "no_expiry_seen"]
    assert eras[0]["low_s"] < 1200 <= eras[0]["high_s"]
    assert eras[1]["start"].hour == 10  # 11:45 in Berlin, within one keepalive
    assert "timeout_fixed" in [f.id for f in case("fixed-router").findings]


def test_15_pjsip_with_its_own_rhythm_gives_the_same_bracket():
    (site,) = case("pjsip-clean").sites.iter_rows(named=True)
    assert site["low_s"] < 1800 <= site["high_s"] <= 1804
    preserved = simulated(Router(1800.0, ports="preserve"), tech="PJSIP")
    assert preserved.sites["verdict"].to_list() == ["too_short"]
    assert preserved.sites["low_s"][0] < 1800 <= preserved.sites["high_s"][0]


def test_addresses_are_not_judged_by_their_range():
    assert case("clean").sites["site"].to_list() == ["203.0.113.11"]
