"""The notebooks as an analyst meets them: JupyterLab in Chromium, nothing but localhost in reach."""

from __future__ import annotations

import re
import shutil
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import complaints
from nbconvert import HTMLExporter
from playwright.sync_api import expect

from starface_nb import samples

if TYPE_CHECKING:
    from conftest import Lab, Notebook
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser
expect.set_options(timeout=120_000)  # of a busy machine, not of the product
Open = Callable[[str], "Notebook"]
CURATED = samples.notebooks()
REGISTER: dict[str, dict[str, Any]] = {
    entry["name"]: entry for entry in tomllib.loads((CURATED / "register.toml").read_text("utf-8"))["notebook"]
}
VERDICT = "At 3 of 4 sites the router's timeout for NAT entries is too short."
CASE = "00_case_customer.ipynb"
LIVE = ".sfnb-live"
COUNTS = """() => window.jupyterapp.shell.currentWidget.content.widgets
    .filter(cell => cell.model.type === 'code').map(cell => cell.model.sharedModel.execution_count)"""
# Outputs that scroll sideways, and pictures that leave room beside them or are cut.
ILL_FITTING = """() => [...document.querySelectorAll('.jp-OutputArea-output')].filter(one => {
    const picture = one.querySelector('.vega-embed canvas')?.getBoundingClientRect();
    const room = one.closest('.jp-OutputArea').getBoundingClientRect();
    const fits = !picture || (picture.right <= room.right + 1 && picture.width > Math.min(1180, one.clientWidth) - 20);
    return one.scrollWidth > one.clientWidth + 1 || !fits;
}).map(one => one.textContent.slice(0, 80))"""
# In a window that is narrow from the start the list of files is folded.
FOLD = "() => { if (innerWidth < 1200) window.jupyterapp.shell.collapseLeft(); }"
EVERYTHING = re.compile(r"^\d+ incidents, 578 losses$")


@pytest.fixture
def curated(lab: Lab) -> Path:
    """The curated notebooks with their kept outputs, copied afresh."""
    for path in CURATED.glob("*.ipynb"):
        shutil.copy(path, lab.folder / path.name)
    return lab.folder


def run_and_look(notebook: Notebook, name: str) -> None:
    """Run a notebook, and require what the register says that it shows."""
    notebook.restart_and_run_all()
    notebook.drawn(REGISTER[name]["pictures"])
    widgets = notebook.page.locator(LIVE)
    until(lambda: widgets.count() >= REGISTER[name]["widgets"], f"{name}: its panels are shown")

    def numbered() -> bool:
        counts = notebook.page.evaluate(COUNTS)  # of folded cells, and off screen, too
        return bool(counts) and counts == list(range(1, len(counts) + 1))

    until(numbered, f"{name}: every cell has run, in order")


