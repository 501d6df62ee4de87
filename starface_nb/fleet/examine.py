"""One customer, read and diagnosed: what a worker does. Plain values in, plain values out."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from starface_nb.analysis import Settings, diagnose
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.analysis.schemas import VERDICTS
from starface_nb.errors import StarfaceError
from starface_nb.fleet.schemas import BINS

WORST_FIRST = ("too_short", "undetermined", "no_expiry_seen")
Row = dict[str, object]


@dataclass(frozen=True)
class Examined:
    """What came of one customer's log.

    Attributes
    ----------
    row : dict
        The summary's columns that come from the log; without a log only `state` and `reason`.
    intervals : bytes
        The intervals frame as parquet, empty where the log could not be read.
    lasting : bool
        Whether another try would give the same: false where a worker died or the program failed.
    """

    row: Row
    intervals: bytes = b""
    lasting: bool = True


def examine(source: str, settings: Settings, time_zone: str) -> Examined:
    """Read and diagnose one customer's log; whatever goes wrong is part of the answer."""
    from starface_nb.reading import NOTHING_RELEVANT, read_log

    try:
        log = read_log(source, time_zone=time_zone, progress=False)
        if NOTHING_RELEVANT in log.notes:
            return Examined(failure(NOTHING_RELEVANT))
        case = diagnose(log, settings)
    except StarfaceError as error:
        return Examined(failure(str(error)))
    except Exception as error:  # a log that breaks the program must not stop the other customers
        return Examined(failure(f"The program failed on this log: {type(error).__name__}: {error}"), lasting=False)
    buffer = io.BytesIO()
    case.intervals.write_parquet(buffer)
    return Examined(summarise(case), buffer.getvalue())


def failure(reason: str) -> Row:
    """Return the row of a customer whose log gave nothing."""
    return {"state": "failed", "reason": reason}


def summarise(case: Diagnosis) -> Row:
    """Return one customer's row: the worst site's verdict and bracket, and the losses of all phones (no trunks)."""
    phones = case.phones.filter(~pl.col("trunk"))
    losses = case.intervals.filter(~pl.col("trunk"))
    nat = losses["cause"] == "nat_expiry"
    others = losses.filter(~nat)["cause"].cast(pl.String).value_counts().rows()
    others.sort(key=lambda row: (row[0] == "unknown", -row[1], row[0]))
    worst = phones.filter(pl.col("losses") > 0).sort("unreachable_s", "losses", "peer", descending=[True, True, False])
    return {
        "state": "read",
        "sites": case.sites.height,
        **_worst_site(case.sites),
        "phones": phones.height,
        "phones_lost": worst.height,
        "losses": losses.height,
        "nat_losses": int(nat.sum()),
        "other_losses": losses.height - int(nat.sum()),
        "unreachable_s": float(phones["unreachable_s"].sum()),
        "worst_phones": worst["peer"].head(3).to_list(),
        "not_nat": [cause for cause, _ in others],
        "not_nat_losses": [count for _, count in others],
        "first": case.log.first,
        "last": case.log.last,
        "nat_by_bin": _by_bin(losses.filter(nat)["start"], case.log.first, case.log.last),
        "other_by_bin": _by_bin(losses.filter(~nat)["start"], case.log.first, case.log.last),
        "events": case.log.events.height,
        "unparsed": case.log.unparsed.height,
    }


def _worst_site(sites: pl.DataFrame) -> Row:
    columns = ("verdict", "site", "low_s", "high_s", "level", "probability_too_short")
    rows = sites.sort("site").to_dicts()
    assert set(WORST_FIRST) == set(VERDICTS)  # noqa: S101
    rows.sort(key=lambda row: (WORST_FIRST.index(row["verdict"]), -row["cycles_expired"], row["site"]))
    return {name: rows[0][name] for name in columns} if rows else dict.fromkeys(columns)


def _by_bin(starts: pl.Series, first: datetime | None, last: datetime | None) -> list[int]:
    counts = [0] * BINS
    if first is None or last is None:
        return counts
    span = max((last - first).total_seconds(), 1.0)
    for start in starts:
        place = int((start - first).total_seconds() / span * BINS)
        counts[min(max(place, 0), BINS - 1)] += 1
    return counts


def worst_first(rows: Sequence[Row]) -> list[Row]:
    """Return the rows ranked: too short first, more NAT losses first; logs that could not be read last."""

    def urgency(row: Row) -> tuple[int, int, float, str]:
        verdict = WORST_FIRST.index(str(row["verdict"])) if row.get("verdict") else len(WORST_FIRST)
        nat, seconds = row.get("nat_losses"), row.get("unreachable_s")
        return (
            verdict if row["state"] == "read" else len(WORST_FIRST) + 1,
            -nat if isinstance(nat, int) else 0,
            -seconds if isinstance(seconds, float) else 0.0,
            str(row["customer"]),
        )

    return [{**row, "rank": rank} for rank, row in enumerate(sorted(rows, key=urgency), 1)]
