"""Which lines of a file are understood, and what of them identifies somebody."""

from __future__ import annotations

import re

import numpy as np
import polars as pl

from starface_nb.privacy.rewrite import kept
from starface_nb.reading import catalogue, layouts
from starface_nb.reading.parse import Parsed, decode

USERAGENT = "useragent"
_ADDRESS = r"\b\d{1,3}(?:\.\d{1,3}){3}\b"
_WITHOUT_WHO = ("restart", "shutdown", "rotate", "reload")


def understood(parsed: Parsed) -> pl.DataFrame:
    """Return the lines of a file that may go on, rewritten, in the file's order.

    Returns
    -------
    polars.DataFrame
        `offset`, `text`, `time` (UTC, null where not known), `peer` (of the event), `entry` (index in the catalogue,
        null for a user agent's line), `layout`, `stamp`, `message` and `bare` (the message without its mark).
    """
    hits = parsed.hits
    rows = pl.DataFrame({"offset": hits.offset, "text": layouts.without_prefix(decode(hits.lines), parsed.prefix)})
    rows = pl.concat([rows, _swallowed(parsed.events["offset"], rows)]).sort("offset")
    rows = _with_parts(rows)
    found = catalogue.match(rows["bare"], rows["module"]).select("row", "entry", "kind")
    rows = rows.with_row_index("row").join(found, on="row", how="left", maintain_order="left")
    events = parsed.events.select("offset", "time", "peer", pl.lit(value=True).alias("event"))
    rows = rows.join(events, on="offset", how="left", maintain_order="left")
    doubtful = parsed.unparsed["offset"].implode()
    agent = pl.col("bare").str.contains(kept()[USERAGENT]["pattern"]) & ~pl.col("layout").is_in(["none", "stamped"])
    milestone = pl.col("kind").cast(pl.String).is_in(_WITHOUT_WHO) & ~pl.col("offset").is_in(doubtful)
    rows = rows.with_columns(pl.when(pl.col("event").is_not_null() | milestone).then("entry").alias("entry"))
    return rows.filter(pl.col("event").is_not_null() | milestone | agent).select(
        "offset", "text", "time", "peer", "entry", "layout", "stamp", "message", "bare"
    )


def edges(parsed: Parsed) -> pl.DataFrame:
    """Return the first and the last whole line with a time: they say how long the log is."""
    hits = parsed.hits
    ends = []
    for text, take in ((hits.head, "head"), (hits.tail, "tail")):
        lines = text.split(b"\n")[:-1]  # a line without its end says nothing yet
        start = 0 if take == "head" else hits.bytes - len(text)
        offsets = start + np.cumsum([0, *(len(line) + 1 for line in lines)])[:-1]
        bodies = layouts.without_prefix(decode(lines), parsed.prefix)
        rows = _with_parts(pl.DataFrame({"offset": offsets.astype(np.int64), "text": bodies}))
        rows = rows.filter(pl.col("stamp") != "")
        ends.append(rows.head(1) if take == "head" else rows.tail(1))
    return pl.concat(ends).unique("offset").sort("offset")


def _with_parts(rows: pl.DataFrame) -> pl.DataFrame:
    headers = layouts.read_headers(rows["text"]).with_columns(pl.col("layout").cast(pl.String))
    rows = pl.concat([rows, headers], how="horizontal")
    return rows.with_columns(layouts.verbose_prefix_off(pl.col("message")).alias("bare"))


def _swallowed(events: pl.Series, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the entries that stand behind a cut one on the same physical line."""
    starts = rows["offset"].to_numpy()
    found = []
    for offset in events.filter(~events.is_in(rows["offset"].implode())):
        before = int(np.searchsorted(starts, offset)) - 1
        text = rows["text"][before].encode()[offset - int(starts[before]) :].decode("utf-8", "replace")
        found.append({"offset": offset, "text": text})
    return pl.DataFrame(found, schema=rows.schema)


def identities(parsed: Parsed, rows: pl.DataFrame) -> tuple[list[str], list[str]]:
    """Return names and addresses in a file's understood lines, those of phones first, each group in its own order."""
    events = parsed.events
    phones = events.filter(pl.col("kind") != "registration_failed")
    names, addresses = [], []
    for part in (phones, events):
        names += part["peer"].drop_nulls().unique().sort().to_list()
        addresses += part["address"].drop_nulls().unique().sort().to_list()
    everywhere = rows.select(pl.col("text").str.extract_all(_ADDRESS).list.explode(empty_as_null=True).alias("a"))["a"]
    addresses += everywhere.drop_nulls().unique().sort().to_list()
    agents = rows["bare"].str.extract(kept()[USERAGENT]["pattern"], 1).drop_nulls().unique().sort().to_list()
    users = [
        user for uri in events["contact"].drop_nulls().unique().sort() for user in re.findall(r"sips?:([^@]*)@", uri)
    ]
    return [*names, *users, *agents], addresses
