"""The lines around a place in a log, at once: by seeking in a plain file, by reading up to it in anything else."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Lock

from starface_nb.errors import InputError
from starface_nb.reading.archives import ZIP_MAGICS, is_tar
from starface_nb.reading.decompress import Blocks, format_of, utf16_codec
from starface_nb.reading.limits import Account, Limits
from starface_nb.reading.sources import Beside, expand
from starface_nb.reading.unwrap import texts

_REACH = 64 << 10  # bytes before and behind a place in which its neighbours are looked for
_KEPT_BLOCKS = 48
_PIPED_BYTES = 64 << 20
_lock = Lock()


@dataclass(frozen=True)
class ContextLine:
    """One line of the log near a place.

    Attributes
    ----------
    text : str
        The line without its newline, undecodable bytes replaced.
    offset : int
        Its byte offset in the decompressed stream.
    is_hit : bool
        Whether it is the line asked for.
    """

    text: str
    offset: int
    is_hit: bool


def lines_around(name: str, offset: int, before: int = 5, after: int = 5) -> list[ContextLine]:
    """Return the line at a byte offset with its neighbours.

    Parameters
    ----------
    name : str
        As in `Hits.name` and in the events' column `file`.
    offset : int
        Of the line's first byte in the decompressed stream.
    before, after : int
        Neighbours wanted; fewer come at the log's ends and beside lines longer than 64 KiB.

    Raises
    ------
    InputError
        The log is no longer there, or came through a pipe and is too large to have been kept.
    """
    first = max(0, offset - _REACH)
    raw = read_range(name, first, offset + _REACH)
    ahead, here = raw[: offset - first].split(b"\n"), raw[offset - first :].split(b"\n")
    if ahead[-1] == b"":
        ahead.pop()
    if first:
        ahead = ahead[1:]  # cut at its beginning
    if here and here[-1] == b"":
        here.pop()
    chosen = [*ahead[max(0, len(ahead) - before) :], *here[: after + 1]]
    at = offset - sum(len(text) + 1 for text in ahead[max(0, len(ahead) - before) :])
    lines = []
    for text in chosen:
        lines.append(ContextLine(text.decode("utf-8", "replace"), at, at == offset))
        at += len(text) + 1
    return lines


def read_range(name: str, start: int, end: int) -> bytes:
    """Return the bytes of a log's decompressed stream from `start` up to (not including) `end`.

    Raises
    ------
    InputError
        As for `lines_around`.
    """
    start = max(0, start)
    with _lock:
        kept = _piped.get(name)
        if kept is not None:
            return kept[start:end]
        path = Path(name)
        if path.is_file():
            with path.open("rb") as file:
                head = file.read(512)
                if not (format_of(head) or is_tar(head) or head.startswith(ZIP_MAGICS) or utf16_codec(head)):
                    file.seek(start)
                    return file.read(max(0, end - start))
        return _reader(name).read(start, end)


def bytes_between(name: str, start: int, end: int) -> bytes:
    """Return a stretch of the log, or nothing where it can be read only once (a pipe)."""
    try:
        return read_range(name, start, end)
    except InputError:
        return b""


# ---- what cannot be seeked in ----

_piped: dict[str, bytes] = {}


def kept_from_pipe(name: str, blocks: Blocks) -> Blocks:
    """Pass the blocks of a log that cannot be opened again on, and keep them (up to 64 MiB) to show lines of it."""
    kept, size = [], 0
    _piped.pop(name, None)
    for block in blocks:
        size += len(block)
        if size <= _PIPED_BYTES:
            kept.append(block)
        else:
            kept.clear()
        yield block
    if size <= _PIPED_BYTES:
        _piped[name] = b"".join(kept)


@dataclass
class _Reader:
    """Reads a stream forward, keeps the latest blocks, begins anew where an earlier one is wanted."""

    name: str
    blocks: Blocks | None = None
    position: int = 0
    kept: OrderedDict[int, bytes] = field(default_factory=OrderedDict)

    def read(self, start: int, end: int) -> bytes:
        parts = []
        while start < end:
            block, at = self._block_with(start)
            if not block:
                break
            parts.append(block[start - at : end - at])
            start += len(parts[-1])
        return b"".join(parts)

    def _block_with(self, offset: int) -> tuple[bytes, int]:
        for at, block in self.kept.items():
            if at <= offset < at + len(block):
                return block, at
        if self.blocks is None or offset < self.position:
            self.blocks, self.position = _stream(self.name), 0
            self.kept.clear()
        for block in self.blocks:
            at, self.position = self.position, self.position + len(block)
            self.kept[at] = block
            while len(self.kept) > _KEPT_BLOCKS:
                self.kept.popitem(last=False)
            if offset < self.position:
                return block, at
        return b"", self.position


@lru_cache(maxsize=3)
def _kept_reader(name: str, _size: int, _time: int) -> _Reader:
    return _Reader(name)


def _reader(name: str) -> _Reader:
    """Return the reader of a log, the same one as long as the file on disk has not changed."""
    status = _outermost(name).stat()
    return _kept_reader(name, status.st_size, status.st_mtime_ns)


def _outermost(name: str) -> Path:
    """Return the file on disk that `path!member!member` is in."""
    at = len(name)
    while at > 0:
        if Path(name[:at]).is_file():
            return Path(name[:at])
        at = name.rfind("!", 0, at)
    step = "Read the log again from where it is now."
    raise InputError("the log is no longer there, or came through a pipe.", place=name, next_step=step)


def _stream(name: str) -> Blocks:
    account = Account(Limits.from_environment())
    _, sources = expand([_outermost(name)], account)
    for source in sources:
        if name == source.name or name.startswith(source.name + "!"):
            for text in texts(source, account, Beside()):
                if text.name == name:
                    yield from text.blocks
                    return
    raise InputError("this log is no longer in the archive.", place=name, next_step="Read the archive again.")
