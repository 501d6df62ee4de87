"""The report: complete in three languages, harmless whatever the log holds, without names where they are masked."""

from __future__ import annotations

import re
import shutil
import subprocess
import zlib
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

import starface_nb as sf
from starface_nb import cli, guide, report, samples
from starface_nb.analysis.diagnosis import Diagnosis, Finding
from starface_nb.errors import SettingError
from starface_nb.guide.comparison import next_experiment
from starface_nb.text import unparted
from starface_nb.verdict import summary

RENDERED = [(name, language) for name in ("one-bad-phone", "fixed-router") for language in guide.LANGUAGES]
RENDERED += [("mixed", "de"), ("clean", "en"), ("kept-alive-by-probing", "fr"), ("pjsip-clean", "de")]
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "</style><svg onload=alert(3)>", "{{ 7*7 }}")
ATTRIBUTES = re.compile(r"^on|^(?:xlink:)?href$|^src$|^action$", re.IGNORECASE)


@cache
def case(name: str) -> Diagnosis:
    return sf.diagnose(sf.read_log(samples.path(name)))


@cache
def page_of(name: str, language: str = "en") -> str:
    return report.render(case(name), language=language)


class Elements(HTMLParser):
    """Collects element names and attributes that could do something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.active: list[str] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.active += [name for name, _ in attrs if ATTRIBUTES.search(name)]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def pages(pdf: bytes) -> int:
    """Count the pages of a PDF, those inside compressed object streams included."""
    parts = [pdf]
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        with suppress(zlib.error):
            parts.append(zlib.decompress(stream))
    return sum(len(re.findall(rb"/Type\s*/Page\b", part)) for part in parts)


def hostile() -> Diagnosis:
    """One bad phone's log in which the phones have hostile names."""
    found = case("one-bad-phone")
    peers = found.phones["peer"].to_list()
    names = dict(zip(peers, [*HOSTILE, "a\u202eb\x1b[31m", "x" * 200, *peers[6:]], strict=True))
    return renamed(found, names)


def renamed(found: Diagnosis, names: dict[str, str]) -> Diagnosis:
    change = pl.col("peer").replace(names)
    return replace(
        found,
        log=replace(found.log, events=found.log.events.with_columns(change), notes=(HOSTILE[0],)),
        intervals=found.intervals.with_columns(change),
        phones=found.phones.with_columns(change),
        cycles=found.cycles.with_columns(change),
        findings=(*found.findings, Finding("something_new", "info", None, {"peer": HOSTILE[0]})),
    )


@pytest.mark.parametrize(("name", "language"), RENDERED)
def test_every_recorded_log_in_every_language(name: str, language: str) -> None:
    page = page_of(name, language)
    assert page.startswith(f'<!doctype html>\n<html lang="{language}">')
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    elements = Elements(page)
    assert not elements.names & {"script", "link", "iframe", "img", "object", "embed", "foreignobject", "form", "base"}
    assert not elements.active
    assert page.count("<svg") >= 1
    assert not re.search(r"\{\w+\}|None\b|NaN", " ".join(elements.text))
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for reference in re.findall(r"url\(#([^)]+)\)", page):
        assert reference in ids


def test_the_date_of_the_report_is_shown_where_it_is_given() -> None:
    page = report.render(case("one-bad-phone"), language="de", created=datetime(2026, 3, 10, 22, 30, tzinfo=UTC))
    assert "Bericht vom 10. März 2026, 23:30" in page


def test_the_first_page_says_what_to_set_and_how_to_verify() -> None:
    text = " ".join(Elements(report.render(case("clean"), router="routeros v6")).text)
    assert "at least 61\u00a0minutes (3,660\u00a0seconds)" in text
    assert "/ip firewall connection tracking set udp-stream-timeout=61m" in text
    assert "How to verify it afterwards" in text
    other = " ".join(Elements(page_of("one-bad-phone")).text)
    assert "Nothing at the router" in other
    assert "61\u00a0minutes (3,660" not in other


def test_the_setting_stands_with_its_source() -> None:
    text = " ".join(Elements(report.render(case("clean"), router="FortiGate (FortiOS)")).text)
    assert "set udp-idle-timer 3660" in text
    assert "Source: https://community.fortinet.com/" in text
    assert "keeps a UDP entry for 3\u00a0min: too short" in text


def test_a_router_in_free_text_leaves_the_report_whole() -> None:
    answers = {
        "nat": {"answer": {"answer": "unknown", "router": "the grey box in the cellar"}, "note": "New one\nordered."}
    }
    text = " ".join(Elements(report.render(case("clean"), answers=answers)).text)
    assert "the grey box in the cellar, New one ordered." in text
    assert "Every maker calls it differently" in text


