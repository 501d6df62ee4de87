"""Before and after: fixed, unchanged, or how much more log it takes."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

import starface_nb as sf
from starface_nb.analysis.compare import Comparison, _overall, compare, compare_at
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.cli import main
from starface_nb.errors import SettingError
from starface_nb.guide.comparison import comparison_text
from starface_nb.guide.i18n import LANGUAGES, translator
from starface_nb.simulation import Fault, Phone, Router, Scenario, Site, simulate
from starface_nb.text import visible
from tests.simulation.families import make

RECORDED = Path(__file__).parents[2] / "data" / "recorded"
FIXED = RECORDED / "fixed-router" / "pbx.log"
TRUE_CHANGE = datetime(2026, 3, 13, 10, 45, 21, tzinfo=UTC)
PHONES = tuple(Phone(f"20{i}.snomd345", jitter=0.008) for i in range(8))
START = datetime(2026, 3, 3, 5, 40, tzinfo=UTC)


@cache
def case(
    timeout_s: float, hours: float, day: float = 0.0, count: int = 8, warm: float = 0.0, **router: str
) -> Diagnosis:
    where = Site("a", "203.0.113.7", PHONES[:count], Router(timeout_s, **router))  # type: ignore[arg-type]
    scenario = Scenario((where,), hours, start=START + timedelta(days=day), warm_up_s=warm)
    return sf.diagnose(simulate(scenario, int(day * 10) + 1).log)


def test_the_recorded_fix_is_found_with_its_time() -> None:
    found = compare_at(sf.diagnose(sf.read_log(FIXED)))
    assert found.verdict == "fixed"
    assert found.probability > 0.95
    assert found.changed_at is not None
    assert abs(found.changed_at - TRUE_CHANGE) <= timedelta(hours=1)
    assert found.before.low_s is not None
    assert found.before.high_s is not None
    assert found.before.low_s < 1200 <= found.before.high_s + 1.5
    assert found.after.high_s is None
    assert found.settled


def test_a_given_time_gives_the_same_verdict() -> None:
    found = compare_at(sf.diagnose(sf.read_log(FIXED)), TRUE_CHANGE)
    assert (found.verdict, found.changed_at) == ("fixed", TRUE_CHANGE)


@pytest.mark.parametrize("hours", [-3, -1, 3, 4.5])
def test_losses_that_stopped_at_another_time_than_the_one_named_are_told_so(hours: float) -> None:
    found = compare_at(sf.diagnose(sf.read_log(FIXED)), TRUE_CHANGE + timedelta(hours=hours))
    assert found.changed_at is not None
    assert abs(found.changed_at - TRUE_CHANGE) < timedelta(minutes=10)
    assert (found.verdict, found.sites[0].reason) == ("fixed", "another_time")


@pytest.mark.parametrize(
    ("family", "seed", "tech", "share", "why"),
    [("healthy", 950055, "SIP", 0.3, "open_before"), ("any_packet", 950009, "PJSIP", 0.7, "too_little_exposure")],
)
def test_no_cure_is_told_of_a_router_that_was_not_ill_or_still_is(
    family: str, seed: int, tech: str, share: float, why: str
) -> None:
    drawn = replace(make(family, seed), tech=tech)
    whole = sf.diagnose(simulate(drawn, seed).log)
    [site] = compare_at(whole, drawn.at(share * drawn.seconds)).sites
    assert (site.verdict, site.reason) == ("cannot_tell", why)


@pytest.mark.parametrize("warm", [0.0, 7200.0])
def test_two_logs_of_an_unfixed_router_are_unchanged(warm: float) -> None:
    found = compare(case(1200.0, 10.0), case(1200.0, 10.0, 2.0, warm=warm))
    assert found.verdict == "unchanged"
    assert found.probability > 0.95
    assert not found.settled


def _pair(seed: int, change: float) -> Comparison:
    """Compare a customer before and after, whose router drops entries `change` times as late as before."""
    chance = random.Random(seed)  # noqa: S311  a simulation, no secret
    timeout, count = chance.uniform(240.0, 1500.0), chance.randrange(3, 9)
    router = {"ports": chance.choice(["new", "preserve"])}
    before = case(timeout, chance.uniform(8, 14), seed, count, **router)
    return compare(before, case(timeout * change, chance.uniform(8, 14), seed + 0.8, count, 3600.0, **router))


def test_a_setting_that_does_not_act_is_told_and_never_where_it_acts() -> None:
    pairs = [_pair(seed, 1.0) for seed in range(10)]
    assert sum(bool(one.sites[0].findings) for one in pairs) >= 9
    for change in (20.0, 2.0, 0.5):  # cured, longer, shorter
        assert [_pair(seed, change).sites[0].findings for seed in range(100, 110)] == [()] * 10
    found = pairs[0]
    assert found.to_json()["sites"][0]["findings"][0]["id"] == "offload"
    for language, word in zip(LANGUAGES, ("offload", "Offload", "offload"), strict=True):
        text = " ".join(comparison_text(found, translator(language)))
        assert word in text
        assert "{" not in text


def test_two_recorded_halves_of_an_unfixed_router_are_unchanged() -> None:
    whole = sf.diagnose(sf.read_log(RECORDED / "clean" / "pbx.log"))
    assert compare_at(whole, datetime(2026, 3, 3, 14, tzinfo=UTC)).verdict == "unchanged"


def test_a_fixed_router_is_fixed_where_the_phones_are_seen_and_stay_quiet() -> None:
    found = compare(case(1200.0, 10.0), case(3700.0, 24.0, 2.0))
    assert found.verdict == "fixed"
    assert found.sites[0].reason == "no_losses"


def test_a_log_without_any_phone_proves_nothing() -> None:
    after = case(3700.0, 24.0, 2.0, warm=7200.0)
    assert after.log.events.is_empty()
    found = compare(case(1200.0, 10.0), after)
    assert (found.verdict, found.sites[0].reason, found.settled) == ("cannot_tell", "no_phone", False)


def test_two_hours_are_too_little_and_it_says_how_much_is_missing() -> None:
    found = compare(case(1200.0, 10.0), case(3700.0, 2.0, 2.0))
    assert found.verdict == "cannot_tell"
    assert found.hours_needed is not None
    assert 0.5 <= found.hours_needed <= 6.0
    enough = compare(case(1200.0, 10.0), case(3700.0, 2.0 + found.hours_needed, 2.0))
    assert enough.verdict == "fixed"


def test_two_recorded_hours_after_the_fix_are_too_little(tmp_path: Path) -> None:
    lines = FIXED.read_text().splitlines(keepends=True)
    sides = {}
    for name, first, last in (("before", "00:00", "11:45:21"), ("two_hours", "11:45:21", "13:45:21")):
        path = tmp_path / name
        path.write_text("".join(line for line in lines if first <= line[12:20] < last))
        sides[name] = sf.diagnose(sf.read_log(path))
    found = compare(sides["before"], sides["two_hours"])
    assert found.verdict == "cannot_tell"
    assert found.hours_needed == 1.0
    text = " ".join(comparison_text(found, translator("en")))
    assert "Another 1 h of log without a loss would prove it." in text
    assert "So far the probability of a cure is" in text
    assert "The timeout is now" not in text
    assert sf.charts.to_svg(sf.charts.before_after(found)).count("NAT timeout") == 1  # that before


def test_one_phone_needs_more_log_than_eight() -> None:
    one = compare(case(1200.0, 10.0, count=1), case(3700.0, 2.0, 2.0, count=1)).hours_needed
    eight = compare(case(1200.0, 10.0), case(3700.0, 2.0, 2.0)).hours_needed
    assert one is not None
    assert eight is not None
    assert one > eight


@pytest.mark.parametrize(("before", "after", "verdict"), [(600.0, 1800.0, "improved"), (1800.0, 600.0, "worse")])
def test_another_timeout_that_is_still_too_short(before: float, after: float, verdict: str) -> None:
    found = compare(case(before, 10.0), case(after, 10.0, 2.0))
    assert found.verdict == verdict
    assert found.after.high_s == pytest.approx(after, abs=62)


def test_a_new_trouble_is_worse_and_none_is_unchanged() -> None:
    assert compare(case(7200.0, 12.0), case(1200.0, 12.0, 2.0)).verdict == "worse"
    calm = compare(case(7200.0, 12.0), case(7200.0, 12.0, 2.0))
    assert (calm.verdict, calm.settled) == ("unchanged", True)


def test_a_side_too_short_to_show_a_loss_tells_no_change() -> None:
    lost, calm = case(900.0, 12.0), case(7200.0, 12.0)
    for whole, hours, side in ((lost, 0.2, "before"), (calm, 0.2, "before"), (calm, 11.9, "after")):
        found = compare_at(whole, START + timedelta(hours=hours))
        assert (found.verdict, found.probability, found.settled) == ("cannot_tell", 0.5, False)
        assert found.sites[0].reason == f"too_short_{side}"
        text = "\n".join(comparison_text(found, translator("en")))
        assert "robability" not in text
        assert " of 0" not in text
    # where there is a new trouble, a cure elsewhere does not hide it
    [new] = compare_at(lost, START + timedelta(hours=0.2)).sites
    cured = compare(case(1200.0, 10.0), case(3700.0, 24.0, 2.0)).sites[0]
    assert _overall([cured, new], "UTC").verdict == "cannot_tell"


def _cut(whole: Diagnosis, start: float, end: float) -> Diagnosis:
    """Return the log's lines between two hours."""
    first, last = (START + timedelta(hours=hours) for hours in (start, end))
    events = whole.log.events.filter(pl.col("time").is_between(first, last))
    return sf.diagnose(replace(whole.log, events=events, first=events["time"].min(), last=events["time"].max()))


