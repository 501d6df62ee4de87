"""The anonymised log tells the same story about nobody."""

import json
import os
import re
import sys
import zipfile
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

import starface_nb as sf
from starface_nb import files
from starface_nb.cli import main
from starface_nb.errors import InputError
from starface_nb.privacy import anonymise
from starface_nb.privacy.anonymise import LEFT_OUT
from starface_nb.privacy.rewrite import Rewriter
from starface_nb.simulation import Wish, simulate
from tests.simulation.families import make

ROOT = Path(__file__).parents[2]
RECORDED = sorted((ROOT / "data/recorded").glob("*/*.log"))
KEY = b"a secret of the tests"
INTERVAL = ["start", "end", "seconds", "ended_by", "repeats", "cause", "trunk"]
SITE = ["phones", "verdict", "low_s", "high_s", "level", "renewed_by", "cycles_expired", "cycles_survived"]


def originals(path: Path) -> set[str]:
    """Every identity in a recorded log: names, their numbers, addresses, user agents."""
    text = path.read_text()
    found = set(re.findall(r"\b\d{4,6}\.[a-z]\w+", text)) | set(re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text))
    found |= set(re.findall(r'useragent "([^"]+)"', text)) | set(re.findall(r"builder|@ pbx", text))
    found |= {name.split(".")[0] for name in found if re.match(r"\d{4,6}\.[a-z]", name)}
    return {identity for identity in found if not re.fullmatch(r"127\.0\.0\.1|0\.0\.0\.0", identity)}


def story(case, *, weeks=0) -> tuple[list, list]:
    """What a diagnosis says, without anybody's name: intervals per phone, and sites, in an order of their own."""
    shift = timedelta(weeks=weeks)
    intervals = case.intervals.with_columns(pl.col("start") - shift, pl.col("end") - shift)
    phones = [sorted(map(str, part.select(INTERVAL).rows())) for part in intervals.partition_by("peer")]
    return sorted(phones), sorted(map(str, case.sites.select(SITE).rows()))


