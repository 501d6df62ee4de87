"""Which phones a log shows by their calls alone: names of channels, `SIP/<account>-0000002a`."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import polars as pl

from starface_nb.errors import InputError
from starface_nb.frames import UTC_TIME
from starface_nb.reading.log import Log
from starface_nb.reading.parse import parse
from starface_nb.reading.scan import scan_logs

_CHANNEL = r"(?:SIP|IAX2)/([^\s\"',&]+?)-[0-9a-f]{8}\b"  # PJSIP's end so, too (chan_sip.c 20.20.1:8180)
_SENT = r'(?:Executing \[[^\]]*\] \w+\("|app_dial\.c: )((?:PJ)?SIP)/([^\s"\',&]+)-([0-9a-f]{8})(?:"| answered)'
_NOTICE = r"^.{0,60} NOTICE\["


def phones_in_calls(log: Log, peers: Sequence[str]) -> pl.DataFrame:
    """Return when these peers telephoned: peer, first, last (UTC); the log's files are read once more for it.

    Parameters
    ----------
    log : Log
    peers : sequence of str
        Accounts to look for.
    """
    lines = _lines(log, [f"SIP/{peer}-" for peer in peers])
    named = lines.select("time", pl.col("text").str.extract_all(_CHANNEL).alias("peer")).explode("peer")
    named = named.with_columns(pl.col("peer").str.extract(_CHANNEL)).filter(pl.col("peer").is_in(list(peers)))
    return named.group_by("peer").agg(pl.min("time").alias("first"), pl.max("time").alias("last")).sort("peer")


def calls_of(log: Log, peers: Sequence[str]) -> pl.DataFrame:
    """Return when these peers began or answered calls: peer, time (UTC), by time; the log's files are read once more.

    A channel that runs an extension belongs to the phone that called, one that answers to the phone that was called
    (pbx.c, app_dial.c); what a channel does later is not counted, as it would outlive a loss of its phone.
    """
    lines = _lines(log, [f"SIP/{peer}-" for peer in peers])
    parts = pl.col("text").str.extract_groups(_SENT)
    found = lines.select("time", parts.struct.field("2").alias("peer"), parts.struct.field("3").alias("channel"))
    found = found.filter(pl.col("peer").is_in(list(peers)))
    return found.group_by("peer", "channel").agg(pl.min("time")).select("peer", "time").sort("time", "peer")


def hours_of_notices(log: Log) -> int:
    """Return in how many hours the log holds lines of level NOTICE that say nothing of a peer; its files are read."""
    lines = _lines(log, [" NOTICE["]).filter(pl.col("kind").is_null() & pl.col("text").str.contains(_NOTICE))
    return lines["time"].dt.truncate("1h").n_unique()


def _lines(log: Log, needles: Sequence[str]) -> pl.DataFrame:
    """Return the lines that hold one of the needles, and some others: time, text, kind."""
    none = pl.DataFrame(schema={"time": UTC_TIME, "text": pl.String, "kind": pl.String})
    paths = list(dict.fromkeys(file.name.partition("!")[0] for file in log.files if file.name != "-"))
    if not paths or not needles:
        return none
    try:
        found, _ = scan_logs(paths, [needle.encode() for needle in needles], progress=False, words=True, ends=False)
    except InputError:  # a log that was remembered may be gone by now
        return none
    columns, zone = ("time", "text", pl.col("kind").cast(pl.String)), ZoneInfo(log.time_zone)
    rows = [parse(one, zone).rows.select(columns) for one in found if one.rows.height]
    return pl.concat([none, *rows]).drop_nulls(["time", "text"])
