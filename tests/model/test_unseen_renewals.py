"""Renewals that no line shows: a REGISTER just as the binding ends, a binding that phones share, lossy lines."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import starface_nb as sf
from starface_nb import samples
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.model import surroundings, timeout
from starface_nb.model.eras import Evidence
from starface_nb.observations.story import Story
from starface_nb.simulation import Fault, Phone, Router, Scenario, Site, make, simulate

HOUR = 3600.0


def diagnosed(
    router: Router, phones: int, period: float, tech: str, faults: tuple[Fault, ...] = (), hours: float = 36.0
) -> Diagnosis:
    """Return a day and a half, or so many hours, of phones of one period behind this router."""
    desk = tuple(Phone(f"{1100 + i}", reregister_s=period) for i in range(phones))
    site = Site("site1", "203.0.113.40", desk, router)
    return sf.diagnose(simulate(Scenario((site,), hours, faults=faults, warm_up_s=2 * HOUR, tech=tech), 11).log)


@pytest.mark.parametrize("tech", ["SIP", "PJSIP"])
def test_a_register_just_after_the_timeout_is_the_one_due(tech: str) -> None:
    causes = diagnosed(Router(1800.0, ports="new"), 8, 1800.0, tech).intervals["cause"]
    assert len(causes) > 50
    assert (causes == "nat_expiry").mean() > 0.95


@pytest.mark.parametrize("period", [3240.0, 3420.0, 3600.0])
@pytest.mark.parametrize("tech", ["SIP", "PJSIP"])
def test_one_phone_that_registers_sooner_than_it_must_is_enough(tech: str, period: float) -> None:
    case = diagnosed(Router(3000.0, ports="new"), 1, period, tech, hours=48.0)
    assert case.sites["verdict"].to_list() == ["too_short"]


@pytest.mark.parametrize(("kept", "verdict"), [(22, "too_short"), (24, "undetermined")])
def test_phones_with_a_keepalive_of_their_own_clear_no_others(kept: int, verdict: str, tmp_path: Path) -> None:
    """Three phones lost at one age are the router's doing though 22 live; one may fail by itself, and clears nobody."""
    desk = tuple(Phone(f"{1100 + i}") for i in range(25))
    site = Site("site1", "203.0.113.40", desk, Router(3150.0, ports="new"))
    made = simulate(Scenario((site,), 96.0, warm_up_s=2 * HOUR, tech="PJSIP"), 11)
    lines, shown = list[str](), set[tuple[str, str]]()
    for line in made.lines:
        peer = next((phone.peer for phone in desk[:kept] if phone.peer in line), None)
        what = next((text for text in ("Added contact", "is now Reachable") if text in line), None)
        if peer is None or (what and (peer, what) not in shown):
            lines.append(line)
            shown.add((peer or "", what or ""))
    (path := tmp_path / "full").write_text("\n".join(lines) + "\n")
    case = sf.diagnose(sf.read_log(path, progress=False))
    assert set(case.intervals["peer"]) == {phone.peer for phone in desk[kept:]}
    assert case.sites["verdict"].to_list() == [verdict]


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


def test_an_outage_strikes_phones_on_ports_of_their_own() -> None:
    outages = tuple(Fault("wan_outage", at, at + 95.0, "site1") for at in (43_150.0, 54_750.0, 90_100.0))
    case = diagnosed(Router(1080.0, ports="kernel"), 12, HOUR, "SIP", outages)
    struck = [case.intervals.filter(pl.col("start").is_between(*case_times(case, fault))) for fault in outages]
    assert all(losses.height >= 4 for losses in struck)
    assert pl.concat(struck)["cause"].eq("wan_outage").mean() > 0.8


def case_times(case: Diagnosis, fault: Fault) -> tuple[datetime, datetime]:
    """Return between which moments probes find a fault of this site."""
    first = case.log.first
    assert first is not None
    return first + timedelta(seconds=fault.start), first + timedelta(seconds=fault.end)


def test_how_a_loss_ends_while_the_pbx_is_down_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    stories, ends = list[Story](), surroundings.ends
    monkeypatch.setattr(surroundings, "ends", lambda story: stories.append(story) or ends(story))
    diagnosed(Router(420.0, ports="new"), 10, HOUR, "SIP", (Fault("pbx_restart", 60_000.0, 62_000.0, None),))
    losses, told, stop, start = stories[0].losses, stories[0].told, stories[0].stops[0], stories[0].starts[0]
    through = (losses.start < stop) & (losses.until > start)
    assert 0 < through.sum() < len(through)
    assert np.isinf(told.end[through]).all()
    assert (told.until[through] == stop).all()
    assert (told.end == losses.end)[~through].all()


@pytest.mark.parametrize("tech", ["SIP", "PJSIP"])
def test_whose_binding_was_dead_when_the_pbx_started_was_lost_by_that(tech: str) -> None:
    """All phones were idle for longer than the timeouts; some come back soon, with a REGISTER sent again."""
    made = simulate(replace(make("messy", 370_000_033), tech=tech), 370_000_033)
    assert "pbx_restart" not in made.truth["intervals_by_cause"]
    assert "pbx_restart" not in sf.diagnose(made.log).intervals["cause"].to_list()


@pytest.mark.parametrize("tech", ["SIP", "PJSIP"])
def test_what_strikes_every_night_at_one_time_is_one_thing(tech: str) -> None:
    """The line gets a new address each night; once it takes as long as a router needs to boot."""
    nights = tuple(
        Fault("wan_outage", at, at + (48.0 if night else 170.0), "site1", values={"new_ip": f"198.51.100.{20 + night}"})
        for night in range(6)
        for at in [night * 24 * HOUR + 70_000.0]
    )
    case = diagnosed(Router(300.0, renewal="any_packet", ports="preserve"), 20, HOUR, tech, nights, hours=144.0)
    first = case.intervals.filter(pl.col("start") < case_times(case, nights[0])[1] + timedelta(minutes=2))
    assert first["cause"].eq("wan_outage").sum() >= 20


@pytest.mark.parametrize("before_end_s", [1800.0, 3400.0])
def test_the_end_of_a_log_is_no_change_of_the_timeout(before_end_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever moment is proposed: no loss has ended after it, and no binding outlived the timeout."""

    def cut(evidence: Evidence, _phones: int, _horizon: float) -> list[tuple[float, float]]:
        at = float(evidence.kept.born.max()) - before_end_s
        return [(at, at + 1.0)]

    monkeypatch.setattr(timeout, "find_changes", cut)
    case = diagnosed(Router(2100.0, ports="new"), 28, HOUR, "SIP")
    assert case.eras["verdict"].to_list() == ["too_short"]


@pytest.mark.parametrize("cut", [130, 300, 550])
def test_phones_that_answered_before_the_log_began_were_at_risk(cut: int, tmp_path: Path) -> None:
    lines = samples.recorded("clean").read_text().splitlines(keepends=True)
    (path := tmp_path / "full").write_text("".join(lines[cut:]))
    assert set(sf.diagnose(sf.read_log(path, progress=False)).intervals["cause"]) == {"nat_expiry"}
