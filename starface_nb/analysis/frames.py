"""Schemas of the frames that this room yields, as `frames.csv` declares them."""

import polars as pl

from starface_nb.bundle.router import KINDS
from starface_nb.frames import declared
from starface_nb.model.schemas import CAUSE

_DECLARED = declared(__file__, cause=CAUSE, router_kind=pl.Enum(KINDS))
CALLS_LOST, INCIDENTS = _DECLARED["calls_lost"], _DECLARED["incidents"]
ROUTER_EVENTS, AGAINST_TRUTH = _DECLARED["router_events"], _DECLARED["against_truth"]
