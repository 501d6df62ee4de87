"""Panels: what is chosen is shown, what is answered is kept, and nothing from a log becomes markup."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any
from zipfile import ZipFile

import polars as pl
import pytest

from starface_nb import analysis, panels, reading, samples
from starface_nb.cases import AnswerStore, Case, open_case
from starface_nb.cli import main
from starface_nb.guide import port_checklist, translator, trouble_began
from starface_nb.guide.corrections import corrections
from starface_nb.panels.base import Panel
from starface_nb.text import unparted

HOSTILE = '<img src=x onerror=alert(1)>"\x1b[31m</p><script>'
VIEW = "application/vnd.jupyter.widget-view+json"
ALL = (panels.Verdict, panels.Canvas, panels.ChecklistPanel, panels.Timeouts, panels.ReportPanel)


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


def again(case: Case, answers: Path | None = None, language: str = "en", **frames: Any) -> Case:
    """The same case with answers of its own, and with other frames in its diagnosis."""
    other = replace(case, answers=AnswerStore(answers), language=language)
    vars(other)["diagnosis"] = replace(case.diagnosis, **frames)
    return other


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def words(panel: Panel) -> str:
    return "\n".join(panel.parts.values())


def sent(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], list[bytes]]]:
    """What the panel sends to the browser from now on."""
    found: list[tuple[dict[str, Any], list[bytes]]] = []
    monkeypatch.setattr(panel.widget, "send", lambda content, buffers=None: found.append((content, buffers or [])))
    return found


@pytest.mark.parametrize("kind", ALL)
def test_a_panel_shows_a_widget_and_the_same_as_html_that_needs_no_kernel(kind: Any, case: Case) -> None:
    panel = kind(case)
    bundle = panel._repr_mimebundle_()
    assert bundle["text/plain"] == repr(panel)
    assert "0x" not in repr(panel)
    assert bundle[VIEW]["model_id"] == panel.widget.model_id
    for html in panel.parts.values():
        if "srcdoc" not in html:
            assert html in bundle["text/html"]
    assert "run the notebook" in bundle["text/html"]


@pytest.mark.parametrize("kind", ALL)
def test_everything_that_is_asked_has_a_name_and_somebody_who_answers(kind: Any, case: Case) -> None:
    panel = kind(case)
    if kind is panels.Canvas:
        panel.receive("row", str(panel.selection.with_row_index("n")["n"][0]))
    inside: list[str] = []
    for tag, attrs in Tags(re.sub(r'srcdoc="[^"]*"', "", words(panel))).seen:
        asked = attrs.get("data-do") or attrs.get("data-set") or attrs.get("data-find")
        if asked:
            assert callable(getattr(panel, f"do_{asked}"))
        inside = [*inside[-3:], tag]
        if tag in ("input", "select", "textarea") and not attrs.get("aria-label"):
            assert "label" in inside


def test_a_number_stays_with_its_unit_but_for_what_is_copied_or_typed() -> None:
    kept = "<p title='1 h'></p><pre>1 h <b>2 s</b></pre><code>64 ms</code><textarea>10 min</textarea>"
    assert unparted(f"{kept}5 min 1 s, 61 minutes") == f"{kept}5\u00a0min 1\u00a0s, 61\u00a0minutes"


def test_the_verdict_has_a_row_for_every_site_with_its_own_router(case: Case) -> None:
    case.answers.set(
        "nat", {"sites": {"203.0.113.21": {"router": None, "seconds": 280}, "203.0.113.22": {"seconds": 300}}}
    )
    rows = re.findall(r"<tr>.*?</tr>", panels.Verdict(case).parts["main"])[1:]
    assert [re.search(r'scope="row">([^<]+)', row)[1] for row in rows] == case.diagnosis.sites.sort(  # type: ignore[index]
        pl.col("verdict").to_physical(), -pl.col("phones"), "site"
    )["site"].to_list()
    first, second, third = (next(row for row in rows if f"203.0.113.2{n}" in row) for n in (1, 2, 3))
    assert "read: 4\u00a0min 40\u00a0s" in first
    assert "contradicts" not in first
    assert "The log contradicts 5\u00a0min" in second
    assert "not known" in third
    assert all("at least 61\u00a0minutes" in row for row in (first, second, third))


def test_the_verdict_hands_out_report_ticket_and_tables(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = panels.Verdict(case)
    found = sent(panel, monkeypatch)
    panel.receive("name", "customer", "Muster GmbH")
    panel.receive("name", "203.0.113.21", "Head office")
    assert "Head office (203.0.113.21)" in panel.parts["main"]
    ticket = panel.parts["main"].split('data-name="ticket"')[1].split("</pre>")[0]
    assert "Muster GmbH" in ticket
    assert "Head office (203.0.113.21): too short" in ticket
    assert "at least 61 minutes" in ticket
    panel.receive("report", "de")
    names = {"report-de.html", "report-de.pdf", "losses-de.csv"}
    assert names <= {path.name for path in tmp_path.iterdir()}
    assert "Muster GmbH" in (tmp_path / "report-de.html").read_text("utf-8")
    panel.receive("export", "csv")
    panel.receive("export", "xlsx")
    (csv,), (xlsx,) = (buffers for content, buffers in found if "losses" in content.get("download", ""))
    assert pl.read_csv(BytesIO(csv)).height == case.diagnosis.intervals.height
    assert ZipFile(BytesIO(xlsx)).testzip() is None


def test_settings_are_kept_or_refused_where_they_were_typed(case: Case, tmp_path: Path) -> None:
    kept = open_case(case.paths[0], root=tmp_path)
    panel = panels.Verdict(kept)
    for field, typed, told in (
        ("time_zone", "Europe/Berln", "is no time zone"),
        ("keepalive", "0", "between 1 second and 7 days"),
        ("keepalive", "99999", "between 1 second and 7 days"),
        ("keepalive", "soon", "is no number of minutes"),
    ):
        panel.receive(field, None, typed)
        assert 'role="alert"' in panel.parts["said"]
        assert told in panel.parts["said"]
    panel.receive("time_zone", None, "Europe/Lisbon")
    panel.receive("keepalive", None, "30")
    assert "Run All Cells" in panel.parts["said"]
    assert kept.folder is not None
    now = open_case(folder=kept.folder)
    assert (now.log.time_zone, now.settings.keepalive_s) == ("Europe/Lisbon", 1800.0)


def test_no_text_in_a_table_is_a_formula(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    swap = pl.col("peer").replace("21104.snomd345", "=HYPERLINK(1)")
    panel = panels.Verdict(again(case, intervals=case.diagnosis.intervals.with_columns(swap)))
    found = sent(panel, monkeypatch)
    panel.receive("export", "csv")
    panel.receive("export", "xlsx")
    csv, xlsx = (buffers[0] for content, buffers in found if content.get("download"))
    assert "'=HYPERLINK(1)" in csv.decode()
    with ZipFile(BytesIO(xlsx)) as book:
        assert b"<f>" not in book.read("xl/worksheets/sheet1.xml")


def test_of_many_phones_the_worst_site_comes_first_and_all_are_drawn_beforehand(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panels.canvas, "_MOST_PHONES", 10)
    canvas = panels.Canvas(case)
    assert canvas.query.site is not None
    narrow = canvas.parts["pictures"]
    monkeypatch.setattr(panels.canvas.charts, "linked", lambda _drawn: pytest.fail("drawn again"))
    canvas.receive("reset")
    assert canvas.selection.height == case.diagnosis.intervals.height
    assert canvas.parts["said"] == ""
    assert canvas.parts["pictures"] != narrow


def test_the_canvas_narrows_pictures_and_table_together(case: Case) -> None:
    canvas = panels.Canvas(case)
    every = case.diagnosis.intervals
    assert canvas.selection.equals(every)
    assert canvas.widget.marks["rows"] is None
    canvas.receive("site", None, "198.51.100.24")
    assert canvas.selection.height == every.filter(pl.col("peer").str.starts_with("24")).height
    assert "198.51.100.24 (at that time 203.0.113.24)" in canvas.parts["table"]
    canvas.receive("site", None, "203.0.113.23")
    assert canvas.selection.height == every.filter(pl.col("peer").str.starts_with("23")).height
    assert "at 203.0.113.23" in canvas.parts["pictures"]
    for cause in set(every["cause"]) - {"nat_expiry"}:
        canvas.receive("cause", cause, False)
    assert set(canvas.selection["cause"]) == {"nat_expiry"}
    assert sorted(canvas.widget.marks["rows"]) == [
        row for row, one in enumerate(every.to_dicts()) if one["peer"][:2] == "23" and one["cause"] == "nat_expiry"
    ]
    canvas.receive("find", None, "SNOM720")
    assert set(canvas.selection["peer"]) == {"23101.snom720"}
    canvas.receive("reset")
    canvas.receive("brush", "time", [0.25, 0.5])
    assert 0 < canvas.selection.height < every.height
    begin = case.log.first + (case.log.last - case.log.first) / 4  # type: ignore[operator]
    assert (canvas.selection["end"].fill_null(case.log.last) >= begin - timedelta(seconds=1)).all()
    canvas.receive("brush", "age", [0.5, 1.0])
    both = canvas.selection.height
    canvas.receive("brush", "time", None)
    assert canvas.selection.height > both
    assert canvas.selection.columns == every.columns


def test_marks_in_both_pictures_are_the_losses_that_they_stand_for(case: Case) -> None:
    pictures = panels.Canvas(case).parts["pictures"].split('data-brush="age"')
    rows = [[int(n) for n in re.findall(r'data-row="(\d+)"', half)] for half in pictures]
    assert sorted(rows[0]) == list(range(case.diagnosis.intervals.height))
    assert len(set(rows[1])) == len(rows[1]) > 0.9 * case.diagnosis.intervals.height


def test_from_an_incident_to_a_loss_its_reason_and_its_lines(case: Case) -> None:
    canvas = panels.Canvas(case)
    first = re.search(r'data-do="open" data-arg="(\d+)"', canvas.parts["table"])
    assert first
    canvas.receive("open", first[1])
    assert len(canvas.widget.marks["chosen"]) > 1
    row = re.search(r'data-do="row" data-arg="(\d+)"', canvas.parts["table"])
    assert row
    canvas.receive("row", row[1])
    loss = case.diagnosis.intervals.row(int(row[1]), named=True)
    drawer = canvas.parts["table"].split('data-name="drawer"')[1].split("</section>")[0]
    assert loss["peer"] in drawer
    assert "lost at" in drawer
    hit = drawer.split('data-name="lines"')[1].split("<b>")[1].split("</b>")[0]
    assert "UNREACHABLE" in hit
    assert f"pbx.log:{loss['line']} " in drawer
    mine = drawer.count("\n")
    canvas.receive("lines", "all")
    assert canvas.parts["table"].count("\n") > mine
    assert canvas.widget.marks["chosen"] == [int(row[1])]


def test_the_table_sorts_pages_and_says_how_much_it_holds(case: Case) -> None:
    canvas = panels.Canvas(case)
    canvas.receive("kind", "losses")
    canvas.receive("sort", "seconds")
    canvas.receive("page", "1")
    shown = [int(n) for n in re.findall(r'<tr data-do="row" data-arg="(\d+)"', canvas.parts["table"])]
    by_length = case.diagnosis.intervals.with_row_index("row").sort(
        "seconds", "start", descending=[True, False], nulls_last=True
    )
    assert len(shown) == 15
    assert set(by_length[15:30]["seconds"]) == set(case.diagnosis.intervals[shown]["seconds"])
    assert "page 2 of 39" in canvas.parts["table"]
    for text in ("no time", "29.3.2026 2:30"):
        canvas.receive("time", "0", text)
        assert 'role="alert"' in canvas.parts["said"]


def test_an_unfolded_incident_or_phone_shows_all_its_losses_page_by_page(case: Case) -> None:
    canvas = panels.Canvas(case)
    losses, of_incident = case.diagnosis.intervals, case.diagnosis.incident_of
    largest = of_incident.value_counts(sort=True)[of_incident.name][0]
    canvas.receive("open", str(largest))
    assert rows_of(canvas) == [n for n, one in enumerate(of_incident) if one == largest]
    canvas.receive("kind", "phones")
    counts = losses["peer"].value_counts(sort=True)
    canvas.receive("page", "0")
    first = re.search(r'data-do="open" data-arg="(\d+)"', canvas.parts["table"])
    assert first
    canvas.receive("open", first[1])
    peers = losses[rows_of(canvas)]["peer"].unique().to_list()
    assert len(peers) == 1
    assert (losses["peer"] == peers[0]).sum() == counts["count"].max()
    mine = losses.filter(pl.col("peer") == peers[0])
    assert canvas.query.row == losses.with_row_index()["index"].filter(losses["peer"] == peers[0])[0]
    assert f"<b>[{mine['start'].min():%Y-%m-%d}" in canvas.parts["table"]


def test_panels_that_are_used_at_one_time_show_what_is_kept(case: Case, tmp_path: Path) -> None:
    """JupyterLab may send what each panel is asked for to a thread of its own."""
    mine = again(case, tmp_path / "answers.json")
    checklist, verdict = panels.ChecklistPanel(mine), panels.Verdict(mine)
    steps = ("scope", "status", "changes", "nat", "log")

    def name_it() -> None:
        for n in range(30):
            verdict.receive("name", "customer", f"name {n}")

    naming = Thread(target=name_it)
    naming.start()
    for n in range(4):
        for step in steps:
            checklist.receive("note", step, f"note {n}")
            assert f">note {n}</textarea>" in checklist.parts[step]
    naming.join()
    assert [kept["note"] for step, kept in mine.answers.reload().all().items() if step in steps] == ["note 3"] * 5


def rows_of(canvas: panels.Canvas) -> list[int]:
    """The losses that the table's pages show, one after the other."""
    found: list[int] = []
    for page in range(100):
        canvas.receive("page", str(page))
        found += map(int, re.findall(r'<tr data-do="row" data-arg="(\d+)"', canvas.parts["table"]))
        if f"page {page + 1} of {page + 1}<" in canvas.parts["table"]:
            return found
    raise AssertionError("there is no last page")


