"""The reasoning's results as frames: cycles, eras, sites."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from starface_nb.frames import UTC_TIME
from starface_nb.model.causes import NAT
from starface_nb.model.groups import told
from starface_nb.model.schemas import CYCLES, ERAS, OUTCOME, RENEWAL, RENEWER, SITES, VERDICT
from starface_nb.model.site import Context, SiteView
from starface_nb.observations.addresses import UNKNOWN, Addresses
from starface_nb.observations.story import Floats, Ints
from starface_nb.reading.log import Log

OUTCOMES = (
    ("expired", "the loss fits the timeout"),
    ("survived", "answered until the phone's own next renewal was due"),
    ("excluded", "the loss has another cause"),
    ("excluded", "cut short by another renewal or the log's end"),
)
"""How a cycle ended and why it counts so."""

RENEWALS = ("recovery", "registered", "routine")

MOST_ROWS = 500_000
"""Cycles of a frame; beyond that several silent renewals of a phone share one row, so that memory stays bounded."""


def words(codes: Ints, names: Sequence[str]) -> pl.Series:
    """Return names for codes."""
    return pl.Series(names, dtype=pl.String).gather(pl.Series(codes))


def times(context: Context, second: Floats) -> pl.Series:
    """Return story seconds as a UTC series; not finite becomes null."""
    micro = pl.Series(np.round(second * 1e6 + context.story.origin_us))
    return micro.cast(pl.Int64, strict=False).cast(UTC_TIME)


def cycles_frame(context: Context, views: list[SiteView]) -> pl.DataFrame:
    """Return every renewal cycle with its outcome; frame of schema `CYCLES`, sorted by peer and start."""
    several = max(1, -(-int(context.cycles.routine.sum()) // MOST_ROWS))
    numbered = zip(views, first_eras(views), strict=True)
    parts = [_site_cycles(context, view, several, first) for view, first in numbered if len(view.cycles)]
    return CYCLES.check(pl.concat([CYCLES.empty(), *parts]).sort("peer", "start", "end"))


def _site_cycles(context: Context, view: SiteView, several: int, first: int) -> pl.DataFrame:
    """Return a site's cycles; silent renewals inside a known one become cycles of their own, `several` in a row one."""
    story, cycles, index = context.story, context.cycles, view.cycles
    count = -(-cycles.routine[index] // several) + 1
    at = np.repeat(index, count)
    turn = several * (np.arange(len(at)) - np.repeat(np.cumsum(count) - count, count))
    turn = np.minimum(turn, cycles.routine[at])
    period = cycles.period[at]
    last = turn == cycles.routine[at]
    turns = np.where(last, 1, np.minimum(several, cycles.routine[at] - turn))
    start = cycles.start[at] + turn * period
    loss = np.where(last, cycles.loss[at], -1)
    expired = np.zeros(len(story.losses) + 1, bool)  # which losses the timeout explains; behind the last one none
    if view.facts is not None:
        expired[view.losses] = view.facts.cause == NAT
    nat = expired[loss] & (turn == 0)
    # where there is no loss (-1), what stands behind the last one is taken, and not used
    measured = (context.exposure.lower, context.exposure.upper, story.losses.start, story.losses.answered)
    lower, upper, began, answered = (np.append(values, 0.0)[loss] for values in measured)
    lost, rows = np.where(nat, began, answered), np.append(story.losses.row, 0)[loss]
    idle = np.where(last, np.clip(cycles.end[at] - start - story.settings.probe_interval_s, 0, None), cycles.idle[at])
    idle = np.where(last & (loss >= 0), np.clip(lost - start, 0, None), idle)
    survived = ~nat & (~last | (idle >= 0.95 * period))
    outcome = np.where(nat, 0, np.where(survived, 1, np.where(loss >= 0, 2, 3)))
    end = np.where(nat, lost, np.where(last, cycles.end[at], start + turns * period))
    era = np.full(len(at), first, np.int32)
    for i, one in enumerate(view.eras, first):
        era[start >= one.start] = i
    renewal = np.full(len(cycles.phone), 2)
    renewal[: len(story.renewals.seen)] = story.renewals.seen
    return pl.DataFrame({
        "peer": words(cycles.phone[at], story.peers),
        "site": pl.repeat(told(view.name), len(at), eager=True),
        "start": times(context, start),
        "renewal": words(np.where(turn > 0, 2, renewal[at]), RENEWALS).cast(RENEWAL),
        "end": times(context, np.maximum(end, start)),
        "outcome": words(outcome, [name for name, _ in OUTCOMES]).cast(OUTCOME),
        "reason": words(outcome, [reason for _, reason in OUTCOMES]),
        "lower_s": np.round(np.where(nat, lower, np.minimum(idle, period)), 3),
        "upper_s": pl.Series(np.where(nat, np.round(upper, 3), np.nan)).fill_nan(None),
        "era": era,
        "interval": pl.Series(rows).set(pl.Series(~nat), None),
        "turns": turns,
    }, schema=CYCLES.dtypes)  # fmt: skip


def eras_frame(context: Context, views: list[SiteView], cycles: pl.DataFrame, log: Log) -> pl.DataFrame:
    """Return one row per site and era; frame of schema `ERAS`, sorted by site and era."""
    counted = {name: pl.col("turns").filter(pl.col("outcome") == name).sum() for name in OUTCOME.categories}
    counts = {row[:2]: row[2:] for row in cycles.group_by("site", "era").agg(**counted).iter_rows()}
    rows = []
    for view, first in zip(views, first_eras(views), strict=True):
        for i, era in enumerate(view.eras, first):
            start, end = times(context, np.array([era.start, era.end]))
            start = log.first or start if era.start <= 0 else start
            end = log.last or end if era.end >= context.story.end else end
            expired, survived, excluded = counts.get((told(view.name), i), (0, 0, 0))
            estimate, middle = era.estimate, era.estimate.middle
            rows.append({
                "site": told(view.name),
                "era": i,
                "start": start,
                "end": end,
                "low_s": round(estimate.low, 1),
                "high_s": round(estimate.high, 1) if np.isfinite(estimate.high) else None,
                "estimate_s": None if middle is None else round(middle, 1),
                "level": round(estimate.level, 4),
                "verdict": era.verdict,
                "probability_too_short": round(min(max(era.probability, 0.0001), 0.9999), 4),
                "renewed_by": era.renewed_by,
                "cycles_expired": expired,
                "cycles_survived": survived,
                "cycles_excluded": excluded,
            })  # fmt: skip
    return ERAS.frame(rows).sort("site", "era")


def first_eras(views: list[SiteView]) -> list[int]:
    """Return the number of each view's first era: groups of unknown address are one site and count on."""
    had: dict[str, int] = {}
    first = []
    for view in views:
        first.append(had.get(told(view.name), 0))
        had[told(view.name)] = first[-1] + len(view.eras)
    return first


def sites_frame(context: Context, views: list[SiteView], addresses: Addresses, eras: pl.DataFrame) -> pl.DataFrame:
    """Return one row per site with its newest era's timeout; frame of schema `SITES`, sorted by site.

    Phones that show no address have a row of their own, with the timeout of the site they were attached to.
    """
    seen = set(addresses.seen["peer"].unique().to_list())
    known = {(era["site"], era["era"]): era for era in eras.to_dicts()}
    rows = []
    for view, first in zip(views, first_eras(views), strict=True):
        newest = known[told(view.name), first + len(view.eras) - 1]
        more = {"changed_at": newest["start"] if len(view.eras) > 1 else None}
        more |= {"eras": len(view.eras), "recommended_timeout_s": context.story.settings.recommended_timeout_s}
        shown = sum(context.story.peers[i] in seen for i in view.phones)
        for site, phones in ((view.name, shown), (UNKNOWN, len(view.phones) - shown)):
            if phones:
                rows.append(
                    newest | more | {"site": site, "phones": phones, "addresses": addresses.members.get(site, [])}
                )
    return _one_row_each(SITES.frame(rows)).sort("site")


def _one_row_each(sites: pl.DataFrame) -> pl.DataFrame:
    """Join the rows of phones whose address is not known, which may be behind several routers.

    Where one of these is too short, that is what the row tells, with a bracket that holds those of all that are; else
    what holds for all of them. The middle of several routers' timeouts is nobody's, and not told.
    """
    if sites["site"].is_unique().all():
        return sites
    short = pl.col("verdict") == "too_short"
    telling = short | ~short.any()
    low, high, chance = (pl.col(name).filter(telling) for name in ("low_s", "high_s", "probability_too_short"))
    joined = sites.group_by("site", maintain_order=True).agg(
        pl.col("phones", "cycles_expired", "cycles_survived", "cycles_excluded").sum(),
        pl.col("addresses", "recommended_timeout_s").first(),
        pl.col("eras", "changed_at").max(),
        low.min(),
        pl.col("level").filter(telling).min(),
        pl.when(short.any()).then(chance.max()).otherwise(chance.min()).alias("probability_too_short"),
        pl.when(high.is_not_null().all()).then(high.max()).alias("high_s"),
        pl.when(telling.sum() == 1).then(pl.col("estimate_s").filter(telling).first()).alias("estimate_s"),
        _agreed(pl.col("verdict").filter(telling), VERDICT),
        _agreed(pl.col("renewed_by"), RENEWER),
    )
    return SITES.check(joined)


def _agreed(told: pl.Expr, words: pl.Enum) -> pl.Expr:
    return pl.when(told.n_unique() == 1).then(told.first()).otherwise(pl.lit("undetermined", words))