def until(happened: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Wait for what no locator can expect, and name it where it does not come."""
    for _ in range(int(seconds * 10)):
        if happened():
            return
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")


@pytest.fixture
def alive(open_notebook: Open) -> Page:
    """The case, run anew: a test before this one may have ended the kernel that it was opened with."""
    notebook = open_notebook(CASE)
    notebook.run_all()
    expect(notebook.page.locator(LIVE)).to_have_count(REGISTER["00_case"]["widgets"])
    return notebook.page


def test_pictures_and_table_are_linked_both_ways(alive: Page) -> None:
    page = alive
    canvas = page.locator(LIVE).filter(has_text="What happened")
    expect(canvas.get_by_role("status")).to_have_text(EVERYTHING)
    timeline = canvas.locator("[data-brush=time]")
    timeline.scroll_into_view_if_needed()
    plot = timeline.locator("path.background").first.bounding_box()
    assert plot is not None
    page.mouse.move(plot["x"] + 0.3 * plot["width"], plot["y"] + 8)
    page.mouse.down()
    page.mouse.move(plot["x"] + 0.5 * plot["width"], plot["y"] + 8, steps=4)
    page.mouse.up()
    expect(canvas.get_by_role("status")).not_to_have_text(EVERYTHING)
    expect(timeline.locator(".sfnb-shade")).to_be_visible()
    assert canvas.locator("[data-brush=age] path.sfnb-off").count() > 100
    canvas.get_by_role("button", name="Show all").click()
    expect(canvas.get_by_role("status")).to_have_text(EVERYTHING)

    bar = timeline.locator("path[data-row]").nth(100)
    row = bar.get_attribute("data-row")
    bar.click()
    expect(canvas.locator(".sfnb-drawer h3")).to_contain_text("lost at")
    expect(canvas.locator(f"[data-brush=age] path[data-row='{row}']")).to_have_class(re.compile("sfnb-picked"))
    single = canvas.get_by_role("button", name="Single losses")
    single.click()
    expect(single).to_have_attribute("aria-pressed", "true")  # the table that is clicked next is the new one
    canvas.locator("tbody tr button").nth(2).click()
    chosen = canvas.locator("tbody tr").nth(2).get_attribute("data-arg")
    expect(timeline.locator(f"path[data-row='{chosen}']")).to_have_class(re.compile("sfnb-picked"))


def test_a_panel_whose_model_came_just_too_late_for_ipywidgets_is_shown(alive: Page) -> None:
    """What stands there then is written where a panel stands: which model comes in which millisecond, is chance."""
    panels = alive.locator(LIVE)
    before = panels.count()
    lost = "one => { one.parentElement.textContent = 'Error displaying widget: model not found'; }"
    panels.first.evaluate(lost)
    expect(panels).to_have_count(before)
    expect(alive.get_by_text("model not found")).to_have_count(0)


def test_a_panel_written_anew_leaves_folds_open_and_what_is_being_typed(alive: Page) -> None:
    page, verdict = alive, alive.locator(LIVE).first

    def in_kernel(code: str) -> None:
        page.evaluate(
            "code => jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({code}).done", code
        )

    def name_router(name: str) -> None:
        in_kernel(f"checklist.do_router(case.diagnosis.sites['site'][0], {name!r})")

    verdict.get_by_text("What the ticket will say").click()
    verdict.get_by_text("Names for customer, sites and phones").click()
    field = verdict.get_by_label("Customer")
    field.press_sequentially("Examp")
    name_router("Linux nf_conntrack")
    field.press_sequentially("le")
    expect(field).to_have_value("Example")
    field.press("Tab")
    expect(verdict.locator("table")).to_contain_text("Linux nf_conntrack")
    expect(verdict.get_by_label("Customer")).to_have_value("Example")
    expect(verdict.locator("pre")).to_be_visible()
    verdict.get_by_label("Customer").fill("")
    verdict.get_by_label("Customer").press("Tab")
    name_router("")
    expect(verdict.locator("table")).not_to_contain_text("Linux nf_conntrack")
    step = page.locator(LIVE).nth(2).locator("details[open]").first.get_attribute("data-arg")
    card = page.locator(f"{LIVE} details[data-arg={step}]")
    head = card.locator("summary")
    head.press("Enter")  # folds it
    for note in ("asked", ""):
        in_kernel(f"checklist.do_note({step!r}, {note!r})")
        expect(card.get_by_label("Note")).to_have_value(note)
        expect(head).to_be_focused()
        expect(card).to_have_js_property("open", value=False)
    page.keyboard.press("Enter")
    expect(card).to_have_js_property("open", value=True)
    head.hover()
    page.mouse.down()
    in_kernel(f"checklist.do_note({step!r}, 'between press and release')")
    expect(card.get_by_label("Note")).to_have_value("between press and release")
    page.mouse.up()
    expect(card).to_have_js_property("open", value=False)
    in_kernel(f"checklist.do_note({step!r}, '')")


def test_by_keyboard_alone_from_the_verdict_to_the_german_report(alive: Page, lab: Lab) -> None:
    """Tab, arrows, letters, Enter and the space bar; nothing is focused or clicked by other means."""
    page, cells = alive, alive.locator(".jp-Cell").count()
    verdict, canvas, card = (
        page.locator(LIVE).first,
        page.locator(LIVE).nth(1),
        page.locator(f"{LIVE} details[data-arg=scope]"),
    )
    page.keyboard.press("Escape")  # out of a cell's text
    tab_to(page, verdict.get_by_text("What the ticket will say"))
    page.keyboard.press("Enter")
    expect(verdict.locator("pre")).to_be_visible()
    find = canvas.get_by_role("searchbox")
    tab_to(page, find)
    page.keyboard.type("23101")
    expect(canvas.get_by_role("status")).not_to_contain_text("578")
    expect(find).to_be_focused()
    tab_to(page, canvas.locator("tbody tr button").first)
    page.keyboard.press("Space")
    expect(canvas.locator(".sfnb-drawer")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(canvas.locator(".sfnb-lines b")).to_contain_text("23101")
    for key in ("x", "d", "d", "a", "m"):
        page.keyboard.press(key)
    assert page.locator(".jp-Cell").count() == cells
    folded = card.get_attribute("open") is None
    for now in (folded, not folded):
        tab_to(page, card.locator("summary"))
        page.keyboard.press("Enter")
        expect(card).to_have_js_property("open", value=now)
    report = page.locator(LIVE).filter(has=page.get_by_role("heading", name="The report", exact=True))
    tab_to(page, report.get_by_label("Language"))
    page.keyboard.press("D")  # Deutsch
    expect(page.frame_locator(f"{LIVE} iframe").locator("body")).to_contain_text("Telefone ohne Verbindung")
    written = lab.folder / "report-de.html"
    written.unlink(missing_ok=True)
    tab_to(page, report.get_by_role("button", name="Write page and PDF"))
    with page.expect_download() as handed:
        page.keyboard.press("Space")
    assert handed.value.suggested_filename == "report-de.pdf"
    assert "Telefone ohne Verbindung" in written.read_text("utf-8")


def tab_to(page: Page, there: Locator) -> None:
    """Press Tab until something has the focus."""
    for _ in range(500):
        page.keyboard.press("Tab")
        if there.evaluate("one => one === document.activeElement"):
            return
    raise AssertionError(f"Tab does not lead to {there}")


def test_next_day_everything_is_there_without_a_kernel(lab: Lab, alive: Page, open_notebook: Open) -> None:
    """Answered, saved, the kernel gone: what was shown is there, and nothing says that a model was not found."""
    page = alive
    card = page.locator(f"{LIVE} details", has_text="Status in the phone overview")
    card.get_by_label("Answer").select_option("changing")
    card.get_by_label("Note").fill("asked by phone")
    card.get_by_label("Note").press("Tab")
    kept = lab.folder / "answers.json"
    until(lambda: kept.exists() and "asked by phone" in kept.read_text("utf-8"), "the answer is kept on disk")
    notebook = open_notebook(CASE)  # with a kernel that has run nothing
    shown = page.locator(".sfnb-static").first
    expect(shown).to_be_visible()
    expect(shown).to_contain_text(VERDICT)
    for error in page.get_by_text("model not found").all():
        expect(error).to_be_hidden()
    notebook.run_all()
    card = page.locator(f"{LIVE} details", has_text="Status in the phone overview")
    expect(card.get_by_label("Answer")).to_have_value("changing")
    expect(page.locator(".sfnb-static").first).to_be_hidden()


def test_a_dropped_log_leaves_one_of_its_name_alone(lab: Lab, open_notebook: Open, tmp_path: Path) -> None:
    notebook, inbox = open_notebook("10_free_work.ipynb"), lab.folder / "inbox"
    inbox.mkdir()
    (inbox / "full.log").write_text("the first customer's")
    notebook.run("import starface_nb as sf; sf.panels.Start('.')")
    page = notebook.page
    start = page.locator(LIVE).filter(has_text="New log")
    zone = start.locator("[data-drop]")
    for text in ("the second", "the third"):  # at once, the other before it has arrived
        made = "text => { const made = new DataTransfer(); made.items.add(new File([text], 'Full.log')); return made; }"
        zone.dispatch_event("drop", {"dataTransfer": page.evaluate_handle(made, text)})
    expect(start.get_by_role("row", name="Full-3.log")).to_be_visible()
    chosen = tmp_path / "full.log"
    chosen.touch()
    zone.locator("input").set_input_files(chosen)
    expect(start.get_by_role("row", name="full-4.log")).to_be_visible()
    assert {path.name: path.read_text() for path in inbox.iterdir()} == {
        "full.log": "the first customer's",
        "Full-2.log": "the second",
        "Full-3.log": "the third",
        "full-4.log": "",
    }


def test_axe_finds_no_serious_fault_in_panels_and_report(lab: Lab, alive: Page) -> None:
    page = alive
    canvas = page.locator(LIVE).filter(has_text="What happened")
    canvas.locator("tbody tr button").first.click()
    canvas.locator("tr.sfnb-loss button").first.click()
    expect(canvas.locator(".sfnb-lines b")).to_be_visible()
    page.evaluate("() => document.querySelectorAll('.sfnb-live details').forEach(one => { one.open = true; })")
    assert serious(page, LIVE) == []
    with page.expect_download():
        page.locator(LIVE).first.get_by_role("button", name="Report: English").click()
    report = page.context.new_page()
    report.goto((lab.folder / "report-en.html").as_uri())
    assert serious(report) == []
    report.close()


def serious(page: Page, part: str = "html") -> list[tuple[str, str]]:
    """What axe-core finds that keeps people out: rule, and the first place."""
    # a frame that runs no scripts cannot be looked into: the report is examined as the page that it is
    found = Axe().run(page, context=part, options={"iframes": False}).response["violations"]
    return [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("name", [name for name in REGISTER if name != "00_case"])
def test_restarts_runs_all_and_draws(name: str, curated: Path, open_notebook: Open) -> None:
    notebook = open_notebook(f"{name}.ipynb")
    wrong = complaints(notebook.page)
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    assert notebook.pictures() == []
    run_and_look(notebook, name)
    assert [text for text in wrong if text.startswith("WARN")] == []  # what Vega-Lite says of a picture
    for width in (1440, 1024, 683):
        notebook.page.set_viewport_size({"width": width, "height": 6000})
        notebook.page.evaluate(FOLD)
        until(lambda: notebook.page.evaluate(ILL_FITTING) == [], f"{name}: fits a window of {width} px", seconds=30)


def test_a_saved_notebook_shows_its_pictures_without_running(curated: Path, open_notebook: Open) -> None:
    notebook = open_notebook("90_how_it_works.ipynb")
    assert len([one for one in notebook.drawn(2) if one["kind"] == "canvas"]) >= 2


def test_as_a_page_by_nbconvert_the_case_is_readable_offline(page: Page, tmp_path: Path) -> None:
    html, _ = HTMLExporter().from_notebook_node(nbformat.read(CURATED / "00_case.ipynb", as_version=4))
    path = tmp_path / "case.html"
    path.write_text(re.sub(r"<script[^>]*src=.*?</script>", "", html), "utf-8")  # what it would load from the network
    page.goto(path.as_uri())
    for text in (VERDICT, "Status in the phone overview", "The NAT timeout"):
        expect(page.get_by_text(text, exact=False).first).to_be_visible()
    assert page.locator("svg").count() >= 3
    report = page.frame_locator("iframe").last
    expect(report.locator("h1")).to_contain_text("Phones that lose the connection")
