"""Compressed streams as blocks of bytes: detected by their first bytes, decoded in bounded memory."""

from __future__ import annotations

import bz2
import codecs
import io
import lzma
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, cast

from backports import zstd
from isal import igzip_lib, isal_zlib

from starface_nb.reading.limits import Account, DamagedError

BLOCK = 1 << 18  # larger ones are given back to the system each time
_GZ_READ = 1 << 20
ISAL_ERROR = cast(type[Exception], igzip_lib.IsalError)
_XZ_MEMORY = 256 << 20  # a hostile header may ask for gigabytes; xz -9 needs 65 MiB

Blocks = Iterator[bytes]
Fill = Callable[[memoryview], int]  # writes the next bytes into a buffer and says how many; 0 at the end

# Fixed by the formats: RFC 1952 2.3.1, bzip2's "BZh", the .xz file format 2.1.1.1, RFC 8878 3.1.1 (and 3.1.2 for the
# frames that a reader skips).
_MAGICS = {
    "gz": (b"\x1f\x8b\x08",),
    "bz2": tuple(b"BZh%d" % level for level in range(1, 10)),
    "xz": (b"\xfd7zXZ\x00",),
    "zst": (b"\x28\xb5\x2f\xfd", *(bytes((n, 0x2A, 0x4D, 0x18)) for n in range(0x50, 0x60))),
}
_DECODERS: dict[str, Callable[[], Any]] = {
    "gz": lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP),
    "bz2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY),
    "zst": zstd.ZstdDecompressor,
}
_ERRORS = (ISAL_ERROR, lzma.LZMAError, zstd.ZstdError, OSError, EOFError, ValueError)


def format_of(head: bytes) -> str:
    """Return `gz`, `bz2`, `xz` or `zst`, or an empty string for bytes that none of them begins with."""
    return next((name for name, magics in _MAGICS.items() if head.startswith(magics)), "")


def peek(blocks: Blocks, count: int = 512) -> tuple[bytes, Blocks]:
    """Return at least `count` first bytes (fewer only at the end) and the blocks with those bytes still in them.

    Damage met behind the first of them is raised by the blocks, in its place.
    """
    head, damage = b"", None
    try:
        for block in blocks:
            head += block
            if len(head) >= count:
                break
    except DamagedError as error:
        if not head:
            raise
        damage = error
    return head, _chain(head, blocks, damage)


def _chain(head: bytes, blocks: Blocks, damage: DamagedError | None) -> Blocks:
    if head:
        yield head
    if damage:
        raise damage
    yield from blocks


def decompressed(kind: str, blocks: Blocks, place: str, account: Account, remarks: list[str]) -> Blocks:
    """Decode a compressed stream, frame after frame.

    Parameters
    ----------
    kind : str
        What `format_of` said.
    blocks : iterator of bytes
        The compressed bytes.
    place : str
        Name for messages.
    account : Account
        Holds the limits.
    remarks : list of str
        Gets a remark on bytes behind the compressed data, which are left out.

    Yields
    ------
    bytes
        At most 256 KiB each.

    Raises
    ------
    DamagedError
        The stream is cut off or corrupt; everything before that was yielded.
    RefusedError
        A limit is passed.
    """
    make = _DECODERS[kind]
    decoder, frames, consumed, produced, fresh = make(), 0, 0, 0, True
    for block in blocks:
        consumed += len(block)
        while block or not (decoder.eof or decoder.needs_input):
            if decoder.eof:
                block = block.lstrip(b"\0")  # tapes and block devices pad with zeros
                if not block:
                    break
                decoder, frames, fresh = make(), frames + 1, True
            try:
                out = decoder.decompress(block, BLOCK)
            except _ERRORS as error:
                if frames and fresh:
                    remarks.append(f"bytes behind the end of the {kind} data were left out")
                    return
                raise _damage(place, produced, str(error)) from None
            block = decoder.unused_data if decoder.eof else b""
            if out:
                fresh = False
                produced += len(out)
                account.unpack(len(out), produced, consumed, place)
                yield out
    if decoder.eof:
        return
    if frames and fresh:
        remarks.append(f"bytes behind the end of the {kind} data were left out")
        return
    raise _damage(place, produced, "")


def _damage(place: str, produced: int, reason: str) -> DamagedError:
    what = f"the compressed data is corrupt ({reason})" if reason else "the compressed data is cut off (truncated file)"
    return DamagedError(f"{what}; {produced:,} bytes of the log could be read before that.", place=place)


def utf8(head: bytes, blocks: Blocks, remarks: list[str]) -> Blocks:
    """Return the blocks as UTF-8 where the text is UTF-16 (with or without a byte order mark), else as they are."""
    codec = utf16_codec(head)
    if not codec:
        return blocks
    remarks.append("UTF-16 text, read as UTF-8; offsets count the UTF-8 bytes")
    return _recoded(codec, blocks)


def utf16_codec(head: bytes) -> str:
    """Return the codec of a text that is UTF-16, told by its byte order mark or its zeros; else an empty string."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    sample = head[:4096]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if len(sample) >= 64 and max(even, odd) > 0.4 * len(sample) and min(even, odd) < 0.02 * len(sample):
        return "utf-16-le" if odd > even else "utf-16-be"
    return ""


def _recoded(codec: str, blocks: Blocks) -> Blocks:
    decoder = codecs.getincrementaldecoder(codec)("replace")
    for block in blocks:
        text = decoder.decode(block).encode("utf-8", "replace")
        if text:
            yield text
    last = decoder.decode(b"", final=True).encode("utf-8", "replace")
    if last:
        yield last


def filling(blocks: Blocks) -> Fill:
    """Return what fills a buffer with the next blocks; an error in them comes after the bytes before it."""
    rest, failed = memoryview(b""), list[Exception]()

    def fill(room: memoryview) -> int:
        nonlocal rest
        at = 0
        try:
            while at < len(room) and (rest := rest or memoryview(next(blocks, b""))):
                part = rest[: len(room) - at]
                room[at : at + len(part)] = part
                at, rest = at + len(part), rest[len(part) :]
        except Exception as error:
            if not at:
                raise
            failed.append(error)
        return at

    def fill_or_fail(room: memoryview) -> int:
        if failed:
            raise failed[0]
        return fill(room)

    return fill_or_fail


def gunzipping(open_again: Callable[[], Blocks], place: str, account: Account, remarks: list[str]) -> Fill:
    """Return what fills a buffer with the text of a gz stream, without the interpreter's lock for most of the time.

    What is odd about the stream is left to `decompressed`, which begins anew and passes over what was read already.
    """
    raw = _Raw(open_again())
    reader, produced, slow = isal_zlib._GzipReader(cast(BinaryIO, raw), _GZ_READ), 0, list[Fill]()

    def fill(room: memoryview) -> int:
        nonlocal produced
        if slow:
            return slow[0](room)
        try:
            count = reader.readinto(room)
        except _ERRORS:
            slow.append(filling(_behind(decompressed("gz", open_again(), place, account, remarks), produced)))
            return slow[0](room)
        produced += count
        account.unpack(count, produced, raw.count, place)
        return count

    return fill


def _behind(blocks: Blocks, count: int) -> Blocks:
    for block in blocks:
        if len(block) > count:
            yield block[count:]
        count = max(0, count - len(block))


class _Raw(io.RawIOBase):
    """Blocks as a file, which counts what was read of it."""

    def __init__(self, blocks: Blocks) -> None:
        self._fill, self.count = filling(blocks), 0

    def readinto(self, room: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer."""
        count = self._fill(memoryview(room))
        self.count += count
        return count
