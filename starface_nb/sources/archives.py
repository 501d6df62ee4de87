"""Archives as streams: members are found and read in memory; nothing is ever written to disk."""

import os
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from lzma import LZMAError
from typing import BinaryIO, Self

from starface_nb.errors import InputError
from starface_nb.sources.limits import UNPACK, Account, DamagedError, RefusedError
from starface_nb.sources.streams import Stream
from starface_nb.text import visible

ENCRYPTED = "it is encrypted"
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_BLOCK = 1 << 17
_DIRECTORY = 64 << 20  # bytes of a zip's table of contents
_LOCAL_HEADER = 30
_TAR_HEADER = 1 << 20  # bytes of a tar member's long name or extended header
_WHOLE = "Copy or download it again; of a split archive (.001, .z01) put the parts together first."
_BAD_ZIP = (zipfile.BadZipFile, LZMAError, OSError, EOFError, ValueError, struct.error, NotImplementedError)
_HEADERS = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE)  # fmt: skip
_UNSEEN = {tarfile.SYMTYPE: "it is a symbolic link", tarfile.LNKTYPE: "it is a hard link",
           tarfile.CHRTYPE: "it is a device file", tarfile.BLKTYPE: "it is a device file",
           tarfile.FIFOTYPE: "it is a named pipe"}  # fmt: skip


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes
    ----------
    name : str
        As stored, with unprintable characters made visible; numbered where it was there before.
    size : int
        Bytes it takes in the archive (zip) or has (tar).
    modified : datetime or None
        Aware; UTC where the archive does not say the zone.
    open : callable
        Returns its bytes: compressed as gz where they are deflated in a zip; in a tar before the next member only.
    refused : str
        Why it is not to be read, or empty.
    """

    name: str
    size: int
    modified: datetime | None
    open: Callable[[], Stream]
    refused: str = ""


def is_zip(head: bytes) -> bool:
    """Tell whether a file that begins with these bytes is a zip archive."""
    return head.startswith(_ZIP_MAGICS)


def is_tar(head: bytes) -> bool:
    """Tell whether a stream that begins with these 512 bytes is a tar archive (POSIX ustar or GNU)."""
    return head[257:262] == b"ustar"


def _outside(name: str) -> str:
    return "its name points outside the archive" if ".." in name.replace("\\", "/").split("/") else ""


def _unique(name: str, seen: dict[str, int]) -> str:
    name = visible(name.replace("\\", "/"))
    seen[name] = seen.get(name, 0) + 1
    return f"{name}#{seen[name]}" if seen[name] > 1 else name


def zip_members(open_file: Callable[[], BinaryIO], place: str, account: Account) -> list[Member]:
    """List the plain files of a zip archive.

    Parameters
    ----------
    open_file : callable
        Opens the archive anew, seekable; called once per member that is read, so that members can be read in parallel.
    place : str
        Name for messages.
    account : Account
        Holds the limits.

    Raises
    ------
    InputError
        Not a whole zip archive.
    RefusedError
        Too many members, or members that share their bytes.
    """
    try:
        with open_file() as file:
            _check_directory(file, place, account)
            with zipfile.ZipFile(file) as archive:
                infos = [info for info in archive.infolist() if not info.is_dir()]
    except _BAD_ZIP as error:
        cause = f"the zip archive is damaged or cut off ({visible(str(error))})."
        raise InputError(cause, place=place, next_step=_WHOLE) from None
    account.spend("max_members", len(infos), place)
    places = sorted((info.header_offset, info.compress_size) for info in infos)
    if any(at + _LOCAL_HEADER + size > following for (at, size), (following, _) in pairwise(places)):
        cause = "refused: members of the archive share their bytes (a decompression bomb?)."
        raise RefusedError(cause, place=place, next_step=UNPACK)
    seen = dict[str, int]()
    members = []
    for info in infos:
        name = _unique(info.filename, seen)
        opened = partial(_zip_stream, open_file, info, f"{place}!{name}", account)
        members.append(Member(name, info.compress_size, _zip_time(info), opened, _zip_refusal(info)))
    return members


def _zip_stream(open_file: Callable[[], BinaryIO], info: zipfile.ZipInfo, name: str, account: Account) -> Stream:
    return Stream.of(_zip_blocks(open_file, info, name, account))


def _check_directory(file: BinaryIO, place: str, account: Account) -> None:
    """Refuse a table of contents that would fill the memory before `zipfile` loads it (APPNOTE 4.3.14, 4.3.16)."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 66_000))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise ValueError("its table of contents is missing")
    count, length = struct.unpack("<HL", tail[at + 10 : at + 16])
    wide = tail.rfind(b"PK\x06\x06", 0, at)
    if wide >= 0 and len(tail) >= wide + 56:
        count, length = struct.unpack("<QQ", tail[wide + 32 : wide + 48])
    if count > account.limits.max_members or length > _DIRECTORY:
        cause = f"refused: the archive has {count:,} members."
        raise RefusedError(cause, place=place, next_step=UNPACK)


