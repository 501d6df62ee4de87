"""The same log without personal data: understood lines rewritten, everything else left out and counted."""

from __future__ import annotations

import os
import secrets
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
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


@dataclass(frozen=True)
class _Written:
    text: str
    last: datetime | None
    logger_conf: str | None
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
    needles = [*catalogue.needles(), kept()["useragent"]["needle"].encode()]
    hits, _ = scan_logs(logs, needles, progress=progress, limits=limits)
    parsed = order.in_time_order([parse(one, zone) for one in order.without_copies(hits)[0]])
    parsed, _ = order.without_overlaps(parsed)
    lines = [understood(one) for one in parsed]
    names, addresses = _everybody(parsed, [rows for rows, _ in lines])
    pseudonyms = Pseudonyms(key or secrets.token_bytes(_KEY_BYTES), [*names, *addresses])
    for name in names:
        pseudonyms.name(name)
    for address in addresses:
        pseudonyms.address(address)
    move = _Move(shift_weeks, zone)
    written = [_rewrite(one, *some, Rewriter(pseudonyms), move) for one, some in zip(parsed, lines, strict=True)]
    _write(path, written)
    total, good = sum(one.hits.lines_total for one in parsed), sum(one.kept for one in written)
    refused = sum(one.refused for one in written)
    return Anonymised(path, total, good, total - good - refused, refused, len(names), len(addresses))


def _everybody(parsed: list[Parsed], lines: list[pl.DataFrame]) -> tuple[list[str], list[str]]:
    both = [identities(one, rows) for one, rows in zip(parsed, lines, strict=True)]
    names = dict.fromkeys(name for names, _ in both for name in names)
    addresses = dict.fromkeys(address for _, addresses in both for address in addresses)
    return list(names), list(addresses)


@dataclass(frozen=True)
class _Move:
    weeks: int
    zone: ZoneInfo

    def stamp(self, stamp: str, time: datetime | None) -> str | None:
        if not self.weeks or not stamp:
            return stamp
        return shifted(stamp, time, self.weeks, self.zone) if time else None

    def time(self, time: datetime) -> datetime:
        return time + timedelta(weeks=self.weeks)


def _rewrite(parsed: Parsed, rows: pl.DataFrame, ends: pl.DataFrame, rewriter: Rewriter, move: _Move) -> _Written:
    entries = catalogue.entries()
    agent = kept()["useragent"]["pattern"]
    first, last = parsed.first, parsed.last
    done: list[tuple[int, str, int | None]] = []
    for row in rows.iter_rows(named=True):
        pattern = agent if row["entry"] is None else entries[row["entry"]].pattern
        body = rewriter.message(row["bare"], pattern, row["peer"])
        stamp = move.stamp(row["stamp"], row["time"] or _near(first, last))
        if body is None or stamp is None:
            continue
        message = _mark(row["message"], row["bare"]) + body
        text = rewriter.line(row["body"], _was(row), stamp, message)
        if text is not None:
            done.append((row["offset"], text, row["entry"]))
    sure = _sure(done)
    good = len(sure)
    there = {offset for offset, _ in sure}
    for row, time in zip(ends.iter_rows(named=True), (first, last), strict=False):
        if row["offset"] in there:
            continue
        stamp = move.stamp(row["stamp"], time)
        text = rewriter.line(row["body"], _was(row), stamp, LEFT_OUT) if stamp else None
        if text is not None:
            sure.append((row["offset"], text))
    if move.weeks and rows.height and not done:
        raise SettingError(
            "The times of this log have a form that cannot be shifted.",
            place=parsed.hits.name,
            next_step="Leave --shift-weeks out.",
        )
    text = "".join(f"{line}\n" for _, line in sorted(sure))
    formats = dateformats(parsed.hits.logger_conf)
    conf = "[general]\n" + "".join(f"dateformat={form}\n" for form in formats) if formats else None
    return _Written(text, move.time(last) if last else None, conf, good, rows.height - good)


def _was(row: dict[str, str]) -> tuple[str, str, str]:
    return row["layout"], row["stamp"], row["message"]


def _near(first: datetime | None, last: datetime | None) -> datetime | None:
    return first or last


def _mark(message: str, bare: str) -> str:
    """Return the verbosity mark before a message, without the date that old versions repeat there."""
    return message[: len(message) - len(bare)].rpartition("]")[2]


def _sure(done: list[tuple[int, str, int | None]]) -> list[tuple[int, str]]:
    """Keep the lines that read again as the message they were."""
    text = pl.Series([line for _, line, _ in done], dtype=pl.String)
    headers = layouts.read_headers(text)
    bare = headers.select(layouts.verbose_prefix_off(pl.col("message")))["message"]
    found = catalogue.match(bare, headers["module"])
    entry_of = dict(zip(found["row"].to_list(), found["entry"].to_list(), strict=True))
    return [(at, line) for i, (at, line, entry) in enumerate(done) if "\n" not in line and entry_of.get(i) == entry]


def _write(path: Path, written: list[_Written]) -> None:
    names = [f"full.{n}" for n in range(len(written) - 1, 0, -1)] + ["full"]
    conf = next((one.logger_conf for one in reversed(written) if one.logger_conf), None)
    files = [(name, one.text.encode("utf-8", "replace"), one.last) for name, one in zip(names, written, strict=True)]
    if conf:
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
