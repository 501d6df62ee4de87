"""Archives as streams: members are found and read in memory, block by block; nothing is ever written to disk."""

from __future__ import annotations

import lzma
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

from isal import igzip_lib, isal_zlib

from starface_nb.errors import InputError
from starface_nb.reading.decompress import BLOCK, ISAL_ERROR, Blocks
from starface_nb.reading.limits import Account, DamagedError, RefusedError, raising
from starface_nb.text import visible

ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
ENCRYPTED = "it is encrypted"
_RAW = 1 << 17
_DIRECTORY = 64 << 20  # bytes of a zip's table of contents
_ERRORS = (zipfile.BadZipFile, ISAL_ERROR, lzma.LZMAError, OSError, EOFError, ValueError, NotImplementedError)
_TAR_NAME = 1 << 20  # bytes of a tar member's long name or extended header
_UNSEEN = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device file",
    tarfile.BLKTYPE: "a device file",
    tarfile.FIFOTYPE: "a named pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes
    ----------
    name : str
        As stored, with unprintable characters made visible.
    size : int
        Bytes it takes in the archive (zip) or has (tar).
    modified : datetime or None
        Aware.
    refused : str
        Why it is not to be read, or empty.
    """

    name: str
    size: int
    modified: datetime | None
    refused: str = ""


def _outside(name: str) -> str:
    parts = name.replace("\\", "/").split("/")
    return "its name points outside the archive" if ".." in parts else ""


# ---- zip ----


def zip_members(open_file: Callable[[], BinaryIO], place: str, account: Account) -> list[tuple[Member, Blocks]]:
    """List a zip archive.

    Parameters
    ----------
    open_file : callable
        Opens the archive anew, seekable; called once per member that is read, so that members can be read in parallel.
    place : str
        Name for messages.
    account : Account
        Holds the limits.

    Returns
    -------
    list of (Member, iterator of bytes)
        Plain files only; equal names get `#2`, `#3` ... The iterators start reading when first used.

    Raises
    ------
    InputError
        Not a whole zip archive.
    RefusedError
        Too many members.
    """
    with open_file() as file:
        _check_directory(file, place, account)
        try:
            with zipfile.ZipFile(file) as archive:
                infos = [info for info in archive.infolist() if not info.is_dir()]
        except (zipfile.BadZipFile, OSError, ValueError, struct.error, NotImplementedError, EOFError) as error:
            raise _no_zip(place, str(error)) from None
    return [
        (
            Member(name, info.compress_size, _zip_time(info), _zip_refusal(info)),
            _zip_blocks(open_file, info, place, account),
        )
        for name, info in zip(_unique([visible(i.filename.replace("\\", "/")) for i in infos]), infos, strict=True)
    ]


def _no_zip(place: str, reason: str) -> InputError:
    return InputError(
        f"the zip archive is damaged or cut off ({visible(reason)}).",
        place=place,
        next_step="Copy or download it again.",
    )


def _check_directory(file: BinaryIO, place: str, account: Account) -> None:
    """Refuse a table of contents that would fill the memory before `zipfile` loads it (APPNOTE 4.3.14, 4.3.16)."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 66_000))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise _no_zip(place, "its table of contents is missing")
    count, length = struct.unpack("<HL", tail[at + 10 : at + 16])
    wide = tail.rfind(b"PK\x06\x06", 0, at)
    if wide >= 0 and len(tail) >= wide + 56:
        count, length = struct.unpack("<QQ", tail[wide + 32 : wide + 48])
    if count > account.limits.max_members or length > _DIRECTORY:
        raise RefusedError(
            f"refused: the archive has {count:,} members.", place=place, next_step=raising("max_members")
        )


