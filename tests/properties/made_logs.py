"""Logs made from drawn events, and what a diagnosis says of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
from hypothesis import settings
from hypothesis import strategies as st

import starface_nb as sf
from starface_nb.analysis.diagnosis import Diagnosis

BEGIN = datetime(2026, 3, 4, 8, 0, 0, tzinfo=UTC)
WHERE = ("file", "line", "offset", "end_file", "end_line", "end_offset", "evidence")
steady = settings(max_examples=25, deadline=None, database=None, derandomize=True)
slow = settings(steady, max_examples=10)

_MESSAGES = {
    "unreachable": ("NOTICE", "chan_sip.c", "Peer '{peer}' is now UNREACHABLE!  Last qualify: 40"),
    "reachable": ("NOTICE", "chan_sip.c", "Peer '{peer}' is now Reachable. (40ms / 2000ms)"),
    "lagged": ("NOTICE", "chan_sip.c", "Peer '{peer}' is now Lagged. (2400ms / 2000ms)"),
    "registered": ("VERBOSE", "chan_sip.c", "Registered SIP '{peer}' at 203.0.113.{site}:{port}"),
    "unregistered": ("VERBOSE", "chan_sip.c", "Unregistered SIP '{peer}'"),
    "restart": ("VERBOSE", "loader.c", "Asterisk Dynamic Loader Starting:"),
    "shutdown": ("VERBOSE", "asterisk.c", "Executing last minute cleanups"),
}
_WEIGHTED = ["unreachable"] * 4 + ["reachable"] * 4 + ["registered"] * 3 + list(_MESSAGES)

Event = tuple[int, str, int, int, int]
"""Seconds since the event before, kind, phone, site, port."""

events = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 20), st.sampled_from([10, 14, 60, 64, 3540, 3600]), st.integers(0, 7200)),
        st.sampled_from(_WEIGHTED),
        st.integers(0, 4),
        st.integers(1, 2),
        st.integers(1024, 1034),
    ),
    min_size=1,
    max_size=60,
)


def peer_names(count: int = 5) -> list[str]:
    """Names of phones."""
    return [f"10{n}.snomd345" for n in range(count)]


def log_lines(drawn: Sequence[Event], *, shift: float = 0, names: Sequence[str] | None = None) -> list[str]:
    """The drawn events as lines of a PBX log in UTC."""
    names = names or peer_names()
    time = BEGIN + timedelta(seconds=shift)
    lines = []
    for gap, kind, phone, site, port in drawn:
        time += timedelta(seconds=gap)
        level, module, message = _MESSAGES[kind]
        text = message.format(peer=names[phone], site=site, port=port)
        lines.append(f"[{time:%Y-%m-%d %H:%M:%S}] {level}[2418] {module}: {text}")
    return lines


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for one example."""
    path = Path(tempfile.mkdtemp())
    try:
        yield path
    finally:
        shutil.rmtree(path)


def diagnosed(*files: Sequence[str]) -> Diagnosis:
    """Read and diagnose a log that consists of these files' lines, the oldest first."""
    with folder() as path:
        for age, lines in enumerate(reversed(files)):
            (path / (f"full.{age}" if age else "full")).write_text("".join(f"{line}\n" for line in lines), "utf-8")
        return sf.diagnose(sf.read_log(path, time_zone="UTC", progress=False))


def told(case: Diagnosis, *, shift: float = 0, names: dict[str, str] | None = None) -> dict[str, list[str]]:
    """Everything a diagnosis says, but not where it stands in the log; moved in time and with other names if asked."""
    frames = {name: getattr(case, name) for name in ("intervals", "phones", "cycles", "eras", "sites")}
    said = {}
    for name, frame in frames.items():
        frame = frame.drop(WHERE, strict=False).drop("interval", strict=False)
        times = [column for column, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime)]
        frame = frame.with_columns(pl.col(column) + timedelta(seconds=shift) for column in times)
        if names and "peer" in frame.columns:
            frame = frame.with_columns(pl.col("peer").replace(names))
        said[name] = sorted(str(row) for row in frame.rows())
    return said
