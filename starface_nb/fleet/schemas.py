"""Schema of the fleet's summary frame: one row per customer."""

from __future__ import annotations

import polars as pl

from starface_nb.frames import declared
from starface_nb.model.schemas import VERDICT

BINS = 48
STATE = pl.Enum(["read", "failed"])
_WORST_FIRST = {"too_short": 0, "undetermined": 1, "no_expiry_seen": 2}
URGENCY = pl.col("verdict").cast(pl.String).replace_strict(_WORST_FIRST, return_dtype=pl.Int64).fill_null(3)
"""Sorts frames with a verdict, the worst first."""

FLEET = declared(__file__, state=STATE, verdict=VERDICT)["fleet"]
