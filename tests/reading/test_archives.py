"""Hostile archives: nothing is written, nothing runs away, and the message says what was refused and why."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from scan_samples import NEEDLES, PACK, expected, log, scan_logs, tarred, texts, written, zipped

from starface_nb import read_log
from starface_nb.errors import InputError
from starface_nb.reading.hits import Reader
from starface_nb.sources.limits import UNPACK, Limits

TEXT = log()
LINES = [line for _, _, line in expected(TEXT)]


@pytest.fixture(autouse=True)
def _nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run in an empty folder and look at the end that only the test's own files are anywhere near."""
    inside = tmp_path / "deep" / "er"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    yield
    assert list(inside.iterdir()) == []
    allowed = {".zip", ".tar", *(f".{kind}" for kind in PACK)}
    assert all(p == tmp_path / "deep" or p.suffix in allowed for p in tmp_path.iterdir())


def _tar(members: list[tuple[tarfile.TarInfo, bytes]], **options: object) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as archive:  # type: ignore[call-overload]
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _info(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize("outside", ["../../full", "a/../../full", "..\\full", "/../full"])
def test_names_that_point_outside(tmp_path: Path, outside: str) -> None:
    members = {outside: TEXT, "full.1": TEXT}
    hits, notes = scan_logs([path := written(tmp_path / "x.zip", zipped(members))], NEEDLES)
    assert [h.name for h in hits] == [f"{path}!full.1"]
    assert any(f"refused: its name points outside the archive. {UNPACK}" in note for note in notes)
    hits, notes = scan_logs([path := written(tmp_path / "x.tar", tarred(members))], NEEDLES)
    assert [h.name for h in hits] == [f"{path}!full.1"]


def test_absolute_names_are_read_in_place(tmp_path: Path) -> None:
    for path in (
        written(tmp_path / "x.zip", zipped({"/var/log/asterisk/full": TEXT})),
        written(tmp_path / "x.tar", tarred({"/var/log/asterisk/full": TEXT})),
    ):
        (hits,), _ = scan_logs([path], NEEDLES)
        assert texts(hits) == LINES


def test_links_and_devices_in_a_tar(tmp_path: Path) -> None:
    members = [
        (_info("full", tarfile.SYMTYPE, "/etc/passwd"), b""),
        (_info("full.1", tarfile.LNKTYPE, "full"), b""),
        (_info("full.2", tarfile.CHRTYPE), b""),
        (_info("full.3", tarfile.FIFOTYPE), b""),
        (_info("full.4"), TEXT),
    ]
    hits, notes = scan_logs([written(tmp_path / "x.tar", _tar(members))], NEEDLES)
    assert [texts(h) for h in hits] == [LINES]
    for what in ("symbolic link", "hard link", "device file", "named pipe"):
        assert any(what in note and "refused" in note for note in notes)


def test_link_in_a_zip(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("full")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
        archive.writestr("full.1", TEXT)
    hits, notes = scan_logs([written(tmp_path / "x.zip", buffer.getvalue())], NEEDLES)
    assert [texts(h) for h in hits] == [LINES]
    assert any("symbolic link" in note for note in notes)


def test_bomb_in_a_zip_and_in_an_inner_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starface_nb.sources.limits.HARMLESS", 1 << 20)
    bomb = zipped({"var/log/asterisk/full": bytes(64 << 20)})
    for path in (
        written(tmp_path / "x.zip", bomb),
        written(tmp_path / "y.zip", zipped({"inner.zip": bomb})),
        written(tmp_path / "z.tar", tarred({"full": PACK["gz"](bytes(64 << 20))})),
    ):
        with pytest.raises(InputError, match=r"refused.*bomb"):
            scan_logs([path], NEEDLES)


def test_an_inner_zip_is_not_held_without_bound(tmp_path: Path) -> None:
    inner = zipped({"full": os.urandom(200_000)}, zipfile.ZIP_STORED)
    path = written(tmp_path / "x.zip", zipped({"inner.zip": inner}))
    with pytest.raises(InputError, match="more than 100,000 bytes inside archives"):
        scan_logs([path], NEEDLES, limits=Limits(max_held_bytes=100_000))


def test_thousands_of_members(tmp_path: Path) -> None:
    many = {f"junk/{i}.json": b"" for i in range(3000)} | {"full": TEXT}
    limits = Limits(max_members=2000)
    for path in (written(tmp_path / "x.zip", zipped(many)), written(tmp_path / "x.tar", tarred(many))):
        assert [texts(h) for h in scan_logs([path], NEEDLES)[0]] == [LINES]
        with pytest.raises(InputError, match=r"has (more than )?[\d,]+ members.*unpack it yourself"):
            scan_logs([path], NEEDLES, limits=limits)


def test_a_table_of_contents_that_lies_about_its_size(tmp_path: Path) -> None:
    data = bytearray(zipped({"full": TEXT}))
    end = data.rfind(b"PK\x05\x06")
    data[end + 8 : end + 12] = struct.pack("<HH", 60_000, 60_000)
    with pytest.raises(InputError, match=r"60,000 members"):
        scan_logs([written(tmp_path / "x.zip", bytes(data))], NEEDLES)
    data[end + 8 : end + 16] = struct.pack("<HHL", 1, 1, 0xF0000000)
    with pytest.raises(InputError, match="refused"):
        scan_logs([written(tmp_path / "x.zip", bytes(data))], NEEDLES)


def test_a_tar_header_that_asks_for_gigabytes(tmp_path: Path) -> None:
    info = _info("x", tarfile.GNUTYPE_LONGNAME)
    info.size = 8 << 30
    header = info.tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(InputError, match=r"header has 8,589,934,592 bytes"):
        scan_logs([written(tmp_path / "x.tar", header + bytes(4096))], NEEDLES)


def test_encrypted_zip(tmp_path: Path) -> None:
    data = bytearray(zipped({"var/log/asterisk/full": TEXT}))
    for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(magic) + flags
        data[at] |= 1
    with pytest.raises(InputError, match=r"encrypted.*password"):
        scan_logs([written(tmp_path / "x.zip", bytes(data))], NEEDLES)


def test_unknown_compression_method(tmp_path: Path) -> None:
    data = bytearray(zipped({"full": TEXT}))
    for magic, method in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = data.find(magic) + method
        data[at : at + 2] = struct.pack("<H", 9)
    with pytest.raises(InputError, match=r"compression method \(9\)"):
        scan_logs([written(tmp_path / "x.zip", bytes(data))], NEEDLES)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_and_wrong_checksums(tmp_path: Path, method: int) -> None:
    data = bytearray(zipped({"full": TEXT}, method))
    path = written(tmp_path / "x.zip", bytes(data))
    assert [texts(h) for h in scan_logs([path], NEEDLES)[0]] == [LINES]
    at = data.find(b"PK\x01\x02") + 16
    data[at] ^= 0xFF
    with pytest.raises(InputError, match=r"damaged|corrupt"):
        scan_logs([written(path, bytes(data))], NEEDLES)


@pytest.mark.parametrize("keep", [0.4, 0.9, 0.999])
def test_cut_off_archives(tmp_path: Path, keep: float) -> None:
    text = log(20_000)
    for path, data in ((tmp_path / "x.zip", zipped({"full": text})), (tmp_path / "x.tar", tarred({"full": text}))):
        cut = data[: int(len(data) * keep)]
        if path.suffix == ".tar" and keep > 0.99:
            continue  # only padding is missing
        with pytest.raises(InputError, match=r"(cut off|damaged).* again"):
            scan_logs([written(path, cut)], NEEDLES)


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("name", ["full", "x.tar"])
def test_what_is_cut_off_at_its_beginning_says_what_to_do(tmp_path: Path, kind: str, name: str) -> None:
    data = PACK[kind](tarred({"full": TEXT}) if name == "x.tar" else TEXT)
    with pytest.raises(InputError, match=r"(cut off|damaged|corrupt).* again"):
        scan_logs([written(tmp_path / f"{name}.{kind}", data[: len(data) // 4])], NEEDLES)


@pytest.mark.parametrize("packed", [bytes, PACK["gz"]])
def test_joined_tars_are_read_to_their_end(packed: Callable[[bytes], bytes], tmp_path: Path) -> None:
    first, second = tarred({"full.1": TEXT}), tarred({"full": b"[2026-03-05 08:00:00] VERBOSE[1] x.c: y\n" + TEXT})
    path = written(tmp_path / "x.tar", packed(first) + packed(second))
    assert [one.name for one in scan_logs([path], NEEDLES)[0]] == [f"{path}!full.1", f"{path}!full"]
    padded = written(tmp_path / "padded.tar", packed(first) + packed(b"no header " * 100))
    assert [one.name for one in scan_logs([padded], NEEDLES)[0]] == [f"{padded}!full.1"]
    cut = written(tmp_path / "cut.tar", packed(first + second[:700]))
    with pytest.raises(InputError, match="cut off"):
        scan_logs([cut], NEEDLES)


def test_cut_off_tar_gz_is_an_error_even_if_some_members_are_whole(tmp_path: Path) -> None:
    data = PACK["gz"](tarred({"full": TEXT, "full.1": os.urandom(1000).hex().encode() * 100 + b"\n"}))
    path = written(tmp_path / "x.tar.gz", data[: len(data) - 300])
    with pytest.raises(InputError, match="cut off"):
        scan_logs([path], NEEDLES)
    hits, _ = scan_logs([path], NEEDLES, limits=Limits(allow_damaged=True))
    assert texts(hits[0]) == LINES


def test_a_tar_that_claims_more_than_there_is_ends_at_once(tmp_path: Path) -> None:
    data = bytearray(tarred({"full": TEXT}))
    info = tarfile.TarInfo("full.1")
    info.size = 8 << 40
    data[data.rfind(TEXT[-20:]) // 512 * 512 + 512 :] = info.tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(InputError, match=r"cut off|limit"):
        scan_logs([written(tmp_path / "x.tar", bytes(data))], NEEDLES)


def test_one_damaged_member_does_not_stop_the_others(tmp_path: Path) -> None:
    data = bytearray(zipped({"full": TEXT, "full.1": TEXT}))
    data[data.rfind(b"PK\x01\x02") + 16] ^= 0xFF
    hits, _ = scan_logs([written(tmp_path / "x.zip", bytes(data))], NEEDLES)
    assert [("damaged" in h.note) for h in hits] == [False, True]
    assert texts(hits[1]) == LINES


@pytest.mark.parametrize("pack", [PACK["gz"], lambda text: PACK["gz"](tarred({"full": text}))], ids=["gz", "tar.gz"])
def test_nothing_is_used_of_a_file_in_which_bytes_are_wrong(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    written(tmp_path / "full.1.gz", PACK["gz"](TEXT))
    sound = read_log(tmp_path, progress=False)
    data = bytearray(pack(log(60_000)))
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    written(tmp_path / "full.gz", bytes(data))
    found = read_log(tmp_path, progress=False)
    assert found.events.equals(sound.events)
    assert [file.damaged for file in found.files] == [False, True]
    assert [note.partition(": ")[2][:8] for note in found.notes[:1]] == ["damaged:"]
    assert "skipped: " in found.notes[1]
    assert not any("clock" in note for note in found.notes)
    allowed = read_log(tmp_path, progress=False, limits=Limits(allow_damaged=True))
    assert allowed.events.height > sound.events.height


def test_names_odd_and_doubled(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("full.\x1b[31m\u202e", TEXT)
        archive.writestr("full", TEXT)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("full", TEXT)
    tar = _tar(
        [(_info(f"a/full.\udcff{'x' * 150}"), TEXT), (_info("full"), TEXT), (_info("full"), TEXT)],
        format=tarfile.GNU_FORMAT,
        encoding="utf-8",
        errors="surrogateescape",
    )
    pax = tarred({"ü/full." + "y" * 200: TEXT}, format=tarfile.PAX_FORMAT)
    for path in (
        written(tmp_path / "x.zip", buffer.getvalue()),
        written(tmp_path / "x.tar", tar),
        written(tmp_path / "p.tar", pax),
    ):
        hits, _ = scan_logs([path], NEEDLES)
        assert all(texts(h) == LINES for h in hits)
        assert len({h.name for h in hits}) == len(hits) == (1 if path.name == "p.tar" else 3)
        assert all(h.name.isprintable() for h in hits)


def test_times_of_members(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("full", (2026, 3, 4, 12, 0, 0))
        info.extra = struct.pack("<HHBi", 0x5455, 5, 1, 1_772_600_000)
        archive.writestr(info, TEXT)
        archive.writestr(zipfile.ZipInfo("full.1", (2026, 3, 4, 12, 0, 0)), TEXT)
    first, second = scan_logs([written(tmp_path / "x.zip", buffer.getvalue())], NEEDLES)[0]
    assert first.modified == datetime.fromtimestamp(1_772_600_000, UTC)
    assert second.modified == datetime(2026, 3, 4, 12, tzinfo=UTC)
    (member,), _ = scan_logs([written(tmp_path / "x.tar", tarred({"full": TEXT}))], NEEDLES)
    assert member.modified == datetime.fromtimestamp(1_772_600_000, UTC)


def test_empty_archives_and_archives_without_log(tmp_path: Path) -> None:
    for data in (zipped({}), zipped({"a.json": b"{}"}), tarred({"a.json": b"{}"})):
        with pytest.raises(InputError, match="holds no log"):
            scan_logs([written(tmp_path / "x.zip", data)], NEEDLES)


def test_zips_in_zips_are_counted_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few bytes that unpack to many thousand logs: refused before one of them is read, beside a good log left out."""
    read, hits_of = [], Reader.hits
    monkeypatch.setattr(Reader, "hits", lambda reader: read.append(reader.text.name) or hits_of(reader))
    bomb = zipped({f"full.{i}": TEXT[:60] for i in range(15)}, zipfile.ZIP_STORED)
    for _ in range(2):
        bomb = zipped({f"{i}.zip": bomb for i in range(15)}, zipfile.ZIP_STORED)
    path = written(tmp_path / "x.zip", zipped({"all.zip": bomb}))
    assert path.stat().st_size < 80_000
    with pytest.raises(InputError, match=r"refused.*128 archives in archives.*unpack it yourself"):
        scan_logs([path], NEEDLES)
    hits, notes = scan_logs([written(path, zipped({"all.zip": bomb, "full": TEXT}))], NEEDLES)
    assert [texts(h) for h in hits] == [LINES]
    assert any("refused" in note and "all.zip" in note for note in notes)
    tarred_bomb = PACK["gz"](tarred({f"{i}.tar": tarred({"full": TEXT[:60]}) for i in range(200)}))
    with pytest.raises(InputError, match=r"refused.*128 archives in archives"):
        scan_logs([written(tmp_path / "x.tar", tarred({"inner.tgz": tarred_bomb}))], NEEDLES)
    assert read == [f"{path}!full"]


def test_members_of_all_archives_are_counted_together(tmp_path: Path) -> None:
    junk = {f"{i}.json": b"" for i in range(40)}
    path = written(tmp_path / "x.zip", zipped({"a.zip": zipped(junk), "b.tar": tarred(junk), "c.zip": zipped(junk)}))
    with pytest.raises(InputError, match=r"more than 100 members"):
        scan_logs([path], NEEDLES, limits=Limits(max_members=100))


def test_members_that_share_their_bytes(tmp_path: Path) -> None:
    data = zipped({"full": TEXT, "full.1": TEXT})
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 4)
    same = bytearray(data)
    same[second + 42 : second + 46] = data[first + 42 : first + 46]  # where the member begins
    with pytest.raises(InputError, match=r"refused.*share their bytes"):
        scan_logs([written(tmp_path / "x.zip", bytes(same))], NEEDLES)


def test_a_good_log_beside_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starface_nb.sources.limits.HARMLESS", 1 << 20)
    deep = TEXT
    for _ in range(4):
        deep = zipped({"inner.zip": deep})
    bad = {
        "deep.zip": deep,
        "bomb.zip": zipped({"full": bytes(64 << 20)}),
        "large.zip": zipped({"full": os.urandom(200_000)}, zipfile.ZIP_STORED),
        "damaged.zip": zipped({"full": TEXT})[:-30],
    }
    limits = Limits(max_held_bytes=150_000)
    for name, data in bad.items():
        for members in ({name: data, "var/log/asterisk/full": TEXT}, {"var/log/asterisk/full": TEXT, name: data}):
            for path in (
                written(tmp_path / "x.zip", zipped(members)),
                written(tmp_path / "x.tar", tarred(members)),
                written(tmp_path / "x.tar.gz", PACK["gz"](tarred(members))),
            ):
                hits, notes = scan_logs([path], NEEDLES, limits=limits)
                assert [texts(h) for h in hits] == [LINES], name
                assert any(name in note for note in notes), name


_MEMORY = """
import sys, threading, time, psutil
from starface_nb.reading.scan import scan_logs
process = psutil.Process()
before = most = process.memory_info().rss
def watch():
    global most
    while True:
        most = max(most, process.memory_info().rss)
        time.sleep(0.01)
threading.Thread(target=watch, daemon=True).start()
hits, _ = scan_logs([sys.argv[1]], [b" is now "])
print(hits[0].bytes, (most - before) >> 20)
"""


def test_memory_is_bounded_whatever_the_size(tmp_path: Path) -> None:
    line = b"[2026-03-04 05:55:37] VERBOSE[23955] pbx.c: nothing of interest here at all\n"
    mebibytes = {}
    for times in (75, 300):
        path = tmp_path / f"{times}.zip"
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open("full", "w") as member,
        ):
            for _ in range(times):
                member.write(line * 13_000)
        run = subprocess.run([sys.executable, "-c", _MEMORY, str(path)], capture_output=True, text=True, check=True)
        size, mebibytes[times] = map(int, run.stdout.split())
        assert size == times * 13_000 * len(line)
    more = 225 * 13_000 * len(line) >> 20
    assert mebibytes[300] - mebibytes[75] < more / 10
    assert mebibytes[300] < more / 2
