"""Panels: what is chosen is shown, what is answered is kept, and nothing from a log becomes markup."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import polars as pl
import pytest

from starface_nb import analysis, panels, reading, samples
from starface_nb.cases import AnswerStore, Case, open_case
from starface_nb.guide import trouble_began
from starface_nb.panels.base import Panel

HOSTILE = '<img src=x onerror=alert(1)>"\x1b[31m</p><script>'


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mixed: Case) -> Case:
    """The mixed log's case in memory, without answers; what is written goes to an empty folder."""
    monkeypatch.chdir(tmp_path)
    return again(mixed)


@pytest.fixture(scope="module")
def mixed() -> Case:
    found = open_case(samples.recorded("mixed"), root=None)
    assert found.diagnosis.intervals.height > 100
    return found


def again(case: Case, answers: Path | None = None, **frames: Any) -> Case:
    """The same case with answers of its own, and with other frames in its diagnosis."""
    other = replace(case, answers=AnswerStore(answers))
    vars(other)["diagnosis"] = replace(case.diagnosis, **frames)
    return other


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for name in ("clean", "mixed"):
        shutil.copy(samples.recorded(name), inbox / f"{name}.log")
    return inbox


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {tag, *(f"on:{name}" for name, _ in attrs if name.startswith("on"))}


def every(panel: Panel) -> list[Any]:
    found, left = [], [panel.widget]
    while left:
        found.append(left.pop())
        left += list(getattr(found[-1], "children", ()))
    return found


def words(panel: Panel) -> str:
    return "\n".join(w.value for w in every(panel) if isinstance(w, widgets.HTML))


def labelled(panel: Panel, label: str) -> Any:
    return next(w for w in every(panel) if getattr(w, "description", "") == label)


def test_panels_show_a_fixed_text_and_a_widget(case: Case) -> None:
    for panel in (panels.Explorer(case), panels.ChecklistPanel(case)):
        bundle = panel._repr_mimebundle_()
        assert bundle["text/plain"] == repr(panel)
        assert "0x" not in repr(panel)
        assert "application/vnd.jupyter.widget-view+json" in bundle
        assert not [w for w in every(panel) if isinstance(w, widgets.Output | widgets.FileUpload)]
        inputs = [w for w in every(panel) if isinstance(w, widgets.ValueWidget) and not isinstance(w, widgets.HTML)]
        unnamed = [w for w in inputs if not (w.description or w.tooltip)]
        assert len(unnamed) <= 1, unnamed  # the list of steps, whose lines name themselves


def test_explorer_narrows_everything_together(case: Case) -> None:
    explorer = panels.Explorer(case)
    assert explorer.selection.height == case.diagnosis.intervals.height
    labelled(explorer, "Site").value = "203.0.113.23"
    mine = case.diagnosis.intervals.filter(pl.col("peer").str.starts_with("23"))
    assert explorer.selection.height == mine.height
    assert "at 203.0.113.23" in words(explorer)
    labelled(explorer, "Cause").value = "nat_expiry"
    assert set(explorer.selection["cause"]) == {"nat_expiry"}
    labelled(explorer, "Phones").value = ("23101.snom720",)
    assert set(explorer.selection["peer"]) == {"23101.snom720"}
    before = explorer.selection.height
    labelled(explorer, "Time").index = (100, 140)
    first, last = explorer.window
    assert 0 < explorer.selection.height < before
    assert (explorer.selection["start"] <= last).all()
    assert (explorer.selection["end"] >= first).all()
    assert len(labelled(explorer, "Intervals").options) == explorer.selection.height
    assert explorer.selection.columns == case.diagnosis.intervals.columns


def test_every_picture_of_the_explorer_draws(case: Case) -> None:
    explorer = panels.Explorer(replace(case, language="de"))
    kinds = labelled(explorer, "Bild")
    seen = set()
    for kind in kinds.options:
        kinds.value = kind
        drawn = [w.value for w in every(explorer) if isinstance(w, widgets.HTML) and "<svg" in w.value]
        assert len(drawn) == 2
        seen.add(frozenset(drawn))
        assert 'role="alert"' not in words(explorer)
    assert len(seen) == len(kinds.options)


