"""The steps of calls that a log shows: who was dialled, and whom no channel led to."""

from __future__ import annotations

import re

import polars as pl

from starface_nb.reading.schemas import CALLS, STEPS

# Thread and call in a header (logger.c 13.38.3:1470), or in a JSON object (20.20.1:272).
_THREAD = r"\[(-?\d+)\]|\"lwp\" ?: ?(\d+)"
_CALL = r"\[(C-[0-9A-Fa-f]+)\]|\"callid\" ?: ?\"(C-[0-9A-Fa-f]+)\""
_HEADER = 400  # characters in which both stand, wrappers included
_MOST_PEERS = 100


def dialled_peers(options: str) -> list[str]:
    """Return the peers that the options of `Dial` name: of `SIP/1001&SIP/100@trunk,30` 1001 and trunk.

    What is dialled through a peer is dropped, as it may be somebody's number; so is everything behind the options'
    first comma.
    """
    peers = dict[str, None]()
    for interface in re.split(r"[,|]", options, maxsplit=1)[0].split("&"):
        tech, _, rest = interface.strip().partition("/")
        resource = re.split(r"[!/]", rest, maxsplit=1)[0]
        peer = resource.rpartition("@")[2].partition(":")[0]
        if tech.upper() in {"SIP", "PJSIP", "IAX2"} and peer:
            peers[peer] = None
    return list(peers)[:_MOST_PEERS]


def with_calls(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows with `call` and `thread` (String) of the steps of calls; of what was dialled, `detail` keeps peers.

    Parameters
    ----------
    rows : polars.DataFrame
        With `text`, `role` and `detail`.
    """
    step = pl.col("role").is_in(STEPS)
    header = pl.when(step).then(pl.col("text").str.slice(0, _HEADER))
    found = rows.with_columns(
        pl.coalesce(header.str.extract(_CALL, 1), header.str.extract(_CALL, 2)).alias("call"),
        pl.coalesce(header.str.extract(_THREAD, 1), header.str.extract(_THREAD, 2)).alias("thread"),
    )
    dialled = pl.col("role") == "dialled"
    options = found.filter(dialled)["detail"].unique()
    peers = pl.Series(["&".join(dialled_peers(text or "")) for text in options], dtype=pl.String)
    told = pl.col("detail").replace_strict(options, peers, default=None, return_dtype=pl.String)
    return found.with_columns(pl.when(dialled).then(told).otherwise("detail").alias("detail"))


def calls(rows: pl.DataFrame, file: str) -> pl.DataFrame:
    """Return the steps of calls among a file's believed rows.

    Parameters
    ----------
    rows : polars.DataFrame
        See `parse.Parsed`.
    file : str

    Returns
    -------
    polars.DataFrame
        See `CALLS`.
    """
    steps = rows.filter(pl.col("role").is_in(STEPS) & pl.col("doubt").is_null() & pl.col("line").is_not_null())
    dialled = pl.col("detail").str.split("&").list.filter(pl.element() != "")
    return CALLS.check(
        steps.select(
            "time",
            "call",
            "thread",
            pl.col("role").cast(pl.Enum(STEPS)).alias("step"),
            pl.when(pl.col("role") == "dialled").then("peer").alias("by"),
            pl.when(pl.col("role") == "dialled")
            .then(dialled)
            .otherwise(pl.concat_list("peer").list.drop_nulls())
            .alias("peers"),
            pl.when(pl.col("role") == "no_channel").then(pl.col("detail").cast(pl.Int64, strict=False)).alias("cause"),
            pl.lit(file).alias("file"),
            "line",
        )
    )
