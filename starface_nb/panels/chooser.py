"""Choose a customer's log and how it is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

import ipywidgets as widgets
import polars as pl

from starface_nb import samples
from starface_nb.errors import StarfaceError
from starface_nb.guide import LANGUAGES, headline
from starface_nb.panels.base import Panel, bad, box, button, html, labelled, listed, note, paragraph, rows, safe
from starface_nb.text import visible

if TYPE_CHECKING:
    from starface_nb.cases import Case

_KEPT = "case:"


class LogChooser(Panel):
    """Choose a log from the inbox folder or by its path, the time zone, the keepalive and the language.

    A large log reaches the inbox through JupyterLab's own file browser (drag and drop), not through a widget.

    Parameters
    ----------
    case : Case
        The case to begin with. Inbox and other customers' cases lie beside it.

    Attributes
    ----------
    case : Case
        The open case.
    """

    name = "log chooser"

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._inbox, self._home = case.inbox, case.home
        self._listeners: list[Callable[[Case], None]] = []
        self._build()
        self._tell()

    def on_change(self, listener: Callable[[Case], None]) -> None:
        """Call `listener` with the open case whenever log or settings change."""
        self._listeners.append(listener)

    def _build(self) -> None:
        tr, case = self._tr, self.case
        self._log = labelled(widgets.Dropdown, tr("Log"), options=self._found())
        place = tr("file, support bundle or folder")
        self._path = labelled(widgets.Text, tr("or its path"), placeholder=place, continuous_update=False)
        self._read = button(tr("Read this log"), button_style="primary", icon="play")
        look = tr("look into the inbox folder again")
        again = button(tr("Look again"), icon="refresh", tooltip=look)
        zones = {"value": case.log.time_zone, "options": sorted(available_timezones()), "ensure_option": True}
        self._zone = labelled(widgets.Combobox, tr("Time zone"), "420px", continuous_update=False, **zones)
        minutes = {"value": case.settings.keepalive_s / 60, "min": 0.1, "max": 10_000, "step": 1}
        self._keepalive = labelled(widgets.BoundedFloatText, tr("Keepalive (min)"), "230px", **minutes)
        languages = {"value": case.language, "options": [(name, code) for code, name in LANGUAGES.items()]}
        self._language = labelled(widgets.Dropdown, tr("Language"), "280px", **languages)
        self._said, self._view = html(), html()
        self._read.on_click(lambda _: self._read_chosen())
        again.on_click(lambda _: setattr(self._log, "options", self._found()))
        for setting in (self._zone, self._keepalive, self._language):
            setting.observe(self._set, "value")
        inbox = tr(
            "Drop a log into the folder {folder}, beside the customers' folders in JupyterLab's file browser on the "
            "left, then look again.",
            folder=f"\u201c{self._inbox.name}\u201d",
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
        """Return what can be chosen: the open log, the bundled sample, what lies in the inbox, other customers."""
        found = {str(samples.path()): self._tr("bundled sample")}
        if self._inbox.is_dir():
            found |= {str(p): visible(p.name) for p in sorted(self._inbox.iterdir()) if not p.name.startswith(".")}
        mine = {path: visible(Path(path).name) for path in self.case.paths if path not in found}
        kept = (path.parent for path in sorted(self._home.glob("*/case.json")))
        others = {f"{_KEPT}{path}": self._tr("customer {name}", name=visible(path.name)) for path in kept}
        return [(name, value) for value, name in (mine | found | others).items()]

    def _read_chosen(self) -> None:
        typed, chosen = self._path.value.strip(), self._log.value
        if not typed and chosen.startswith(_KEPT):
            self._open([], folder=chosen.removeprefix(_KEPT))
        else:
            in_memory = (typed or chosen) == str(samples.path())
            self._open([typed or chosen], root=None if in_memory else self._home)

    def _open(self, paths: list[str], **place: Any) -> None:
        """Read a log with the settings on the screen; what was open stays open when that fails."""
        from starface_nb.cases import open_case

        self._said.value, self._read.disabled = note(self._tr("Reading \u2026")), True
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
            self._take(opened)
            self._tell()
        finally:
            self._read.disabled = False

    def _set(self, change: dict[str, Any]) -> None:
        if change["owner"] is self._zone:  # the times must be read anew
            self._open(list(self.case.paths), **({"folder": self.case.folder} if self.case.folder else {"root": None}))
            return
        self._take(self.case.change(keepalive_s=60 * self._keepalive.value, language=self._language.value))
        if change["owner"] is self._language:
            self._build()
        self._tell()

    def _tell(self) -> None:
        self._said.value = "".join(map(note, self.case.notes))
        self._view.value = self._overview()
        for listener in self._listeners:
            listener(self.case)

    def _overview(self) -> str:
        """Return what the log holds as HTML: span, size, phones, sites, what could not be parsed, and the verdict."""
        tr, log, found = self._tr, self.case.log, self.case.diagnosis
        span = tr("no line has a time")
        if log.first is not None and log.last is not None:
            span = tr("{first} to {last}", first=tr.time(log.first), last=tr.time(log.last))
        odd = tr.count("{n} line that looks like an event", "{n} lines that look like an event", log.unparsed.height)
        names = ", ".join(Path(f.name).name for f in log.files[:6]) + (" \u2026" if len(log.files) > 6 else "")
        facts = {
            tr("Log"): names,
            tr("Time"): f"{span} ({log.time_zone})",
            tr("Size"): tr("{lines} lines, {mb} MB", lines=tr.number(log.lines), mb=tr.number(log.bytes / 1e6, 1)),
            tr("Events"): tr.number(log.events.height),
            tr("Not understood"): odd,
            tr("Phones"): tr.number(found.phones.filter(~pl.col("trunk")).height),
            tr("Sites"): tr.number(found.sites.height),
            tr("Unreachable"): tr.count("{n} time", "{n} times", found.intervals.height),
        }
        table = "".join(f"<tr><th>{safe(k)}</th><td>{safe(v)}</td></tr>" for k, v in facts.items())
        return box(paragraph(headline(found, tr), "b")) + f"<table>{table}</table>{listed(list(log.notes))}"
