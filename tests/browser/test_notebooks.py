"""The notebooks as an analyst meets them: JupyterLab in Chromium, nothing but localhost in reach."""

from __future__ import annotations

import json
import re
import shutil
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from starface_nb import samples

if TYPE_CHECKING:
    from conftest import Lab, Notebook
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)  # of a busy machine, not of the product
Open = Callable[[str], "Notebook"]
CURATED = samples.notebooks()
REGISTER: dict[str, dict[str, Any]] = {
    entry["name"]: entry for entry in tomllib.loads((CURATED / "register.toml").read_text("utf-8"))["notebook"]
}
VERDICT = "At 3 of 4 sites the router's timeout for NAT entries is too short."
CASE = "customer"


@pytest.fixture
def curated(lab: Lab) -> Path:
    """The curated notebooks with their kept outputs, copied afresh; logs to choose from in the inbox."""
    for path in CURATED.glob("*.ipynb"):
        shutil.copy(path, lab.folder / path.name)
    (lab.folder / "inbox").mkdir(exist_ok=True)
    shutil.copy(samples.recorded("one-bad-phone"), lab.folder / "inbox" / "other-customer.log")
    return lab.folder


def run_and_look(notebook: Notebook, name: str) -> None:
    """Run a notebook, and require what the register says that it shows."""
    notebook.run_all()
    notebook.drawn(REGISTER[name]["pictures"])
    widgets, prompts = (
        notebook.page.locator(f".jp-{what}") for what in ("OutputArea .sfnb", "CodeCell .jp-InputPrompt")
    )
    until(lambda: widgets.count() >= REGISTER[name]["widgets"], f"{name}: its panels are shown")

    def numbered() -> bool:
        counts = [text.strip() for text in prompts.all_text_contents()]  # off screen, too
        return counts == [f"[{n}]:" for n in range(1, len(counts) + 1)]

    until(numbered, f"{name}: every cell has run, in order")


def test_from_a_customers_zip_to_the_verdict(lab: Lab, page: Page, open_notebook: Open) -> None:
    """The walk that `starface-nb lab customer.zip` offers: 00 to 04, in the customer's own copies."""
    page.goto(lab.opened)
    start = open_notebook(f"{CASE}/00_start_here.ipynb")
    assert page.get_by_text("Jupyter news").count() == 0
    run_and_look(start, "00_start_here")
    expect(page.locator(".sfnb").first).to_contain_text(VERDICT)

    page.locator(".jp-OutputArea a", has_text="01_checklist").click()
    page.wait_for_function("() => window.jupyterapp.shell.currentWidget.title.label === '01_checklist.ipynb'")
    checklist = open_notebook(f"{CASE}/01_checklist.ipynb")
    run_and_look(checklist, "01_checklist")
    panel = page.locator(".sfnb").first
    expect(panel).to_contain_text("4 of 8 answered")
    steps = panel.locator("select").first
    steps.select_option(index=1)
    panel.get_by_label("Shown as not registered").check()
    page.get_by_label("Note").fill("asked by phone")
    page.get_by_label("Note").press("Tab")
    expect(panel).to_contain_text("Saved.")
    expect(panel).to_contain_text("5 of 8 answered")
    kept = lab.folder / CASE / "answers.json"
    until(lambda: "asked by phone" in kept.read_text("utf-8"), "the answer is kept on disk")

    open_notebook(f"{CASE}/01_checklist.ipynb").run_all()  # closed, and opened with a new kernel
    panel = page.locator(".sfnb").first
    expect(panel).to_contain_text("5 of 8 answered")
    panel.locator("select").first.select_option(index=1)
    expect(panel.get_by_label("Shown as not registered")).to_be_checked()
    expect(page.get_by_label("Note")).to_have_value("asked by phone")

    run_and_look(open_notebook(f"{CASE}/02_unreachable_intervals.ipynb"), "02_unreachable_intervals")
    explorer = page.locator(".sfnb").nth(1)
    explorer.locator(".sfnb-mono select").select_option(index=0)
    expect(explorer.locator(".sfnb-lines").first).to_contain_text("is now UNREACHABLE!")
    worst = explorer.locator("td.n").first  # losses of the phone with the most
    expect(worst).to_have_text(re.compile(r"\d+"))
    before = worst.text_content()
    end = explorer.locator(".noUi-handle").last
    end.focus()
    for _ in range(5):
        end.press("PageDown")
    until(lambda: int(worst.text_content() or 0) < int(before or 0), "the table follows the time slider")
    brush_narrows_the_table(page)

    answer = open_notebook(f"{CASE}/03_nat_timeout.ipynb")
    run_and_look(answer, "03_nat_timeout")
    expect(page.locator(".jp-OutputArea").filter(has_text=VERDICT).first).to_be_attached()

    run_and_look(open_notebook(f"{CASE}/04_report.ipynb"), "04_report")
    report = page.frame_locator("iframe").first
    expect(report.locator("h1")).to_contain_text("Phones that lose the connection")
    page.get_by_role("button", name="Write HTML").click()
    until(lambda: (lab.folder / CASE / "report-en.html").is_file(), "the report is written")
    assert "asked by phone" in (lab.folder / CASE / "report-en.html").read_text("utf-8")


