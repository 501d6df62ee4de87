"""Which lines of a file are understood, and what of them identifies somebody."""

from __future__ import annotations

import re

import polars as pl

from starface_nb.privacy.rewrite import kept
from starface_nb.reading.parse import Parsed

_ADDRESS = r"\b\d{1,3}(?:\.\d{1,3}){3}\b"
_WITHOUT_WHO = ("restart", "shutdown", "rotate", "reload")


def understood(parsed: Parsed) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the lines of a file that may go on, rewritten, and the two that say when it begins and ends.

    Returns
    -------
    polars.DataFrame
        `offset`, `body` (the line, without what grep and the like put before every line), `time` (UTC, null where not
        known), `peer` (of the event), `entry` (index in the catalogue, null for a user agent), `layout`, `stamp`,
        `message` and `bare` (the message without its mark).
    polars.DataFrame
        `offset`, `body`, `layout`, `stamp` and `message` of the first and the last line with a stamp.
    """
    rows = (
        parsed.rows.filter(pl.col("doubt").is_null())
        .with_columns(pl.col("layout").cast(pl.String))
        .drop("time", "peer")
    )
    events = parsed.events.select("offset", "time", "peer", pl.lit(value=True).alias("event"))
    known = rows.filter(pl.col("line").is_not_null()).join(events, on="offset", how="left", maintain_order="left")
    event = pl.col("event").is_not_null() | pl.col("kind").cast(pl.String).is_in(_WITHOUT_WHO)
    agent = pl.col("bare").str.contains(kept()["useragent"]["pattern"])
    known = known.with_columns(pl.when(event).then("entry").alias("entry")).filter(event | agent)
    stamped = rows.filter(pl.col("stamp") != "")
    ends = pl.concat([stamped.head(1), stamped.tail(1)]).unique("offset").sort("offset")
    columns = ["offset", "body", "layout", "stamp", "message"]
    return known.select(*columns, "time", "peer", "entry", "bare"), ends.select(columns)


def identities(parsed: Parsed, rows: pl.DataFrame) -> tuple[list[str], list[str]]:
    """Return names and addresses in a file's understood lines, those of phones first, each group in its own order."""
    events = parsed.events
    phones = events.filter(pl.col("kind") != "registration_failed")
    names, addresses = [], []
    for part in (phones, events):
        names += part["peer"].drop_nulls().unique().sort().to_list()
        addresses += part["address"].drop_nulls().unique().sort().to_list()
    everywhere = rows.select(pl.col("body").str.extract_all(_ADDRESS).list.explode(empty_as_null=True).alias("a"))["a"]
    addresses += everywhere.drop_nulls().unique().sort().to_list()
    agents = rows["bare"].str.extract(kept()["useragent"]["pattern"], 1).drop_nulls().unique().sort().to_list()
    users = [
        user for uri in events["contact"].drop_nulls().unique().sort() for user in re.findall(r"sips?:([^@]*)@", uri)
    ]
    return [*names, *users, *agents], addresses
