"""What looks like something else: exact and varying timers, borrowed bindings, strangers, lines reset by a timer."""

from dataclasses import replace

import polars as pl
import pytest

import starface_nb as sf
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.analysis.experiment import what_next
from starface_nb.simulation import Phone, Router, Scenario, Site, simulate
from tests.simulation.families import FAMILIES, make


def drawn(family: str, seed: int, tech: str = "") -> Diagnosis:
    assert family in FAMILIES
    made = make(family, seed)
    return sf.diagnose(simulate(replace(made, tech=tech or made.tech), seed).log)


def phones(site: int, n: int, **spec: float) -> tuple[Phone, ...]:
    return tuple(Phone(f"{site}{i:03}.snomd345", first_s=60.0 + 337.0 * i, **spec) for i in range(n))


def site(number: int, n: int, router: Router, **spec: float) -> Site:
    return Site(f"site{number}", f"203.0.113.{number}", phones(number, n, **spec), router)


def test_returns_that_meet_the_probing_grid_in_every_cycle_are_renewals():
    where = site(1, 3, Router(2935.0, ports="preserve"), jitter=0.0)
    case = sf.diagnose(simulate(Scenario((where,), 30.0), 1).log)
    gone = case.intervals.filter(pl.col("seconds") > 70)
    on_grid = ((gone["seconds"] - 10) % 14).is_between(0, 2)
    assert on_grid.mean() > 0.5, "the customer must be one whose returns meet the grid"
    era = case.eras.row(0, named=True)
    assert era["verdict"] == "too_short"
    assert era["low_s"] < 2935 <= era["high_s"]
    assert (gone["cause"] == "nat_expiry").all()


@pytest.mark.parametrize("jitter", [0.03, 0.06])
def test_timers_that_vary_do_not_hide_a_timeout(jitter):
    case = sf.diagnose(simulate(Scenario((site(1, 5, Router(3200.0), jitter=jitter),), 48.0), 2).log)
    era = case.eras.row(0, named=True)
    assert era["verdict"] == "too_short"
    assert era["low_s"] < 3200 <= era["high_s"]


@pytest.mark.parametrize(("seed", "timeout"), [(101000018, 900.0), (101000121, 180.0)])
def test_borrowed_bindings_are_known_by_when_phones_go_again(seed, timeout):
    eras = drawn("inherited_ports", seed).eras
    assert eras["verdict"].to_list() == ["too_short"]
    assert eras["low_s"][0] < timeout <= eras["high_s"][0]


def test_a_bad_quarter_of_an_hour_is_no_timeout_where_ports_are_shared():
    for seed in (101000005, 111000561):
        assert "too_short" not in drawn("inherited_ports", seed).eras["verdict"].to_list()


def test_strangers_who_contradict_the_only_known_site_are_judged_apart():
    known = site(1, 6, Router(600.0, ports="new"), jitter=0.005)
    strangers = site(2, 6, Router(2000.0, ports="preserve"), jitter=0.005)
    case = sf.diagnose(simulate(Scenario((known, strangers), 24.0, warm_up_s=10_800.0), 3).log)
    held = {row["site"]: (row["low_s"], row["high_s"]) for row in case.sites.iter_rows(named=True)}
    assert set(held) == {"203.0.113.1", "unknown"}
    for name, timeout in (("203.0.113.1", 600.0), ("unknown", 2000.0)):
        assert held[name][0] < timeout <= held[name][1], name


def test_strangers_who_go_with_the_known_site_are_its_phones():
    case = drawn("look_alikes", 121000044)
    assert "too_short" not in case.eras["verdict"].to_list()
    assert case.eras["site"].to_list() == ["203.0.113.1"]


def test_a_line_reset_by_a_timer_is_a_line_where_the_silence_kills_bindings():
    causes = drawn("look_alikes", 104000421).intervals
    assert (causes["cause"] == "wan_outage").mean() > 0.9


@pytest.mark.parametrize(("seed", "tech"), [(420000654, "PJSIP"), (390000025, "SIP")])
def test_a_line_that_fails_every_half_hour_under_phones_in_step_is_no_timeout(seed, tech):
    """No registration is seen, ports are kept, and each phone is away at just its half hour."""
    case = drawn("look_alikes", seed, tech)
    assert case.sites["verdict"].to_list() == ["undetermined"]
    assert (case.intervals["cause"] == "wan_outage").mean() > 0.9
    assert "cannot_tell_apart" in [finding.id for finding in case.findings]
    assert what_next(case).id == "one_keepalive"
    quiet = case.phones["peer"][0]  # of a phone that is not lost, a shorter keepalive tells nothing
    others = replace(case, intervals=case.intervals.filter(pl.col("peer") != quiet))
    assert what_next(others).phones[0] != quiet
    one = replace(case, intervals=case.intervals.filter(pl.col("peer") == quiet))
    assert what_next(one).id == "one_keepalive"
    short = replace(case, settings=replace(case.settings, keepalive_s=30.0))
    assert what_next(short).id == "none"