def test_the_next_experiment_is_named_where_the_log_does_not_decide() -> None:
    found = case("clean")
    open_question = pl.lit("undetermined").cast(found.sites.schema["verdict"])
    undecided = replace(found, sites=found.sites.with_columns(verdict=open_question))
    said = next_experiment(undecided, guide.translator("en"))[-1]
    assert unparted(said) in " ".join(Elements(report.render(undecided)).text)
    assert said not in " ".join(Elements(report.render(found)).text)


def test_no_bracket_stands_beside_a_verdict_that_is_not_told() -> None:
    found, tr = case("clean"), guide.translator("en")
    row = found.sites.row(0, named=True)
    undecided = pl.lit("undetermined").cast(found.sites.schema["verdict"])
    sites, eras = (frame.with_columns(verdict=undecided) for frame in (found.sites, found.eras))
    open_yet = replace(found, sites=sites, eras=eras, findings=())
    brackets = [told(row["low_s"], row["high_s"], tr) for told in (guide.bracket_text, guide.words.short_bracket)]
    answers = {"nat": {"answer": {"router": "grey box", "seconds": 9000}}}
    for one, there in ((found, True), (open_yet, False)):
        said = guide.answers_from_log(one, tr)["nat"].text
        told = [summary(one), report.render(one, answers=answers).replace("\u00a0", " "), said]
        assert [any(bracket in text for bracket in brackets) for text in told] == [there] * 3
        assert bool(guide.at_site(answers, one.sites.row(0, named=True), tr).contradicted) == there


def test_answers_lead_to_what_follows() -> None:
    answers = {"ports": {"answer": {"sip_udp": "closed", "rtp_in": "open"}}, "status": {"answer": "not_released"}}
    text = " ".join(Elements(report.render(case("clean"), answers=answers)).text)
    assert "What follows from the answers" in text
    assert "Open the ports that are closed: 5060/UDP." in text
    assert " ".join(text.split()).count("Closed: 5060/UDP") == 1
    assert "What follows from the answers" not in " ".join(Elements(page_of("clean")).text)


def test_languages_differ_in_words_dates_and_numbers() -> None:
    texts = {name: " ".join(Elements(page_of("clean", name)).text) for name in guide.LANGUAGES}
    assert "3,660\u00a0seconds" in texts["en"]
    assert "3.660\u00a0Sekunden" in texts["de"]
    assert "3\u202f660\u00a0secondes" in texts["fr"]
    assert "3 Mar 2026" in texts["en"]
    assert "3. März 2026" in texts["de"]
    assert "3 mars 2026" in texts["fr"]
    for sentence in ("What to set", "Still unreachable", "How sure", "NAT entry expired"):
        assert sentence in texts["en"]
        assert sentence not in texts["de"] + texts["fr"]


@pytest.mark.parametrize("masked", [False, True])
def test_hostile_names_stay_text(masked: bool) -> None:
    page = report.render(hostile(), mask=masked, answers={"status": {"answer": "changing", "note": HOSTILE[1]}})
    elements = Elements(page)
    assert not elements.names & {"script", "img", "iframe"}
    assert not elements.active
    shown = "".join(elements.text)
    assert (HOSTILE[0] in shown) is not masked  # the log's note, as text
    assert ("{{ 7*7 }}" in shown) is not masked
    assert "49" not in re.findall(r"\{\{.*?\}\}", shown)
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_masked_names_are_gone_everywhere() -> None:
    found = case("fixed-router")
    peers = found.phones["peer"].to_list()
    answers = {"changes": {"answer": {"answer": "yes"}, "note": f"{peers[0]} moved", "who": "somebody"}}
    page = report.render(found, mask=True, answers=answers)
    assert not [peer for peer in peers if peer in page]
    assert not [number for number in {peer.split(".")[0] for peer in peers} if re.search(rf"\b{number}\b", page)]
    assert "somebody" not in page
    assert "Phone 1" in page
    assert peers[0] in page_of("fixed-router")


HIDDEN = ("peer", "site", "evidence", "file")


def test_a_masked_report_shows_neither_addresses_nor_the_files_name(tmp_path: Path) -> None:
    log = tmp_path / "Practice Dr Mueller.log"
    lines = samples.recorded("mixed").read_bytes().splitlines(keepends=True)
    log.write_bytes(
        b"".join(lines[:600] + lines[700:800] + lines[600:700] + lines[800:])
    )  # a clock that goes back is noted with the file's name
    found, tr = sf.diagnose(sf.read_log(log)), guide.translator("en")
    page = report.render(found, mask=True)
    assert "the clock goes back" in page
    assert set(report.export.losses(report.masking.mask(found, tr)[0], tr)["File"]) == {"Log 1"}
    assert "Mueller" not in page
    assert re.findall(r"\b203\.0\.113\.\d+", page) == []
    assert "Site 1" in page


