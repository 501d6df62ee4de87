"""What leaves the house: the customer's report, and the log without personal data."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets as widgets

from starface_nb import privacy, report
from starface_nb.errors import StarfaceError
from starface_nb.files import replacing
from starface_nb.guide import LANGUAGES, given, products
from starface_nb.panels.base import Panel, bad, button, html, labelled, note, rows, safe

if TYPE_CHECKING:
    from starface_nb.cases import Case

_NONE = ""
_FRAME = "width:100%;height:640px;border:1px solid rgba(128,128,128,.5);background:white"


class ReportPanel(Panel):
    """Choose language, router and masking; preview the report, write it as HTML and PDF into the case's folder.

    Parameters
    ----------
    case : Case

    Attributes
    ----------
    page : str
        The report as one HTML page, as chosen now.
    written : Path or None
        The file written last.
    """

    name = "report"

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.page = ""
        self.written: Path | None = None
        tr, chosen = self._tr, given(case.answers.all(), "nat").router
        routers = [(tr("not known"), _NONE), *((name, name) for name in products())]
        router = chosen if chosen in products() else _NONE
        languages = [(name, code) for code, name in LANGUAGES.items()]
        self._language = labelled(widgets.Dropdown, tr("Language"), "280px", options=languages, value=case.language)
        self._router = labelled(widgets.Dropdown, tr("Router"), options=routers, value=router)
        self._mask = widgets.Checkbox(description=tr("mask the phones' names"), indent=False)
        as_html, as_pdf = (
            button(name, icon="file", button_style="primary") for name in (tr("Write HTML"), tr("Write PDF"))
        )
        self._said, self._preview = html(), html()
        for chooser in (self._language, self._router, self._mask):
            chooser.observe(lambda _: self._render(), "value")
        as_html.on_click(lambda _: self._write("html"))
        as_pdf.on_click(lambda _: self._write("pdf"))
        self._show(rows(self._language, self._router, self._mask), rows(as_html, as_pdf), self._said, self._preview)
        self._render()

    def _render(self) -> None:
        self.page = report.render(
            self.case.diagnosis,
            language=self._language.value,
            answers=self.case.answers.all(),
            router=self._router.value or None,
            mask=self._mask.value,
        )
        title = safe(self._tr("Preview of the report"))
        # a page of its own without scripts: what it holds cannot reach the notebook
        frame = f'<iframe sandbox="" title="{title}" style="{_FRAME}" srcdoc="{escape(self.page)}"></iframe>'
        self._preview.value, self._said.value = frame, ""

    def _write(self, ending: str) -> None:
        path = _folder(self.case) / f"report-{self._language.value}.{ending}"
        try:
            self._render()
            with replacing(path) as file:
                file.write(report.to_pdf(self.page) if ending == "pdf" else self.page.encode())
        except (OSError, StarfaceError) as error:
            self._said.value = bad(self._tr("The report was not written: {reason}", reason=error))
            return
        self.written = path
        self._said.value = note(self._tr("Written: {path}", path=path))


class AnonymousCopy(Panel):
    """Write the case's log without names, numbers and addresses; its diagnosis stays the same.

    Parameters
    ----------
    case : Case

    Attributes
    ----------
    written : starface_nb.privacy.Anonymised or None
        What was written last: `anonymous.zip` in the case's folder.
    """

    name = "anonymous copy"

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.written: privacy.Anonymised | None = None
        writing = button(self._tr("Write an anonymous copy"), icon="user-secret", button_style="primary")
        writing.on_click(lambda _: self._write())
        self._said = html()
        self._show(rows(writing), self._said)

    def _write(self) -> None:
        tr, case = self._tr, self.case
        try:
            path = _folder(case) / "anonymous.zip"
            done = self.written = privacy.anonymise(list(case.paths), path, time_zone=case.log.time_zone)
        except (OSError, StarfaceError) as error:
            self._said.value = bad(tr("The copy was not written: {reason}", reason=error))
            return
        said = tr(
            "Written: {path}; {kept} of {lines} lines, rewritten; lines that are not understood were left out.",
            path=done.path,
            kept=tr.number(done.kept),
            lines=tr.number(done.lines),
        )
        self._said.value = note(said)


def _folder(case: Case) -> Path:
    return case.folder or Path()
