"""Pass a log on without personal data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from starface_nb.errors import StarfaceError
from starface_nb.guide import translator
from starface_nb.panels.base import Panel, bad, html, note, rows
from starface_nb.panels.explorer import diagnosis_of

if TYPE_CHECKING:
    from starface_nb.privacy import Anonymised


class AnonymousCopy(Panel):
    """Write the case's log without names, numbers and addresses; its diagnosis stays the same.

    Parameters
    ----------
    case : Diagnosis, Case or LogChooser
    folder : path
        Where `anonymous.zip` is written.

    Attributes
    ----------
    written : starface_nb.privacy.Anonymised or None
        What was written last.
    """

    name = "anonymous copy"

    def __init__(self, case: Any, folder: str | Path = ".") -> None:
        super().__init__()
        log = diagnosis_of(case).log
        self.folder = Path(folder)
        self.written: Anonymised | None = None
        self._zone = log.time_zone
        self._paths = list(getattr(case, "paths", ())) or list(dict.fromkeys(f.name.split("!")[0] for f in log.files))
        self._tr = translator(getattr(case, "language", "en"), log.time_zone)
        button = widgets.Button(
            description=self._tr("Write an anonymous copy"),
            icon="user-secret",
            button_style="primary",
            layout=widgets.Layout(width="260px"),
        )
        button.on_click(lambda _: self._write())
        self._said = html()
        self._show(rows(button), self._said)

    def _write(self) -> None:
        from starface_nb.privacy import anonymise

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            done = anonymise(self._paths, self.folder / "anonymous.zip", time_zone=self._zone)
        except (OSError, StarfaceError) as error:
            self._said.value = bad(self._tr("The copy was not written: {reason}", reason=error))
            return
        self.written = done
        self._said.value = note(
            self._tr(
                "Written: {path}; {kept} of {lines} lines, rewritten; lines that are not understood were left out.",
                path=done.path,
                kept=self._tr.number(done.kept),
                lines=self._tr.number(done.lines),
            )
        )
