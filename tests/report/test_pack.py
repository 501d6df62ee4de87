"""The evidence pack: what is proven and excluded for the firewall's administrator, and that it is not the network."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

import starface_nb as sf
from starface_nb import samples
from starface_nb.charts.scene import scene
from starface_nb.cli import main
from starface_nb.guide import LANGUAGES, answers_from_log, translator, word
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
    assert "findings for the firewall's administrator" in text
    for said in ("drops NAT entries", "A single phone: 8 phones of 6 models", "phones elsewhere were reachable"):
        assert said in text
    assert "udp and host PBX-ADDRESS" in text
    assert "at least 61 minutes (3,660 seconds)" in text
    assert "protocol udp replied 3660" in text
    last = mixed.intervals.filter(site="203.0.113.21")["start"].max()
    assert f"{last:%Y-%m-%d %H:%M:%S} - " in text  # in UTC, as the frame is


def test_the_other_page_says_that_it_is_not_the_network() -> None:
    case = sf.diagnose(sf.read_log(samples.path("one-bad-phone"), progress=False))
    titles = {"en": "it is not your network", "de": "An Ihrem Netz liegt es nicht", "fr": "est pas en cause"}
    made = pack(case)
    for language, title in titles.items():
        texts = [text for name, text in made.items() if name.endswith(f"{language}.txt")]
        assert texts
        for text in texts:
            assert title in text
            assert "udp and host" not in text


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
        assert translator(language)("What is excluded") not in text  # every phone was lost, all of one model
        assert entry not in text
        assert restart not in text
        assert entry in pack(mixed)[f"203.0.113.21-{language}.txt"]


def test_names_of_a_log_are_never_markup(mixed: sf.Diagnosis, tmp_path: Path) -> None:
    log = samples.path("mixed").read_text("utf-8").replace("21101.gigasetn510", "<b>x</b>")
    path = tmp_path / "full"
    path.write_text(log, encoding="utf-8")
    made = pack(sf.diagnose(sf.read_log(path, progress=False)))
    assert not [name for name, text in made.items() if name.endswith("html") and "<b>x" in text]


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
    main(["pack", str(log), "-o", str(tmp_path / "pack")])
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
    assert "the log does not tell why" in said
    assert "it is not your network" not in said
    assert "as the main cause" not in said
    assert "none of them because" not in render(case)


@pytest.mark.parametrize("there", ["another customer's pack", "no zip"])
def test_another_zip_is_not_replaced(
    there: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("starface_nb.reading.read_log", None)  # it is said before any work
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
