"""The message catalogue: reads one TOML file per dialect and matches messages against its entries."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache

import numpy as np
import polars as pl

from starface_nb.reading.schemas import KIND, TECH
from starface_nb.tables import table

DIALECTS = ("chan_sip", "pjsip", "iax2", "core")
GROUPS = (
    "peer", "identity", "endpoint", "address", "port", "contact",
    "rtt_ms", "limit_ms", "last_rtt_ms", "lease_s", "detail", "state",
)  # fmt: skip
_FOUND: dict[str, pl.DataType | type[pl.DataType]] = {
    "row": pl.UInt32,
    "entry": pl.UInt16,
    "kind": KIND,
    "tech": TECH,
    "role": pl.String,
    **dict.fromkeys(GROUPS, pl.String),
}
_WORDS = table("reading/core")
NEEDLES = tuple(needle.encode() for needle in _WORDS["needles"])
SUSPECT = _WORDS["suspect"].replace("{quote}", _WORDS["quote"])
_BEGIN = 6  # characters of a message that tell cheaply which entries it cannot be


@dataclass(frozen=True)
class Entry:
    """One message of the catalogue; the fields are explained at the head of `chan_sip.toml`."""

    id: str
    tech: str | None
    modules: Sequence[str]
    pattern: str
    source: str
    samples: Sequence[tuple[str, dict[str, object]]]
    starts: str = ""
    kind: str = ""
    kinds: dict[str, str] = field(default_factory=dict)
    role: str = ""
    contains: str = ""
    fallback: bool = False


@cache
def entries() -> tuple[Entry, ...]:
    """Return every message of every dialect, the fallbacks last."""
    found = list[Entry]()
    for dialect in (table(f"reading/{name}") for name in DIALECTS):
        usual = {"tech": dialect["tech"] or None, "modules": dialect["modules"]}
        found += [Entry(**usual | message) for message in dialect["message"]]
    return tuple(sorted(found, key=lambda entry: entry.fallback))


def match(message: pl.Series, module: pl.Series) -> pl.DataFrame:
    """Match messages against the catalogue.

    Parameters
    ----------
    message : polars.Series of String, shape (n,)
        Without the verbose prefix.
    module : polars.Series of String, shape (n,)
        Base name of the source file that wrote the line; "" where the layout names none.

    Returns
    -------
    polars.DataFrame, shape (m, 5 + len(GROUPS)), m <= n
        `row` (UInt32, ascending), `entry` (UInt16, index into `entries()`), `kind` (null: a known line that is no
        event), `tech`, `role`, and the raw text of every group (String, null where the message has none).
    """
    rows = pl.DataFrame({"m": message, "module": module}).with_row_index("row")
    names = rows["module"].unique().to_list()
    begins = rows["m"].str.slice(0, _BEGIN).unique().to_list()
    some = [i for i, one in enumerate(entries()) if any(begin.startswith(one.starts[:_BEGIN]) for begin in begins)]
    could = rows.select(_could_be(entries()[i], names).alias(str(i)) for i in some)
    found, is_open = [pl.DataFrame(schema=_FOUND)], np.ones(rows.height, np.bool_)
    for i in some:
        test = could[str(i)].to_numpy() & is_open
        if test.any():
            found.append(_extract(rows.filter(test), entries()[i], i))
            is_open[found[-1]["row"].to_numpy()] = False
    return pl.concat(found, how="diagonal").sort("row")


def _could_be(entry: Entry, modules: list[str]) -> pl.Expr:
    """Return the cheap first test of an entry, on lines that name one of these modules."""
    allowed = [name for name in modules if not name or any(fnmatchcase(name, m) for m in entry.modules or "*")]
    test = pl.col("module").is_in(allowed) if len(allowed) < len(modules) else pl.lit(value=True)
    if entry.starts:
        test &= pl.col("m").str.starts_with(entry.starts)
    return test & pl.col("m").str.contains(entry.contains, literal=True) if entry.contains else test


def _extract(some: pl.DataFrame, entry: Entry, index: int) -> pl.DataFrame:
    """Return the groups of the rows that `entry`'s pattern reads."""
    names = re.findall(r"\(\?P<(\w+)>", entry.pattern)
    if not names:
        return _named(some.filter(pl.col("m").str.contains(entry.pattern)), names, entry, index)
    read = some.with_columns(pl.col("m").str.extract_groups(entry.pattern).struct.unnest())
    return _named(read.filter(pl.any_horizontal(pl.col(names).is_not_null())), names, entry, index)


def _named(found: pl.DataFrame, names: list[str], entry: Entry, index: int) -> pl.DataFrame:
    """Return the rows that an entry's pattern has read, with what the entry says of them; only the groups it has."""
    same = {group: [name for name in names if name.rstrip("0123456789") == group] for group in GROUPS}
    state = pl.col("state").str.to_lowercase() if entry.fallback and entry.kinds else pl.col("state")
    kind = (
        state.replace_strict(entry.kinds, default=None, return_dtype=KIND)
        if entry.kinds
        else pl.lit(entry.kind or None, KIND)
    )
    return found.select(
        "row",
        pl.lit(index, pl.UInt16).alias("entry"),
        kind.alias("kind"),
        pl.lit(entry.tech, TECH).alias("tech"),
        pl.lit(entry.role).alias("role"),
        *(pl.coalesce(some).alias(group) for group, some in same.items() if some),
    )