def test_the_analysts_word_is_kept_counted_and_taken_back(case: Case, tmp_path: Path) -> None:
    mine = again(case, tmp_path / "answers.json")
    canvas = panels.Canvas(mine)
    row = case.diagnosis.intervals.with_row_index("row").filter(pl.col("cause") == "nat_expiry")["row"][0]
    before = case.diagnosis.intervals["cause"].to_list().count("nat_expiry")
    canvas.receive("row", str(row))
    canvas.receive("right", "cause", "phone_offline")
    canvas.receive("right", "note", "was\nunplugged")
    canvas.receive("right", "who", "Kim")
    (said,) = corrections(mine.diagnosis, AnswerStore(tmp_path / "answers.json").all())
    assert (said.cause, said.note, said.who) == ("phone_offline", "was\nunplugged", "Kim")
    assert "by the analyst" in canvas.parts["table"]
    assert mine.corrected.intervals["cause"].to_list().count("nat_expiry") == before - 1
    assert mine.diagnosis.intervals["cause"].to_list().count("nat_expiry") == before
    page = panels.ReportPanel(mine).page
    assert "was\nunplugged" in page
    assert "Kim" in page
    for _ in range(3):
        canvas.receive("undo")
    assert corrections(mine.diagnosis, AnswerStore(tmp_path / "answers.json").all()) == []
    assert mine.corrected.intervals["cause"].to_list().count("nat_expiry") == before


