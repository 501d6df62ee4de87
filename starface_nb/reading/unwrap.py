"""From a source to the log text in it: one layer of compression or archive after the other, and what is no text."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from starface_nb.errors import InputError
from starface_nb.reading.archives import ZIP_MAGICS, is_tar, tar_members, zip_members
from starface_nb.reading.decompress import (
    Blocks,
    Fill,
    decompressed,
    format_of,
    gunzipping,
    peek,
    utf8,
    utf16_codec,
)
from starface_nb.reading.limits import Account, RefusedError, raising
from starface_nb.reading.sources import (
    ARCHIVE,
    CONF,
    NOT_A_LOG,
    Argument,
    Beside,
    Source,
    chosen,
    conf_text,
    rank_of,
    refuse,
)

_SAMPLE = 1 << 16

# First bytes that tell a file is no text; the names are for the message.
_BINARY = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"SQLite format 3": "a database",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\xd4\xc3\xb2\xa1": "a packet capture",
    b"\xa1\xb2\xc3\xd4": "a packet capture",
    b"\x0a\x0d\x0d\x0a": "a packet capture",
    b"PAR1": "a parquet file",
}


@dataclass(frozen=True)
class Text:
    """A log found in a source, its text as blocks of bytes."""

    name: str
    rank: int
    modified: datetime | None
    blocks: Blocks = field(repr=False)
    remarks: list[str] = field(default_factory=list)
    again: Callable[[], Blocks] | None = None  # opens it anew
    fill: Fill | None = None  # a faster way to the same bytes


def texts(source: Source, account: Account, beside: Beside) -> Iterator[Text]:
    """Yield the logs in a source; use up each one's blocks before asking for the next.

    Raises
    ------
    InputError
        The content is no log, is damaged, or is refused.
    """
    again = source.open if source.path else None
    text = Text(source.name, source.rank, source.modified, source.open(), again=again)
    return _Unwrapping(source.argument, account, beside).unwrap(text, 0)


@dataclass(frozen=True)
class _Unwrapping:
    """Takes off one layer (compression or archive) after the other."""

    argument: Argument
    account: Account
    beside: Beside

    def unwrap(self, outer: Text, depth: int) -> Iterator[Text]:
        name, blocks, remarks, kinds = outer.name, outer.blocks, list[str](), list[str]()
        while True:
            head, blocks = peek(blocks)
            kind = format_of(head)
            archive = is_tar(head) or head.startswith(ZIP_MAGICS)
            if not kind and not archive:
                break
            depth += 1
            if depth > self.account.limits.max_nesting:
                cause = f"refused: more than {depth - 1} archives or compressions inside each other."
                raise RefusedError(cause, place=name, next_step=raising("max_nesting"))
            if archive:
                yield from self._inside(self._tar if is_tar(head) else self._zip, name, blocks, depth)
                return
            kinds.append(kind)
            blocks = decompressed(kind, blocks, name, self.account, remarks)
        check_text(head, name)
        fill = None
        if kinds == ["gz"] and outer.again and not utf16_codec(head):
            fill = gunzipping(outer.again, name, self.account, remarks)
        yield replace(outer, blocks=utf8(head, blocks, remarks), remarks=remarks, fill=fill)

    def _inside(
        self, walk: Callable[[str, Blocks], Iterator[Text]], name: str, blocks: Blocks, depth: int
    ) -> Iterator[Text]:
        for inner in walk(name, blocks):
            try:
                yield from self.unwrap(inner, depth)
            except RefusedError:
                raise
            except InputError as error:
                self.beside.notes.append(f"skipped: {error}")

    def _tar(self, name: str, blocks: Blocks) -> Iterator[Text]:
        for member, data in tar_members(blocks, name, self.account):
            rank = 0 if ARCHIVE.search(member.name) else rank_of(member.name)
            if CONF.match(member.name) and not member.refused:
                self.beside.logger_conf = conf_text(data, self.account)
            elif rank == NOT_A_LOG:
                self.beside.skipped += 1
            elif member.refused:
                refuse(name, member, self.beside)
            else:
                yield Text(f"{name}!{member.name}", rank, member.modified, data)

    def _zip(self, name: str, blocks: Blocks) -> Iterator[Text]:
        """Hold a zip that comes as a stream in memory: its table of contents stands at its end."""
        held, limit = io.BytesIO(), self.account.limits.max_held_bytes
        for block in blocks:
            held.write(block)
            if held.tell() > limit:
                cause = f"refused: a zip archive of more than {limit:,} bytes inside another stream."
                step = "Save or unpack it and name it itself. " + raising("max_held_bytes")
                raise RefusedError(cause, place=name, next_step=step)
        data = held.getvalue()
        members = zip_members(partial(io.BytesIO, data), name, self.account)
        for source in chosen(name, members, self.argument, self.beside, self.account):
            yield Text(source.name, source.rank, source.modified, source.open(), again=source.open)


def check_text(head: bytes, name: str) -> None:
    """Raise `InputError` where the first bytes of a file are not those of a text."""
    if not head:
        raise InputError("the file is empty.", place=name, next_step="Download or export the log again.")
    what = next((what for magic, what in _BINARY.items() if head.startswith(magic)), "")
    sample = head[:_SAMPLE].replace(b"\0", b"")
    controls = len(sample) - len(sample.translate(None, bytes({*range(32), 127} - {9, 10, 12, 13, 27})))
    if what == "a program" and controls < 0.02 * len(sample):
        what = ""
    if what or controls > 0.05 * len(sample):
        step = "Unpack it and name the log inside." if "archive" in what else "Name the PBX log (Asterisk's full log)."
        raise InputError(f"is no text log but {what or 'binary data'}.", place=name, next_step=step)
