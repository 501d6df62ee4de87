"""Customers never mix: a case belongs to its log's content and source; one bad case file blocks nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from starface_nb import samples
from starface_nb.cases import CaseError, copy_notebooks, open_case, opening, start_page
from starface_nb.cli import main
from starface_nb.reading import read_log
from starface_nb.reading.log import Log

LOG = samples.recorded("one-bad-phone")


def customer(folder: Path, addresses: str = "203.0.113.", name: str = "customer.log") -> Path:
    """A customer's log in a folder of its own, its phones behind other public addresses."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(LOG.read_bytes().replace(b"203.0.113.", addresses.encode()))
    return path


def test_the_same_name_and_extensions_do_not_make_the_same_customer(tmp_path: Path) -> None:
    ours = open_case(customer(tmp_path / "a"), root=tmp_path / "cases")
    ours.answers.set("status", "offline", note="private")
    theirs = open_case(customer(tmp_path / "b", "198.51.100."), root=tmp_path / "cases")
    assert theirs.folder != ours.folder
    assert theirs.answers.all() == {}
    assert "another customer's" in theirs.notes[0]
    again = open_case(tmp_path / "b/customer.log", root=tmp_path / "cases")
    assert (again.folder, again.notes) == (theirs.folder, ())
    # The same path, overwritten with another customer's log.
    third = open_case(customer(tmp_path / "a", "192.0.2."), root=tmp_path / "cases")
    assert third.folder not in (ours.folder, theirs.folder)
    assert third.answers.all() == {}


def test_a_named_case_refuses_another_source_unless_it_is_said_to_be_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = open_case(customer(tmp_path / "a"), folder=tmp_path / "case")
    case.answers.set("status", "offline")
    other = customer(tmp_path / "b", "198.51.100.")
    kept = {path: path.read_bytes() for path in (tmp_path / "case").rglob("*") if path.is_file()}
    assert main(["run", str(other), "-o", str(tmp_path / "case"), "--notebooks", "05"]) == 2
    assert "its phones came from 203.0.113." in capsys.readouterr().err
    assert {path: path.read_bytes() for path in kept} == kept
    moved = open_case(other, folder=tmp_path / "case", same_customer=True)
    assert set(moved.answers.all()) == {"status"}
    assert "has changed" in moved.notes[0]


def test_without_addresses_a_named_case_takes_only_a_log_that_goes_on(tmp_path: Path) -> None:
    def log(name: str, first: datetime, hours: int) -> Path:
        path, said = tmp_path / name, "NOTICE[7] chan_sip.c: Peer '{}' is now {}"
        states = ("UNREACHABLE!  Last qualify: 20", "Reachable. (20ms / 2000ms)")
        lines = [
            f"[{first + timedelta(hours=hour, seconds=int(peer) + 300 * n)}] {said.format(peer, state)}\n"
            for hour in range(hours)
            for n, state in enumerate(states)
            for peer in ("21", "22", "23")
        ]
        path.write_text("".join(lines))
        return path

    monday = datetime(2026, 5, 4, 8)
    ours = open_case(log("monday", monday, 10), folder=tmp_path / "case")
    ours.answers.set("status", "offline")
    with pytest.raises(
        CaseError, match=r"may be another customer's \(monday\); no address tells .* \(--same-customer\)"
    ):
        open_case(log("other", monday + timedelta(minutes=13), 40), folder=tmp_path / "case")
    grown = open_case(log("grown", monday, 14), folder=tmp_path / "case")
    rest = log("rest", monday + timedelta(hours=13, minutes=10), 8)
    goes_on = open_case(rest, folder=tmp_path / "case")
    assert [case.answers.get("status") is not None for case in (grown, goes_on)] == [True, True]
    assert all("has changed" in note for case in (grown, goes_on) for note in case.notes)


def test_of_two_customers_that_begin_at_once_in_one_folder_the_second_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = customer(tmp_path / "a"), customer(tmp_path / "b", "198.51.100.")

    def slow(paths: Any, **given: Any) -> Log:
        monkeypatch.setattr(opening, "read_log", read_log)
        open_case(second, folder=tmp_path / "case")  # meanwhile
        return read_log(paths, **given)

    monkeypatch.setattr(opening, "read_log", slow)
    with pytest.raises(CaseError, match="in the meantime"):
        open_case(first, folder=tmp_path / "case")
    assert open_case(folder=tmp_path / "case").log.fingerprint == read_log(second).fingerprint


