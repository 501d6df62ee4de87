"""Choose a customer's log and how it is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

import ipywidgets as widgets

from starface_nb import samples
from starface_nb.errors import StarfaceError
from starface_nb.guide import LANGUAGES, headline, translator
from starface_nb.panels.base import Panel, bad, box, html, labelled, listed, note, paragraph, rows, safe
from starface_nb.text import visible

if TYPE_CHECKING:
    from starface_nb.analysis.diagnosis import Diagnosis
    from starface_nb.cases import AnswerStore, Case
    from starface_nb.reading.log import Log

_KEPT = "case:"


class LogChooser(Panel):
    """Choose a log from an inbox folder or by its path, the time zone, the keepalive and the language.

    A large log reaches the inbox through JupyterLab's own file browser (drag and drop), not through a widget.

    Parameters
    ----------
    inbox : path
        Folder that is looked through for logs; it need not exist.
    case : Case, optional
        The case to begin with; default is the bundled sample, kept in memory.
    cases : path, optional
        Folder of all cases; None keeps the analyst's work in memory.

    Attributes
    ----------
    customer : Case
        The open case.
    """

    name = "log chooser"

    def __init__(
        self, inbox: str | Path = "inbox", case: Case | None = None, cases: str | Path | None = "cases"
    ) -> None:
        super().__init__()
        from starface_nb.cases import open_case

        self._inbox, self._cases = Path(inbox), cases
        self._listeners: list[Callable[[Diagnosis], None]] = []
        self.customer: Case = case if case is not None else open_case(root=None)
        self._build()
        self._tell()

    @property
    def paths(self) -> tuple[str, ...]:
        """The log's files as they were given."""
        return self.customer.paths

    @property
    def time_zone(self) -> str:
        """The zone the log's local times are read in."""
        return self.customer.log.time_zone

    @property
    def keepalive_s(self) -> float:
        """The phones' keepalive, s."""
        return self.customer.settings.keepalive_s

    @property
    def language(self) -> str:
        """`en`, `de` or `fr`."""
        return self.customer.language

    @property
    def log(self) -> Log:
        """The log that was read."""
        return self.customer.log

    @property
    def case(self) -> Diagnosis:
        """The diagnosis of the log."""
        return self.customer.diagnosis

    @property
    def answers(self) -> AnswerStore:
        """The analyst's answers to the checklist."""
        return self.customer.answers

    def on_change(self, listener: Callable[[Diagnosis], None]) -> None:
        """Call `listener` with the new diagnosis whenever log or settings change."""
        self._listeners.append(listener)

    def _build(self) -> None:
        tr = translator(self.language)
        self._log = labelled(widgets.Dropdown, tr("Log"), options=self._found())
        self._path = labelled(
            widgets.Text, tr("or its path"), placeholder=tr("file, support bundle or folder"), continuous_update=False
        )
        self._read = widgets.Button(description=tr("Read this log"), button_style="primary", icon="play")
        again = widgets.Button(
            description=tr("Look again"), icon="refresh", tooltip=tr("look into the inbox folder again")
        )
        zones = sorted(available_timezones())
        self._zone = labelled(
            widgets.Combobox,
            tr("Time zone"),
            options=zones,
            value=self.time_zone,
            continuous_update=False,
            ensure_option=True,
        )
        self._keepalive = labelled(
            widgets.BoundedFloatText,
            tr("Keepalive (min)"),
            width="230px",
            value=self.keepalive_s / 60,
            min=0.1,
            max=10_000,
            step=1,
        )
        self._language = labelled(
            widgets.Dropdown,
            tr("Language"),
            width="280px",
            options=[(v, k) for k, v in LANGUAGES.items()],
            value=self.language,
        )
        self._said, self._view = html(), html()
        self._read.on_click(lambda _: self._read_chosen())
        again.on_click(lambda _: self._look())
        for setting in (self._zone, self._keepalive, self._language):
            setting.observe(self._settings, "value")
        inbox = tr(
            "Drop a log into the folder {folder} with JupyterLab's file browser on the left, then look again.",
            folder=f"\u201c{self._inbox}\u201d",
        )
        self._show(
            rows(self._log, again),
            rows(self._path, self._read),
            html(note(inbox)),
            rows(self._zone, self._keepalive, self._language),
            self._said,
            self._view,
        )

    def _found(self) -> list[tuple[str, str]]:
        tr = translator(self.language)
        found = [(tr("bundled sample"), str(samples.path()))]
        if self._inbox.is_dir():
            entries = sorted(p for p in self._inbox.iterdir() if not p.name.startswith("."))
            found += [(f"{visible(p.name)} ({_size(p)})", str(p)) for p in entries]
        if self._cases is not None:
            kept = sorted(p.parent for p in Path(self._cases).glob("*/case.json"))
            found += [(tr("customer {name}", name=visible(p.name)), f"{_KEPT}{p}") for p in kept]
        known = {value for _, value in found}
        mine = [(visible(Path(p).name), p) for p in self.paths if p not in known]
        return [*mine, *found]

    def _look(self) -> None:
        self._log.options = self._found()

    def _read_chosen(self) -> None:
        typed, chosen = str(self._path.value).strip(), str(self._log.value)
        if not typed and chosen.startswith(_KEPT):
            self._open([], folder=chosen.removeprefix(_KEPT))
        else:
            self._open([typed or chosen])

    def _open(self, paths: list[str], **place: Any) -> None:
        """Read a log with the settings on the screen; what was open stays open when that fails."""
        from starface_nb.cases import open_case

        tr = translator(self.language)
        self._said.value, self._read.disabled = note(tr("Reading \u2026")), True
        if not place:
            place = {"root": None if paths == [str(samples.path())] else self._cases}
        try:
            opened = open_case(
                paths or None,
                time_zone=self._zone.value,
                keepalive_s=60 * self._keepalive.value,
                language=self._language.value,
                **place,
            )
            opened.diagnosis  # noqa: B018
        except StarfaceError as error:
            self._said.value = bad(str(error))
        else:
            self.customer = opened
            self._tell()
        finally:
            self._read.disabled = False

    def _settings(self, change: dict[str, Any]) -> None:
        if change["owner"] is self._zone:  # the times must be read anew
            folder = self.customer.folder
            self._open(list(self.paths), **({"folder": folder} if folder else {"root": None}))
            return
        changed = self.customer.change(keepalive_s=60 * self._keepalive.value, language=self._language.value)
        other, self.customer = changed.language != self.customer.language, changed
        if other:
            self._build()
        self._tell()

    def _tell(self) -> None:
        self._said.value = "".join(note(text) for text in self.customer.notes)
        self._view.value = overview(self.case, self.language)
        for listener in self._listeners:
            listener(self.case)


