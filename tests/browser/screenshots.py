"""Screenshots of every notebook, to be looked at: `python -m tests.browser.screenshots DIR [--languages de,fr ...]`.

Each notebook runs once per language and theme in JupyterLab as `starface-nb lab` starts it, and is taken at every width
and zoom: `00_case-de-1440-dark-150.png`. A zoom of 150 % is a window that is narrower by as much.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path

from playwright.sync_api import Page, Route, sync_playwright

from starface_nb.cases.copies import curated
from starface_nb.guide import LANGUAGES
from tests.browser import conftest
from tests.conftest import BROWSER_ARGUMENTS, chromium

_WIDTHS, _ZOOMS = (1440, 1024), (100, 150)
_THEME = "name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: `JupyterLab ${name}`})"
_HEIGHT = """() => [...document.querySelectorAll('.jp-WindowedPanel-outer')].at(-1).scrollHeight
    || document.querySelector('.jp-Notebook').scrollHeight"""
_IDLE = """() => {
    const panel = window.jupyterapp.shell.currentWidget;
    const cells = [...panel.content.widgets].filter(cell => cell.model.type === 'code');
    const count = cell => cell.model.sharedModel.execution_count;
    return panel.sessionContext.session?.kernel?.status === 'idle' && cells.every(cell => count(cell) > 0);
}"""
# In a window that is narrow from the start the list of files is folded.
_FOLD = "() => { const { shell } = window.jupyterapp; innerWidth < 1200 ? shell.collapseLeft() : shell.expandLeft(); }"
_TOP = "() => document.querySelectorAll('.jp-WindowedPanel-outer').forEach(one => one.scrollTo(0, 0))"
_CLEAR = "() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')"


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--languages", default=",".join(LANGUAGES))
    parser.add_argument("--themes", default="light,dark")
    parser.add_argument("--notebooks", default="00,05,06,10,90")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    names = [path.stem for path in curated(options.notebooks.split(","))]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=BROWSER_ARGUMENTS)
        page = browser.new_page()
        page.set_default_timeout(180_000)
        page.route("**/lab/tree/**", _exposed)
        for language in options.languages.split(","):
            with (
                tempfile.TemporaryDirectory() as home,
                tempfile.TemporaryDirectory() as cases,
                conftest.started(Path(home), Path(cases), "--language", language) as lab,
            ):
                for name, theme in itertools.product(names, options.themes.split(",")):
                    _take(page, lab, name, f"{name}-{language}", theme, options.folder)
                page.goto("about:blank")
        browser.close()


def _take(page: Page, lab: conftest.Lab, name: str, stem: str, theme: str, folder: Path) -> None:
    path = f"{name}_{conftest.CUSTOMER}.ipynb" if name == "00_case" else f"{name}.ipynb"
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(lab.address(path))
    page.wait_for_function(conftest.READY, arg=path)
    page.evaluate(_THEME, theme.capitalize())  # pictures take the theme of the moment in which they are drawn
    page.evaluate(_CLEAR)
    page.evaluate("async () => { await window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
    page.wait_for_function(_IDLE)
    for width, zoom in itertools.product(_WIDTHS, _ZOOMS):
        wide = width * 100 // zoom
        page.set_viewport_size({"width": wide, "height": 900})
        page.evaluate(_FOLD)
        for height in (9000, 900):  # first all cells are drawn: those out of sight are guessed too low
            page.set_viewport_size({"width": wide, "height": height})
            page.wait_for_timeout(700)
        page.set_viewport_size({"width": wide, "height": min(12_000, 200 + page.evaluate(_HEIGHT))})
        page.evaluate(_TOP)
        page.wait_for_timeout(1500)
        page.screenshot(path=folder / f"{stem}-{width}-{theme}-{zoom}.png")


def _exposed(route: Route) -> None:
    page = route.fetch()
    hidden, shown = '"exposeAppInBrowser": false', '"exposeAppInBrowser": true'
    route.fulfill(response=page, body=page.text().replace(hidden, shown))


if __name__ == "__main__":
    main()