def test_masking_keeps_what_is_seen() -> None:
    found = case("mixed")
    masked = report.masking.mask(found, guide.translator("en"))[0]
    for frame, before in ((masked.intervals, found.intervals), (masked.phones, found.phones)):
        assert frame.drop(*HIDDEN, strict=False).equals(before.drop(*HIDDEN, strict=False))
    assert masked.phones["peer"].n_unique() == found.phones["peer"].n_unique()


def test_values_and_lines_are_masked_at_any_depth() -> None:
    found = report.masking.Mask({"100": "Phone 1", "1001": "Phone 2"})
    assert found.value({"peers": ["1001", {"100": "by 100"}], "n": 100}) == {
        "peers": ["Phone 2", {"Phone 1": "by Phone 1"}],
        "n": 100,
    }
    line = (
        "May 24 01:00:10 pbx-100 asterisk[8]: [2026-01-10 01:00:10] NOTICE[100] chan_sip.c: "
        "Registration from '\"Ann\" <sip:1001@x>' failed for '192.0.2.1:5060' - Wrong password"
    )
    shown = "[2026-01-10 01:00:10] Registration from '\"…\" <sip:Phone 2@…>' failed for '…:5060' - Wrong password"
    assert found.line(line) == shown
    assert found.line("[2026-01-10 01:00:10] VERBOSE[1] app.c: Ann is called by 100") == "[2026-01-10 01:00:10] …"


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="pdftotext reads the pages")
def test_a_masked_report_quotes_a_contact_without_what_names_somebody(tmp_path: Path) -> None:
    uri = "sip:reception@203.0.113.7:20008;transport=UDP;x-mac=001565ABCDEF;x-ast-orig-host=192.168.1.20"
    hourly = f"""00:00] VERBOSE[1] res_pjsip_registrar.c: Added contact '{uri}' to AOR '21' with expiration of 9 seconds
00:01] VERBOSE[1] res_pjsip/pjsip_options.c: Contact 21/{uri} is now Reachable.  RTT: 20.000 msec
20:03] VERBOSE[1] res_pjsip/pjsip_options.c: Contact 21/{uri} is now Unreachable.  RTT: 0.000 msec
30:03] NOTICE[1] res_pjsip/pjsip_distributor.c: Request 'REGISTER' from '"The Reception" <sip:21@pbx.example>' failed \
for '203.0.113.7:20000' (callid: 5-7@192.168.1.20) - Failed to authenticate
"""
    lines = [f"[2026-03-04 {hour:02}:{line}" for hour in range(8, 18) for line in hourly.splitlines(keepends=True)]
    (tmp_path / "full").write_text("".join(lines))
    page = report.render(sf.diagnose(sf.read_log(tmp_path / "full")), mask=True)
    (tmp_path / "page.pdf").write_bytes(report.to_pdf(page))
    ask = ["pdftotext", "-raw", tmp_path / "page.pdf", "-"]
    printed = " ".join(subprocess.run(ask, capture_output=True, text=True, check=True).stdout.split())
    for shown in (page, printed):
        assert "Phone 1/sip:…@Site 1:20008;transport=UDP;…=…;x-ast-orig-host=… is now Unreachable." in shown
        assert " failed for " in shown
        assert not re.findall(r"(?i)reception|001565|192\.168|203\.0|pbx\.example|5-7", shown)


def test_evidence_lines_are_quoted_as_they_stand() -> None:
    found = case("clean")
    lines = samples.path("clean").read_text().splitlines()
    for item in report.tables.evidence(found, None, guide.translator("en")):
        assert any("UNREACHABLE" in text for _, text in item["lines"])
        for number, text in item["lines"]:
            assert text == lines[number - 1]


def test_a_log_that_was_moved_still_gives_a_report(tmp_path: Path) -> None:
    log = tmp_path / "full"
    shutil.copy(samples.path("one-bad-phone"), log)
    found = sf.diagnose(sf.read_log(log))
    log.unlink()
    assert "Phone restart" in report.render(found)


def test_incidents_stand_for_every_loss() -> None:
    found = case("mixed")
    rows = report.tables.incident_rows(found)
    assert sum(row["losses"] for row in rows) == found.intervals.height
    assert 10 < len(rows) < 40
    nat = {row["site"]: row["losses"] for row in rows if row["cause"] == "nat_expiry"}
    mine = found.intervals.filter(pl.col("cause") == "nat_expiry")["site"].value_counts()
    assert nat == dict(mine.iter_rows())
    page = report.render(found)
    assert page.count("</td></tr>") < 150
    assert "NAT entry expired" in page


def test_every_guilty_site_has_its_picture() -> None:
    page = page_of("mixed")
    short = case("mixed").sites.filter(pl.col("verdict") == "too_short")["site"]
    assert len(short) > 1
    assert all(f"Every loss at {site} by the time" in page for site in short)


