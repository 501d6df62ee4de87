"""The notebooks as an analyst meets them: JupyterLab in Chromium, nothing but localhost in reach."""

from __future__ import annotations

import json
import shutil
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from starface_nb import samples
from starface_nb.cases import copy_notebooks, open_case

if TYPE_CHECKING:
    from conftest import Lab, Notebook

pytestmark = pytest.mark.browser
Open = Callable[[str], "Notebook"]
CURATED = samples.notebooks()
REGISTER: list[dict[str, Any]] = tomllib.loads((CURATED / "register.toml").read_text("utf-8"))["notebook"]


@pytest.fixture
def copies(lab: Lab) -> Path:
    """The curated notebooks with their kept outputs, copied afresh; logs to choose from in the inbox."""
    for path in CURATED.glob("*.ipynb"):
        shutil.copy(path, lab.folder / path.name)
    (lab.folder / "inbox").mkdir(exist_ok=True)
    shutil.copy(samples.recorded("one-bad-phone"), lab.folder / "inbox" / "other-customer.log")
    return lab.folder


def drawn(notebook: Notebook, count: int, seconds: float = 30) -> list[dict[str, Any]]:
    """Wait until `count` pictures are there and none is empty; return them."""
    for _ in range(int(seconds * 4)):
        seen = notebook.pictures()
        full = [one for one in seen if one["inside"] > 3 and one["width"] > 200 and one["height"] > 30]
        if len(full) >= count:
            return full
        time.sleep(0.25)
    raise AssertionError(f"{count} pictures expected, drawn are {seen}")


@pytest.mark.parametrize("entry", REGISTER, ids=[entry["name"] for entry in REGISTER])
def test_runs_all_and_draws(entry: dict[str, Any], copies: Path, open_notebook: Open) -> None:
    notebook = open_notebook(f"{entry['name']}.ipynb")
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    assert notebook.pictures() == []
    notebook.run_all()
    drawn(notebook, entry["pictures"])
    assert notebook.page.get_by_text("Jupyter news").count() == 0
    assert notebook.page.locator(".jp-OutputArea .jupyter-widgets").count() >= entry["widgets"]
    counts = notebook.page.locator(".jp-CodeCell .jp-InputPrompt").all_text_contents()  # off screen, too
    assert [text.strip() for text in counts] == [f"[{n}]:" for n in range(1, len(counts) + 1)]


def test_a_saved_notebook_shows_its_pictures_without_running(copies: Path, open_notebook: Open) -> None:
    for name, canvases in (("02_unreachable_intervals", 4), ("90_how_it_works", 2)):
        notebook = open_notebook(f"{name}.ipynb")
        assert len([one for one in drawn(notebook, canvases) if one["kind"] == "canvas"]) >= canvases


def test_another_log_and_another_keepalive_change_the_pictures(copies: Path, open_notebook: Open) -> None:
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
    names = chosen.locator("option").all_inner_texts()
    chosen.select_option(next(name for name in names if name.startswith("other-customer.log")))
    page.get_by_role("button", name="Read this log").click()
    expect(explorer).to_contain_text("203.0.113.51")
    expect(explorer).not_to_contain_text("203.0.113.21")
    notebook.require_no_error()
    assert "other-customer" in notebook.run("chooser.customer.name")
    assert (
        json.loads((copies / "cases" / "other-customer" / "case.json").read_text())["settings"]["keepalive_s"] == 1800
    )


def test_an_interval_leads_to_its_lines(copies: Path, open_notebook: Open) -> None:
    notebook = open_notebook("02_unreachable_intervals.ipynb")
    notebook.run_all()
    page = notebook.page
    page.locator(".sfnb-mono select").select_option(index=0)
    expect(page.locator(".sfnb-lines").first).to_contain_text("is now UNREACHABLE!")


def test_an_answer_survives_closing_and_reopening(lab: Lab, open_notebook: Open) -> None:
    case = open_case(samples.recorded("clean"), folder=lab.folder / "a customer")
    assert case.folder is not None
    copy_notebooks(case.folder, chosen=["01"])
    notebook = open_notebook("a customer/01_checklist.ipynb")
    notebook.run_all()
    steps = notebook.page.locator(".sfnb select").first
    steps.select_option(index=1)
    answer = notebook.page.locator(".sfnb input[type=radio]").nth(2)
    answer.check()
    notebook.page.get_by_label("Note").fill("asked by phone")
    notebook.page.get_by_label("Note").press("Tab")
    expect(notebook.page.locator(".sfnb").first).to_contain_text("Saved.")
    for _ in range(80):
        notes = [entry["note"] for entry in case.answers.reload().all().values()]
        if "asked by phone" in notes:
            break
        time.sleep(0.25)
    assert notes == ["asked by phone"]
    again = open_notebook("a customer/01_checklist.ipynb")
    again.page.evaluate("() => window.jupyterapp.serviceManager.sessions.shutdownAll()")
    again = open_notebook("a customer/01_checklist.ipynb")
    again.run_all()
    again.page.locator(".sfnb select").first.select_option(index=1)
    expect(again.page.locator(".sfnb input[type=radio]").nth(2)).to_be_checked()
    expect(again.page.get_by_label("Note")).to_have_value("asked by phone")
