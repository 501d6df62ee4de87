"""Where a log stands still, and whether lines are missing there."""

import math
from datetime import datetime, timedelta
from itertools import pairwise

import polars as pl

from starface_nb.frames import UTC_TIME
from starface_nb.observations.intervals import DOWN, UP
from starface_nb.reading.log import Log
from starface_nb.sources.named import A_DAY, log_of, part_of

DAY_S = 86400.0
ISOLATED = 2.5
"""A pause this many times as long as the next longest one is no rhythm of the log's own."""
QUIET_S = 3600.0
"""Phones register at least once in this time by default: with one number alone a silence that long is no rotation's."""
FAR = DAY_S / QUIET_S
"""A silence this many times as long as the next longest one, four hours at least, is a hole: no night or weekend is."""
LEAST_PAUSE_S = 600.0
"""Pauses are compared with no shorter one than this."""
LEAST_MINUTES = 20
"""In fewer different minutes than this a log's lines keep no rhythm, and by fewer other lines they have no rate."""
GONE_S = 3 * 3600.0
"""A phone down for longer than this when the last state line was written may be gone for good."""
GAPS: dict[str, pl.DataType | type[pl.DataType]] = {"start": UTC_TIME, "end": UTC_TIME}


def missing_parts(log: Log, states: pl.DataFrame) -> pl.DataFrame:
    """Return the silences in which parts of a log are missing: start, end.

    They are told by its files' names, by their damage, or by a silence far longer than any other.

    Parameters
    ----------
    log : Log
    states : polars.DataFrame
        Events with a time and `state`: peer, time.
    """
    if log.pauses is None:
        return pl.DataFrame(schema=GAPS)
    by_name = _missing_by_name(log, log.pauses)
    silent = isolated_pauses(log.pauses, FAR) if keeps_rhythm(states) else by_name.clear()
    if log.lines < 2 * log.events.height:  # hardly a line of anything else: it may be silent as nothing happened
        between = log.pauses.filter(pl.col("usual_s") == 0.0)["start"].to_list()  # files
        goes_on = [start in between or _lost_before_and_after(states, start, to) for start, to in silent.iter_rows()]
        silent = silent.filter(pl.Series(goes_on, dtype=pl.Boolean))
    return pl.concat([by_name, silent, _without_others(log, log.pauses)]).unique().sort("start")


def _without_others(log: Log, pauses: pl.DataFrame) -> pl.DataFrame:
    """Return the silences of a day or longer in which lines that tell of no phone would stand as well: start, end."""
    if log.first is None or log.last is None:
        return pl.DataFrame(schema=GAPS)
    took, whole = pl.col("end") - pl.col("start"), pl.lit(log.last - log.first)
    others, share = log.lines - log.events.height, (took / (whole - took)).clip(upper_bound=1.0)
    return isolated_pauses(pauses, ISOLATED**2).filter(took >= timedelta(days=1), others * share >= LEAST_MINUTES)


def _lost_before_and_after(states: pl.DataFrame, start: datetime, to: datetime) -> bool:
    """Say whether phones that were up when a pause began were lost as often right before it as right behind it."""
    shown = states.filter(pl.col("state").is_in([UP, DOWN])).select("peer", "time", "state")
    before = shown.filter(pl.col("time") <= start).group_by("peer", maintain_order=True).agg(pl.last("state"))
    up = before.filter(pl.col("state") == UP)["peer"].implode()
    lost = shown.filter((pl.col("state") == DOWN) & pl.col("peer").is_in(up))["time"]
    span = min(to - start, start - shown["time"][0], shown["time"][-1] - to)
    counts = [int(lost.is_between(begin, begin + span).sum()) for begin in (start - span, to)]
    return 0 < counts[0] < 2 * counts[1]


def keeps_rhythm(states: pl.DataFrame) -> bool:
    """Say whether a log has lines enough for its pauses to tell anything."""
    return states["time"].dt.truncate("1m").n_unique() >= LEAST_MINUTES


def isolated_pauses(pauses: pl.DataFrame, far: float = ISOLATED) -> pl.DataFrame:
    """Return the pauses far above the log's own rhythm: start and end.

    Parameters
    ----------
    pauses : polars.DataFrame
        Frame of schema `PAUSES`.
    far : float
        How many times as long as the next longest one.
    """
    whole = (pl.col("end") - pl.col("start")).dt.total_microseconds() / 1e6
    silent = (whole - pl.col("usual_s")).clip(lower_bound=0.0)
    own = pauses.filter(pl.col("discarded") == 0).with_columns(silent.alias("silent"))
    before = pl.col("silent").shift(1).fill_null(0.0).clip(lower_bound=LEAST_PAUSE_S)
    # Where much of what is usual was written there are lines, of a quiet night.
    empty = ISOLATED**2 * pl.col("usual_s") < whole
    far_above = (pl.col("silent") > far * before).cum_max()
    return own.sort("silent", "start").filter(far_above & empty).select("start", "end")


