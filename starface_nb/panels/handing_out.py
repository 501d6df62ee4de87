"""What leaves the house: the customer's report, and the log without personal data; a second log to compare with."""

import re
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from markupsafe import Markup

from starface_nb import charts, privacy, report
from starface_nb.cases import Case
from starface_nb.errors import SettingError, StarfaceError
from starface_nb.files import at_home
from starface_nb.guide import LANGUAGES, Translator, word
from starface_nb.guide.comparison import comparison_text
from starface_nb.guide.words import note_text
from starface_nb.panels.base import CasePanel, good, note, safe

_PICTURE = re.compile(r"<svg.*?</svg>", re.DOTALL)
_MOST_SITES = 12
SECOND_LOG = "second_log"
"""The step id under which the second log's path is kept."""


class ReportPanel(CasePanel):
    """Choose language and masking; preview the report, write it as page and PDF; compare with a second log.

    Parameters
    ----------
    case : Case

    Attributes
    ----------
    page : str
        The report as one HTML page, as chosen now.
    written : list of Path
        The files written last.
    """

    name = "report"

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.written: list[Path] = []
        self._language, self._mask = case.language, False
        self.show(head="", said="", second=self._second_as_kept())
        self._render()

    def _render(self) -> None:
        self.page = report.of_case(self.case, self._language, mask=self._mask)
        title = safe(self.tr("Preview of the report"))
        chosen = {"languages": [*LANGUAGES.items()], "language": self._language, "mask": self._mask}
        # a page of its own without scripts: what it holds cannot reach the notebook
        frame = f'<iframe sandbox="" title="{title}" srcdoc="{escape(self.page)}"></iframe>'
        self.show(head=self.fill("report", **chosen), said="", preview=frame)

    def _second_as_kept(self) -> str:
        """Return what the log tells that was named last; where it is gone by now, that."""
        name = str((self.case.answers.get(SECOND_LOG) or {}).get("answer") or "")
        try:
            return self.fill("second", log=name, **_compared(self.case, name))
        except (StarfaceError, OSError) as error:
            return self.fill("second", log=name, wrong=self.why(error))

    def static(self) -> str:
        """Return the panel with the report's words; its pictures stand above already, and would double the notebook."""
        whole, short = (f'srcdoc="{escape(page)}"' for page in (self.page, _PICTURE.sub("", self.page)))
        return super().static().replace(whole, short)

    def do_language(self, _arg: object, language: str) -> None:
        """Show the report in another language."""
        self._language = language
        self._render()

    def do_mask(self, _arg: object, on: bool) -> None:
        """Call the phones by numbers, or by their names."""
        self._mask = on
        self._render()

    def do_second(self, _arg: object, name: str) -> None:
        """Compare with another log of the customer, and keep which; empty takes it back."""
        name = name.strip().strip("\"'")  # as a system copies a path
        self.show(second=self.fill("second", log=name))  # what the one before told does not stand below this one
        self.show(second=self.fill("second", log=name, **_compared(self.case, name)))
        self.case.answers.reload().set(SECOND_LOG, name or None)

    def do_write(self, _arg: object, _value: object) -> None:
        """Write page, PDF and the list of losses into the case's folder, and hand the PDF to the browser."""
        self._render()
        self.written = write_report(self, self._language, mask=self._mask)

    def do_anonymous(self, _arg: object, _value: object) -> None:
        """Write the case's log without names, numbers and addresses; its diagnosis stays the same but for calls."""
        tr, case = self.tr, self.case
        path = report.folder_of(case) / "anonymous.zip"
        done = privacy.anonymise(list(case.paths), path, time_zone=case.log.time_zone)
        said = tr(
            "Written: {path}; {kept} of {lines} lines, rewritten; lines that are not understood were left out.",
            path=done.path.name,
            kept=tr.number(done.kept),
            lines=tr.number(done.lines),
        )
        self.show(said=note(" ".join([said, *(note_text(one, tr) or one for one in done.notes)])))


def write_report(panel: CasePanel, language: str, *, mask: bool = False) -> list[Path]:
    """Write a case's report, hand the last of its files (the PDF) to the browser, and return them all."""
    tr, (paths, kept) = panel.tr, report.write_report(panel.case, language, mask=mask)
    panel.download(paths[-1].name, paths[-1].read_bytes())
    told = good(tr("Written into the case's folder: {names}", names=", ".join(path.name for path in paths)))
    panel.show(said=told + changed(kept, tr))
    return paths


def changed(kept: list[str], tr: Translator) -> str:
    """Say which earlier results somebody had changed, by the names under which they are kept now."""
    return note(tr("Changed since it was written, and kept: {names}", names=", ".join(kept))) if kept else ""


def _compared(case: Case, name: str) -> dict[str, Any]:
    """Return what stands in the template `second` about a log, nothing where none is named.

    Parameters
    ----------
    case : Case
    name : str
        The log's path, absolute or from the case's folder.

    Raises
    ------
    InputError
        The log cannot be read.
    SettingError
        It is the case's own log, or may be another customer's: nothing of it is shown.
    """
    if not name:
        return {}
    tr = case.translator
    other = case.read_other(at_home(name if name.startswith("~") else Path(case.folder or "", name)))
    found, earlier = case.compare_by_time(other)
    verdict, *sites = (list(lines) for told, lines in groupby(comparison_text(found, tr), bool) if told)
    if all(site.after is None for site in found.sites):
        why = word("compared_because", min((site.reason for site in found.sites), default="no_phone"), tr)
        raise SettingError(" ".join([*verdict, why]))
    few = len(sites) <= _MOST_SITES
    return {
        "name": Path(name).name or name,
        "earlier": earlier,
        "doubt": " ".join(verdict[1:]),
        "verdict": verdict[0],
        "sites": sites,
        "picture": Markup(charts.to_inline_svg(charts.before_after(found, case.language))) if few else "",  # noqa: S704  own
    }
