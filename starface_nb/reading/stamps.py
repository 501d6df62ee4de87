"""Stamps of any date format, named or known, to local time."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache

import polars as pl

from starface_nb.frames import UTC_TIME
from starface_nb.tables import table

LOCAL = pl.Datetime("us")
_READ: dict[str, pl.DataType | type[pl.DataType]] = {"row": pl.UInt32, "local": LOCAL, "utc": UTC_TIME}
Reader = Callable[[pl.DataFrame], pl.DataFrame]  # rows with `row` and `s` to `row`, `local` and `utc`
NO_YEAR = 1600  # a leap year that no log was written in: stands for "year not in the stamp"


@cache
def strftime_pattern(text: str) -> str:
    """Return the regex of a strftime format; Asterisk's `%q` (`%3q` ...) is a fraction of a second of any length."""
    for short, full in table("reading/layouts")["shorthand"].items():
        text = text.replace(f"%{short}", full)
    out, seen = [], set()
    for part in re.findall(r"[.,]?%\d?q|%[-_0^#]?.|\[[^\]]*\]|.", text, flags=re.S):
        if part.endswith("q") and "%" in part:
            out.append(r"(?:[.,]?(?P<q>\d{1,9}))?")
        elif part[0] == "%" and len(part) > 1:
            piece = table("reading/layouts")["strftime"].get(part[-1], ".*?")
            name = re.search(r"\?P<(\w)>", piece)
            if part[1] == "-":  # without padding
                piece = piece.replace(r"\d\d", r"\d{1,2}")
            repeated = name is not None and name[1] in seen
            out.append(re.sub(r"\?P<\w>", "?:", piece) if repeated else piece)
            seen |= {name[1]} if name else set()
        else:
            out.append(part if part[0] == "[" and len(part) > 1 else r"\s+" if part == " " else re.escape(part))
    return "^" + "".join(out) + "$"


@cache
def _other_formats() -> tuple[tuple[str, ...], ...]:
    """Return the known formats, those together of which only the stamps at hand can tell which one is meant."""
    formats = [s["strftime"] for s in table("reading/layouts")["stamp"] if "strftime" in s]
    return tuple((f,) if isinstance(f, str) else tuple(f) for f in formats)


def read_stamps(stamp: pl.Series, formats: Sequence[str] = (), newest: datetime | None = None) -> pl.DataFrame:
    """Read stamps.

    Parameters
    ----------
    stamp : polars.Series of String, shape (n,)
        What stood in the brackets; "" for none.
    formats : sequence of str
        strftime formats named by a bundled logger.conf, tried before the general ones.
    newest : datetime, optional
        Naive local time shortly before which the last stamp should lie, where its format leaves two readings.

    Returns
    -------
    polars.DataFrame, shape (n, 2)
        `local` (naive Datetime us; in the year `NO_YEAR` where the stamp has none) and `utc` (aware, only for stamps
        that say their offset: epoch, `Z`, `+0100`). Both null where the stamp is not understood.
    """
    rows = pl.DataFrame({"row": pl.int_range(stamp.len(), eager=True, dtype=pl.UInt32), "s": stamp})
    named = [strftime_pattern(f) for f in formats if f not in ("%F %T", "%b %e %T")]
    readers: list[Reader] = [
        *(_by_pattern(pattern) for pattern in named if "?P<" in pattern),
        _iso,
        *(_likeliest([_by_pattern(strftime_pattern(f)) for f in rivals], newest) for rivals in _other_formats()),
    ]
    done, rest = [pl.DataFrame(schema=_READ)], rows.filter(pl.col("s") != "")
    for reader in readers:
        if not rest.height:
            break
        got = reader(rest).filter(pl.col("local").is_not_null() | pl.col("utc").is_not_null())
        if got.height:
            done.append(got)
            rest = rest.filter(~pl.col("row").is_in(got["row"].implode())) if got.height < rest.height else rest.clear()
    return rows.join(pl.concat(done), on="row", how="left", maintain_order="left").drop("row", "s")


def _likeliest(readers: list[Reader], newest: datetime | None) -> Reader:
    """Return a reader that takes the one of several formats that reads most stamps, and of those the shortest span.

    `03/04/2026` is a day of March or of April; with the days that follow it, only one of both makes a log. On a single
    day the file's own time decides.
    """

    def read(rows: pl.DataFrame) -> pl.DataFrame:
        plain = rows.with_columns(pl.col("s").str.replace_all(r",? +(?:(?:@|at) +)?", " "))
        found = [reader(plain) for reader in readers]
        return max(found, key=lambda got: (got["local"].count() + got["utc"].count(), -_span(got), -_age(got, newest)))

    return read


def _span(got: pl.DataFrame) -> float:
    local = got["local"].drop_nulls().to_physical().to_numpy()
    return float(local.max() - local.min()) if local.size else 0.0


