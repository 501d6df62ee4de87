"""The one kind of stream that everything is read through, of a file or standard input; compression and UTF-16 off it.

Each byte of a file is counted; what the system refuses becomes an `InputError`.
"""

import bz2
import codecs
import io
import lzma
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from threading import Timer
from typing import Any, Self, cast

from isal import igzip_lib

from starface_nb.console import note
from starface_nb.errors import InputError
from starface_nb.progress import DELAY
from starface_nb.sources.limits import UNPACK, Account, DamagedError, RefusedError
from starface_nb.text import visible

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_BLOCK = 1 << 18  # larger ones are given back to the system each time
_XZ_MEMORY = 256 << 20  # a hostile header may ask for gigabytes; xz -9 needs 65 MiB

# Fixed by the formats: RFC 1952 2.3.1, bzip2's "BZh", the .xz file format 2.1.1.1, RFC 8878 3.1.1 (and 3.1.2 for the
# frames that a reader skips).
_MAGICS = {
    "gz": (b"\x1f\x8b\x08",),
    "bz2": tuple(b"BZh%d" % level for level in range(1, 10)),
    "xz": (b"\xfd7zXZ\x00",),
    "lzma": (b"]\0\0",),  # the default properties, and a dictionary of a multiple of 64 KiB
    "zst": (b"\x28\xb5\x2f\xfd", *(bytes((n, 0x2A, 0x4D, 0x18)) for n in range(0x50, 0x60))),
}
_DECODERS: dict[str, Callable[[], Any]] = {
    "gz": lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP),
    "bz2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY),
    "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_XZ_MEMORY),
    "zst": zstd.ZstdDecompressor,
}
_ERRORS = (cast(type[Exception], igzip_lib.IsalError), lzma.LZMAError, zstd.ZstdError, OSError, EOFError, ValueError)


