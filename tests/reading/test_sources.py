"""Every kind of source gives its log; everything that is none says why."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import sys
import threading
import zipfile
import zlib
from email.message import EmailMessage
from pathlib import Path

import polars as pl
import pytest
from scan_samples import NEEDLES, PACK, expected, log, scan_logs, tarred, texts, written, zipped

import starface_nb as sf
from starface_nb.errors import InputError
from starface_nb.reading import hits as reading_hits
from starface_nb.reading.messages import read_lines
from starface_nb.sources.limits import Limits
from starface_nb.sources.named import NOT_A_LOG, rank_of
from starface_nb.sources.streams import CountedFile

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = log()
LINES = [line for _, _, line in expected(TEXT)]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20


def names(*logs: object, **options: object) -> list[str]:
    hits, _ = scan_logs([str(log) for log in logs], NEEDLES, **options)  # type: ignore[arg-type]
    assert all(texts(h) == LINES for h in hits)
    return [Path(h.name).name for h in hits]


@pytest.mark.parametrize("kind", PACK)
def test_compressed_is_told_by_its_first_bytes_not_its_name(tmp_path: Path, kind: str) -> None:
    assert names(written(tmp_path / f"full.{kind}", PACK[kind](TEXT))) == [f"full.{kind}"]
    assert names(written(tmp_path / "renamed.txt", PACK[kind](TEXT))) == ["renamed.txt"]
    half = TEXT.index(b"\n", len(TEXT) // 2) + 1
    assert names(written(tmp_path / "two", PACK[kind](TEXT[:half]) + PACK[kind](TEXT[half:]))) == ["two"]


@pytest.mark.parametrize("kind", ["", *PACK])
def test_archives(tmp_path: Path, kind: str) -> None:
    pack = PACK.get(kind, bytes)
    tar = tarred({"var/log/asterisk/full": TEXT, "var/log/asterisk/full.1": TEXT, "var/log/syslog": b"x is now y\n"})
    assert names(written(tmp_path / "x.tar", pack(tar))) == ["full", "full.1"]
    bundle = zipped(
        {"var/log/asterisk/full": TEXT, "var/log/asterisk/full.1.gz": pack(TEXT), "var/log/messages": b"no\n"}
    )
    assert names(written(tmp_path / "logs_2026.zip", bundle)) == ["full", "full.1.gz"]


def test_nested_archives(tmp_path: Path) -> None:
    inner = zipped({"var/log/asterisk/full": PACK["xz"](TEXT)})
    outer = written(tmp_path / "outer.tar.gz", PACK["gz"](tarred({"support/debuginfo-1.zip": inner})))
    (hits,), _ = scan_logs([outer], NEEDLES)
    assert hits.name == f"{outer}!support/debuginfo-1.zip!var/log/asterisk/full"
    assert texts(hits) == LINES
    with pytest.raises(InputError, match=r"inside each other.*unpack it yourself"):
        scan_logs([outer], NEEDLES, limits=Limits(max_nesting=3))


def test_folder_reads_the_full_logs_at_any_depth_and_nothing_else(tmp_path: Path) -> None:
    for name in ("full", "full.0", "full-20260301", "sub/deep/full.2"):
        written(tmp_path / name, TEXT)
    written(tmp_path / "full.1.gz", PACK["gz"](TEXT))
    written(tmp_path / "messages", b"x is now y\n")
    written(tmp_path / "fullness.txt", b"x is now y\n")
    written(tmp_path / "etc/asterisk/logger.conf", b"dateformat=%s\n")
    hits, notes = scan_logs([tmp_path], NEEDLES)
    assert sorted(Path(h.name).name for h in hits) == ["full", "full-20260301", "full.0", "full.1.gz", "full.2"]
    assert all(texts(h) == LINES for h in hits)
    assert {h.date_formats for h in hits} == {("%s",)}
    assert any("2 other files were not read" in note and "PBX log: messages, fullness.txt." in note for note in notes)


def test_folder_without_full_reads_other_logs(tmp_path: Path) -> None:
    written(tmp_path / "customer.log", TEXT)
    written(tmp_path / "picture.png", PNG)
    written(tmp_path / "noext", PNG)
    written(tmp_path / "empty.log", b"")
    hits, notes = scan_logs([tmp_path], NEEDLES)
    assert [Path(h.name).name for h in hits] == ["customer.log"]
    assert any("noext" in note and "PNG" in note for note in notes)
    assert any("empty.log" in note and "empty" in note for note in notes)


def test_folder_of_bundles(tmp_path: Path) -> None:
    written(tmp_path / "logs_1.zip", zipped({"var/log/asterisk/full": TEXT, "etc/asterisk/logger.conf": b"a=b"}))
    written(tmp_path / "logs_2.tgz", PACK["gz"](tarred({"./asterisk/full.1": TEXT})))
    written(tmp_path / "read me.txt", b"x is now y\n")
    assert names(tmp_path) == ["full", "full.1"]


def test_glob_several_and_the_same_twice(tmp_path: Path) -> None:
    for i in range(3):
        written(tmp_path / f"full.{i}", TEXT)
    literal = written(tmp_path / "full[x]", TEXT)
    assert names(tmp_path / "full.*") == ["full.0", "full.1", "full.2"]
    assert names(literal) == ["full[x]"]
    assert names(tmp_path / "full.2", tmp_path / "full.0", tmp_path / "full.2", tmp_path / "full.?") == [
        "full.2",
        "full.0",
        "full.1",
    ]
    with pytest.raises(InputError, match="no file matches"):
        scan_logs([str(tmp_path / "nothing*")], NEEDLES)


class _Input:
    def __init__(self, data: bytes) -> None:
        self.buffer = io.BufferedReader(io.BytesIO(data))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "pack", [bytes, *PACK.values(), lambda t: zipped({"full": t}), lambda t: PACK["gz"](tarred({"full": t}))]
)
def test_standard_input(monkeypatch: pytest.MonkeyPatch, pack) -> None:
    monkeypatch.setattr(sys, "stdin", _Input(pack(TEXT)))
    (hits,), _ = scan_logs(["-"], NEEDLES)
    assert texts(hits) == LINES
    assert hits.name.split("!")[0] == "-"
    assert hits.modified is None or hits.modified.tzinfo


def test_empty_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", _Input(b""))
    with pytest.raises(InputError, match="empty"):
        scan_logs(["-"], NEEDLES)


def test_named_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(os, "mkfifo"):  # Windows has no named pipes in folders
        return
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer, told = threading.Thread(target=lambda: pipe.write_bytes(PACK["gz"](TEXT))), list[str]()
    monkeypatch.setattr("starface_nb.sources.streams.note", lambda text: told.append(text) or writer.start())
    assert names(pipe) == ["pipe"]
    writer.join()
    assert told == [f"{pipe}: this is a pipe into which nobody writes yet; waiting for it."]


def test_logger_conf_beside_a_file_and_in_archives(tmp_path: Path) -> None:
    written(tmp_path / "logger.conf", b"[general]\ndateformat=%F %T\n")
    archive = {"etc/asterisk/logger.conf": b"dateformat=%s", "var/log/asterisk/full": TEXT}
    plain = scan_logs([written(tmp_path / "full", TEXT)], NEEDLES)[0][0]
    in_zip = scan_logs([written(tmp_path / "a" / "x.zip", zipped(archive))], NEEDLES)[0][0]
    in_tar = scan_logs([written(tmp_path / "a" / "x.tgz", PACK["gz"](tarred(archive)))], NEEDLES)[0][0]
    assert (plain.date_formats, in_zip.date_formats, in_tar.date_formats) == (("%F %T",), ("%s",), ("%s",))


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "empty"),
        (PNG, "PNG"),
        (b"\x7fELF\x02\x01\x01" + bytes(4000), "program"),
        (os.urandom(9000), "binary"),
        (b"SQLite format 3\0" + bytes(range(32)) * 100, "database"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(300), "7z.*Unpack"),
        (b"%PDF-1.7\n" + TEXT, "PDF"),
        (PACK["gz"](PNG), "PNG"),
        (PACK["xz"](b""), "empty"),
    ],
)
def test_what_is_no_log(tmp_path: Path, data: bytes, cause: str) -> None:
    path = written(tmp_path / "full", data)
    with pytest.raises(InputError, match=cause) as error:
        scan_logs([path], NEEDLES)
    assert str(path) in str(error.value)
    assert error.value.next_step


def test_missing_folder_without_logs_and_device(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        scan_logs([tmp_path / "none.log"], NEEDLES)
    with pytest.raises(InputError, match="cannot be opened"):
        scan_logs(["a\0b"], NEEDLES)
    written(tmp_path / "empty" / "x.json", b"{}")
    with pytest.raises(InputError, match="holds no log"):
        scan_logs([tmp_path / "empty"], NEEDLES)
    with pytest.raises(InputError, match="no log was named"):
        scan_logs([], NEEDLES)
    if Path("/dev/null").exists():
        with pytest.raises(InputError, match="device"):
            scan_logs(["/dev/null"], NEEDLES)


def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self, *_arguments, **_options):
        raise PermissionError(13, "Permission denied")

    path = written(tmp_path / "full", TEXT)
    monkeypatch.setattr("starface_nb.sources.streams.CountedFile.__init__", refuse)
    with pytest.raises(InputError, match="permission denied"):
        scan_logs([path], NEEDLES)


@pytest.mark.parametrize("kind", PACK)
def test_truncated_is_an_error_that_says_how_far(tmp_path: Path, kind: str) -> None:
    text = log(60_000)
    data = PACK[kind](text)
    path = written(tmp_path / "full", data[: len(data) * 3 // 4])
    with pytest.raises(InputError, match=r"cut off.*bytes of the log could be read.*ALLOW_DAMAGED"):
        scan_logs([path], NEEDLES)
    (hits,), _ = scan_logs([path], NEEDLES, limits=Limits(allow_damaged=True))
    assert "damaged" in hits.note
    whole = expected(text[: hits.bytes])
    assert len(text) // 3 < hits.bytes < len(text)
    assert texts(hits) == [line for _, _, line in whole]


@pytest.mark.parametrize("kind", PACK)
def test_corrupt_is_an_error_and_bytes_behind_are_not(tmp_path: Path, kind: str) -> None:
    data = bytearray(PACK[kind](log(60_000)))
    middle = len(data) // 2
    data[middle : middle + 30] = b"\x55\xaa\x12" * 10
    with pytest.raises(InputError, match="corrupt"):
        scan_logs([written(tmp_path / "full", bytes(data))], NEEDLES)
    (hits,), _ = scan_logs([written(tmp_path / "behind", PACK[kind](TEXT) + b"garbage behind the end")], NEEDLES)
    assert texts(hits) == LINES
    assert "left out" in hits.note
    assert names(written(tmp_path / "padded", PACK[kind](TEXT) + bytes(1024))) == ["padded"]


def test_a_damaged_sibling_does_not_stop_the_others(tmp_path: Path) -> None:
    written(tmp_path / "full", TEXT)
    data = PACK["gz"](log(60_000))
    written(tmp_path / "full.1.gz", data[: len(data) // 2])
    hits, _ = scan_logs([tmp_path], NEEDLES)
    assert [("damaged" in h.note) for h in hits] == [False, True]


@pytest.mark.parametrize(("kind", "size"), [("gz", 1), ("xz", 1), ("zst", 1), ("bz2", 1)])
def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, size: int) -> None:
    monkeypatch.setattr("starface_nb.sources.limits.HARMLESS", 1 << 20)
    bomb = written(tmp_path / "full", PACK[kind](bytes(64 << 20)))
    with pytest.raises(InputError, match=r"refused.*more than 250 times its size.*unpack it yourself"):
        scan_logs([bomb], NEEDLES)
    with pytest.raises(InputError, match=r"refused.*more than 1,048,576 bytes in all.*unpack it yourself"):
        scan_logs([bomb], NEEDLES, limits=Limits(max_ratio=1e9, max_total_bytes=1 << 20))
    assert scan_logs([bomb], NEEDLES, limits=Limits(max_ratio=1e9))[0][0].bytes == 64 << 20


def test_what_takes_gigabytes_to_unpack_is_refused_and_not_called_corrupt(tmp_path: Path) -> None:
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 30})
    wide = bytearray(PACK["xz"](TEXT))  # .xz file format 3.1 and 5.3.1: the one property of LZMA2 is its dictionary
    header = slice(12, 12 + (wide[12] + 1) * 4 - 4)
    wide[wide.index(b"\x21\x01", 12) + 2] = 37  # 1.5 GiB
    wide[header.stop : header.stop + 4] = zlib.crc32(wide[header]).to_bytes(4, "little")
    for data in (packer.compress(TEXT) + packer.flush(), bytes(wide)):
        with pytest.raises(InputError, match=r"takes more memory than it is given here\..*unpack it yourself"):
            scan_logs([written(tmp_path / "full", data)], NEEDLES)


def test_damage_is_allowed_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, allowed in (("1", True), ("yes", True), ("0", False), ("No", False), ("", False)):
        monkeypatch.setenv("STARFACE_NB_ALLOW_DAMAGED", text)
        assert Limits().allow_damaged is allowed


def test_links_out_of_a_folder_are_not_followed(tmp_path: Path) -> None:
    secret = written(tmp_path / "elsewhere" / "full", TEXT)
    folder = tmp_path / "folder"
    written(folder / "full.1", TEXT)
    (folder / "full").symlink_to(secret)
    (folder / "full.2").symlink_to(folder / "full.1")
    hits, notes = scan_logs([folder], NEEDLES)
    assert sorted({Path(h.name).name for h in hits}) in (["full.1"], ["full.2"])
    assert any("link out of the folder" in note for note in notes)
    with pytest.raises(InputError, match="more than 1 files"):
        scan_logs([folder], NEEDLES, limits=Limits(max_members=1))


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("var/log/asterisk/full", "pbx.log"),
        ("full.1.gz", "messages"),
        ("FULL-20260301", "x.log"),
        ("messages.1", "x.log"),
        ("full - Kopie.gz", "full moon.log"),
        ("pbx (1).log", "messages copy 2"),
    ],
)
def test_ranks(better: str, worse: str) -> None:
    assert rank_of(better) < rank_of(worse) < NOT_A_LOG
    assert rank_of("a/b.json") == rank_of(".hidden") == NOT_A_LOG


@pytest.mark.parametrize("newer", ["full (1)", "full(1).gz", "full[1]"])
def test_a_second_download_is_read_beside_the_first(tmp_path: Path, newer: str) -> None:
    for name in ("full", newer):
        written(tmp_path / name, TEXT)
    hits, notes = scan_logs([tmp_path], NEEDLES)
    assert ({Path(hit.name).name for hit in hits}, notes) == ({"full", newer}, [])


def test_an_unfinished_download_is_read_and_called_one(tmp_path: Path) -> None:
    path = written(tmp_path / "full.crdownload", TEXT)
    assert scan_logs([path], NEEDLES)[1] == [f"{path}: by its name an unfinished download; its end may be missing."]


def test_names_in_latin_1_and_in_utf_8(tmp_path: Path) -> None:
    lines = [f"[2026-03-04 10:00:0{i}] NOTICE[1] chan_sip.c: Peer '{name}' is now UNREACHABLE!  Last qualify: 9"
             for i, name in enumerate(("Müller", "Möller", "Müller"))]  # fmt: skip
    text = b"".join(line.encode("utf-8" if i == 2 else "latin-1") + b"\n" for i, line in enumerate(lines))
    log = sf.read_log(written(tmp_path / "full", text), progress=False)
    assert log.events["peer"].to_list() == ["Müller", "Möller", "Müller"]
    assert "Möller" in str(log.context(1))


@pytest.mark.parametrize("codec", ["utf-32", "utf-32-le", "utf-32-be", "cp037", "cp500"])
def test_codings_that_are_not_read_are_named(tmp_path: Path, codec: str) -> None:
    path = written(tmp_path / "full", TEXT.decode().encode(codec))
    with pytest.raises(InputError, match="UTF-32" if "32" in codec else "EBCDIC"):
        scan_logs([path], NEEDLES)


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_text_that_goes_on_as_utf_16_is_said(tmp_path: Path, codec: str) -> None:
    path = written(tmp_path / "full", TEXT + TEXT.decode().encode(codec))
    log = sf.read_log(path, progress=False)
    assert any("UTF-16" in note and str(path) in note for note in log.notes)
    assert "UTF-16" in log.files[0].note
    padded = sf.read_log(written(tmp_path / "full", TEXT + bytes(9000) + b"\n" + TEXT), progress=False)
    assert not any("UTF-16" in note for note in padded.notes)


def test_file_names_that_are_no_text(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/full-\xff\xfe"
    try:
        with open(name, "wb") as file:  # noqa: PTH123 (a name in bytes)
            file.write(TEXT)
    except OSError:
        return  # the system knows no such names
    for named in (os.fsdecode(name), tmp_path):
        log = sf.read_log(named, progress=False)
        assert log.files[0].name.isprintable()
        assert "is now" in str(log.context(0))
        assert log.events.equals(sf.read_log(named, progress=False).events)


def test_links_that_lead_nowhere_or_in_a_circle(tmp_path: Path) -> None:
    written(tmp_path / "full", TEXT)
    (tmp_path / "full.1").symlink_to("full.1")
    (tmp_path / "full.2").symlink_to("full.3")
    (tmp_path / "full.3").symlink_to("full.2")
    (tmp_path / "full.4").symlink_to("gone")
    assert names(tmp_path) == ["full"]


def test_an_empty_name_is_no_log() -> None:
    with pytest.raises(InputError, match="no log was named"):
        scan_logs([""], NEEDLES)


@pytest.mark.parametrize("kind", ["", *PACK])
@pytest.mark.parametrize("left", [0, 1000])
def test_a_log_that_becomes_shorter_while_it_is_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, left: int
) -> None:
    noise = hashlib.shake_256().hexdigest(2 << 20).encode()  # so that packed, too, it takes several reads
    text = TEXT + b"\n".join(noise[at : at + 200] for at in range(0, len(noise), 200)) + b"\n"
    packed = PACK.get(kind, bytes)(text)
    path = written(tmp_path / "full", packed)
    readinto = CountedFile.readinto

    def cut_after(file: CountedFile, buffer: memoryview) -> int:
        count = readinto(file, buffer)
        if file.tell() >= 1 << 20:
            os.truncate(path, left)
        return count

    monkeypatch.setattr(CountedFile, "readinto", cut_after)
    with pytest.raises(InputError, match=r"full: the file became shorter while it was read; .* Copy it again"):
        scan_logs([str(path)], NEEDLES)
    path.write_bytes(packed)
    hits, _ = scan_logs([str(path)], NEEDLES, limits=Limits(allow_damaged=True))
    assert "became shorter while it was read" in hits[0].note
    assert texts(hits[0]) == LINES


def test_small_files_are_read_in_one_go_and_as_each_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(40):
        line = f"[2026-03-04 08:{n:02}:00] NOTICE[1] chan_sip.c: Peer '{n}' is now Lagged. (30ms / 20ms)\n"
        (tmp_path / f"pbx{n:02}.log").write_text(f"pbx{n % 2} | {line}" if n % 4 > 1 else line)
    alone = [sf.read_log(path) for path in sorted(tmp_path.iterdir())]
    prefixes = list[str | None]()

    def noted(text: pl.Series, prefix: str | None, *, words: bool) -> pl.DataFrame:
        prefixes.append(prefix)
        return read_lines(text, prefix, words=words)

    monkeypatch.setattr(reading_hits, "read_lines", noted)
    log = sf.read_log(tmp_path)
    assert len(prefixes) == len(set(prefixes)) == 2
    assert log.events.equals(pl.concat([one.events for one in alone]))
    assert log.fingerprint == "+".join(one.fingerprint for one in alone)


def _mail(attached: bytes, kind: str = "octet-stream") -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "the log", "a@example.com", "b@example.com"
    message.set_content("The log is attached.\n")
    message.add_attachment(attached, maintype="application", subtype=kind, filename="log")
    return bytes(message)


@pytest.mark.parametrize(
    ("mail", "what"),
    [
        (_mail(zipped({"full": TEXT}), "zip"), "is a mail with a compressed file or an archive in it."),
        (
            _mail(zipped({"full": TEXT}, zipfile.ZIP_STORED), "zip"),
            "is a mail with a compressed file or an archive in it.",
        ),
        (_mail(PACK["gz"](TEXT), "gzip"), "is a mail with a compressed file or an archive in it."),
        (_mail(tarred({"full": TEXT})), "is a mail with a compressed file or an archive in it."),
        (b"From a@example.com Wed Mar  4 08:00:00 2026\n" + _mail(TEXT), "is a mailbox, which may hold several mails."),
    ],
)
def test_a_mail_whose_log_is_not_taken_out_says_to_save_it(tmp_path: Path, mail: bytes, what: str) -> None:
    with pytest.raises(InputError) as error:
        scan_logs([written(tmp_path / "log.eml", mail)], NEEDLES)
    assert (error.value.cause, error.value.next_step) == (
        what,
        "Save what is attached to the mail as a file, and name that.",
    )


def test_a_mail_with_a_text_is_read(tmp_path: Path) -> None:
    assert names(written(tmp_path / "log.eml", _mail(TEXT))) == ["log.eml"]


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="sockets in folders are POSIX's")
def test_a_socket_is_called_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # its name may not be long
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("full")
        with pytest.raises(InputError, match="full: is a socket, not a file"):
            scan_logs(["full"], NEEDLES)
