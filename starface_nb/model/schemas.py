"""Schemas of the frames that the analysis yields, and the closed vocabularies in them."""

from __future__ import annotations

import polars as pl

from starface_nb.frames import UTC_TIME, Column, Schema
from starface_nb.reading.schemas import TECH

CAUSES = (
    "nat_expiry",
    "wan_outage",
    "router_restart",
    "pbx_restart",
    "phone_restart",
    "phone_offline",
    "latency",
    "packet_loss",
    "blacklisted",
    "unknown",
)
VERDICTS = ("too_short", "no_expiry_seen", "undetermined")
RENEWED_BY = ("registration", "any_packet", "undetermined")
CAUSE = pl.Enum(CAUSES)
VERDICT = pl.Enum(VERDICTS)
RENEWER = pl.Enum(RENEWED_BY)
ENDING = pl.Enum(("reachable", "lagged", "unregistered", "open"))
STATUS = pl.Enum(("reachable", "lagged", "unreachable", "unregistered", "expired", "unknown"))
OUTCOME = pl.Enum(("expired", "survived", "excluded"))
RENEWAL = pl.Enum(("registered", "recovery", "routine"))

INTERVALS = Schema(
    "intervals",
    (
        Column("peer", pl.String, "the peer as written"),
        Column("tech", TECH, "channel driver", nullable=True),
        Column("trunk", pl.Boolean, "true where the peer looks like a trunk, not a phone"),
        Column("site", pl.String, "public IP last seen for the phone at the start, or `unknown`"),
        Column("start", UTC_TIME, "time of the UNREACHABLE line", "UTC"),
        Column("end", UTC_TIME, "time of the line that ended it; null while still open", "UTC", nullable=True),
        Column("seconds", pl.Float64, "end minus start; null while open", "s", nullable=True),
        Column("ended_by", ENDING, "what ended it"),
        Column("repeats", pl.Int32, "further UNREACHABLE lines inside it"),
        Column("cause", CAUSE, "why, by the closed vocabulary"),
        Column("confidence", pl.Float64, "how sure the cause is", "0..1"),
        Column("evidence", pl.String, "numbers, largest terms and line references for the cause, as a JSON object"),
        Column("file", pl.String, "file of the UNREACHABLE line"),
        Column("line", pl.Int64, "its line number", "from 1"),
        Column("offset", pl.Int64, "its byte offset", "bytes"),
        Column("end_file", pl.String, "file of the line that ended it", nullable=True),
        Column("end_line", pl.Int64, "its line number", "from 1", nullable=True),
        Column("end_offset", pl.Int64, "its byte offset", "bytes", nullable=True),
    ),
)

PHONES = Schema(
    "phones",
    (
        Column("peer", pl.String, "the peer as written"),
        Column("tech", TECH, "channel driver", nullable=True),
        Column("trunk", pl.Boolean, "true where the peer looks like a trunk, not a phone"),
        Column("site", pl.String, "public IP last seen, or `unknown`"),
        Column("status", STATUS, "state at the log's end"),
        Column(
            "ever_registered", pl.Boolean, "seen registered or answering; null where the log cannot tell", nullable=True
        ),
        Column("losses", pl.Int64, "number of unreachable intervals"),
        Column("unreachable_s", pl.Float64, "time spent unreachable inside the log", "s"),
        Column("period_s", pl.Float64, "the phone's own re-REGISTER period, estimated", "s", nullable=True),
        Column("probed", pl.Boolean, "the PBX probes it; null where the log cannot tell", nullable=True),
        Column("observed_s", pl.Float64, "for how long a loss would have been seen", "s"),
        Column("refused", pl.Int64, "refused registrations"),
        Column("late", pl.Int64, "late answers"),
        Column("first", UTC_TIME, "first line about the phone", "UTC"),
        Column("last", UTC_TIME, "last line about the phone", "UTC"),
    ),
)

CYCLES = Schema(
    "cycles",
    (
        Column("peer", pl.String, "the peer as written"),
        Column("site", pl.String, "public IP, or `unknown`"),
        Column("start", UTC_TIME, "the renewal that began the cycle", "UTC"),
        Column("renewal", RENEWAL, "how the renewal is known"),
        Column("end", UTC_TIME, "loss, next renewal or the log's end", "UTC"),
        Column("outcome", OUTCOME, "expired: the binding died; survived: it lived; excluded: says nothing"),
        Column("reason", pl.String, "why it counts so", nullable=True),
        Column("lower_s", pl.Float64, "the timeout is longer than this", "s"),
        Column("upper_s", pl.Float64, "the timeout is at most this; null where nothing bounds it", "s", nullable=True),
        Column("era", pl.Int32, "which era of the site's timeout the cycle belongs to", "from 0"),
        Column("interval", pl.Int64, "row of the interval that ended the cycle", nullable=True),
        Column("turns", pl.Int64, "silent renewals in a row that it stands for; 1 except in logs of very many phones"),
    ),
)

ERAS = Schema(
    "eras",
    (
        Column("site", pl.String, "public IP, or `unknown`"),
        Column("era", pl.Int32, "counts the timeouts the site had, in time", "from 0"),
        Column("start", UTC_TIME, "since when", "UTC"),
        Column("end", UTC_TIME, "until when", "UTC"),
        Column("low_s", pl.Float64, "the timeout is longer than this", "s", nullable=True),
        Column(
            "high_s", pl.Float64, "the timeout is at most this; null where no upper bound was seen", "s", nullable=True
        ),
        Column("estimate_s", pl.Float64, "middle of the bracket; never without it", "s", nullable=True),
        Column("level", pl.Float64, "confidence that the bracket holds the timeout", "0..1", nullable=True),
        Column("verdict", VERDICT, "is the timeout shorter than the keepalive"),
        Column("probability_too_short", pl.Float64, "probability of that", "0..1", nullable=True),
        Column("renewed_by", RENEWER, "which packets renew a binding on this router"),
        Column("cycles_expired", pl.Int64, "cycles that ended with the binding's death"),
        Column("cycles_survived", pl.Int64, "cycles the binding outlived"),
        Column("cycles_excluded", pl.Int64, "cycles that say nothing about the timeout"),
    ),
)

SITES = Schema(
    "sites",
    (
        Column("site", pl.String, "public IP last seen, or `unknown`"),
        Column("phones", pl.Int64, "phones at the site"),
        Column("addresses", pl.List(pl.String), "every public IP the site had, in time"),
        Column("eras", pl.Int64, "number of timeouts the site had"),
        Column("changed_at", UTC_TIME, "when the timeout last changed", "UTC", nullable=True),
        *[c for c in ERAS.columns if c.name not in ("site", "era", "start", "end")],
        Column("recommended_timeout_s", pl.Float64, "what to set: keepalive plus one minute", "s"),
    ),
)