class Stream(io.RawIOBase):
    """A binary file that is read forward, once; its first bytes can be looked at before.

    Parameters
    ----------
    fill : callable
        `fill(room)` writes the next bytes into a buffer and says how many; 0 at the end.
    close : callable
        Called when nobody needs the stream any more.
    """

    def __init__(self, fill: Callable[[memoryview], int | None], close: Callable[[], object] = bool) -> None:
        self._fill, self._at_end, self._head, self._damage = fill, close, b"", cast(DamagedError | None, None)

    @classmethod
    def of(cls, blocks: Iterable[bytes]) -> Self:
        """Return a stream of these blocks; damage behind the first bytes of a read is raised by the next one."""
        rest, left = iter(blocks), memoryview(b"")

        def fill(room: memoryview) -> int:
            nonlocal left
            left = left or memoryview(next(rest, b""))
            count = min(len(room), len(left))
            room[:count], left = left[:count], left[count:]
            return count

        return cls(fill)

    @property
    def is_file(self) -> bool:
        """Whether it gives what stands in a file, as it is: only a file is to be closed."""
        return self._at_end is not bool

    def blocks(self) -> Iterator[bytes]:
        """Yield what is left of the stream."""
        return iter(partial(self.read, _BLOCK), b"")

    def readinto(self, room: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer, or a part of it."""
        if not self._head:
            if self._damage:
                raise self._damage
            return self._fill(memoryview(room)) or 0
        count = min(len(room), len(self._head))
        room[:count], self._head = self._head[:count], self._head[count:]
        return count

    def peek(self, count: int = 512) -> bytes:
        """Return at least `count` first bytes, fewer only at the end; they can still be read."""
        more = 1
        while more and len(self._head) < count and not self._damage:
            room = bytearray(_BLOCK)
            try:
                more = self._fill(memoryview(room)) or 0
            except DamagedError as error:
                if not self._head:
                    raise
                self._damage, more = error, 0
            self._head += room[:more]
        return self._head

    def close(self) -> None:
        """Close what the bytes come from."""
        if not self.closed:
            self._at_end()
        super().close()


class CountedFile(io.FileIO):
    """A file that tells the account how much of it was read."""

    def __init__(self, path: str | Path, account: Account) -> None:
        super().__init__(path, "rb")
        self._account = account

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read into `buffer` and count."""
        count = super().readinto(buffer) or 0
        self._account.read(count)
        return count

    def read(self, size: int | None = -1) -> bytes:
        """Read and count."""
        data = super().read(-1 if size is None else size) or b""
        self._account.read(len(data))
        return data


def opened(path: str | Path, account: Account) -> CountedFile:
    """Open a file for reading; what the system refuses becomes an `InputError`. A pipe may have to be waited for."""
    told = Timer(DELAY, note, [f"{path}: this is a pipe into which nobody writes yet; waiting for it."])
    told.daemon = True
    try:
        if Path(path).is_fifo():
            told.start()
        return CountedFile(path, account)
    except OSError as error:
        raise unreadable(error, str(path)) from None
    finally:
        told.cancel()


def unreadable(error: OSError | ValueError | RuntimeError, place: str) -> InputError:
    """Return the error for what the system refuses."""
    if isinstance(error, PermissionError):
        return InputError("permission denied.", place=visible(place), next_step="Ask for read access.")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return InputError("no such file or folder.", place=visible(place), next_step="Check the path.")
    reason = getattr(error, "strerror", None) or str(error)
    return InputError(f"cannot be opened ({reason}).", place=visible(place), next_step="Check the path.")


def file_stream(path: Path, account: Account) -> Stream:
    """Return a file as it is now as a stream; reading raises `DamagedError` where the file has become shorter."""
    file = opened(path, account)
    size = os.fstat(file.fileno()).st_size if path.is_file() else sys.maxsize  # a log may grow while it is read
    left = size

    def fill(room: memoryview) -> int:
        nonlocal left
        count = file.readinto(room[:left])
        left -= count
        if len(room) and left and not count and size < sys.maxsize:
            got = f"{size - left:,} of {size:,} bytes could be read before that."
            cause = f"the file became shorter while it was read; {got}"
            raise DamagedError(cause, place=visible(str(path)), next_step="Read it again, or a copy of it.")
        return count

    return Stream(fill, file.close)


def stdin_stream(account: Account) -> Stream:
    """Return standard input as a stream."""
    standard_input = cast(io.BufferedReader, sys.stdin.buffer)

    def fill(room: memoryview) -> int:
        count = standard_input.readinto1(room)
        account.read(count)
        return count

    return Stream(fill)


def format_of(head: bytes) -> str:
    """Return `gz`, `bz2`, `xz`, `lzma` or `zst`, or an empty string for bytes that none of them begins with."""
    return next((name for name, magics in _MAGICS.items() if head.startswith(magics)), "")


def unpacked(kind: str, stream: Stream, place: str, account: Account, remarks: list[str]) -> Stream:
    """Return what a compressed stream holds, frame after frame.

    Parameters
    ----------
    kind : str
        What `format_of` said.
    place : str
        Name for messages.
    account : Account
        Holds the limits.
    remarks : list of str
        Gets a remark on bytes behind the compressed data, which are left out.

    Notes
    -----
    Reading raises `DamagedError` where the stream is cut off or corrupt (everything before that was delivered), and
    `RefusedError` where a limit is passed.
    """
    return Stream.of(_decoded(kind, stream, place, account, remarks))


def _decoded(kind: str, stream: Stream, place: str, account: Account, remarks: list[str]) -> Iterator[bytes]:
    make, behind = _DECODERS[kind], f"bytes behind the end of the {kind} data were left out"
    decoder, frames, consumed, produced, fresh = make(), 0, 0, 0, True
    for block in stream.blocks():
        consumed += len(block)
        while block or not (decoder.eof or decoder.needs_input):
            if decoder.eof:
                block = block.lstrip(b"\0")  # tapes and block devices pad with zeros
                if not block:
                    break
                decoder, frames, fresh = make(), frames + 1, True
            try:
                out = decoder.decompress(block, _BLOCK)
            except _ERRORS as error:
                if frames and fresh:
                    remarks.append(behind)
                    return
                raise _damage(place, produced, str(error)) from None
            block = decoder.unused_data if decoder.eof else b""
            if out:
                fresh = False
                produced += len(out)
                account.unpack(len(out), produced, consumed, place)
                yield out
    if frames and fresh and not decoder.eof:
        remarks.append(behind)
    elif not decoder.eof:
        raise _damage(place, produced, "")


def _damage(place: str, produced: int, reason: str) -> InputError:
    if "memory" in reason.lower():  # zstd's and xz's word for a window that is too large
        cause = "refused: to unpack it takes more memory than it is given here."
        return RefusedError(cause, place=place, next_step=UNPACK)
    if reason:
        cause = f"the compressed data is corrupt ({reason}): what stands in it may be wrong."
        return DamagedError(cause, place=place, corrupt=True)
    cause = f"the compressed data is cut off (truncated file); {produced:,} bytes of the log could be read before that."
    return DamagedError(cause, place=place)


def utf8(stream: Stream, remarks: list[str]) -> Stream:
    """Return the stream as UTF-8 where the text is UTF-16 (with or without a byte order mark), else as it is."""
    codec = utf16_codec(stream.peek())
    if not codec:
        return stream
    remarks.append("UTF-16 text, read as UTF-8; offsets count the UTF-8 bytes")
    decoder = codecs.getincrementaldecoder(codec)("replace")
    pieces = (decoder.decode(block, not block) for block in chain(stream.blocks(), [b""]))
    return Stream.of(text for piece in pieces if (text := piece.encode("utf-8", "replace")))


def utf16_codec(head: bytes) -> str:
    """Return the codec of a text that is UTF-16, told by its byte order mark or its zeros; else an empty string."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    sample = head[:4096]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if len(sample) >= 64 and max(even, odd) > 0.4 * len(sample) and min(even, odd) < 0.02 * len(sample):
        return "utf-16-le" if odd > even else "utf-16-be"
    return ""