def _unique(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    for name in names:
        seen[name] = seen.get(name, 0) + 1
    counts: dict[str, int] = {}
    unique = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        unique.append(f"{name}#{counts[name]}" if counts[name] > 1 else name)
    return unique


def _zip_refusal(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & 0x1:
        return ENCRYPTED
    if (info.external_attr >> 16) & 0o170000 == 0o120000:
        return "it is a symbolic link"
    if info.compress_type not in (0, 8, 12, 14):
        return f"its compression method ({info.compress_type}) is not known here"
    return _outside(info.filename)


def _zip_time(info: zipfile.ZipInfo) -> datetime | None:
    """Return the member's time: UTC where the archive has it (Info-ZIP's 0x5455 field), else the stored local time."""
    extra = info.extra
    while len(extra) >= 4:
        kind, length = struct.unpack("<HH", extra[:4])
        if kind == 0x5455 and length >= 5 and len(extra) >= 9 and extra[4] & 1:
            return datetime.fromtimestamp(struct.unpack("<i", extra[5:9])[0], UTC)
        extra = extra[4 + length :]
    try:
        return datetime(*info.date_time, tzinfo=UTC)
    except ValueError:
        return None


def _zip_blocks(open_file: Callable[[], BinaryIO], info: zipfile.ZipInfo, place: str, account: Account) -> Blocks:
    fast = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    name, produced = f"{place}!{visible(info.filename)}", 0
    with open_file() as file:
        blocks = _fast_member(file, info) if fast else _slow_member(file, info)
        while True:
            try:
                block = next(blocks, b"")
            except _ERRORS as error:
                cause = f"this member of the zip archive is damaged ({error}); {produced:,} bytes could be read."
                raise DamagedError(cause, place=name) from None
            if not block:
                return
            produced += len(block)
            account.unpack(len(block), produced, info.compress_size, name)
            yield block


def _slow_member(file: BinaryIO, info: zipfile.ZipInfo) -> Blocks:
    with zipfile.ZipFile(file) as archive, archive.open(info) as member:
        while block := member.read(BLOCK):
            yield block


def _fast_member(file: BinaryIO, info: zipfile.ZipInfo) -> Blocks:
    """Yield a stored or deflated member (APPNOTE 4.3.7: the data follow the local header), checked by its CRC-32."""
    file.seek(info.header_offset)
    header = file.read(30)
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise ValueError("no local header")
    name, extra = struct.unpack("<HH", header[26:30])
    file.seek(name + extra, os.SEEK_CUR)
    crc = size = 0
    for block in _inflated(file, info):
        crc, size = isal_zlib.crc32(block, crc), size + len(block)
        yield block
    if crc != info.CRC or size != info.file_size:
        raise ValueError("wrong checksum")


def _inflated(file: BinaryIO, info: zipfile.ZipInfo) -> Blocks:
    left = info.compress_size
    decoder = None
    if info.compress_type == zipfile.ZIP_DEFLATED:
        decoder = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
    while left or (decoder and not decoder.eof):
        raw = file.read(min(left, _RAW)) if decoder is None or decoder.needs_input else b""
        left -= len(raw)
        if not raw and (decoder is None or decoder.needs_input):
            raise EOFError("cut off")
        block = decoder.decompress(raw, BLOCK) if decoder else raw
        if block:
            yield block
        if decoder and decoder.eof:
            return


# ---- tar ----


class _Pull:
    """Exact byte counts out of an iterator of blocks."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks, self._rest, self._at = blocks, b"", 0

    def some(self, limit: int) -> bytes:
        """Return between 1 and `limit` bytes, none only at the end."""
        if self._at >= len(self._rest):
            self._rest, self._at = next(self._blocks, b""), 0
        part = self._rest[self._at : self._at + limit]
        self._at += len(part)
        return part

    def exactly(self, count: int) -> bytes:
        """Return `count` bytes, fewer only at the end."""
        parts = []
        while count and (part := self.some(count)):
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def skip(self, count: int) -> None:
        """Pass over `count` bytes."""
        while count and (part := self.some(min(count, BLOCK))):
            count -= len(part)


def is_tar(head: bytes) -> bool:
    """Tell whether a stream that begins with these 512 bytes is a tar archive (POSIX ustar or GNU)."""
    return head[257:262] == b"ustar"


def tar_members(blocks: Blocks, place: str, account: Account) -> Iterator[tuple[Member, Blocks]]:
    """Walk through a tar stream once.

    A member's blocks must be used before the next member is asked for; what is left of them is skipped. The headers
    are read here, not by `tarfile.open`, which would hold a member's name of any size in memory.

    Raises
    ------
    DamagedError
        The archive is cut off or a header is corrupt.
    RefusedError
        Too many members.
    """
    pull, count, seen = _Pull(blocks), 0, dict[str, int]()
    special: dict[str, str] = {}
    while header := pull.exactly(tarfile.BLOCKSIZE):
        if header.count(0) == tarfile.BLOCKSIZE:
            continue  # end marker; concatenated archives go on behind it
        info = _tar_header(header, place)
        padding = -info.size % tarfile.BLOCKSIZE
        if info.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE):
            special |= _tar_special(info, pull, place)
            pull.skip(padding)
            continue
        count += 1
        if count > account.limits.max_members:
            cause = f"refused: the archive has more than {account.limits.max_members:,} members."
            raise RefusedError(cause, place=place, next_step=raising("max_members"))
        member, size = _tar_member(info, special, seen)
        special = {}
        data = _tar_data(pull, size, place)
        if info.type != tarfile.DIRTYPE:
            yield member, data
        for _ in data:
            pass
        pull.skip(-size % tarfile.BLOCKSIZE)


def _tar_header(header: bytes, place: str) -> tarfile.TarInfo:
    try:
        info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise DamagedError(f"the tar archive is cut off or corrupt ({error}).", place=place) from None
    if info.size < 0 or info.type in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE):
        info.size = 0  # links and devices name a size at most, no data follow
    return info


def _tar_special(info: tarfile.TarInfo, pull: _Pull, place: str) -> dict[str, str]:
    """Read a long name or an extended header (POSIX pax: records of `length key=value`)."""
    if info.size > _TAR_NAME:
        raise RefusedError(f"refused: a member's header has {info.size:,} bytes.", place=place)
    data = pull.exactly(info.size)
    if info.type == tarfile.GNUTYPE_LONGNAME:
        return {"path": data.split(b"\0")[0].decode("utf-8", "surrogateescape")}
    if info.type != tarfile.XHDTYPE:
        return {}
    found = {}
    while data:
        length, _, rest = data.partition(b" ")
        if not length.isdigit() or not 0 < int(length) <= len(data):
            break
        key, _, value = rest[: int(length) - len(length) - 2].partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        data = data[int(length) :]
    return found


def _tar_member(info: tarfile.TarInfo, special: dict[str, str], seen: dict[str, int]) -> tuple[Member, int]:
    raw = special.get("path", info.name)
    name = visible(raw)
    seen[name] = seen.get(name, 0) + 1
    if seen[name] > 1:
        name = f"{name}#{seen[name]}"
    size = int(special["size"]) if special.get("size", "").isdigit() else info.size
    refused = _UNSEEN.get(info.type, "") or _outside(raw)
    if any(key.startswith("GNU.sparse") for key in special):
        refused = "it is a sparse file"
    return Member(name, size, _tar_time(info, special), f"it is {refused}" if info.type in _UNSEEN else refused), size


def _tar_time(info: tarfile.TarInfo, special: dict[str, str]) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(special.get("mtime", info.mtime)), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _tar_data(pull: _Pull, size: int, place: str) -> Blocks:
    while size:
        block = pull.some(min(size, BLOCK))
        if not block:
            raise DamagedError("the tar archive is cut off (truncated file).", place=place)
        size -= len(block)
        yield block