def test_an_interval_leads_to_its_lines(case: Case) -> None:
    explorer = panels.Explorer(case)
    assert explorer.chosen is None
    labelled(explorer, "Intervals").index = 7
    chosen = explorer.selection.row(7, named=True)
    assert explorer.chosen == chosen
    labelled(explorer, "Next interval").click()
    assert explorer.chosen == explorer.selection.row(8, named=True)
    labelled(explorer, "Previous interval").click()
    shown = words(explorer)
    marked = [line.split("</b>")[0] for line in shown.split("sfnb-lines")[1].split("<b>")[1:]]
    assert len(marked) == 1
    assert chosen["peer"] in marked[0]
    assert "UNREACHABLE" in marked[0]


def test_a_log_that_was_moved_is_named_in_the_panel(case: Case) -> None:
    gone = case.diagnosis.intervals.with_columns(file=pl.lit("/nowhere/full"))
    explorer = panels.Explorer(again(case, intervals=gone))
    labelled(explorer, "Intervals").index = 0
    assert 'role="alert"' in words(explorer)


def test_hostile_names_stay_text(case: Case) -> None:
    swap = pl.col("peer").replace("21104.snomd345", HOSTILE)
    frames = {name: getattr(case.diagnosis, name).with_columns(swap) for name in ("intervals", "phones", "cycles")}
    bad = again(case, log=replace(case.log, events=case.log.events.with_columns(swap)), **frames)
    explorer = panels.Explorer(bad)
    labelled(explorer, "Phones").value = (HOSTILE,)
    labelled(explorer, "Intervals").index = 0
    checklist = panels.ChecklistPanel(bad)
    report = panels.ReportPanel(bad)
    for panel in (explorer, checklist, report):
        tags = Tags()
        tags.feed(words(panel))
        assert not [tag for tag in tags.seen if tag in {"script", "img", "link", "object"} or tag.startswith("on:")]
        assert "\x1b" not in words(panel)
    assert "\x1b" not in str(labelled(explorer, "Phones").options[0][0])


def test_the_chooser_begins_with_the_case(case: Case) -> None:
    chooser = panels.LogChooser(open_case(root=None))
    assert chooser.case.paths == (str(samples.path()),)
    settings = [labelled(chooser, label).value for label in ("Time zone", "Keepalive (min)", "Language")]
    assert settings == ["Europe/Berlin", 60, "en"]
    assert "sites the router" in words(chooser)


def test_choosing_another_log_and_keepalive_changes_what_follows(case: Case, logs: Path) -> None:
    chooser = panels.LogChooser(case)
    explorer = panels.Explorer(chooser)
    before = words(explorer)
    labelled(chooser, "Look again").click()
    labelled(chooser, "Log").value = dict(labelled(chooser, "Log").options)["clean.log"]
    labelled(chooser, "Read this log").click()
    assert [Path(path).name for path in chooser.case.paths] == ["clean.log"]
    assert chooser.case.diagnosis.phones.height == explorer.case.diagnosis.phones.height == 12
    other = words(explorer)
    assert other != before
    labelled(chooser, "Keepalive (min)").value = 25
    assert chooser.case.settings.keepalive_s == 1500
    assert explorer.case is chooser.case
    assert words(explorer) != other
    labelled(chooser, "Language").value = "fr"
    assert explorer.case.language == chooser.case.language == "fr"
    assert labelled(chooser, "Langue").value == "fr"


def test_the_chooser_reads_in_another_zone_and_keeps_what_is_open_on_errors(logs: Path, tmp_path: Path) -> None:
    chooser = panels.LogChooser(open_case(logs / "clean.log", root=tmp_path / "cases"))
    berlin = chooser.case.log.first
    assert berlin is not None
    labelled(chooser, "Time zone").value = "America/New_York"
    assert chooser.case.log.first == berlin + timedelta(hours=6)
    assert chooser.case.name == "clean"
    labelled(chooser, "or its path").value = str(tmp_path / "missing.log")
    labelled(chooser, "Read this log").click()
    assert 'role="alert"' in words(chooser)
    assert chooser.case.paths == (str(logs / "clean.log"),)


def test_a_customer_is_reopened_from_the_list(case: Case, logs: Path, tmp_path: Path) -> None:
    first = open_case(logs / "clean.log", root=tmp_path / "cases")
    first.answers.set("status", "changing")
    chooser = panels.LogChooser(case)
    labelled(chooser, "Log").value = dict(labelled(chooser, "Log").options)["customer clean"]
    labelled(chooser, "Read this log").click()
    assert chooser.case.paths == (str(logs / "clean.log"),)
    assert (chooser.case.answers.get("status") or {})["answer"] == "changing"


def step(panel: panels.ChecklistPanel, step_id: str) -> None:
    steps = [s.id for s in panel._steps]
    panel._list.index = steps.index(step_id)


