"""Schema of the fleet's summary frame: one row per customer."""

from __future__ import annotations

import polars as pl

from starface_nb.frames import UTC_TIME, Column, Schema
from starface_nb.model.schemas import VERDICT

BINS = 48
STATE = pl.Enum(["read", "failed"])
_WORST_FIRST = {"too_short": 0, "undetermined": 1, "no_expiry_seen": 2}
URGENCY = pl.col("verdict").cast(pl.String).replace_strict(_WORST_FIRST, return_dtype=pl.Int64).fill_null(3)
"""Sorts frames with a verdict, the worst first."""

FLEET = Schema(
    "fleet",
    (
        Column("customer", pl.String, "name of the customer's file or folder"),
        Column("source", pl.String, "where the log lies, as given"),
        Column("state", STATE, "`read`, or `failed` with a reason"),
        Column("reason", pl.String, "why the log could not be read", nullable=True),
        Column("rank", pl.Int64, "place in the order of who needs help first", "from 1"),
        Column("verdict", VERDICT, "the worst verdict of the customer's sites", nullable=True),
        Column("site", pl.String, "the site with that verdict", nullable=True),
        Column("sites", pl.Int64, "number of sites", nullable=True),
        Column("low_s", pl.Float64, "that site's NAT timeout is longer than this", "s", nullable=True),
        Column("high_s", pl.Float64, "it is at most this; null where nothing bounds it", "s", nullable=True),
        Column("level", pl.Float64, "confidence of the bracket", "0..1", nullable=True),
        Column("probability_too_short", pl.Float64, "probability that it is too short", "0..1", nullable=True),
        Column("fixed_at", UTC_TIME, "since when that site's timeout is not too short any more", "UTC", nullable=True),
        Column("before_low_s", pl.Float64, "until then it was longer than this", "s", nullable=True),
        Column("before_high_s", pl.Float64, "until then it was at most this", "s", nullable=True),
        Column("phones", pl.Int64, "phones in the log", nullable=True),
        Column("phones_lost", pl.Int64, "phones lost at least once", nullable=True),
        Column("losses", pl.Int64, "unreachable intervals of phones", nullable=True),
        Column("nat_losses", pl.Int64, "those caused by the router's NAT timeout", nullable=True),
        Column("other_losses", pl.Int64, "those with another cause, `unknown` included", nullable=True),
        Column("unreachable_s", pl.Float64, "time that phones were unreachable, summed", "s", nullable=True),
        Column("worst_phones", pl.List(pl.String), "up to three phones unreachable the longest", nullable=True),
        Column("not_nat", pl.List(pl.String), "other causes, the commonest first, `unknown` last", nullable=True),
        Column("not_nat_losses", pl.List(pl.Int64), "how many losses each of `not_nat` caused", nullable=True),
        Column("first", UTC_TIME, "time of the log's first line", "UTC", nullable=True),
        Column("last", UTC_TIME, "time of the log's last line", "UTC", nullable=True),
        Column("nat_by_bin", pl.List(pl.Int64), f"NAT losses in {BINS} equal parts of the log", nullable=True),
        Column("other_by_bin", pl.List(pl.Int64), f"other losses in {BINS} equal parts of the log", nullable=True),
        Column("events", pl.Int64, "events found", nullable=True),
        Column("unparsed", pl.Int64, "lines that looked like an event and could not be parsed", nullable=True),
        Column("fingerprint", pl.String, "identifies log content and settings, for resuming"),
    ),
)
