"""Preview and hand out the customer's report."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from starface_nb.errors import StarfaceError
from starface_nb.files import replacing
from starface_nb.guide import LANGUAGES, given, products, translator
from starface_nb.panels.base import Panel, bad, html, labelled, note, rows, safe
from starface_nb.panels.explorer import diagnosis_of

_NONE = ""


class ReportPanel(Panel):
    """Choose language, router and masking; preview the report, write it as HTML and PDF.

    Parameters
    ----------
    case : Diagnosis, Case or LogChooser
    answers : AnswerStore, optional
        Default is the case's own.
    folder : path
        Where the report is written.
    language : str
        `en`, `de` or `fr`, to begin with.

    Attributes
    ----------
    page : str
        The report as one HTML page, as chosen now.
    written : Path or None
        The file written last.
    """

    name = "report"

    def __init__(self, case: Any, answers: Any = None, folder: str | Path = ".", language: str = "en") -> None:
        super().__init__()
        self.case, self._case = diagnosis_of(case), case
        self.answers = getattr(case, "answers", None) if answers is None else answers
        self.folder, self.page = Path(folder), ""
        self.written: Path | None = None
        language = getattr(case, "language", language)
        tr = self._tr = translator(language, self.case.log.time_zone)
        chosen = given(self._answers(), "nat").router
        names = [(tr("not known"), _NONE), *((p, p) for p in products())]
        router = chosen if chosen in products() else _NONE
        languages = [(name, code) for code, name in LANGUAGES.items()]
        self._language = labelled(widgets.Dropdown, tr("Language"), "280px", options=languages, value=language)
        self._router = labelled(widgets.Dropdown, tr("Router"), options=names, value=router)
        self._mask = widgets.Checkbox(description=tr("mask the phones' names"), indent=False)
        as_html = widgets.Button(description=tr("Write HTML"), icon="file", button_style="primary")
        as_pdf = widgets.Button(description=tr("Write PDF"), icon="file", button_style="primary")
        self._said, self._preview = html(), html()
        for box in (self._language, self._router, self._mask):
            box.observe(lambda _: self._render(), "value")
        as_html.on_click(lambda _: self._write("html"))
        as_pdf.on_click(lambda _: self._write("pdf"))
        self._show(rows(self._language, self._router, self._mask), rows(as_html, as_pdf), self._said, self._preview)
        self._render()

    def _answers(self) -> dict[str, Any]:
        return {} if self.answers is None else dict(self.answers.all())

    def _render(self) -> bool:
        from starface_nb import report

        try:
            self.page = report.render(
                self.case,
                language=self._language.value,
                answers=self._answers(),
                router=self._router.value or None,
                mask=self._mask.value,
            )
        except StarfaceError as error:
            self._said.value = bad(str(error))
            return False
        title = safe(self._tr("Preview of the report"))
        frame = "width:100%;height:640px;border:1px solid rgba(128,128,128,.5);background:white"
        # a page of its own without scripts: what it holds cannot reach the notebook
        self._preview.value = (
            f'<iframe sandbox="" title="{title}" style="{frame}" srcdoc="{escape(self.page)}"></iframe>'
        )
        self._said.value = ""
        return True

    def _write(self, ending: str) -> None:
        from starface_nb import report

        if not self._render():
            return
        path = self.folder / f"report-{self._language.value}.{ending}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as file:
                file.write(report.to_pdf(self.page) if ending == "pdf" else self.page.encode())
        except (OSError, StarfaceError) as error:
            self._said.value = bad(self._tr("The report was not written: {reason}", reason=error))
            return
        self.written = path
        self._said.value = note(self._tr("Written: {path}", path=path))
