"""Schemas of the frames of this room, as `frames.csv` declares them."""

import polars as pl

from starface_nb.frames import declared

KNOWN_BY = pl.Enum(("state lines", "no state line after registering", "no state line at all", "the PBX's own list"))
"""Why a phone is thought to be probed or not."""

OBSERVED, RAW = declared(__file__, known_by=KNOWN_BY).values()
