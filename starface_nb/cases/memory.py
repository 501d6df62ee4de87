"""What was read of a case's log, kept to be shown once the log itself is gone.

One zip archive per case, written at once or not at all: facts as JSON and frames as parquet. What another version or
another hand wrote is not believed. Nothing is ever unpickled.
"""

import io
import json
import os
import stat
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import polars as pl

from starface_nb import __version__
from starface_nb.bundle.facts import FACTS, PEERS, ROUTER, Bundle
from starface_nb.files import private_folder, replacing
from starface_nb.reading.clock import zone
from starface_nb.reading.log import Log, LogFile
from starface_nb.reading.schemas import CALLS, EVENTS, PAUSES, UNPARSED

NAME = "log.zip"
_OF_LOG = {schema.name: schema for schema in (EVENTS, UNPARSED, CALLS, PAUSES)}
_OF_BUNDLE = {schema.name: schema for schema in (FACTS, PEERS, ROUTER)}
"""Names of the frames, as log and bundle have them, with their schemas."""


def keep(log: Log, paths: tuple[str, ...], folder: Path) -> None:
    """Keep a log and where it was in `folder`, readable by its owner only; where that cannot be, it is not kept."""
    facts = {
        "version": __version__,
        "paths": [*paths],
        "time_zone": log.time_zone,
        "files": [asdict(file) for file in log.files],
        "first": log.first and log.first.isoformat(),
        "last": log.last and log.last.isoformat(),
        "notes": [*log.notes],
        "members": [*log.bundle.members],
    }
    with suppress(OSError), replacing(private_folder(folder) / NAME) as file, ZipFile(file, "w") as archive:
        archive.writestr("facts.json", json.dumps(facts))
        for part, schemas in ((log, _OF_LOG), (log.bundle, _OF_BUNDLE)):
            for name, schema in schemas.items():
                frame, buffer = getattr(part, name), io.BytesIO()
                (schema.empty() if frame is None else frame).write_parquet(buffer, compression="lz4", statistics=False)
                archive.writestr(f"{name}.parquet", buffer.getvalue())


def recall(paths: tuple[str, ...], time_zone: str | None, folder: Path) -> Log | None:
    """Return the log that was kept; None where there is none of these paths, in this zone if any is asked for."""
    path = folder / NAME
    try:
        about = path.lstat()
        if not stat.S_ISREG(about.st_mode) or (hasattr(os, "getuid") and about.st_uid != os.getuid()):
            return None  # a link to a device, or a pipe, would be read for ever
        with ZipFile(path) as archive:
            facts = json.loads(archive.read("facts.json"))
            frames: dict[str, Any] = {
                name: schema.check(pl.read_parquet(io.BytesIO(archive.read(f"{name}.parquet"))))
                for name, schema in (_OF_LOG | _OF_BUNDLE).items()
            }
        first, last = (datetime.fromisoformat(text) if text else None for text in (facts["first"], facts["last"]))
        log = Log(
            **{name: frames[name] for name in _OF_LOG},
            bundle=Bundle(**{name: frames[name] for name in _OF_BUNDLE}, members=tuple(facts["members"])),
            files=tuple(LogFile(**file) for file in facts["files"]),
            time_zone=str(zone(facts["time_zone"])),
            first=first,
            last=last,
            notes=tuple(map(str, facts["notes"])),
        )
        zones = (None, facts["time_zone"])
        asked = time_zone in zones and [__version__, [*paths]] == [facts["version"], facts["paths"]]
        return log if asked and _is_whole(log) else None
    except Exception:  # whatever the readers of zip, JSON and parquet say of what is foreign
        return None


def _is_whole(log: Log) -> bool:
    """Say whether the values are of the declared kinds, events in the log's own files, states of peers."""
    texts = (text for file in log.files for text in (file.name, file.fingerprint, file.note))
    counts = (count for file in log.files for count in (file.bytes, file.lines))
    kinds = all(isinstance(text, str) for text in texts) and all(isinstance(count, int) for count in counts)
    known = [time for time in (log.first, log.last) if time]
    times = all(time.tzinfo is not None and 1 < time.year < 9999 for time in known) and known == sorted(known)
    peers = not log.events.filter(pl.col("kind").is_in(["unreachable", "reachable", "lagged"]))["peer"].null_count()
    return times and kinds and peers and {file.name for file in log.files}.issuperset(log.events["file"].unique())
