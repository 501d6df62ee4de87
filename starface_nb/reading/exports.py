"""Exports of log search engines and collectors, JSON, CSV and journald's own, to the lines and times in them."""

from __future__ import annotations

import csv
import email
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from email.message import Message
from itertools import chain, islice
from typing import Any, TypeVar

from starface_nb.reading.undress import own
from starface_nb.sources.limits import Limits, RefusedError
from starface_nb.tables import table

Physical = tuple[int, str]  # number of a line and its text
Record = tuple[int, str, str]  # number of the line it begins on, its time or "", its text
Line = TypeVar("Line", Physical, Record)

_DELIMITERS = ",;\t|"
_ROWS_LOOKED_AT = 2000
_DEEPEST = 8
_NAMES = table("reading/forms")["export"]
_MAIL = re.compile(r"\A(?:[A-Za-z][\w-]*: .*\r?\n(?:[ \t].*\r?\n)*){2,}\r?\n")
_SOFT = re.compile(r"(?im)^(?:content-type|mime-version): ")


def is_mail(head: str) -> bool:
    """Say whether a text is a mail as it was saved, with headers of RFC 2045, or the body of one, quoted-printable."""
    return _has_headers(head) or _is_quoted(head)


def _has_headers(head: str) -> bool:
    return bool((found := _MAIL.match(head)) and _SOFT.search(found[0]))


def _is_quoted(head: str) -> bool:
    """Say whether lines are wrapped as RFC 2045 section 6.7 has it: none is longer, and many end with `=`."""
    lines = head.splitlines()
    return max(map(len, lines), default=77) <= 76 and sum(line.endswith("=") for line in lines) > len(lines) // 20


def attached(raw: bytes) -> list[bytes]:
    """Return what is read of a mail, part after part; nothing of a text that is none."""
    return _texts(raw) if is_mail(raw[: 64 << 10].decode("latin-1")) else []


def is_mailbox(head: str) -> bool:
    """Say whether a text is a mailbox: mails in one file, each behind a line `From ...` (RFC 4155)."""
    return head.startswith("From ") and is_mail(head.partition("\n")[2])


def unmailed(raw: bytes) -> bytes:
    """Return the texts in a mail, one after the other: its own and those attached."""
    return b"\n".join(_texts(raw))


def _texts(raw: bytes) -> list[bytes]:
    if not _has_headers(raw[: 64 << 10].decode("latin-1")):
        raw = b"Content-Transfer-Encoding: quoted-printable\n\n" + raw
    parts = [part for part in email.message_from_bytes(raw).walk() if not part.is_multipart()]
    return [_payload(part) for part in parts if part.get_content_type() != "text/html"] or [*map(_payload, parts)]


def _payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    try:
        return raw.decode(part.get_content_charset() or "utf-8").encode()
    except (LookupError, UnicodeDecodeError):
        return raw


def kind_of(head: str) -> str:
    """Return `json`, `journal`, `csv` or an empty string for a text that begins like none of them."""
    first = head.lstrip()[:400]
    if re.match(r"\{|\[\s*[\[{]", first):
        return "json"
    if re.match(r"__[A-Z_]+=", first):
        return "journal"
    return "csv" if _shape(head.splitlines()[:_ROWS_LOOKED_AT]) else ""


def records(kind: str, lines: Iterator[Physical]) -> Iterator[Record]:
    """Return the records of an export of this kind."""
    return {"json": _json, "journal": _journal, "csv": _csv}[kind](lines)


def in_one_piece(lines: Iterator[Physical]) -> Iterator[Physical]:
    """Yield lines that a container's engine wrote in parts in one piece, exactly as they were."""
    begun, pattern = dict[str, Physical](), re.compile(table("reading/forms")["parts"]["pattern"])
    for number, text in lines:
        found = pattern.match(text)
        if not found:
            yield number, text
            continue
        number, before = begun.pop(found["stream"], (number, found[0]))
        if found["tag"] == "P":
            begun[found["stream"]] = number, before + text[found.end() :]
        else:
            yield number, before + text[found.end() :]
    yield from begun.values()


# ---- JSON ----


def _json(lines: Iterator[Physical]) -> Iterator[Record]:
    """Read one object per line; or, where the lines are none, one document."""
    first = list(islice(lines, 1))
    try:
        whole = not isinstance(json.loads(first[0][1]) if first else {}, dict)
    except ValueError:
        whole = True
    if whole:
        yield from _document(chain(first, lines))
        return
    for number, text in chain(first, lines):
        try:
            entry = json.loads(text)
        except (ValueError, RecursionError):
            yield number, "", text
            continue
        yield from ((number, time, message) for time, message in _walk(entry, ""))


def _document(lines: Iterator[Physical]) -> Iterator[Record]:
    """Read JSON that goes over many lines: one value, or several one after the other."""
    refusal = RefusedError("refused: one JSON document of more than 128 MiB.", next_step="Export one object per line.")
    text = "\n".join(line for _, line in held(lines, refusal))
    at, number = 0, 1
    for value in _values(text):
        for time, message in _walk(value, ""):
            written = (json.dumps(message[:60], ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))
            found = next((place for one in written if (place := text.find(one, at)) >= 0), at)
            at, number = found, number + text.count("\n", at, found)
            yield number, time, message


def held(lines: Iterable[Line], refusal: RefusedError) -> Iterator[Line]:
    """Pass on what is held in memory, as much as may be."""
    size = 0
    for line in lines:
        size += len(line[-1]) + 1
        if size > Limits.max_held_bytes:
            raise refusal
        yield line


