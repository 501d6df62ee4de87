"""The report in a real browser with the network cut off: nothing leaves, nothing is cut off."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import starface_nb as sf
from starface_nb import guide, report, samples

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

pytestmark = pytest.mark.browser
# Elements whose content is wider than they are: text that is cut off or runs into its neighbour.
CUT_OFF = """() => [...document.querySelectorAll('main *:not(svg *), header *')]
    .filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline' && e.clientWidth > 0)
    .map(e => e.tagName + '.' + e.className + ': ' + e.textContent.trim().slice(0, 60))"""
OUTSIDE_SVG = """() => [...document.querySelectorAll('svg')].flatMap(svg => {
    const frame = svg.getBoundingClientRect();
    return [...svg.querySelectorAll('text')].filter(t => {
        const b = t.getBoundingClientRect();
        return b.width && t.textContent.trim() &&
            (b.left < frame.left - 2 || b.right > frame.right + 2 ||
             b.top < frame.top - 2 || b.bottom > frame.bottom + 2);
    }).map(t => t.textContent);
})"""


@pytest.mark.parametrize("language", guide.LANGUAGES)
@pytest.mark.parametrize("name", ["mixed"])
def test_nothing_leaves_and_nothing_is_cut_off(browser: Browser, tmp_path: Path, name: str, language: str) -> None:
    path = tmp_path / "report.html"
    page_text = report.render(sf.diagnose(sf.read_log(samples.path(name))), language=language)
    path.write_text(page_text, encoding="utf-8")
    asked: list[str] = []

    def refuse(route: Route) -> None:
        if route.request.url == path.as_uri():
            route.continue_()
        else:
            asked.append(route.request.url)
            route.abort()

    context = browser.new_context(offline=True, viewport={"width": 1024, "height": 900})
    try:
        context.route("**/*", refuse)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri())
        assert not asked
        assert not complaints
        assert page.locator("svg").count() >= 3
        assert all(box and box["width"] > 300 and box["height"] > 100 for box in map(_box, page.locator("svg").all()))
        assert page.evaluate("document.scripts.length") == 0
        for width in (1440, 1024, 700):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate(CUT_OFF) == [], f"at {width} pixels"
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"at {width} pixels"
        assert page.evaluate(OUTSIDE_SVG) == []
        assert page.evaluate("[...document.querySelectorAll('svg')].every(s => s.getAttribute('aria-label'))")
        levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1])")
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
    finally:
        context.close()


def _box(locator: object) -> dict[str, float] | None:
    return locator.bounding_box()  # type: ignore[attr-defined,no-any-return]
