"""Ten thousand lines of an attacker who writes markup into every field: no page runs or shows any of it."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

import starface_nb as sf
from starface_nb.cli import main

if TYPE_CHECKING:
    from conftest import Lab, Notebook
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

LINES = 10_000
RUN = "window.pwned=(window.pwned||0)+1"
PAYLOADS = (
    f"<script class=pwned>{RUN}</script>",
    f'<img class=pwned src=x onerror="{RUN}">',
    f"\"><svg class=pwned onload='{RUN}'>",
    f"</script><script class=pwned>{RUN}</script>",
    f"</style></title></textarea><pwned></pwned><script>{RUN}</script>",
    f"<iframe class=pwned srcdoc='<script>parent.{RUN}</script>'></iframe>",
    f"[x](javascript:{RUN}) <a class=pwned href=javascript:{RUN}>x</a>",
    f"x' onmouseover='{RUN}' class='pwned",
    '" autofocus onfocus="window.pwned=1" class="pwned',
    f"{{{{ 7*7 }}}} {{% raw %}} ${{{RUN}}} datum['x'];{RUN}//",
    f"-->]]><b class=pwned>b</b><!-- \u2028\u202e\x1b]0;{RUN}\x07",
    "$\\href{javascript:window.pwned=1}{x}$ \\unicode{<pwned>}",
)
FILE = f"<img class=pwned src=x onerror={RUN.replace('/', '')}>.log"
BAD = """() => ({
    runs: window.pwned || 0,
    foreign: document.querySelectorAll('.pwned, pwned, [onerror], [onload], [onmouseover], [href^=javascript]').length,
})"""
NOTEBOOKS = "00,05"


def hostile_lines() -> list[str]:
    """Lose and find forty phones with hostile names again and again, refuse registrations, register contacts."""
    time = datetime(2026, 3, 4, 8, 0, 0)
    lines = []
    for n, payload in zip(range(LINES), itertools.cycle(PAYLOADS), strict=False):
        time += timedelta(seconds=7)
        phone = f"{payload} {n % 12 + 12 * (n // 12 % 3)}"
        form = n // 36 % 6
        level, module, text = (
            ("VERBOSE", "chan_sip.c", f"Registered SIP '{phone}' at 203.0.113.{n % 3 + 1}:{5060 + n % 900}"),
            ("NOTICE", "chan_sip.c", f"Peer '{phone}' is now Reachable. (40ms / 2000ms)"),
            ("NOTICE", "chan_sip.c", f"Peer '{phone}' is now UNREACHABLE!  Last qualify: 40"),
            (
                "NOTICE",
                "chan_sip.c",
                f"Registration from '\"{payload}\" <sip:{payload}@x>' failed for '198.51.100.9' - {payload}",
            ),
            (
                "VERBOSE",
                "res_pjsip_registrar.c",
                f"Added contact 'sip:{payload}@203.0.113.9:5060' to AOR '{payload}' with expiration of 60 seconds",
            ),
            (
                "WARNING",
                "chan_sip.c",
                f"Retransmission timeout reached on transmission {payload} for seqno 1 (Critical Request) -- See",
            ),
        )[form]
        lines.append(f"[{time:%Y-%m-%d %H:%M:%S}] {level}[1] {module}: {text}")
    return lines


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / FILE
    path.write_text("".join(f"{line}\n" for line in hostile_lines()), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def case(log: Path) -> sf.analysis.diagnosis.Diagnosis:
    found = sf.diagnose(sf.read_log(log, progress=False))
    assert found.log.events.height > 0.95 * LINES
    assert found.intervals.height > 30
    assert all(any(payload[:20] in peer for peer in found.phones["peer"]) for payload in PAYLOADS)
    return found


@pytest.fixture(scope="module")
def executed(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The notebooks, run on the hostile log."""
    folder = tmp_path_factory.mktemp("executed")
    assert main(["run", str(log), "-o", str(folder), "--notebooks", NOTEBOOKS]) in (0, 1)
    return folder


def require_harmless(page: Page) -> None:
    page.wait_for_timeout(400)
    for frame in page.frames:
        assert frame.evaluate(BAD) == {"runs": 0, "foreign": 0}


def show(page: Page, folder: Path, name: str, html: str) -> None:
    path = folder / f"{name}.html"
    path.write_text(html, "utf-8")
    page.goto(path.as_uri())
    require_harmless(page)


def test_the_check_itself_notices_an_attack(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "live.html"
    path.write_text("<meta charset=utf-8><body>" + "".join(PAYLOADS), "utf-8")
    page.goto(path.as_uri())
    page.wait_for_function(f"() => ({BAD})().runs > 0")
    found = page.evaluate(BAD)
    assert found["runs"] > 0
    assert found["foreign"] > 3


@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_report(case: sf.analysis.diagnosis.Diagnosis, page: Page, tmp_path: Path, language: str) -> None:
    show(page, tmp_path, "report", sf.report.render(case, language=language))


def test_fleet_page(log: Path, page: Page, tmp_path: Path) -> None:
    from starface_nb.fleet import fleet_html
    from starface_nb.fleet.examine import failed, summarise
    from starface_nb.fleet.run import ranked

    row = summarise(sf.diagnose(sf.read_log(log, progress=False)))
    names = [{"customer": payload, "source": payload, "fingerprint": ""} for payload in PAYLOADS]
    frame = ranked([row | name for name in names] + [failed(payload).row | names[0] for payload in PAYLOADS])
    for language in ("en", "de", "fr"):
        show(page, tmp_path, "fleet", fleet_html(frame, language))


def test_pictures(case: sf.analysis.diagnosis.Diagnosis, page: Page, tmp_path: Path) -> None:
    for name in ("timeline", "fold", "durations"):
        svg = sf.charts.to_inline_svg(getattr(sf.charts, name)(case))
        show(page, tmp_path, name, f"<!doctype html><meta charset=utf-8>{svg}")


def test_executed_notebooks_as_pages(executed: Path, page: Page, tmp_path: Path) -> None:
    """Every output's HTML and SVG, put into a page as it is."""
    for path in sorted(executed.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        parts = [
            "".join(output["data"][kind])
            for cell in notebook.cells
            for output in cell.get("outputs", [])
            for kind in ("text/html", "image/svg+xml")
            if kind in output.get("data", {})
        ]
        widgets = notebook.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {})
        parts += [
            str(model["state"].get("value", ""))
            for model in widgets.get("state", {}).values()
            if model.get("model_name") in ("HTMLModel", "HTMLMathModel")
        ]
        show(page, tmp_path, path.stem, "<!doctype html><meta charset=utf-8>" + "\n".join(parts))


@pytest.mark.parametrize("name", ["00_case"])
def test_in_jupyterlab(
    name: str, executed: Path, lab: Lab, page: Page, open_notebook: Callable[[str], Notebook]
) -> None:
    """Opened as it was saved, and run again by hand, which makes its outputs trusted."""
    folder = lab.folder / "hostile"
    shutil.copytree(executed, folder, dirs_exist_ok=True)
    assert nbformat.read(folder / f"{name}.ipynb", as_version=4).cells
    notebook = open_notebook(f"hostile/{name}.ipynb")
    require_harmless(page)
    notebook.run_all()
    require_harmless(page)
    for cell in page.locator(".jp-CodeCell").all():
        cell.scroll_into_view_if_needed()
    require_harmless(page)
