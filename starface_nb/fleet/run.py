"""A fleet from start to end: who is new or changed is examined, everything is remembered and ranked."""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from os import PathLike
from pathlib import Path

import polars as pl

from starface_nb import __version__
from starface_nb.errors import InputError, SettingError
from starface_nb.files import keep_free, locked, parquet, private_folder, real, write
from starface_nb.fleet.engine import Scheduler, examine_all, security
from starface_nb.fleet.examine import Examined, Row, examine
from starface_nb.fleet.schemas import FLEET, URGENCY
from starface_nb.progress import progress_bar
from starface_nb.reading.clock import zone
from starface_nb.settings import Settings
from starface_nb.sources.apart import keep_apart
from starface_nb.sources.named import ANY_NAME, ARCHIVE, NOT_A_LOG, OWN_NAMES, is_systems, log_of, rank_of
from starface_nb.text import few, visible

_RESULT, _INTERVALS = "result.parquet", "intervals.parquet"
_PAGE, _SUMMARY, _CUSTOMERS, _LOCK = "fleet.html", "fleet.parquet", "customers", ".fleet.lock"
_OWN = (_PAGE, _SUMMARY, _CUSTOMERS, _LOCK)
_NAMED = 8  # of what is passed over
_EDGE = 64 << 10  # bytes of a log that tell whether it has changed