@pytest.mark.parametrize(
    ("family", "seed", "tech", "told", "tried"),
    [
        ("one_bad_phone", 900051, "PJSIP", "cannot_tell_apart", "one_keepalive"),  # 83 h, and no cycle that counts
        ("one_bad_phone", 900060, "SIP", "cannot_tell_apart", "one_keepalive"),  # 45 of them
    ],
)
def test_more_log_is_not_promised_to_decide_what_this_one_has_not(family, seed, tech, told, tried):
    case = drawn(family, seed, tech)
    [found] = [finding for finding in case.findings if finding.id.startswith("cannot_tell")]
    assert (found.id, found.values["more_s"]) == (told, None)
    assert what_next(case, found.site).id == tried


def test_hours_in_which_nobody_was_lost_after_an_outage_clear_healthy_routers():
    case = drawn("messy", 900238, "SIP")  # timeouts of two hours and more; fourteen hours of it without a loss
    assert case.sites["verdict"].unique().to_list() == ["no_expiry_seen"]
    assert not [finding for finding in case.findings if finding.id.startswith("cannot_tell")]


@pytest.mark.parametrize("seed", [440000012, 440000236])
def test_a_line_that_drops_every_half_hour_strikes_one_phone_where_the_others_are_still_away(seed):
    assert "too_short" not in drawn("look_alikes", seed, "SIP").eras["verdict"].to_list()


def test_phones_in_step_whose_registrations_are_seen_lose_their_entries():
    fleet = tuple(Phone(f"1{i:03}.snomd345", first_s=60.0) for i in range(4))
    case = sf.diagnose(simulate(Scenario((Site("a", "203.0.113.9", fleet, Router(900.0, ports="new")),), 36.0), 4).log)
    assert case.sites["verdict"].to_list() == ["too_short"]


def test_phones_that_a_power_cut_brought_into_step_lose_their_entries():
    """Silent renewals on kept ports look like a line by the clock: what each lost before the cut tells them apart."""
    case = drawn("look_alikes", 440000291, "PJSIP")
    assert case.eras["verdict"].to_list() == ["too_short"]
    assert (case.intervals["cause"] == "nat_expiry").mean() > 0.9


def test_phones_in_step_clear_no_router():
    """T is 53 min: three phones of an hour go together each time, one of 54 min is away for one probe at most."""
    assert drawn("look_alikes", 440000197, "PJSIP").sites["verdict"].to_list() == ["undetermined"]


@pytest.mark.parametrize("seed", [440000271, 440000049])
def test_bursts_all_day_long_are_no_timeout_below_the_probing_interval(seed):
    assert "too_short" not in drawn("look_alikes", seed, "PJSIP").eras["verdict"].to_list()


@pytest.mark.parametrize("seed", [450000139, 450000103])
def test_bindings_in_use_do_not_clear_a_router_that_drops_new_ones(seed):
    """T is 30 s until the first answered probe: who is found again by a probe was probed in time."""
    assert drawn("any_packet", seed, "PJSIP").eras["verdict"].to_list() == ["too_short"]


def test_a_phone_that_reboots_by_the_clock_is_no_router():
    assert "too_short" not in drawn("one_bad_phone", 106000148).eras["verdict"].to_list()


def test_refused_registrations_block_phones_whose_address_no_line_shows():
    causes = drawn("any_packet", 102000550).intervals.filter(pl.col("end").is_null())
    assert causes.height == 15
    assert (causes["cause"] == "blacklisted").all()


def test_phones_in_step_whose_entries_live_for_nearly_an_hour_stray_from_the_clock():
    """Four days after a power cut each phone still loses its entry 3,451 s after its own REGISTER, which drifts."""
    case = drawn("look_alikes", 702000246, "PJSIP")
    (row,) = case.sites.rows(named=True)
    assert row["verdict"] == "too_short"
    assert row["low_s"] < 3451 <= row["high_s"] < 3500
    assert (case.intervals["cause"] == "nat_expiry").mean() > 0.95
