"""A customer's case: its log, settings and answers, opened where they were left."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from starface_nb import samples
from starface_nb.analysis import diagnose
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.analysis.settings import Settings
from starface_nb.cases.answers import AnswerStore
from starface_nb.cases.copies import copy_notebooks
from starface_nb.cases.record import CaseError, Record, locked, private_folder, write_atomically
from starface_nb.cases.remembered import recall, remember
from starface_nb.cases.tables import Table, readable
from starface_nb.guide import Conclusion, conclusion, defaults_in_bracket, translator
from starface_nb.reading import read_log
from starface_nb.reading.cache import quick_fingerprint
from starface_nb.reading.log import Log

_ENDINGS = {".gz", ".bz2", ".xz", ".zst", ".zip", ".tar", ".tgz", ".log", ".txt", ".full"}
_RESERVED = re.compile(r"(inbox|con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
_SAME_CUSTOMER = 0.5
FRAMES = ("intervals", "phones", "cycles", "eras", "sites")
Source = str | Path | Sequence[str | Path] | None


def clean_name(name: str) -> str:
    """Return `name` as a folder name that is safe everywhere: one level, no dots in front, nothing reserved."""
    safe = re.sub(r"[^\w.+@-]+", "_", name.strip()).strip("._")[:80]
    return f"case_{safe}" if not safe or _RESERVED.fullmatch(safe.split(".")[0]) else safe


@dataclass(frozen=True)
class Links:
    """Working copies of the notebooks, shown as links."""

    paths: tuple[Path, ...]

    def __repr__(self) -> str:
        return "\n".join(path.name for path in self.paths) or "The bundled sample is not kept: no working copies."

    def _repr_html_(self) -> str:
        links = (
            f'<li><a href="{escape(quote(Path(os.path.relpath(path)).as_posix()))}">{escape(path.stem)}</a></li>'
            for path in self.paths
        )
        return f"<ul>{''.join(links)}</ul>" if self.paths else f"<p>{escape(repr(self))}</p>"


@dataclass(frozen=True)
class Case:
    """One customer's log with everything that was found and answered about it.

    Attributes
    ----------
    name : str
    folder : Path or None
        Where it is kept; None keeps it in memory.
    log : Log
    settings : Settings
    language : str
    answers : AnswerStore
    notes : tuple of str
        What was noticed on opening, a changed log for example.
    """

    name: str
    folder: Path | None
    log: Log
    settings: Settings
    language: str
    answers: AnswerStore
    notes: tuple[str, ...] = ()
    paths: tuple[str, ...] = field(default=(), repr=False)

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """The diagnosis, made when first asked for and kept as parquet in the case's `results` folder."""
        found = diagnose(self.log, self.settings)
        if self.folder is not None:
            self._keep(found)
        return found

    @property
    def home(self) -> Path:
        """The folder of all cases, beside this one; `cases` where this one is not kept."""
        return self.folder.parent if self.folder else Path("cases")

    @property
    def inbox(self) -> Path:
        """Where new customers' logs are dropped."""
        return self.home / "inbox" if self.folder else Path("inbox")

    @property
    def conclusion(self) -> Conclusion:
        """What follows from the log and the answers given so far, with reasons and next steps."""
        return conclusion(self.diagnosis, self.answers.all(), translator(self.language, self.log.time_zone))

    def table(self, frame: str | pl.DataFrame, *columns: str, rows: int = 12) -> Table:
        """Return the first rows of a frame as a table for people.

        Parameters
        ----------
        frame : str or polars.DataFrame
            A frame of the diagnosis or the log by its name (`sites`, `phones`, `intervals`, `cycles`, `eras`,
            `events`, `unparsed`), or any other.
        *columns : str
            Only these; default: all that can be read.
        rows : int
            At most so many.
        """
        if isinstance(frame, str):
            frame = getattr(self.log if frame in ("events", "unparsed") else self.diagnosis, frame)
        return readable(frame.select(columns or pl.all()), self.log.time_zone, rows)

    @property
    def known_defaults(self) -> pl.DataFrame:
        """Published router defaults that fall into a site's bracket, by site: a hint, never a proof."""
        short = self.diagnosis.sites.filter(pl.col("verdict") == "too_short").select("site", "low_s", "high_s")
        found = [
            defaults_in_bracket(low, high).select(pl.lit(site).alias("site"), pl.all())
            for site, low, high in short.iter_rows()
        ]
        return pl.concat([defaults_in_bracket(0, 0).select(pl.lit("").alias("site"), pl.all()), *found])

    def notebooks(self) -> Links:
        """Put working copies of the notebooks into the case's folder, where they are missing, and link to them."""
        return Links(tuple(copy_notebooks(self.folder)) if self.folder else ())

    def change(self, *, keepalive_s: float | None = None, language: str | None = None) -> Case:
        """Return the case with other settings, which are saved; log and answers stay.

        Raises
        ------
        SettingError
            The value makes no sense.
        """
        settings = self.settings if keepalive_s is None else replace(self.settings, keepalive_s=float(keepalive_s))
        changed = replace(self, settings=settings, language=translator(language or self.language).language)
        changed.save()
        return changed

    def save(self) -> None:
        """Keep the log's identity and the settings in the case's folder, if it has one."""
        if self.folder is None:
            return
        with Record(private_folder(self.folder) / "case.json", "case").change() as content:
            content["log"] = {
                "paths": list(self.paths),
                "fingerprint": _fingerprint(self.log),
                "state": quick_fingerprint(self.paths),
                "events": self.log.events.height,
                "bytes": self.log.bytes,
                "peers": _peers(self.log),
            }
            content["settings"] = {
                "time_zone": self.log.time_zone,
                "keepalive_s": self.settings.keepalive_s,
                "language": self.language,
            }

    def _keep(self, found: Diagnosis) -> None:
        assert self.folder is not None  # noqa: S101
        folder = private_folder(self.folder / "results")
        with locked(folder / ".lock"):
            for name in FRAMES:
                buffer = BytesIO()
                getattr(found, name).write_parquet(buffer)
                write_atomically(folder / f"{name}.parquet", buffer.getvalue())

    def __repr__(self) -> str:
        return f"Case({self.name!r}, {self.log.events.height} events, {len(self.answers.all())} answers)"

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        kept = f"kept in {escape(self.folder.name)}" if self.folder else "not kept on disk"
        return f"<p><b>Case {escape(self.name)}</b>, {kept}</p>" + (f"<ul>{notes}</ul>" if notes else "")


