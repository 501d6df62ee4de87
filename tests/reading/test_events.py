"""Odd logs, one by one: what is an event, what only looks like one, and what is kept as unparsed."""
# ruff: noqa: E501, RUF001  (log lines stand as they are)

import gzip
import io
import json
import zipfile

import pytest

import starface_nb as sf
from starface_nb.reading import belief
from starface_nb.reading.fields import user_part

T = "[2026-03-04 10:00:0{}]"
DOWN = "Peer '12' is now UNREACHABLE!  Last qualify: 39"
UP = "Peer '12' is now Reachable. (43ms / 2000ms)"
FILE = "[2026-03-04 10:00:00] {level}[17] {module}: {text}"


def entry(text, module="chan_sip.c", level="NOTICE"):
    return FILE.format(text=text, module=module, level=level)


def read(tmp_path, *lines, name="full", end="\n", **options):
    path = tmp_path / name
    path.write_bytes(b"".join((x if isinstance(x, bytes) else x.encode()) + end.encode() for x in lines))
    return sf.read_log(path, progress=False, **options)


def found(log):
    return list(log.events.select("line", "kind").iter_rows())


def test_the_fields_of_every_kind_of_chan_sip(tmp_path):
    log = read(
        tmp_path,
        entry(DOWN),
        entry("Peer '12' is now Lagged. (2512ms / 2000ms)"),
        entry("Registered SIP '12' at [2001:db8::1]:5060", level="VERBOSE"),
        entry("Registration from '<sip:77@x>' failed for '198.51.100.9:5061' - Device does not match ACL"),
    )
    rows = log.events.to_dicts()
    assert [r["kind"] for r in rows] == ["unreachable", "lagged", "registered", "registration_failed"]
    assert (rows[0]["rtt_ms"], rows[0]["last_rtt_ms"]) == (None, 39)
    assert (rows[1]["rtt_ms"], rows[1]["limit_ms"]) == (2512, 2000)
    assert (rows[2]["address"], rows[2]["port"]) == ("2001:db8::1", 5060)
    assert (rows[3]["peer"], rows[3]["detail"]) == ("77", "Device does not match ACL")
    assert {r["tech"] for r in rows} == {"SIP"}
    assert [r["offset"] for r in rows] == [0, *[log.events["offset"][i] for i in (1, 2, 3)]]


@pytest.mark.parametrize(
    ("identity", "user"),
    [
        ('"Bob" <sip:1001@host>', "1001"),
        ("sip:1001@host;x=y", "1001"),
        ("<sip:host>", None),
        ("<sip:@host>", None),
        ('"<sip:evil@h>" <sip:1001@host>', "1001"),
        ('"a \\" <sip:evil@h>" <sip:1001@host>', "1001"),
        ('"Bob <sip:1001@host>', "1001"),
        ("<sip:1001:secret@host;transport=tls>;tag=1", "1001"),
        ("<sips:o'brien@[2001:db8::1]:5061>", "o'brien"),
        ("<sip:a%20b@h>", "a%20b"),
        ("tel:+4930", "+4930"),
        ("anonymous", "anonymous"),
        ("", None),
        ('"', None),
    ],
)
def test_the_user_part_of_a_refused_identity(identity, user):
    assert user_part(identity) in ((user,) if identity != '"' else (None, '"'))


@pytest.mark.parametrize(
    "line",
    [
        entry(f'Executing [s@x:1] NoOp("SIP/12", "{DOWN}") in new stack', "pbx.c", "VERBOSE"),
        entry(DOWN, "app_verbose.c"),
        entry(f'Saved useragent "{DOWN}" for peer 12', level="VERBOSE"),
        entry("   -- Registration for '12@trunk' timed out, trying again (Attempt #3)"),
        entry("Registered IAX2 to '1.2.3.4', who sees us as 5.6.7.8 with no messages waiting", "chan_iax2.c", "VERBOSE"),
        entry("Registration of 'office' rejected: 'Refused' from: '1.2.3.4'", "chan_iax2.c"),
        entry("Request 'INVITE' from '<sip:1@h>' failed for '1.2.3.4:5' (callid: 1) - No matching endpoint found", "res_pjsip/pjsip_distributor.c"),
        entry("Contact 1/sip:1@1.2.3.4:5 is now Unknown.", "res_pjsip/pjsip_options.c", "VERBOSE"),
        entry("Removed contact 'sip:1@1.2.3.4' from AOR '1' due to remove existing", "res_pjsip_registrar.c", "VERBOSE"),
        entry('SecurityEvent="InvalidPassword",AccountID="12",RemoteAddress="IPV4/UDP/1.2.3.4/5060"', "res_security_log.c", "SECURITY"),
        entry("No '/etc/asterisk/modules.conf' found, no modules will be loaded.", "loader.c", "WARNING"),
    ],
)  # fmt: skip
def test_what_is_no_event(tmp_path, line):
    log = read(tmp_path, entry(UP), line)
    assert found(log) == [(1, "reachable")]
    assert log.unparsed.height == 0