def test_logs_of_the_same_time_are_not_compared_and_a_repeated_end_does_not_count() -> None:
    whole = case(1200.0, 20.0)
    early, late = _cut(whole, 0, 10), _cut(whole, 9, 20)
    for before, after in ((whole, early), (whole, late), (early, _cut(whole, 1, 9)), (early, case(1200.0, 12.0, 0.02))):
        assert {site.reason for site in compare(before, after).sites} == {"overlap"}
    for after in (late, whole):  # fetched later, with the end of the first log or all of it
        found = compare(early, after)
        assert found.verdict == "unchanged"
        assert found.after.hours == pytest.approx(10.0, abs=0.2)
    moved = _other(case(1200.0, 12.0), 0, "198.51.100.4")
    for one, other in ((early, moved), (moved, early)):
        assert {site.reason for site in compare(one, other).sites} == {"two_customers"}


def test_half_of_a_log_without_expiries_shows_no_more_of_the_timeout_than_all_of_it() -> None:
    whole = case(7200.0, 12.0)
    [site] = compare_at(whole).sites
    assert site.before.bracket == site.after.bracket == {"low_s": whole.sites["low_s"][0], "high_s": None}


def test_one_more_loss_per_phone_after_the_change_is_no_contradiction() -> None:
    whole = sf.diagnose(sf.read_log(FIXED))
    late = whole.intervals.filter(pl.col("cause") == "nat_expiry", pl.col("start") > TRUE_CHANGE)
    assert late.height > 0
    assert compare_at(whole, TRUE_CHANGE).sites[0].reason == "no_losses"


