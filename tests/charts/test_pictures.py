"""Every picture draws, says what it shows, is the same twice, and holds nothing but text from the log."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any
from xml.etree import ElementTree

import altair as alt
import nbformat
import polars as pl
import pytest
import vl_convert

from starface_nb import analysis, charts, reading, samples
from starface_nb.analysis.calls import CALLS_LOST
from starface_nb.analysis.compare import compare, compare_at
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.charts import theme
from starface_nb.charts.losses import measured
from starface_nb.charts.rhythm import at_once
from starface_nb.charts.scene import scene
from starface_nb.charts.theme import WIDTH, specification
from starface_nb.charts.timeline import parts_unreachable
from starface_nb.errors import SettingError
from starface_nb.guide.i18n import LANGUAGES
from starface_nb.text import visible

PICTURES: list[Callable[..., Any]] = [
    charts.addresses,
    charts.cycles,
    charts.durations,
    charts.fold,
    charts.heatmap,
    charts.rtt,
    charts.simultaneity,
    charts.timeline,
]
HOSTILE = "<script>alert(1)</script>\"&',;\r\n\x1b[31m\u202ex"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def case() -> Diagnosis:
    return analysis.diagnose(reading.read_log(samples.recorded("mixed")))


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314  drawn a moment ago


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in parsed(svg).iter(f"{SVG}text")]


def renamed(case: Diagnosis, old: str, new: str) -> Diagnosis:
    swap = pl.col("peer").replace(old, new)
    frames = {name: getattr(case, name).with_columns(swap) for name in ("intervals", "phones", "cycles")}
    return replace(case, log=replace(case.log, events=case.log.events.with_columns(swap)), **frames)


def many(case: Diagnosis, phones: int, days: int) -> Diagnosis:
    """Twice an hour a loss of 20 minutes, for each of many phones."""
    begin = case.log.first
    assert begin is not None
    times = pl.DataFrame({"start": [begin + timedelta(minutes=30 * i) for i in range(48 * days)]})
    peers = pl.DataFrame({"peer": [f"{n:05}.phone" for n in range(phones)]})
    shape = case.intervals.head(1).drop("peer", "start", "end", "seconds")
    found = peers.join(times, how="cross").join(shape, how="cross")
    found = found.with_columns(end=pl.col("start") + timedelta(minutes=20), seconds=pl.lit(1200.0))
    cycles = peers.join(case.cycles.head(1).drop("peer"), how="cross").select(case.cycles.columns)
    return replace(
        case,
        log=replace(case.log, last=begin + timedelta(days=days)),
        intervals=found.select(case.intervals.columns).sort("start", "peer"),
        phones=peers.join(case.phones.head(1).drop("peer"), how="cross").select(case.phones.columns),
        cycles=cycles,
    )


@pytest.mark.parametrize("language", sorted(LANGUAGES))
@pytest.mark.parametrize("picture", PICTURES, ids=lambda f: f.__name__)
def test_every_picture_draws_in_every_language(case: Diagnosis, picture: Callable[..., Any], language: str) -> None:
    svg = charts.to_svg(picture(case, language=language))
    shown = texts(svg)
    assert len(shown) > 5
    assert not [text for text in shown if text in {"null", "NaN", "undefined"} or "Invalid" in text]
    width, height = (float(parsed(svg).attrib[k]) for k in ("width", "height"))
    assert 400 < width <= 790
    in_lab = vl_convert.vegalite_to_svg(specification(picture(case, language=language)), vl_version="5.8")
    assert float(parsed(in_lab).attrib["width"]) <= WIDTH + 10
    assert 100 < height < 1200


def test_the_title_says_what_is_seen(case: Diagnosis) -> None:
    titles = [
        " ".join(specification(draw(case))["title"]["text"])
        for draw in (charts.timeline, charts.fold, charts.durations)
    ]
    assert len(set(titles)) == 3
    told = " ".join(specification(charts.timeline(case, site="203.0.113.21"))["title"]["subtitle"]).replace("\xa0", " ")
    losses = case.intervals.filter(pl.col("peer").str.starts_with("21"))
    nat = losses.filter(pl.col("cause") == "nat_expiry").height
    assert told.startswith(
        f"8 phones at 203.0.113.21: unreachable {losses.height} times; mostly: NAT entry expired ({nat})"
    )


def test_pictures_are_the_same_twice_and_name_no_address_to_load(case: Diagnosis) -> None:
    for picture in PICTURES:
        first, second = (specification(picture(case)) for _ in range(2))
        assert first == second
        assert re.findall(r"https?://[^\"]+", json.dumps(first)) == [first["$schema"]]


def test_jupyter_gets_vega_lite_5_an_svg_and_a_fixed_text(case: Diagnosis) -> None:
    assert alt.renderers.active == "starface_nb"
    chart = charts.durations(case)
    data, metadata = chart._repr_mimebundle_()  # what IPython asks for
    assert set(data) == {"application/vnd.vegalite.v5+json", "image/svg+xml", "text/plain"}
    assert data["application/vnd.vegalite.v5+json"]["$schema"].endswith("/v5.json")
    assert data["text/plain"] == "starface_nb picture"
    assert (data, metadata) == charts.durations(case)._repr_mimebundle_()
    nbformat.validate(
        nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell("x", outputs=[nbformat.v4.new_output("display_data", data=data)])]
        )
    )


def test_hostile_names_stay_text(case: Diagnosis) -> None:
    bad = renamed(case, "21104.snomd345", HOSTILE)
    for picture in (charts.timeline, charts.fold, charts.addresses, charts.rtt):
        svg = charts.to_inline_svg(picture(bad))
        found = parsed(svg)
        assert not [
            node.tag for node in found.iter() if node.tag.removeprefix(SVG) in {"script", "image", "a", "style"}
        ]
        assert "\x1b" not in svg
        assert "\u202e" not in svg
    rows = [
        row
        for data in specification(charts.timeline(bad))["datasets"].values()
        for row in csv.DictReader(io.StringIO(data))
    ]
    bars = [row for row in rows if "size" in row]
    assert len(bars) == case.intervals.height
    mine = [row for row in bars if row["label"] == visible(HOSTILE)]
    assert len(mine) == case.intervals.filter(pl.col("peer") == "21104.snomd345").height


def test_names_that_become_equal_keep_rows_of_their_own(case: Diagnosis) -> None:
    bad = renamed(renamed(case, "21104.snomd345", "a\x01"), "21106.snomd735", "a\\x01")
    assert {"a\\x01", "a\\x01 (2)"} < set(scene(bad).phones["label"])


def test_no_picture_has_more_of_a_name_than_it_can_show(case: Diagnosis) -> None:
    long = renamed(renamed(case, "21104.snomd345", "a" * 5000), "21106.snomd735", "a" * 4999 + "b")
    for picture in PICTURES:
        assert "a" * 100 not in json.dumps(specification(picture(long)))
    row = long.intervals.filter(pl.col("peer") == "a" * 5000).row(0, named=True)
    assert "a" * 100 not in json.dumps(specification(charts.terms(row)))
    assert scene(long).phones["label"].n_unique() == case.phones.height


def test_inline_pictures_share_no_id(case: Diagnosis) -> None:
    one, two = (charts.to_inline_svg(charts.timeline(case, site=s)) for s in ("203.0.113.21", "203.0.113.22"))
    assert not set(re.findall(r' id="([^"]+)"', one)) & set(re.findall(r' id="([^"]+)"', two))
    assert "currentColor" in one
    assert set(re.findall(r"url\(#([^)]+)\)", one)) <= set(re.findall(r' id="([^"]+)"', one))


def test_words_on_lines_are_edged_in_the_pages_own_colour(case: Diagnosis) -> None:
    edged = re.compile(r'<text[^>]*fill="([^"]+)"[^>]*stroke="([^"]+)"[^>]*stroke-width="3"')
    for svg, paper in (
        (charts.to_inline_svg(charts.cycles(case)), "var(--paper,#fff)"),
        (charts.to_svg(charts.cycles(case)), "white"),
    ):
        assert set(edged.findall(svg)) == {(paper, paper)}
        assert "#0102" not in svg


def test_times_are_the_logs_wall_clock_over_the_end_of_summer_time(case: Diagnosis) -> None:
    night = datetime(2026, 10, 25, 0, 50, tzinfo=UTC)  # 02:50 summer time; an hour later it is 02:50 again
    one = case.intervals.head(1).with_columns(
        start=pl.lit(night), end=pl.lit(night + timedelta(minutes=20)), seconds=pl.lit(1200.0)
    )
    late = replace(
        case,
        intervals=one.with_columns(pl.col("start", "end").cast(case.intervals.schema["start"])),
        log=replace(case.log, first=night - timedelta(hours=3), last=night + timedelta(hours=3)),
    )
    row = scene(late).intervals.row(0, named=True)
    assert row["begin"] == datetime(2026, 10, 25, 2, 50)
    assert row["until"] >= row["begin"]
    assert row["minutes"] == 20
    assert "Europe/Berlin" in charts.to_svg(charts.timeline(late))


def test_site_phones_and_window_narrow_every_picture(case: Diagnosis) -> None:
    assert case.log.first is not None
    window = (case.log.first + timedelta(hours=3), case.log.first + timedelta(hours=5))
    part = scene(case, site="203.0.113.23", window=window)
    expected = case.intervals.filter(
        pl.col("peer").str.starts_with("23"),
        pl.col("start") <= window[1],
        pl.col("end").is_null() | (pl.col("end") >= window[0]),
    )
    assert part.intervals["row"].len() == expected.height > 0
    assert part.phones.height == 8
    assert scene(case, peers=["23101.snom720"]).phones["peer"].to_list() == ["23101.snom720"]
    for picture in PICTURES:
        assert charts.to_svg(picture(case, site="203.0.113.23", window=window)).startswith("<svg")


def test_wrong_choices_are_named(case: Diagnosis) -> None:
    with pytest.raises(SettingError, match="No phone of that name"):
        charts.timeline(case, site="192.0.2.1")
    with pytest.raises(SettingError, match="time zone"):
        charts.fold(case, window=(datetime(2026, 3, 4), datetime(2026, 3, 5)))


def test_a_log_without_losses_draws_too(case: Diagnosis) -> None:
    quiet = replace(case, intervals=case.intervals.clear(), cycles=case.cycles.clear())
    empty = replace(quiet, phones=case.phones.clear(), sites=case.sites.clear(), eras=case.eras.clear())
    for nothing in (quiet, empty):
        for picture in PICTURES:
            assert charts.to_svg(picture(nothing)).startswith("<svg")
    assert "never unreachable" in charts.to_svg(charts.timeline(quiet))


def test_the_fold_puts_nat_losses_at_the_timeout(case: Diagnosis) -> None:
    ages = measured(scene(case)).filter(pl.col("cause") == "nat_expiry")
    for site, minutes in (("203.0.113.21", 5), ("203.0.113.22", 15), ("203.0.113.23", 45)):
        mine = ages.filter(pl.col("site") == site)["age"]
        near = mine.is_between(minutes - 0.5, minutes + 1.5)
        assert near.mean() > 0.9  # type: ignore[operator]


def test_durations_count_every_closed_interval_once(case: Diagnosis) -> None:
    binned = measured(scene(case)).drop_nulls("low")
    assert binned.height == case.intervals["seconds"].drop_nulls().len()
    assert binned.filter(pl.col("seconds").clip(1).is_between("low", "high", closed="left")).height == binned.height
    datasets = specification(charts.durations(case))["datasets"].values()
    rows = [row for data in datasets for row in csv.DictReader(io.StringIO(data))]
    assert sum(int(row["n"]) for row in rows if "n" in row) == binned.height


def test_simultaneity_is_the_number_of_open_intervals(case: Diagnosis) -> None:
    s = scene(case)
    steps = at_once(s, "203.0.113.22", 8, 100_000)
    peers = s.phones.filter(pl.col("site") == "203.0.113.22").select("peer")
    mine = s.intervals.join(peers, on="peer", how="semi")
    for begin, until, n in steps.select("begin", "until", "n").sample(60, seed=1).iter_rows():
        middle = begin + (until - begin) / 2
        assert n == mine.filter(pl.col("begin") <= middle, pl.col("until") > middle).height


def test_many_phones_become_an_overview_that_stays_small(case: Diagnosis) -> None:
    crowd = many(case, phones=120, days=10)
    assert crowd.intervals.height == 57_600
    s = scene(crowd)
    minutes = parts_unreachable(s, 180, (s.until - s.begin).total_seconds() / 60)["part"].sum()
    assert minutes == pytest.approx(57_600 * 20, rel=1e-6)
    for picture in PICTURES:
        data, _ = picture(crowd)._repr_mimebundle_()
        output = nbformat.v4.new_output("display_data", data=data)
        assert len(json.dumps(output, indent=1)) < 1_000_000
    assert "steps of" in charts.to_svg(charts.timeline(crowd))


def test_an_overview_shows_the_phones_that_were_unreachable_longest(
    case: Diagnosis, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = many(case, phones=120, days=10)
    worst = crowd.phones["peer"][-7:].to_list()
    longer = pl.when(pl.col("peer").is_in(worst)).then(pl.col("end") + timedelta(minutes=5)).otherwise("end")
    monkeypatch.setattr(import_module("starface_nb.charts.timeline"), "_MOST_PHONES", 7)
    svg = charts.to_svg(charts.timeline(replace(crowd, intervals=crowd.intervals.with_columns(longer.alias("end")))))
    assert {peer for peer in crowd.phones["peer"] if f">{peer}<" in svg} == set(worst)
    assert "113 phones that were unreachable for less are not shown" in svg
    assert "120 phones at" in svg


def test_before_and_after_and_fleet() -> None:
    fixed = analysis.diagnose(reading.read_log(samples.recorded("fixed-router")))
    svg = charts.to_svg(charts.before_after(compare_at(fixed)))
    assert any("fixed" in text for text in texts(svg))
    assert {"before", "after"} <= set(texts(svg))
    none = charts.to_svg(charts.before_after(compare(fixed, fixed)))
    assert texts(none).count("not compared") == 2
    row = {"customer": "<b>", "rank": 1, "verdict": "too_short", "low_s": 300.0, "high_s": 360.0, "losses": 5}
    bins = {"nat_by_bin": [2, 0, 1], "other_by_bin": [0, 2, 0]}
    page = charts.to_svg(charts.fleet_page(pl.DataFrame([row | bins])))
    assert {"1. <b>", "too short: 5 min to 6 min; 5 losses; highest bar: 2"} <= set(texts(page))


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    r, g, b = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("ground", ["#ffffff", "#333333", "#212121", "#111111"])  # white, Vega's and JupyterLab's dark
@pytest.mark.parametrize("mark", [*theme.COLOURS.values(), theme.ACCENT, theme.INK])
def test_marks_stand_out_on_light_and_dark(mark: str, ground: str) -> None:
    darker, lighter = sorted(map(luminance, (mark, ground)))
    assert (lighter + 0.05) / (darker + 0.05) >= 3


def test_what_a_picture_says_of_itself_keeps_addresses_whole() -> None:
    spoken = re.findall(
        r'aria-label="([^"]*)"', theme._svg({"mark": "point", "description": "203.0.113.21, 10.113.205.7"})
    )
    assert "203.0.113.21, 10.113.205.7" in spoken
    label = 'aria-label="203.0.113.21" d="M1.23456"'
    assert theme._DECIMALS.sub(r"\1\2", label) == 'aria-label="203.0.113.21" d="M1.23"'


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_timeline_shows_calls_that_did_not_reach_a_phone(case: Diagnosis, language: str) -> None:
    loss = case.intervals.filter(~pl.col("trunk")).row(0, named=True)
    row = {"call": 1, "time": loss["start"], "peer": loss["peer"], "nobody": True}
    unnamed = {"call": 2, "time": loss["start"], "nobody": True}
    with_calls = replace(case, calls_lost=CALLS_LOST.frame([row, unnamed]))
    site = case.phones.filter(peer=loss["peer"])["site"][0]
    with_mark, without = (json.dumps(specification(charts.timeline(one, language, site))) for one in (with_calls, case))
    assert "triangle-down" in with_mark
    assert "triangle-down" not in without
