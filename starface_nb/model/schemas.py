"""Schemas of the frames that the analysis yields, and the closed vocabularies in them."""

from __future__ import annotations

import polars as pl

from starface_nb.frames import Schema, declared
from starface_nb.reading.schemas import TECH

CAUSES = (
    "nat_expiry",
    "wan_outage",
    "router_restart",
    "pbx_restart",
    "phone_restart",
    "phone_offline",
    "latency",
    "packet_loss",
    "blacklisted",
    "unknown",
)
VERDICTS = ("too_short", "no_expiry_seen", "undetermined")
RENEWED_BY = ("registration", "any_packet", "undetermined")
CAUSE = pl.Enum(CAUSES)
VERDICT = pl.Enum(VERDICTS)
RENEWER = pl.Enum(RENEWED_BY)
ENDING = pl.Enum(("reachable", "lagged", "unregistered", "open"))
STATUS = pl.Enum(("reachable", "lagged", "unreachable", "unregistered", "expired", "unknown"))
OUTCOME = pl.Enum(("expired", "survived", "excluded"))
RENEWAL = pl.Enum(("registered", "recovery", "routine"))

_DECLARED = declared(
    __file__, tech=TECH, cause=CAUSE, verdict=VERDICT, renewer=RENEWER, ending=ENDING, status=STATUS, outcome=OUTCOME,
    renewal=RENEWAL,
)  # fmt: skip
INTERVALS, PHONES, CYCLES, ERAS, _OF_SITES = _DECLARED.values()
_TOLD = tuple(column for column in ERAS.columns if column.name not in ("site", "era", "start", "end"))
SITES = Schema("sites", (*_OF_SITES.columns[:-1], *_TOLD, _OF_SITES.columns[-1]))