@pytest.mark.parametrize("path", RECORDED, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_same_diagnosis_and_nobody_left(path, tmp_path):
    done = anonymise([path], tmp_path / "out.log", key=KEY)
    text = (tmp_path / "out.log").read_text()
    words = (
        set(re.findall(r"[\w.-]+", text)) | set(re.findall(r"[A-Za-z0-9]+", text)) | set(re.findall(r'"([^"]*)"', text))
    )
    header = set(re.findall(r"\[(\d+)\]", text)) | set(re.findall(r":(\d+)", text))
    assert originals(path) & (words - header) == set()
    assert done.kept == len([line for line in text.splitlines() if LEFT_OUT not in line])
    assert done.kept + done.left_out == len(path.read_text().splitlines())
    assert done.refused == 0
    assert story(sf.diagnose(sf.read_log(tmp_path / "out.log"))) == story(sf.diagnose(sf.read_log(path)))


def test_the_same_key_gives_the_same_log_and_another_or_none_another(tmp_path):
    path = ROOT / "data/recorded/clean/pbx.log"
    for name, key in (("a", KEY), ("b", KEY), ("c", b"another secret of the tests"), ("d", None), ("e", None)):
        anonymise([path], tmp_path / name, key=key)
    texts = [(tmp_path / name).read_bytes() for name in "abcde"]
    assert texts[0] == texts[1]
    assert len(set(texts)) == 4


def test_two_logs_with_one_key_can_be_compared(tmp_path):
    names = []
    for log in ("pbx.log", "pbx_dst.log"):
        anonymise([ROOT / "data/recorded/mixed" / log], tmp_path / log, key=KEY)
        names.append(set(sf.read_log(tmp_path / log).events["peer"].drop_nulls()))
    assert names[0] == names[1]


@pytest.mark.parametrize(
    "log", ["mixed/pbx.log", "mixed/pbx_shortdate.log", "mixed/pbx_dst.log", "pjsip-clean/pbx.log"]
)
@pytest.mark.parametrize("weeks", [-30, 5])
def test_shifted_by_weeks_the_story_is_the_same(log, weeks, tmp_path):
    path = ROOT / "data/recorded" / log
    anonymise([path], tmp_path / "out.log", key=KEY, shift_weeks=weeks)
    shifted = sf.diagnose(sf.read_log(tmp_path / "out.log"))
    original = sf.diagnose(sf.read_log(path))
    assert story(shifted, weeks=weeks) == story(original)
    assert shifted.log.first - original.log.first == timedelta(weeks=weeks)


def test_a_rotated_set_stays_one_in_a_zip_and_in_a_folder(tmp_path):
    lines = (ROOT / "data/recorded/mixed/pbx.log").read_text().splitlines(keepends=True)
    folder = tmp_path / "customer"
    folder.mkdir()
    (folder / "full.1").write_text("".join(lines[:900]))
    (folder / "full").write_text("".join(lines[900:]))
    expected = story(sf.diagnose(sf.read_log(ROOT / "data/recorded/mixed/pbx.log")))
    for output in (tmp_path / "out.zip", tmp_path / "out"):
        done = anonymise([folder], output, key=KEY)
        assert done.path == output
        assert story(sf.diagnose(sf.read_log(output))) == expected
    assert zipfile.ZipFile(tmp_path / "out.zip").namelist() == ["var/log/asterisk/full.1", "var/log/asterisk/full"]


def test_lines_that_are_not_understood_do_not_pass(tmp_path):
    path = tmp_path / "pbx.log"
    path.write_text(
        "[2026-03-04 08:00:00] VERBOSE[1] app_dial.c: Called SIP/4969123456 for a private person\n"
        "[2026-03-04 08:00:01] NOTICE[1][C-0000001a] chan_sip.c: Peer '1234.snomd345' is now UNREACHABLE!\n"
        '<--- SIP read from UDP:203.0.113.9:5060 --->\nFrom: "a private person" <sip:1234@x>\n'
        "[2026-03-04 08:00:09] NOTICE[1] chan_sip.c: Peer '1234.snomd345' is now Reachable. (20ms / 2000ms)\n"
        "[2026-03-04 09:00:00] VERBOSE[1] app_dial.c: Called SIP/4969123456 for a private person\n"
    )
    done = anonymise([path], tmp_path / "out.log", key=KEY)
    text = (tmp_path / "out.log").read_text()
    lines = text.splitlines()
    assert [line for line in lines if "private" in line or "4969123456" in line or "203.0.113.9" in line] == []
    assert (done.kept, done.left_out) == (2, 4)
    assert "[C-0000001a]" not in text
    assert re.search(r"\[C-[0-9a-f]{8}\]", text)
    # Where the log begins and ends is part of what it says.
    assert lines[0].startswith("[2026-03-04 08:00:00+01:00]")
    assert lines[-1].startswith("[2026-03-04 09:00:00+01:00]")


ATTACKS = [
    "\"<script>alert('1234.snomd345')</script>\" <sip:1234.snomd345@203.0.113.21>",
    "sip:203.0.113.21",
    "\"Peer '1234.snomd345' is now Reachable. (1ms / 2ms)\" <sip:a@b>",
    "<sip:1234.snomd345@pbx.customer.example;x=1234.snomd345>",
    "1234.snomd345' failed for '203.0.113.21:5060' - Wrong password",
    "\x1b[31m\u202e1234.snomd345",
]


def test_an_attackers_text_carries_nobody_out(tmp_path):
    path = tmp_path / "pbx.log"
    refused = [
        f"[2026-03-04 08:{n:02}:00] NOTICE[1] chan_sip.c: "
        f"Registration from '{text}' failed for '203.0.113.21:5060' - {why}"
        for n, (text, why) in enumerate((t, w) for t in ATTACKS for w in ("Wrong password", "1234.snomd345 was here"))
    ]
    path.write_text(
        "[2026-03-04 07:00:00] VERBOSE[1] chan_sip.c: Registered SIP '1234.snomd345' at 203.0.113.21:5060\n"
        + "\n".join(refused)
        + "\n[2026-03-04 09:00:00] NOTICE[1] chan_sip.c: Peer '1234.snomd345' is now UNREACHABLE!  Last qualify: 5\n",
        encoding="utf-8",
    )
    done = anonymise([path], tmp_path / "out.log", key=KEY)
    text = (tmp_path / "out.log").read_text("utf-8")
    for identity in ("1234.snomd345", "203.0.113.21", "customer", "script", "here", "\x1b", "\u202e"):
        assert identity not in text
    before, after = sf.read_log(path).events, sf.read_log(tmp_path / "out.log").events
    assert done.refused + after.height == before.height
    assert after["address"].drop_nulls().n_unique() == 1


def test_every_sample_of_the_catalogue_in_every_layout_passes_without_its_identities(tmp_path):
    from starface_nb.reading import catalogue

    lines, peers, addresses = [], set(), set()
    for entry in catalogue.entries():
        module = entry.modules[0].replace("*", "x") if entry.modules else "chan_sip.c"
        module = module if module.endswith(".c") else module + ".c"
        for text, expected in entry.samples:
            if not entry.kind and not entry.kinds:
                continue
            peers.add(str(expected.get("peer", "")))
            addresses.add(str(expected.get("address", "")))
            n = len(lines)
            stamp = f"2026-03-04 {n // 60:02}:{n % 60:02}:00"
            lines.append(f"[{stamp}] NOTICE[17903][C-00000008] {module}: {text}")
    path = tmp_path / "pbx.log"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = anonymise([path], tmp_path / "out.log", key=KEY)
    before, after = sf.read_log(path).events, sf.read_log(tmp_path / "out.log").events
    assert done.refused == 0
    same = ["time", "kind", "tech", "port", "rtt_ms", "limit_ms", "last_rtt_ms"]
    assert after.select(same).rows() == before.select(same).rows()
    assert (after["peer"].is_null() == before["peer"].is_null()).all()
    assert (after["address"].is_null() == before["address"].is_null()).all()
    text = (tmp_path / "out.log").read_text("utf-8")
    quoted = set(re.findall(r"[\w.@-]+", text))
    assert {p for p in peers if len(p) > 2 and not p.isdigit()} & quoted == set()
    assert {a for a in addresses if a} & quoted == set()


LAYOUTS = {
    "syslog": "Mar  4 08:52:{s:02} customer-pbx asterisk[812]: NOTICE[17903]: chan_sip.c:305 in sip_poke: {m}",
    "rfc5424": "<134>1 2026-03-04T08:52:{s:02}+01:00 customer-pbx asterisk 812 - - NOTICE[7]: chan_sip.c:3 in f: {m}",
    "console": "[Mar  4 08:52:{s:02}] \x1b[1;33mNOTICE\x1b[0m[30733]: \x1b[1;37mchan_sip.c\x1b[0m:158 sip_poke: {m}",
    "undated": "NOTICE[17903]: chan_sip.c:305 in sip_poke: {m}",
    "grep": "customer-pbx-full:[2026-03-04 08:52:{s:02}] NOTICE[1356] chan_sip.c: {m}",
    "journal": "Mar 04 08:52:{s:02} customer-pbx asterisk[812]:     -- {m}",
    "blanks": "[2026-03-04 08:52:{s:02}] NOTICE[1356] chan_sip.c:\u00a0{m}",
    "page": "[2026-03-04 08:52:{s:02}] NOTICE[1356] chan_sip.c: {m}",
}
COPIED = {"blanks": (" ", "\u00a0"), "page": ("'", "&#39;")}
JSON_LINE = {
    "hostname": "customer-pbx",
    "timestamp": "",
    "identifiers": {"lwp": 17903, "callid": "C-0000001a"},
    "logmsg": {"location": {"filename": "chan_sip.c", "function": "f", "line": 3}, "level": "NOTICE", "message": ""},
}


@pytest.mark.parametrize("layout", [*LAYOUTS, "json"])
def test_every_layout_keeps_its_events_and_loses_the_host(layout, tmp_path):
    messages = [
        "Registered SIP '1234.snomd345' at 203.0.113.21:5060",
        "Peer '1234.snomd345' is now Reachable. (20ms / 2000ms)",
        "Peer '1234.snomd345' is now UNREACHABLE!  Last qualify: 20",
        "Peer '1234.snomd345' is now Reachable. (25ms / 2000ms)",
    ]
    lines = []
    for s, m in enumerate(messages):
        if layout == "json":
            entry = json.loads(json.dumps(JSON_LINE)) | {"timestamp": f"2026-03-04 08:52:{s:02}"}
            entry["logmsg"]["message"] = m + "\n"
            lines.append(json.dumps(entry))
        else:
            lines.append(LAYOUTS[layout].format(s=s, m=m.replace(*COPIED.get(layout, ("", "")))))
    path = tmp_path / "pbx.log"
    path.write_text("\n".join(lines) + "\n")
    before = sf.read_log(path).events
    assert before.height == 4
    anonymise([path], tmp_path / "out.log", key=KEY)
    text = (tmp_path / "out.log").read_text()
    after = sf.read_log(tmp_path / "out.log").events
    assert (
        after.select("time", "kind", "rtt_ms", "port").rows() == before.select("time", "kind", "rtt_ms", "port").rows()
    )
    assert not any(word in text for word in ("customer", "pbx", "1234", "203.0.113.21", "0000001a"))


def test_simulated_customers_keep_their_diagnosis(tmp_path):
    for family in ("mixed", "messy", "inherited_ports"):
        folder = tmp_path / family
        log = simulate(make(family, 3, Wish(hours=24.0)), 3).write(folder)
        before = sf.read_log(log)
        anonymise([log], tmp_path / f"{family}.out", key=KEY)
        after = sf.read_log(tmp_path / f"{family}.out")
        assert story(sf.diagnose(after)) == story(sf.diagnose(before))
        text = (tmp_path / f"{family}.out").read_text()
        for column in ("peer", "address"):
            for identity in before.events[column].drop_nulls().unique():
                assert not re.search(rf"(?<![\w.:\[]){re.escape(identity)}(?![\w.])", text), identity


@pytest.mark.parametrize("phones", [1, 2])
@pytest.mark.parametrize("calls", [12, 300])
def test_what_is_left_out_makes_no_log_incomplete(phones, calls, tmp_path):
    stamp = "[2026-03-04 {:02}:{:02}:00] "
    lines = [
        stamp.format(8 + n // 60, n % 60) + f"NOTICE[1] chan_sip.c: Peer '2{phone}' is now {what}\n"
        for n in range(0, 120, 10)
        for phone in range(phones)
        for what in ("Lagged. (2100ms / 2000ms)", "Reachable. (30ms / 2000ms)")
    ]
    said = 'VERBOSE[77][C-00000001] pbx.c: Executing [s@default:1] NoOp("Local/s@x", "") in new stack\n'
    path = tmp_path / "full"
    path.write_text("".join(lines) + (stamp.format(10, 0) + said) * calls)
    anonymise([path], tmp_path / "out.log", key=KEY)
    before, after = (sf.diagnose(sf.read_log(one, progress=False)) for one in (path, tmp_path / "out.log"))
    assert [finding.id for finding in after.findings] == [finding.id for finding in before.findings]
    assert after.log.events.height == before.log.events.height
    path.write_text("".join(lines))  # nothing is left out: what a log lacks, its anonymous form lacks
    anonymise([path], tmp_path / "alone.log", key=KEY)
    assert LEFT_OUT not in (tmp_path / "alone.log").read_text()


def test_command_makes_a_key_once_and_says_what_was_left_out(tmp_path, capsys):
    log, key = str(ROOT / "data/recorded/clean/pbx.log"), tmp_path / "key"
    for name in ("a", "b"):
        assert main(["anonymise", log, "-o", str(tmp_path / name), "--key", str(key)]) == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert key.stat().st_mode & 0o077 == 0
    (tmp_path / "edited").write_bytes(b"\xef\xbb\xbf" + key.read_bytes().upper().replace(b"\n", b"\r\n"))
    assert main(["anonymise", log, "-o", str(tmp_path / "c"), "--key", str(tmp_path / "edited")]) == 0
    assert (tmp_path / "c").read_bytes() == (tmp_path / "a").read_bytes()
    assert (tmp_path / "a").stat().st_mode & 0o077 == 0
    assert re.search(r"left out: \d+ lines that are not understood", capsys.readouterr().out)


def test_bad_keys_and_outputs_are_refused_with_a_reason(tmp_path, capsys):
    log = tmp_path / "pbx.log"
    log.write_bytes((ROOT / "data/recorded/clean/pbx.log").read_bytes())
    for key, why in (("1", "only 1 byte."), ("> " + 32 * "a7", "holds more than"), (20 * "a7", "has 40 hex")):
        (tmp_path / "bad").write_text(key)
        assert main(["anonymise", str(log), "-o", str(tmp_path / "x"), "--key", str(tmp_path / "bad")]) == 2
        assert why in capsys.readouterr().err
    if hasattr(os, "mkfifo"):  # nobody writes to it: who opened it would wait for ever
        os.mkfifo(tmp_path / "pipe")
        assert main(["anonymise", str(log), "-o", str(tmp_path / "x"), "--key", str(tmp_path / "pipe")]) == 2
        assert "it is no file" in capsys.readouterr().err
    (tmp_path / "out").mkdir()
    assert main(["anonymise", str(log), "-o", str(tmp_path / "out"), "--key", str(tmp_path / "out/key")]) == 2
    assert "handed out" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(InputError, match="the log itself"):
        anonymise([log], log)
    assert log.read_bytes() == (ROOT / "data/recorded/clean/pbx.log").read_bytes()


@pytest.mark.parametrize(("lost", "refused"), [("UNREACH", True), ("Last qualify: 40", False)])
def test_a_copy_that_would_tell_another_story_is_not_written(lost, refused, tmp_path, monkeypatch, capsys):
    path, usual = ROOT / "data/recorded/clean/pbx.log", Rewriter.message
    monkeypatch.setattr(Rewriter, "message", lambda *given: None if lost in given[1] else usual(*given))
    key = tmp_path / "key"
    assert main(["anonymise", str(path), "-o", str(tmp_path / "out.log"), "--key", str(key)]) == (2 if refused else 0)
    what = (
        "cannot be rewritten with certainty." if refused else "could not be rewritten: the copy's diagnosis may differ."
    )
    assert f"{path.read_text().count(lost)} of 608 events of this log {what}" in capsys.readouterr().err
    assert len(list(tmp_path.iterdir())) == (0 if refused else 2)


@pytest.mark.parametrize("name", ["same.log", "same.zip"])
def test_what_another_has_written_meanwhile_is_not_replaced(name, tmp_path, monkeypatch):
    place = tmp_path / name
    for moment in ("_check_times", "_put"):
        where = sys.modules["starface_nb.privacy.anonymise"] if moment == "_check_times" else files
        usual = getattr(where, moment)

        def late(*given, usual=usual):
            place.write_bytes(b"another's")
            return usual(*given)

        with monkeypatch.context() as patch:
            patch.setattr(where, moment, late)
            with pytest.raises((InputError, FileExistsError), match=r"Something else|File exists"):
                anonymise([RECORDED[0]], place)
        assert place.read_bytes() == b"another's"
        assert [path.name for path in tmp_path.iterdir()] == [name]
        place.unlink()


def test_times_of_an_unusual_form_are_kept_and_shifted_like_others(tmp_path):
    folder = tmp_path / "customer"
    folder.mkdir()
    (folder / "logger.conf").write_text("[general]\ndateformat=%H-%M-%S %d.%m.%y\n")
    line = "[08-52-{n:02} 04.03.26] NOTICE[1] chan_sip.c: Peer '1234.snomd345' is now UNREACHABLE!  Last qualify: 5\n"
    (folder / "full").write_text("".join(line.format(n=n) for n in range(3)))
    assert anonymise([folder], tmp_path / "out.zip", key=KEY).kept == 3
    before, after = (sf.read_log(path).events["time"].to_list() for path in (folder, tmp_path / "out.zip"))
    assert None not in before
    assert after == before
    anonymise([folder], tmp_path / "shifted.zip", key=KEY, shift_weeks=1)
    moved = sf.read_log(tmp_path / "shifted.zip").events["time"].to_list()
    assert moved == [time + timedelta(weeks=1) for time in before]


def test_over_the_change_of_daylight_saving_time_the_distance_in_utc_stays(tmp_path):
    path = tmp_path / "pbx.log"
    line = "[2026-{when}] NOTICE[1] chan_sip.c: Peer '1234.snomd345' is now Reachable. (20ms / 2000ms)\n"
    path.write_text(
        "".join(line.format(when=when) for when in ("10-25 01:59:50.250", "10-25 02:30:00", "10-25 02:10:00"))
    )
    for weeks in (0, 26):
        anonymise([path], out := tmp_path / f"{weeks}.log", key=KEY, shift_weeks=weeks)
        before, after = (sf.read_log(one).events["time"].to_list() for one in (path, out))
        assert [time - timedelta(weeks=weeks) for time in after] == before
    assert (before[2] - before[1]).total_seconds() == 2400


def test_entries_glued_onto_one_line_pass_once_each(tmp_path):
    head = "[2026-03-04 08:00:{:02}] NOTICE[1] chan_sip.c: Peer '{}' is now {}"
    down, up = "UNREACHABLE!  Last qualify: 9", "Reachable. (9ms / 2000ms)"
    alone = [head.format(at, 21, up) for at in range(10)]
    path = tmp_path / "full"
    path.write_text("\n".join([*alone, head.format(10, 21, down) + head.format(11, 22, down), ""]))
    done = anonymise([path], tmp_path / "out.log", key=b"k" * 32)
    after = sf.read_log(tmp_path / "out.log", progress=False).events
    assert after["kind"].to_list() == ["reachable"] * 10 + ["unreachable"] * 2
    assert after["peer"].rle_id().to_list() == [0] * 11 + [1]
    assert done.kept == len((tmp_path / "out.log").read_text().splitlines()) == 12


def test_what_is_no_log_is_refused_and_leaves_nothing(tmp_path, capsys):
    letter = tmp_path / "letter.log"
    letter.write_text("Dear all,\nthe phones are down again.\n")
    assert main(["anonymise", str(letter), "-o", str(tmp_path / "new.log"), "--key", str(tmp_path / "key")]) == 2
    assert "no line of this file is Asterisk's" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["letter.log"]


@pytest.mark.parametrize("bad", ["missing.log", "empty.log", "binary.log"])
def test_what_cannot_be_read_leaves_no_new_key(bad, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("empty.log").touch()
    Path("binary.log").write_bytes(bytes(range(256)) * 20)
    Path("a.log").write_bytes((ROOT / "data/recorded/clean/pbx.log").read_bytes())
    before = {path.name for path in tmp_path.iterdir()}
    assert main(["anonymise", "a.log", bad, "-o", "out", "--key", "key"]) == 2
    assert bad in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == before