def test_a_log_that_was_moved_is_named_in_the_drawer(case: Case) -> None:
    gone = case.log.events.with_columns(file=pl.lit("/nowhere/full"))
    moved = again(case)
    moved = replace(moved, log=replace(case.log, events=gone))
    vars(moved)["diagnosis"] = case.diagnosis
    canvas = panels.Canvas(moved)
    canvas.receive("row", "0")
    assert 'role="alert"' in canvas.parts["table"]


def test_hostile_names_stay_text(case: Case) -> None:
    swap = pl.col("peer").replace("21104.snomd345", HOSTILE)
    frames = {name: getattr(case.diagnosis, name).with_columns(swap) for name in ("intervals", "phones", "cycles")}
    bad = again(case, **frames)
    bad = replace(bad, log=replace(case.log, events=case.log.events.with_columns(swap)))
    vars(bad)["diagnosis"] = replace(case.diagnosis, log=bad.log, **frames)
    canvas = panels.Canvas(bad)
    row = next(n for n, peer in enumerate(bad.diagnosis.intervals["peer"]) if peer == HOSTILE)
    canvas.receive("row", str(row))
    canvas.receive("find", None, HOSTILE)
    canvas.receive("phone", None, HOSTILE)
    verdict = panels.Verdict(bad)
    verdict.receive("name", "customer", HOSTILE)
    report = panels.ReportPanel(bad)
    report.receive("second", None, HOSTILE)
    for panel in (canvas, verdict, panels.ChecklistPanel(bad), report):
        seen = Tags(panel.static()).seen
        assert not [tag for tag, _ in seen if tag in {"script", "img", "link", "object"}]
        assert not [name for _, attrs in seen for name in attrs if name.startswith("on")]
        assert "\x1b" not in panel.static()


