"""Charts as inline SVG: own ids, nothing active, described in words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from markupsafe import Markup

from starface_nb import charts
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.guide.i18n import Translator

_SVG = "http://www.w3.org/2000/svg"
_ACTIVE = {"script", "foreignObject", "iframe", "a", "image", "use", "animate", "set"}
_REFERENCE = re.compile(r"""url\(['"]?#([^)'"]*)['"]?\)""")
_MOST_SITES = 3


@dataclass(frozen=True)
class Picture:
    """One chart: its caption, a description for those who cannot see it, and the SVG."""

    caption: str
    description: str
    svg: Markup


def inline(svg: str, prefix: str, description: str) -> Markup:
    """Return an SVG that can stand in a page: ids carry `prefix`, active elements and attributes are gone."""
    ET.register_namespace("", _SVG)
    root = ET.fromstring(svg)  # noqa: S314  drawn by us a moment ago
    # numbered anew: the drawing library counts on from picture to picture, and the same log gives the same page
    ids = {node.attrib["id"]: f"{prefix}{n}" for n, node in enumerate(n for n in root.iter() if "id" in n.attrib)}
    for parent in root.iter():
        for child in list(parent):
            if child.tag.rpartition("}")[2] in _ACTIVE:
                parent.remove(child)
        for name, value in list(parent.attrib.items()):
            parent.attrib.pop(name)
            if name == "id":
                parent.set(name, ids[value])
            elif _harmless(name):
                parent.set(name, _REFERENCE.sub(lambda found: f"url(#{ids.get(found[1], prefix)})", value))
    width, height = (root.attrib.pop(name, "") for name in ("width", "height"))
    root.attrib.setdefault("viewBox", f"0 0 {width} {height}")
    root.attrib |= {"role": "img", "aria-label": description, "style": f"max-width:{width}px"}
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704  serialised by an XML writer: escaped


def _harmless(name: str) -> bool:
    local = name.rpartition("}")[2]
    return not local.startswith(("on", "aria-")) and local not in {"role", "href", "class"}


def timeline(diagnosis: Diagnosis, tr: Translator) -> Picture:
    """Return the timeline of every phone's unreachable intervals."""
    text = tr("Timeline: one row per phone, one bar per unreachable interval, coloured by cause.")
    svg = charts.to_svg(charts.timeline(diagnosis, language=tr.language))
    return Picture(tr("When each phone was unreachable, and why"), text, inline(svg, "t-", text))


def proofs(diagnosis: Diagnosis, sites: list[str], tr: Translator) -> list[Picture]:
    """Return, for the first three of the sites, the losses folded onto the keepalive and the cycles as brackets."""
    found = []
    for n, site in enumerate(sites[:_MOST_SITES]):
        folded = tr("Every loss at {site} by the time since the phone's last renewal", site=site)
        svg = charts.to_svg(charts.fold(diagnosis, language=tr.language, site=site))
        found.append(Picture(folded, folded, inline(svg, f"f{n}-", folded)))
        brackets = tr("What each cycle at {site} says about the timeout", site=site)
        svg = charts.to_svg(charts.cycles(diagnosis, site=site, language=tr.language))
        found.append(Picture(brackets, brackets, inline(svg, f"c{n}-", brackets)))
    return found
