"""Text from the network imitates lines and marks of dumps; none of it is believed, wherever blocks end."""

from __future__ import annotations

from pathlib import Path

import pytest
from scan_samples import PACK, written

import starface_nb as sf
from starface_nb.reading import lines

FAKE = "[2026-03-04 10:00:00] NOTICE[17] chan_sip.c: Peer 'fake' is now UNREACHABLE!  Last qualify: 39"
MARKS = ["<------------->", "<------------>", "---", "<--- SIP read from UDP:1.2.3.4:5060 --->", "x <-------- y"]
HEAD = ["OPTIONS sip:x SIP/2.0", "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport", "Content-Length: 0", ""]
LOGGER = "[2026-03-04 10:00:00] VERBOSE[17] {}: "


def genuine(number: int) -> str:
    stamp = f"[2026-03-04 10:{number // 60 % 60:02d}:{number % 60:02d}]"
    return f"{stamp} NOTICE[17] chan_sip.c: Peer '{number}' is now Reachable. (9ms / 2000ms)"


def received(body: list[str]) -> list[str]:
    return [LOGGER.format("chan_sip.c"), "<--- SIP read from UDP:1.2.3.4:5060 --->", *body, "<------------->"]


def answered(body: list[str]) -> list[str]:
    return [LOGGER.format("chan_sip.c"), "<--- Transmitting (NAT) to 1.2.3.4:5060 --->", *body, "<------------>"]


def sent(body: list[str]) -> list[str]:
    return [LOGGER.format("chan_sip.c") + "Reliably Transmitting (NAT) to 1.2.3.4:5060:", *body, "---"]


def counted(body: list[str]) -> list[str]:
    size = sum(len(line.encode()) + 1 for line in body)
    begin = f"<--- Received SIP request ({size} bytes) from UDP:1.2.3.4:5060 --->"
    return [LOGGER.format("res_pjsip_logger.c") + begin, *body, ""]


DUMPS = {"received": received, "answered": answered, "sent": sent, "counted": counted}
# What each kind of dump may hold without its end being imitated: an end mark in a received text ends nothing.
INSIDE = {
    "received": [FAKE, *MARKS[:3], FAKE, MARKS[4], FAKE],
    "answered": [FAKE, MARKS[4], FAKE],
    "sent": [FAKE, MARKS[3], FAKE, MARKS[0], FAKE, f"Subject: {FAKE}"],
    "counted": [FAKE, MARKS[0], FAKE, MARKS[3], FAKE, MARKS[2], FAKE, *HEAD, FAKE, MARKS[0], FAKE],
}


def log_of(kinds: list[str], count: int) -> list[str]:
    text = [genuine(0)]
    for number in range(1, count):
        kind = kinds[number % len(kinds)]
        text += [*DUMPS[kind]([*HEAD[:2], *INSIDE[kind], *HEAD[2:]]), genuine(number)]
    return text


@pytest.mark.parametrize("kinds", [[kind] for kind in DUMPS] + [list(DUMPS)], ids="-".join)
@pytest.mark.parametrize("block", [1 << 22, 280_000])
def test_nothing_in_a_dump_is_believed_and_nothing_else_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: list[str], block: int
) -> None:
    monkeypatch.setattr(lines, "BLOCK", block)
    text = "\n".join(log_of(kinds, 900)).encode() + b"\n"
    assert len(text) > 1.5 * 280_000
    for path in (written(tmp_path / "full", text), written(tmp_path / "full.gz", PACK["gz"](text))):
        log = sf.read_log(path, progress=False)
        assert log.events["peer"].to_list() == [str(number) for number in range(900)]
        assert log.unparsed.height > 900
        assert all(FAKE in line for line in log.unparsed["text"])
        assert sf.read_log(path, progress=False).unparsed.equals(log.unparsed)


@pytest.mark.parametrize("shift", range(0, 700, 23))
def test_a_dump_over_the_border_of_two_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift: int) -> None:
    """Wherever a block ends within a dump, or between its marks and what they decide."""
    monkeypatch.setattr(lines, "BLOCK", 200_000)
    for kind, make in DUMPS.items():
        quiet = "[2026-03-04 09:00:00] VERBOSE[1] pbx.c: " + "x" * 59
        dump = make([*HEAD[:2], *INSIDE[kind], *HEAD[2:]])
        text = [genuine(1), *[quiet] * 1990, "y" * (900 - shift), *dump, genuine(2), *dump, genuine(3)]
        log = sf.read_log(written(tmp_path / kind, "\n".join(text).encode()), progress=False)
        assert log.events["peer"].to_list() == ["1", "2", "3"], kind


@pytest.mark.parametrize("kind", DUMPS)
@pytest.mark.parametrize("prefix", ["", "messages-20170203:", "asterisk-1  | "])
def test_continuations_and_headers_of_an_attacker(tmp_path: Path, kind: str, prefix: str) -> None:
    """Outside of dumps, too, only what has Asterisk's header at its line's beginning is an event."""
    quotes = [
        LOGGER.format("pbx.c") + f'Executing [s@x:1] NoOp("SIP/1", "{FAKE}") in new stack',
        LOGGER.format("app_verbose.c") + "caller is\n" + f"Peer 'fake' is now Reachable. (1ms / 2ms)\nX-Evil: {FAKE}",
        LOGGER.format("chan_sip.c") + f'Saved useragent "{FAKE}" for peer 1',
        LOGGER.format("pbx.c") + "NoOp(<--- SIP read from UDP:1.2.3.4:5060 --->)",
        LOGGER.format("pbx.c") + "Executing <-------- arrow",
    ]
    quiet = [LOGGER.format("pbx.c") + "Goto (macro-dial,s,1)"] * 60
    text = [*map(genuine, range(20)), *quiet, *DUMPS[kind](HEAD), *quotes, genuine(20), *DUMPS[kind](HEAD), genuine(21)]
    whole = "\n".join(prefix + line for line in "\n".join(text).split("\n"))
    log = sf.read_log(written(tmp_path / "full", whole.encode() + b"\n"), progress=False)
    assert log.events["peer"].to_list() == [str(number) for number in range(22)]


def test_a_dump_whose_line_ends_were_changed_ends_with_its_head(tmp_path: Path) -> None:
    """The length that PJSIP states counts carriage returns, which a copy may have lost."""
    body = [*HEAD[:2], FAKE, *HEAD[2:]]
    begin = f"<--- Received SIP request ({sum(len(x) + 2 for x in body)} bytes) from UDP:1.2.3.4:5060 --->"
    text = []
    for number in range(50):
        text += [LOGGER.format("res_pjsip_logger.c") + begin, *body, "", genuine(number)]
    log = sf.read_log(written(tmp_path / "full", "\n".join(text).encode()), progress=False)
    assert log.events["peer"].to_list() == [str(number) for number in range(50)]
