"""A customer's case: its log, settings and answers, opened where they were left; customers are kept apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import polars as pl

from starface_nb.analysis import diagnose
from starface_nb.analysis.common_phones import is_older
from starface_nb.analysis.compare import Comparison, compare, compare_at
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.analysis.experiment import Experiment
from starface_nb.cases.answers import CASE, AnswerStore, CaseError, Record
from starface_nb.cases.identity import identity
from starface_nb.cases.tables import Shown, lines, readable
from starface_nb.files import at_home, parquet, private_folder, write
from starface_nb.guide import Conclusion, Translator, conclusion, translator
from starface_nb.guide.comparison import comparison_text, experiment_there
from starface_nb.guide.corrections import corrected, names_given
from starface_nb.progress import stage
from starface_nb.reading import read_log
from starface_nb.reading.clock import zone
from starface_nb.reading.log import Log
from starface_nb.settings import Settings
from starface_nb.text import moment

FRAMES = ("intervals", "phones", "cycles", "eras", "sites")
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
    read_only : bool
        Whether nothing can be saved: an archived case.
    """

    name: str
    folder: Path | None
    log: Log
    settings: Settings
    language: str
    answers: AnswerStore
    notes: tuple[str, ...] = ()
    paths: tuple[str, ...] = field(default=(), repr=False)
    read_only: bool = False

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """The diagnosis, made when first asked for and kept as parquet in the case's `results` folder."""
        with stage("Analysing"):
            found = diagnose(self.log, self.settings)
        if self.folder is not None and not self.read_only:
            results = private_folder(self.folder / "results")
            for name in FRAMES:
                write(results / f"{name}.parquet", parquet(getattr(found, name)))
        return found

    @property
    def home(self) -> Path:
        """The folder of all cases, beside this one; `cases` where this one is not kept."""
        return self.folder.parent if self.folder else Path("cases")

    @property
    def conclusion(self) -> Conclusion:
        """What follows from the log and the answers given so far, with reasons and next steps."""
        return conclusion(self.diagnosis, self.answers.all(), self.translator)

    @property
    def translator(self) -> Translator:
        """Speaks the case's language, in the log's time zone, and knows the names that were given to sites."""
        return replace(translator(self.language, self.log.time_zone), names=names_given(self.answers.all()))

    @property
    def corrected(self) -> Diagnosis:
        """The diagnosis with the causes that the analyst put right."""
        return corrected(self.diagnosis, self.answers.all())

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

    def compare(self, before: Source = None, at: str | None = None) -> Comparison:
        """Say whether a change fixed it: this log against one from before, or this log cut in two.

        Parameters
        ----------
        before : path or list of paths, optional
            The log from before the change.
        at : str, optional
            Local time of a change within this log, as 2026-03-13T11:45; None: where the timeout was found to change.
        """
        if before is None:
            return compare_at(self.diagnosis, None if at is None else moment(at, self.log.time_zone, timed=True))
        return compare(self.read_other(before), self.diagnosis)

    def read_other(self, log: Source) -> Diagnosis:
        """Return the diagnosis of another log of this customer, by this case's settings; nothing of it is kept."""
        found = read_log(list(absolute(log)), time_zone=self.log.time_zone)
        with stage("Analysing"):
            return diagnose(found, self.settings)

    def compare_by_time(self, other: Diagnosis) -> tuple[Comparison, bool]:
        """Return the comparison with another log, and whether that one is taken for the log from before."""
        if is_older(other.log, self.log):
            return compare(self.diagnosis, other), False
        return compare(other, self.diagnosis), True

    def say(self, result: Comparison | Experiment) -> Shown:
        """Put a result into words, in the case's language."""
        told = comparison_text if isinstance(result, Comparison) else experiment_there
        return lines(told(result, self.translator))  # type: ignore[arg-type]

    def change(
        self, *, keepalive_s: float | None = None, time_zone: str | None = None, language: str | None = None
    ) -> Case:
        """Return the case with other settings, which are saved; answers stay, and so does the log in its own zone.

        Raises
        ------
        SettingError
            The value makes no sense.
        """
        log = read_log(list(self.paths), time_zone=zone(time_zone).key) if time_zone else self.log
        settings = self.settings.with_asked(keepalive_s=keepalive_s)
        changed = replace(self, log=log, settings=settings, language=translator(language or self.language).language)
        changed.save()
        return changed

    def save(self, before: Mapping[str, Any] | None = None) -> None:
        """Keep the log's identity and the settings in the case's folder, if it has one.

        Raises
        ------
        CaseError
            Another log's case lies there by now; `before` is the log that the case had when it was opened.
        """
        if self.folder is None or self.read_only:
            return
        with Record(private_folder(self.folder) / "case.json", "case", CASE).change() as content:
            mine, now = identity(self.log, self.paths), content.get("log")
            if before is not None and now not in (None, before) and now["fingerprint"] != mine["fingerprint"]:
                cause, step = "Another log's case was begun here in the meantime.", "Name another folder for this one."
                raise CaseError(cause, place=self.folder, next_step=step)
            content["log"] = mine
            content["settings"] = {
                "time_zone": self.log.time_zone,
                "keepalive_s": self.settings.keepalive_s,
                "language": self.language,
            }
            content["asked"] = list(self.settings.asked)

    def put(self, results: Mapping[str, bytes]) -> list[str]:
        """Write results into the case's folder; one that somebody changed since is kept under another name.

        Returns
        -------
        list of str
            The names under which changed files are kept.
        """
        assert self.folder is not None  # noqa: S101
        return Record(private_folder(self.folder) / "case.json", "case", CASE).put(results)

    def __repr__(self) -> str:
        return f"Case({self.name!r}, {self.log.events.height} events, {len(self.answers.all())} answers)"

    def _repr_html_(self) -> str:
        tr = self.translator
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        kept = tr("kept in the folder {name}", name=self.folder.name) if self.folder else tr("not kept on disk")
        told = f"<p><b>{escape(tr('Case {name}', name=self.name))}</b>, {escape(kept)}</p>"
        return told + (f"<ul>{notes}</ul>" if notes else "")


def absolute(log: Source) -> tuple[str, ...]:
    """Return a log's paths as text, absolute; standard input stays `-`."""
    if log is None:
        return ()
    entries = [log] if isinstance(log, str | Path) else list(log)
    return tuple(str(entry) if str(entry) == "-" else str(at_home(entry)) for entry in entries)