def test_continuation_lines_are_not_believed_but_counted(tmp_path):
    log = read(tmp_path, entry("something\n" + DOWN), entry(UP))
    assert found(log) == [(3, "reachable")]
    assert log.unparsed.select("line", "reason").rows() == [(2, belief.NO_HEADER)]


DUMPS = {
    "chan_sip": (entry("", level="VERBOSE") + "\n<--- SIP read from UDP:1.2.3.4:5060 --->", "<------------->"),
    "behind the header": (entry("<--- SIP read from UDP:1.2.3.4:5060 --->", level="VERBOSE"), "<------------->"),
    "an end inside": (entry("<--- SIP read from UDP:1.2.3.4:5060 --->", level="VERBOSE") + "\n<------------->", "<------------->"),
    "no end": (entry("<--- SIP read from UDP:1.2.3.4:5060 --->", level="VERBOSE"), ""),
    "retransmitting": (entry("Retransmitting #1 (NAT) to 1.2.3.4:5060:", level="VERBOSE"), "---"),
    "transmitting": (entry("<--- Transmitting (NAT) to 1.2.3.4:5060 --->", level="VERBOSE"), "<------------>"),
    "pjsip, wrong length": (entry("<--- Received SIP request (17 bytes) from UDP:1.2.3.4:5060 --->", "res_pjsip_logger.c", "VERBOSE"), "\n"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DUMPS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_dump_that_imitates_lines_is_not_believed(tmp_path, kind, end):
    begin, close = DUMPS[kind]
    lines = [entry(UP), *begin.split("\n"), "OPTIONS sip:x SIP/2.0", entry(DOWN), f"Subject: {entry(DOWN)}", DOWN]
    lines += ["Content-Length: 0", *close.split("\n"), entry(UP)]
    log = read(tmp_path, *lines, end=end)
    assert found(log) == [(1, "reachable"), (len(lines), "reachable")]
    assert log.unparsed.height >= 2
    assert belief.DUMP in log.unparsed["reason"].to_list()


def test_a_dump_that_says_its_length_ends_there(tmp_path):
    body = f"OPTIONS sip:x SIP/2.0\r\n{entry(DOWN)}\r\n\r\n{entry(DOWN)}\r\n"
    begin = entry(
        f"<--- Received SIP request ({len(body)} bytes) from UDP:1.2.3.4:5060 --->", "res_pjsip_logger.c", "VERBOSE"
    )
    log = read(tmp_path, begin, body, entry(UP))
    assert log.events["kind"].to_list() == ["reachable"]


def test_a_dump_does_not_set_the_year_nor_the_clock(tmp_path):
    dump = [
        "[Mar  4 10:00:01] VERBOSE[1] chan_sip.c: <--- SIP read from UDP:1.2.3.4:5060 --->",
        "[2011-01-01 00:00:00] NOTICE[1] chan_sip.c: x is now",
        "<------------->",
    ]
    log = read(tmp_path, f"[Mar  4 10:00:00] NOTICE[1] chan_sip.c: {UP}", *dump, year=2026)
    assert log.events["time"][0].year == 2026
    assert len(log.notes) == 1


def test_many_imitations_do_not_change_how_a_file_is_read(tmp_path):
    """Neither a prefix nor a console layout is believed because an attacker repeats it more often than the PBX writes."""
    fakes = [
        f"Subject: {entry(DOWN)}",
        "[2026-03-04 10:00:00] NOTICE[1]: chan_sip.c:1 f: " + DOWN,
        "    -- Registered SIP '1' at 1.2.3.4:5",
    ]
    dumps = [entry("<--- SIP read from UDP:1.2.3.4:5060 --->", level="VERBOSE"), *fakes, "<------------->"] * 300
    quiet = [entry("Executing [s@x:1]", "pbx.c", "VERBOSE")] * 250
    log = read(tmp_path, *quiet, entry(UP), *dumps, "    -- Unregistered SIP '12'", entry(DOWN), *quiet)
    assert log.events["kind"].to_list() == ["reachable", "unreachable"]


def test_a_cut_entry_that_swallowed_the_next_one(tmp_path):
    long = entry("x" * 8300, "app_x.c")
    log = read(tmp_path, entry(UP), long[:8191] + entry(DOWN), entry(UP))
    assert found(log) == [(1, "reachable"), (2, "unreachable"), (3, "reachable")]


def test_a_cut_dump_that_swallowed_the_next_entry_on_a_short_line(tmp_path):
    begin = entry("<--- SIP read from UDP:1.2.3.4:5060 --->", level="VERBOSE")
    rows = [begin, *["a=candidate:" + "9" * 87 + f"{i:02}" for i in range(100)]]
    text = "\n".join(rows)[:8191]
    log = read(tmp_path, entry(UP), text + entry(DOWN), entry(UP))
    assert log.events["kind"].to_list() == ["reachable", "unreachable", "reachable"]
    quoted = read(tmp_path, entry(UP), begin, "a=x" + entry(DOWN), entry(UP))
    assert quoted.events["kind"].to_list() == ["reachable", "reachable"]
    mostly = read(tmp_path, entry(UP), entry("x"), *["a=x" + entry(DOWN)] * 4)
    assert mostly.events["kind"].to_list() == ["reachable"]


def test_one_file_may_change_its_date_format(tmp_path):
    lines = [
        T.format(0),
        "[Mar  4 10:00:01]",
        "[Mar 4 10:00:02.5]",
        "[1772614803]",
        "[2026-03-04T10:00:04,25]",
        "[04.03.2026 10:00:05]",
    ]
    log = read(tmp_path, *(f"{t} NOTICE[1] chan_sip.c: {DOWN}" for t in lines))
    assert [t.second for t in log.events["time"]] == [0, 1, 2, 3, 4, 5]
    assert log.events["time"].dt.date().n_unique() == 1


def test_a_format_named_by_the_logger_conf_beside_the_log(tmp_path):
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as bundle:
        bundle.writestr(
            "etc/asterisk/logger.conf", "[general]\ndateformat=%d/%m/%y %T.%3q\n[logfiles]\nfull => notice\n"
        )
        bundle.writestr("var/log/asterisk/full", f"[04/03/26 10:00:00.250] NOTICE[1] chan_sip.c: {DOWN}\n")
    log = sf.read_log(tmp_path / "bundle.zip", progress=False)
    assert f"{log.events['time'][0]:%Y-%m-%d %H:%M:%S.%f}" == "2026-03-04 09:00:00.250000"


def test_an_unknown_date_format_is_said_and_nothing_lost(tmp_path):
    log = read(tmp_path, f"[fourth of March at ten] NOTICE[1] chan_sip.c: {DOWN}")
    assert log.events.height == 0
    assert "logger.conf" in log.unparsed["reason"][0]


@pytest.mark.parametrize(
    "line",
    [
        "peer 12 is now UNREACHABLE", "PEER <12> is now unreachable!", "Peer ‘12’ is now UNREACHABLE! Last qualify: 5",
        f"[2026-03-04 10:00:00] NOTICE[1] chan_sip.c: {DOWN.lower().replace('peer', 'Peer')}",
    ],
)  # fmt: skip
def test_a_paraphrase_as_in_the_knowledge_base(tmp_path, line):
    row = read(tmp_path, line).events.row(0, named=True)
    assert (row["kind"], row["peer"], row["tech"]) == ("unreachable", "12", "SIP")


@pytest.mark.parametrize(
    ("last", "unparsed"),
    [
        ("[2026-03-04 10:00:00] NOTICE[17] chan_sip.c: Peer '12' is now UNREA", 1),
        ("[2026-03-04 10:00:00] NOTICE[17] chan_sip.c: Peer '12", 1),
        ("[2026-03-04 10:00:00] VERBOSE[17] chan_sip.c: Registered SIP '12' at 1.2.", 1),
        ("[2026-03-04 10:00:00] VERBOSE[17] pbx.c: Exec", 0),
        ("[2026-03-04 10:0", 0),
    ],
)
def test_a_half_written_last_line(tmp_path, last, unparsed):
    path = tmp_path / "full"
    path.write_text(entry(UP) + "\n" + last)
    log = sf.read_log(path, progress=False)
    assert found(log) == [(1, "reachable")]
    assert log.unparsed.height == unparsed


def test_a_whole_last_line_without_newline_counts(tmp_path):
    (tmp_path / "full").write_text(entry(UP) + "\n" + entry(DOWN))
    assert sf.read_log(tmp_path / "full", progress=False).events.height == 2


def test_damage_loses_no_other_line(tmp_path):
    lines = [
        b"\xef\xbb\xbf" + entry(UP).encode(),
        b"\0" * 4096 + entry(DOWN).encode(),
        b"\xff\xfe is now \x80",
        entry("Peer 'caf").encode() + b"\xe9' is now UNREACHABLE!  Last qualify: 1",
        b"x" * 2_000_000 + b" is now ",
        entry("Peer 'a\rb' is now UNREACHABLE!  Last qualify: 1").encode() + b"\r",
        entry(UP).encode() + b"   ",
    ]
    log = read(tmp_path, *lines)
    assert [line for line, _ in found(log)] == [1, 2, 4, 6, 7]
    assert log.events["peer"].to_list() == ["12", "12", "café", "a\rb", "12"]


def test_only_a_newline_ends_a_line(tmp_path):
    log = read(tmp_path, entry("x\u2028y\x0bz\x85").replace("x", DOWN + "\r"), entry(UP))
    assert found(log) == [(2, "reachable")]


START = [
    ("[2026-03-04 10:00:00] Asterisk 18.1 built by b @ h on a x86_64 running Linux on 2025-01-01 00:00:00 UTC", ""),
    ("Asterisk PBX Core Initializing", "pbx.c"),
    ("Asterisk Dynamic Loader Starting:", "loader.c"),
    ("26 modules will be loaded.", "loader.c"),
    ("Asterisk Ready.", "asterisk.c"),
]


def start(*which, at="10:00:00"):
    lines = [START[i][0] if not START[i][1] else entry(START[i][0], START[i][1], "VERBOSE") for i in which]
    return [line.replace("10:00:00", at, 1) for line in lines]


def test_one_restart_per_start_and_one_shutdown_per_stop(tmp_path):
    stop = [
        entry(t, "asterisk.c", "VERBOSE")
        for t in ("Beginning asterisk shutdown....", "Asterisk cleanly ending (0).", "Executing last minute cleanups")
    ]
    log = read(tmp_path, *start(0, 1, 2, 3, 4), *stop, *start(0, 1, 2, 3, 4, at="10:00:20"))
    assert found(log) == [(2, "restart"), (6, "shutdown"), (10, "restart")]


def test_an_opened_log_is_a_rotation_unless_a_start_follows(tmp_path):
    log = read(
        tmp_path,
        *start(0),
        entry("Asterisk Queue Logger restarted", "logger.c", "VERBOSE"),
        entry(UP),
        *start(0, at="11:00:00"),
        *start(3, at="11:10:00"),
    )
    assert [k for _, k in found(log)] == ["rotate", "rotate", "reachable", "rotate", "restart"]


def test_a_crash_loop_is_several_restarts_and_a_preload_is_one(tmp_path):
    assert [k for _, k in found(read(tmp_path, *start(1, 2, 3), *start(1, 2, 3, at="10:00:09")))] == ["restart"] * 2
    assert [k for _, k in found(read(tmp_path, *start(2, 3, 1, 2, 3, 4)))] == ["restart"]
    assert [k for _, k in found(read(tmp_path, *start(0, 3), *start(0, 3, at="10:00:09")))] == ["restart"] * 2


def test_discarded_messages_are_noted(tmp_path):
    log = read(tmp_path, entry(UP), entry("Logging resumed.  12 messages discarded.", "logger.c", "WARNING"))
    assert any("line 2" in note and "12" in note for note in log.notes)


def test_what_journald_and_rsyslog_dropped_is_noted(tmp_path):
    def by(program, text):
        return f"Mar  4 10:00:0{len(text) % 10} pbx {program}: {text}"

    own = by("asterisk[812]", f"NOTICE[1]: chan_sip.c:1 f: {UP}")
    lost = by("rsyslogd", "imjournal: 58 messages lost due to rate-limiting (20000 allowed within 600 seconds)")
    kept = by("systemd-journald[3]", "Suppressed 40 messages from asterisk.service")
    log = read(tmp_path, own, kept, own, lost, own)
    assert any("98 log messages were discarded, first before line 2" in note for note in log.notes)


def test_json_with_escapes_and_the_plain_line_about_the_opened_file(tmp_path):
    def line(text, module="chan_sip.c"):
        place = {"filename": module, "function": "f", "line": 1}
        return {
            "hostname": "h",
            "timestamp": "2026-03-04 10:00:00,250",
            "identifiers": {"lwp": 1, "callid": ""},
            "logmsg": {"location": place, "level": "NOTICE", "message": text + "\n"},
        }

    name = "ä\"\\/\u2028\u202e'"
    lines = [
        start(0)[0],
        json.dumps(line(f"Peer '{name}' is now Reachable. (43ms / 2000ms)")).replace("'", "\\u0027"),
        json.dumps(line(DOWN, "pbx.c")),
        json.dumps(line("x\n" + DOWN)),
        json.dumps(line(DOWN))[:-20],
    ]
    log = read(tmp_path, *lines)
    assert found(log) == [(1, "rotate"), (2, "reachable")]
    assert log.events["peer"][1] == name
    assert log.unparsed["line"].to_list() == [5]


def test_console_lines_have_no_time_and_need_their_mark(tmp_path):
    head = "[Mar  4 10:00:00] NOTICE[30733]: chan_sip.c:15851 sip_poke_noanswer: "
    log = read(
        tmp_path,
        head + DOWN,
        "    -- Registered SIP '12' at 203.0.113.7:5060",
        DOWN,
        "12/12   203.0.113.7  D  5060 OK (21 ms)",
        year=2026,
    )
    assert found(log) == [(1, "unreachable"), (2, "registered")]
    assert log.events["time"].is_null().to_list() == [False, True]


def test_a_log_without_a_relevant_line_is_a_result_with_a_hint(tmp_path):
    log = read(tmp_path, entry("Executing [s@x:1]", "pbx.c", "VERBOSE"))
    assert log.events.height == log.unparsed.height == 0
    assert any("qualify" in note for note in log.notes)


def test_the_same_log_gives_the_same_frames_twice_and_in_any_container(tmp_path):
    plain = read(tmp_path, *[entry(DOWN), entry(UP)] * 50)
    (tmp_path / "full.gz").write_bytes(gzip.compress((tmp_path / "full").read_bytes()))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        bundle.write(tmp_path / "full", "var/log/asterisk/full")
    (tmp_path / "logs.zip").write_bytes(buffer.getvalue())
    for other in ("full", "full.gz", "logs.zip"):
        again = sf.read_log(tmp_path / other, progress=False)
        assert again.events.drop("file").equals(plain.events.drop("file"))


@pytest.mark.parametrize(
    ("before", "console"),
    [
        ("full.1:", False), ("/var/log/asterisk/full:17:", False), ("asterisk-1  | ", True), ("> ", False),
        ("2026-03-04T09:00:00.123456789Z stdout F ", True), ("Mar 04 10:00:00 pbx asterisk[812]: ", True),
    ],
)  # fmt: skip
def test_what_stands_before_every_line_is_taken_off(tmp_path, before, console):
    head = (
        "[2026-03-04 10:00:00] NOTICE[1]: chan_sip.c:1 f: "
        if console
        else "[2026-03-04 10:00:00] NOTICE[1] chan_sip.c: "
    )
    mark = "    -- " if console else "[2026-03-04 10:00:01] VERBOSE[1] chan_sip.c: "
    lines = [
        head + DOWN,
        mark + "Unregistered SIP '12'",
        head + "<--- SIP read from UDP:1.2.3.4:5 --->",
        head + DOWN,
        "<------------->",
    ]
    log = read(tmp_path, *(before + line for line in lines))
    assert found(log) == [(1, "unreachable"), (2, "unregistered")]
    assert log.events["peer"].to_list() == ["12", "12"]


def test_a_header_without_a_date_is_a_header(tmp_path):
    head = "NOTICE[17903]: chan_sip.c:30555 in sip_poke_noanswer: "
    log = read(tmp_path, head + DOWN, DOWN)
    assert found(log) == [(1, "unreachable")]
    assert log.events["time"].to_list() == [None]


@pytest.mark.parametrize(
    "stamp", ["2026-03-04 25:61:61", "2026-02-30 05:55:37", "2026-13-04 05:55:37", "Feb 31 05:55:37"]
)
def test_a_time_that_cannot_be_is_shown_as_not_understood(stamp, tmp_path):
    log = read(tmp_path, f"[{stamp}] NOTICE[1] chan_sip.c: Peer '1' is now UNREACHABLE!  Last qualify: 72")
    assert log.events.is_empty()
    assert [stamp in text for text in log.unparsed["text"]] == [True]
