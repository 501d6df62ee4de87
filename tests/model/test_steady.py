"""No number decides by itself, and no line that is added to a log clears a router that was found too short."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

import starface_nb as sf
from starface_nb.model.priors import PRIORS, ROWS
from starface_nb.simulation import Wish, make, simulate
from tests.benchmarks.steady import SHARE, Known, Outcome, Relapse, moved, places, relapses, unchanged

WORSE = 0.03
"""What one number may cost in macro-F1 over the few logs used here."""


@cache
def logs() -> list[Known]:
    """Few small logs: between them every cause but a block, both dialects, several sites, routers short and long."""
    return [
        Known.recorded("fixed-router"),
        Known.recorded("kept-alive-by-probing"),
        Known.simulated("mixed", 6, "PJSIP", hours=12),
    ]


@cache
def usual() -> Outcome:
    return Outcome.of(logs())


def test_the_logs_are_told_right_with_the_numbers_as_they_are() -> None:
    assert not usual().wrong
    assert usual().f1() >= 0.9
    assert len({cause for cause, _ in usual().told}) >= 7


@pytest.mark.parametrize("name", [name for name, _ in places(each=False)])
def test_no_number_decides_by_itself(name: str) -> None:
    """Moved by 30 %, it turns no verdict wrong, and hardly a cause that was not as good as tossed for."""
    for share in (-SHARE, SHARE):
        with moved(name, (), share):
            found = Outcome.of(logs())
        assert not found.wrong, (name, share)
        assert found.f1(usual()) >= usual().f1() - WORSE, (name, share)


def test_a_moved_number_is_used_and_put_back() -> None:
    before = PRIORS.after_start
    with moved("after_start", (), SHARE):
        assert PRIORS.after_start == pytest.approx((1 + before) / 2)
    assert PRIORS.after_start == before
    with moved("kinds", (0,), 999.0):
        assert PRIORS.kinds[0] == pytest.approx(1000 * ROWS["kinds"]["value"][0])
        assert Outcome.of(logs()).told != usual().told
    assert Outcome.of(logs()).told == usual().told


def grown(name: str) -> list[Relapse]:
    """Return the relapses of a log up to its router's first change."""
    if name == "two_phones_30s":
        return relapses(name, (Path(__file__).parent / f"{name}.log").read_text("utf-8").splitlines())
    if name == "fixed-router":
        text = sf.samples.recorded(name).read_text("utf-8")
        return relapses(name, unchanged(text.splitlines(), sf.samples.truth(name)))
    made = simulate(make("any_packet", 5, Wish(phones=4, hours=8.0, timeout_s=30.0)), 5)
    return relapses(name, made.lines, time_zone=made.scenario.time_zone)


@pytest.mark.parametrize("name", ["two_phones_30s", "fixed-router", "any_packet"])
def test_a_longer_log_never_clears_what_a_shorter_one_convicted(name: str) -> None:
    assert grown(name) == []


def test_a_relapse_is_seen() -> None:
    """Not unchanged: where the router was repaired inside the log, the whole log clears what its first half told."""
    whole = sf.samples.recorded("fixed-router").read_text("utf-8").splitlines()
    found = relapses("repaired", whole, steps=10)
    assert found
    assert found[0].losses >= 10


@pytest.mark.parametrize("lines", [40, 60, 107])
def test_more_of_the_same_evidence_withdraws_no_verdict(tmp_path: Path, lines: int) -> None:
    """Two phones whose bindings die after 30 s: that both return at their own time counts once against the router."""
    text = (Path(__file__).parent / "two_phones_30s.log").read_text("utf-8").splitlines()
    (tmp_path / "full").write_text("\n".join(text[:lines]) + "\n", "utf-8")
    case = sf.diagnose(sf.read_log(tmp_path / "full", progress=False))
    assert case.sites["verdict"].cast(str).to_list() == ["too_short"]


def test_a_timeout_just_below_the_keepalive_is_no_phone_that_restarts() -> None:
    """Half of the bindings' deaths fall between two probes: cycles without a loss say little then."""
    scenario = make("plain", 171000002, Wish(timeout_s=3570.0, renewal="register-only", phones=5))
    case = sf.diagnose(simulate(scenario, 171000002).log)
    assert case.sites["verdict"].cast(str).to_list() == ["too_short"]
    assert case.sites["high_s"][0] >= 3570.0
