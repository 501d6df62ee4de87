"""What the log answers of the checklist, the two readings, and the conclusion, on recorded logs."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import cache

import polars as pl
import pytest

import starface_nb as sf
from starface_nb import guide, samples
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.guide.readings import judge
from starface_nb.observations.completeness import Lacking
from starface_nb.tables import table

TR = guide.translator("en")


@cache
def case(name: str) -> Diagnosis:
    return sf.diagnose(sf.read_log(samples.path(name)))


@pytest.mark.parametrize(
    ("name", "scope", "nat"),
    [("clean", "all", "too_short"), ("mixed", "all", "too_short"), ("one-bad-phone", "one", "no_expiry")],
)
def test_the_log_answers_what_it_can(name: str, scope: str, nat: str) -> None:
    found = guide.answers_from_log(case(name), TR)
    assert found["scope"].answer_id == scope
    assert found["ever_registered"].answer_id == "all"
    assert found["log"].answer_id == "found"
    assert found["log"].refs
    assert found["nat"].answer_id in {nat, "long_enough"} if nat == "no_expiry" else found["nat"].answer_id == nat
    assert found["status"].answer_id is None  # the overview's wording is not in the log: it is asked
    steps = {step.id: step for step in guide.checklist(TR)}
    for step_id, answer in found.items():
        assert answer.answer_id is None or steps[step_id].answer(answer.answer_id)


def test_lines_that_are_named_hold_the_loss() -> None:
    lines = samples.path("clean").read_text().splitlines()
    for _, number in guide.answers_from_log(case("clean"), TR)["log"].refs:
        assert "UNREACHABLE" in lines[number - 1]


def test_a_log_without_losses() -> None:
    quiet = case("clean")
    calm = replace(
        quiet,
        intervals=quiet.intervals.clear(),
        phones=quiet.phones.with_columns(losses=pl.lit(0, dtype=pl.Int64)),
        sites=quiet.sites.with_columns(verdict=pl.lit("no_expiry_seen").cast(quiet.sites.schema["verdict"])),
    )
    found = guide.answers_from_log(calm, TR)
    assert found["scope"].answer_id == "none"
    assert found["log"].answer_id == "not_found"
    assert guide.conclusion(calm, None, TR).headline == "No phone was lost in this log."
    cut = replace(calm, observation=replace(calm.observation, lacking=Lacking(missing=("rest",))))
    assert guide.answers_from_log(cut, TR)["scope"].answer_id is None
    assert guide.conclusion(cut, None, TR).headline.endswith("parts of it are missing.")


@pytest.mark.parametrize(
    ("low", "high", "keepalive", "verdict"),
    [
        (0, 60, 60, "too_short"),
        (180, 240, 60, "long_enough"),
        (180, 240, 3600, "too_short"),
        (60, None, 60, "long_enough"),
        (60, None, 3600, "undetermined"),
        (None, None, 60, "undetermined"),
        (30, 120, 60, "undetermined"),
    ],
)
def test_a_bracket_against_a_keepalive(low: float, high: float, keepalive: float, verdict: str) -> None:
    assert judge(low, high, keepalive) == verdict


def test_the_readings_part_where_the_timeout_lies_between_them() -> None:
    both, explanations = guide.keepalive_readings(case("clean"), TR)
    assert [reading.keepalive_s for reading in both] == [3600, 60]
    assert [reading.set_s for reading in both] == [3660, 120]
    assert [[verdict for _, verdict in reading.sites] for reading in both] == [["too_short"], ["long_enough"]]
    assert "keepalives of 60 seconds are not sent or do not renew the entry" in explanations[0]


def test_the_readings_agree_where_it_is_too_short_for_both() -> None:
    _, explanations = guide.keepalive_readings(case("kept-alive-by-probing"), TR)
    assert any("too short under both readings" in line or "not decide" in line for line in explanations)


def test_every_pair_of_readings_is_explained() -> None:
    brackets = [(low, high) for low in (None, 30, 60, 600, 3600) for high in (45, 60, 900, 3600, 7200, None)]
    pairs = {"_".join(judge(low, high, keepalive) for keepalive in (3600, 60)) for low, high in brackets}
    assert pairs == table("guide/texts")["readings"].keys()


def test_the_conclusion_names_cause_and_value() -> None:
    found = guide.conclusion(case("clean"), None, TR)
    assert found.headline == "The router's timeout for NAT entries is too short."
    assert "61 minutes (3,660 seconds)" in found.next_steps[0]
    assert any("checklist" in line for line in found.next_steps)


def test_one_bad_phone_is_not_blamed_on_nat() -> None:
    found = guide.conclusion(case("one-bad-phone"), None, TR)
    assert "not by the router's NAT timeout" in found.headline
    assert not any("61 minutes" in line for line in found.next_steps)


def test_a_cured_site_is_called_cured() -> None:
    found = guide.conclusion(case("fixed-router"), None, TR)
    assert "was too short until" in found.headline


def test_answers_change_the_conclusion() -> None:
    found = case("clean")
    began = guide.trouble_began(found)
    assert began
    day = (began.date() - timedelta(days=1)).isoformat()
    answers = {
        "changes": {"answer": {"answer": "yes", "day": day}, "note": "new firewall", "who": "an", "when": "2026-03-05"},
        "status": {"answer": "not_released"},
        "ports": {"answer": {"sip_udp": "closed", "rtp_in": "open"}},
        "nat": {"answer": {"router": "OPNsense (optimization conservative)", "seconds": 1790}},
        "keepalive_test": {"answer": "better"},
    }
    drawn = guide.conclusion(found, answers, TR)
    said = " ".join((*drawn.reasons, *drawn.next_steps))
    assert "begin with that change" in said
    assert "release it in the administration" in said
    assert "Open the ports that are closed: 5060/UDP." in said
    assert "29 min 50 s. That lies inside the bracket" in said
    assert "open steps" not in said
    late = {"changes": {"answer": {"answer": "yes", "day": (began.date() + timedelta(days=3)).isoformat()}}}
    assert any("not its origin" in line for line in guide.conclusion(found, late, TR).reasons)


def test_kept_answers_are_read_in_every_form() -> None:
    assert guide.given(None, "scope") == guide.Given()
    entry = {"scope": {"answer": "one", "note": "n", "who": "w", "when": "t"}}
    assert guide.given(entry, "scope") == guide.Given(answer="one", note="n", who="w", when="t")
    assert guide.given({"changes": {"answer": {"answer": "yes", "day": "2026-03-04"}}}, "changes").day == date(
        2026, 3, 4
    )
    assert guide.given({"changes": {"answer": {"answer": "yes", "day": "soon"}}}, "changes").day is None
    assert guide.given({"ports": {"answer": {"dns": "open"}}}, "ports").ports == {"dns": "open"}
    assert guide.given({"nat": {"answer": {"router": "X", "seconds": 30}}}, "nat").seconds == 30


def test_a_note_alone_is_no_answer() -> None:
    kept = {"status": {"answer": None, "note": "asked, waiting"}, "nat": {"answer": {"answer": "checked"}}}
    ids = [step.id for step in guide.open_steps(case("clean"), kept, TR)]
    assert ids == ["status", "changes", "ports", "keepalive_test"]
    titles = [step.title for step in guide.open_steps(case("clean"), kept, TR)]
    assert guide.conclusion(case("clean"), kept, TR).next_steps[-1].endswith(f"checklist: {', '.join(titles)}.")


def test_a_router_in_free_text_does_no_harm() -> None:
    answers = {"nat": {"answer": {"answer": "unknown", "router": "the grey box in the cellar"}}}
    assert guide.conclusion(case("clean"), answers, TR).reasons


def test_a_value_that_is_longer_than_what_was_seen_points_to_offload() -> None:
    for seconds, offload in ((86_400, True), (30, False)):
        answers = {"nat": {"answer": {"router": "OpenWrt", "seconds": seconds}}}
        reasons = " ".join(guide.conclusion(case("clean"), answers, TR).reasons)
        assert ("hardware or flow offload" in reasons) is offload
