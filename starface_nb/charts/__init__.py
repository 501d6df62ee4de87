"""Pictures: a case in, an altair chart out; drawn offline in JupyterLab and as SVG elsewhere."""

from starface_nb.charts.contacts import addresses, rtt
from starface_nb.charts.estimates import cycles
from starface_nb.charts.losses import durations, fold, linked
from starface_nb.charts.outcome import before_after, fleet_page
from starface_nb.charts.reasons import reliability, terms
from starface_nb.charts.rhythm import heatmap, simultaneity
from starface_nb.charts.theme import WIDE, font_faces, register, to_inline_svg, to_svg
from starface_nb.charts.timeline import timeline

register()
__all__ = ["WIDE", "addresses", "before_after", "cycles", "durations", "fleet_page", "fold", "font_faces", "heatmap",
           "linked", "reliability", "rtt", "simultaneity", "terms", "timeline", "to_inline_svg",
           "to_svg"]  # fmt: skip
