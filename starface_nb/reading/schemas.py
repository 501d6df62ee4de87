"""Schemas of the frames that reading a log yields: `events` and `unparsed`."""

from __future__ import annotations

import polars as pl

from starface_nb.frames import UTC_TIME, Column, Schema

KINDS = ("unreachable", "reachable", "lagged", "registered", "unregistered", "expired", "registration_failed",
         "retransmission_timeout", "restart", "shutdown", "reload", "rotate", "overload")  # fmt: skip
STEPS = ("dialled", "no_channel", "no_answer", "nobody")
TECHS = ("SIP", "PJSIP", "IAX2")
KIND = pl.Enum(KINDS)
TECH = pl.Enum(TECHS)

EVENTS = Schema(
    "events",
    (
        Column("time", UTC_TIME, "when the line was written; null where the line has no time", "UTC", nullable=True),
        Column("kind", KIND, "what happened, one of the closed list of kinds"),
        Column("peer", pl.String, "who: the peer, AOR or endpoint exactly as written", nullable=True),
        Column("tech", TECH, "channel driver", nullable=True),
        Column("address", pl.String, "IP address in the line", nullable=True),
        Column("port", pl.Int32, "port in the line", nullable=True),
        Column("rtt_ms", pl.Float64, "round-trip time measured by this answer", "ms", nullable=True),
        Column("limit_ms", pl.Float64, "the qualify limit the answer was held against", "ms", nullable=True),
        Column("last_rtt_ms", pl.Float64, "last round-trip time before a loss (`Last qualify`)", "ms", nullable=True),
        Column("contact", pl.String, "PJSIP contact URI", nullable=True),
        Column("detail", pl.String, "reason or state as written, where the line gives one", nullable=True),
        Column("file", pl.String, "file, or archive!member, the line stands in"),
        Column("line", pl.Int64, "physical line number", "from 1"),
        Column("offset", pl.Int64, "byte offset of the line in the (decompressed) file", "bytes"),
    ),
)

UNPARSED = Schema(
    "unparsed",
    (
        Column("file", pl.String, "file, or archive!member, the line stands in"),
        Column("line", pl.Int64, "physical line number", "from 1"),
        Column("offset", pl.Int64, "byte offset of the line in the (decompressed) file", "bytes"),
        Column("reason", pl.String, "why the line is not an event although it looks like one"),
        Column("text", pl.String, "the line, at most 1,000 characters"),
    ),
)

CALLS = Schema(
    "calls",
    (
        Column("time", UTC_TIME, "when the line was written; null where the line has no time", "UTC", nullable=True),
        Column("call", pl.String, "the PBX's own number of the call: C-0000012f; from Asterisk 11", nullable=True),
        Column("thread", pl.String, "thread that wrote the line: a call that rings a group has several", nullable=True),
        Column("step", pl.Enum(STEPS), "dialled; no channel to a peer; a peer did not answer the INVITE; nobody left"),
        Column("peers", pl.List(pl.String), "peers that the step is about; never a number of a caller"),
        Column("cause", pl.Int64, "why there is no channel: 20 = not registered or unreachable", nullable=True),
        Column("file", pl.String, "file, or archive!member, the line stands in"),
        Column("line", pl.Int64, "physical line number", "from 1"),
    ),
)