def open_case(
    log: Source = None,
    *,
    name: str | None = None,
    root: str | Path | None = "cases",
    folder: str | Path | None = None,
    time_zone: str | None = None,
    keepalive_s: float | None = None,
    keepalive_minutes: float | None = None,
    language: str | None = None,
) -> Case:
    """Open a customer's case where it was left, or begin one.

    Parameters
    ----------
    log : path or list of paths, optional
        What `read_log` takes. None: the log the case has already, or else the bundled sample.
    name : str, optional
        The case's name. Default: the case that holds this very log, or one named after the log.
    root : path, optional
        Folder of all cases; None keeps the case in memory. The bundled sample is kept only when a name or folder is
        given.
    folder : path, optional
        The case's own folder, instead of `root` and `name`.
    time_zone, keepalive_s, language : optional
        None: as the case has them, or else Europe/Berlin, 3,600 s and English.
    keepalive_minutes : float, optional
        The keepalive in minutes, as the notebooks' parameters give it.

    Returns
    -------
    Case

    Raises
    ------
    CaseError
        The named case holds another customer's log, or its files are damaged.
    InputError
        The log cannot be read.
    SettingError
        A setting makes no sense.
    """
    given = _paths(log)
    place = _place(given, name, root, folder)
    kept = _kept(place)
    before = kept.get("settings", {})
    paths = given or tuple(kept.get("log", {}).get("paths", ())) or (str(samples.path()),)
    zone = time_zone or before.get("time_zone", "Europe/Berlin")
    known, gone = _recall(paths, zone, kept["log"], place) if kept and place and "-" not in given else (None, ())
    found = known or read_log(list(paths), time_zone=zone)
    if place is not None and name is None and folder is None:
        settled = _settle(place, kept, found)
        place, kept = settled, _kept(settled)
    notes = (*gone, *_compare(kept, found, place))
    before = kept.get("settings", before)
    if keepalive_minutes is not None:
        keepalive_s = 60.0 * keepalive_minutes
    seconds = before.get("keepalive_s", 3600.0) if keepalive_s is None else float(keepalive_s)
    case = Case(
        name=place.name if place else Path(paths[0]).name,
        folder=place,
        log=found,
        settings=Settings(keepalive_s=seconds),
        language=translator(language or before.get("language", "en")).language,
        answers=AnswerStore(private_folder(place) / "answers.json" if place else None),
        notes=notes,
        paths=paths,
    )
    case.save()
    if place and known is None:
        remember(found, _fingerprint(found), private_folder(place / "cache"))
    return case


