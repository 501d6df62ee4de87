"""What all panels share: how they show themselves, their look, and text that is safe to show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from starface_nb.guide import translator
from starface_nb.text import visible

if TYPE_CHECKING:
    from starface_nb.cases import Case

_STYLE = """<style>
.sfnb{max-width:1100px}
.sfnb .widget-label,.sfnb .jupyter-widget-label{min-width:110px;text-align:left}
.sfnb-html,.sfnb-html p,.sfnb-html li,.sfnb-html td{color:var(--jp-ui-font-color1,#222);line-height:1.45}
.sfnb-html h4{margin:.5em 0 .2em;font-size:1.05em}
.sfnb-html .widget-html-content{line-height:1.45;padding-right:8px}
.sfnb-html p{margin:.25em 0}
.sfnb-html ul,.sfnb-html ol{margin:.25em 0;padding-left:1.4em}
.sfnb-html td,.sfnb-html th{padding:1px 14px 1px 0;text-align:left;vertical-align:top}
.sfnb-html td.n,.sfnb-html th.n{text-align:right}
.sfnb-html svg{width:100%;max-width:820px;height:auto}
.sfnb-html .sfnb-note{color:var(--jp-ui-font-color2,#666)}
.sfnb-html .sfnb-bad{color:var(--jp-error-color1,#c62828);font-weight:600}
.sfnb-html .sfnb-good{color:var(--jp-success-color1,#2e7d32);font-weight:600}
.sfnb-box{border-left:4px solid #0072b2;padding:2px 12px;margin:6px 0;background:rgba(128,128,128,.1)}
.sfnb-bar{background:rgba(128,128,128,.3);height:8px;border-radius:4px;width:260px;display:inline-block;margin-right:10px}
.sfnb-bar i{background:#0072b2;height:8px;border-radius:4px;display:block}
.sfnb-lines{font-family:var(--jp-code-font-family,monospace);font-size:12px;line-height:1.5;white-space:pre;
overflow-x:auto;margin:0;padding:6px 8px;background:rgba(128,128,128,.1);color:var(--jp-ui-font-color1,#222)}
.sfnb-lines b{background:rgba(213,94,0,.22);font-weight:normal;display:inline-block;min-width:100%}
.sfnb .sfnb-mono{flex-direction:column}
.sfnb .sfnb-mono select{width:100%;font-family:var(--jp-code-font-family,monospace);font-size:11.5px}
</style>"""


class Panel:
    """A panel: ipywidgets in `widget`, shown like any result; results are plain attributes.

    Attributes
    ----------
    case : Case
        The customer's case that the panel is about.
    """

    name = "panel"

    def __init__(self, case: Case) -> None:
        self.widget = widgets.VBox(layout=widgets.Layout(width="100%"))
        self.widget.add_class("sfnb")
        self._take(case)

    def _take(self, case: Case) -> None:
        self.case, self._tr = case, translator(case.language, case.log.time_zone)

    def _show(self, *children: Any) -> None:
        self.widget.children = (widgets.HTML(_STYLE, layout=widgets.Layout(display="none")), *children)

    def __repr__(self) -> str:
        return f"starface_nb {self.name}: run the notebook to use it"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:  # noqa: ARG002
        bundle: dict[str, Any] = self.widget._repr_mimebundle_()
        return {**bundle, "text/plain": repr(self)}


def safe(text: object) -> str:
    """Return text, from a log or not, for use inside HTML."""
    return escape(visible(str(text)))


def html(value: str = "", **layout: str) -> Any:
    """Return an HTML widget in the panels' look; `value` must be safe already."""
    found = widgets.HTML(value, layout=widgets.Layout(**{"width": "auto", **layout}))
    found.add_class("sfnb-html")
    return found


def labelled(kind: Callable[..., Any], label: str, width: str = "420px", **options: Any) -> Any:
    """Return an input with a label that stands beside it in full."""
    style = {"description_width": "110px"}
    layout = widgets.Layout(width=width, max_width="100%", margin="2px 16px 2px 0")
    return kind(description=label, style=style, layout=layout, **options)


def button(name: str, **options: Any) -> Any:
    """Return a button as wide as its name."""
    layout = widgets.Layout(width="auto", margin="2px 8px 2px 0", align_self="flex-start")
    return widgets.Button(description=name, layout=layout, **options)


def rows(*children: Any) -> Any:
    """Return widgets side by side that wrap where there is no room."""
    return widgets.HBox(children, layout=widgets.Layout(flex_flow="row wrap", width="100%", align_items="flex-start"))


def note(text: str) -> str:
    """Return a remark as HTML."""
    return f'<p class="sfnb-note">{safe(text)}</p>'


def bad(text: str) -> str:
    """Return a complaint as HTML."""
    return f'<p class="sfnb-bad" role="alert">{safe(text)}</p>'


def listed(lines: tuple[str, ...] | list[str], tag: str = "ul") -> str:
    """Return a list as HTML."""
    return f"<{tag}>" + "".join(f"<li>{safe(line)}</li>" for line in lines) + f"</{tag}>" if lines else ""


def table(head: Sequence[str], body: Sequence[Sequence[object]], right: tuple[int, ...] = ()) -> str:
    """Return a table as HTML; the columns `right` are numbers."""
    kinds = [' class="n"' if i in right else "" for i in range(len(head))]
    top = "".join(f"<th{kind}>{safe(title)}</th>" for kind, title in zip(kinds, head, strict=True))
    lines = ("".join(f"<td{kind}>{safe(cell)}</td>" for kind, cell in zip(kinds, line, strict=True)) for line in body)
    return f"<table><tr>{top}</tr>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def box(*parts: str) -> str:
    """Return HTML set off from the rest."""
    return f'<div class="sfnb-box">{"".join(parts)}</div>'


def paragraph(text: str, tag: str = "span") -> str:
    """Return a paragraph as HTML, all of it in `tag`."""
    return f"<p><{tag}>{safe(text)}</{tag}></p>"
