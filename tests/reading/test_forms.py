"""Forms in which people hand a log over: each is read to the same losses as the log as it is, or refused clearly."""

from __future__ import annotations

import os
import re
from array import array
from functools import cache
from itertools import cycle
from pathlib import Path

import pytest
from handed_over import FORMS, lines_of

import starface_nb as sf
from starface_nb.errors import InputError
from starface_nb.reading import belief, exports, forms, undress
from starface_nb.sources import foreign
from starface_nb.sources.streams import Stream
from starface_nb.tables import table

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "data" / "recorded"
PAGES = ("report/template.html", "report/pack.html", "fleet/page.html")
LOGS = ("undilated", "pjsip-clean")
DOWN = "Peer '21' is now UNREACHABLE!  Last qualify: 30"
UP = "Peer '21' is now Reachable. (30ms / 2000ms)"
HEAD = "[2026-03-04 08:{:02}:03] NOTICE[1] chan_sip.c: "


def written(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def read(tmp_path, *lines, name="pbx.log"):
    return sf.read_log(written(tmp_path / name, "\n".join(lines) + "\n"), progress=False)


def losses(log):
    """Return every loss with its end, in whole seconds: not every form keeps more."""
    rows = sf.diagnose(log).intervals.select("peer", "start", "end").iter_rows()
    return sorted(
        (peer, *(time and time.replace(microsecond=0).isoformat() for time in times)) for peer, *times in rows
    )


@cache
def as_it_is(name):
    path = RECORDED / name / "pbx.log"
    whole = sf.read_log(path, progress=False)
    return lines_of(path.read_text("utf-8")), losses(whole), whole


@pytest.fixture(params=LOGS)
def recorded(request):
    return as_it_is(request.param)


@pytest.mark.parametrize(("form", "name"), [*zip(FORMS, cycle(LOGS), strict=False)])  # no form is a dialect's own
def test_every_form_gives_the_losses_of_the_log_as_it_is(tmp_path, form, name):
    lines, expected, _ = as_it_is(name)
    path = written(tmp_path / "pbx.log", FORMS[form](lines))
    written_at = lines[-1].aware.timestamp() + 60  # tells the year where the lines do not
    os.utime(path, (written_at, written_at))
    log = sf.read_log(path, progress=False)
    assert losses(log) == expected
    assert log.order == (
        "reversed" if form.startswith(("newest first", "CSV, newest first", "JSON, an answer of Loki")) else "forward"
    )
    at_once = log.events.filter(log.events["kind"] == "unreachable")
    for row in at_once.sample(3, seed=1).iter_rows(named=True):
        (hit,) = (line.text for line in log.context(row).lines if line.is_hit)
        assert row["peer"] in hit.replace("\u2011", "-")


ONE_TO_ONE = [
    "no-break spaces", "every blank a no-break one", "<br>", "a page", "quoted", "backticks", "numbered, tab",
    "grep -n", "docker -t, file", "journal, file", "RFC 5424, file", "JSON lines, _source", "journal json", "UTF-16",
    "first bracket lost",
]  # fmt: skip


@pytest.mark.parametrize("form", ONE_TO_ONE)
def test_lines_are_counted_in_the_file_as_it_is(recorded, tmp_path, form):
    lines, _, whole = recorded
    log = sf.read_log(written(tmp_path / "pbx.log", FORMS[form](lines)), progress=False)
    assert log.events["line"].to_list() == whole.events["line"].to_list()
    assert log.lines >= whole.lines - 1


def test_a_joined_line_has_the_number_of_its_first_and_a_split_one_that_of_both(tmp_path):
    wrapped = [
        HEAD.format(20) + "Peer '21' is now",
        "UNREACHABLE!  Last qualify: 30",
        HEAD.format(21) + "Peer '21' is now",
        "Reachable. (30ms / 2000ms)",
    ]
    assert read(tmp_path, *wrapped).events["line"].to_list() == [1, 3]
    glued = [HEAD.format(m) + DOWN + HEAD.format(m + 1) + UP for m in (20, 30)]
    assert read(tmp_path, *glued).events["line"].to_list() == [1, 1, 2, 2]


def test_two_lines_glued_together_in_a_plain_log_are_two(tmp_path):
    plain = [HEAD.format(m) + text for m in range(0, 40, 2) for text in (DOWN, UP)]
    glued = HEAD.format(50) + DOWN + HEAD.format(51) + UP
    log = read(tmp_path, *plain, glued, *plain)
    pair = log.events.filter(log.events["line"] == len(plain) + 1)
    assert pair.select("kind", "peer").rows() == [("unreachable", "21"), ("reachable", "21")]


@pytest.mark.parametrize("form", table("reading/forms")["before"], ids=lambda form: form["name"])
def test_what_stands_before_a_line_is_taken_off_as_its_samples_say(form):
    assert form["source"]
    for line, stamp, rest in form["samples"]:
        begins, text, _ = undress.undressed(line)
        assert begins == (form["name"] != "container" or bool(stamp) or not rest.startswith("[")) or begins
        inner = re.sub(r"^\[[^\]]*\] ?", "", rest)
        assert text == (f"[{stamp}] {inner}" if stamp else rest)


def test_a_stamp_begins_an_entry_behind_what_most_lines_have_before_them():
    usual = frozenset({("quotation", "quotation")})
    line = "[2026-03-04 08:20:03] Asterisk 20.20.1 built by builder"
    assert undress.undressed("> > " + line, chains=usual)[:2] == (True, line)
    assert undress.undressed("> > [of text] that goes on", chains=usual)[:2] == (False, "[of text] that goes on")


def test_the_stamp_that_says_more_is_believed(tmp_path):
    outer = "2026-03-04T07:20:03.250Z pbx asterisk[812]: "
    log = read(
        tmp_path,
        outer + "[Mar  4 08:20:02] NOTICE[1]: chan_sip.c:1 f: " + DOWN,
        outer + "[2026-03-04 08:20:02,750] NOTICE[1]: chan_sip.c:1 f: " + UP,
    )
    assert [f"{t:%Y-%m-%d %H:%M:%S.%f}" for t in log.events["time"]] == [
        "2026-03-04 07:20:03.250000",
        "2026-03-04 07:20:02.750000",
    ]


def test_without_any_time_there_are_events_without_one(tmp_path):
    lines = [
        f"asterisk-1  |     -- Contact 21/sip:21@203.0.113.7:5060 is now {state}"
        for state in ("Unreachable", "Reachable")
    ]
    log = read(tmp_path, *lines)
    assert log.events.select("time", "kind").rows() == [(None, "unreachable"), (None, "reachable")]


# ---- a plain log stays one, whatever stands in it ----

FAKES = [
    "> {}",
    "    {}",
    "12: {}",
    "`{}`",
    '"{}"',
    "[code]{}",
    "full.1:{}",
    "Subject: {}",
    "Mar 04 08:00:00 pbx asterisk[812]: {}",
    "pbx-1  | {}",
]


@pytest.mark.parametrize("fake", FAKES)
@pytest.mark.parametrize("dumped", [True, False], ids=["in a dump", "on continuation lines"])
def test_text_in_a_plain_log_that_imitates_a_form_is_no_event(tmp_path, fake, dumped):
    begin, end = (
        ("<--- SIP read from UDP:198.51.100.9:5060 --->", "<------------->")
        if dumped
        else ("a message", "that goes on")
    )
    block = [HEAD.format(5).replace("NOTICE", "VERBOSE") + begin, *[fake.format(HEAD.format(6) + DOWN)] * 3, end]
    log = read(tmp_path, *[HEAD.format(m) + UP for m in range(4)], *block, HEAD.format(7) + UP)
    assert set(log.events["kind"]) == {"reachable"}
    flooded = read(tmp_path, *[HEAD.format(m) + UP for m in range(50)], *block * 15, HEAD.format(59) + UP)
    assert set(flooded.events["kind"]) == {"reachable"}


@pytest.mark.parametrize(
    "says", ["app_queue.c: Called SIP/", "app_dial.c: Called SIP/a", "res_x.c: Calling from 21@", "res_x.c: Set NAME="]
)
def test_a_line_that_is_dialled_is_no_line(tmp_path, says):
    said = HEAD.format(5).replace("chan_sip.c:", says).replace("NOTICE", "VERBOSE").rstrip()
    assert says.rstrip("/@=") in said
    lines = [HEAD.format(m) + UP for m in range(4)]
    assert read(tmp_path, *lines, said + HEAD.format(6) + DOWN, HEAD.format(7) + UP).events["line"].to_list() == [
        *(1, 2, 3, 4),
        6,
    ]


@pytest.mark.parametrize("form", ["quoted", "journal, file", "newest first", "numbered, tab", "JSON lines, _source"])
def test_a_dump_in_a_log_of_another_form_is_still_one(recorded, tmp_path, form):
    lines, expected, _ = recorded
    at = len(lines) // 2
    first = lines[at]
    begin = lines_of(f"[{first.local}] VERBOSE[1] chan_sip.c: <--- SIP read from UDP:198.51.100.9:5060 --->")[0]
    fake = lines_of(f"[{first.local}] NOTICE[1] chan_sip.c: {DOWN}")[0]
    end = lines_of(f"[{first.local}] NOTICE[1] chan_sip.c: x")[0]
    end.whole = "<------------->"
    log = sf.read_log(
        written(tmp_path / "pbx.log", FORMS[form]([*lines[:at], begin, fake, end, *lines[at:]])), progress=False
    )
    assert losses(log) == expected


@pytest.mark.parametrize(
    "before", ["\t", "\f", "\a", " \b", "\x1a", "\r", "\x1b[?2004l\r", "\x1b[K", "\r\x1b[Kpbx*CLI> "], ids=repr
)
def test_what_steers_a_terminal_before_single_lines_hides_none(recorded, tmp_path, before):
    lines, expected, _ = recorded
    text = "".join(f"{before if n % 20 == 7 else ''}{line.whole}\n" for n, line in enumerate(lines))
    assert losses(sf.read_log(written(tmp_path / "pbx.log", text.encode()), progress=False)) == expected


def test_lines_behind_something_unknown_are_told(recorded, tmp_path):
    lines, _, _ = recorded
    text = "".join(f"{'# ' if n % 20 == 7 else ''}{line.whole}\n" for n, line in enumerate(lines))
    log = sf.read_log(written(tmp_path / "pbx.log", text.encode()), progress=False)
    assert set(log.unparsed["reason"]) == {belief.INNER}
    found = sf.diagnose(log)
    assert "unread" in found.observation.lacking.missing
    assert "registers_while_lost" not in {one.id for one in found.findings}


def test_a_plain_log_is_passed_through_untouched():
    for path in RECORDED.glob("*/pbx*.log"):
        head, numbers = path.read_bytes()[: forms.SNIFF], array("q")
        stream = Stream.of([head])
        assert forms.plain_text(head, stream, numbers) is stream, path


def test_a_clock_set_back_is_no_other_order(tmp_path):
    lines = [
        f"[2026-03-04 {h:02}:{m:02}:00] NOTICE[1] chan_sip.c: {text}"
        for h, m, text in ((10, 0, DOWN), (10, 9, UP), (12, 0, DOWN), (11, 0, UP), (11, 30, DOWN), (11, 40, UP))
    ]
    log = read(tmp_path, *lines)
    assert log.events["line"].to_list() == [1, 2, 3, 4, 5, 6]
    assert log.order == "forward"


def test_a_log_that_repeats_itself_by_chance_is_not_shortened(tmp_path):
    lines = [HEAD.format(m) + text for m in (1, 2, 1, 2) for text in (DOWN, UP)]
    lines[4] = HEAD.format(1) + DOWN.replace("21", "22")
    assert read(tmp_path, *lines).events.height == 8


# ---- no log ----


@pytest.mark.parametrize("kind", foreign.kinds(), ids=lambda kind: kind.name[:40])
def test_what_is_no_log_is_named(kind):
    for sample in kind.samples:
        assert foreign.text_kind(sample.encode()) == kind
    assert kind.samples or kind.starts or kind.member
    if kind.starts:
        assert foreign.binary_kind(kind.starts.encode("latin-1") + b"...").name == kind.name
    if kind.member:
        assert foreign.document_kind(["a", kind.member]) == kind


SAID = [kind for kind in foreign.kinds() if kind.samples and not kind.quotes]


@pytest.mark.parametrize("kind", SAID, ids=lambda kind: kind.name[:40])
def test_a_file_without_a_line_of_asterisks_is_refused(tmp_path, kind):
    with pytest.raises(InputError, match=r"no line of this file is Asterisk's|only what lies beside") as error:
        read(tmp_path, *kind.samples)
    assert kind.name in str(error.value) or "show " in kind.name  # what `show` commands say is read beside a log
    assert 'named "PBX"' in error.value.next_step


QUOTING = [*(kind.samples[-1] for kind in foreign.kinds() if kind.quotes)]
QUOTING += [path.read_text("utf-8") for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
QUOTING += [(ROOT / "starface_nb" / page).read_text("utf-8") for page in PAGES]


@pytest.mark.parametrize("text", QUOTING, ids=range(len(QUOTING)))
def test_what_this_package_writes_is_no_log_whatever_it_quotes(tmp_path, text):
    lines = (HEAD.format(1) + DOWN, HEAD.format(2) + UP)
    for mail in ((), ("Subject: x", "MIME-Version: 1.0", "Content-Type: text/plain", "")):
        with pytest.raises(InputError, match=r"this is a (report of starface_nb|Jupyter notebook), not a log"):
            read(tmp_path, *mail, text, *lines, name="full-report.html")
    written(tmp_path / "full", "\n".join(lines))
    folder = sf.read_log(tmp_path, progress=False)
    assert folder.events.height == 2
    assert any("skipped" in note and "full-report.html: this is a" in note for note in folder.notes)


def test_a_page_that_shows_a_log_is_read(tmp_path):
    page = "<!doctype html>\n<html><head><meta charset='utf-8'></head><body><pre>"
    assert read(tmp_path, page, HEAD.format(1) + DOWN, HEAD.format(2) + UP).events.height == 2


def test_among_others_a_foreign_file_is_skipped_with_a_note(tmp_path):
    written(tmp_path / "letter.txt", "Dear team,\n")
    log = read(tmp_path, HEAD.format(1) + DOWN, HEAD.format(2) + UP)
    both = sf.read_log([tmp_path / "letter.txt", tmp_path / "pbx.log"], progress=False)
    assert both.events.height == log.events.height
    assert any("letter.txt" in note for note in both.notes)


def test_a_log_with_asterisks_lines_but_no_event_is_not_refused(tmp_path):
    assert read(tmp_path, "[2026-03-04 08:00:00] VERBOSE[1] pbx.c: Executing [s@x:1]").events.height == 0


def test_no_case_is_made_of_what_is_no_log(tmp_path):
    from starface_nb.cases import open_case

    path = written(tmp_path / "letter.txt", "Dear team,\n")
    with pytest.raises(InputError):
        open_case(path, root=tmp_path / "cases")
    assert not (tmp_path / "cases").exists()


def test_mails_and_cut_documents_are_told_apart():
    assert exports.is_mail("Subject: x\nMIME-Version: 1.0\n\ntext")
    assert not exports.is_mail("Subject: x\nDear: team\n\ntext")
    whole = list(exports.records("json", iter([(1, '[{"message": "a"},'), (2, '{"message": "b"}, {"mess')])))
    assert whole == [(1, "", "a"), (2, "", "b")]
