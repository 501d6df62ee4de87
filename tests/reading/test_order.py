"""Several files of one log: order by content, copies and overlaps read once; and the recorded logs, whole."""

import gzip
import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import starface_nb as sf
from starface_nb.reading import EVENTS, UNPARSED, order

RECORDED = Path(__file__).parents[2] / "data" / "recorded"
LOGS = sorted(RECORDED.glob("*/pbx*.log"))


def lines_of(n, start=datetime(2026, 3, 1, tzinfo=UTC)):
    out = []
    for i in range(n):
        t = start + timedelta(minutes=i * 7)
        state = "UNREACHABLE!  Last qualify: 39" if i % 2 else "Reachable. (43ms / 2000ms)"
        out.append(f"[{t:%Y-%m-%d %H:%M:%S}] NOTICE[1] chan_sip.c: Peer '{i % 5}' is now {state}\n")
    return out


def bare(events):
    return events.drop("file", "line", "offset")


@pytest.mark.parametrize(
    "names",
    [
        ("full.2", "full.1", "full.0", "full"),  # sequential: 0 is the newest rotated one
        ("full.0", "full.1", "full.2", "full"),  # rotate: 0 is the oldest
        ("full.1772323200", "full.1772409600", "full.1772496000", "full"),  # timestamp
        ("full-20260302", "full-20260303", "full-20260304", "full"),  # logrotate's dateext
        ("b", "a", "d", "c"),
    ],
)
def test_a_rotated_set_is_put_in_order_by_its_content(tmp_path, names):
    lines = lines_of(800)
    (tmp_path / "whole").write_text("".join(lines))
    whole = sf.read_log(tmp_path / "whole", progress=False)
    parts = tmp_path / "parts"
    parts.mkdir()
    for i, name in enumerate(names):
        (parts / name).write_text("".join(lines[i * 200 : (i + 1) * 200]))
    split = sf.read_log([parts / name for name in sorted(names)], progress=False)
    assert [Path(file.name).name for file in split.files] == list(names)
    assert bare(split.events).equals(bare(whole.events))
    assert (split.first, split.last) == (whole.first, whole.last)


def test_a_copy_in_another_container_is_read_once(tmp_path):
    text = "".join(lines_of(100))
    (tmp_path / "full").write_text(text)
    (tmp_path / "full.1.gz").write_bytes(gzip.compress(text.encode()))
    log = sf.read_log([tmp_path / "full", tmp_path / "full.1.gz", tmp_path / "full"], progress=False)
    assert log.events.height == 100
    assert len(log.files) == 1
    assert any("same content" in note for note in log.notes)


def test_two_exports_that_overlap_give_every_line_once(tmp_path):
    lines = lines_of(300)
    lines[150:150] = [lines[150]] * 2  # the same line three times in one second is three lines
    (tmp_path / "monday").write_text("".join(lines[:200]))
    (tmp_path / "tuesday").write_text("".join(lines[100:]))
    (tmp_path / "whole").write_text("".join(lines))
    whole = sf.read_log(tmp_path / "whole", progress=False)
    both = sf.read_log([tmp_path / "tuesday", tmp_path / "monday"], progress=False)
    assert bare(both.events).equals(bare(whole.events))
    assert any("counted once" in note for note in both.notes)


def test_files_beside_each_other_give_their_events_in_turns(tmp_path):
    lines = lines_of(300)
    (tmp_path / "whole").write_text("".join(lines))
    for state in ("UNREACHABLE", "Reachable"):
        (tmp_path / f"{state}.log").write_text("".join(line for line in lines if state in line))
    whole = sf.read_log(tmp_path / "whole", progress=False)
    found = sf.read_log([tmp_path / "Reachable.log", tmp_path / "UNREACHABLE.log"], progress=False)
    assert bare(found.events).equals(bare(whole.events))


def test_frames_are_as_declared_even_when_empty(tmp_path):
    (tmp_path / "full").write_text("[2026-03-01 00:00:00] VERBOSE[1] pbx.c: nothing\n")
    log = sf.read_log(tmp_path / "full", progress=False)
    assert dict(log.events.schema) == EVENTS.dtypes
    assert dict(log.unparsed.schema) == UNPARSED.dtypes


