"""Other tools doing the reader's job, each as well as it can: which of them, and how.

The job: every event that the catalogue knows of a peer (reachable or not, registered, expired, refused; of chan_sip,
PJSIP and chan_iax2), with its time, peer and kind. Each tool gets the catalogue's own patterns as one expression, and
the fastest first filter it has for the letters they begin with. They know the log's one layout and date format from
the start; `read_log` finds both out, and gives line numbers, byte offsets, addresses and what it did not understand.
"""

from __future__ import annotations

import os
import re
import time
import zipfile
from collections.abc import Callable, Iterator

# The messages that occur in the log measured on: what an analyst would search who knows that beforehand.
LITERALS = (
    " is now UNREACHABLE",
    " is now Reachable",
    " is now Lagged",
    "Registered SIP '",
    "Registration from '",
    "Retransmission timeout reached",
    "Asterisk Dynamic Loader Starting",
    "Added contact '",
    "Removed contact '",
)
_THREE = r"(?:Peer '(.*)' is now (UNREACHABLE|Reachable|Lagged)|(Registered) SIP '(.*)' at )"
_STAMP = r"^\[(?P<time>[^\]]+)\] "
BEGAN: list[float] = []  # when a contender began, its imports done: wall clock, processor time


def ready() -> None:
    """Begin the time: imports are done."""
    BEGAN[:] = time.perf_counter(), time.process_time()


def _job() -> tuple[list[str], str]:
    """Return what a wanted line holds (one of them), and the catalogue's patterns as one."""
    from starface_nb.reading import catalogue

    literals, patterns = [], []
    for entry in catalogue.entries():
        if (entry.kind or entry.kinds) and re.search(r"P<(?:peer|identity)>", entry.pattern) and not entry.fallback:
            literals.append(entry.starts)
            keep = re.sub(r"\(\?P<(?!peer|identity|state)\w+>", "(?:", entry.pattern[1:-1])
            patterns.append(re.sub(r"\(\?P<(\w+)>", rf"(?P<\1_{entry.id.replace('-', '_')}>", keep))
    return sorted({*literals}), f"\\.c: (?:    -- )?(?:{'|'.join(patterns)})$"


def _read_log(path: str) -> int:
    from starface_nb.reading import read_log

    ready()
    return read_log(path, progress=False).events.height


def _pandas(path: str) -> int:
    import pandas as pd

    literals, pattern = _job()
    ready()
    lines, any_of = {"sep": "\x1f", "header": None, "names": ["line"], "quoting": 3, "engine": "c"}, "|".join(literals)
    found = []
    for chunk in pd.read_csv(path, chunksize=1_000_000, encoding_errors="replace", **lines):
        text = chunk["line"].astype(str)
        text = text[text.str.contains(any_of, regex=True)]
        found.append(text.str.extract(_STAMP + ".*?" + pattern))
    frame = pd.concat(found).dropna(subset="time")
    frame["time"] = pd.to_datetime(frame["time"], format="%Y-%m-%d %H:%M:%S,%f")
    return len(frame)


def _with_polars(path: str, literals: list[str] | None, pattern: str) -> int:
    import polars as pl

    ready()
    lines = pl.scan_csv(
        path, separator="\x1f", quote_char=None, has_header=False, encoding="utf8-lossy", schema={"line": pl.String}
    )
    line = pl.col("line")
    wanted = line.str.contains_any(literals) if literals else line.str.contains(pattern)
    groups = line.str.extract_groups(_STAMP + ".*?" + pattern).alias("g")
    frame = lines.filter(wanted).select(groups).unnest("g").filter(pl.col("time").is_not_null())
    return frame.with_columns(pl.col("time").str.to_datetime("%Y-%m-%d %H:%M:%S,%3f")).collect().height


def _polars(path: str) -> int:
    return _with_polars(path, *_job())


def _polars_three(path: str) -> int:
    return _with_polars(path, None, _THREE)


def _duckdb(path: str) -> int:
    import duckdb

    literals, pattern = _job()
    names = ["time", *re.findall(r"\?P<(\w+)>", pattern)]
    ready()
    any_of = "|".join(map(re.escape, literals))
    query = f"""
        SELECT strptime(regexp_extract(line, '^\\[([^\\]]+)\\]', 1), '%Y-%m-%d %H:%M:%S,%g') AS time,
               regexp_extract(line, $1, {names}) AS parts
        FROM read_csv('{path}', delim='\x1f', header=false, quote='', escape='', columns={{'line': 'VARCHAR'}},
                      auto_detect=false, max_line_size=10000000, strict_mode=false, null_padding=true)
        WHERE regexp_matches(line, $2) AND regexp_matches(line, $1)
    """  # noqa: S608
    return len(duckdb.execute(query, [_STAMP + ".*?" + pattern, any_of]).fetchall())


def _isal(path: str) -> int:
    from isal import igzip

    ready()
    return drain(igzip.open(path, "rb"))


def _rapidgzip(path: str) -> int:
    import rapidgzip

    ready()
    return drain(rapidgzip.open(path, parallelization=len(os.sched_getaffinity(0))))


def _zipfile(path: str) -> int:
    ready()
    with zipfile.ZipFile(path) as archive, archive.open(archive.infolist()[0]) as member:
        return drain(member)


def drain(file) -> int:
    """Read a file to its end and return its size."""
    view, size = memoryview(bytearray(1 << 20)), 0
    while count := file.readinto(view):
        size += count
    return size


PYTHON: dict[str, Callable[[str], int]] = {
    "starface-nb read_log": _read_log,
    "polars": _polars,
    "polars, three messages": _polars_three,
    "DuckDB": _duckdb,
    "pandas": _pandas,
}
UNPACKERS: dict[str, Callable[[str], int]] = {"isal (igzip)": _isal, "rapidgzip": _rapidgzip}
UNZIPPERS: dict[str, Callable[[str], int]] = {"zipfile": _zipfile}


def programs(path: str) -> Iterator[tuple[str, list[str]]]:
    """Yield programs that count or show the wanted lines."""
    from starface_nb.reading.catalogue import NEEDLES
    from starface_nb.reading.marks import MARKS

    each = [part for literal in LITERALS for part in ("-e", literal)]
    yield "rg -c", ["rg", "-c", "-F", *each, path]
    every = [part for needle in (*NEEDLES, *MARKS) for part in ("-e", needle.decode())]
    yield "rg -c, every needle", ["rg", "-c", "-F", *every, path]
    yield "grep -c", ["grep", "-c", "-F", *each, path]
    yield "grep -P, the job's lines", ["grep", "-c", "-P", _job()[1], path]
    lines = "|".join(literal.replace("'", ".") for literal in LITERALS)
    yield "lnav (headless)", ["lnav", "-n", "-c", f":filter-in {lines}", path]


def unpacking_programs(path: str) -> Iterator[tuple[str, list[str]]]:
    """Yield programs that unpack a gz file."""
    yield "pigz -dc", ["pigz", "-dc", path]
    yield "gzip -dc", ["gzip", "-dc", path]
