"""The log as it was read, remembered in the case: reopened at once, and still there when the file has gone."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import polars as pl

from starface_nb import __version__
from starface_nb.reading import EVENTS, UNPARSED
from starface_nb.reading.cache import load_frames, save_frames
from starface_nb.reading.log import Log, LogFile


def remember(log: Log, fingerprint: str, folder: Path) -> None:
    """Keep a log's frames in `folder`, under its fingerprint and time zone."""
    about = {
        "files": [asdict(file) for file in log.files],
        "first": log.first and log.first.isoformat(),
        "last": log.last and log.last.isoformat(),
        "notes": list(log.notes),
    }
    frames = {"events": log.events, "unparsed": log.unparsed, "about": pl.DataFrame({"json": [json.dumps(about)]})}
    save_frames(_key(fingerprint, log.time_zone), frames, folder)


def recall(fingerprint: str, time_zone: str, folder: Path) -> Log | None:
    """Return the log kept under this fingerprint and zone, or None; what is stale or foreign is not believed."""
    frames = load_frames(_key(fingerprint, time_zone), folder)
    if frames is None:
        return None
    about = json.loads(frames["about"]["json"][0])
    first, last = (datetime.fromisoformat(text) if text else None for text in (about["first"], about["last"]))
    return Log(
        events=EVENTS.check(frames["events"]),
        unparsed=UNPARSED.check(frames["unparsed"]),
        files=tuple(LogFile(**file) for file in about["files"]),
        time_zone=time_zone,
        first=first,
        last=last,
        notes=tuple(about["notes"]),
    )


def _key(fingerprint: str, time_zone: str) -> str:
    return f"case {__version__} {fingerprint} {time_zone}"
