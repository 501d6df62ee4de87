"""Archives as streams: members are found and read in memory, block by block; nothing is ever written to disk."""

from __future__ import annotations

import io
import lzma
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import BinaryIO

from starface_nb.errors import InputError
from starface_nb.reading.decompress import BLOCK, Blocks
from starface_nb.reading.limits import Account, DamagedError, RefusedError, raising
from starface_nb.text import visible

ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
ENCRYPTED = "it is encrypted"
_RAW = 1 << 17
_DIRECTORY = 64 << 20  # bytes of a zip's table of contents
_ERRORS = (zipfile.BadZipFile, lzma.LZMAError, OSError, EOFError, ValueError, NotImplementedError)
_TAR_HEADER = 1 << 20  # bytes of a tar member's long name or extended header
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


def zip_members(
    open_file: Callable[[], BinaryIO], place: str, account: Account
) -> list[tuple[Member, Callable[[], Blocks]]]:
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
    list of (Member, callable)
        Plain files only; equal names get `#2`, `#3` ... The callables open the member anew, its bytes compressed as gz
        where they are deflated in the archive.

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
    seen, members = dict[str, int](), list[tuple[Member, Callable[[], Blocks]]]()
    for info in infos:
        name = _unique(visible(info.filename.replace("\\", "/")), seen)
        member = Member(name, info.compress_size, _zip_time(info), _zip_refusal(info))
        members.append((member, partial(_zip_blocks, open_file, info, place, account)))
    return members


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


def _unique(name: str, seen: dict[str, int]) -> str:
    """Return the name, numbered where it was there before."""
    seen[name] = seen.get(name, 0) + 1
    return f"{name}#{seen[name]}" if seen[name] > 1 else name


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
    """Yield a member; a deflated one as the gz file that it is but for header and trailer (RFC 1952 2.3)."""
    name, size = f"{place}!{visible(info.filename)}", 0
    try:
        with open_file() as file:
            if info.compress_type == zipfile.ZIP_DEFLATED:
                yield b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
                yield from _stored(file, info)
                yield struct.pack("<LL", info.CRC, info.file_size & 0xFFFFFFFF)
                return
            with zipfile.ZipFile(file) as archive, archive.open(info) as member:
                while block := member.read(BLOCK):
                    size += len(block)
                    account.unpack(len(block), size, info.compress_size, name)
                    yield block
    except _ERRORS as error:
        cause = f"this member of the zip archive is damaged ({error}); {size:,} bytes could be read."
        raise DamagedError(cause, place=name) from None


def _stored(file: BinaryIO, info: zipfile.ZipInfo) -> Blocks:
    """Yield a member's bytes as they are stored (APPNOTE 4.3.7: they follow the local header)."""
    file.seek(info.header_offset)
    header = file.read(30)
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise ValueError("no local header")
    file.seek(sum(struct.unpack("<HH", header[26:30])), os.SEEK_CUR)
    left = info.compress_size
    while left:
        raw = file.read(min(left, _RAW))
        if not raw:
            raise EOFError("cut off")
        left -= len(raw)
        yield raw


# ---- tar ----


class _Forward(io.RawIOBase):
    """An iterator of blocks as the file that `tarfile` wants: read and seeked forward, and told what to refuse."""

    def __init__(self, blocks: Blocks, place: str) -> None:
        self._blocks, self._place, self._rest, self._at = blocks, place, memoryview(b""), 0
        self.latest = b""

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, _whence: int = os.SEEK_SET) -> int:
        """Pass over bytes up to `offset`."""
        while self._at < offset and self.some(offset - self._at):
            pass
        return self._at

    def some(self, limit: int) -> bytes:
        """Return between 1 and `limit` bytes, none only at the end."""
        self._rest = self._rest or memoryview(next(self._blocks, b""))
        part, self._rest = bytes(self._rest[:limit]), self._rest[limit:]
        self._at += len(part)
        return part

    def read(self, count: int = -1) -> bytes:
        """Return `count` bytes, fewer only at the end; a header that asks for more than 1 MiB is refused."""
        if not 0 <= count <= _TAR_HEADER:
            raise RefusedError(f"refused: a member's header has {count:,} bytes.", place=self._place)
        parts = []
        while count and (part := self.some(count)):
            parts.append(part)
            count -= len(part)
        self.latest = b"".join(parts)
        return self.latest


def is_tar(head: bytes) -> bool:
    """Tell whether a stream that begins with these 512 bytes is a tar archive (POSIX ustar or GNU)."""
    return head[257:262] == b"ustar"


def tar_members(blocks: Blocks, place: str, account: Account) -> Iterator[tuple[Member, Blocks]]:
    """Walk through a tar stream once.

    A member's blocks must be used before the next member is asked for; what is left of them is skipped.

    Raises
    ------
    DamagedError
        The archive is cut off or a header is corrupt.
    RefusedError
        Too many members.
    """
    file, seen, count = _Forward(blocks, place), dict[str, int](), 0
    try:
        with tarfile.TarFile(fileobj=file) as archive:
            for count, info in enumerate(archive, 1):
                if count > account.limits.max_members:
                    cause = f"refused: the archive has more than {account.limits.max_members:,} members."
                    raise RefusedError(cause, place=place, next_step=raising("max_members"))
                if not info.isdir():
                    name = _unique(visible(info.name), seen)
                    yield Member(name, info.size, _tar_time(info), _tar_refusal(info)), _tar_data(file, info, place)
        if file.latest.strip(b"\0"):  # tarfile takes a broken header for the archive's end
            raise tarfile.ReadError("bad header")
    except tarfile.TarError as error:
        raise DamagedError(f"the tar archive is cut off or corrupt ({error}).", place=place) from None


def _tar_refusal(info: tarfile.TarInfo) -> str:
    if info.type in _UNSEEN or info.issparse():
        return f"it is {_UNSEEN.get(info.type, 'a sparse file')}"
    return _outside(info.name)


def _tar_time(info: tarfile.TarInfo) -> datetime | None:
    try:
        return datetime.fromtimestamp(info.mtime, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _tar_data(file: _Forward, info: tarfile.TarInfo, place: str) -> Blocks:
    left = info.size
    while left:
        block = file.some(min(left, BLOCK))
        if not block:
            raise DamagedError("the tar archive is cut off (truncated file).", place=place)
        left -= len(block)
        yield block
