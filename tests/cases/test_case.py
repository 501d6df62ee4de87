"""A case is reopened where it was left, notices a changed log, and is never mixed up with another customer's."""

from __future__ import annotations

import json
import re
import shutil
import stat
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from starface_nb import diagnose, samples
from starface_nb.cases import CaseError, open_case
from starface_nb.cases.opening import clean_name
from starface_nb.errors import InputError, SettingError
from starface_nb.reading import read_log


@pytest.fixture
def customer(tmp_path: Path) -> Path:
    """A customer's log in a folder of its own."""
    path = tmp_path / "downloads" / "customer.log"
    path.parent.mkdir()
    shutil.copy(samples.recorded("one-bad-phone"), path)
    return path


def test_the_sample_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    case = open_case()
    assert case.folder is None
    assert case.log.events.height > 100
    assert case.diagnosis.intervals.height > 10
    case.answers.set("status", "offline")
    assert list(tmp_path.iterdir()) == []


def test_reopened_where_it_was_left(tmp_path: Path, customer: Path) -> None:
    case = open_case(customer, root=tmp_path / "cases", keepalive_minutes=30, language="de", time_zone="Europe/Zurich")
    case.answers.set("status", "offline", note="rang the customer")
    assert case.folder == tmp_path / "cases" / "customer"
    again = open_case(folder=case.folder)
    assert (again.settings.keepalive_s, again.language, again.log.time_zone) == (1800, "de", "Europe/Zurich")
    assert again.answers.all() == case.answers.all()
    assert again.notes == ()
    assert_frame_equal(again.log.events, case.log.events)
    changed = again.change(keepalive_s=60, language="fr")
    assert open_case(customer, root=tmp_path / "cases").settings == changed.settings
    assert open_case(name="customer", root=tmp_path / "cases").language == "fr"


@pytest.mark.parametrize("minutes", [0, 99_999, float("nan")])
def test_a_keepalive_that_no_phone_has_is_refused_wherever_it_is_given(customer: Path, minutes: float) -> None:
    with pytest.raises(SettingError, match="between 1 second and 7 days"):
        open_case(customer, root=customer.parent, keepalive_minutes=minutes)
    with pytest.raises(SettingError, match="between 1 second and 7 days"):
        diagnose(read_log(customer, progress=False), keepalive_s=60 * minutes)
    assert [path.name for path in customer.parent.iterdir()] == ["customer.log"]


def test_results_are_kept_as_parquet(tmp_path: Path, customer: Path) -> None:
    case = open_case(customer, root=tmp_path)
    intervals = case.diagnosis.intervals
    assert case.folder is not None
    assert_frame_equal(pl.read_parquet(case.folder / "results" / "intervals.parquet"), intervals)
    assert not [path for path in case.folder.rglob("*") if path.suffix in {".pkl", ".pickle"}]


def test_a_moved_log_finds_its_case(tmp_path: Path, customer: Path) -> None:
    case = open_case(customer, root=tmp_path / "cases")
    moved = customer.rename(customer.with_name("renamed.log"))
    assert open_case(moved, root=tmp_path / "cases").folder == case.folder


