"""The same log without personal data: understood lines rewritten, everything else left out and counted."""

from __future__ import annotations

import os
import secrets
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import polars as pl

from starface_nb.errors import InputError, SettingError
from starface_nb.files import replacing
from starface_nb.privacy.lines import identities, understood
from starface_nb.privacy.pseudonyms import Pseudonyms
from starface_nb.privacy.rewrite import Rewriter, kept
from starface_nb.privacy.shift import shifted
from starface_nb.reading import catalogue, clock, layouts, order
from starface_nb.reading.parse import Parsed, parse
from starface_nb.reading.scan import Limits, scan_logs
from starface_nb.reading.stamps import dateformats

LEFT_OUT = "(left out)"
_INSIDE_ZIP = "var/log/asterisk"
_KEY_BYTES = 32


@dataclass(frozen=True)
class Anonymised:
    """What was written.

    Attributes
    ----------
    path : Path
        File, zip or folder.
    lines : int
        Lines of the original.
    kept : int
        Lines that were understood, rewritten and written.
    left_out : int
        Lines that were not understood.
    refused : int
        Lines that were understood but could not be rewritten with certainty; left out as well.
    names, addresses : int
        How many different ones were replaced.
    """

    path: Path
    lines: int
    kept: int
    left_out: int
    refused: int
    names: int
    addresses: int


class _Written(NamedTuple):
    text: str
    last: datetime | None
    formats: tuple[str, ...]
    kept: int
    refused: int


def anonymise(
    logs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    key: bytes | None = None,
    shift_weeks: int = 0,
    time_zone: str = "Europe/Berlin",
    progress: bool = True,
    limits: Limits | None = None,
) -> Anonymised:
    """Write the same log with every name, number, address, user agent and call identity replaced.

    Each gets a replacement of its own shape, the same everywhere; ports, times and measured values stay, so that the
    diagnosis stays the same. Lines that are not understood are left out.

    Parameters
    ----------
    logs : sequence of paths
        Files, archives, folders, globs of one log; `-` is standard input.
    output : path
        A name ending in `.zip` gives a zip; an existing folder, or several files, a folder; otherwise one file.
    key : bytes, optional
        Secret that decides the replacements; default: a random one that nobody keeps.
    shift_weeks : int
        Move all times by whole weeks; distances in time and hours of the day (in UTC) stay.
    time_zone : str
        Zone of the log's local times.
    progress : bool
    limits : Limits, optional

    Raises
    ------
    InputError
        A source cannot be read, or the output is one of the inputs.
    SettingError
        The times of this log cannot be shifted.
    """
    zone = clock.zone(time_zone)
    path = Path(output)
    if path.exists() and any(Path(log).exists() and path.samefile(log) for log in logs):
        raise InputError(
            "The output is the log itself.", place=str(path), next_step="Choose another name for the output."
        )
    needles = [*catalogue.NEEDLES, kept()["useragent"]["needle"].encode()]
    hits, _ = scan_logs(logs, needles, progress=progress, limits=limits, words=True)
    parsed = order.in_time_order([parse(one, zone) for one in order.without_copies(hits)[0]])
    parsed, _ = order.without_overlaps(parsed)
    lines = [understood(one) for one in parsed]
    told = [identities(one, rows) for one, (rows, _) in zip(parsed, lines, strict=True)]
    names, addresses = (list(dict.fromkeys(chain.from_iterable(found))) for found in zip(*told, strict=True))
    pseudonyms = Pseudonyms(key or secrets.token_bytes(_KEY_BYTES), [*names, *addresses])
    for name in names:
        pseudonyms.name(name)
    for address in addresses:
        pseudonyms.address(address)
    rewriter = Rewriter(pseudonyms)
    written = [_rewrite(one, *some, rewriter, shift_weeks, zone) for one, some in zip(parsed, lines, strict=True)]
    _write(path, written)
    total, good = sum(one.hits.lines for one in parsed), sum(one.kept for one in written)
    refused = sum(one.refused for one in written)
    return Anonymised(path, total, good, total - good - refused, refused, len(names), len(addresses))