def test_a_site_without_an_era_of_its_own_has_its_row() -> None:
    few = replace(case("mixed"), eras=case("mixed").eras.head(1))
    assert report.render(few).count('scope="row">203.0.113.2') == page_of("mixed").count('scope="row">203.0.113.2')


def test_a_site_has_its_own_router_and_a_value_that_the_log_excludes_is_contradicted() -> None:
    answers = {"nat": {"answer": {"sites": {"203.0.113.22": {"router": "MikroTik RouterOS v6", "seconds": 30}}}}}
    products = guide.products()
    router = next(name for name in products if "RouterOS v6" in name)
    answers["nat"]["answer"]["sites"]["203.0.113.22"]["router"] = router
    page = report.render(case("mixed"), answers=answers)
    assert page.count("The log contradicts 30\u00a0s") == 1
    assert f"<h3>{router}</h3>" in page


@pytest.mark.parametrize("language", ["de", "fr"])
def test_no_english_note_and_no_path_in_another_language(language: str) -> None:
    note = "Read /home/kim/logs/full.1: 3 lines were cut."
    found = replace(case("clean"), log=replace(case("clean").log, notes=(note,)))
    assert "lines were cut" not in report.render(found, language=language)
    english = report.render(found)
    assert "Read full.1: 3 lines were cut." in english
    assert "kim" not in english


def test_an_empty_diagnosis_renders() -> None:
    found = case("clean")
    nothing = replace(
        found,
        log=replace(found.log, events=found.log.events.clear(), first=None, last=None),
        **{
            name: getattr(found, name).clear()
            for name in ("intervals", "phones", "cycles", "eras", "sites", "incidents", "incident_of")
        },
        findings=(),
    )
    for language in guide.LANGUAGES:
        assert "<main>" in report.render(nothing, language=language)


def test_the_same_log_gives_the_same_page() -> None:
    assert report.render(case("one-bad-phone")) == page_of("one-bad-phone")


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(SettingError, match="no language"):
        report.render(case("clean"), language="it")
    with pytest.raises(SettingError, match="No router"):
        report.render(case("clean"), router="grey box")


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="pdftotext reads the pages")
@pytest.mark.parametrize("language", guide.LANGUAGES)
def test_the_first_page_of_the_pdf_holds_what_matters(language: str, tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(report.to_pdf(report.render(case("mixed"), language=language, router="RouterOS v6")))
    ask = ["pdftotext", "-layout"]
    first = subprocess.run([*ask, "-l", "1", path, "-"], capture_output=True, text=True, check=True).stdout
    tr = guide.translator(language)
    for said in ("What was found, and how sure it is", "What to set", "How to verify it afterwards", "too short"):
        assert tr(said) in first
    assert "udp-stream-timeout=61m" in first
    whole = subprocess.run([*ask, path, "-"], capture_output=True, text=True, check=True).stdout
    assert pages(path.read_bytes()) <= 7  # with a router's commands; six without
    assert pages(report.to_pdf(page_of("mixed", language))) <= 6
    assert whole.count("starface-nb") == 1  # the version: no command for whoever reads this


@pytest.mark.parametrize("language", guide.LANGUAGES)
def test_pdf_has_pages(language: str) -> None:
    data = report.to_pdf(page_of("clean", language))
    assert data.startswith(b"%PDF-")
    assert pages(data) > 1


def status(arguments: list[str]) -> object:
    try:
        return cli.main(arguments)
    except SystemExit as stopped:  # a wrong argument
        return stopped.code


def test_command_writes_page_and_pdf(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.html"
    log = str(samples.path("clean"))
    masked = ["--language", "fr", "--mask", "--customer", "Berg"]
    assert cli.main(["report", log, "-o", str(target), "--pdf", *masked]) == 1
    assert "--customer is left out" in capsys.readouterr().err
    assert 'lang="fr"' in target.read_text(encoding="utf-8")
    assert target.with_suffix(".pdf").read_bytes().startswith(b"%PDF-")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.html", "out.pdf"]
    assert status(["report", log, "-o", str(tmp_path / "no" / "out.html")]) == 2
    assert "folder" in capsys.readouterr().err
    assert status(["report", log, "-o", str(target), "--router", "nonsense"]) == 2
    assert status(["report", log, "-o", str(target), "--customer", ""]) == 2
    assert cli.main(["report", log, "-o", str(target), "--customer", "M\udcfcller"]) == 1
    assert "Müller" in target.read_text(encoding="utf-8")


def test_command_writes_a_pdf_alone(tmp_path: Path) -> None:
    target = tmp_path / "out.pdf"
    cli.main(["report", str(samples.path("one-bad-phone")), "-o", str(target)])
    assert [path.name for path in tmp_path.iterdir()] == ["out.pdf"]
