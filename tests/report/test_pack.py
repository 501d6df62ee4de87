"""The evidence pack: what was found and excluded for who looks after the network, as `check` and report say it."""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import starface_nb as sf
from starface_nb import samples
from starface_nb.charts.scene import scene
from starface_nb.cli import main
from starface_nb.guide import LANGUAGES, answers_from_log, cause_name, finding_text, headline, translator, word
from starface_nb.guide.conclusion import nothing_to_set
from starface_nb.guide.routers import find_product, setting
from starface_nb.guide.words import about_cause
from starface_nb.report import render
from starface_nb.report.pack import pack


@pytest.fixture(scope="module")
def mixed() -> sf.Diagnosis:
    return sf.diagnose(sf.read_log(samples.path("mixed"), progress=False))


def test_every_site_with_losses_gets_a_page_and_a_text_in_each_language(mixed: sf.Diagnosis) -> None:
    made = pack(mixed)
    sites = {name.rsplit("-", 1)[0] for name in made}
    assert len(made) == len(sites) * len(LANGUAGES) * 2
    assert {"203.0.113.21", "203.0.113.22"} <= sites


def test_the_networks_page_proves_excludes_and_says_what_to_set(mixed: sf.Diagnosis) -> None:
    text = pack(mixed, "VyOS")["203.0.113.21-en.txt"]
    assert "The router's timeout for NAT entries is too short." in text
    for said in ("drops NAT entries", "A single phone: 8 phones of 6 models", "losses other phones were reachable"):
        assert said in text
    assert "udp and host PBX-ADDRESS" in text
    assert "at least 61 minutes (3,660 seconds)" in text
    assert "protocol udp replied 3660" in text
    last = mixed.intervals.filter(site="203.0.113.21")["start"].max()
    assert f"{last:%Y-%m-%d %H:%M:%S} - " in text  # in UTC, as the frame is


def test_phones_at_masked_addresses_may_be_behind_several_routers(tmp_path: Path) -> None:
    text = re.sub(r"\d+\.\d+\.\d+\.\d+", "x.x.x.x", samples.path("mixed").read_text())
    (tmp_path / "full").write_text(text)
    found = sf.diagnose(sf.read_log(tmp_path / "full", progress=False))
    (caveat,) = (finding for finding in found.findings if finding.id == "no_addresses")
    ticket = next(text for name, text in pack(found).items() if name.endswith("-en.txt"))
    assert finding_text(caveat, translator("en", "UTC")) in ticket
    assert "A single phone:" not in ticket


def test_a_site_whose_router_or_line_failed_is_told_what_check_tells_it(mixed: sf.Diagnosis) -> None:
    (verdict,) = (finding for finding in mixed.findings if finding.id == "no_expiry_seen")
    lost = mixed.intervals.filter(pl.col("peer").str.starts_with("24"))  # at both of the site's addresses
    made = pack(mixed)
    for language in LANGUAGES:
        tr, text = translator(language, "UTC"), made[f"198.51.100.24-{language}.txt"]
        assert tr("Phones were lost, but not by the router's NAT timeout.") in text
        assert tr("It is not your network: the PBX itself was away.") not in text
        assert finding_text(verdict, tr) in text
        for cause in ("wan_outage", "router_restart"):  # with the times that its advice speaks of
            times, named = lost.filter(cause=cause), cause_name(cause, tr)
            assert tr("{name}: {text}", name=named, text=tr.inside(about_cause(cause, tr)["advice"])) in text
            assert f"{times['start'].max():%Y-%m-%d %H:%M:%S} - " in text
            shown = len(re.findall(rf"(?m)^- \d.*, {named}$", text))
            more = times.height - shown
            assert 0 < shown < times.height
            assert (
                f"{named}{tr('{name}: {text}', name='', text='')}{tr.count('and {n} more', 'and {n} more', more)}"
                in text
            )