def test_the_checklist_opens_on_the_first_open_step_and_folds_what_the_log_answers(case: Case) -> None:
    panel = panels.ChecklistPanel(case)
    opened = [name for name, html in panel.parts.items() if html.startswith("<details") and " open>" in html[:60]]
    assert opened == ["status"]
    cards = [name for name in panel.parts if name not in ("head", "said", "conclusion")]
    assert cards == ["status", "changes", "ports", "keepalive_test", "scope", "ever_registered", "nat", "log"]


def test_answers_are_kept_counted_and_lead_to_the_conclusion(case: Case, tmp_path: Path) -> None:
    panel = panels.ChecklistPanel(again(case, tmp_path / "answers.json"))
    before = panel.answered
    assert f"{before} of 8 answered" in words(panel)
    panel.receive("answer", "status", "changing")
    panel.receive("note", "status", "seen at\nnoon")
    panel.receive("who", "status", "Kim")
    assert f"{before + 1} of 8 answered" in words(panel)
    kept = AnswerStore(tmp_path / "answers.json").get("status") or {}
    assert (kept["answer"], kept["note"], kept["who"]) == ("changing", "seen at\nnoon", "Kim")
    later = panels.ChecklistPanel(again(case, tmp_path / "answers.json"))
    assert '<option value="changing" selected>' in later.parts["status"]
    assert "seen at\nnoon" in later.parts["status"]
    assert later.conclusion == panel.conclusion


