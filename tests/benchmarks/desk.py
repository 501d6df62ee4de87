"""How long a case of 500 phones and 30 days takes to answer in the browser: `python -m tests.benchmarks.desk [LOG]`.

From the release of the pointer, or the choice in a list, to the frame in which pictures, table and counts are written,
as the browser's own clock has it; each choice three times, the first of "show all" being the first of its session. The
log is simulated (seed 0, some 360,000 losses and more) where none is named. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import sync_playwright

from starface_nb.simulation import Wish, make, simulate
from tests.browser import conftest
from tests.conftest import BROWSER_ARGUMENTS, chromium

_ANSWERED = """canvas => { window.answered = new Promise(resolve => {
    let began, busy;
    const start = () => { began ??= performance.now(); };
    for (const event of ["pointerup", "change"]) addEventListener(event, start, {capture: true, once: true});
    const watcher = new MutationObserver(() => {
        if (canvas.hasAttribute("aria-busy")) { busy = true; return; }
        if (!busy) return;
        watcher.disconnect();
        requestAnimationFrame(() => resolve((performance.now() - began) / 1000));
    });
    watcher.observe(canvas, {subtree: true, childList: true, attributes: true, attributeFilter: ["aria-busy"]});
}); }"""


def main() -> None:
    """Measure, and print seconds by what was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path, nargs="?")
    log: Path | None = parser.parse_args().log
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        if log is None:
            log = Path(folder) / "large.log"
            log.write_text("\n".join(simulate(make("plain", 0, Wish(500, 720)), 0).lines) + "\n", "utf-8")
        home = Path(folder) / "home"
        home.mkdir()
        browser = play.chromium.launch(executable_path=chromium(), args=BROWSER_ARGUMENTS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(120_000)
        with conftest.started(home, Path(folder) / "cases", log=log) as lab:
            page.goto(lab.opened)
            page.locator(".sfnb-live [data-part=pictures] svg").first.wait_for()
            canvas = page.locator(".sfnb-live").nth(1)
            site, cause = canvas.locator("[data-set=site]"), canvas.locator("[data-set=cause]")

            def timed(what: str, act: Callable[[], object]) -> None:
                canvas.evaluate(_ANSWERED)
                act()
                print(f"{what}: {page.evaluate('() => window.answered'):.2f} s", flush=True)

            kinds = canvas.locator("[data-do=kind]")
            for _ in range(3):
                timed("table of all losses", kinds.filter(has_text="Single losses").click)
                timed("sorted", canvas.locator("[data-do=sort]").last.click)
                timed("its next page", canvas.locator("[data-do=page]").last.click)
                timed("incidents again", kinds.filter(has_text="Incidents").click)
                timed("show all", canvas.locator("[data-do=reset]").click)
                timed("a cause left out", cause.nth(1).click)
                timed("the cause again", cause.nth(1).click)
                timed("a site", lambda: site.select_option(index=1))
        browser.close()


if __name__ == "__main__":
    main()
