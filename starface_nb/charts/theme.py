"""One look for every picture: colours, sizes, the offline renderer, and static SVG."""

import hashlib
import json
import re
import textwrap
from base64 import b64encode
from collections.abc import Sequence
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from starface_nb.errors import need_memory
from starface_nb.guide.i18n import Translator
from starface_nb.tables import table
from starface_nb.text import unparted

Picture = alt.Chart | alt.LayerChart
WIDTH, WIDE, WIDEST = 580, 760, 1180
"""A picture's width in JupyterLab until its cell is measured, as an SVG on a page, and in JupyterLab at most."""
_TITLE, _NOTE = 80, 104
"""Most letters in a line of a title and of the notes under it, at that width."""
FONTS = Path(__file__).parent / "fonts"
FONT = "Desk Sans, Liberation Sans, Arial, Helvetica, sans-serif"
"""Text is measured with the font that lies here; the others have the same widths, where a page does not hold it."""
INK = "#808080"
"""Lines that must be seen on white and on dark alike; text takes its colour from JupyterLab's theme."""
ACCENT = "#247dff"
LOSSES = "loss"
"""Name of the marks that stand for one loss each."""
_MARKER = "#010203"
_ADDRESSES = 72 << 30  # bytes that the drawing engine (V8) reserves without using them, or it ends the process
_READABLE = f"background == 'transparent' ? '{_MARKER}' : luminance(background || 'white') < 0.4 ? 'white' : 'black'"
READABLE: Any = {"expr": _READABLE}
"""Black on a light page, white on a dark one."""
_PAPER = "#010204"
_PAGE = alt.ExprRef(f"background == 'transparent' ? '{_PAPER}' : background || 'white'")
HALO: dict[str, Any] = {"stroke": _PAGE, "fill": _PAGE, "strokeWidth": 3}
"""Keeps words readable that stand on lines: they are drawn once more beneath, in the page's colour."""

_CAUSES = table("charts/theme")["cause"]
COLOURS, SHAPES, THICKNESS = (
    {cause: look[what] for cause, look in _CAUSES.items()} for what in ("colour", "shape", "thickness")
)
"""By cause: its colour, the shape of its marks, and the share of a row's height that its bars take."""

_MIME = "application/vnd.vegalite.v5+json"
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
_OLDEST_VEGA_LITE = "5.8"
# Vega-Lite's own "container" finds no width there: the box is empty, or not on the page yet, when it is measured. It is
# looked at again and again: it changes with the window, with JupyterLab's side bar, and where a cell comes into sight.
# In a narrow window JupyterLab cuts 8 px off each output's right side.
_ROOM = f"min(containerSize()[0] - (windowSize()[0] > 760 ? 0 : 8), {WIDEST})"
_ROOM = f"containerSize()[0] ? {_ROOM} : width"
_WIDE_AS_THE_CELL = {"name": "width", "value": WIDTH, "on": [{"events": "timer{300}", "update": _ROOM}]}
_BELOW = {"top": {"direction": "vertical"}}  # legends; side by side, the second would be cut in a narrow window
_BOX = ".vega-embed{display:block}"  # it would be as wide as what is in it
_FIT = alt.AutoSizeParams(type="fit-x", contains="padding")
_CONFIG: dict[str, Any] = {"font": FONT, **table("charts/theme")["config"]}
_CONFIG |= {part: {"title": None, **_CONFIG[part]} for part in ("axis", "legend", "header")}
_CONFIG["text"] = {**_CONFIG["text"], "color": READABLE}

_TAG = re.compile(r"<[^>]*>")
_ROLES = re.compile(r' (?:role="graphics-\w+"|aria-roledescription="[^"]*")')  # of marks: the picture is one image
_DECIMALS = re.compile(r'(aria-label="[^"]*")|(\.\d\d)\d+')  # what is spoken stays: an address has points, too


def dressed(chart: Any, tr: Translator, title: str, *notes: str) -> Picture:
    """Give a chart the theme, numbers as its language writes them, a title and notes; empty notes are left out."""
    subtitle = [line for note in notes for line in _wrapped(note, _NOTE)]
    named: Picture = chart.properties(
        width=WIDTH,
        autosize=_FIT,
        title=alt.TitleParams(_wrapped(title, _TITLE), subtitle=subtitle),
        description=" ".join((title, *notes)).strip(),
    ).configure(**_CONFIG, locale=_locale(tr))
    return named


def _locale(tr: Translator) -> dict[str, Any]:
    decimal, thousands, percent = tr.number(0.5, 1)[1], tr.number(10_000)[2:-3], tr.percent(0.5)[2:]
    number = {"decimal": decimal, "thousands": thousands, "percent": percent, "grouping": [3], "currency": ["", ""]}
    return {"number": number}


def specification(chart: Any) -> dict[str, Any]:
    """Return a chart as a Vega-Lite 5 specification: what JupyterLab 4 draws without internet."""
    with alt.data_transformers.enable("default", max_rows=None):
        spec: dict[str, Any] = chart.to_dict(validate=False)  # its parts were, when they were made
    return {**spec, "$schema": _SCHEMA}


