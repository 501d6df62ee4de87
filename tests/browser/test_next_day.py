"""Two days with a customer: from the zip to the report, and the day after everything is there, and nobody else's."""

from __future__ import annotations

import re
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import READY, complaints, started
from playwright.sync_api import expect

import starface_nb as sf
from starface_nb import samples

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Lab
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser
expect.set_options(timeout=180_000)  # of a busy machine, not of the product
LIVE = ".sfnb-live"
VERDICT = "At 3 of 4 sites the router's timeout for NAT entries is too short."
CUSTOMER = "Example Bakeries"
COUNT_CLICKS = "window.clicks = 0; addEventListener('click', event => { clicks += event.isTrusted; }, true);"
FILLED = """panel => Object.fromEntries([...panel.querySelectorAll('details [data-set]')].map(
    one => [[one.dataset.set, one.dataset.arg].join(), one.type === 'checkbox' ? one.checked : one.value]))"""
OPEN_NOW = """async () => {
    const app = window.jupyterapp, of = async one => { await one.refreshRunning(); return [...one.running()]; };
    return [
        [...app.shell.widgets('main')].map(one => one.context.path),
        (await of(app.serviceManager.sessions)).map(one => one.path),
        (await of(app.serviceManager.kernels)).length,
    ];
}"""
CELLS = "() => jupyterapp.shell.currentWidget.content.widgets.filter(cell => cell.model.type === 'code').length"


@pytest.fixture
def new_page(page: Page) -> Callable[[], tuple[Page, list[str]]]:
    """Open further pages in the browser of `page`; each comes with a list that will hold what goes wrong in it."""

    def opened() -> tuple[Page, list[str]]:
        mine = page.context.new_page()
        mine.set_default_timeout(180_000)
        mine.add_init_script(COUNT_CLICKS)
        return mine, complaints(mine)

    return opened


def panel(page: Page, title: str) -> Locator:
    return page.locator(LIVE).filter(has=page.get_by_role("heading", name=title, exact=True))


def answer_everything(checklist: Locator) -> None:
    """Answer every card, each with a note; the router's timeout is one that the bracket excludes."""
    for step in checklist.locator("details").evaluate_all("all => all.map(one => one.dataset.arg)"):
        card = checklist.locator(f"details[data-arg={step}]")
        if card.get_attribute("open") is None:
            card.locator("summary").click()
        if step == "ports":
            card.get_by_role("button", name="All ports are open").click()
        else:
            card.get_by_label("Answer").select_option(index=1)
        expect(card).to_contain_text("Saved:")
        if step == "changes":
            card.get_by_label("Day of change").fill("2026-03-02")
            card.get_by_label("Day of change").press("Tab")
            expect(card).to_contain_text("The first lasting loss in the log came 2 days after the change.")
        if step == "nat":
            card.locator("[data-set=router]").first.select_option(index=3)
            card.get_by_label("Read from it (s)").first.fill("90000")
            card.get_by_label("Read from it (s)").first.press("Tab")
            expect(card.locator(".sfnb-bad")).to_be_visible()
        card.get_by_label("Note").fill(f"asked about {step}")
        card.get_by_label("Note").press("Tab")
    expect(checklist).to_contain_text("8 of 8 answered")
    expect(panel(checklist.page, VERDICT)).to_contain_text("The log contradicts 1 d 1 h")


def shown(page: Page) -> dict[str, Any]:
    """What an analyst sees of a case: verdict, answers, conclusion, incidents, and how much the report says."""
    checklist, canvas = panel(page, "The checklist of the guide"), panel(page, "What happened")
    canvas.locator("[data-do=kind]", has_text="Incidents").click()
    expect(canvas.locator("[data-do=kind][aria-pressed=true]")).to_have_text(["Incidents"])
    return {
        "verdict": panel(page, VERDICT).locator(".sfnb-head, table").all_inner_texts(),
        "customer": panel(page, VERDICT).get_by_label("Customer").input_value(),
        "answers": checklist.evaluate(FILLED),
        "conclusion": checklist.locator("[data-part=conclusion]").inner_text(),
        "incidents": canvas.locator("table").inner_text(),
        "second log": panel(page, "The report").locator("[data-part=second]").inner_text(),
        "report": page.frame_locator(f"{LIVE} iframe").locator("body").inner_text(),
    }


