"""A customer's case: its log, settings and answers, opened where they were left; customers are kept apart."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import polars as pl

from starface_nb import samples
from starface_nb.analysis import compare, compare_at, diagnose
from starface_nb.analysis.compare import Comparison
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.analysis.experiment import Experiment
from starface_nb.cases.answers import AnswerStore, CaseError, Record
from starface_nb.cases.copies import copy_notebooks
from starface_nb.cases.tables import Shown, lines, links, readable
from starface_nb.files import private_folder, replacing
from starface_nb.guide import Conclusion, Translator, conclusion, defaults_in_bracket, translator
from starface_nb.guide.comparison import comparison_text, experiment_text
from starface_nb.progress import stage
from starface_nb.reading import read_log, recall
from starface_nb.reading.cache import gone
from starface_nb.reading.log import Log
from starface_nb.settings import Settings
from starface_nb.text import moment

FRAMES = ("intervals", "phones", "cycles", "eras", "sites")
_ENDINGS = {".gz", ".bz2", ".xz", ".zst", ".zip", ".tar", ".tgz", ".log", ".txt", ".full"}
_RESERVED = re.compile(r"(inbox|con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
_SAME_CUSTOMER = 0.5
_SAYS_LITTLE = {"pbx", "full", "messages", "log"}
_GONE = "The log is no longer where it was: what was read from it is shown, without the lines around an event."
Source = str | Path | Sequence[str | Path] | None


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
        with stage("Analysing"):
            found = diagnose(self.log, self.settings)
        if self.folder is not None:
            results = private_folder(self.folder / "results")
            for name in FRAMES:
                with replacing(results / f"{name}.parquet") as file:
                    getattr(found, name).write_parquet(file)
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
        return conclusion(self.diagnosis, self.answers.all(), self.translator)

    @property
    def translator(self) -> Translator:
        """Speaks the case's language, in the log's time zone."""
        return translator(self.language, self.log.time_zone)

    def table(self, frame: str | pl.DataFrame, *columns: str, rows: int = 12) -> Shown:
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
        assert isinstance(frame, pl.DataFrame)  # noqa: S101
        return readable(frame.select(columns or pl.all()), self.translator, rows)

    @property
    def known_defaults(self) -> pl.DataFrame:
        """Published router defaults that fall into a site's bracket, by site: a hint, never a proof."""
        short = self.diagnosis.sites.filter(pl.col("verdict") == "too_short").select("site", "low_s", "high_s")
        return pl.concat(
            defaults_in_bracket(low, high).select(pl.lit(site).alias("site"), pl.all())
            for site, low, high in [("", 0.0, 0.0), *short.iter_rows()]
        )

    def compare(self, before: Source = None, at: str | None = None) -> Comparison:
        """Say whether a change fixed it: this log against one from before, or this log cut in two.

        Parameters
        ----------
        before : path or list of paths, optional
            The log from before the change.
        at : str, optional
            Local time of a change within this log, ISO 8601; None: where the timeout was found to change.
        """
        if before is None:
            return compare_at(self.diagnosis, None if at is None else moment(at, self.log.time_zone))
        earlier = read_log(list(absolute(before)), time_zone=self.log.time_zone)
        return compare(diagnose(earlier, self.settings), self.diagnosis)

    def say(self, result: Comparison | Experiment) -> Shown:
        """Put a result into words, in the case's language."""
        told = comparison_text if isinstance(result, Comparison) else experiment_text
        return lines(told(result, self.translator))  # type: ignore[arg-type]

    def notebooks(self) -> Shown:
        """Put working copies of the notebooks into the case's folder, where they are missing, and link to them."""
        if self.folder is None:
            return lines(["The bundled sample is not kept: no working copies."])
        return links(copy_notebooks(self.folder))

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
        log = self.log
        with Record(private_folder(self.folder) / "case.json", "case").change() as content:
            content["log"] = {
                "paths": list(self.paths),
                "fingerprint": fingerprint(log),
                "events": log.events.height,
                "peers": peers(log),
            }
            content["settings"] = {
                "time_zone": log.time_zone,
                "keepalive_s": self.settings.keepalive_s,
                "language": self.language,
            }

    def __repr__(self) -> str:
        return f"Case({self.name!r}, {self.log.events.height} events, {len(self.answers.all())} answers)"

    def _repr_html_(self) -> str:
        tr = self.translator
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        kept = tr("kept in the folder {name}", name=self.folder.name) if self.folder else tr("not kept on disk")
        told = f"<p><b>{escape(tr('Case {name}', name=self.name))}</b>, {escape(kept)}</p>"
        return told + (f"<ul>{notes}</ul>" if notes else "")


def fingerprint(log: Log) -> str:
    """Return what identifies a log's content, as hexadecimal digits."""
    return hashlib.sha256(log.fingerprint.encode()).hexdigest()


def peers(log: Log) -> list[str]:
    """Return the names of all peers in a log, sorted."""
    return sorted(log.events["peer"].drop_nulls().unique().to_list())


def absolute(log: Source) -> tuple[str, ...]:
    """Return a log's paths as text, absolute; standard input stays `-`."""
    if log is None:
        return ()
    entries = [log] if isinstance(log, str | Path) else list(log)
    return tuple(str(entry) if str(entry) == "-" else str(Path(entry).expanduser().absolute()) for entry in entries)


