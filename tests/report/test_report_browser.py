"""The report in a real browser with the network cut off: nothing leaves, nothing is cut off or overlaps."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import cycle, pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import starface_nb as sf
from starface_nb import report, samples
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.guide import LANGUAGES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Route

pytestmark = pytest.mark.browser
# Elements whose content is wider than they are: text that is cut off or runs into its neighbour.
CUT_OFF = """() => [...document.querySelectorAll('main *:not(svg *), header *')]
    .filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline' && e.clientWidth > 0)
    .map(e => e.tagName + '.' + e.className + ': ' + e.textContent.trim().slice(0, 60))"""
# Lines of text, outside of pictures, that lie over one another.
OVERLAPPING = """() => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), boxes = [];
    for (let node; (node = walker.nextNode());) {
        if (!node.data.trim() || node.parentElement.closest('svg, style')) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        for (const box of range.getClientRects())
            if (box.width > 1) boxes.push({box, text: node.data.trim().slice(0, 40)});
    }
    boxes.sort((a, b) => a.box.top - b.box.top);
    const found = [];
    boxes.forEach(({box: a, text}, i) => {
        for (let j = i + 1; j < boxes.length && boxes[j].box.top < a.bottom - 4; j++) {
            const b = boxes[j].box;
            if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2) found.push(text + ' | ' + boxes[j].text);
        }
    });
    return found;
}"""
OUTSIDE_SVG = """() => [...document.querySelectorAll('svg')].flatMap(svg => {
    const frame = svg.getBoundingClientRect();
    return [...svg.querySelectorAll('text')].filter(t => {
        const b = t.getBoundingClientRect();
        return b.width && t.textContent.trim() &&
            (b.left < frame.left - 2 || b.right > frame.right + 2 ||
             b.top < frame.top - 2 || b.bottom > frame.bottom + 2);
    }).map(t => t.textContent);
})"""
LARGE_SVG = """() => [...document.querySelectorAll('svg')]
    .map(svg => svg.getBoundingClientRect()).every(b => b.width > 300 && b.height > 100)"""


# Every log in one language, and the one with most to say in all.
PAGES = sorted({*zip(samples.names(), cycle(LANGUAGES), strict=False), *product(["pjsip-mixed"], LANGUAGES)})


@cache
def case(name: str) -> Diagnosis:
    return sf.diagnose(sf.read_log(samples.path(name)))


@pytest.fixture(scope="module")
def offline(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(offline=True)
    yield context
    context.close()


@pytest.mark.parametrize(("name", "language"), PAGES)
def test_nothing_leaves_and_nothing_is_cut_off(
    offline: BrowserContext, tmp_path: Path, name: str, language: str
) -> None:
    path = tmp_path / "report.html"
    path.write_text(report.render(case(name), language=language, router="RouterOS v6"), encoding="utf-8")
    asked: list[str] = []
    complaints: list[str] = []

    def refuse(route: Route) -> None:
        if route.request.url == path.as_uri():
            route.continue_()
        else:
            asked.append(route.request.url)
            route.abort()

    page = offline.new_page()
    try:
        page.route("**/*", refuse)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri())
        for media, width in (("screen", 1440), ("screen", 1024), ("screen", 700), ("print", 690)):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(media=media)  # type: ignore[arg-type]
            assert page.evaluate(CUT_OFF) == [], f"{media} at {width} pixels"
            assert page.evaluate(OVERLAPPING) == [], f"{media} at {width} pixels"
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{media} at {width} pixels"
        assert page.locator("svg").count() >= 1
        assert page.evaluate(LARGE_SVG)
        assert page.evaluate(OUTSIDE_SVG) == []
        assert page.evaluate("[...document.querySelectorAll('svg')].every(s => s.getAttribute('aria-label'))")
        assert page.evaluate("document.scripts.length") == 0
        levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1])")
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
        assert not asked
        assert not complaints
    finally:
        page.close()