def _rewrite(
    parsed: Parsed, rows: pl.DataFrame, ends: pl.DataFrame, rewriter: Rewriter, weeks: int, zone: ZoneInfo
) -> _Written:
    entries, agent = catalogue.entries(), kept()["useragent"]["pattern"]
    first, last = parsed.first, parsed.last

    def line(row: dict[str, Any], time: datetime | None, message: str) -> str | None:
        stamp: str | None = row["stamp"]
        if weeks and stamp:
            stamp = shifted(stamp, time, weeks, zone) if time else None
        return (
            None
            if stamp is None
            else rewriter.line(row["body"], row["layout"], row["stamp"], row["message"], stamp, message)
        )

    done: list[tuple[int, str, int | None]] = []
    for row in rows.iter_rows(named=True):
        pattern = agent if row["entry"] is None else entries[row["entry"]].pattern
        body = rewriter.message(row["bare"], pattern, row["peer"])
        if body is None:
            continue
        text = line(row, row["time"] or first or last, _mark(row["message"], row["bare"]) + body)
        if text is not None:
            done.append((row["offset"], text, row["entry"]))
    if weeks and rows.height and not done:
        raise SettingError(
            "The times of this log have a form that cannot be shifted.",
            place=parsed.hits.name,
            next_step="Leave --shift-weeks out.",
        )
    sure = _sure(done)
    marks = {
        row["offset"]: line(row, at, LEFT_OUT)
        for row, at in zip(ends.iter_rows(named=True), (first, last), strict=False)
    }
    text = "".join(f"{line}\n" for _, line in sorted((marks | sure).items()) if line is not None)
    end = last + timedelta(weeks=weeks) if last else None
    return _Written(text, end, dateformats(parsed.hits.logger_conf), len(sure), rows.height - len(sure))


def _mark(message: str, bare: str) -> str:
    """Return the verbosity mark before a message, without the date that old versions repeat there."""
    return message[: len(message) - len(bare)].rpartition("]")[2]


def _sure(done: list[tuple[int, str, int | None]]) -> dict[int, str]:
    """Return, by offset, the lines that read again as the message they were."""
    text = pl.Series([line for _, line, _ in done], dtype=pl.String)
    headers = layouts.read_headers(text)
    bare = headers.select(layouts.verbose_prefix_off(pl.col("message")))["message"]
    found = catalogue.match(bare, headers["module"])
    entry_of = dict(zip(found["row"].to_list(), found["entry"].to_list(), strict=True))
    return {at: line for i, (at, line, entry) in enumerate(done) if "\n" not in line and entry_of.get(i) == entry}


def _write(path: Path, written: list[_Written]) -> None:
    names = [f"full.{n}" for n in range(len(written) - 1, 0, -1)] + ["full"]
    files = [(name, one.text.encode("utf-8", "replace"), one.last) for name, one in zip(names, written, strict=True)]
    formats = next((one.formats for one in reversed(written) if one.formats), ())
    if formats:
        conf = "[general]\n" + "".join(f"dateformat={form}\n" for form in formats)
        files.append(("logger.conf", conf.encode("utf-8", "replace"), None))
    if path.suffix.lower() == ".zip":
        _write_zip(path, files)
    elif len(files) == 1 and not path.is_dir():
        _write_file(path, *files[0][1:])
    else:
        path.mkdir(parents=True, exist_ok=True)
        for name, content, last in files:
            _write_file(path / name, content, last)


def _write_file(path: Path, content: bytes, last: datetime | None) -> None:
    with replacing(path) as file:
        file.write(content)
    if last:  # lines without a year are dated by the file's time
        os.utime(path, (last.timestamp() + 1,) * 2)


def _write_zip(path: Path, files: list[tuple[str, bytes, datetime | None]]) -> None:
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, last in files:
            when = (last or datetime(1980, 1, 1, tzinfo=UTC)).astimezone(UTC) + timedelta(seconds=2)
            info = zipfile.ZipInfo(f"{_INSIDE_ZIP}/{name}", when.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
