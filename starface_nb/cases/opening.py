"""Opens a case: finds its folder, reads or remembers its log, and keeps customers apart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from starface_nb import samples
from starface_nb.analysis.settings import Settings
from starface_nb.cases.answers import AnswerStore
from starface_nb.cases.case import Case, Source, absolute, fingerprint, peers
from starface_nb.cases.record import CaseError, Record, private_folder
from starface_nb.cases.remembered import recall, remember
from starface_nb.guide import translator
from starface_nb.reading import read_log
from starface_nb.reading.cache import quick_fingerprint
from starface_nb.reading.log import Log

_ENDINGS = {".gz", ".bz2", ".xz", ".zst", ".zip", ".tar", ".tgz", ".log", ".txt", ".full"}
_RESERVED = re.compile(r"(inbox|con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
_SAME_CUSTOMER = 0.5
_SAYS_LITTLE = {"pbx", "full", "messages", "log"}


def clean_name(name: str) -> str:
    """Return `name` as a folder name that is safe everywhere: one level, no dots in front, nothing reserved."""
    safe = re.sub(r"[^\w.+@-]+", "_", name.strip()).strip("._")[:80]
    return f"case_{safe}" if not safe or _RESERVED.fullmatch(safe.split(".")[0]) else safe


def open_case(
    log: Source = None,
    *,
    name: str | None = None,
    root: str | Path | None = "cases",
    folder: str | Path | None = None,
    sample: str = "sample",
    time_zone: str | None = None,
    keepalive_s: float | None = None,
    keepalive_minutes: float | None = None,
    language: str | None = None,
) -> Case:
    """Open a customer's case where it was left, or begin one.

    Parameters
    ----------
    log : path or list of paths, optional
        What `read_log` takes. None: the log the case has already, or else the bundled sample.
    name : str, optional
        The case's name. Default: the case that holds this very log, or one named after the log.
    root : path, optional
        Folder of all cases; None keeps the case in memory. The bundled sample is kept only when a name or folder is
        given.
    folder : path, optional
        The case's own folder, instead of `root` and `name`.
    sample : str
        The bundled log that stands in where there is no other, see `starface_nb.samples.path`.
    time_zone, keepalive_s, language : optional
        None: as the case has them, or else Europe/Berlin, 3,600 s and English.
    keepalive_minutes : float, optional
        The keepalive in minutes, as the notebooks' parameters give it.

    Returns
    -------
    Case

    Raises
    ------
    CaseError
        The named case holds another customer's log, or its files are damaged.
    InputError
        The log cannot be read.
    SettingError
        A setting makes no sense.
    """
    given = absolute(log)
    place = _place(given, name, root, folder)
    kept = _kept(place)
    before = kept.get("settings", {})
    paths = given or tuple(kept.get("log", {}).get("paths", ())) or (str(samples.path(sample)),)
    zone = time_zone or before.get("time_zone", "Europe/Berlin")
    known, gone = _recall(paths, zone, kept["log"], place) if kept and place and "-" not in given else (None, ())
    found = known or read_log(list(paths), time_zone=zone)
    if place is not None and name is None and folder is None:
        settled = _settle(place, kept, found)
        place, kept = settled, _kept(settled)
    notes = (*gone, *_compare(kept, found, place))
    before = kept.get("settings", before)
    if keepalive_minutes is not None:
        keepalive_s = 60.0 * keepalive_minutes
    seconds = before.get("keepalive_s", 3600.0) if keepalive_s is None else float(keepalive_s)
    case = Case(
        name=place.name if place else _name_of(paths[0]),
        folder=place,
        log=found,
        settings=Settings(keepalive_s=seconds),
        language=translator(language or before.get("language", "en")).language,
        answers=AnswerStore(private_folder(place) / "answers.json" if place else None),
        notes=notes,
        paths=paths,
    )
    case.save()
    if place and known is None:
        remember(found, fingerprint(found), private_folder(place / "cache"))
    return case


def _recall(paths: tuple[str, ...], zone: str, kept: dict[str, Any], place: Path) -> tuple[Log | None, tuple[str, ...]]:
    """Return the log as the case remembers it, where it has not changed since or has gone, and what to say of that."""
    if tuple(kept["paths"]) != paths:
        return None, ()
    gone = not any(set(path) & set("*?[") or Path(path).exists() for path in paths)
    if not gone and kept["state"] != quick_fingerprint(paths):
        return None, ()
    log = recall(kept["fingerprint"], zone, place / "cache")
    note = "The log is no longer where it was: what was read from it is shown, without the lines around an event."
    return log, (note,) if gone and log is not None else ()


def _place(given: tuple[str, ...], name: str | None, root: str | Path | None, folder: str | Path | None) -> Path | None:
    if folder is not None:
        return Path(folder).expanduser().absolute()
    if root is None or (name is None and not given):
        return None
    home = Path(root).expanduser().absolute()
    if name is not None:
        return home / clean_name(name)
    return _by_paths(home, given) or home / _name_of(given[0])


def _name_of(path: str) -> str:
    found = Path("standard_input" if path == "-" else path)
    while found.suffix.lower() in _ENDINGS:
        found = found.with_suffix("")
    if found.name in _SAYS_LITTLE and found.parent.name:
        found = found.parent  # such logs are told apart by their folder
    return clean_name(found.name)


def _kept(place: Path | None) -> dict[str, Any]:
    record = place / "case.json" if place else None
    return Record(record, "case").read() if record and record.exists() else {}


def _by_paths(home: Path, given: tuple[str, ...]) -> Path | None:
    """Return the case that was begun with these very paths."""
    kept = ((record.parent, _kept(record.parent)) for record in sorted(home.glob("*/case.json")))
    return next((place for place, content in kept if tuple(content["log"]["paths"]) == given), None)


def _settle(place: Path, kept: dict[str, Any], log: Log) -> Path:
    """Return the case that holds this very log; else `place`, or a free name beside it where that is another's."""
    for record in sorted(place.parent.glob("*/case.json")):
        if _kept(record.parent)["log"]["fingerprint"] == fingerprint(log):
            return record.parent
    if not _foreign(kept, log):
        return place
    numbers = (place.with_name(f"{place.name}-{n}") for n in range(2, 10_000))
    return next(path for path in numbers if not path.exists())


def _foreign(kept: dict[str, Any], log: Log) -> bool:
    """Whether the case holds another customer's log: other content, and fewer than half of its phones in common."""
    before = kept.get("log")
    if not before or before["fingerprint"] == fingerprint(log):
        return False
    old, new = set(before["peers"]), set(peers(log))
    return len(old & new) < _SAME_CUSTOMER * max(1, min(len(old), len(new)))


def _compare(kept: dict[str, Any], log: Log, place: Path | None) -> tuple[str, ...]:
    if _foreign(kept, log):
        old = kept["log"]
        raise CaseError(
            f"This case holds another customer's log ({', '.join(Path(p).name for p in old['paths'])}); "
            f"{len(set(old['peers']) & set(peers(log)))} of its {len(old['peers'])} phones occur in the new one.",
            place=str(place),
            next_step="Give the new log a case of its own, with another name.",
        )
    before = kept.get("log")
    if not before or before["fingerprint"] == fingerprint(log):
        return ()
    return (
        f"The log has changed since this case was last open: {before['events']} events then, {log.events.height} now.",
    )
