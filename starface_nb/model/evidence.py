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

NAMES = (*TERMS, "together")

PART = 50_000
"""So many losses are put into words at once, so that memory stays bounded."""

WEIGHTY = 0.5
"""Log-odds from which a term is worth telling."""


def evidence_json(context: Context, views: list[SiteView], raw: pl.DataFrame) -> pl.Series:
    """Return JSON texts in the order of the raw intervals."""
    story, around = context.story, context.around
    said = [(view, view.facts) for view in views if view.facts is not None and len(view.losses)]
    of_views = [story.losses.row[view.losses] for view, _ in said]
    rest = np.setdiff1d(np.arange(raw.height), np.concatenate([*of_views, np.empty(0, np.int64)]))
    texts = [_json(raw.select("line", "end_line")[rest])]
    for (view, found), rows in zip(said, of_views, strict=True):
        use, known = view.losses, found.anchored
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
        })  # fmt: skip
        terms = largest(found)
        for part, told in zip(frame.iter_slices(PART), terms.iter_slices(PART), strict=True):
            texts.append(_json(part).str.strip_suffix("}") + ',"terms":' + _terms_json(told) + "}")
    order = np.argsort(np.concatenate([rest, *of_views]))
    return pl.concat(texts)[order]


def largest(found: Found) -> pl.DataFrame:
    """Return the terms that speak most for each loss's cause against the next best: term_0, odds_0, term_1 ...

    A term is its index among all of all causes, in the order of `CAUSES` and `NAMES`.
    """
    joint = np.where(found.event >= 0, found.shared, 0.0)
    # What an event explains is not weighed alone.
    odds = np.vstack([np.where(found.event >= 0, 0.0, found.odds), joint])
    best = np.argsort(-odds, axis=0)[:TOLD]
    value: Floats = np.round(np.take_along_axis(odds, best, axis=0), 2)
    columns = {f"term_{i}": found.cause * len(NAMES) + term for i, term in enumerate(best)}
    return pl.DataFrame(columns | {f"odds_{i}": of_term for i, of_term in enumerate(value)})


def _terms_json(told: pl.DataFrame) -> pl.Series:
    """Return the weighty ones as a JSON array, `null` where there is none."""
    heads = pl.Series([f'{{"cause":"{cause}","term":"{term}","log_odds":' for cause in CAUSES for term in NAMES])
    texts = (
        pl.when(pl.col(f"odds_{i}") >= WEIGHTY).then(
            pl.lit(heads).gather(pl.col(f"term_{i}")) + pl.col(f"odds_{i}").cast(pl.String) + "}"
        )
        for i in range(TOLD)
    )
    found = told.select(pl.concat_str(*texts, separator=",", ignore_nulls=True).alias("terms"))
    array = pl.when(pl.col("terms") == "").then(pl.lit("null")).otherwise("[" + pl.col("terms") + "]")
    return found.select(array).to_series()


def _json(frame: pl.DataFrame) -> pl.Series:
    """Return each row as a JSON object."""
    return frame.select(pl.struct(pl.all()).struct.json_encode()).to_series()
