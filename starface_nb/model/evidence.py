"""The evidence behind each cause, as one JSON object per interval: numbers and line references."""

from __future__ import annotations

import numpy as np
import polars as pl

from starface_nb.model.causes import REASONS
from starface_nb.model.reasoning import Context, SiteView


def evidence_json(context: Context, views: list[SiteView], raw: pl.DataFrame) -> list[str]:
    """Return JSON texts in the order of the raw intervals."""
    out = np.empty(raw.height, dtype=object)
    for view in views:
        facts = view.facts
        if facts is None or not len(facts.cause):
            continue
        rows = context.story.losses.row[view.losses]
        known = facts.anchored
        frame = pl.DataFrame({
            "reason": pl.Series(list(REASONS.values())).gather(pl.Series(facts.reason)),
            "idle_low_s": pl.Series(np.where(known, np.round(facts.lower, 1), np.nan)).fill_nan(None),
            "idle_high_s": pl.Series(np.where(known, np.round(facts.upper, 1), np.nan)).fill_nan(None),
            "lost_together": facts.together,
            "at_risk": facts.around.at_risk,
            "ended_by_renewal": facts.loss.renewed,
            "new_port": facts.loss.registered,
            "late_answers": facts.loss.late_near,
            "refused": facts.around.refused,
            "line": raw["line"].to_numpy()[rows],
            "end_line": raw["end_line"][rows],
        })  # fmt: skip
        out[rows] = _json(frame)
    rest = np.flatnonzero(out == None)  # noqa: E711
    lines = raw.select(lines=pl.struct("line", "end_line"))[rest]
    out[rest] = _json(lines) if len(rest) else out[rest]
    return list(out)


def _json(frame: pl.DataFrame) -> list[str]:
    """Return each row as a JSON object."""
    return frame.select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list()
