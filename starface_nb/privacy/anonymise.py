"""The same log without personal data: understood lines rewritten, everything else left out and counted."""

from __future__ import annotations

import os
import re
import secrets
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import polars as pl

from starface_nb.errors import InputError, SettingError
from starface_nb.files import replacing, write
from starface_nb.privacy.pseudonyms import Pseudonyms, kept
from starface_nb.privacy.rewrite import Rewriter
from starface_nb.privacy.shift import shifted
from starface_nb.reading import catalogue, clock, layouts, order
from starface_nb.reading.parse import Parsed, parse
from starface_nb.reading.scan import Limits, scan_logs
from starface_nb.reading.stamps import dateformats

LEFT_OUT = "(left out)"
_INSIDE_ZIP = "var/log/asterisk"
_KEY_BYTES = 32
_ADDRESS = r"\b\d{1,3}(?:\.\d{1,3}){3}\b"
_WITHOUT_WHO = ("restart", "shutdown", "rotate", "reload")


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
    lines = [_understood(one) for one in parsed]
    names, addresses = _identities(parsed, [rows for rows, _ in lines])
    pseudonyms = Pseudonyms(key or secrets.token_bytes(_KEY_BYTES), [*names, *addresses])
    for name in names:
        pseudonyms.name(name)
    for address in addresses:
        pseudonyms.address(address)
    rewriter = Rewriter(pseudonyms)
    written = [_rewrite(one, *some, rewriter, shift_weeks, zone) for one, some in zip(parsed, lines, strict=True)]
    _write(path, written, [dateformats(one.hits.logger_conf) for one in parsed])
    total, good, refused = (
        sum(counts)
        for counts in zip(
            *((p.hits.lines, w.kept, w.refused) for p, w in zip(parsed, written, strict=True)), strict=True
        )
    )
    return Anonymised(path, total, good, total - good - refused, refused, len(names), len(addresses))


def _understood(parsed: Parsed) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the lines of a file that may go on, rewritten, and the two that say when it begins and ends.

    Returns
    -------
    polars.DataFrame
        `offset`, `body` (the line, without what grep and the like put before every line), `time` (UTC, null where not
        known), `peer` (of the event), `entry` (index in the catalogue, null for a user agent), `layout`, `stamp`,
        `message` and `bare` (the message without its mark).
    polars.DataFrame
        `offset`, `body`, `layout`, `stamp` and `message` of the first and the last line with a stamp.
    """
    rows = (
        parsed.rows.filter(pl.col("doubt").is_null())
        .with_columns(pl.col("layout").cast(pl.String))
        .drop("time", "peer")
    )
    events = parsed.events.select("offset", "time", "peer", pl.lit(value=True).alias("event"))
    known = rows.filter(pl.col("line").is_not_null()).join(events, on="offset", how="left", maintain_order="left")
    event = pl.col("event").is_not_null() | pl.col("kind").cast(pl.String).is_in(_WITHOUT_WHO)
    agent = pl.col("bare").str.contains(kept()["useragent"]["pattern"])
    known = known.with_columns(pl.when(event).then("entry").alias("entry")).filter(event | agent)
    stamped = rows.filter(pl.col("stamp") != "")
    ends = pl.concat([stamped.head(1), stamped.tail(1)]).unique("offset").sort("offset")
    columns = ["offset", "body", "layout", "stamp", "message"]
    return known.select(*columns, "time", "peer", "entry", "bare"), ends.select(columns)


def _identities(parsed: list[Parsed], rows: list[pl.DataFrame]) -> tuple[list[str], list[str]]:
    """Return names and addresses in the understood lines, those of phones first."""
    events, texts = pl.concat(one.events for one in parsed), pl.concat(one.select("body", "bare") for one in rows)
    refused = pl.col("kind") == "registration_failed"
    peers, own = (events.sort(refused, column)[column].drop_nulls().to_list() for column in ("peer", "address"))
    agents = texts["bare"].str.extract(kept()["useragent"]["pattern"], 1).drop_nulls().sort().to_list()
    users = [user for uri in events["contact"].drop_nulls().sort() for user in re.findall(r"sips?:([^@]*)@", uri)]
    others = sorted({address for line in texts["body"] for address in re.findall(_ADDRESS, line)})
    return list(dict.fromkeys([*peers, *users, *agents])), list(dict.fromkeys([*own, *others]))


def _rewrite(
    parsed: Parsed, rows: pl.DataFrame, ends: pl.DataFrame, rewriter: Rewriter, weeks: int, zone: ZoneInfo
) -> _Written:
    entries, agent = catalogue.entries(), kept()["useragent"]["pattern"]
    first, last = parsed.first, parsed.last

    def line(row: dict[str, Any], time: datetime | None, message: str) -> str | None:
        stamp: str | None = row["stamp"]
        if weeks and stamp:
            stamp = shifted(stamp, time, weeks, zone) if time else None
        if stamp is None:
            return None
        return rewriter.line(row["body"], row["layout"], row["stamp"], row["message"], stamp, message)

    done: list[tuple[int, str, int | None]] = []
    for row in rows.iter_rows(named=True):
        pattern = agent if row["entry"] is None else entries[row["entry"]].pattern
        body = rewriter.message(row["bare"], pattern, row["peer"])
        if body is not None:
            mark = row["message"].removesuffix(row["bare"]).rpartition("]")[2]  # without the date of old versions there
            text = line(row, row["time"] or first or last, mark + body)
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
    return _Written(text, end, len(sure), rows.height - len(sure))


def _sure(done: list[tuple[int, str, int | None]]) -> dict[int, str]:
    """Return, by offset, the lines that read again as the message they were."""
    text = pl.Series([line for _, line, _ in done], dtype=pl.String)
    headers = layouts.read_headers(text)
    bare = headers.select(layouts.verbose_prefix_off(pl.col("message")))["message"]
    found = catalogue.match(bare, headers["module"])
    entry_of = dict(zip(found["row"].to_list(), found["entry"].to_list(), strict=True))
    return {at: line for i, (at, line, entry) in enumerate(done) if "\n" not in line and entry_of.get(i) == entry}


def _write(path: Path, written: list[_Written], formats: list[tuple[str, ...]]) -> None:
    names = [*(f"full.{n}" for n in range(len(written) - 1, 0, -1)), "full"]
    files = {name: (one.text, one.last) for name, one in zip(names, written, strict=True)}
    latest = next(filter(None, reversed(formats)), ())
    if latest:
        files["logger.conf"] = "[general]\n" + "".join(f"dateformat={form}\n" for form in latest), None
    if path.suffix.lower() == ".zip":
        with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, (text, last) in files.items():
                when = (last or datetime(1980, 1, 1, tzinfo=UTC)).astimezone(UTC) + timedelta(seconds=2)
                info = zipfile.ZipInfo(f"{_INSIDE_ZIP}/{name}", when.timetuple()[:6])
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, text.encode("utf-8", "replace"))
        return
    whole = len(files) == 1 and not path.is_dir()
    if not whole:
        path.mkdir(parents=True, exist_ok=True)
    for name, (text, last) in files.items():
        place = path if whole else path / name
        write(place, text.encode("utf-8", "replace"))
        if last:  # lines without a year are dated by the file's time
            os.utime(place, (last.timestamp() + 1,) * 2)