def test_a_new_address_is_the_same_site() -> None:
    after = case(1200.0, 10.0, 2.0)
    moved = after.log.events.with_columns(
        pl.when(pl.col("address").is_not_null()).then(pl.lit("198.51.100.4")).alias("address")
    )
    found = compare(case(1200.0, 10.0), sf.diagnose(replace(after.log, events=moved)))
    assert found.verdict == "unchanged"
    assert [s.site for s in found.sites] == ["198.51.100.4"]
    assert found.to_json()["other_addresses"] == {"before": ["203.0.113.7"], "after": ["198.51.100.4"]}
    assert "came from 203.0.113.7" in comparison_text(found, translator("en"))[1]


def _other(after: Diagnosis, phones: int, address: str) -> Diagnosis:
    """Return the log with so many of its phones' names replaced, at an address."""
    names = {phone.peer: f"9{phone.peer}" for phone in PHONES[:phones]}
    place = pl.when(pl.col("address").is_not_null()).then(pl.lit(address)).alias("address")
    return sf.diagnose(replace(after.log, events=after.log.events.with_columns(pl.col("peer").replace(names), place)))


def test_what_may_be_another_customers_log_is_not_compared() -> None:
    before, after = case(1200.0, 10.0), case(7200.0, 10.0, 2.0)
    here, elsewhere = "203.0.113.7", "198.51.100.4"
    told = {
        (phones, address): {site.reason for site in compare(before, _other(after, phones, address)).sites}
        for phones, address in ((1, elsewhere), (3, here), (3, elsewhere), (6, here))
    }
    assert told == {
        (1, elsewhere): {"no_losses"},
        (3, here): {"no_losses"},
        (3, elsewhere): {"strangers"},
        (6, here): {"strangers"},
    }