def _age(got: pl.DataFrame, newest: datetime | None) -> float:
    last = got["local"].max()
    if newest is None or not isinstance(last, datetime):
        return 0.0
    age = (newest - last).total_seconds()
    return age if age > -86400 else math.inf


def _fraction(text: pl.Expr) -> pl.Expr:
    """Return microseconds for the digits of a fraction (null is 0)."""
    return text.fill_null("").str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int64).fill_null(0)


def _with_offset(local: pl.Expr, offset: pl.Expr) -> pl.Expr:
    """Return UTC for a local time with a written offset such as `+01:00` or `Z`; null where there is none."""
    sign = pl.when(offset.str.starts_with("-")).then(-1).otherwise(1)
    digits = offset.str.replace_all(r"\D", "")
    hours = digits.str.slice(0, 2).cast(pl.Int64, strict=False).fill_null(0)
    minutes = digits.str.slice(2, 2).cast(pl.Int64, strict=False).fill_null(0)
    shifted = local - pl.duration(minutes=sign * (hours * 60 + minutes))
    return pl.when(offset.is_not_null()).then(shifted.dt.replace_time_zone("UTC")).otherwise(None)


def _iso(rows: pl.DataFrame) -> pl.DataFrame:
    s = pl.col("s")
    shaped = rows.filter(s.str.slice(4, 1) == "-")
    text = pl.concat_str(s.str.slice(0, 10), pl.lit(" "), s.str.slice(11, 8))
    shaped = shaped.with_columns(
        text.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False).alias("local"),
        s.str.slice(19).alias("tail"),
    )
    if shaped.select((pl.col("tail") != "").any()).item():
        shaped = shaped.filter(~pl.col("tail").str.contains("(?i) ?[ap]m$"))  # half a day: a format of its own
        groups = (
            pl.col("tail")
            .str.extract_groups(r"^(?:[.,:](?P<q>\d{1,9}))? ?(?:(?P<z>Z|UTC|GMT|[+-]\d\d:?\d\d)|[A-Z]{3,5})?$")
            .alias("g")
        )
        shaped = shaped.with_columns(groups).unnest("g")
        shaped = shaped.with_columns(pl.col("local") + pl.duration(microseconds=_fraction(pl.col("q"))))
        utc = _with_offset(pl.col("local"), pl.col("z"))
    else:
        utc = pl.lit(None, UTC_TIME)
    return shaped.select("row", "local", utc.alias("utc"))


def _by_pattern(pattern: str) -> Reader:
    """Return a reader for stamps of a compiled strftime format."""
    names = set(re.findall(r"\?P<(\w)>", pattern))

    def number(name: str, default: int) -> pl.Expr:
        return (
            pl.col(name).str.strip_chars().cast(pl.Int64, strict=False) if name in names else pl.lit(default, pl.Int64)
        )

    def read(rows: pl.DataFrame) -> pl.DataFrame:
        parts = rows.select("row", pl.col("s").str.extract_groups(pattern).alias("g")).unnest("g")
        needed = sorted(names - {"q", "p", "z"})
        parts = parts.filter(pl.all_horizontal(pl.col(needed).is_not_null()))
        fraction = _fraction(pl.col("q")) if "q" in names else pl.lit(0, pl.Int64)
        if "s" in names:
            utc = (number("s", 0) * 1_000_000 + fraction).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
            return parts.select("row", pl.lit(None, LOCAL).alias("local"), utc.alias("utc"))
        parts = parts.with_columns(_local(names, number, fraction).alias("local"))
        utc = _with_offset(pl.col("local"), pl.col("z")) if "z" in names else pl.lit(None, UTC_TIME)
        return parts.select("row", "local", utc.alias("utc"))

    return read


def _local(names: set[str], number: Callable[[str, int], pl.Expr], fraction: pl.Expr) -> pl.Expr:
    """Return the local time of named parts."""
    year = number("y", 0) + 2000 if "y" in names else number("Y", NO_YEAR)
    months = table("reading/layouts")["months"]
    named = pl.col("b").str.to_lowercase().str.replace_all("[^a-z]", "")
    named = named.replace_strict(list(months), list(months.values()), default=None)
    month = named if "b" in names else number("m", 1)
    hour = number("H", 0)
    if "I" in names:
        late = pl.col("p").str.to_lowercase() == "pm" if "p" in names else pl.lit(value=False)
        hour = number("I", 0) % 12 + pl.when(late).then(12).otherwise(0)
    text = pl.format(
        "{}-{}-{} {}:{}:{}", year, month, number("d", 1), hour, number("M", 0), number("S", 0)
    ).str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
    days = number("j", 1) - 1 if "j" in names else pl.lit(0, pl.Int64)
    return text + pl.duration(microseconds=fraction) + pl.duration(days=days)
