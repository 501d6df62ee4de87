"""The PBX's own life: one event per process start and per stop, and what an opened log file means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from starface_nb.reading import catalogue

# Start lines follow each other while the modules are loaded, stop lines while the process cleans up.
_SAME_START = timedelta(seconds=120)
_SAME_STOP = timedelta(seconds=60)
_OPENED_BEFORE_START = timedelta(seconds=60)
_ONCE_PER_START = "start-core"  # the loader's lines come twice before Asterisk 14 (preload)


@dataclass
class _Life:
    """What the lines read so far say of the process."""

    state: str = ""  # "start" or "stop", "" before either
    since: datetime | None = None
    core_seen: bool = False
    opened: tuple[tuple[int, datetime | None], ...] = ()  # log openings since the last other line


def one_per_start_and_stop(events: pl.DataFrame) -> pl.DataFrame:
    """Keep the first line of each process start and of each stop.

    A log file that is opened (`... built by ...`) is a rotation, unless the first line of a start follows it as the
    next line about the process itself.

    Parameters
    ----------
    events : polars.DataFrame
        One file's events in its order, with `role`, `entry`, `time` and `row`.
    """
    own = events.filter(pl.col("role") != "").select("row", "role", "entry", "time")
    once = {i for i, entry in enumerate(catalogue.entries()) if entry.id == _ONCE_PER_START}
    life, dropped = _Life(), []
    for row, role, entry, time in own.iter_rows():
        if role == "opened":
            life.opened += ((row, time),)
            continue
        name = "stop" if role == "stop" else "start"
        if _continues(life, name, role, time, core=entry in once):
            dropped.append(row)
            life.core_seen |= entry in once
            continue
        if name == "start":
            dropped += [at for at, when in life.opened if _within(when, time, _OPENED_BEFORE_START)]
        life = _Life(name, time, entry in once)
    return events.filter(~pl.col("row").is_in(pl.Series(dropped, dtype=pl.UInt32).implode())) if dropped else events


def _continues(life: _Life, name: str, role: str, time: datetime | None, *, core: bool) -> bool:
    """Say whether a line belongs to the start or stop that is under way."""
    if life.state != name:
        return False
    if role == "ready":
        return True
    if life.opened or (core and life.core_seen):
        return False
    return _within(life.since, time, _SAME_STOP if name == "stop" else _SAME_START)


def _within(begun: datetime | None, time: datetime | None, limit: timedelta) -> bool:
    return begun is None or time is None or abs(time - begun) <= limit
