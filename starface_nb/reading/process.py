"""The PBX's own life: one event per process start and per stop, and what an opened log file means."""

from __future__ import annotations

import polars as pl

# Start lines follow each other within the loading of the modules; stop lines within the clean-up.
_SAME_START_S = 120.0
_SAME_STOP_S = 60.0
_OPENED_BEFORE_START_S = 60.0


def one_per_start_and_stop(events: pl.DataFrame) -> pl.DataFrame:
    """Keep the first line of each process start and of each stop.

    A log file that is opened (`... built by ...`) is a rotation, unless the first line of a start follows it as the next
    line about the process itself.

    Parameters
    ----------
    events : polars.DataFrame
        One file's events in its order, with `role`, `entry`, `time` and `row`.
    """
    own = events.filter(pl.col("role") != "").select("row", "role", "entry", "time")
    dropped, opened = [], None
    state, begun, seen = "", None, set[int]()
    for row, role, entry, time in own.iter_rows():
        if role == "opened":
            if opened is not None and state == "opened":
                dropped += _same(opened, row, time)
            opened, state = (row, time), "opened"
            continue
        limit = _SAME_STOP_S if role == "stop" else _SAME_START_S
        name = "stop" if role == "stop" else "start"
        again = state == name and _within(begun, time, limit) and entry not in seen
        late_ready = role == "ready" and state == "start"
        if again or late_ready:
            dropped.append(row)
            seen.add(entry)
            continue
        if name == "start" and state == "opened" and opened and _within(opened[1], time, _OPENED_BEFORE_START_S):
            dropped.append(opened[0])
        state, begun, seen = name, time, {entry}
    return events.filter(~pl.col("row").is_in(pl.Series(dropped, dtype=pl.UInt32).implode())) if dropped else events


def _within(begun: object, time: object, limit: float) -> bool:
    if begun is None or time is None:
        return True
    return abs((time - begun).total_seconds()) <= limit  # type: ignore[operator,no-any-return]


def _same(opened: tuple[int, object], row: int, time: object) -> list[int]:
    del opened, row, time
    return []