def test_answers_are_kept_counted_and_lead_to_the_conclusion(case: Case, tmp_path: Path) -> None:
    panel = panels.ChecklistPanel(again(case, tmp_path / "answers.json"))
    before = panel.answered
    assert f"{before} of 8 answered" in words(panel)
    step(panel, "status")
    labelled(panel, "Answer").value = "changing"
    labelled(panel, "Note").value = "seen at noon"
    assert f"{before + 1} of 8 answered" in words(panel)
    assert "Saved." in words(panel)
    kept = AnswerStore(tmp_path / "answers.json").get("status") or {}
    assert (kept["answer"], kept["note"]) == ("changing", "seen at noon")
    later = panels.ChecklistPanel(again(case, tmp_path / "answers.json"))
    step(later, "status")
    assert labelled(later, "Answer").value == "changing"
    assert labelled(later, "Note").value == "seen at noon"
    assert later.conclusion == panel.conclusion


def test_an_answer_given_elsewhere_is_not_overwritten_unseen(case: Case, tmp_path: Path) -> None:
    panel = panels.ChecklistPanel(again(case, tmp_path / "answers.json"))
    theirs = AnswerStore(tmp_path / "answers.json")
    step(panel, "status")
    theirs.set("status", "registered", who="night shift")
    labelled(panel, "Answer").value = "changing"
    assert 'role="alert"' in words(panel)
    assert "night shift" in words(panel)
    assert (AnswerStore(tmp_path / "answers.json").get("status") or {})["answer"] == "registered"
    assert labelled(panel, "Answer").value == "registered"


def test_ports_router_and_day_of_change(case: Case) -> None:
    store = case.answers
    panel = panels.ChecklistPanel(case)
    step(panel, "ports")
    ticks = [w for w in every(panel) if isinstance(w, widgets.Dropdown)]
    assert len(ticks) > 10
    ticks[0].value = "closed"
    ticks[1].value = "open"
    assert sorted((store.get("ports") or {})["answer"].values()) == ["closed", "open"]
    step(panel, "nat")
    router = labelled(panel, "Router")
    router.value = next(name for _, name in router.options if "OPNsense" in name)
    assert "Source:" in words(panel)
    assert (store.get("nat") or {})["answer"]["router"] == router.value
    step(panel, "changes")
    began = trouble_began(case.diagnosis)
    assert began is not None
    labelled(panel, "Day of change").value = date(2026, 3, 2)
    assert "2 days after the change" in words(panel)
    labelled(panel, "Day of change").value = date(2026, 3, 5)
    assert "1 day before the change" in words(panel)


def test_the_report_is_previewed_in_a_frame_of_its_own_and_written(case: Case, tmp_path: Path) -> None:
    panel = panels.ReportPanel(replace(case, folder=tmp_path))
    assert 'sandbox=""' in words(panel)
    labelled(panel, "Language").value = "de"
    labelled(panel, "mask the phones' names").value = True
    assert "21104.snomd345" not in panel.page
    labelled(panel, "Write HTML").click()
    assert panel.written == tmp_path / "report-de.html"
    assert panel.written.read_text(encoding="utf-8") == panel.page
    labelled(panel, "Write PDF").click()
    assert panel.written.read_bytes().startswith(b"%PDF-")


def test_an_anonymous_copy_has_the_same_verdict_and_nobody_in_it(logs: Path, tmp_path: Path) -> None:
    case = open_case(logs / "clean.log", root=tmp_path / "cases")
    panel = panels.AnonymousCopy(case)
    assert case.folder is not None
    assert not (case.folder / "anonymous.zip").exists()
    labelled(panel, "Write an anonymous copy").click()
    copy = analysis.diagnose(reading.read_log(case.folder / "anonymous.zip"))
    columns = ["verdict", "low_s", "high_s"]
    assert copy.sites.select(columns).rows() == case.diagnosis.sites.select(columns).rows()
    assert not set(copy.phones["peer"]) & set(case.diagnosis.phones["peer"])
    assert "anonymous.zip" in words(panel)


def test_what_cannot_be_written_is_said(case: Case, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    elsewhere = replace(case, folder=tmp_path / "file")
    vars(elsewhere)["diagnosis"] = case.diagnosis
    copy, report = panels.AnonymousCopy(elsewhere), panels.ReportPanel(elsewhere)
    labelled(copy, "Write an anonymous copy").click()
    labelled(report, "Write HTML").click()
    assert copy.written is report.written is None
    assert 'role="alert"' in words(copy)
    assert 'role="alert"' in words(report)