def test_a_raised_timeout_is_to_be_kept_and_not_to_be_raised() -> None:
    case = sf.diagnose(sf.read_log(samples.path("fixed-router"), progress=False))
    (raised,) = (finding for finding in case.findings if finding.id == "timeout_fixed")
    made = pack(case)
    assert case.intervals.filter(cause="nat_expiry")["start"].max() > raised.values["changed_at"]
    assert "no entry died, but for such as were renewed before the change." in made["203.0.113.43-en.txt"]
    for language in LANGUAGES:
        tr, text = translator(language, "UTC"), made[f"203.0.113.43-{language}.txt"]
        assert finding_text(raised, tr) in text
        assert headline(case, tr) in text
        assert nothing_to_set(case, tr) in text
        assert nothing_to_set(case, tr).partition(".")[0] in render(case, language=language)
        assert about_cause("nat_expiry", tr)["advice"] not in text
        assert word("capture", "nat_expiry", tr) not in text


def test_one_bad_phone_is_named_and_neither_router_nor_firewall_where_there_is_none(tmp_path: Path) -> None:
    log = samples.path("one-bad-phone").read_text("utf-8")
    (tmp_path / "full").write_text(log.replace("203.0.113.51", "192.168.7.9"), encoding="utf-8")
    case = sf.diagnose(sf.read_log(tmp_path / "full", progress=False))
    text, page = pack(case)["private-addresses-en.txt"], render(case)
    for said in (headline(case, translator()), nothing_to_set(case, translator())):
        assert "there is no NAT between" in said
        assert said in page
    for said in ("Phone 51104.snomd345 was lost 14 times", "during 14 of 14 losses other phones were reachable"):
        assert said in text
    for said in ("firewall", "What to set", "udp and host", "NAT timeout"):
        assert said not in text


def test_only_losses_by_the_pbx_itself_are_said_to_be_none_of_the_network(mixed: sf.Diagnosis) -> None:
    pbx = mixed.intervals.with_columns(cause=pl.lit("pbx_restart", mixed.intervals.schema["cause"]))
    made = pack(replace(mixed, intervals=pbx))
    open_yet = mixed.sites.with_columns(verdict=pl.lit("undetermined", mixed.sites.schema["verdict"]))
    assert "not your network" not in "".join(pack(replace(mixed, intervals=pbx, sites=open_yet)).values())
    titles = {"en": "It is not your network", "de": "An Ihrem Netz liegt es nicht", "fr": "est pas en cause"}
    for language, said in titles.items():
        assert said in made[f"198.51.100.24-{language}.txt"]
        assert "udp and host" not in made[f"198.51.100.24-{language}.txt"]


def test_what_a_capture_shows_is_told_of_the_causes_found_alone(mixed: sf.Diagnosis, tmp_path: Path) -> None:
    steps = (
        ("08:00", "VERBOSE", "Registered SIP '20{0}.snomd345' at 203.0.113.9:3000{0}"),
        ("08:01", "NOTICE", "Peer '20{}.snomd345' is now Reachable. (25ms / 2000ms)"),
        ("09:00", "NOTICE", "Peer '20{}.snomd345' is now UNREACHABLE!  Last qualify: 25"),
        ("09:12", "NOTICE", "Peer '20{}.snomd345' is now Reachable. (25ms / 2000ms)"),
    )
    lines = (
        f"[2026-03-04 {at}:{5 * n:02}] {level}[1] chan_sip.c: {text.format(n)}\n"
        for at, level, text in steps
        for n in range(8)
    )
    path = tmp_path / "full"
    path.write_text("".join(lines), encoding="utf-8")
    outage = sf.diagnose(sf.read_log(path, progress=False))
    assert set(outage.intervals["cause"]) == {"wan_outage"}
    for language in LANGUAGES:
        line, entry, restart = (
            word("capture", cause, translator(language)) for cause in ("wan_outage", "nat_expiry", "router_restart")
        )
        text = pack(outage)[f"203.0.113.9-{language}.txt"]
        assert line in text
        assert entry not in text
        assert restart not in text
        assert entry in pack(mixed)[f"203.0.113.21-{language}.txt"]


def test_names_of_a_log_are_never_markup(mixed: sf.Diagnosis, tmp_path: Path) -> None:
    log = samples.path("mixed").read_text("utf-8").replace("21101.gigasetn510", "<b>x</b>")
    path = tmp_path / "full"
    path.write_text(log, encoding="utf-8")
    made = pack(sf.diagnose(sf.read_log(path, progress=False)))
    assert not [name for name, text in made.items() if name.endswith("html") and "<b>x" in text]