def clean_name(name: str) -> str:
    """Return `name` as a folder name that is safe everywhere: one level, no dots in front, nothing reserved."""
    safe = re.sub(r"[^\w.+@-]+", "_", name.strip()).strip("._")[:80]
    return f"case_{safe}" if not safe or _RESERVED.fullmatch(safe.split(".")[0]) else safe


def open_case(
    log: Source = None,
    *,
    name: str | None = None,
    root: str | Path | None = "cases",
    folder: str | Path | None = None,
    sample: str = "sample",
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
    sample : str
        The bundled log that stands in where there is no other, see `starface_nb.samples.path`.
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
    given = absolute(log)
    place = _place(given, name, root, folder)
    kept = _kept(place)
    paths = given or tuple(kept.get("log", {}).get("paths", ())) or (str(samples.path(sample)),)
    zone = time_zone or _settings(kept)["time_zone"]
    # What is read is remembered in the case, once it is known to be this customer's.
    cache = place / "cache" if place and kept.get("log", {}).get("paths", [*paths]) == [*paths] else None
    known = recall(paths, time_zone=zone, cache=cache) if cache and "-" not in given and gone(paths) else None
    found = known or read_log(paths, time_zone=zone, cache=cache)
    if place and name is None and folder is None and (own := _own(place, kept, found)) != place:
        if cache and not kept:  # begun for this log, and not needed
            shutil.rmtree(cache, ignore_errors=True)
            with suppress(OSError):
                place.rmdir()
        place, kept, cache = own, _kept(own), None
    settings = _settings(kept)
    zone = time_zone or settings["time_zone"]
    notes = (*((_GONE,) if known else ()), *_compared(kept, found, place))
    if place and cache is None and "-" not in paths:
        found = read_log(paths, time_zone=zone, cache=private_folder(place) / "cache")
    if keepalive_minutes is not None:
        keepalive_s = 60.0 * keepalive_minutes
    case = Case(
        name=place.name if place else _name_of(paths[0]),
        folder=place,
        log=found,
        settings=Settings(keepalive_s=settings["keepalive_s"] if keepalive_s is None else float(keepalive_s)),
        language=translator(language or settings["language"]).language,
        answers=AnswerStore(private_folder(place) / "answers.json" if place else None),
        notes=notes,
        paths=paths,
    )
    case.save()
    return case


def _settings(kept: dict[str, Any]) -> dict[str, Any]:
    return {"time_zone": "Europe/Berlin", "keepalive_s": 3600.0, "language": "en", **kept.get("settings", {})}


def _place(given: tuple[str, ...], name: str | None, root: str | Path | None, folder: str | Path | None) -> Path | None:
    """Return the case's folder, as far as it can be told before the log is read; None keeps the case in memory."""
    if folder is not None:
        return Path(folder).expanduser().absolute()
    if root is None or (name is None and not given):
        return None
    home = Path(root).expanduser().absolute()
    if name is not None:
        return home / clean_name(name)
    begun = (place for place, kept in _cases(home) if tuple(kept["log"]["paths"]) == given)
    return next(begun, home / _name_of(given[0]))


def _name_of(path: str) -> str:
    found = Path("standard_input" if path == "-" else path)
    while found.suffix.lower() in _ENDINGS:
        found = found.with_suffix("")
    if found.name in _SAYS_LITTLE and found.parent.name:
        found = found.parent  # such logs are told apart by their folder
    return clean_name(found.name)


def _kept(place: Path | None) -> dict[str, Any]:
    return Record(place / "case.json", "case").read() if place else {}


def _cases(home: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    return ((record.parent, _kept(record.parent)) for record in sorted(home.glob("*/case.json")))


def _own(place: Path, kept: dict[str, Any], log: Log) -> Path:
    """Return the case that holds this very log; else `place`, or a free name beside it where that is another's."""
    for other, content in _cases(place.parent):
        if content["log"]["fingerprint"] == fingerprint(log):
            return other
    if _in_common(kept, log) >= _SAME_CUSTOMER:
        return place
    numbers = (place.with_name(f"{place.name}-{n}") for n in range(2, 10_000))
    return next(path for path in numbers if not path.exists())


def _in_common(kept: dict[str, Any], log: Log) -> float:
    """Return which share of its phones the log has in common with the case's; 1 for the very same log."""
    before = kept.get("log")
    if not before or before["fingerprint"] == fingerprint(log):
        return 1.0
    old, new = set(before["peers"]), set(peers(log))
    return len(old & new) / max(1, min(len(old), len(new)))


def _compared(kept: dict[str, Any], log: Log, place: Path | None) -> tuple[str, ...]:
    """Return what there is to say about the log beside what the case had; an error where that is another customer's."""
    before, share = kept.get("log"), _in_common(kept, log)
    if before is None or before["fingerprint"] == fingerprint(log):
        return ()
    if share >= _SAME_CUSTOMER:
        was, now = before["events"], log.events.height
        return (f"The log has changed since this case was last open: {was} events then, {now} now.",)
    raise CaseError(
        f"This case holds another customer's log ({', '.join(Path(path).name for path in before['paths'])}); "
        f"it has {share:.0%} of its phones in common with the new one.",
        place=str(place),
        next_step="Give the new log a case of its own, with another name.",
    )
