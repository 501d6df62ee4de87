"""What all panels share: parts written as HTML, what the browser sends back, and how they are saved."""

from __future__ import annotations

from html import escape
from itertools import count
from pathlib import Path
from threading import RLock
from typing import Any
from weakref import WeakSet

import anywidget
import traitlets
from markupsafe import Markup

from starface_nb.cases import Case
from starface_nb.errors import StarfaceError
from starface_nb.guide import Translator
from starface_nb.guide.words import note_text
from starface_nb.templates import fill
from starface_nb.text import visible

_HERE = Path(__file__).parent
_STYLE = (_HERE / "page.css").read_text("utf-8")
_NEWLINE = Markup("\n")  # of ours: a text's own would be shown as its code
_numbers = count(1)  # instead of random identifiers: a notebook that is run anew is the same file
_one_at_a_time = RLock()  # JupyterLab lets each panel's messages run in a thread of its own, and a case is shared
_VIEW = "application/vnd.jupyter.widget-view+json"


class _Page(anywidget.AnyWidget):
    """The browser's side of a panel."""

    _esm = (_HERE / "page.js").read_text("utf-8")
    _css = _STYLE
    parts = traitlets.Dict().tag(sync=True)
    marks = traitlets.Dict().tag(sync=True)


class Panel:
    """A panel: HTML in named parts, written by the kernel; a click or an input in the browser calls a `do_` method.

    A notebook keeps its parts as static HTML beside the widget: they are there without a kernel, too.

    Attributes
    ----------
    parts : dict
        The panel's HTML by the parts' names.
    """

    name = "panel"

    def __init__(self, tr: Translator) -> None:
        self.tr = tr
        self.widget = _Page(model_id=f"{next(_numbers):032x}")
        self.widget.on_msg(lambda _widget, content, _buffers: self.receive(**content))

    @property
    def parts(self) -> dict[str, str]:
        """The panel's HTML by the parts' names, in their order."""
        return dict(self.widget.parts)

    def show(self, **parts: str) -> None:
        """Write these parts; the others stay."""
        self.widget.parts = {**self.widget.parts, **parts}

    def fill(self, template: str, /, **values: object) -> str:
        """Return a template of this room, filled in."""
        return fill(f"panels/{template}.html", tr=self.tr, nl=_NEWLINE, **values)

    def receive(self, do: str, arg: str | None = None, value: Any = None) -> None:
        """Do what was asked for in the browser; an error stands in the part `said`."""
        with _one_at_a_time:
            try:
                self.show(said="")
                getattr(self, f"do_{do}")(arg, value)
            except (StarfaceError, OSError) as error:
                self.show(said=bad(self.why(error)))
            except Exception as error:
                self.show(said=bad(f"{type(error).__name__}: {error}"))
                raise
            finally:
                self.widget.send({"done": True})

    def why(self, error: Exception) -> str:
        """Return what an error says, in the panel's language where there are words for it."""
        return note_text(str(error), self.tr) or str(error)

    def download(self, name: str, content: bytes) -> None:
        """Hand a file to the browser."""
        self.widget.send({"download": name}, buffers=[content])

    def static(self) -> str:
        """Return the panel as it is now, as HTML that needs no kernel."""
        body = "".join(f"<div>{html}</div>" for html in self.parts.values() if html)
        hint = note(self.tr("Shown as it was saved: run the notebook to use it."))
        return f'<style>{_STYLE}</style><div class="sfnb sfnb-static">{body}{hint}</div>'

    def __repr__(self) -> str:
        return f"starface_nb {self.name}: run the notebook to use it"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:  # noqa: ARG002
        view = {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}
        return {_VIEW: view, "text/html": self.static(), "text/plain": repr(self)}

    def _ipython_display_(self) -> None:
        """Show the widget, and its static HTML once more as an output of its own.

        A page made from a notebook whose widgets' state was kept picks the widget, and is blank without internet.
        """
        from IPython.display import display

        bundle = self._repr_mimebundle_()
        saved = bundle["text/html"]
        display({**bundle, "text/html": "<!-- its saved state follows -->"}, raw=True)  # type: ignore[no-untyped-call]
        display({"text/html": saved, "text/plain": f"{self.name}, as it was saved"}, raw=True)  # type: ignore[no-untyped-call]


_case_panels: WeakSet[CasePanel] = WeakSet()


class CasePanel(Panel):
    """A panel about one customer's case, which is its attribute `case`."""

    def __init__(self, case: Case) -> None:
        super().__init__(case.translator)
        self.case = case
        _case_panels.add(self)

    def renew(self) -> None:
        """Show what another panel has just kept, where it shows here."""

    def renew_others(self) -> None:
        """Have the other panels of this case show what was just kept."""
        for other in list(_case_panels):
            if other is not self and other.case is self.case:
                other.renew()


def safe(text: object) -> str:
    """Return text, from a log or not, for use inside HTML."""
    return escape(visible(str(text)))


def note(text: str) -> str:
    """Return a remark as HTML."""
    return f'<p class="sfnb-note">{safe(text)}</p>'


def good(text: str) -> str:
    """Return what went well as HTML."""
    return f'<p class="sfnb-good" role="status">{safe(text)}</p>'


def bad(text: str) -> str:
    """Return a complaint as HTML."""
    return f'<p class="sfnb-bad" role="alert">{safe(text)}</p>'