def _recall(paths: tuple[str, ...], zone: str, kept: dict[str, Any], place: Path) -> tuple[Log | None, tuple[str, ...]]:
    """Return the log as the case remembers it, where it has not changed since or has gone, and what to say of that."""
    if tuple(kept["paths"]) != paths:
        return None, ()
    gone = not any(set(path) & set("*?[") or Path(path).exists() for path in paths)
    if not gone and kept["state"] != quick_fingerprint(paths):
        return None, ()
    log = recall(kept["fingerprint"], zone, place / "cache")
    note = "The log is no longer where it was: what was read from it is shown, without the lines around an event."
    return log, (note,) if gone and log is not None else ()


def _paths(log: Source) -> tuple[str, ...]:
    if log is None:
        return ()
    entries = [log] if isinstance(log, str | Path) else list(log)
    return tuple(str(entry) if str(entry) == "-" else str(Path(entry).expanduser().absolute()) for entry in entries)


def _place(given: tuple[str, ...], name: str | None, root: str | Path | None, folder: str | Path | None) -> Path | None:
    if folder is not None:
        return Path(folder).expanduser().absolute()
    if root is None or (name is None and not given):
        return None
    home = Path(root).expanduser().absolute()
    if name is not None:
        return home / clean_name(name)
    return _by_paths(home, given) or home / _name_of(given[0])


def _name_of(path: str) -> str:
    found = Path("standard_input" if path == "-" else path)
    while found.suffix.lower() in _ENDINGS:
        found = found.with_suffix("")
    return clean_name(found.name)


def _kept(place: Path | None) -> dict[str, Any]:
    record = place / "case.json" if place else None
    return Record(record, "case").read() if record and record.exists() else {}


def _by_paths(home: Path, given: tuple[str, ...]) -> Path | None:
    """Return the case that was begun with these very paths."""
    kept = ((record.parent, _kept(record.parent)) for record in sorted(home.glob("*/case.json")))
    return next((place for place, content in kept if tuple(content["log"]["paths"]) == given), None)


def _settle(place: Path, kept: dict[str, Any], log: Log) -> Path:
    """Return the case that holds this very log; else `place`, or a free name beside it where that is another's."""
    for record in sorted(place.parent.glob("*/case.json")):
        if _kept(record.parent)["log"]["fingerprint"] == _fingerprint(log):
            return record.parent
    if not _foreign(kept, log):
        return place
    numbers = (place.with_name(f"{place.name}-{n}") for n in range(2, 10_000))
    return next(path for path in numbers if not path.exists())


def _fingerprint(log: Log) -> str:
    return hashlib.sha256(log.fingerprint.encode()).hexdigest()


def _peers(log: Log) -> list[str]:
    return sorted(log.events["peer"].drop_nulls().unique().to_list())


def _foreign(kept: dict[str, Any], log: Log) -> bool:
    """Whether the case holds another customer's log: other content, and fewer than half of its phones in common."""
    before = kept.get("log")
    if not before or before["fingerprint"] == _fingerprint(log):
        return False
    old, new = set(before["peers"]), set(_peers(log))
    return len(old & new) < _SAME_CUSTOMER * max(1, min(len(old), len(new)))


def _compare(kept: dict[str, Any], log: Log, place: Path | None) -> tuple[str, ...]:
    if _foreign(kept, log):
        old = kept["log"]
        raise CaseError(
            f"This case holds another customer's log ({', '.join(Path(p).name for p in old['paths'])}); "
            f"{len(set(old['peers']) & set(_peers(log)))} of its {len(old['peers'])} phones occur in the new one.",
            place=str(place),
            next_step="Give the new log a case of its own, with another name.",
        )
    before = kept.get("log")
    if not before or before["fingerprint"] == _fingerprint(log):
        return ()
    return (
        f"The log has changed since this case was last open: {before['events']} events then, {log.events.height} now.",
    )