def test_a_changed_log_is_noticed_and_the_answers_stay(tmp_path: Path, customer: Path) -> None:
    case = open_case(customer, root=tmp_path / "cases")
    case.answers.set("status", "offline")
    whole = customer.read_bytes().splitlines(keepends=True)
    customer.write_bytes(b"".join(whole[: len(whole) * 9 // 10]))
    again = open_case(customer, root=tmp_path / "cases")
    assert again.folder == case.folder
    assert "has changed" in again.notes[0]
    assert set(again.answers.all()) == {"status"}
    assert again.log.events.height < case.log.events.height
    assert open_case(customer, root=tmp_path / "cases").notes == ()


def test_another_customers_log_under_the_same_name_gets_its_own_case(tmp_path: Path, customer: Path) -> None:
    case = open_case(customer, root=tmp_path / "cases")
    case.answers.set("status", "offline")
    shutil.copy(samples.recorded("fixed-router"), customer)
    other = open_case(customer, root=tmp_path / "cases")
    assert other.folder == tmp_path / "cases" / "customer-2"
    assert other.answers.all() == {}
    assert open_case(customer, root=tmp_path / "cases").folder == other.folder


def test_another_customers_log_in_a_named_case_is_refused(tmp_path: Path, customer: Path) -> None:
    open_case(customer, name="ACME", root=tmp_path)
    before = (tmp_path / "ACME" / "case.json").read_bytes()
    with pytest.raises(CaseError, match=r"another customer's log \(customer.log\).*Give the new log a case of its own"):
        open_case(samples.recorded("fixed-router"), name="ACME", root=tmp_path)
    with pytest.raises(CaseError, match="another customer's log"):
        open_case(samples.recorded("fixed-router"), folder=tmp_path / "ACME")
    assert (tmp_path / "ACME" / "case.json").read_bytes() == before


def test_who_only_tries_names_tells_no_customer_from_another(tmp_path: Path, customer: Path) -> None:
    said = "NOTICE[21] chan_sip.c: Registration from '<sip:{}@pbx>' failed for '192.0.2.66:5060' - Wrong password"
    log = customer.read_text("utf-8")
    stamps = [line[: line.index("]") + 1] for line in log.splitlines() if line.startswith("[20")][:200]

    def opened(text: str, first: int) -> Path:
        tried = [f"{stamp} {said.format(name)}" for name, stamp in enumerate(stamps, first)]
        customer.write_text("\n".join([*tried, text]), "utf-8")
        return open_case(customer, name="ACME", root=tmp_path / "cases").folder

    assert opened(log, 10_000) == opened(log, 20_000)  # its phones are the same
    with pytest.raises(CaseError, match="another customer's log"):  # the same names come from another address
        opened(re.sub(r"203\.0\.113\.\d+", "198.51.100.77", log), 10_000)


def test_a_log_that_cannot_be_read_leaves_no_case(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        open_case(tmp_path / "nowhere.log", root=tmp_path / "cases")
    assert not (tmp_path / "cases").exists()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Müller & Söhne GmbH", "Müller_Söhne_GmbH"),
        ("../../etc/passwd", "etc_passwd"),
        ("..", "case_"),
        ("C:\\windows", "C_windows"),
        ("con", "case_con"),
        ("inbox", "case_inbox"),
        ("LPT1.old", "case_LPT1.old"),
        ("a\x00b\nc", "a_b_c"),
        (".hidden", "hidden"),
        ("x" * 300, "x" * 80),
    ],
)
def test_names_cannot_leave_the_folder_of_cases(name: str, expected: str) -> None:
    assert clean_name(name) == expected


def test_a_name_that_would_escape_stays_inside(tmp_path: Path, customer: Path) -> None:
    case = open_case(customer, name="../../outside", root=tmp_path / "cases")
    assert case.folder == tmp_path / "cases" / "outside"


if sys.platform != "win32":  # file modes are POSIX

    def test_customer_data_is_for_the_owner_alone(tmp_path: Path, customer: Path) -> None:
        case = open_case(customer, root=tmp_path / "cases")
        case.answers.set("status", "offline")
        assert case.diagnosis.phones.height
        paths = [tmp_path / "cases", *(tmp_path / "cases").rglob("*")]
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in paths}
        assert {path: oct(m) for path, m in modes.items() if m != (0o700 if path.is_dir() else 0o600)} == {}


def test_markup_in_a_name_is_not_markup(tmp_path: Path) -> None:
    hostile = tmp_path / "<img src=x onerror=alert(1)>.log"
    shutil.copy(samples.recorded("one-bad-phone"), hostile)
    assert "<img" not in open_case(hostile, root=None)._repr_html_()


def test_case_json_says_what_it_is(tmp_path: Path, customer: Path) -> None:
    case = open_case(customer, root=tmp_path)
    assert case.folder is not None
    content = json.loads((case.folder / "case.json").read_bytes())
    assert content["kind"] == "case"
    assert content["settings"] == {"time_zone": "Europe/Berlin", "keepalive_s": 3600.0, "language": "en"}
    assert content["log"]["paths"] == [str(customer)]


def test_a_log_that_has_grown_is_read_again(tmp_path: Path, customer: Path) -> None:
    text = customer.read_bytes()
    cut = text.index(b"\n", len(text) // 2) + 1
    customer.write_bytes(text[:cut])
    before = open_case(customer, root=tmp_path)
    customer.write_bytes(text)
    grown = open_case(customer, root=tmp_path)
    assert grown.log.events.height > before.log.events.height
    assert_frame_equal(grown.log.events, read_log(customer).events)


def test_another_customers_log_leaves_nothing_in_a_case(tmp_path: Path, customer: Path) -> None:
    case = open_case(customer, root=tmp_path)
    assert case.folder is not None
    before = {path: path.read_bytes() for path in case.folder.rglob("*") if path.is_file()}
    other = tmp_path / "other.log"
    other.write_bytes(samples.recorded("mixed").read_bytes())
    with pytest.raises(CaseError, match="another customer's log"):
        open_case(other, folder=case.folder)
    assert {path: path.read_bytes() for path in case.folder.rglob("*") if path.is_file()} == before


def test_a_log_that_has_gone_is_shown_from_what_was_kept(tmp_path: Path, customer: Path) -> None:
    case = open_case(customer, root=tmp_path)
    customer.unlink()
    again = open_case(folder=case.folder)
    assert_frame_equal(again.diagnosis.intervals, case.diagnosis.intervals)
    assert again.notes == (
        "The log is no longer where it was: what was read from it is shown, without the lines around an event.",
    )


def test_tables_show_the_logs_own_time_and_nothing_as_markup(tmp_path: Path) -> None:
    hostile = tmp_path / "hostile.log"
    text = samples.recorded("one-bad-phone").read_text()
    hostile.write_text(text.replace("51101", "<b onload=x>51101"))
    case = open_case(hostile, root=None)
    table = case.table("phones", "peer", "unreachable_s", "first", rows=3)
    assert "<b onload" not in table._repr_html_()
    assert re.findall(r"<th [^>]*>([^<]*)<", table._repr_html_()) == ["peer", "unreachable", "first"]
    german = replace(case, language="de").table("phones", "peer", "status", rows=1)
    assert re.findall(r"<th [^>]*>([^<]*)<", german._repr_html_()) == ["Telefon", "Status"]
    assert repr(table).endswith(f"and {case.diagnosis.phones.height - 3} more rows")