def require_whole(page: Page) -> None:
    """Require that no cell is blank and that no widget has lost its model."""
    expect(page.locator(LIVE)).to_have_count(page.evaluate(CELLS) - 1)  # all but the parameters
    for live in page.locator(LIVE).all():
        live.scroll_into_view_if_needed()
        expect(live).to_have_text(re.compile(r".{100}", re.DOTALL), use_inner_text=True)
    assert page.get_by_text("model not found").count() == 0


def test_from_the_zip_to_the_report_and_all_of_it_the_day_after(
    new_page: Callable[[], tuple[Page, list[str]]], tmp_path: Path
) -> None:
    home, cases = tmp_path / "home", tmp_path / "cases"
    home.mkdir()
    first, wrong = new_page()
    with started(home, cases) as lab:
        first.goto(lab.opened)
        walk_by_few_clicks(first, lab)
        before = work_through(first, lab)
        assert wrong == []
        lab.server.kill()  # the power fails
        lab.server.wait()
    require_the_day_after(first, new_page, home, cases, before)


def walk_by_few_clicks(page: Page, lab: Lab) -> None:
    """The verdict without a click, the lines of the worst phone's first loss with two, a German report with one."""
    verdict = panel(page, VERDICT)
    expect(verdict.get_by_role("heading", name=VERDICT)).to_be_in_viewport()
    for site in ("203.0.113.21", "203.0.113.22", "203.0.113.23", "198.51.100.24"):
        expect(verdict.get_by_role("row", name=site)).to_be_in_viewport()
    assert page.get_by_text("Jupyter news").count() == 0
    assert page.evaluate("clicks") == 0

    losses = sf.diagnose(sf.read_log(samples.path(), progress=False)).intervals
    worst = max(losses["peer"].unique(), key=lambda peer: (losses["peer"] == peer).sum())
    most = (losses["peer"] == worst).sum()
    canvas = panel(page, "What happened")
    canvas.locator("[data-do=kind]", has_text="Phones").click()
    expect(canvas.get_by_role("status")).to_contain_text("phones, ")
    row = canvas.locator("tbody tr").first
    expect(row.locator("td").nth(4)).to_have_text(str(most))
    peer = row.locator("td").nth(2).inner_text()
    assert (losses["peer"] == peer).sum() == most
    row.locator("button").click()
    line = canvas.locator(".sfnb-lines b")
    expect(line).to_contain_text(f"Peer '{peer}' is now UNREACHABLE!")
    expect(line).to_be_in_viewport()
    place = canvas.locator(".sfnb-lines i:has(+ b)")
    expect(place).to_contain_text(f":{losses.filter(losses['peer'] == peer).sort('start')['line'][0]} ")
    assert page.evaluate("clicks") == 2

    with page.expect_download() as handed:
        verdict.get_by_role("button", name="Report: Deutsch").click()
    assert handed.value.suggested_filename == "report-de.pdf"
    assert Path(handed.value.path()).read_bytes().startswith(b"%PDF")
    assert "Telefone ohne Verbindung" in (lab.folder / "report-de.html").read_text("utf-8")
    assert page.evaluate("clicks") == 3


