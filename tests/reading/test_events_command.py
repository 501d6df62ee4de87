"""`starface-nb events` keeps its contract."""

import csv
import io
import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from zipfile import ZipFile

import polars as pl
import pytest

from starface_nb.cli import main

SAMPLE = Path(__file__).parents[2] / "data" / "recorded" / "undilated" / "pbx.log"
KEYS = ["time", "kind", "peer", "tech", "address", "port", "rtt_ms", "limit_ms", "file", "line"]


def run(capsysbinary, *arguments):
    try:
        status = main(["events", *map(str, arguments)])
    except SystemExit as end:  # what the options' parser refuses
        status = end.code
    out = capsysbinary.readouterr()
    return status, out.out, out.err.decode()


def test_jsonl_has_the_contracts_keys_in_order_and_local_times(capsysbinary):
    status, out, _ = run(capsysbinary, SAMPLE)
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert len(rows) == 105
    assert all(list(row) == KEYS for row in rows)
    assert rows[1] == {
        "time": "2026-11-23T01:05:49+01:00",
        "kind": "registered",
        "peer": "81106.snomd735",
        "tech": "SIP",
        "address": "203.0.113.81",
        "port": 64958,
        "rtt_ms": None,
        "limit_ms": None,
        "file": str(SAMPLE),
        "line": 46,
    }


def test_times_have_milliseconds_where_the_log_has_them_and_the_zone_that_was_asked_for(tmp_path, capsysbinary):
    log = tmp_path / "full"
    log.write_text(
        "[2026-07-01 10:00:00,250] NOTICE[1] chan_sip.c: Peer 'é' is now Lagged. (2512ms / 2000ms)\n    -- x\n"
    )
    _, out, _ = run(capsysbinary, log, "--time-zone", "Europe/Lisbon")
    row = json.loads(out)
    assert row["time"] == "2026-07-01T10:00:00.250+01:00"
    assert row["peer"] == "é"
    assert row["rtt_ms"] == 2512


def test_csv_is_quoted_and_no_cell_is_a_formula(tmp_path, capsysbinary):
    log = tmp_path / "full"
    names = ["=cmd|' /C calc'!A0", 'a,"b"', "@x", "plain", "a\rb"]
    line = "[2026-07-01 10:00:00] NOTICE[1] chan_sip.c: Peer '{}' is now UNREACHABLE!  Last qualify: 1\n"
    log.write_bytes("".join(line.format(name) for name in names).encode())
    _, out, _ = run(capsysbinary, log, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out.decode(), newline="")))
    assert list(rows[0]) == KEYS
    assert [row["peer"] for row in rows] == ["'=cmd|' /C calc'!A0", 'a,"b"', "'@x", "plain", "a\rb"]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_a_file_gets_what_its_ending_says(tmp_path, capsysbinary, form):
    target = tmp_path / f"events.{form}"
    status, out, _ = run(capsysbinary, SAMPLE, "-o", target)
    assert (status, out) == (0, b"")
    frame = {"jsonl": pl.read_ndjson, "csv": pl.read_csv, "parquet": pl.read_parquet}[form](target)
    assert frame.columns == KEYS
    assert frame.height == 105
    assert list(tmp_path.iterdir()) == [target]


def test_excel_gets_local_times_and_no_formula(tmp_path, capsysbinary):
    log, target = tmp_path / "full", tmp_path / "events.xlsx"
    log.write_text("[2026-07-01 10:00:00,250] NOTICE[1] chan_sip.c: Peer '=1+1' is now UNREACHABLE!  Last qualify: 1\n")
    assert run(capsysbinary, log, "-o", target)[:2] == (0, b"")
    with ZipFile(target) as book:
        sheet, texts = (book.read(f"xl/{name}.xml").decode() for name in ("worksheets/sheet1", "sharedStrings"))
    assert all(f"<t>{text}</t>" in texts for text in (*KEYS, "=1+1"))
    assert "<f>" not in sheet
    days = float(re.search(r'<c r="A2"[^>]*><v>([\d.]+)', sheet)[1])
    assert datetime(1899, 12, 30) + timedelta(days=days) == pytest.approx(
        datetime(2026, 7, 1, 10, 0, 0, 250_000), abs=timedelta(milliseconds=1)
    )


@pytest.mark.parametrize(
    ("command", "name", "names"),
    [
        ("events", "e.ods", ".csv, .parquet, .xlsx"),
        ("events", "e.json", ".jsonl, .csv"),
        ("report", "r.txt", ".html, .htm, .pdf"),
    ],
)
def test_an_ending_that_nothing_is_written_for_is_refused_before_the_work(tmp_path, capsys, command, name, names):
    assert main([command, str(SAMPLE), "-o", str(tmp_path / name)]) == 2
    assert names in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_bad_input_is_one_clear_message_and_status_2(tmp_path, capsysbinary):
    for arguments in (
        [tmp_path / "missing"],
        [SAMPLE, "--time-zone", "Nowhere"],
        [SAMPLE, "-o", tmp_path / "no" / "x.csv"],
    ):
        status, out, err = run(capsysbinary, *arguments)
        assert (status, out) == (2, b"")
        assert len(err.strip().splitlines()) == 1
        assert "Traceback" not in err


def test_a_log_without_events_is_a_result_with_a_hint(tmp_path, capsysbinary):
    (tmp_path / "full").write_text("[2026-07-01 10:00:00] VERBOSE[1] pbx.c: hello\n")
    status, out, err = run(capsysbinary, tmp_path / "full")
    assert (status, out) == (0, b"")
    assert "qualify" in err
