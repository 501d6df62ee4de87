"""The reasoning's results as frames: cycles, eras, sites."""

from __future__ import annotations

import numpy as np
import polars as pl

from starface_nb.analysis.causes import CODE
from starface_nb.analysis.reasoning import Context, Era, SiteView
from starface_nb.analysis.schemas import CYCLES, ERAS, OUTCOME, RENEWAL, SITES
from starface_nb.analysis.sites import UNKNOWN, Addresses
from starface_nb.analysis.story import Floats, Ints
from starface_nb.frames import UTC_TIME
from starface_nb.reading.log import Log


OUTCOMES = (
    ("expired", "the loss fits the timeout"),
    ("survived", "answered until the phone's own next renewal was due"),
    ("excluded", "the loss has another cause"),
    ("excluded", "cut short by another renewal or the log's end"),
)
"""How a cycle ended and why it counts so."""


def words(codes: Ints, names: list[str]) -> pl.Series:
    """Return names for codes."""
    return pl.Series(names, dtype=pl.String).gather(pl.Series(codes))


def times(context: Context, second: Floats) -> pl.Series:
    """Return story seconds as a UTC series; not finite becomes null."""
    micro = np.where(np.isfinite(second), second, 0.0) * 1e6 + context.story.origin_us
    series = pl.Series(np.round(micro).astype(np.int64)).cast(UTC_TIME)
    return pl.select(pl.when(pl.Series(np.isfinite(second))).then(series)).to_series()


def cycles_frame(context: Context, views: list[SiteView], raw: pl.DataFrame) -> pl.DataFrame:
    """Return every renewal cycle with its outcome; frame of schema `CYCLES`, sorted by peer and start."""
    parts = [_site_cycles(context, view) for view in views if len(view.cycles)]
    frame = pl.concat(parts) if parts else CYCLES.empty()
    _ = raw
    return CYCLES.check(frame.sort("peer", "start", "end"))


def _site_cycles(context: Context, view: SiteView) -> pl.DataFrame:
    story, cycles, facts = context.story, context.cycles, view.facts
    index = view.cycles
    loss = cycles.loss[index]
    position = np.full(len(story.losses), -1)
    position[view.losses] = np.arange(len(view.losses))
    at = np.where(loss >= 0, position[np.maximum(loss, 0)], -1) if len(story.losses) else np.full(len(index), -1)
    nat = np.zeros(len(index), bool)
    if facts is not None and len(facts.cause):
        nat = (at >= 0) & (facts.cause[np.maximum(at, 0)] == CODE["nat_expiry"])
    nat &= cycles.routine[index] == 0
    exposure = context.exposure
    upper = np.where(nat, exposure.upper[np.maximum(loss, 0)], np.inf) if len(story.losses) else np.full(len(index), np.inf)
    lower = np.where(nat, exposure.lower[np.maximum(loss, 0)], cycles.idle[index]) if len(story.losses) else cycles.idle[index]
    survived = ~nat & (cycles.idle[index] >= 0.95 * cycles.period[index])
    outcome = np.where(nat, 0, np.where(survived, 1, np.where(loss >= 0, 2, 3)))
    end = np.where(nat, story.losses.start[np.maximum(loss, 0)], cycles.end[index]) if len(story.losses) else cycles.end[index]
    era = np.zeros(len(index), np.int32)
    for i, one in enumerate(view.eras):
        era[cycles.start[index] >= one.start] = i
    rows = story.losses.row[np.maximum(loss, 0)] if len(story.losses) else np.zeros(len(index), np.int64)
    return pl.DataFrame({
        "peer": pl.Series(story.peers)[cycles.phone[index]],
        "site": [view.name] * len(index),
        "start": times(context, cycles.start[index]),
        "renewal": words(story.renewals.seen[index].astype(np.int64), ["recovery", "registered"]).cast(RENEWAL),
        "end": times(context, np.maximum(end, cycles.start[index])),
        "outcome": words(outcome, [name for name, _ in OUTCOMES]).cast(OUTCOME),
        "reason": words(outcome, [reason for _, reason in OUTCOMES]),
        "lower_s": np.round(lower, 3),
        "upper_s": pl.Series(np.where(nat, np.round(upper, 3), np.nan)).fill_nan(None),
        "era": era,
        "interval": pl.select(pl.when(pl.Series(nat)).then(pl.Series(rows.astype(np.int64)))).to_series(),
    }, schema=CYCLES.dtypes)  # fmt: skip


def eras_frame(context: Context, views: list[SiteView], log: Log) -> pl.DataFrame:
    """Return one row per site and era; frame of schema `ERAS`, sorted by site and era."""
    rows = []
    for view in views:
        for i, era in enumerate(view.eras):
            low, high = _times_of(context, era, log)
            rows.append({"site": view.name, "era": i, "start": low, "end": high, **_bracket(era)})
    return ERAS.frame(rows).sort("site", "era")


def _times_of(context: Context, era: Era, log: Log) -> tuple[object, object]:
    both = times(context, np.array([era.start, era.end]))
    start = log.first if era.start <= 0 and log.first is not None else both[0]
    end = log.last if era.end >= context.story.end and log.last is not None else both[1]
    return start, end


def _bracket(era: Era) -> dict[str, object]:
    estimate = era.estimate
    middle = estimate.middle
    return {
        "low_s": round(estimate.low, 1),
        "high_s": round(estimate.high, 1) if np.isfinite(estimate.high) else None,
        "estimate_s": None if middle is None else round(middle, 1),
        "level": round(estimate.level, 4),
        "verdict": era.verdict,
        "probability_too_short": round(era.probability, 4),
        "renewed_by": era.renewed_by,
        "cycles_expired": era.expired,
        "cycles_survived": era.survived,
        "cycles_excluded": era.excluded,
    }


def sites_frame(context: Context, views: list[SiteView], addresses: Addresses) -> pl.DataFrame:
    """Return one row per site with its newest era's timeout; frame of schema `SITES`, sorted by site.

    Phones that show no address have a row of their own, with the timeout of the site they were attached to.
    """
    seen = set(addresses.seen["peer"].unique().to_list())
    rows = []
    for view in views:
        last = view.eras[-1]
        changed = times(context, np.array([last.start]))[0] if len(view.eras) > 1 else None
        shown = sum(context.story.peers[i] in seen for i in view.phones)
        for site, phones in ((view.name, shown), (UNKNOWN, len(view.phones) - shown)):
            if phones:
                rows.append({
                    "site": site,
                    "phones": phones,
                    "addresses": addresses.members.get(site, []),
                    "eras": len(view.eras),
                    "changed_at": changed,
                    **_bracket(last),
                    "recommended_timeout_s": context.story.settings.recommended_timeout_s,
                })  # fmt: skip
    return SITES.frame(rows).sort("site")
