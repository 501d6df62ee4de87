"""The scan finds exactly the lines that a plain search finds, wherever blocks and stretches end."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scan_samples import NEEDLES, expected, log, scan_logs, shown, texts, triples, written

from starface_nb.errors import InputError
from starface_nb.reading import lines, read_log, scan
from starface_nb.reading.lines import Blocks, Found, Needles, searched
from starface_nb.reading.marks import MARKS, marks_in
from starface_nb.sources.limits import Account, Limits
from starface_nb.sources.streams import CountedFile, Stream

PIECES = st.sampled_from(
    [b"\n", b"\n\n", b" is now ", b"Registered SIP '", b" is no", b"w ", b"\0", b"\r\n", b"\xff", b"xyz" * 9]
)


def scanned(text: bytes, block: int, threads: int = 1, limits: Limits | None = None, needles=NEEDLES) -> list[Found]:
    """What the blocks of a text hold, if they have so many bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", block)
        blocks = Blocks(Stream.of([text]).readinto, 20)
        found = list(searched(blocks, Needles(needles), Account(limits or Limits()), "x", threads))
    assert (blocks.size, blocks.head, blocks.tail) == (len(text), text[:20], text[-20:])
    assert sum(one.lines for one in found) == text.count(b"\n") + (bool(text) and not text.endswith(b"\n"))
    return found


def places(found: Sequence[Found]) -> list[tuple[int, int, str]]:
    """Offset, line number and text of what was found."""
    rows, before = [], 0
    for one in found:
        numbers = (one.numbers + before + 1).tolist()
        rows += zip(one.offsets.tolist(), numbers, map(shown, one.texts), strict=True)
        before += one.lines
    return rows


@given(st.lists(PIECES, max_size=60), st.integers(1, 50), st.integers(1, 3))
def test_search_equals_plain_search_whatever_the_blocks(pieces: list[bytes], block: int, threads: int) -> None:
    text = b"".join(pieces)
    assert places(scanned(text, block, threads)) == expected(text)


@settings(max_examples=60, deadline=None)
@given(st.lists(PIECES.filter(bytes.isascii), min_size=1, max_size=80), st.integers(20, 90))
def test_blocks_of_a_file_join_without_seam(tmp_path_factory, pieces: list[bytes], block: int) -> None:
    path = written(tmp_path_factory.mktemp("s") / "full", b"[x] plain text to begin with\n" + b"".join(pieces))
    text = path.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", block)
        (hits,), _ = scan_logs([path], NEEDLES)
    assert triples(hits) == expected(text)
    assert hits.lines == text.count(b"\n") + (not text.endswith(b"\n"))
    assert (hits.bytes, hits.ends.head, hits.ends.tail) == (len(text), text, text)


@given(st.lists(PIECES, max_size=60), st.integers(20, 60), st.integers(30, 80))
def test_of_lines_too_long_to_be_carried_on_a_block_is_looked_at(pieces: list[bytes], block: int, carry: int) -> None:
    text = b"".join(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "CARRY", carry)
        got = places(scanned(text, block, limits=Limits(max_line=16)))
    wanted = [(at, number, shown(re.split(rb"[\0\n]", text[at:])[0][:16])) for at, number, _ in expected(text)]
    is_short = [len(line) <= carry for line in text.split(b"\n")]
    assert [hit for hit in wanted if is_short[hit[1] - 1]] == [hit for hit in got if is_short[hit[1] - 1]]
    assert set(got) <= set(wanted)


def test_many_candidates_in_a_block_and_few_give_the_same_numbers(tmp_path: Path) -> None:
    for every in (1, 3, 5000):
        text = log(30_000, every=every)
        (hits,), notes = scan_logs([written(tmp_path / f"full.{every}", text)], NEEDLES)
        assert triples(hits) == expected(text)
        assert notes == []


@pytest.mark.parametrize("where", ["first", "behind the block", "none"])
def test_giant_line_loses_no_other_line(tmp_path: Path, where: str) -> None:
    size = 10 << 20
    filler = bytearray(b"x" * size)
    at = {"first": 100_000, "behind the block": size - 8, "none": None}[where]
    if at is not None:
        filler[at : at + 8] = b" is now "
    text = log(300) + bytes(filler) + b"\n" + log(300, seed=2)
    wanted = [hit for hit in expected(text) if where == "first" or not hit[2].startswith("xxx")]
    for path in (written(tmp_path / "full", text), _gz(tmp_path / "full.gz", text)):
        (hits,), _ = scan_logs([path], NEEDLES)
        assert triples(hits) == wanted
        assert "longer than 64 KiB were cut" in hits.note


@pytest.mark.parametrize("size", [1, 4096, 100_000, lines.CARRY, lines.CARRY + 1, (1 << 20) - 7000, 1_200_000, 9 << 20])
@pytest.mark.parametrize("half", [b"", b"[2026-03-04 00:05:00] NOTICE[211] chan_sip.c: Peer '7.sn"])
def test_a_line_behind_a_hole_of_zeros_is_read(tmp_path: Path, size: int, half: bytes) -> None:
    behind = log(300, every=1, seed=2)
    text = log(100, seed=3) + half + bytes(size) + behind
    (hits,), _ = scan_logs([written(tmp_path / "full", text)], NEEDLES)
    assert triples(hits) == expected(text)
    assert len(texts(hits)) > behind.count(b"\n")
    assert (hits.lines, hits.note) == (400, "")
    read = read_log(tmp_path / "full", progress=False)
    assert read.events.height == len(texts(hits))
    assert not read.unparsed.height


