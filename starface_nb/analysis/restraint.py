"""No verdict against the evidence: what the explanation of a log may say, given what the log could show."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import polars as pl

from starface_nb.model.evidence import BY_PBX
from starface_nb.model.schemas import CAUSE, OUTCOME, RENEWER, VERDICT
from starface_nb.model.timeout import PRIOR_EXPIRING
from starface_nb.observations.addresses import PRIVATE, UNKNOWN
from starface_nb.observations.observed import Observation
from starface_nb.reading.log import Log
from starface_nb.settings import KEEPALIVES_S, Settings

LEAST_TURNS = 3
"""So many whole periods must have been under observation at a site for "no expiry seen" to mean anything."""
MOST_ALIVE = 0.2
"""Where a phone goes on registering inside this share of a site's losses, lines may be missing as well as answers."""
CONTRADICTED = 1.25
"""Phones that renew this many times less often than the keepalive says do not do what it says."""
ENOUGH_PHONES = 2
USUAL_PHONE = 0.75
"""Quantile of the phones' periods that stands for the site: some phones renew more often than they need."""
DOUBT = 0.3
"""Confidence of a cause that the log does not tell."""
LIKELY = 0.5
"""Confidence below which a cause is not told as that of a loss: something else is likelier than it."""
NOT_WHILE_REGISTERING = ("phone_offline", "phone_restart", "pbx_restart", "blacklisted")
"""What a phone that goes on registering does not suffer from."""


@dataclass(frozen=True, repr=False)
class Explained:
    """A log with what its losses come from; every frame has its schema in `starface_nb.model.schemas`."""

    log: Log
    settings: Settings
    intervals: pl.DataFrame
    phones: pl.DataFrame
    cycles: pl.DataFrame
    eras: pl.DataFrame
    sites: pl.DataFrame
    observation: Observation

    @cached_property
    def home_of(self) -> dict[str, str]:
        """The site of each address."""
        return {address: row["site"] for row in self.sites.iter_rows(named=True) for address in row["addresses"]}


@dataclass(frozen=True, repr=False)
class Results(Explained):
    """What the findings are drawn from.

    `attached_to` is the only site, with which phones without an address are judged; `adopted` counts those judged with
    one of several. `refusals`, `never`, `inside` (registrations) and `called` (calls) are from
    `observations.signs`. `given_keepalive_s` is set where the phones contradicted the keepalive that was given.
    """

    attached_to: str | None
    adopted: Mapping[str, int]
    refusals: pl.DataFrame
    never: pl.Series
    inside: pl.Series
    called: pl.Series
    given_keepalive_s: float | None = None

    def at(self, site: str) -> pl.Expr:
        """Say which rows are those of phones of a site: at one of its addresses, attached ones among them."""
        places = [site, *(address for address, home in self.home_of.items() if home == site)]
        here = pl.col("site").is_in([*places, UNKNOWN] if self.attached_to == site else places)
        return ~pl.col("trunk") & here


def restrained(results: Results) -> Results:
    """Take back causes and verdicts that the log cannot bear."""
    lacking = results.observation.lacking
    untold = pl.lit(lacking.one_sided)
    alive = results.inside + results.called > 0
    goes_on = alive & results.intervals["cause"].is_in(NOT_WHILE_REGISTERING)
    never = results.intervals["peer"].is_in(results.never.implode())
    local = (pl.col("site") == PRIVATE) & (pl.col("cause") == "nat_expiry")
    doubtful = untold | pl.lit(goes_on) | pl.lit(never) | local
    results = replace(
        results,
        intervals=not_decided(results.intervals, doubtful),
        cycles=_cycles(results.cycles, untold),
        eras=_judged(results.eras, _open(results, results.eras), untold),
        sites=_judged(results.sites, _open(results, results.sites), untold),
    )
    if _no_renewal_due(results):
        lacking = replace(lacking, missing=(*lacking.missing, "renewals"))
        results = replace(results, observation=replace(results.observation, lacking=lacking))
    return results


def not_decided(intervals: pl.DataFrame, doubtful: pl.Expr) -> pl.DataFrame:
    """Return intervals without the causes that are doubtful: what is counted, shown and written is the same cause."""
    confidence = pl.min_horizontal("confidence", pl.lit(DOUBT))
    return _instead(intervals, doubtful, cause=pl.lit("unknown", CAUSE), confidence=confidence)