@pytest.mark.parametrize("router", ["FRITZ", "OPNsense (own rule)"])
def test_of_every_router_the_ticket_says_what_is_known(router: str, mixed: sf.Diagnosis) -> None:
    name, tr = find_product(router), translator()
    made = pack(mixed, name)
    for line in setting(name, mixed.settings.recommended_timeout_s, tr):
        assert line in made["203.0.113.21-en.txt"]
        assert line not in made["198.51.100.24-en.txt"]  # whose timeout is long enough


def test_the_pbx_is_never_excluded_beside_its_own_restarts(mixed: sf.Diagnosis) -> None:
    excluded = translator()("The PBX or its line: during {n} of {all} losses other phones were reachable.").split(":")[
        0
    ]
    (one,) = mixed.intervals.with_row_index().filter(peer="21101.gigasetn510").head(1)["index"]
    cause = mixed.intervals["cause"].cast(pl.String).scatter(one, "pbx_restart").cast(mixed.intervals.schema["cause"])
    made = [
        pack(case)["203.0.113.21-en.txt"]
        for case in (mixed, replace(mixed, intervals=mixed.intervals.with_columns(cause)))
    ]
    assert [f"- {excluded}:" in text for text in made] == [True, False]


def test_the_command_writes_a_folder_or_a_zip(tmp_path: Path) -> None:
    log = str(samples.path("one-bad-phone"))
    main(["pack", log, "-o", str(tmp_path / "pack")])
    names = sorted(path.name for path in (tmp_path / "pack").iterdir())
    for _ in range(2):
        assert main(["pack", log, "-o", str(tmp_path / "pack.zip")]) < 2
    with zipfile.ZipFile(tmp_path / "pack.zip") as archive:
        assert sorted(archive.namelist()) == names
    assert len(names) == 6


def test_a_log_without_the_lines_that_tell_of_losses_clears_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "pbx.log"
    log.write_text("\n".join(line for line in samples.path("clean").read_text().splitlines() if "NOTICE" not in line))
    assert main(["pack", str(log), "-o", str(tmp_path / "pack")]) == 2
    assert not (tmp_path / "pack").exists()
    assert "cannot be told from this log: lines about reachability" in capsys.readouterr().err
    case = sf.diagnose(sf.read_log(log, progress=False))
    for language in LANGUAGES:
        page = render(case, language=language)
        assert translator(language)("No phone was lost in this log.") not in page
        assert word("missing", "notice", translator(language)) in page.partition("</h2>")[0]
        assert 'class="verdict open"' in page
        assert translator(language)("Phones were probed, and none was unreachable.") not in page
        always = translator(language)("{phones} at {place}: never unreachable", phones="", place="").rpartition(":")[2]
        assert not scene(case, language).headline().endswith(always)
    answers = answers_from_log(case, translator())
    assert (answers["scope"].answer_id, answers["log"].answer_id) == (None, None)


def test_losses_without_a_known_cause_clear_no_network(tmp_path: Path) -> None:
    log = tmp_path / "pbx.log"
    log.write_text(re.sub(r"(?m)^(\[\S+ ..:..):..", r"\1:00", samples.path("clean").read_text()))
    case = sf.diagnose(sf.read_log(log, progress=False))
    said = "\n".join(pack(case).values())
    assert "cannot be told from this log" in said
    assert "It is not your network" not in said
    assert "Take a longer log" not in said + render(case)  # no longer one would have seconds
    assert "none of them because" not in render(case)


@pytest.mark.parametrize("there", ["another customer's pack", "no zip"])
def test_another_zip_is_not_replaced(
    there: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("starface_nb.read_log", None)  # it is said before any work
    path = tmp_path / "pack.zip"
    path.write_text(there)
    if there != "no zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("203.0.113.51-en.txt", there)
            archive.comment = b"another log's"
    before = path.read_bytes()
    assert main(["pack", str(samples.path("one-bad-phone")), "-o", str(path)]) == 2
    assert "lies here already, which would be overwritten" in capsys.readouterr().err
    assert path.read_bytes() == before