def test_only_phones_in_both_logs_count() -> None:
    before, after = case(1200.0, 10.0), case(7200.0, 10.0, 2.0)
    whole, part = (compare(before, _other(after, phones, "203.0.113.7")).before for phones in (0, 3))
    theirs = before.intervals.filter(pl.col("cause") == "nat_expiry")["peer"].is_in([p.peer for p in PHONES[3:]])
    assert whole.losses == len(theirs)
    assert part.losses == theirs.sum() < whole.losses


@pytest.mark.parametrize("dead", [False, True])
@pytest.mark.parametrize(("gone", "verdict"), [(4, "fixed"), (5, "cannot_tell")])
def test_no_cure_is_told_where_most_phones_are_missing_or_dead_after(dead: bool, gone: int, verdict: str) -> None:
    before, after = case(1200.0, 10.0), case(3700.0, 24.0, 2.0)
    events, names = after.log.events, [phone.peer for phone in PHONES[:gone]]
    theirs = pl.col("peer").is_in(names)
    if dead:
        last = events.filter(theirs, kind="reachable").unique("peer", keep="first", maintain_order=True)
        lost = last.with_columns(
            kind=pl.lit("unreachable", events.schema["kind"]), time=pl.col("time").dt.offset_by("1h")
        )
        early = events.filter(~theirs | (pl.col("time") <= pl.lit(lost["time"].min())))
        events = pl.concat([early, lost]).sort("time", maintain_order=True)
    else:
        events = events.filter(~theirs)
    found = compare(before, sf.diagnose(replace(after.log, events=events)))
    (site,) = found.sites
    told = "Unreachable to the end" if dead else "Not seen after"
    text = "\n".join(comparison_text(found, translator("en")))
    assert (found.verdict, found.settled) == (verdict, verdict == "fixed")
    assert f"is seen after: {8 - gone * (not dead)} of 8. {told}: {', '.join(names)}." in text
    assert ("probability of a cure" in text, "would prove it" in text) == (False, False)
    assert [*site.to_json(ZoneInfo("UTC"))["basis"].values()] == [8, [] if dead else names, names if dead else []]


def test_where_nothing_is_compared_no_figures_are_told() -> None:
    before, after = case(1200.0, 10.0), case(3700.0, 10.0, 2.0)
    for found, why in ((compare(after, before), "the older one"), (compare(before, before), "the same log")):
        verdict, blank, site, reason = comparison_text(found, translator("en"))
        assert (verdict, blank) == ("It cannot be told yet.", "")
        assert site == "Site 203.0.113.7: It cannot be told yet."
        assert why in reason
        told = found.to_json()
        for side in (side for one in (told, *told["sites"]) for side in (one["before"], one["after"])):
            assert side.pop("bracket") == {"low_s": None, "high_s": None}
            assert side == dict.fromkeys(("losses", "periods", "hours", "calls_lost"))


def test_a_place_that_is_not_compared_gives_the_headline_no_figure() -> None:
    whole = compare(case(1200.0, 10.0), case(3700.0, 24.0, 2.0))
    other = replace(whole.sites[0], verdict="cannot_tell", probability=0.5, before=None, after=None)
    both = replace(whole, verdict="cannot_tell", probability=0.5, sites=(*whole.sites, other))
    assert comparison_text(both, translator("en"))[0] == "It cannot be told yet."