def until(happened: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for what no locator can expect, and name it where it does not come."""
    for _ in range(int(seconds * 10)):
        if happened():
            return
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")


def brush_narrows_the_table(page: Page) -> None:
    """Drag over the timeline of the linked pictures: the table under them, at the canvas's foot, changes."""
    canvas = page.locator(".jp-OutputArea canvas").first
    canvas.scroll_into_view_if_needed()
    foot = "c => c.getContext('2d').getImageData(0, c.height - 150, c.width, 150).data.join('')"
    before = canvas.evaluate(foot)
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 300, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 420, box["y"] + 220, steps=5)
    page.mouse.up()
    until(lambda: bool(canvas.evaluate(foot) != before), "the table under the pictures follows the brush")


@pytest.mark.parametrize("name", [name for name in REGISTER if name >= "05"])
def test_runs_all_and_draws(name: str, curated: Path, open_notebook: Open) -> None:
    notebook = open_notebook(f"{name}.ipynb")
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    assert notebook.pictures() == []
    run_and_look(notebook, name)


def test_a_saved_notebook_shows_its_pictures_without_running(curated: Path, open_notebook: Open) -> None:
    for name, canvases in (("02_unreachable_intervals", 3), ("90_how_it_works", 2)):
        notebook = open_notebook(f"{name}.ipynb")
        assert len([one for one in notebook.drawn(canvases) if one["kind"] == "canvas"]) >= canvases


def test_keys_pressed_in_a_panel_work_the_panel_and_no_cell(curated: Path, open_notebook: Open) -> None:
    notebook = open_notebook("02_unreachable_intervals.ipynb")
    notebook.run_all()
    notebook.drawn(REGISTER["02_unreachable_intervals"]["pictures"])
    page = notebook.page
    explorer = page.locator(".sfnb").nth(1)
    picture, intervals = explorer.get_by_label("Picture"), explorer.get_by_label("Intervals")

    picture.focus()
    cells = page.evaluate(_CELLS)
    page.keyboard.press("Tab")
    expect(intervals).to_be_focused()
    page.keyboard.press("ArrowDown")
    first = explorer.locator(".sfnb-lines").first
    expect(first).to_contain_text("is now UNREACHABLE!")
    before = first.text_content()
    assert before is not None
    page.keyboard.press("ArrowDown")
    expect(first).not_to_have_text(before)
    assert intervals.evaluate("list => list.selectedIndex") == 1

    begin = explorer.locator(".noUi-handle").first
    begin.focus()
    earliest = begin.get_attribute("aria-valuenow")
    page.keyboard.press("ArrowRight")
    assert begin.get_attribute("aria-valuenow") != earliest

    for focused in (intervals, begin):
        focused.focus()
        for key in ("x", "d", "d", "a", "m", "Shift+m", "ArrowUp"):
            page.keyboard.press(key)
    assert page.evaluate(_CELLS) == cells

    page.locator(".jp-Cell").last.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("x")  # on a cell the keys are JupyterLab's, as ever
    until(lambda: len(page.evaluate(_CELLS)["cells"]) == len(cells["cells"]) - 1, "x cuts a cell that has the focus")


_CELLS = """() => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    return {active: notebook.activeCellIndex, cells: notebook.widgets.map(({model}) => [model.id, model.type])};
}"""


def test_another_log_and_another_keepalive_change_the_pictures(curated: Path, open_notebook: Open) -> None:
    notebook = open_notebook("02_unreachable_intervals.ipynb")
    notebook.run_all()
    page = notebook.page
    explorer = page.locator(".sfnb").nth(1)
    expect(explorer).to_contain_text("203.0.113.21")
    expect(explorer).to_contain_text("every 1 h")
    page.get_by_label("Keepalive (min)").fill("30")
    page.get_by_label("Keepalive (min)").press("Enter")
    expect(explorer).to_contain_text("every 30 min")
    page.get_by_role("button", name="Look again").click()
    chosen = page.get_by_label("Log", exact=True)
    expect(chosen).to_contain_text("other-customer.log")
    chosen.select_option(label="other-customer.log")
    page.get_by_role("button", name="Read this log").click()
    expect(explorer).to_contain_text("203.0.113.51")
    expect(explorer).not_to_contain_text("203.0.113.21")
    notebook.require_no_error()
    assert "other-customer" in notebook.run("chooser.case.name")
    kept = json.loads((curated / "cases" / "other-customer" / "case.json").read_text())
    assert kept["settings"]["keepalive_s"] == 1800