def test_an_answer_given_elsewhere_is_not_overwritten_unseen(case: Case, tmp_path: Path) -> None:
    panel = panels.ChecklistPanel(again(case, tmp_path / "answers.json"))
    AnswerStore(tmp_path / "answers.json").set("status", "registered", who="night shift")
    panel.receive("answer", "status", "changing")
    assert 'role="alert"' in panel.parts["said"]
    assert "night shift" in words(panel)
    assert (AnswerStore(tmp_path / "answers.json").get("status") or {})["answer"] == "registered"
    assert '<option value="registered" selected>' in panel.parts["status"]


def test_ports_routers_and_day_of_change(case: Case) -> None:
    store, panel = case.answers, panels.ChecklistPanel(case)
    panel.receive("all_open")
    assert set((store.get("ports") or {})["answer"].values()) == {"open"}
    port = port_checklist(translator())[0]["id"]
    panel.receive("port", port, "closed")
    assert (store.get("ports") or {})["answer"][port] == "closed"
    router = next(name for name in re.findall(r'<option value="([^"]+)"', panel.parts["nat"]) if "OPNsense" in name)
    panel.receive("router", "203.0.113.22", router)
    panel.receive("seconds", "203.0.113.23", "300")
    panel.receive("answer", "nat", "too_short")
    kept = (store.get("nat") or {})["answer"]
    assert kept == {
        "answer": "too_short",
        "sites": {"203.0.113.22": {"router": router}, "203.0.113.23": {"seconds": 300}},
    }
    assert panel.parts["nat"].count("The log contradicts 5\u00a0min") == 1
    panel.receive("seconds", "203.0.113.23", "soon")
    assert "203.0.113.23" in panel.parts["said"]
    assert trouble_began(case.diagnosis) is not None
    panel.receive("day", None, "2026-03-02")
    assert "2 days after the change" in panel.parts["changes"]
    panel.receive("day", None, "2026-03-05")
    assert "1 day before the change" in panel.parts["changes"]
    panel.receive("day", None, "2099-01-01")
    assert 'role="alert"' in panel.parts["said"]


