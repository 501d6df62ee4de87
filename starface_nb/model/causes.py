"""The causes as numbers: their places in the closed vocabulary."""

from starface_nb.model.schemas import CAUSES

CODE = {name: code for code, name in enumerate(CAUSES)}
NAT, WAN, ROUTER, PBX, RESTART, OFFLINE, LATENCY, LOSS, BLOCK, UNKNOWN = range(len(CAUSES))
ACCUSING = (WAN, ROUTER, RESTART, OFFLINE, UNKNOWN)
"""Those that accuse a site's line, router or phones, or nothing."""