def work_through(page: Page, lab: Lab) -> dict[str, Any]:
    """Put a cause right, name the customer, answer the guide, export; return what is shown then."""
    canvas, verdict = panel(page, "What happened"), panel(page, VERDICT)
    canvas.get_by_text("Wrong cause, or a note").click()
    canvas.get_by_label("Right cause").select_option("phone_offline")
    expect(canvas.locator(".sfnb-drawer em")).to_contain_text("by the analyst")
    canvas.locator(".sfnb-drawer").get_by_label("Note").fill("was unplugged")
    canvas.locator(".sfnb-drawer").get_by_label("Note").press("Tab")
    verdict.get_by_text("Names for customer, sites and phones").click()
    verdict.get_by_label("Customer").fill(CUSTOMER)
    verdict.get_by_label("Customer").press("Tab")
    answer_everything(panel(page, "The checklist of the guide"))
    with page.expect_download() as handed:
        verdict.get_by_role("button", name="Export as CSV").click()
    assert handed.value.suggested_filename == "losses.csv"
    compare_with_a_week_later(panel(page, "The report"), lab)
    expect(page.locator(f"{LIVE}[aria-busy]")).to_have_count(0)
    with page.expect_download():
        panel(page, "The report").get_by_role("button", name="Write page and PDF").press("Enter")
    written = (lab.folder / "report-en.html").read_text("utf-8")
    for text in (CUSTOMER, "was unplugged", "asked about ports"):
        assert text in written
    before = shown(page)
    assert [before["answers"][f"note,{step}"] for step in ("ports", "nat")] == ["asked about ports", "asked about nat"]
    require_whole(page)
    return before


def compare_with_a_week_later(report: Locator, lab: Lab) -> None:
    """Name a log of the same customer in which nothing has changed.

    By keyboard: cells above settle as they come into view, and a click beside the report's frame may land in it, where
    nobody outside hears of it.
    """
    text = samples.recorded("mixed").read_text("utf-8")
    (lab.folder / "later.log").write_text(text.replace("[2026-03-04", "[2026-03-11"), "utf-8")
    report.locator("summary", has_text="Before and after").press("Enter")
    report.get_by_label("Second log").fill("later.log")
    report.get_by_label("Second log").press("Enter")
    expect(report).to_contain_text("later.log for the one from after")
    report.locator("summary", has_text="Site 203.0.113.21: Unchanged.").press("Enter")
    expect(report.get_by_text("The timeout is now: more than 4 min")).to_be_visible()


def close_while_typing(page: Page, lab: Lab, other: Page) -> None:
    """What stands in a field that was never left is kept when its window is closed."""
    card = panel(page, "The checklist of the guide").locator("details[data-arg=status]")
    if card.get_attribute("open") is None:
        card.locator("summary").click()
    card.get_by_label("Note").fill("typed and not left")
    page.close(run_before_unload=True)
    while "typed and not left" not in (lab.folder / "answers.json").read_text("utf-8"):
        other.wait_for_timeout(100)


def require_the_day_after(
    yesterday: Page, new_page: Callable[[], tuple[Page, list[str]]], home: Path, cases: Path, before: dict[str, Any]
) -> None:
    """Yesterday's tab is still open when another customer's JupyterLab takes its port, then the first one's starts."""
    port = yesterday.url.partition("127.0.0.1:")[2].partition("/")[0]
    other = Path(shutil.copy(samples.path("clean"), home / "other.log"))
    with started(home, cases, "--port", port, log=other) as second, started(home, cases) as first:
        (mine, wrong), (theirs, also_wrong) = new_page(), new_page()
        for page, lab, name in ((theirs, second, "other"), (mine, first, "customer")):
            page.goto(lab.opened)
            page.wait_for_function(READY, arg=f"00_case_{name}.ipynb")
        for page in (mine, theirs):
            require_whole(page)
        assert shown(mine) == before
        assert mine.evaluate(OPEN_NOW) == [["00_case_customer.ipynb"], ["00_case_customer.ipynb"], 1]
        assert theirs.evaluate(OPEN_NOW) == [["00_case_other.ipynb"], ["00_case_other.ipynb"], 1]
        whole = theirs.locator("body").inner_text()
        assert CUSTOMER not in whole
        for peer in sf.diagnose(sf.read_log(samples.path(), progress=False)).phones["peer"]:
            assert peer not in whole
        yesterday.evaluate("() => { window.jupyterapp.commands.execute('docmanager:save'); }")
        yesterday.reload()
        assert "other" not in yesterday.locator("body").inner_text()
        close_while_typing(mine, first, theirs)
        assert wrong == also_wrong == []
        first.server.send_signal(signal.SIGTERM)
        assert first.server.wait() == 0
    assert not list(second.folder.rglob("*customer*"))
