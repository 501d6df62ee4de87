"""How fast the case answers in a browser when the log is large, and how large its notebook is.

    python -m tests.benchmarks.desk --phones 500 --hours 720

A simulated customer's log is opened as `starface-nb lab` does it. Told are the seconds from the command to the verdict
on the screen, their processor time, and the notebook's size on disk; then for each thing that an analyst does the
seconds from the mouse to the first sign of the answer and to its last (the pictures), seen in the page itself, medians
of some rounds. `kernel` is the processor time that the case's kernel spent: a busy machine stretches the others.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import psutil
from playwright.sync_api import Page, sync_playwright

from tests.benchmarks.analysis import HERE, MAKE
from tests.browser import conftest
from tests.conftest import BROWSER_ARGUMENTS, chromium

# Resolves to the seconds from now to the first and to the last change of the canvas, once its kernel is done.
WATCH = """canvas => {
    const began = performance.now(), seen = [], now = () => (performance.now() - began) / 1000;
    window.answered = new Promise(resolve => {
        const watcher = new MutationObserver(() => {
            if (canvas.hasAttribute('aria-busy')) return seen.push(now());
            watcher.disconnect();
            requestAnimationFrame(() => resolve([seen[1] ?? now(), now()]));  // the first is the request itself
        });
        watcher.observe(canvas, {childList: true, subtree: true, attributes: true, attributeFilter: ['aria-busy']});
    });
}"""


def measured(page: Page, kernel: psutil.Process, act: Callable[[], None]) -> list[float]:
    """Return the seconds until the first and the last sign of an answer, and the kernel's processor seconds."""
    page.locator(".sfnb-live").nth(1).evaluate(WATCH)
    before = sum(kernel.cpu_times()[:2])
    act()
    first, last = page.evaluate("() => window.answered")
    return [first, last, sum(kernel.cpu_times()[:2]) - before]


def acts(page: Page) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield what an analyst does, and how."""
    canvas = page.locator(".sfnb-live").nth(1)

    def brush(kind: str) -> Callable[[], None]:
        def drag() -> None:
            box = canvas.locator(f"[data-brush={kind}] path.background").first.bounding_box()
            assert box
            page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 8)
            page.mouse.down()
            page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 8, steps=2)
            page.mouse.up()

        return drag

    def ask(do: str, arg: str | None = None) -> Callable[[], None]:
        where = f"[data-do={do}]" + (f"[data-arg={arg}]" if arg else "")
        return lambda: canvas.locator(where).first.click()

    yield "Show all", ask("reset")
    yield "table of all losses", ask("kind", "losses")
    yield "sort by duration", ask("sort", "seconds")
    yield "next page", lambda: canvas.get_by_role("button", name="Next page").click()
    yield "table of phones", ask("kind", "phones")
    yield "table of incidents", ask("kind", "incidents")
    yield "unfold the largest incident", lambda: canvas.locator("tbody button").first.click()
    yield "brush a time", brush("time")
    yield "Show all again", ask("reset")
    yield "brush an age", brush("age")
    yield "leave out a cause", lambda: canvas.locator("[data-set=cause]").first.click()
    yield "choose a site", lambda: (canvas.locator("[data-set=site]").select_option(index=1), None)[1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phones", type=int, default=500)
    parser.add_argument("--hours", type=int, default=720)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        log, cases = Path(folder) / "large.log", Path(folder) / "cases"
        made = ("plain", str(options.seed), str(options.phones), str(options.hours))
        subprocess.run([sys.executable, "-c", MAKE, str(log), *made], cwd=HERE, check=True)
        page = play.chromium.launch(executable_path=chromium(), args=BROWSER_ARGUMENTS).new_page()
        page.set_default_timeout(600_000)
        page.set_viewport_size({"width": 1440, "height": 900})
        began = time.perf_counter()
        with conftest.started(Path(folder), cases, log=log) as lab:
            opened = time.perf_counter() - began
            page.goto(lab.opened)
            page.locator(".sfnb-live table").first.wait_for()
            shown = time.perf_counter() - began
            server = psutil.Process(lab.server.pid)
            (kernel,) = [one for one in server.children() if "ipykernel" in " ".join(one.cmdline())]
            used = sum(sum(one.cpu_times()[:2]) for one in (server, kernel))
            size = (lab.folder / f"00_case_{log.stem}.ipynb").stat().st_size
            page.locator(".sfnb-live [data-part=pictures] svg").first.wait_for()
            print(
                f"load {os.getloadavg()[0]:.0f}; already run after {opened:.1f} s, verdict after {shown:.1f} s,",
                end=" ",
            )
            print(f"processor {used:.1f} s; notebook {size / 1e6:.2f} MB\n")
            page.locator(".sfnb-live").nth(1).scroll_into_view_if_needed()
            runs = {name: [measured(page, kernel, act)] for name, act in acts(page)}
            for _ in range(options.rounds - 1):
                for name, act in acts(page):
                    runs[name].append(measured(page, kernel, act))
        print("| | first sign (s) | all (s) | kernel (processor s) |\n|---|---:|---:|---:|")
        for name, rows in runs.items():
            first, last, spent = (median(column) for column in zip(*rows, strict=True))
            print(f"| {name} | {first:.2f} | {last:.2f} | {spent:.2f} |")


if __name__ == "__main__":
    main()
