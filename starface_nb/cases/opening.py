"""Opens a case: finds its folder, reads or remembers its log, and keeps customers apart."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from starface_nb import samples
from starface_nb.analysis.settings import Settings
from starface_nb.cases.answers import AnswerStore
from starface_nb.cases.case import Case, Source, absolute, fingerprint, peers
from starface_nb.cases.record import CaseError, Record
from starface_nb.files import private_folder
from starface_nb.guide import translator
from starface_nb.reading import read_log, recall
from starface_nb.reading.cache import gone
from starface_nb.reading.log import Log

_ENDINGS = {".gz", ".bz2", ".xz", ".zst", ".zip", ".tar", ".tgz", ".log", ".txt", ".full"}
_RESERVED = re.compile(r"(inbox|con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
_SAME_CUSTOMER = 0.5
_SAYS_LITTLE = {"pbx", "full", "messages", "log"}
_GONE = "The log is no longer where it was: what was read from it is shown, without the lines around an event."


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
    paths = given or tuple(kept.get("log", {}).get("paths", ())) or (str(samples.path(sample)),)
    zone = time_zone or _settings(kept)["time_zone"]
    # What is read is remembered in the case, once it is known to be this customer's.
    cache = place / "cache" if place and kept.get("log", {}).get("paths", [*paths]) == [*paths] else None
    known = recall(paths, time_zone=zone, cache=cache) if cache and "-" not in given and gone(paths) else None
    found = known or read_log(paths, time_zone=zone, cache=cache)
    if place and name is None and folder is None and (own := _own(place, kept, found)) != place:
        if cache and not kept:  # begun for this log, and not needed
            shutil.rmtree(cache, ignore_errors=True)
            with suppress(OSError):
                place.rmdir()
        place, kept, cache = own, _kept(own), None
    settings = _settings(kept)
    zone = time_zone or settings["time_zone"]
    notes = (*((_GONE,) if known else ()), *_compared(kept, found, place))
    if place and cache is None and "-" not in paths:
        found = read_log(paths, time_zone=zone, cache=private_folder(place) / "cache")
    if keepalive_minutes is not None:
        keepalive_s = 60.0 * keepalive_minutes
    case = Case(
        name=place.name if place else _name_of(paths[0]),
        folder=place,
        log=found,
        settings=Settings(keepalive_s=settings["keepalive_s"] if keepalive_s is None else float(keepalive_s)),
        language=translator(language or settings["language"]).language,
        answers=AnswerStore(private_folder(place) / "answers.json" if place else None),
        notes=notes,
        paths=paths,
    )
    case.save()
    return case


def _settings(kept: dict[str, Any]) -> dict[str, Any]:
    return {"time_zone": "Europe/Berlin", "keepalive_s": 3600.0, "language": "en", **kept.get("settings", {})}


def _place(given: tuple[str, ...], name: str | None, root: str | Path | None, folder: str | Path | None) -> Path | None:
    """Return the case's folder, as far as it can be told before the log is read; None keeps the case in memory."""
    if folder is not None:
        return Path(folder).expanduser().absolute()
    if root is None or (name is None and not given):
        return None
    home = Path(root).expanduser().absolute()
    if name is not None:
        return home / clean_name(name)
    begun = (place for place, kept in _cases(home) if tuple(kept["log"]["paths"]) == given)
    return next(begun, home / _name_of(given[0]))


def _name_of(path: str) -> str:
    found = Path("standard_input" if path == "-" else path)
    while found.suffix.lower() in _ENDINGS:
        found = found.with_suffix("")
    if found.name in _SAYS_LITTLE and found.parent.name:
        found = found.parent  # such logs are told apart by their folder
    return clean_name(found.name)


def _kept(place: Path | None) -> dict[str, Any]:
    return Record(place / "case.json", "case").read() if place else {}


def _cases(home: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    return ((record.parent, _kept(record.parent)) for record in sorted(home.glob("*/case.json")))


def _own(place: Path, kept: dict[str, Any], log: Log) -> Path:
    """Return the case that holds this very log; else `place`, or a free name beside it where that is another's."""
    for other, content in _cases(place.parent):
        if content["log"]["fingerprint"] == fingerprint(log):
            return other
    if _in_common(kept, log) >= _SAME_CUSTOMER:
        return place
    numbers = (place.with_name(f"{place.name}-{n}") for n in range(2, 10_000))
    return next(path for path in numbers if not path.exists())


def _in_common(kept: dict[str, Any], log: Log) -> float:
    """Return which share of its phones the log has in common with the case's; 1 for the very same log."""
    before = kept.get("log")
    if not before or before["fingerprint"] == fingerprint(log):
        return 1.0
    old, new = set(before["peers"]), set(peers(log))
    return len(old & new) / max(1, min(len(old), len(new)))


def _compared(kept: dict[str, Any], log: Log, place: Path | None) -> tuple[str, ...]:
    """Return what there is to say about the log beside what the case had; an error where that is another customer's."""
    before, share = kept.get("log"), _in_common(kept, log)
    if before is None or before["fingerprint"] == fingerprint(log):
        return ()
    if share >= _SAME_CUSTOMER:
        was, now = before["events"], log.events.height
        return (f"The log has changed since this case was last open: {was} events then, {now} now.",)
    raise CaseError(
        f"This case holds another customer's log ({', '.join(Path(path).name for path in before['paths'])}); "
        f"it has {share:.0%} of its phones in common with the new one.",
        place=str(place),
        next_step="Give the new log a case of its own, with another name.",
    )