def _values(text: str) -> Iterator[Any]:
    """Yield the values in a text; of an array that is cut off, those that are whole."""
    between, decoder, at = re.compile(r"[\s,]*"), json.JSONDecoder(strict=False), 0
    while (at := between.match(text, at).end()) < len(text):  # type: ignore[union-attr]
        try:
            value, at = decoder.raw_decode(text, at)
            yield value
        except (ValueError, RecursionError):
            inner = re.compile(r"[\[{]").search(text, at + 1)
            if not inner:
                return
            at = inner.start()


def _walk(value: Any, time: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield times and texts of the log lines in a JSON value, in its order."""
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        time = _time(value) or time
        if (own := _asterisks(value)) is not None:
            yield own
            return
        message = next((text for name in _NAMES["message"] if (text := _text(value.get(name))) is not None), None)
        if message is not None:
            yield from _message(message, time, depth)
            return
        value = list(value.values())
    elif _is_lokis(value):
        yield value[0], value[1]
        return
    if isinstance(value, list):
        for inner in value:
            yield from _walk(inner, time, depth + 1)


def _is_lokis(value: Any) -> bool:
    """Say whether a value is a pair of Loki's: nanoseconds since 1970 and a line."""
    is_pair = isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value)
    return is_pair and re.fullmatch(r"1\d{18}", value[0]) is not None


def _message(message: str, time: str, depth: int) -> Iterator[tuple[str, str]]:
    if message.startswith("{"):  # an object within the object
        try:
            inner = list(_walk(json.loads(message), time, depth + 1))
        except (ValueError, RecursionError):
            inner = []
        if inner:
            yield from inner
            return
    yield time, message


def _text(value: Any) -> str | None:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, list) and value and all(isinstance(byte, int) and 0 <= byte < 256 for byte in value):
        value = bytes(value).decode("utf-8", "replace")  # journald's way with control characters
    return value.rstrip("\r\n") if isinstance(value, str) else None


def _time(entry: dict[str, Any]) -> str:
    for name in _NAMES["time"]:
        value = entry.get(name)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
        if isinstance(value, str) and value:
            return value
    return ""


def _asterisks(entry: dict[str, Any]) -> tuple[str, str] | None:
    """Return an entry of Asterisk's own JSON as a line with a header, None for any other object."""
    try:
        logged = entry["logmsg"]
        place, thread = logged["location"]["filename"], entry["identifiers"]["lwp"]
        message = str(logged["message"]).strip("\r\n")
        return "", f"[{entry['timestamp']}] {logged['level']}[{thread}] {place}: {message}"
    except (KeyError, TypeError):
        return None


# ---- journald's export format ----


def _journal(lines: Iterator[Physical]) -> Iterator[Record]:
    """Read records of `journalctl -o export`: fields line by line, a blank line behind each record."""
    fields, number, awaited = dict[str, str](), 0, ""
    for at, text in chain(lines, [(0, "")]):
        if awaited:  # a binary field: eight bytes of length, then the text
            fields[awaited], number, awaited = re.sub(r"^.{1,2}?\0{6,7}", "", text), at, ""
        elif not text:
            if "MESSAGE" in fields:
                yield number, fields.get("__REALTIME_TIMESTAMP", ""), fields["MESSAGE"]
            fields = {}
        elif "=" in text:
            name, _, value = text.partition("=")
            fields[name] = value
            number = at if name == "MESSAGE" else number
        else:
            awaited = text


# ---- tables ----


def _shape(rows: list[str]) -> tuple[str, int, int] | None:
    """Return a table's delimiter and which columns hold line and time (-1 for none); None for what is no table."""
    best: tuple[int, tuple[str, int, int] | None] = (0, None)
    for delimiter in _DELIMITERS:
        texts, times = Counter[int](), Counter[int]()
        try:
            cells = list(csv.reader(rows, delimiter=delimiter))
        except csv.Error:
            continue
        for row in cells:
            texts.update([i for i, cell in enumerate(row) if len(row) > 1 and own("cell").match(cell)][:1])
            times.update([i for i, cell in enumerate(row) if own("date").fullmatch(cell.strip())][:1])
        column, count = texts.most_common(1)[0] if texts else (0, 0)
        time = times.most_common(1)[0][0] if times else -1
        if count > best[0]:
            best = count, (delimiter, column, time)
    return best[1] if 2 * best[0] > sum(own("sign").search(row) is not None for row in rows) else None


def _csv(lines: Iterator[Physical]) -> Iterator[Record]:
    """Read a table: which columns hold line and time is seen in its first rows."""
    first = list(islice(lines, _ROWS_LOOKED_AT))
    shape = _shape([text for _, text in first])
    if shape is None:
        yield from ((number, "", text) for number, text in chain(first, lines))
        return
    delimiter, column, time = shape
    numbers: list[int] = []
    for row in _rows(chain(first, lines), delimiter, numbers):
        if column < len(row) and row[column]:
            stamp = row[time].strip() if 0 <= time < len(row) else ""
            yield numbers[0], stamp if own("date").fullmatch(stamp) else "", row[column]
        numbers.clear()


def _rows(lines: Iterable[Physical], delimiter: str, numbers: list[int]) -> Iterator[list[str]]:
    def texts() -> Iterator[str]:
        for number, text in lines:
            numbers.append(number)
            yield text + "\n"

    reader = csv.reader(texts(), delimiter=delimiter)
    while True:
        try:
            row = next(reader, None)
        except csv.Error:  # an overlong field
            numbers.clear()
            continue
        if row is None:
            return
        yield row