PATTERNS = {
    "unreachable": rb"Peer '.*' is now UNREACHABLE|(?:Contact|Endpoint) .* is now Unreachable",
    "reachable": rb"Peer '.*' is now Reachable|(?:Contact|Endpoint) .* is now Reachable",
    "lagged": rb"Peer '.*' is now Lagged",
    "registered": rb"Registered SIP '|Added contact '",
    "unregistered": rb"Unregistered SIP '|due to request",
    "expired": rb"due to expiration",
    "registration_failed": rb"will exceed max contacts",
    "restart": rb"modules will be loaded\.",
    "shutdown": rb"cleanly ending",
}


@pytest.mark.parametrize("path", LOGS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_recorded_logs_events_are_those_of_a_plain_count(path):
    raw = path.read_bytes()
    expected = {kind: n for kind, p in PATTERNS.items() if (n := len(re.findall(rb"(?m)^.*(?:" + p + rb").*$", raw)))}
    log = sf.read_log(path, progress=False)
    counted = log.events.group_by("kind").len()
    assert dict(counted.select(pl.col("kind").cast(pl.String), "len").iter_rows()) == expected
    assert log.unparsed.height == 0
    for line, offset in log.events.select("line", "offset").sample(20, seed=1).iter_rows():
        assert raw[:offset].count(b"\n") == line - 1


@pytest.mark.parametrize(("name", "truth"), [("pbx_dst", "truth_dst"), ("pbx", "truth")])
def test_a_recorded_logs_losses_are_at_the_times_of_its_truth(name, truth):
    """Over the autumn change the local times repeat; line numbers tie events to the truth, durations are absolute."""
    expected = json.loads((RECORDED / "mixed" / f"{truth}.json").read_text())["unreachable_intervals"]
    log = sf.read_log(RECORDED / "mixed" / f"{name}.log", progress=False)
    times = dict(log.events.select("line", "time").iter_rows())
    for interval in expected:
        if interval["end"]:
            length = (times[interval["end_line"]] - times[interval["line"]]).total_seconds()
            assert abs(length - interval["duration_s"]) <= 1, interval


def test_without_a_year_the_same_events_come_out(tmp_path):
    short = tmp_path / "pbx.log"
    shutil.copy(RECORDED / "mixed" / "pbx_shortdate.log", short)
    log = sf.read_log(short, progress=False, year=2026)
    full = sf.read_log(RECORDED / "mixed" / "pbx.log", progress=False)
    assert log.events.drop("file", "offset").equals(full.events.drop("file", "offset"))


def test_a_log_shows_itself_and_the_lines_around_an_event_without_markup(tmp_path):
    hostile = "<script>alert(1)</script>\x1b[31m\u202e"
    path = tmp_path / "<b>.log"
    path.write_text(
        f"[2026-03-01 00:00:00] NOTICE[1] chan_sip.c: Peer '{hostile}' is now UNREACHABLE!  Last qualify: 1\n" * 3
    )
    log = sf.read_log(path, progress=False)
    context = log.context(1, before=1, after=1)
    assert [line.is_hit for line in context.lines] == [False, True, False]
    for html in (log._repr_html_(), context._repr_html_()):
        assert "<script" not in html
        assert "<b>" not in html
    for text in (repr(log), str(context), context._repr_html_()):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "3 events of 1 peers" in repr(log)


def test_a_copy_is_found_whatever_short_files_lie_between(tmp_path):
    lines = lines_of(60)
    parts = {"full": lines, "full.1": lines[20:22], "full.2": lines[30:50], "full.3": lines[40:55]}
    for name, part in parts.items():
        (tmp_path / name).write_text("".join(part))
    log = sf.read_log(tmp_path)
    assert log.events["time"].to_list() == sf.read_log(tmp_path / "full").events["time"].to_list()
    assert sum("counted once" in note for note in log.notes) == 3


def test_files_of_many_customers_are_not_compared_one_by_one(tmp_path, monkeypatch):
    for n in range(30):
        (tmp_path / f"{n}.log").write_text("".join(lines_of(40)).replace("Peer '", f"Peer '{n}-"))
    pairs = []
    monkeypatch.setattr(order, "_minus", lambda *given: pairs.append(given) or (given[0], 0))
    assert sf.read_log(tmp_path, progress=False).events.height == 30 * 40
    assert not pairs
