"""The lines around a place are found at once, in plain files, archives and what came through a pipe."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from scan_samples import NEEDLES, PACK, log, scan_logs, tarred, triples, written, zipped

import starface_nb as sf
from starface_nb.errors import InputError
from starface_nb.reading import context, scan
from starface_nb.reading.context import lines_around, read_range
from starface_nb.reading.hits import Hits

TEXT = log(5000)


def check(hits: Hits) -> None:
    physical, found = TEXT.split(b"\n"), triples(hits)
    for offset, number, text in (found[0], found[len(found) // 2], found[-1], found[1]):
        lines = lines_around(hits.name, offset, before=3, after=2)
        assert [line.is_hit for line in lines].count(True) == 1
        hit = next(k for k, line in enumerate(lines) if line.is_hit)
        assert [line.text.encode() for line in lines] == physical[number - 1 - hit : number - 1 - hit + len(lines)]
        assert all(TEXT[line.offset :].startswith(line.text.encode()) for line in lines)
        assert read_range(hits.name, offset, offset + len(text)) == text.encode()


@pytest.mark.parametrize("kind", ["", *PACK])
def test_plain_compressed_and_members(tmp_path: Path, kind: str) -> None:
    pack = PACK.get(kind, bytes)
    members = {"a/full": log(300, seed=3), "a/full.1": pack(TEXT)}
    for path in (
        written(tmp_path / f"full{kind}", pack(TEXT)),
        written(tmp_path / "x.zip", zipped(members)),
        written(tmp_path / "x.tar", pack(tarred(members))),
        written(tmp_path / "nested.zip", zipped({"inner.tar": tarred(members)})),
    ):
        check(scan_logs([path], NEEDLES)[0][-1])


def test_utf16_counts_the_offsets_of_what_was_read(tmp_path: Path) -> None:
    check(scan_logs([written(tmp_path / "full", TEXT.decode().encode("utf-16"))], NEEDLES)[0][0])


@pytest.mark.parametrize("pack", [bytes, PACK["gz"]])
def test_lines_of_standard_input_are_shown_as_long_as_the_log_is_there(monkeypatch: pytest.MonkeyPatch, pack) -> None:
    class Input:
        buffer = io.BufferedReader(io.BytesIO(pack(TEXT)))  # type: ignore[arg-type]

    monkeypatch.setattr(sys, "stdin", Input())
    read = sf.read_log("-", progress=False)
    shown = read.context(3, before=1, after=1)
    line = int(read.events["line"][3])
    assert [one.text.encode() for one in shown.lines] == TEXT.split(b"\n")[line - 2 : line + 1]
    assert [one.is_hit for one in shown.lines] == [False, True, False]
    monkeypatch.setattr(scan, "PIPED", 1000)
    Input.buffer = io.BufferedReader(io.BytesIO(TEXT))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="pipe"):
        sf.read_log("-", progress=False).context(0)


def test_edges_of_the_log_and_giant_neighbours(tmp_path: Path) -> None:
    giant = b"z" * 200_000
    text = b"first\n" + giant + b"\nhit\n" + giant + b"\nlast"
    path = str(written(tmp_path / "full", text))
    assert [line.text for line in lines_around(path, 0, 2, 0)] == ["first"]
    around = lines_around(path, 6 + len(giant) + 1, 5, 5)
    assert around[0].text == "hit"
    assert around[0].is_hit
    assert [line.text for line in lines_around(path, len(text) - 4)] == ["last"]
    assert read_range(path, len(text) - 4, len(text) + 99) == b"last"
    assert read_range(path, 10, 5) == b""


def test_a_log_that_is_gone_or_changed(tmp_path: Path) -> None:
    path = written(tmp_path / "full.gz", PACK["gz"](TEXT))
    (hits,), _ = scan_logs([path], NEEDLES)
    assert read_range(hits.name, 0, 100) == TEXT[:100]
    written(path, PACK["gz"](b"another content\n"))
    assert read_range(hits.name, 0, 100) == b"another content\n"
    path.unlink()
    with pytest.raises(InputError, match="no longer there"):
        read_range(hits.name, 0, 100)
    bundle = written(tmp_path / "x.zip", zipped({"full": TEXT}))
    with pytest.raises(InputError, match="no longer in the archive"):
        read_range(f"{bundle}!full.7", 0, 10)


def test_going_forward_through_a_compressed_log_reads_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, reader = log(40_000), context._Reader
    path = str(written(tmp_path / "full.gz", PACK["gz"](text)))
    begun = []
    monkeypatch.setattr(context, "_Reader", lambda *of: begun.append(of) or reader(*of))
    for at in range(0, len(text), len(text) // 200):
        assert read_range(path, at, at + 50) == text[at : at + 50]
    assert len(begun) == 1