def test_the_report_is_previewed_in_a_frame_of_its_own_and_written(case: Case, tmp_path: Path) -> None:
    panel = panels.ReportPanel(case)
    assert 'sandbox=""' in panel.parts["preview"]
    panel.receive("language", None, "de")
    panel.receive("mask", None, True)
    assert "21104.snomd345" not in panel.page
    panel.receive("write")
    assert [path.name for path in panel.written] == ["losses-de.csv", "report-de.html", "report-de.pdf"]
    assert Path("report-de.pdf").read_bytes().startswith(b"%PDF-")
    assert "21104.snomd345" not in Path("losses-de.csv").read_text("utf-8")


def test_a_result_that_somebody_changed_is_kept_beside_the_new_one(case: Case, tmp_path: Path) -> None:
    kept = replace(case, folder=tmp_path / "kept")
    verdict, handed_out = panels.Verdict(kept), panels.ReportPanel(kept)
    kept.save()
    asked = ((verdict, "report", "de", "report-de.pdf"), (verdict, "export", "xlsx", "losses.xlsx"),
             (handed_out, "write", None, "report-en.html"))  # fmt: skip
    for panel, do, arg, name in asked:
        path = tmp_path / "kept" / name
        aside = path.with_stem(f"{path.stem}-changed-1")
        panel.receive(do, arg)
        assert not aside.exists()
        path.write_bytes(changed := path.read_bytes() + b"a remark")
        panel.receive(do, arg)
        assert aside.read_bytes() == changed
        assert aside.name in panel.parts["said"]
        panel.receive(do, arg)
        assert aside.name not in panel.parts["said"]


def test_an_anonymous_copy_has_the_same_verdict_and_nobody_in_it(tmp_path: Path) -> None:
    shutil.copy(samples.recorded("clean"), tmp_path / "clean.log")
    case = open_case(tmp_path / "clean.log", root=tmp_path / "cases")
    panel = panels.ReportPanel(case)
    assert case.folder is not None
    panel.receive("anonymous")
    copy = analysis.diagnose(reading.read_log(case.folder / "anonymous.zip"))
    columns = ["verdict", "low_s", "high_s"]
    assert copy.sites.select(columns).rows() == case.diagnosis.sites.select(columns).rows()
    assert not set(copy.phones["peer"]) & set(case.diagnosis.phones["peer"])
    assert "anonymous.zip" in panel.parts["said"]


