"""The rules of probes, registrations and mappings that recorded logs showed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl
import pytest

from starface_nb.simulation import Fault, Phone, Router, Scenario, Simulated, Site, Style, simulate

IP = "203.0.113.1"


def run(
    router: Router,
    *faults: Fault,
    count: int = 4,
    hours: float = 8.0,
    warm: float = 0.0,
    tech: str = "SIP",
    **phone: float,
) -> Simulated:
    values = {"first_s": None, "jitter": 0.005, **phone}
    phones = tuple(Phone(f"10{i}.snomd345", **values) for i in range(count))  # type: ignore[arg-type]
    scenario = Scenario((Site("a", IP, phones, router),), hours, faults=faults, warm_up_s=warm, tech=tech)
    return simulate(scenario, 1)


def ages(made: Simulated) -> np.ndarray:
    """Return seconds from a registration line to the loss that follows it."""
    events = made.log.events.filter(pl.col("kind").is_in(["registered", "unreachable"])).sort("peer", "time")
    pairs = events.with_columns(
        pl.col("kind").shift(1).over("peer").alias("before"), pl.col("time").diff().over("peer")
    )
    lost = pairs.filter(pl.col("kind") == "unreachable", pl.col("before") == "registered")
    return (lost["time"].dt.total_microseconds() / 1e6).to_numpy()


def causes(made: Simulated) -> dict[str, int]:
    found: dict[str, int] = made.truth["intervals_by_cause"]  # type: ignore[assignment]
    return found


def lines(made: Simulated, text: str) -> list[str]:
    return [line for line in made.lines if text in line]


@pytest.mark.parametrize(
    ("timeout", "cell"), [(30.0, 60.0), (59.0, 60.0), (300.0, 300.0), (301.0, 360.0), (1750.0, 1800.0)]
)
def test_a_loss_stands_on_the_grid_since_the_register(timeout: float, cell: float) -> None:
    found = ages(run(Router(timeout)))
    assert found.size > 20
    drift = found - 4.0 - cell
    assert drift.min() >= -1.0
    assert drift.max() <= 1.0 + cell / 60.0 * 0.09
    assert np.ptp(found) <= 1.0 + cell / 60.0 * 0.09


def test_a_new_port_shows_a_registration_and_a_kept_one_does_not() -> None:
    new, kept = run(Router(600.0)), run(Router(600.0, ports="preserve"))
    assert len(lines(new, "Registered SIP")) > 25
    assert len(lines(kept, "Registered SIP")) == 4
    assert len(lines(kept, "is now Reachable")) > 25


def test_routine_registers_leave_no_line() -> None:
    made = run(Router(7200.0))
    assert len(lines(made, "Registered SIP")) == len(lines(made, "is now Reachable")) == 4
    assert causes(made) == {}


def test_any_packet_above_the_probe_interval_never_expires() -> None:
    assert causes(run(Router(180.0, renewal="any_packet"))) == {}
    short = run(Router(30.0, renewal="any_packet"))
    assert set(causes(short)) == {"nat_expiry"}
    assert {round(age) for age in ages(short)} <= {64, 65}


def test_a_young_flow_dies_by_the_shorter_timeout() -> None:
    made = run(Router(120.0, unreplied_s=30.0, renewal="any_packet"))
    assert {round(age) for age in ages(made)} <= {64, 65}


def test_a_dead_phone_turns_reachable_through_an_heir() -> None:
    made = run(Router(900.0, ports="kernel"), count=6, hours=24)
    events = made.log.events.sort("peer", "time")
    back = events.with_columns(pl.col("kind").shift(1).over("peer").alias("before"))
    # The phones' own recoveries come at their hourly REGISTER; those in between belong to another phone's port.
    short = [
        u["duration_s"]
        for u in made.truth["unreachable_intervals"]  # type: ignore[attr-defined]
        if u["duration_s"] is not None and u["duration_s"] < 1800
    ]
    assert len(short) > 10
    assert back.filter(pl.col("kind") == "reachable", pl.col("before") == "unreachable").height > 50


def test_a_dead_phone_is_probed_every_14_s() -> None:
    bursts = [Fault("packet_loss", 5000.0 + 150.0 * i, 5070.0 + 150.0 * i, "a") for i in range(9)]
    made = run(Router(7200.0), *bursts, first_s=600.0)
    lasting = [u["duration_s"] for u in made.truth["unreachable_intervals"]]  # type: ignore[attr-defined]
    assert len(lasting) > 20
    # A probe sent into the end of the burst is answered after a resend, a second late; two seconds late it counts as
    # lagged, which is silent after UNREACHABLE, and the next probe follows ten seconds after that answer.
    assert all((s - 9.5) % 14.0 < 2.0 or (s - 9.5) % 14.0 > 11.5 for s in lasting)
    assert sum(abs(s - 24.0) < 1.0 for s in lasting) > 10


def test_a_restart_probes_stored_registrations_at_once() -> None:
    off = Fault("phone_offline", 9800.0, 20000.0, "a", "100.snomd345")
    restart = Fault("pbx_restart", 10000.0, 10060.0)
    made = run(Router(7200.0), off, restart)
    after = made.log.events.filter(
        pl.col("time") >= made.scenario.at(10000.0), pl.col("time") <= made.scenario.at(10080.0)
    )
    assert after["kind"].to_list() == ["shutdown", "restart", *["reachable"] * 3, "unreachable"]
    assert after.filter(pl.col("kind") == "unreachable")["last_rtt_ms"].to_list() == [0.0]
    (interval,) = made.truth["unreachable_intervals"]  # type: ignore[misc]
    assert len(interval["repeat_lines"]) == 1
    assert interval["cause"] == "phone_offline"


def test_a_crash_leaves_no_line() -> None:
    made = run(Router(7200.0), Fault("pbx_restart", 10000.0, 10060.0, values={"crash": True}))
    assert not lines(made, "cleanly ending")
    assert len(lines(made, "built by")) == 2


def test_a_pbx_that_is_down_writes_nothing() -> None:
    quiet = run(Router(7200.0), Fault("pbx_restart", 10000.0, 13000.0, values={"crash": True})).scenario
    made = simulate(replace(quiet, style=Style("iso", noise=600.0)), 1)
    times = pl.Series(made.lines).str.slice(1, 19).str.to_datetime()
    since = (times - times[0]).dt.total_seconds()
    assert since.is_between(9_000, 10_000).sum() > 100
    assert since.is_between(10_001, 12_999).sum() == 0


def test_the_useragent_shows_again_after_a_restart() -> None:
    made = run(Router(7200.0), Fault("pbx_restart", 10000.0, 10060.0))
    assert len(lines(made, "Saved useragent")) == 8
    assert len(lines(made, "Registered SIP")) == 4


def test_an_expired_phone_is_not_probed_any_more() -> None:
    off = Fault("phone_offline", 5000.0, 25000.0, "a", "100.snomd345")
    restart = Fault("pbx_restart", 15000.0, 15060.0)
    made = run(Router(7200.0), off, restart)
    mine = made.log.events.filter(pl.col("peer") == "100.snomd345")["kind"].to_list()
    assert mine == ["registered", "reachable", "unreachable", "registered", "reachable"]


def test_a_raised_timeout_acts_from_the_next_renewal() -> None:
    at = 4.0 * 3600
    fix = Fault("router_change", at, at, "a", values={"router": Router(3660.0), "keep": True})
    made = run(Router(1200.0), fix, count=10, hours=10)
    late = made.log.events.filter(pl.col("kind") == "unreachable", pl.col("time") >= made.scenario.at(at))
    assert 1 <= late.height <= 10
    assert late["peer"].n_unique() == late.height
    assert late["time"].max() <= made.scenario.at(at + 1300.0)


def test_a_wan_outage_with_a_new_address_lasts_until_the_register() -> None:
    outage = Fault("wan_outage", 10000.0, 10300.0, "a", values={"new_ip": "198.51.100.9"})
    made = run(Router(7200.0), outage, count=6)
    assert causes(made) == {"wan_outage": 6}
    assert made.log.events.filter(pl.col("kind") == "registered")["address"].to_list()[-6:] == ["198.51.100.9"] * 6
    ends = [datetime.fromisoformat(u["end"]) for u in made.truth["unreachable_intervals"]]  # type: ignore[attr-defined]
    assert (max(ends) - min(ends)).total_seconds() > 600


def test_a_blocked_address_is_silent_for_a_day() -> None:
    made = run(Router(7200.0), Fault("blacklisted", 10000.0, 10000.0 + 86400.0, "a"), hours=40)
    assert causes(made) == {"blacklisted": 4}
    assert len(lines(made, "Wrong password")) >= 4
    longest = max(u["duration_s"] for u in made.truth["unreachable_intervals"])  # type: ignore[attr-defined]
    assert 86000 < longest < 87000


def test_a_log_may_begin_in_the_middle() -> None:
    made = run(Router(900.0), warm=7200.0)
    assert not lines(made, "built by")
    kinds = made.log.events.group_by("peer", maintain_order=True).first()["kind"].to_list()
    assert len(kinds) == 4
    assert made.truth["sites"][0]["eras"][0]["cycles_expired"] > 10  # type: ignore[index]


def test_pjsip_probes_every_minute_up_and_down_and_says_everything_twice() -> None:
    made = run(Router(1750.0), tech="PJSIP")
    assert len(lines(made, "Endpoint 100.snomd345 is now Unreachable")) == len(
        [line for line in lines(made, "Contact 100.snomd345/") if "Unreachable" in line]
    )
    lost = made.log.events.filter(pl.col("kind") == "unreachable", pl.col("contact").is_not_null())
    assert lost.height > 15
    assert not lines(made, "Lagged")


def test_the_oracle_holds_the_timeout() -> None:
    for timeout in (130.0, 900.0, 1234.5, 3333.0):
        era = run(Router(timeout), hours=24).truth["sites"][0]["eras"][0]  # type: ignore[index]
        assert era["oracle_low_s"] < timeout <= era["oracle_high_s"]
        assert era["oracle_high_s"] - era["oracle_low_s"] <= 61.0
