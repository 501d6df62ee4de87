"""Schemas of the frames that reading a log yields: `events` and `unparsed`."""

from __future__ import annotations

import polars as pl

from starface_nb.frames import declared

KINDS = ("unreachable", "reachable", "lagged", "registered", "unregistered", "expired", "registration_failed",
         "retransmission_timeout", "restart", "shutdown", "reload", "rotate", "overload")  # fmt: skip
STEPS = ("dialled", "no_channel", "no_answer", "nobody")
TECHS = ("SIP", "PJSIP", "IAX2")
KIND = pl.Enum(KINDS)
TECH = pl.Enum(TECHS)

_FRAMES = declared(__file__, kind=KIND, tech=TECH, step=pl.Enum(STEPS))
EVENTS, UNPARSED, CALLS, PAUSES = (_FRAMES[name] for name in ("events", "unparsed", "calls", "pauses"))