def to_svg(chart: Any, width: int = WIDE) -> str:
    """Return a chart as an SVG on white, drawn without a browser and without internet."""
    return _svg(specification(chart), width)


def to_inline_svg(chart: Any, width: int = WIDE) -> str:
    """Return a chart as an SVG for a page that has its own background: text takes the page's colour."""
    return inline_svg(specification(chart), width)


def inline_svg(spec: dict[str, Any], width: int) -> str:
    """Do the same with a chart's specification."""
    style = {"guide-label": {"fill": _MARKER}, "guide-title": {"fill": _MARKER}}
    title = {"color": _MARKER, "subtitleColor": _MARKER}
    drawn = _svg(spec, width, background="transparent", style=style, title=title)
    svg = drawn.replace(_MARKER, "currentColor").replace(_PAPER, "var(--paper,#fff)")
    # several pictures share one page: their clip paths and gradients must not share a name
    own = hashlib.sha256(svg.encode()).hexdigest()[:8]
    return re.sub(r'( id="|url\(#)', rf"\g<1>p{own}-", svg)


def with_rows(svg: str, rows: Sequence[int]) -> str:
    """Return a picture whose marks of losses carry the losses' rows; as it was where it draws no single loss."""
    marks = re.search(rf'<g class="[^"]*\b{LOSSES}_marks"[^>]*>(.*?)</g>', svg, re.DOTALL)
    if not marks or marks[1].count("<path ") != len(rows):
        return svg
    numbers = iter(rows)
    named = re.sub("<path ", lambda _: f'<path data-row="{next(numbers)}" ', marks[1])
    return svg[: marks.start(1)] + named + svg[marks.end(1) :]


def _svg(spec: dict[str, Any], width: int = WIDE, **config: Any) -> str:
    """Draw; one description for the whole picture instead of one for each of its marks."""
    need_memory(_ADDRESSES)
    fitted = _fitted(spec, width) if "autosize" in spec else spec
    svg = _drawn(json.dumps(fitted), json.dumps({"background": "white", "aria": False, **config}))
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(spec.get("description", ""))}" ', 1)


@lru_cache(maxsize=32)
def _drawn(spec: str, config: str) -> str:
    """Draw, once while an answer after the other changes the report's words alone."""
    svg = vl_convert.vegalite_to_svg(
        json.loads(spec), vl_version=_OLDEST_VEGA_LITE, config=json.loads(config), allowed_base_urls=[]
    )
    # a quarter less to keep, and nothing to see of it
    return _TAG.sub(lambda tag: _ROLES.sub("", _DECIMALS.sub(r"\1\2", tag[0])), svg)


def _fitted(spec: dict[str, Any], width: int) -> dict[str, Any]:
    """Return a specification at a width; below the usual one its title, notes and legend take more lines."""
    room, title = width / WIDTH, spec["title"]
    fitted = {**spec, "width": width}
    if room < 1:
        text = _wrapped(" ".join(title["text"]), int(_TITLE * room))
        first, *more = title["subtitle"] or [""]  # the headline, and what explains the marks
        notes = [part for note in (first, " ".join(more)) for part in _wrapped(note, int(_NOTE * room))]
        fitted["title"] = {**title, "text": text, "subtitle": notes}
        part = "layer" if "layer" in spec else "encoding"
        legend = json.dumps(spec[part])
        fitted[part] = json.loads(legend, object_hook=lambda d: {**d, "columns": 2} if "columns" in d else d)
    return fitted


def _wrapped(text: str, letters: int) -> list[str]:
    return textwrap.wrap(unparted(text), letters, break_on_hyphens=False)


def _bundle(spec: dict[str, Any], **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    # in the picture, not in the output's metadata: there JupyterLab would keep the theme of the day along with it
    options: dict[str, Any] = {"actions": False, "defaultStyle": _BOX}
    shown = {**spec, "$schema": _SCHEMA, "usermeta": {"embedOptions": options}}
    if "autosize" in spec:
        shown["params"] = [{"name": "signals", "value": None}]  # so that there is a list of signals to add to
        options["patch"] = [{"op": "add", "path": "/signals/-", "value": _WIDE_AS_THE_CELL},
                            {"op": "add", "path": "/config/legend/layout", "value": _BELOW}]  # fmt: skip
    return {_MIME: shown, "image/svg+xml": _svg({**spec, "$schema": _SCHEMA}), "text/plain": "starface_nb picture"}, {}


def font_faces() -> str:
    """Return CSS that holds the pictures' font, for a page that is to look the same on every machine."""
    faces = []
    for weight, name in (("normal", "regular"), ("bold", "bold")):
        data = b64encode((FONTS / f"desk-sans-{name}.ttf").read_bytes()).decode()
        faces.append(f"@font-face{{font-family:'Desk Sans';font-weight:{weight};src:url(data:font/ttf;base64,{data})}}")
    return "".join(faces)


def register() -> None:
    """Make altair hand pictures to JupyterLab as Vega-Lite 5 with an SVG beside them."""
    vl_convert.register_font_directory(str(FONTS))
    alt.renderers.register("starface_nb", _bundle)
    alt.renderers.enable("starface_nb")