def test_giant_last_line_without_newline(tmp_path: Path) -> None:
    text = log(50) + b"Registered SIP 'a' " + b"y" * (6 << 20)
    (hits,), _ = scan_logs([written(tmp_path / "full", text)], NEEDLES)
    assert triples(hits) == expected(text)
    assert hits.lines == 51
    assert "unfinished" in hits.note


@pytest.mark.parametrize("place", [64, 65])
def test_every_mark_is_found_at_even_and_at_odd_places(place: int) -> None:
    for mark in MARKS:
        buffer = bytearray(place - 1) + b"\n" + mark + b"\n---\n" + bytes(64)
        found = marks_in(buffer, place, len(buffer) - 64, 0)
        assert (found.at.tolist(), found.sent_ends.tolist()) == ([place], [place + len(mark) + 1])


def test_odd_bytes_and_line_ends(tmp_path: Path) -> None:
    text = (
        b"\xef\xbb\xbf[a] Peer 'b' is now Reachable\r\n"
        + b"\0" * 5000
        + b"\n[a] \xff\xfe\x80 is now \xc3\x28\n\x0c\x0bx is now y\rz is now w\n"
        + "[a] Peer 'ü\u2028\x85' is now Lagged\n".encode()
        + b"[a] half a line is now Reach"
    )
    (hits,), _ = scan_logs([written(tmp_path / "full", text)], NEEDLES)
    assert triples(hits) == expected(text)
    assert len(triples(hits)) == 5
    assert hits.note == "the last line is unfinished"


def test_utf16_is_read_and_said(tmp_path: Path) -> None:
    plain = log(500).decode()
    for codec, bom in (("utf-16", True), ("utf-16-le", False), ("utf-16-be", False)):
        (hits,), _ = scan_logs([written(tmp_path / f"full.{codec}", plain.encode(codec))], NEEDLES)
        assert [line for _, _, line in triples(hits)] == [line for _, _, line in expected(plain.encode())], bom
        assert "UTF-16" in hits.note


def test_same_content_has_the_same_fingerprint_in_any_container(tmp_path: Path) -> None:
    text = log(1000)
    paths = [
        written(tmp_path / "full", text),
        _gz(tmp_path / "full.1.gz", text),
        written(tmp_path / "full.2", text + b"x\n"),
    ]
    plain, packed, other = scan_logs(paths, NEEDLES)[0]
    assert plain.fingerprint == packed.fingerprint != other.fingerprint
    assert triples(plain) == triples(packed)


def test_result_is_the_same_on_one_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BLOCK", 5000)
    path = written(tmp_path / "full", log(3000))
    monkeypatch.setattr(scan, "cores", lambda: 4)
    many = scan_logs([path], NEEDLES)[0][0]
    monkeypatch.setattr(scan, "cores", lambda: 1)
    one = scan_logs([path], NEEDLES)[0][0]
    assert triples(one) == triples(many)
    assert one.fingerprint == many.fingerprint


def test_a_log_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "full", log(100) + b"[a] Peer 'b' is n")
    original = CountedFile.readinto

    def change_then_read(self, room):
        change()
        return original(self, room)

    monkeypatch.setattr(CountedFile, "readinto", change_then_read)

    def grow() -> None:
        with path.open("ab") as file:
            file.write(b"ow Reachable\n")

    def shrink() -> None:
        os.truncate(path, 1000)

    change, size = grow, path.stat().st_size
    (hits,), _ = scan_logs([path], NEEDLES)
    assert hits.bytes == size
    assert triples(hits) == expected(path.read_bytes()[:size])
    assert "unfinished" in hits.note
    change = shrink  # what is left must not pass for the whole log
    with pytest.raises(InputError, match=r"became shorter while it was read; 1,000 of"):
        scan_logs([path], NEEDLES)


def test_relevant_lines_are_bounded(tmp_path: Path) -> None:
    path = written(tmp_path / "full", log(2000, every=1))
    with pytest.raises(InputError, match="relevant lines"):
        scan_logs([path], NEEDLES, limits=Limits(max_hit_bytes=10_000))


@given(
    st.lists(
        st.sampled_from([b"ab", b"cd is now ", b"x is now", b" is no", b"now ", b"w 1", b"\n", b"abab"]), max_size=40
    ),
    st.lists(
        st.sampled_from([b"abcd", b" is now ", b"now w", b"cd is", b"a", b"w 1ab", b"bcd is now abab"]), min_size=1
    ),
)
def test_overlapping_needles_and_rare_windows_hide_no_line(pieces: list[bytes], needles: list[bytes]) -> None:
    text = b"".join(pieces)
    found = [line for one in scanned(text, 1000, needles=needles) for line in one.texts]
    assert found == [line for line in text.split(b"\n") if any(n in line for n in needles)]


def test_interrupt_stops_the_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(lines, "search", interrupt)
    for cores in (1, 3):
        monkeypatch.setattr(scan, "cores", lambda cores=cores: cores)
        with pytest.raises(KeyboardInterrupt):
            scan_logs([written(tmp_path / "full", log(100))], NEEDLES)


def _gz(path: Path, text: bytes) -> Path:
    import gzip

    return written(path, gzip.compress(text, 1))
