"""Charts as inline SVG, with ids of their own in the page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from markupsafe import Markup

from starface_nb import charts
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.guide.i18n import Translator

_SVG = "http://www.w3.org/2000/svg"
_REFERENCE = re.compile(r"url\(#([^)]*)\)")
_MOST_SITES = 3


@dataclass(frozen=True)
class Picture:
    """One chart: its caption and the SVG, which describes itself for those who cannot see it."""

    caption: str
    svg: Markup


def inline(chart: Any, prefix: str) -> Markup:
    """Return a chart as SVG that can stand in a page with others: its ids begin with `prefix`.

    They are numbered anew: the drawing library counts on from picture to picture, and the same log gives the same page.
    """
    ET.register_namespace("", _SVG)
    root = ET.fromstring(charts.to_svg(chart))  # noqa: S314  drawn by us this moment
    ids = {node.attrib["id"]: f"{prefix}{n}" for n, node in enumerate(n for n in root.iter() if "id" in n.attrib)}
    for node in root.iter():
        for name, value in node.attrib.items():
            new = ids[value] if name == "id" else _REFERENCE.sub(lambda found: f"url(#{ids[found[1]]})", value)
            node.set(name, new)
    width, height = (root.attrib.pop(name) for name in ("width", "height"))
    root.attrib.setdefault("viewBox", f"0 0 {width} {height}")
    root.set("style", f"max-width:{width}px")
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704  serialised by an XML writer: escaped


def timeline(diagnosis: Diagnosis, tr: Translator) -> Picture:
    """Return the timeline of every phone's unreachable intervals."""
    chart = charts.timeline(diagnosis, language=tr.language)
    return Picture(tr("When each phone was unreachable, and why"), inline(chart, "t-"))


def proofs(diagnosis: Diagnosis, sites: list[str], tr: Translator) -> list[Picture]:
    """Return, for the first three of the sites, the losses folded onto the keepalive and the cycles as brackets."""
    found = []
    for n, site in enumerate(sites[:_MOST_SITES]):
        folded = charts.fold(diagnosis, language=tr.language, site=site)
        caption = tr("Every loss at {site} by the time since the phone's last renewal", site=site)
        found.append(Picture(caption, inline(folded, f"f{n}-")))
        brackets = charts.cycles(diagnosis, language=tr.language, site=site)
        found.append(
            Picture(tr("What each cycle at {site} says about the timeout", site=site), inline(brackets, f"c{n}-"))
        )
    return found