def _instead(frame: pl.DataFrame, where: pl.Expr, **values: Any) -> pl.DataFrame:
    """Return the frame with other values in columns where a condition holds."""
    return frame.with_columns(
        pl.when(where).then(value).otherwise(name).cast(frame.schema[name]).alias(name)
        for name, value in values.items()
    )


def _no_renewal_due(results: Results) -> bool:
    """Say whether the log is shorter than the time after which phones renew, and tells no timeout nevertheless."""
    log, periods = results.log, results.phones["period_s"].drop_nulls()
    told = (results.sites["verdict"] != "undetermined").any()
    if told or results.sites.is_empty() or log.first is None or log.last is None:
        return False
    return bool((log.last - log.first).total_seconds() < min([results.settings.keepalive_s, *periods.to_list()]))


def _cycles(cycles: pl.DataFrame, untold: pl.Expr) -> pl.DataFrame:
    """Return the cycles, all of them excluded where nothing can be told or no router stands in between."""
    excluded = {"outcome": pl.lit("excluded", OUTCOME), "reason": pl.lit("the log does not tell")}
    return _instead(cycles, untold | (pl.col("site") == PRIVATE), **excluded, upper_s=None, interval=None)


def _open(results: Results, frame: pl.DataFrame) -> pl.Series:
    """Say for each row (site, verdict) whether its "no expiry seen" is not borne out by observed time."""
    phones = results.phones.filter(~pl.col("trunk"))
    if results.attached_to is not None:
        phones = phones.with_columns(pl.col("site").replace(UNKNOWN, results.attached_to))
    period = pl.col("period_s").fill_null(results.settings.keepalive_s)
    turns = dict(phones.group_by("site").agg((pl.col("observed_s") // period).sum()).iter_rows())
    addresses = dict(results.sites.select("site", "addresses").iter_rows())
    untold = (pl.col("cause") == "unknown") & ~BY_PBX | (pl.col("confidence") < LIKELY)
    lost = results.intervals.with_columns(alive=results.inside > 0, untold=untold)
    few = dict[str, bool]()
    for site in frame["site"].unique():
        whole = sum(turns.get(address, 0.0) for address in {site, *(addresses.get(site) or [])})
        mine = lost.filter(results.at(site))
        alive, open_ones = mine.select(pl.col("alive").mean().fill_null(0.0), pl.sum("untold")).row(0)
        few[site] = whole < LEAST_TURNS or alive >= MOST_ALIVE or open_ones >= max(LEAST_TURNS, mine.height / 2)
    few[UNKNOWN] = few.get(results.attached_to or UNKNOWN, True)  # attached phones are judged with their site
    silent = results.observation.lacking.silence_tells
    cleared = frame["verdict"] == "no_expiry_seen"
    return cleared & pl.Series([few[site] or not silent or site == PRIVATE for site in frame["site"]], dtype=pl.Boolean)


def _judged(frame: pl.DataFrame, unproven: pl.Series, untold: pl.Expr) -> pl.DataFrame:
    """Return sites or eras with verdicts that the log bears out, and without brackets that it does not."""
    none = dict.fromkeys(("low_s", "high_s", "estimate_s", "level"))
    counts = dict.fromkeys(("cycles_expired", "cycles_survived"), 0)
    told = {"verdict": pl.lit("undetermined", VERDICT), "renewed_by": pl.lit("undetermined", RENEWER)}
    nothing = untold | (pl.col("site") == PRIVATE)
    frame = _instead(frame, nothing, **none, **counts, **told, probability_too_short=0.5)
    frame = _instead(frame, pl.lit(unproven), verdict=told["verdict"])
    # Of what cannot be told no small probability is told either: nothing died because hardly a cycle was seen.
    unsaid = (pl.col("verdict") == "undetermined") & (pl.col("probability_too_short") < PRIOR_EXPIRING)
    return _instead(frame, unsaid, probability_too_short=PRIOR_EXPIRING)


def measured_keepalive(phones: pl.DataFrame, settings: Settings) -> float | None:
    """Return how often the phones renew by what the log shows, seconds, where the setting is clearly shorter.

    One phone alone may as well fail by itself so often: it takes two that agree.
    """
    periods = phones.filter(~pl.col("trunk"))["period_s"].drop_nulls()
    periods = periods if len(periods) >= ENOUGH_PHONES else periods.clear()
    usual = periods.quantile(USUAL_PHONE, "nearest")
    if usual is None or usual < CONTRADICTED * settings.keepalive_s:
        return None
    return min(float(usual), KEEPALIVES_S[1])
