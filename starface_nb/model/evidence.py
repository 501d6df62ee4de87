"""The evidence behind each cause, as one JSON object per interval: numbers, the largest terms and line references."""

from __future__ import annotations

import numpy as np
import polars as pl

from starface_nb.model.found import TERMS, Found
from starface_nb.model.schemas import CAUSES
from starface_nb.model.site import Context, SiteView
from starface_nb.observations.story import Floats

TOLD = 3
"""Terms told of each loss, the largest first."""

WEIGHTY = 0.5
"""Log-odds from which a term is worth telling."""


def evidence_json(context: Context, views: list[SiteView], raw: pl.DataFrame) -> list[str]:
    """Return JSON texts in the order of the raw intervals."""
    out = np.empty(raw.height, dtype=object)
    story, around = context.story, context.around
    for view in views:
        found = view.facts
        if found is None or not len(found.cause):
            continue
        use = view.losses
        rows = story.losses.row[use]
        known = found.anchored
        frame = pl.DataFrame({
            "idle_low_s": pl.Series(np.where(known, np.round(found.lower, 1), np.nan)).fill_nan(None),
            "idle_high_s": pl.Series(np.where(known, np.round(found.upper, 1), np.nan)).fill_nan(None),
            "lost_together": found.together,
            "at_risk": np.maximum(around.at_risk[use], found.together),
            "ended_by_renewal": story.losses.renewed[use],
            "new_port": story.losses.registered[use],
            "late_answers": story.losses.late_near[use],
            "refused": around.refused[use],
            "line": raw["line"].to_numpy()[rows],
            "end_line": raw["end_line"][rows],
        }).with_columns(terms=largest(found))  # fmt: skip
        out[rows] = _json(frame)
    rest = np.flatnonzero(out == None)  # noqa: E711
    lines = raw.select(lines=pl.struct("line", "end_line"))[rest]
    out[rest] = _json(lines) if len(rest) else out[rest]
    return list(out)


def largest(found: Found) -> pl.Series:
    """Return the terms that speak most for each loss's cause against the next best, as lists of structs."""
    n = len(found.cause)
    names = np.array([*TERMS, "together"])
    joint = np.where(found.event >= 0, found.shared, 0.0)
    # What an event explains is not weighed alone.
    odds = np.vstack([np.where(found.event >= 0, 0.0, found.odds), joint])
    best = np.argsort(-odds, axis=0)[:TOLD]
    value: Floats = np.round(np.take_along_axis(odds, best, axis=0), 2)
    frame = pl.DataFrame({
        "i": np.tile(np.arange(n), TOLD),
        "cause": pl.Series(CAUSES).gather(pl.Series(np.tile(found.cause, TOLD))),
        "term": pl.Series(names[best.ravel()].tolist(), dtype=pl.String),
        "log_odds": value.ravel(),
    })  # fmt: skip
    lists = (
        frame.filter(pl.col("log_odds") >= WEIGHTY)
        .group_by("i", maintain_order=True)
        .agg(pl.struct("cause", "term", "log_odds").sort_by("log_odds", descending=True).alias("terms"))
    )
    return pl.DataFrame({"i": np.arange(n)}).join(lists, on="i", how="left", maintain_order="left")["terms"]


def _json(frame: pl.DataFrame) -> list[str]:
    """Return each row as a JSON object."""
    return frame.select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list()