def _missing_by_name(log: Log, pauses: pl.DataFrame) -> pl.DataFrame:
    """Return the silences in which parts are missing by the files' names or their damage: start, end."""
    files = [file for file in log.files if file.lines]  # of one in which bytes are wrong nothing was used
    parts = [(log_of(file.name), part_of(file.name), file.name) for file in files]
    pairs = [(own, a, b, name) for (own, a, _), (of, b, name) in pairwise(parts) if own == of and a is not None]
    steps: dict[str, list[int]] = {own: [] for own, *_ in pairs}
    for own, a, b, _ in pairs:
        steps[own] += [b - a] if b is not None and b != a else []
    silent = (pl.col("end") - pl.col("start")).dt.total_seconds()
    usual = pauses.filter(pl.col("usual_s") > 0.0).select(silent.max()).item() or 0.0
    quiet = max(QUIET_S, ISOLATED * usual)
    least = {name: _least_silence(a, b, steps[own], quiet) for own, a, b, name in pairs}
    broken = [a.damaged or (a.cut and log_of(a.name) == log_of(b.name)) for a, b in pairwise(files)]
    least |= {file.name: 0.0 for file, is_behind in zip(files[1:], broken, strict=True) if is_behind}
    between = pauses.filter(pl.col("usual_s") == 0.0)  # nothing was written in it: it stands before a file
    needed = pl.col("file").replace_strict(least, default=math.inf, return_dtype=pl.Float64)
    return between.filter(silent >= needed).select(*GAPS)


def _least_silence(a: int, b: int | None, steps: list[int], quiet: float) -> float:
    """Return from which silence on parts are missing between two, infinite where the one follows the other.

    Numbers go up or down one by one, and were given anew where they do both; without one the file is written now, and
    follows the lowest where they go down; one number alone tells no direction, so that the silence between decides.
    Days are as far apart as others of the log.
    """
    if a >= A_DAY:
        missing = (b or a) - a - min(map(abs, steps), default=0)
        return missing * DAY_S / 2 if missing > 0 else math.inf
    if b is None:
        return (0.0 if steps else quiet) if a > 1 and max(steps, default=-1) < 0 else math.inf
    return 0.0 if b < A_DAY and abs(b - a) > 1 and min(steps) * max(steps) > 0 else math.inf


def missing(pauses: pl.DataFrame, shown: pl.DataFrame) -> pl.DataFrame:
    """Return the isolated pauses in which lines seem to be missing: start and end.

    Not those after which the log goes on with far fewer losses than before: there it is the losses that ended, and the
    log is quiet because nothing happened. A later pause that is no longer than such a one is as quiet.

    Parameters
    ----------
    pauses : polars.DataFrame
        Frame of schema `PAUSES`.
    shown : polars.DataFrame
        The phones' state lines: peer, state, time (UTC).
    """
    alone = isolated_pauses(pauses)
    lost = shown.filter(pl.col("state") == DOWN).select("peer", "time")
    end = shown["time"].max()
    quiet = [
        (start, to) for start, to in alone.iter_rows() if isinstance(end, datetime) and _ended(lost, start, to, end)
    ]
    if not quiet:
        return alone
    since, longest = min(start for start, _ in quiet), max(to - start for start, to in quiet)
    return alone.filter((pl.col("start") < since) | (pl.col("end") - pl.col("start") > longest))


def _ended(lost: pl.DataFrame, start: datetime, to: datetime, end: datetime) -> bool:
    """Say whether the losses of the time before a pause did not go on behind it, as far as the log reaches.

    Counted are phones per hour that were lost in it, so that one outage counts once.
    """
    span = min(max(to - start, timedelta(seconds=GONE_S)), end - to)
    if span < timedelta(seconds=GONE_S):
        return False
    hours = pl.col("time").dt.truncate("1h")
    cells = [
        lost.filter(pl.col("time").is_between(begin, begin + span)).select("peer", hours).n_unique()
        for begin in (start - span, to)
    ]
    return cells[0] > 0 and 2 * cells[1] < cells[0]
