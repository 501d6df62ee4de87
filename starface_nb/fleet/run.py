"""A fleet from start to end: who is new or changed is examined, everything is remembered and ranked."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from os import PathLike
from pathlib import Path

import polars as pl

from starface_nb.analysis.settings import Settings
from starface_nb.cases.record import locked, private_folder, write_atomically
from starface_nb.fleet.customers import Customer, find_customers
from starface_nb.fleet.engine import connected, examine_all
from starface_nb.fleet.examine import Examined, Row, worst_first
from starface_nb.fleet.schemas import FLEET
from starface_nb.text import visible

_KIND = "starface-nb/fleet-customer/1"
_TIMES = ("first", "last")


def run_fleet(
    sources: Sequence[str | PathLike[str]],
    folder: str | PathLike[str],
    *,
    settings: Settings | None = None,
    time_zone: str = "Europe/Berlin",
    workers: int | None = None,
    scheduler: str | None = None,
    on_start: Callable[[int], None] | None = None,
    on_done: Callable[[str], None] | None = None,
) -> pl.DataFrame:
    """Read and diagnose many customers' logs and keep the results in `folder`.

    Parameters
    ----------
    sources : sequence of paths
        One folder, whose files and subfolders are the customers, or several files and folders.
    folder : path
        Where the results go: `fleet.parquet`, and per customer `customers/<name>/intervals.parquet` and `result.json`.
        A second run examines only what is new, has changed or was interrupted.
    settings : Settings, optional
    time_zone : str
        Zone of the logs' local times.
    workers : int, optional
        Processes on this machine; default one per core.
    scheduler : str, optional
        Address of a running Dask scheduler to use instead.
    on_start, on_done : callable
        Told the number of customers to examine, and each customer's name when it is done.

    Returns
    -------
    polars.DataFrame
        One row per customer by `starface_nb.fleet.schemas.FLEET`, the most urgent first.

    Raises
    ------
    InputError
        A path does not exist, or there is no customer.
    SetupError
        The scheduler does not answer, or the folder cannot be written.
    """
    settings = settings or Settings()
    folder = Path(folder)
    customers = {customer.slug: customer for customer in find_customers(sources, leave_out=folder)}
    prints = {slug: customer.fingerprint(settings, time_zone) for slug, customer in customers.items()}
    home = private_folder(private_folder(folder) / "customers")
    with locked(folder / ".fleet.lock"):
        rows: dict[str, Row] = {}
        for slug in customers:
            row = _remembered(home / slug, prints[slug])
            if row is not None:
                rows[slug] = row
        waiting = {slug: customer for slug, customer in customers.items() if slug not in rows}
        if on_start:
            on_start(len(waiting))
        if waiting:
            with connected(scheduler, workers and min(workers, len(waiting))) as client:
                for slug, examined in examine_all(waiting, settings, time_zone, client):
                    rows[slug] = _remember(home / slug, prints[slug], examined)
                    if on_done:
                        on_done(customers[slug].name)
        summary = _summary(customers, rows, prints)
        write_atomically(folder / "fleet.parquet", _parquet(summary))
    return summary


def _summary(customers: dict[str, Customer], rows: dict[str, Row], prints: dict[str, str]) -> pl.DataFrame:
    whole = [
        {
            **rows[slug],
            "customer": customer.name,
            "source": visible(str(customer.path)),
            "fingerprint": prints[slug],
        }
        for slug, customer in customers.items()
    ]
    complete = [{name: row.get(name) for name in FLEET.dtypes} for row in worst_first(whole)]
    return FLEET.frame(complete).sort("rank")


def _remember(folder: Path, fingerprint: str, examined: Examined) -> Row:
    """Write the intervals first and the result that vouches for them last, each whole or not at all."""
    private_folder(folder)
    if examined.intervals:
        write_atomically(folder / "intervals.parquet", examined.intervals)
    else:
        (folder / "intervals.parquet").unlink(missing_ok=True)
    document = {"kind": _KIND, "fingerprint": fingerprint, "lasting": examined.lasting, "row": examined.row}
    text = json.dumps(document, indent=1, ensure_ascii=False, default=_iso)
    write_atomically(folder / "result.json", text.encode("utf-8", "replace") + b"\n")
    return examined.row


def _remembered(folder: Path, fingerprint: str) -> Row | None:
    """Return an earlier result if it is of the same log state, settings and version, and would come out the same."""
    try:
        document = json.loads((folder / "result.json").read_bytes())
        row: Row = document["row"]
        same = document["kind"] == _KIND and document["fingerprint"] == fingerprint
        whole = row["state"] == "failed" or (folder / "intervals.parquet").exists()
        if not (same and document["lasting"] and whole):
            return None
        for name in _TIMES:
            row[name] = datetime.fromisoformat(str(row[name])) if row.get(name) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return row


def _iso(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a result")


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