def _zip_refusal(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & 0x1:
        return ENCRYPTED
    if (info.external_attr >> 16) & 0o170000 == 0o120000:
        return "it is a symbolic link"
    if info.compress_type not in (0, 8, 12, 14):
        return f"its compression method ({info.compress_type}) is not known here"
    return _outside(info.filename)


def _zip_time(info: zipfile.ZipInfo) -> datetime | None:
    """Return the member's time: UTC where the archive has it (Info-ZIP's 0x5455 field), else the stored local time.

    The first moment that a zip can store stands for none.
    """
    extra = info.extra
    while len(extra) >= 4:
        kind, length = struct.unpack("<HH", extra[:4])
        if kind == 0x5455 and length >= 5 and len(extra) >= 9 and extra[4] & 1:
            return datetime.fromtimestamp(struct.unpack("<i", extra[5:9])[0], UTC)
        extra = extra[4 + length :]
    try:
        return datetime(*info.date_time, tzinfo=UTC) if info.date_time[:5] > (1980, 1, 1, 0, 0) else None
    except ValueError:
        return None


def _zip_blocks(
    open_file: Callable[[], BinaryIO], info: zipfile.ZipInfo, name: str, account: Account
) -> Iterator[bytes]:
    """Yield a member; a deflated one as the gz file that it is but for header and trailer (RFC 1952 2.3)."""
    size = 0
    try:
        with open_file() as file:
            if info.compress_type == zipfile.ZIP_DEFLATED:
                yield b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
                yield from _stored(file, info)
                yield struct.pack("<LL", info.CRC, info.file_size & 0xFFFFFFFF)
                return
            with zipfile.ZipFile(file) as archive, archive.open(info) as member:
                while block := member.read(_BLOCK):
                    size += len(block)
                    account.unpack(len(block), size, info.compress_size, name)
                    yield block
    except _BAD_ZIP as error:
        cause = f"this member of the zip archive is damaged ({error}); {size:,} bytes could be read."
        raise DamagedError(cause, place=name, corrupt=not isinstance(error, EOFError)) from None


def _stored(file: BinaryIO, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield a member's bytes as they are stored (APPNOTE 4.3.7: they follow the local header)."""
    file.seek(info.header_offset)
    header = file.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER or header[:4] != b"PK\x03\x04":
        raise ValueError("no local header")
    file.seek(sum(struct.unpack("<HH", header[26:30])), os.SEEK_CUR)
    left = info.compress_size
    while left:
        if not (raw := file.read(min(left, _BLOCK))):
            raise EOFError("cut off")
        left -= len(raw)
        yield raw


class _Header(tarfile.TarInfo):
    """A tar member's header that asks for no more memory than a name may need, and is never mistaken for the end.

    Behind the end, which zeros are, what is no header ends the archive; another one that was joined to it goes on.
    """

    at_end = False

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str, **options: bool) -> Self:
        """Read a header; newer Pythons read members' headers with `_frombuf` instead, and options."""
        read = getattr(super(), "_frombuf", super().frombuf)
        try:
            header: Self = read(buf, encoding, errors, **options)
        except tarfile.HeaderError as error:
            zeros = not bytes(buf).strip(b"\0")
            if not (zeros or cls.at_end):
                raise DamagedError(f"the tar archive is cut off or corrupt ({error}).") from None
            cls.at_end = True
            raise error if zeros else tarfile.EmptyHeaderError from None  # type: ignore[attr-defined]
        cls.at_end = False
        if header.type in _HEADERS and not 0 <= header.size <= _TAR_HEADER:
            raise RefusedError(f"refused: a member's header has {header.size:,} bytes.", next_step=UNPACK)
        return header

    _frombuf = frombuf


def tar_members(stream: Stream, place: str, account: Account) -> Iterator[Member]:
    """Walk through a tar stream once; what was not read of a member is passed over when the next one is asked for.

    Raises
    ------
    DamagedError
        The archive is cut off or a header is corrupt.
    RefusedError
        Too many members.
    """
    seen = dict[str, int]()
    whole, header = _ending(stream), type("Header", (_Header,), {})
    try:
        with tarfile.open(fileobj=whole, mode="r|", tarinfo=header, bufsize=_BLOCK, ignore_zeros=True) as archive:
            for info in archive:
                account.spend("max_members", 1, place)
                if not info.isdir():
                    name, read = _unique(info.name, seen), partial(_tar_stream, archive, info, place)
                    yield Member(name, info.size, _tar_time(info), read, _tar_refusal(info))
    except (tarfile.TarError, EOFError) as error:
        raise DamagedError(f"the tar archive is cut off or corrupt ({error}).", place=place) from None
    except (DamagedError, RefusedError) as error:
        error.place = error.place or place
        raise


def _ending(stream: Stream) -> Stream:
    """Return the stream as one that says where it ends: `tarfile` would pass over 8 TB that are not there."""
    at_end = False

    def fill(room: memoryview) -> int:
        nonlocal at_end
        count = stream.readinto(room)
        if at_end and not count:  # asked again; a whole archive's last header needs no more than one look at its end
            raise DamagedError("the tar archive is cut off.")
        at_end = not count
        return count

    return Stream(fill)


def _tar_refusal(info: tarfile.TarInfo) -> str:
    if info.type in _UNSEEN or info.issparse():
        return _UNSEEN.get(info.type, "it is a sparse file")
    return _outside(info.name)


def _tar_time(info: tarfile.TarInfo) -> datetime | None:
    try:
        return datetime.fromtimestamp(info.mtime, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _tar_stream(archive: tarfile.TarFile, info: tarfile.TarInfo, place: str) -> Stream:
    file = archive.extractfile(info)
    assert file is not None  # noqa: S101 (it is a plain file)

    def fill(room: memoryview) -> int:
        try:
            return file.readinto(room)  # type: ignore[attr-defined,no-any-return]
        except (tarfile.TarError, EOFError) as error:
            raise DamagedError(f"the tar archive is cut off or corrupt ({error}).", place=place) from None

    return Stream(fill)