def _size(path: Path) -> str:
    if path.is_dir():
        return "\u2026/"
    size = float(path.stat().st_size)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def overview(case: Diagnosis, language: str = "en") -> str:
    """Return what a log holds as HTML: span, size, phones, sites, what could not be parsed, and the verdict."""
    tr = translator(language, case.log.time_zone)
    log = case.log
    span = tr("no line has a time")
    if log.first is not None and log.last is not None:
        span = tr("{first} to {last}", first=tr.time(log.first), last=tr.time(log.last))
    phones = case.phones.filter(~case.phones["trunk"]).height
    odd = tr.count("{n} line that looks like an event", "{n} lines that look like an event", log.unparsed.height)
    names = ", ".join(Path(f.name).name for f in log.files[:6]) + (" \u2026" if len(log.files) > 6 else "")
    facts = [
        (tr("Log"), names),
        (tr("Time"), f"{span} ({log.time_zone})"),
        (tr("Size"), tr("{lines} lines, {mb} MB", lines=tr.number(log.lines), mb=tr.number(log.bytes / 1e6, 1))),
        (tr("Events"), tr.number(log.events.height)),
        (tr("Not understood"), odd),
        (tr("Phones"), tr.number(phones)),
        (tr("Sites"), tr.number(case.sites.height)),
        (tr("Unreachable"), tr.count("{n} time", "{n} times", case.intervals.height)),
    ]
    table = "".join(f"<tr><th>{safe(k)}</th><td>{safe(v)}</td></tr>" for k, v in facts)
    return box(paragraph(headline(case, tr), strong=True)) + f"<table>{table}</table>{listed(list(log.notes))}"
