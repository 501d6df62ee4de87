"""Incidents: losses that one thing struck, put together for people to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from starface_nb.analysis.diagnosis import Diagnosis

_TOGETHER_US = 64_000_000
"""Losses of one fault of a whole site are noticed within one probe interval and its timeout."""
_SCATTERED = ("packet_loss", "latency", "unknown")
_OF_A_SITE = ("wan_outage", "router_restart", "pbx_restart", "blacklisted")


def incidents(diagnosis: Diagnosis) -> tuple[pl.DataFrame, pl.Series]:
    """Return the incidents of a diagnosis, and the incident of each of its intervals.

    Losses by the NAT timeout are one incident per site and era; faults of a site are one for all phones that went
    within 64 s; what strikes phones now and then is one per site.

    Returns
    -------
    incidents : polars.DataFrame
        `id`, `site`, `cause`, `start`, `end` (UTC, null while a loss is open), `phones`, `losses`, `peer` (where it is
        one), `confidence`; most losses first.
    ids : polars.Series
        One id per row of `diagnosis.intervals`.
    """
    eras = diagnosis.eras.select("site", "era", _from="start").sort("_from")
    losses = diagnosis.intervals.with_row_index("row").sort("start")
    losses = losses.join_asof(
        eras, left_on="start", right_on="_from", by="site", check_sortedness=False, coalesce=False
    ).sort("site", "cause", "start", "peer")
    gap = pl.col("start").diff().dt.total_microseconds().over("site", "cause").fill_null(_TOGETHER_US + 1)
    cause = pl.col("cause").cast(pl.String)
    part = (
        pl.when(cause == "nat_expiry")
        .then(pl.format("era {}", pl.col("era").fill_null(0)))
        .when(cause.is_in(_SCATTERED))
        .then(pl.lit("scattered"))
        .when(cause.is_in(_OF_A_SITE))
        .then(pl.format("burst {}", (gap > _TOGETHER_US).cum_sum().over("site", "cause")))
        .otherwise(pl.format("{} {}", "peer", "row"))
    )
    losses = losses.with_columns(key=pl.concat_str("site", cause, part, separator="|"))
    open_end = pl.col("end").is_null().any()
    grouped = losses.group_by("key", maintain_order=True).agg(
        *(pl.col(name).first() for name in ("site", "cause")),
        pl.col("start").min(),
        end=pl.when(open_end).then(None).otherwise(pl.col("end").max()),
        phones=pl.col("peer").n_unique(),
        losses=pl.len(),
        peer=pl.when(pl.col("peer").n_unique() == 1).then(pl.col("peer").first()),
        confidence=pl.col("confidence").mean(),
    )
    found = grouped.sort("losses", "start", "site", descending=[True, False, False]).with_row_index("id")
    ids = losses.join(found.select("key", "id"), on="key").sort("row")["id"]
    return found.drop("key"), ids
