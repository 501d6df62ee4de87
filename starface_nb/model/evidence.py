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

NAMES = (*TERMS, "together", "across", "overload")

BY_PBX = (pl.col("cause") == "unknown") & pl.col("evidence").str.contains('"term":"(across|overload)"')
"""Of the intervals, those of which no site is accused: the PBX or its own line was in trouble."""

PART = 50_000
"""So many losses are put into words at once, so that memory stays bounded."""

WEIGHTY = 0.5
"""Log-odds from which a term is worth telling."""


def evidence_numbers(context: Context, views: list[SiteView], raw: pl.DataFrame) -> pl.DataFrame:
    """Return what is told of each raw interval as numbers, in their order; nulls where nothing is (trunks)."""
    told = [_numbers(context, view, view.facts) for view in views if view.facts is not None and len(view.losses)]
    lines = raw.select("line", "end_line").with_row_index("row")
    if not told:
        return lines.drop("row")
    return lines.join(pl.concat(told), on="row", how="left", maintain_order="left")


def evidence_json(numbers: pl.DataFrame) -> pl.Series:
    """Return these numbers as JSON texts, which are much longer: let go of what is no longer needed before."""
    if "row" not in numbers.columns:
        return _json(numbers)
    return pl.concat([_texts(part) for part in numbers.iter_slices(PART)])


def _numbers(context: Context, view: SiteView, found: Found) -> pl.DataFrame:
    """Return what is told of a site's losses as numbers: their rows, columns of the objects, terms."""
    losses, around, use, known = context.story.losses, context.around, view.losses, found.anchored
    numbers = {
        "row": losses.row[use].astype(np.uint32),
        "idle_low_s": pl.Series(np.where(known, np.round(found.lower, 1), np.nan)).fill_nan(None),
        "idle_high_s": pl.Series(np.where(known, np.round(found.upper, 1), np.nan)).fill_nan(None),
        "lost_together": found.together.astype(np.uint32),
        "at_risk": np.maximum(around.at_risk[use], found.together).astype(np.uint32),
        "ended_by_renewal": losses.renewed[use],
        "new_port": losses.registered[use],
        "late_answers": losses.late_near[use],
        "refused": around.refused[use],
        "places_struck": found.places.astype(np.uint32),
    }
    return pl.DataFrame(numbers).hstack(largest(found))


def _texts(part: pl.DataFrame) -> pl.Series:
    """Return the objects of some intervals; those of which nothing is told (trunks) have their lines alone."""
    words = part.select(pl.exclude("row", "line", "end_line", "^(term|odds)_.$"), "line", "end_line")
    texts = _json(words).str.strip_suffix("}") + ',"terms":' + _terms_json(part) + "}"
    silent = part["lost_together"].is_null()
    return _json(part.select("line", "end_line")).zip_with(silent, texts) if silent.any() else texts


def largest(found: Found) -> pl.DataFrame:
    """Return the terms that speak most for each loss's cause against the next best: term_0, odds_0, term_1 ...

    A term is its index among all of all causes, in the order of `CAUSES` and `NAMES`.
    """
    joint = np.where(found.event >= 0, found.shared, 0.0)
    # What an event explains is not weighed alone, nor by its site what struck others as well.
    alone, pbx = (found.event < 0) & (found.across == 0), found.across * np.array([found.places > 1, found.places < 2])
    odds = np.vstack([np.where(alone, found.odds, 0.0), np.where(found.across == 0, joint, 0.0), pbx])
    best = np.argsort(-odds, axis=0)[:TOLD]
    value: Floats = np.round(np.take_along_axis(odds, best, axis=0), 2)
    columns = {f"term_{i}": (found.cause * len(NAMES) + term).astype(np.uint8) for i, term in enumerate(best)}
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