def test_json_keeps_the_contract() -> None:
    found = compare_at(sf.diagnose(sf.read_log(FIXED))).to_json()
    assert list(found) == [
        "schema", "verdict", "probability", "changed_at", "hours_needed", "before", "after", "sites",
        "other_addresses", "incomplete",
    ]  # fmt: skip
    assert found["schema"] == "starface-nb/compare/1"
    assert str(found["changed_at"]).endswith("+01:00")
    assert json.loads(json.dumps(found)) == found
    assert {"losses", "bracket", "hours"} <= set(found["before"])  # type: ignore[call-overload]


def test_the_command_compares_one_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(FIXED), "--at", "2026-03-13T11:45", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "fixed"
    assert main(["compare", str(RECORDED / "clean" / "pbx.log")]) == 1
    assert capsys.readouterr().out.startswith("Unchanged.")


def test_the_command_compares_two_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = []
    for name, timeout, day in (("before", 1200.0, 0.0), ("after", 3700.0, 2.0)):
        where = Site("a", "203.0.113.7", PHONES, Router(timeout))
        made = simulate(Scenario((where,), 12.0, start=START + timedelta(days=day)), 3)
        paths.append(str(made.write(tmp_path / name)))
    assert main(["compare", *paths]) == 0
    assert capsys.readouterr().out.startswith("Fixed.")
    assert main(["compare", paths[0], paths[0]]) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        ["--at", "soon"],
        ["--at", ""],
        ["--at", "2026-03-13T11:45", "--time-zone", "Nowhere/Land"],
        [str(FIXED), "--at", "2026-03-13T11:45"],
        [str(FIXED), str(FIXED)],
    ],
)
def test_wrong_use_gets_a_clear_message(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(FIXED), *wrong]) == 2
    assert capsys.readouterr().err.startswith("starface-nb: ")


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_words_in_every_language(language: str) -> None:
    found: list[Comparison] = [
        compare_at(sf.diagnose(sf.read_log(FIXED))),
        compare(case(1200.0, 10.0), case(3700.0, 2.0, 2.0)),
        compare(case(600.0, 10.0), case(1800.0, 10.0, 2.0)),
    ]
    for one in found:
        text = "\n".join(comparison_text(one, translator(language)))
        assert "{" not in text
        assert one.sites[0].site in text


def test_control_characters_are_made_visible_and_blanks_are_kept() -> None:
    assert visible("a\x1b[31m\u202eb 99\u00a0%") == "a\\x1b[31m\\u202eb 99\u00a0%"


def test_phones_without_an_address_belong_to_the_only_site() -> None:
    before = case(1200.0, 10.0)
    events = before.log.events
    hidden = events.filter(~((pl.col("kind") == "registered") & pl.col("peer").is_in(["200.snomd345", "201.snomd345"])))
    partly = sf.diagnose(replace(before.log, events=hidden))
    assert set(partly.sites["site"]) == {"203.0.113.7", "unknown"}
    found = compare(partly, case(1200.0, 10.0, 2.0))
    assert [s.site for s in found.sites] == ["203.0.113.7"]
    assert found.verdict == "unchanged"


def test_a_cure_inside_the_second_log_is_found_there() -> None:
    where = Site("a", "203.0.113.7", PHONES, Router(1200.0))
    at = 8 * 3600.0
    fix = Fault("router_change", at, at, "a", values={"router": Router(3700.0), "keep": True})
    scenario = Scenario((where,), 20.0, faults=(fix,), start=START + timedelta(days=2))
    found = compare(case(1200.0, 10.0), sf.diagnose(simulate(scenario, 4).log))
    assert found.verdict == "fixed"
    assert found.changed_at is not None
    assert abs(found.changed_at - scenario.at(at)) <= timedelta(hours=1)


def test_a_moment_outside_the_log_is_refused() -> None:
    whole = sf.diagnose(sf.read_log(FIXED))
    with pytest.raises(SettingError, match="outside"):
        compare_at(whole, TRUE_CHANGE + timedelta(days=9))
    with pytest.raises(SettingError, match="no time zone"):
        compare_at(whole, TRUE_CHANGE.replace(tzinfo=None))
