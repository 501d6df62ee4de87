"""The ports that phones and apps need; a direction only where the source states one."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from starface_nb.frames import Column, Schema
from starface_nb.guide import data
from starface_nb.guide.i18n import Translator

PORTS = Schema(
    "ports",
    (
        Column("id", pl.String, "key of the entry"),
        Column("port", pl.String, "port or range"),
        Column("protocol", pl.String, "transport protocol"),
        Column("direction", pl.String, "which side opens the connection, where the source says so"),
        Column("purpose", pl.String, "what it is for"),
        Column("scope", pl.String, "who needs it"),
        Column("source", pl.String, "where it is written"),
    ),
)


@dataclass(frozen=True)
class Port:
    """One entry of the port checklist, worded in one language.

    `for_phones` marks those that desk phones need; `stated` says whether the source states the direction.
    """

    id: str
    port: str
    protocol: str
    direction: str
    purpose: str
    scope: str
    source: str
    for_phones: bool
    stated: bool


def ports() -> pl.DataFrame:
    """Return the port table; see `PORTS`."""
    return PORTS.frame([dict(row) for row in data.table("ports.csv")])


def port_checklist(tr: Translator) -> tuple[Port, ...]:
    """Return the entries to tick one by one, in the translator's language, those that phones need first."""
    entries = [
        Port(
            **{key: row[key] if key in ("id", "port", "protocol", "source") else tr(row[key]) for key in row},
            for_phones="phones" in row["scope"],
            stated=row["direction"] != "not stated",
        )
        for row in data.table("ports.csv")
    ]
    return tuple(sorted(entries, key=lambda entry: not entry.for_phones))