def test_a_log_that_goes_on_keeps_its_case_wherever_it_lies(tmp_path: Path) -> None:
    lines = LOG.read_bytes().splitlines(keepends=True)
    first = customer(tmp_path / "monday")
    first.write_bytes(b"".join(lines[: len(lines) // 2]))
    case = open_case(first, root=tmp_path / "cases")
    whole = open_case(customer(tmp_path / "friday"), root=tmp_path / "cases")
    assert whole.folder == case.folder


def test_a_new_case_is_told_of_the_one_with_the_same_phones(tmp_path: Path) -> None:
    log = samples.recorded("fixed-router").read_bytes()
    lines = log.splitlines(keepends=True)
    home, monday, tuesday, moved = (tmp_path / name for name in ("cases", "monday.log", "tuesday.log", "moved.log"))
    moved.write_bytes(log.replace(b"203.0.113.", b"198.51.100."))
    monday.write_bytes(b"".join(lines[: len(lines) // 2]))
    tuesday.write_bytes(b"".join(lines[len(lines) // 2 :]))
    assert open_case(monday, root=home).notes == ()
    assert open_case(samples.recorded("mixed"), root=home).notes == ()
    assert "go on there (--case monday)." in open_case(tuesday, root=home).notes[0]
    assert re.search(r"go on there \(--case \w+ --same-customer\)", open_case(moved, root=home).notes[0])
    assert open_case(tuesday, root=home).notes == ()


def test_a_log_that_says_little_is_not_called_after_the_inbox(tmp_path: Path) -> None:
    homes = [customer(tmp_path / folder, name="full") for folder in ("cases/inbox", "Practice")]
    assert [open_case(log, root=None).name for log in homes] == ["full", "Practice"]


def test_of_a_case_and_its_copy_the_one_named_after_the_log_is_opened(tmp_path: Path) -> None:
    log = customer(tmp_path / "a")
    case = open_case(log, root=tmp_path / "cases")
    shutil.copytree(tmp_path / "cases/customer", tmp_path / "cases/Backup customer")
    assert open_case(log, root=tmp_path / "cases").folder == case.folder
    (tmp_path / "cases/customer").rename(tmp_path / "cases/named anew")
    last = open_case(log, root=tmp_path / "cases")
    assert last.folder == tmp_path / "cases/named anew"


BROKEN: dict[str, Any] = {
    "truncated": b'{"kind": "case", "form',
    "empty": b"",
    "brackets": b"[" * 100_000,
    "a list": [],
    "null": {"log": None},
    "no log": {"log": ...},
    "paths of another kind": {"log": {"paths": "x", "fingerprint": "", "events": 1, "peers": []}},
    "newer": {"format": 99},
    "format in letters": {"format": "1"},
    "another kind": {"kind": "answers"},
    "no zone": {"settings": {"time_zone": "Mars/Phobos", "keepalive_s": 60, "language": "en"}},
    "no keepalive": {"settings": {"time_zone": "UTC", "keepalive_s": -5, "language": "en"}},
    "no language": {"settings": {"time_zone": "UTC", "keepalive_s": 60, "language": "\ud800"}},
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_bad_case_file_is_named_and_blocks_no_other_customer(what: str, tmp_path: Path) -> None:
    case = open_case(customer(tmp_path / "a"), root=tmp_path / "cases")
    assert case.folder is not None
    file, bad = case.folder / "case.json", BROKEN[what]
    if isinstance(bad, dict):
        bad = {key: value for key, value in {**json.loads(file.read_bytes()), **bad}.items() if value is not ...}
    content = bad if isinstance(bad, bytes) else json.dumps(bad).encode()
    file.write_bytes(content)
    again = open_case(customer(tmp_path / "a"), root=tmp_path / "cases")
    assert again.folder == tmp_path / "cases" / "customer-2"
    assert any(str(file) in note for note in again.notes)
    with pytest.raises(CaseError, match=r"case\.json"):
        open_case(customer(tmp_path / "a"), name="customer", root=tmp_path / "cases")
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b'{"kind": "answers", "format": 1, "answers": {}, "x": NaN}',
        {"answers": []},
        {"answers": {"status": "yes"}},
        {"answers": {"status": {"answer": 1}}},
    ],
)
def test_damaged_answers_are_named_and_kept(content: Any, tmp_path: Path) -> None:
    log = customer(tmp_path / "a")
    case = open_case(log, root=tmp_path / "cases")
    assert case.folder is not None
    file = case.folder / "answers.json"
    whole = content if isinstance(content, bytes) else json.dumps({"kind": "answers", "format": 1, **content}).encode()
    file.write_bytes(whole)
    with pytest.raises(CaseError, match=r"answers\.json"):
        open_case(log, root=tmp_path / "cases")
    assert file.read_bytes() == whole


def test_what_a_newer_minor_version_adds_stays(tmp_path: Path) -> None:
    log = customer(tmp_path / "a")
    case = open_case(log, root=tmp_path / "cases")
    assert case.folder is not None
    file = case.folder / "case.json"
    file.write_text(json.dumps({**json.loads(file.read_bytes()), "colour": "blue"}))
    open_case(log, root=tmp_path / "cases", language="de")
    assert json.loads(file.read_bytes())["colour"] == "blue"


if sys.platform != "win32":

    def test_an_archived_case_opens_and_nothing_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        log = customer(tmp_path / "a")
        case = open_case(log, folder=tmp_path / "case")
        copy_notebooks(tmp_path / "case", case=case, named=True)
        start_page(tmp_path)
        before = {path: path.read_bytes() for path in (tmp_path / "case").rglob("*") if path.is_file()}
        allowed = os.access
        frozen = str(tmp_path / "case")
        monkeypatch.setattr(os, "access", lambda path, mode: not str(path).startswith(frozen) and allowed(path, mode))
        again = open_case(folder=tmp_path / "case", language="de")
        assert again.read_only
        assert any("cannot be written to" in note for note in again.notes)
        assert again.diagnosis.intervals.equals(case.diagnosis.intervals)
        frozen = str(tmp_path)
        for command in (["--case", "case"], []):
            assert main(["lab", "--dry-run", "--cases", str(tmp_path), *command]) == 0
        assert not (tmp_path / "inbox").exists()
        assert {path: path.read_bytes() for path in before} == before

    def test_a_pipe_among_the_cases_keeps_nobody_waiting(tmp_path: Path) -> None:
        log = customer(tmp_path / "a")
        for name in ("case.json", "answers.json"):
            place = tmp_path / name / "customer"
            place.mkdir(parents=True)
            os.mkfifo(place / name)
            case = open_case(log, root=tmp_path / name)
            assert case.folder == tmp_path / name / "customer-2"
            with pytest.raises(CaseError, match="damaged"):
                open_case(log, folder=place)

    def test_answers_that_cannot_be_saved_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        case = open_case(customer(tmp_path / "a"), folder=tmp_path / "case")

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("starface_nb.cases.answers.write", full)
        with pytest.raises(CaseError, match="No space left"):
            case.answers.set("status", "offline")

    def test_links_in_the_folder_of_cases_lead_nowhere(tmp_path: Path) -> None:
        log = customer(tmp_path / "a")
        outside = open_case(log, folder=tmp_path / "outside")
        (tmp_path / "cases").mkdir()
        (tmp_path / "cases" / "customer").symlink_to(tmp_path / "outside")
        inside = open_case(log, root=tmp_path / "cases")
        assert inside.folder == tmp_path / "cases" / "customer-2"
        victim = tmp_path / "victim"
        victim.write_text("mine")
        assert outside.folder is not None
        for name in (".answers.json.lock", ".case.json.saving"):
            (outside.folder / name).unlink(missing_ok=True)
            (outside.folder / name).symlink_to(victim)
        with pytest.raises(CaseError, match="symbolic links"):
            outside.answers.set("status", "offline")
        outside.change(language="de")
        assert victim.read_text() == "mine"

    def test_a_name_that_is_no_utf_8_has_a_case(tmp_path: Path) -> None:
        log = tmp_path / "M\udcfcller.log"
        shutil.copy(LOG, log)
        case = open_case(log, root=tmp_path / "cases")
        assert case.folder is not None
        assert open_case(log, root=tmp_path / "cases").folder == case.folder
        assert open_case(folder=case.folder).log.events.equals(case.log.events)