def test_what_cannot_be_written_is_said(case: Case, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    elsewhere = replace(case, folder=tmp_path / "file")
    vars(elsewhere)["diagnosis"] = case.diagnosis
    panel = panels.ReportPanel(elsewhere)
    for asked in ("write", "anonymous"):
        panel.receive(asked)
        assert 'role="alert"' in panel.parts["said"]
    assert panel.written == []


@pytest.fixture
def twice(tmp_path: Path) -> tuple[Case, Path]:
    """A kept case, and in its folder the log of a week later: the router is as it was."""
    case = open_case(samples.recorded("clean"), root=tmp_path / "cases")
    assert case.folder is not None
    text = samples.recorded("clean").read_text("utf-8")
    later = re.sub(r"(?m)^\[2026-03-(\d\d)", lambda day: f"[2026-03-{int(day[1]) + 7:02}", text)
    assert later != text
    (case.folder / "later.log").write_text(later, "utf-8")
    return case, case.folder / "later.log"


def second(panel: Panel) -> str:
    return unescape(re.sub(r"<svg.*?</svg>", "", panel.parts["second"], flags=re.DOTALL))


def test_a_second_log_is_compared_as_the_command_does(
    twice: tuple[Case, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    case, later = twice
    panel = panels.ReportPanel(case)
    assert "<details open" not in second(panel)
    panel.receive("second", None, ' "later.log" ')
    assert panel.parts["said"] == ""
    assert main(["compare", case.paths[0], str(later)]) == 1
    told = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert told[0].startswith("Unchanged.")
    assert len(told) > 4
    for line in map(unparted, told):
        assert f">{line}<" in second(panel) or f" {line}<" in second(panel)
    assert "own log is taken for the one from before, later.log for" in second(panel)
    assert "<svg" in panel.parts["second"]
    panel.receive("mask", None, True)  # written anew
    assert "later.log" not in panel.page
    assert "later.log" in panel.parts["second"]


def test_the_older_of_two_logs_is_the_one_from_before(twice: tuple[Case, Path], tmp_path: Path) -> None:
    case, later = twice
    other = panels.ReportPanel(open_case(later, root=tmp_path / "others", language="de"))
    other.receive("second", None, case.paths[0])
    assert "pbx.log gilt als das Log von vorher" in second(other)
    assert "Unverändert. Wahrscheinlichkeit" in second(other)
    assert "Beide Logs haben nur wenige" not in second(other)


def test_the_second_log_is_kept_shown_next_day_and_taken_back(twice: tuple[Case, Path]) -> None:
    case, later = twice
    first = panels.ReportPanel(case)
    first.receive("second", None, str(later))
    shown = first.parts["second"]
    assert shown in first.static()
    assert case.diagnosis.log.events.height == open_case(folder=case.folder).log.events.height
    assert panels.ReportPanel(open_case(folder=case.folder)).parts["second"] == shown
    later.rename(later.with_name("gone"))
    gone = panels.ReportPanel(open_case(folder=case.folder))
    assert f'value="{later}"' in second(gone)
    assert re.search(r'class="sfnb-bad">[^<]*later.log: ', second(gone))
    assert "Unchanged" not in second(gone)
    gone.receive("second", None, "")
    assert "sfnb-bad" not in second(gone)
    empty = panels.ReportPanel(open_case(folder=case.folder))
    assert second(empty) == second(gone) == second(panels.ReportPanel(again(case)))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("missing.log", "missing.log: "),
        ("case.json", "case.json: no line of this file is Asterisk's"),
        (str(samples.recorded("clean")), "Both are the same log"),
        (str(samples.recorded("undilated")), "It cannot be told yet. The two logs show no phone in common"),
        ("nobody.log", "It cannot be told yet. The second log shows no phone at all"),
    ],
)
def test_what_cannot_be_compared_is_said_beside_and_neither_kept_nor_shown(
    twice: tuple[Case, Path], name: str, told: str
) -> None:
    case, later = twice
    (later.parent / "nobody.log").write_text("[2026-03-20 10:00:00] NOTICE[77] res_odbc.c: Pool renewed\n")
    panel = panels.ReportPanel(case)
    panel.receive("second", None, "later.log")
    panel.receive("second", None, name)
    assert 'role="alert"' in panel.parts["said"]
    assert told in unescape(panel.parts["said"])
    assert f'value="{name}"' in second(panel)
    assert "Unchanged" not in second(panel)
    assert "taken for" not in second(panel)
    whole = panel.static()
    for address in open_case(samples.recorded("undilated"), root=None).diagnosis.sites["site"]:
        assert address not in whole
    assert 'value="later.log"' in second(panels.ReportPanel(open_case(folder=case.folder)))


def test_phones_of_the_same_names_elsewhere_are_doubted(twice: tuple[Case, Path]) -> None:
    case, later = twice
    later.write_text(later.read_text("utf-8").replace("203.0.113.", "198.51.100."), "utf-8")
    panel = panels.ReportPanel(case)
    panel.receive("second", None, "later.log")
    assert "check that both are of one customer" in second(panel)
    assert "Unchanged." in second(panel)


@pytest.mark.parametrize("language", ["de", "fr"])
def test_no_english_is_left_in_another_language(case: Case, language: str) -> None:
    mine = again(case, language=language)
    canvas = panels.Canvas(mine)
    canvas.receive("row", "5")
    text = re.sub(
        r"<[^>]*>", " ", " ".join(words(p) for p in (panels.Verdict(mine), canvas, panels.ChecklistPanel(mine)))
    )
    assert not re.findall(r"\b(?:the|phones|losses|unreachable|answered|Router's|lines of)\b", text)


def test_the_start_page_lists_opens_archives_and_deletes_cases(tmp_path: Path) -> None:
    home = tmp_path / "cases"
    for name in ("clean", "one-bad-phone"):
        made = open_case(samples.recorded(name), root=home, name=name)
        assert made.diagnosis.sites.height
    page = panels.Start(home)
    rows = re.findall(r'scope="row">([^<]+)</th><td class="(\w+)"', page.parts["main"])
    assert rows == [("one-bad-phone", "no_expiry_seen"), ("clean", "too_short")]
    page.receive("sort")
    assert page.parts["main"].index(">clean<") < page.parts["main"].index(">one-bad-phone<")
    page.receive("delete", "clean")
    assert (home / "clean").is_dir()
    page.receive("delete", "clean", "yes")
    assert not (home / "clean").exists()
    page.receive("archive", "one-bad-phone")
    assert not (home / "one-bad-phone").exists()
    (archived,) = (home / "archive").iterdir()
    assert "one-bad-phone/case.json" in ZipFile(archived).namelist()
    page.receive("delete", "../outside", "yes")
    assert 'role="alert"' in page.parts["said"]
    assert "no case yet" in panels.Start(tmp_path / "empty").parts["main"]
    assert "without a log" in panels.Start().parts["main"]
    assert "data-drop" not in panels.Start().parts["main"]


def test_a_log_from_the_inbox_whose_phones_a_case_has_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = samples.recorded("clean").read_bytes().splitlines(keepends=True)
    home, monday = tmp_path / "cases", tmp_path / "monday.log"
    monday.write_bytes(b"".join(whole[: len(whole) // 2]))
    open_case(monday, root=home)
    (home / "inbox").mkdir()
    (home / "inbox" / "tuesday.log").write_bytes(b"".join(whole[len(whole) // 2 :]))
    begun = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **how: begun([*command, "--dry-run"], **how))
    page = panels.Start(home)
    page.receive("begin", "tuesday.log")
    assert "go on there (--case monday)" in page.parts["said"]
    assert 'href="http://127.0.0.1:' in page.parts["said"]
