"""The same log without personal data: understood lines rewritten, everything else left out and counted."""

import os
import re
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipInfo
from zoneinfo import ZoneInfo

import polars as pl

from starface_nb.analysis.diagnose import require_one_customer
from starface_nb.bundle.facts import put_together, zone_of
from starface_nb.errors import InputError, SettingError
from starface_nb.files import has_files_name, keep_free, real, write, write_files
from starface_nb.privacy.pseudonyms import Pseudonyms
from starface_nb.privacy.rewrite import Rewriter
from starface_nb.reading import DEFAULT_ZONE, catalogue, clock, layouts, order, read_log
from starface_nb.reading.log import Log, LogFile
from starface_nb.reading.parse import Parsed, parse
from starface_nb.reading.pauses import pauses_between
from starface_nb.reading.scan import scan_logs
from starface_nb.reading.schemas import EVENTS, UNPARSED
from starface_nb.reading.tidy import tidied, without_end
from starface_nb.sources.apart import keep_apart
from starface_nb.spared import spare
from starface_nb.tables import table

LEFT_OUT = "(left out)"
_ELSEWHERE = "Name a new file or folder somewhere else."
_INSIDE_ZIP = "var/log/asterisk"
_KEY_BYTES = 32
_ADDRESS = r"\b\d{1,3}(?:\.\d{1,3}){3}\b"
_MOST_DIFFER = 10  # with a tenth of its events gone, a log tells another story
_CALL = re.compile(r"\[C-([0-9A-Fa-f]+)\]")
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
    beside : int
        Files beside the log (settings, lists of peers, a router's log ...); they are left out.
    notes : tuple of str
        What was skipped or is damaged, and why; and whether the copy's diagnosis may differ.
    """

    path: Path
    lines: int
    kept: int
    left_out: int
    refused: int
    names: int
    addresses: int
    beside: int = 0
    notes: tuple[str, ...] = ()


def anonymise(
    logs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    key: bytes | Callable[[], bytes] | None = None,
    shift_weeks: int = 0,
    time_zone: str | None = None,
) -> Anonymised:
    """Write the same log with every name, number, address, user agent and call identity replaced.

    Each gets a replacement of its own shape, the same everywhere; ports, times and measured values stay, so that
    the diagnosis stays the same, but for the calls that did not get through: whom they were for is left out.
    Whatever the log's layout, lines are written in that of Asterisk's log file, their times with the offset from
    UTC: what stands around a message carries nobody out. What is not understood is left out.

    Parameters
    ----------
    logs : sequence of paths
        Files, archives, folders, globs of one log; `-` is standard input.
    output : path
        A name ending in `.zip` gives a zip; an existing empty folder, or several files, a folder; otherwise one file.
    key : bytes or callable, optional
        Secret that decides the replacements, or what makes it once the log was read; default: a random one that nobody
        keeps.
    shift_weeks : int
        Move all times by whole weeks; distances in time and hours of the day (in UTC) stay. May be negative.
    time_zone : str, optional
        Zone of the log's local times; default: as a support bundle says, or else Europe/Berlin.

    Raises
    ------
    InputError
        A source cannot be read, no line of any file is Asterisk's, the files are of two customers, or may be, or too
        many events of the log cannot be rewritten.
    SettingError
        The output is one of the inputs, a folder that holds something already, or the weeks lead out of the calendar.
    """
    given = clock.zone(time_zone or DEFAULT_ZONE)
    path = Path(output)
    _check_place(path, logs)
    needles = [*catalogue.NEEDLES, table("privacy/kept")["useragent"]["needle"].encode()]
    hits, notes = scan_logs(logs, needles, words=True)
    order.without_foreign(hits)  # of a file that is no log, nothing would be left
    found = put_together(member for hit in hits for member in hit.members)
    zone, _ = zone_of(found.values("time_zone"), given, is_default=time_zone is None)
    parsed = [order.without_repeats(parse(one, zone)) for one in order.without_copies(hits)[0]]
    parsed, twice = order.without_overlaps(order.in_time_order(parsed))
    if len(parsed) > 1 and path.suffix.lower() != ".zip" and has_files_name(path) and not path.exists():
        step = f"Leave out {path.suffix}, or let the name end in .zip."
        raise SettingError("Several files are written, into a folder or a zip.", place=path, next_step=step)
    _require_one_customer(parsed, zone, tuple(twice))
    rows = [_understood(one) for one in parsed]
    names, addresses = _identities(parsed, rows)
    _check_times(parsed, moved := timedelta(weeks=shift_weeks))
    secret = key() if callable(key) else key or secrets.token_bytes(_KEY_BYTES)
    pseudonyms = Pseudonyms(secret, [*names, *addresses])
    for name in names:
        pseudonyms.name(name)
    for address in addresses:
        pseudonyms.address(address)
    writer = _Writer(pseudonyms, moved, zone)
    texts = [writer.file(one, some) for one, some in zip(parsed, rows, strict=True)]
    notes += _told_otherwise(parsed, texts, zone)
    _check_place(path, logs)  # once more: another may have come meanwhile
    _write(path, texts)
    total, understood = sum(one.hits.lines for one in parsed), sum(some.height for some in rows)
    left = writer.kept, total - understood, understood - writer.kept
    return Anonymised(path, total, *left, len(names), len(addresses), beside=len(found.members), notes=tuple(notes))


def _check_place(path: Path, logs: Sequence[str | os.PathLike[str]]) -> None:
    """Refuse to write onto or into the log, or beside files that would then be read as one log with the new ones."""
    keep_apart(logs, [path, *(path.iterdir() if path.is_dir() else ())])
    folders = (real(Path(log)) for log in logs if Path(log).is_dir())
    if any(real(path).is_relative_to(folder) for folder in folders):
        raise SettingError("This lies in the folder of the log itself.", place=path, next_step=_ELSEWHERE)
    keep_free(path)
    spare([path])


def _require_one_customer(parsed: list[Parsed], zone: ZoneInfo, notes: tuple[str, ...]) -> None:
    """Refuse what `check` would refuse: of two customers' files, one log would be made."""
    files = tuple(LogFile(one.hits.name, one.hits.bytes, one.hits.lines, one.hits.fingerprint) for one in parsed)
    between = pauses_between([(one.hits.name, one.first, one.last) for one in parsed])
    events = pl.concat(one.events for one in parsed)
    pauses = pl.concat([*(one.pauses for one in parsed), between])
    require_one_customer(Log(events, UNPARSED.empty(), files, zone.key, None, None, notes, pauses=pauses))


def _check_times(parsed: list[Parsed], moved: timedelta) -> None:
    """Refuse to move times out of the calendar; a day is left for the zone."""
    day = timedelta(days=1 if moved.days >= 0 else -1)
    try:
        for time in (time for one in parsed for time in (one.first, one.last) if time):
            time + moved + day
    except OverflowError:
        raise SettingError(
            "That many weeks lead out of the calendar.", place="--shift-weeks", next_step="Choose fewer weeks."
        ) from None


def _understood(parsed: Parsed) -> pl.DataFrame:
    """Return the lines of a file that may go on, rewritten.

    Returns
    -------
    polars.DataFrame
        `offset`, `body` (the line, without what grep and the like put before every line), `time` (UTC, null where not
        known), `peer` (of the event), `entry` (index in the catalogue, null for a user agent), `called` (a call began),
        `layout`, `verbose`, `module`, `message` and `bare` (the message without its mark).
    """
    rows = parsed.rows.filter(pl.col("doubt").is_null() & pl.col("line").is_not_null())
    key = ["offset", "kind", "peer"]  # two entries may stand on one line, at the same offset
    events = parsed.events.select(*key, pl.lit(value=True).alias("event")).unique(key)
    known = rows.join(events, on=key, how="left", nulls_equal=True, maintain_order="left")
    phones = parsed.events["peer"].unique().implode()
    called = (pl.col("role") == "dialled") & pl.col("peer").is_in(phones)  # renews its binding, perhaps
    known = known.with_columns(called.fill_null(value=False).alias("called"))
    known = known.with_columns(pl.when(pl.col("event") | pl.col("called")).then("peer").alias("peer"))
    event = pl.col("event").is_not_null() | pl.col("called") | pl.col("kind").cast(pl.String).is_in(_WITHOUT_WHO)
    agent = pl.col("bare").str.contains(table("privacy/kept")["useragent"]["pattern"])
    known = known.with_columns(pl.when(event).then("entry").alias("entry")).filter(event | agent)
    known = known.with_columns(layouts.read_headers(known["body"])["module"])
    return known.select(
        "offset", "body", "time", "peer", "entry", "called", "layout", "verbose", "module", "message", "bare"
    )


def _identities(parsed: list[Parsed], rows: list[pl.DataFrame]) -> tuple[list[str], list[str]]:
    """Return names and addresses in the understood lines, those of phones first."""
    events, texts = pl.concat(one.events for one in parsed), pl.concat(one.select("body", "bare") for one in rows)
    refused = pl.col("kind") == "registration_failed"
    peers, own = (events.sort(refused, column)[column].drop_nulls().to_list() for column in ("peer", "address"))
    agents = texts["bare"].str.extract(table("privacy/kept")["useragent"]["pattern"], 1).drop_nulls().sort().to_list()
    users = [user for uri in events["contact"].drop_nulls().sort() for user in re.findall(r"sips?:([^@]*)@", uri)]
    others = sorted({address for line in texts["body"] for address in re.findall(_ADDRESS, line)})
    return list(dict.fromkeys([*peers, *users, *agents])), list(dict.fromkeys([*own, *others]))


class _Writer:
    """Writes the lines of one log after the other anew; `kept` counts them."""

    def __init__(self, pseudonyms: Pseudonyms, moved: timedelta, zone: ZoneInfo) -> None:
        self._names, self._rewriter = pseudonyms, Rewriter(pseudonyms)
        self._moved, self._zone = moved, zone
        self.kept = 0

    def file(self, parsed: Parsed, rows: pl.DataFrame) -> str:
        """Return the text of a file; where it begins and ends is part of what it says."""
        entries, agent = catalogue.entries(), table("privacy/kept")["useragent"]["pattern"]
        done: list[tuple[datetime | None, str, int | None]] = []
        for row in rows.iter_rows(named=True):
            pattern = agent if row["entry"] is None else entries[row["entry"]].pattern
            if (message := self._message(row, pattern)) is not None:
                done.append((row["time"], self._line(row, message), row["entry"]))
        lines = _sure(done)
        self.kept += len(lines)
        known, left = {time for time, _ in lines}, parsed.hits.lines - len(lines)
        # a log that is about one phone because all else is left out must not look like a search for that phone
        least = min(left, len(lines) if rows["peer"].n_unique() == 1 else 1)
        edges = [(time, place) for time, place in ((parsed.first, 0), (parsed.last, 1)) if time and time not in known]
        more = [(parsed.last, 1)] * (least - len(edges))
        for time, place in (*edges, *more):
            lines.insert(place and len(lines), (time, f"{self._stamp(time)}VERBOSE[1] logger.c: {LEFT_OUT}"))
        return "".join(f"{line}\n" for _, line in lines)

    def _message(self, row: dict[str, Any], pattern: str) -> str | None:
        """Return a message anew; of a call that a phone began only that, and nothing of whom it called."""
        if row["called"]:
            tech, name = "PJSIP" if '"PJSIP/' in row["bare"] else "SIP", self._names.name(row["peer"])
            return f'Executing [s@out:1] Dial("{tech}/{name}-00000000", "") in new stack'
        spoken = (row["bare"], without_end(tidied(row["bare"])))  # as it stands, or as reading tidied it
        read = (self._rewriter.message(text, pattern, row["peer"]) for text in spoken)
        return next((one for one in read if one is not None), None)

    def _line(self, row: dict[str, Any], message: str) -> str:
        """Return a message with its mark under the header that every line gets."""
        # without the date of old versions there
        mark = tidied(row["message"].removesuffix(row["bare"]).rpartition("]")[2])
        stamp = self._stamp(row["time"])
        if row["layout"] == "opened":
            return stamp + mark + message
        level = "VERBOSE" if row["verbose"] else "NOTICE"
        call = _CALL.search(row["body"].removesuffix(row["message"]))
        thread = f"{level}[1][C-{self._names.hexadecimal(call[1])}]" if call else f"{level}[1]"
        own = () if row["entry"] is None else catalogue.entries()[row["entry"]].modules
        module = row["module"] or next(iter(own), "asterisk.c").replace("*", ".c")  # another's would only quote it
        return f"{stamp}{thread} {module}: {mark}{message}" if stamp else f"{thread}: {module}:1 {mark}{message}"

    def _stamp(self, time: datetime | None) -> str:
        return f"[{(time + self._moved).astimezone(self._zone).isoformat(' ')}] " if time else ""


def _sure(done: list[tuple[datetime | None, str, int | None]]) -> list[tuple[datetime | None, str]]:
    """Return the lines that read again as the message they were, each with its time."""
    headers = layouts.read_headers(pl.Series([line for _, line, _ in done], dtype=pl.String))
    bare = headers.select(layouts.verbose_prefix_off(pl.col("message")))["message"]
    found = catalogue.match(bare, headers["module"])
    entry_of = dict(zip(found["row"].to_list(), found["entry"].to_list(), strict=True))
    return [(time, line) for i, (time, line, entry) in enumerate(done) if "\n" not in line and entry_of.get(i) == entry]


def _told_otherwise(parsed: list[Parsed], texts: list[str], zone: ZoneInfo) -> list[str]:
    """Read again what is to be written, and say how many events differ; refuse it if they are a tenth."""
    again = EVENTS.empty()
    with TemporaryDirectory() as name, suppress(InputError):  # raised where nothing is left
        folder = Path(name)
        for file, content in _files(texts).items():
            write(folder / file, content)
        again = read_log(folder, time_zone=zone.key, progress=False).events
    own = pl.concat(one.events for one in parsed)
    before, after = (Counter(events["kind"].cast(pl.String)) for events in (own, again))
    differ = (before - after) + (after - before)
    told = f"{differ.total():,} of {before.total():,} events of this log"
    # what strangers send may be unreadable, and most of the log
    lost, of = (some.total() - some["registration_failed"] for some in (differ, before))
    if lost * _MOST_DIFFER > of:
        step = "Give the file as the PBX wrote it, no copy of its text and no export."
        raise InputError(f"{told} cannot be rewritten with certainty.", place=parsed[0].hits.name, next_step=step)
    return [f"{told} could not be rewritten: the copy's diagnosis may differ."] if differ else []


def _files(texts: list[str]) -> dict[str, bytes]:
    names = [*(f"full.{n}" for n in range(len(texts) - 1, 0, -1)), "full"]
    return {name: text.encode("utf-8", "replace") for name, text in zip(names, texts, strict=True)}


def _write(path: Path, texts: list[str]) -> None:
    files = _files(texts)
    if len(files) == 1 and not path.is_dir() and path.suffix.lower() != ".zip":
        write(path, files["full"], new=not path.exists())
    else:
        write_files(path, files, lambda name: ZipInfo(f"{_INSIDE_ZIP}/{name}"))