def run_fleet(
    sources: Sequence[str | PathLike[str]],
    folder: str | PathLike[str],
    *,
    settings: Settings | None = None,
    time_zone: str | None = None,
    workers: int | None = None,
    scheduler: Scheduler | str | None = None,
    on_done: Callable[[str], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> pl.DataFrame:
    """Read and diagnose many customers' logs and keep the results in `folder`.

    Parameters
    ----------
    sources : sequence of paths
        Folders, whose files and subfolders are the customers, and customers' files. Of several folders one that holds
        the parts of one rotated log, and no other, is a customer itself.
    folder : path
        Where the results go: `fleet.parquet`, and per customer `customers/<name>/result.parquet` (its row) and
        `intervals.parquet`. A second run examines only what is new, has changed or was interrupted.
    settings : Settings, optional
    time_zone : str, optional
        Zone of the logs' local times.
    workers : int, optional
        Processes on this machine, default one per core; 1 is this process alone.
    scheduler : Scheduler or str, optional
        A running Dask scheduler to use instead, or its address.
    on_done : callable, optional
        Told each customer's name when it was examined.
    on_note : callable, optional
        Told what in the folders was passed over, and which customers' logs seem to be one.

    Returns
    -------
    polars.DataFrame
        One row per customer by `starface_nb.fleet.schemas.FLEET`, the most urgent first.

    Raises
    ------
    InputError
        A path does not exist, or there is no customer.
    SettingError
        The folder holds another fleet's results, or may be a customer's.
    SetupError
        The scheduler does not answer, or the folder cannot be written.
    """
    settings, folder = settings or Settings(), Path(folder)
    scheduler = Scheduler(scheduler) if isinstance(scheduler, str) else scheduler
    if scheduler:
        security(scheduler)  # what is wrong with it is said before anything is written
    customers = find_customers(sources, leave_out=folder, on_note=on_note)
    results = [folder / name for name in (_PAGE, _SUMMARY)]
    homes = {slug: folder / _CUSTOMERS / slug for slug in customers}
    kept = [home / name for home in homes.values() for name in (_RESULT, _INTERVALS)]
    keep_apart([path for _, path in customers.values()], [*results, *kept])
    left = _others(folder, homes)
    private_folder(folder)
    known = {
        slug: {
            "customer": name,
            "source": visible(str(path)),
            "fingerprint": f"{__version__} {settings} {time_zone} {quick_fingerprint(path)}",
        }
        for slug, (name, path) in customers.items()
    }
    work = partial(examine, settings=settings, time_zone=time_zone and zone(time_zone).key)
    with locked(folder / _LOCK):
        rows = {slug: row for slug in customers if (row := _remembered(homes[slug], known[slug]["fingerprint"]))}
        waiting = {slug: path for slug, (_, path) in customers.items() if slug not in rows}
        with progress_bar(len(waiting), "fleet", unit="customers") as advance:
            for slug, examined in examine_all(waiting, work, workers=workers, scheduler=scheduler):
                rows[slug] = _remember(homes[slug], examined, known[slug])
                advance(1)
                if on_done:
                    on_done(customers[slug][0])
        summary = ranked(rows[slug] | known[slug] for slug in customers)
        write(results[1], parquet(summary), alone=True)
        for alike in _alike(customers, rows, homes):
            (on_note or str)(f"Parts or copies of one customer's log, by what is in them: {few(alike, _NAMED)}.")
        for home in left:
            for path in (home / _RESULT, home / _INTERVALS):
                path.unlink(missing_ok=True)
            with suppress(OSError):  # something of somebody else's lies there, too
                home.rmdir()
    return summary


def quick_fingerprint(log: Path) -> str:
    """Return 32 hexadecimal digits that change when a file does, or any file in a folder.

    Looks at each file's place, size, time and first and last 64 KiB, so it takes no time whatever the size.
    """
    digest = hashlib.sha256()
    for path in sorted(p for p in log.rglob("*") if os.access(p, os.F_OK) and p.is_file()) if log.is_dir() else [log]:
        digest.update(os.fsencode(path.absolute()) + b"\0")
        with suppress(OSError), path.open("rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            digest.update(f"{status.st_size} {status.st_mtime_ns}\0".encode() + file.read(min(status.st_size, _EDGE)))
            file.seek(max(0, status.st_size - _EDGE))
            digest.update(file.read(_EDGE))
    return digest.hexdigest()[:32]


def _alike(
    customers: Mapping[str, tuple[str, Path]], rows: Mapping[str, Row], homes: Mapping[str, Path]
) -> list[list[str]]:
    """Return the names of the customers whose logs seem to be parts or copies of one.

    These begin or end in the same moment and hold mostly the same losses, or are a rotated log's by place and name.
    """
    at = defaultdict[object, list[str]](list)
    for slug, row in rows.items():
        if row["state"] == "read":
            at["first", row["first"]].append(slug)
            at["last", row["last"]].append(slug)
            at[log_of(str(customers[slug][1]))].append(slug)
    found = list[set[str]]()
    for key, slugs in at.items():
        for pair in _with_most_in_common(["peer"] if isinstance(key, str) else ["peer", "start"], slugs, homes):
            near = [group for group in found if not group.isdisjoint(pair)]
            found = [group for group in found if group not in near] + [{*pair}.union(*near)]
    return [[customers[slug][0] for slug in customers if slug in group] for group in found]


def _with_most_in_common(columns: list[str], slugs: Sequence[str], homes: Mapping[str, Path]) -> list[tuple[str, str]]:
    """Return the pairs of customers that have in common most of what the losses of either tell in these columns."""
    if len(slugs) < 2:
        return []
    frames = [pl.read_parquet(homes[one] / _INTERVALS, columns=columns).unique() for one in slugs]
    told = pl.concat(
        frame.with_columns(of=pl.lit(one), all=frame.height) for one, frame in zip(slugs, frames, strict=True)
    )
    both = told.join(told, on=columns).filter(pl.col("of") < pl.col("of_right")).group_by("of", "of_right")
    counted = both.agg(pl.len(), pl.min_horizontal(pl.first("all", "all_right")).alias("fewer"))
    return counted.filter(2 * pl.col("len") > pl.col("fewer")).select("of", "of_right").rows()


def _others(folder: Path, homes: Collection[str]) -> list[Path]:
    """Return the folders of customers that have left this fleet; an error where all results are another fleet's."""
    there = sorted(path for path in (folder / _CUSTOMERS).glob("*/") if (path / _RESULT).is_file())
    left = [path for path in there if path.name not in homes]
    if left and left == there:
        cause, step = f"This folder holds another fleet's results ({left[0].name}).", "Name another folder."
        raise SettingError(cause, place=folder, next_step=step)
    if not there:
        keep_free(folder, (_PAGE, _SUMMARY))
    return left


def find_customers(
    sources: Sequence[str | PathLike[str]],
    *,
    leave_out: Path | None = None,
    on_note: Callable[[str], None] | None = None,
) -> dict[str, tuple[str, Path]]:
    """Return the fleet's customers, in the order of their names: a name and a path each.

    Parameters
    ----------
    sources : sequence of paths
        As of `run_fleet`.
    leave_out : Path, optional
        A folder that is no customer: the one the results go to.
    on_note : callable, optional
        As of `run_fleet`.

    Returns
    -------
    dict
        By the name as a folder's name, safe on every system and unique.

    Raises
    ------
    InputError
        A path does not exist, or there is no customer at all.
    SettingError
        The folder to leave out may be a customer's.
    """
    paths = [Path(source) for source in sources]
    for path in paths:
        if not path.exists():
            raise InputError("There is no such file or folder.", place=path, next_step="Check the path.")
        if _is_special(path):
            raise InputError("This is neither a file nor a folder.", place=path, next_step="Name a log's file.")
    alone = len(paths) == 1
    named = [path for path in paths if not is_systems(path.name) or (alone and path.is_dir())]
    split = (_customers_in(path, alone, on_note or str) if path.is_dir() else [path] for path in named)
    paths = _without_results([path for some in split for path in some], leave_out)
    once = {real(path): path for path in reversed(paths)}  # whatever links or dots lead there
    paths = sorted(once.values(), key=lambda path: (path.name.lower(), path.name, str(path)))
    if not paths:
        cause, step = "There is no customer's log.", "Put one file or subfolder per customer there."
        raise InputError(cause, place=sources[0], next_step=step)
    shared = {path.name for one, path in pairwise(paths) if one.name == path.name}
    found = {}
    for path in paths:
        name = str(path) if path.name in shared else path.name
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", visible(name)).strip(".-")[:60]
        unique = hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
        found[f"{plain or 'customer'}-{unique}"] = visible(name), path
    return found


def _customers_in(folder: Path, alone: bool, say: Callable[[str], object]) -> list[Path]:
    """Return the customers in a folder, but the folder itself where it is one of several and one customer's."""
    try:
        there = sorted(folder.iterdir())
    except OSError:
        if alone:
            raise
        return [folder]  # whose row says why
    found = [path for path in there if _may_be_customer(path)]
    own = {real(path) for path in found if not path.is_symlink()}
    above = _levels(folder)  # a link to all of it is none
    found = [p for p in found if not p.is_symlink() or (own.isdisjoint(_levels(p)) and real(p) not in above)]
    made = _is_fleet(folder)
    found = [path for path in found if not (made and path.name == _CUSTOMERS)]
    if not (alone or made) and (not found or _is_one_log(folder, found)):
        if others := sum(path.is_file() and rank_of(path.name) >= ANY_NAME for path in found):
            say(f"{folder}: one customer's, by the names in it; {others} other files are not read.")
        return [folder]
    parts = [visible(path.name) for path in found if path.is_dir() or rank_of(path.name) < ANY_NAME]
    apart = any(path.is_dir() for path in found)  # one of which alone may hold a log
    if alone and not (made or apart) and len(parts) > 1 and _is_one_log(folder, found):
        told = "by their names, parts of one customer's log, which `starface-nb check` reads as one"
        say(f"{folder}: {told}: {few(parts, _NAMED)}.")
    left = [visible(p.name) for p in there if not (_may_be_customer(p) or _is_fleet(p) or (made and p.name in _OWN))]
    if left:
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        say(f"{folder}: passed over, as no customer's: {', '.join(left[:_NAMED])}{more}.")
    return found


def _is_one_log(folder: Path, found: Sequence[Path]) -> bool:
    """Say whether the logs in a folder, at any depth, are one PBX's by their place and names."""
    named = ((root, name) for root, _, names in os.walk(folder) for name in names)
    logs = [(root, name) for root, name in named if ARCHIVE.search(name) or rank_of(name) < ANY_NAME]
    places = {root for root, _ in logs}
    below = len(places) == 1 < len(found) and all(path.is_dir() for path in found)  # as in an unpacked bundle
    is_own = all(log_of(name) in OWN_NAMES for _, name in logs)
    return is_own and (below or places == {str(folder)})


def _without_results(paths: Sequence[Path], leave_out: Path | None) -> list[Path]:
    """Return the customers without the folders of results."""
    results = {real(leave_out), real(leave_out) / _CUSTOMERS} if leave_out else set()
    for path in paths:
        if real(path) in results and not (_is_fleet(path) or _is_fleet(path.parent)) and any(path.glob("[!.]*")):
            cause, step = "This may be a customer's: the results would lie in it.", "Name another folder for them."
            raise SettingError(cause, place=path, next_step=step)
    return [path for path in paths if real(path) not in results]


def _levels(path: Path) -> list[Path]:
    """Return where a path leads to, and every folder above: a link to or into a customer is no further one."""
    return [real(path), *real(path).parents]


def _may_be_customer(path: Path) -> bool:
    """Say whether something in a folder of customers may be one: not hidden or a system's, no page, no result."""
    if path.name.startswith(".") or is_systems(path.name) or _is_special(path):
        return False
    if path.is_dir():
        return not (_is_fleet(path) or _is_pack(path))
    return rank_of(path.name) != NOT_A_LOG and path.suffix != ".jsonl"


def _is_fleet(folder: Path) -> bool:
    """Say whether a folder holds a fleet's results, or what was to become some."""
    return os.access(folder, os.X_OK) and any((folder / name).is_file() for name in (_SUMMARY, _LOCK))


def _is_pack(folder: Path) -> bool:
    """Say whether a folder holds nothing but pages and tickets for an administrator."""
    names = [path.name for path in folder.glob("*")]
    return bool(names) and all(re.search(r"-(en|de|fr)\.(html|txt)$", name) for name in names)


def _is_special(path: Path) -> bool:
    """Say whether this is a pipe, a socket or a device: there is nothing in it to come back to."""
    return path.exists() and not (path.is_file() or path.is_dir())


def ranked(rows: Iterable[Row]) -> pl.DataFrame:
    """Return rows as the fleet's frame: gone sites, then too short, more NAT losses first; failed ones last."""
    frame = pl.DataFrame(list(rows), schema=FLEET.dtypes).sort(
        pl.col("state") == "failed",
        pl.col("gone").fill_null(0) == 0,
        URGENCY,
        -pl.col("nat_losses", "unreachable_s").fill_null(0),
        "customer",
    )
    return FLEET.check(frame.with_columns(rank=pl.int_range(1, frame.height + 1)))


def _remember(folder: Path, examined: Examined, known: Row) -> Row:
    """Write the intervals first and the row that vouches for them last, each whole or not at all."""
    result, intervals = private_folder(folder) / _RESULT, folder / _INTERVALS
    result.unlink(missing_ok=True)
    intervals.unlink(missing_ok=True)
    if examined.intervals is not None:
        write(intervals, parquet(examined.intervals), alone=True)
    if examined.lasting:
        write(result, parquet(ranked([examined.row | known])), alone=True)
    return examined.row


def _remembered(folder: Path, fingerprint: str) -> Row | None:
    """Return an earlier result if it is of the same log state, settings and version."""
    try:
        row = FLEET.check(pl.read_parquet(folder / _RESULT)).row(0, named=True)
    except (OSError, ValueError, pl.exceptions.PolarsError):
        return None
    whole = row["state"] == "failed" or (folder / _INTERVALS).exists()
    return row if whole and row["fingerprint"] == fingerprint else None
