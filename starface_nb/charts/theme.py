"""One look for every picture: colours, sizes, the offline renderer, and static SVG."""

from __future__ import annotations

import hashlib
import re
from html import escape
from typing import Any

import altair as alt
import vl_convert

from starface_nb.analysis.schemas import CAUSES
from starface_nb.guide.causes import cause_name
from starface_nb.guide.i18n import Translator

Picture = alt.Chart | alt.LayerChart | alt.FacetChart | alt.VConcatChart
WIDTH = 760
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
INK = "#808080"
"""Lines that must be seen on white and on dark alike; text takes its colour from JupyterLab's theme."""
ACCENT = "#0072b2"
_MARKER = "#010203"
_READABLE = f"background == 'transparent' ? '{_MARKER}' : luminance(background || 'white') < 0.4 ? 'white' : 'black'"
TEXT: dict[str, Any] = {"color": alt.ExprRef(_READABLE), "fontSize": 11}
SMALL = {**TEXT, "fontSize": 10}
HALO: dict[str, Any] = {"stroke": alt.ExprRef("background == 'transparent' ? null : background"), "strokeWidth": 3}
"""How words inside a picture look: as readable as the axes on whatever background the theme gives."""
HEADER: dict[str, Any] = {
    "title": None, "labelAnchor": "start", "labelOrient": "top", "labelFontWeight": "bold", "labelPadding": 3,
}  # fmt: skip

# Okabe and Ito's palette (Color Universal Design, 2008), grey for what is not decided.
COLOURS = {
    "nat_expiry": "#d55e00",
    "wan_outage": "#0072b2",
    "router_restart": "#56b4e9",
    "pbx_restart": "#cc79a7",
    "phone_restart": "#f0d000",
    "phone_offline": "#a6761d",
    "latency": "#009e73",
    "packet_loss": "#7fc8a9",
    "blacklisted": "#7b4fa3",
    "unknown": "#999999",
}
SHAPES = {
    "nat_expiry": "circle",
    "wan_outage": "square",
    "router_restart": "diamond",
    "pbx_restart": "cross",
    "phone_restart": "triangle-up",
    "phone_offline": "triangle-down",
    "latency": "triangle-right",
    "packet_loss": "triangle-left",
    "blacklisted": "cross",
    "unknown": "stroke",
}
THICKNESS = {
    "nat_expiry": 0.62,
    "wan_outage": 0.95,
    "router_restart": 0.95,
    "pbx_restart": 0.95,
    "blacklisted": 0.95,
    "phone_restart": 0.4,
    "phone_offline": 0.4,
    "latency": 0.4,
    "packet_loss": 0.4,
    "unknown": 0.62,
}
"""Share of a row's height: a fault of the whole site is tall, of one phone thin, so that colour is not alone."""

_MIME = "application/vnd.vegalite.v5+json"
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
_OLDEST_VEGA_LITE = "5.8"
_CONFIG: dict[str, Any] = {
    "font": FONT,
    "title": {"anchor": "start", "fontSize": 14, "subtitleFontSize": 11, "subtitlePadding": 5, "offset": 12},
    "axis": {
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "gridColor": INK,
        "gridOpacity": 0.22,
        "domainColor": INK,
        "tickColor": INK,
        "labelOverlap": "greedy",
    },
    "legend": {"labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "labelLimit": 260, "offset": 20},
    "header": {"labelFontSize": 11, "titleFontSize": 11},
    "view": {"stroke": INK, "strokeOpacity": 0.35, "continuousWidth": WIDTH},
    "bar": {"discreteBandSize": {"band": 0.8}},
}

_TAG = re.compile(r"<[^>]*>")
_DECIMALS = re.compile(r"(\.\d\d)\d+")


def cause_names(tr: Translator) -> dict[str, str]:
    """Return the causes' names in the translator's language, in the vocabulary's order."""
    return {cause: cause_name(cause, tr) for cause in CAUSES}


def dressed(chart: Any, title: str, *subtitle: str, description: str = "") -> Picture:
    """Give a chart its title and the theme; `description` is for screen readers and defaults to the title."""
    named: Picture = chart.properties(
        title=alt.TitleParams(title, subtitle=[line for line in subtitle if line]),
        description=description or " ".join((title, *subtitle)),
    ).configure(**_CONFIG)
    return named


def specification(chart: Any) -> dict[str, Any]:
    """Return a chart as a Vega-Lite 5 specification: what JupyterLab 4 draws without internet."""
    with alt.data_transformers.enable("default", max_rows=None):
        spec: dict[str, Any] = chart.to_dict()
    return {**spec, "$schema": _SCHEMA}


def to_svg(chart: Any) -> str:
    """Return a chart as an SVG on white, drawn without a browser and without internet."""
    return _svg(specification(chart))


def to_inline_svg(chart: Any) -> str:
    """Return a chart as an SVG for a page that has its own background: text takes the page's colour."""
    style = {"guide-label": {"fill": _MARKER}, "guide-title": {"fill": _MARKER}}
    title = {"color": _MARKER, "subtitleColor": _MARKER}
    drawn = _svg(specification(chart), background="transparent", style=style, title=title)
    svg = drawn.replace(_MARKER, "currentColor")
    # several pictures share one page: their clip paths and gradients must not share a name
    own = hashlib.sha256(svg.encode()).hexdigest()[:8]
    return re.sub(r'( id="|url\(#)', rf"\g<1>p{own}-", svg)


def _svg(spec: dict[str, Any], **config: Any) -> str:
    """Draw; one description for the whole picture instead of one for each of its marks."""
    svg: str = vl_convert.vegalite_to_svg(
        spec,
        vl_version=_OLDEST_VEGA_LITE,
        config={"background": "white", "aria": False, **config},
        allowed_base_urls=[],
    )
    svg = _TAG.sub(lambda tag: _DECIMALS.sub(r"\1", tag[0]), svg)  # a quarter less to keep, and nothing to see of it
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(spec.get("description", ""))}" ', 1)


def _bundle(spec: dict[str, Any], **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    spec = {**spec, "$schema": _SCHEMA}
    actions = {"export": True, "source": False, "compiled": False, "editor": False}
    data = {_MIME: spec, "image/svg+xml": _svg(spec), "text/plain": "starface_nb picture"}
    return data, {_MIME: {"embed_options": {"actions": actions}}}


def register() -> None:
    """Make altair hand pictures to JupyterLab as Vega-Lite 5 with an SVG beside them."""
    alt.renderers.register("starface_nb", _bundle)
    alt.renderers.enable("starface_nb")
