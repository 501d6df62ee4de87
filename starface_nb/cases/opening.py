"""Finding a log's own case: opened where it was left, or begun; one customer's never taken for another's."""

import glob
import os
import re
from collections.abc import Collection, Iterable, Iterator
from itertools import chain, count
from pathlib import Path
from typing import Any

from starface_nb import samples
from starface_nb.analysis.diagnose import require_one_customer
from starface_nb.cases import memory
from starface_nb.cases.answers import CASE, AnswerStore, CaseError, Record
from starface_nb.cases.case import Case, Source, absolute
from starface_nb.cases.identity import UNTOLD, fingerprint, foreign, have_same_phones, identity
from starface_nb.errors import SettingError
from starface_nb.files import at_home, is_frozen, private_folder
from starface_nb.guide import translator
from starface_nb.reading import read_log
from starface_nb.reading.clock import zone
from starface_nb.reading.log import Log
from starface_nb.settings import Settings

_ENDINGS = {".gz", ".bz2", ".xz", ".lzma", ".zst", ".zip", ".tar", ".tgz", ".log", ".txt", ".full"}
_RESERVED = re.compile(r"(inbox|con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
_LONGEST = 200  # bytes of a name
_SAYS_LITTLE = {"pbx", "full", "messages", "log"}
_GONE = "The log is no longer where it was: what was read from it is shown, without the lines around an event."
_READ_ONLY = "This case cannot be written to: it is shown, and nothing is saved."
Kept = dict[str, Any]


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
    same_customer: bool = False,
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
        None: as the case has them, or else as a support bundle says, or else Europe/Berlin, 3,600 s and English.
    keepalive_minutes : float, optional
        The keepalive in minutes, as the notebooks' parameters give it.
    same_customer : bool
        The named case is this log's, whatever its phones and addresses look like.

    Returns
    -------
    Case

    Raises
    ------
    CaseError
        The named case holds another customer's log, or its files are damaged.
    InputError
        The log cannot be read, or its files are of two customers.
    SettingError
        A setting makes no sense.
    """
    given, notes = absolute(log), list[str]()
    named = name is not None or folder is not None
    if folder is not None:
        place: Path | None = at_home(folder)
    elif root is None or not (named or given):
        place = None
    else:
        home = at_home(root)
        place = home / clean_name(name) if name is not None else _begun(home, given, notes)
    kept = _kept(place) if place else {}
    paths = given or tuple(kept.get("log", {}).get("paths", ())) or (str(samples.path(sample)),)
    asked = time_zone or kept.get("settings", {}).get("time_zone")
    found, known = _read(place, given, paths, asked)
    if place and not named and (own := _own(place, kept, found, paths, notes)) != place:
        place, kept = own, _kept(own)
        found, known = _read(place, given, paths, time_zone or kept.get("settings", {}).get("time_zone"))
    notes += [_GONE] if known else []
    notes += _compared(place, kept, found, paths, trusted=same_customer or not named) if place else []
    read_only = place is not None and is_frozen(place)
    if keepalive_minutes is not None:
        keepalive_s = 60.0 * keepalive_minutes
    case = Case(
        name=place.name if place else _name_of(paths[0]),
        folder=place,
        log=found,
        settings=Settings().with_asked(keepalive_s=_asked(kept) if keepalive_s is None else keepalive_s),
        language=translator(language or kept.get("settings", {}).get("language", "en")).language,
        answers=AnswerStore(private_folder(place) / "answers.json" if place else None),
        notes=(*notes, *([_READ_ONLY] if read_only else [])),
        paths=paths,
        read_only=read_only,
    )
    case.save(kept.get("log", {}))
    if place and not (known or read_only):
        memory.keep(found, paths, place / "cache")
    return case


def require_case(name: str, root: str | Path) -> None:
    """Raise `CaseError` where there is no case of this name: it may be mistyped, and has no log."""
    home = at_home(root)
    if not (home / clean_name(name) / "case.json").exists():
        there = [place.name for place, _ in _cases(home)]
        step = "Name its log, too" + (f"; the cases there are: {', '.join(there)}." if there else ".")
        raise CaseError(f"There is no case {name!r}.", place=home, next_step=step)


def clean_name(name: str) -> str:
    """Return `name` as a folder name that is safe everywhere: one level, no dots in front, nothing reserved."""
    safe = re.sub(r"[^\w.+@-]+", "_", name.strip()).strip("._")[:80]
    while len(safe.encode()) > _LONGEST:  # letters may take several bytes
        safe = safe[:-1]
    return f"case_{safe}" if not safe or _RESERVED.fullmatch(safe.split(".")[0]) else safe


def _name_of(path: str) -> str:
    found = Path("standard_input" if path == "-" else path)
    while found.suffix.lower() in _ENDINGS:
        found = found.with_suffix("")
    if found.name in _SAYS_LITTLE and found.parent.name not in ("", "inbox"):
        found = Path(os.path.abspath(found)).parent  # noqa: PTH100  such logs are told apart by their folder
    return clean_name(found.name)


def _read(place: Path | None, given: tuple[str, ...], paths: tuple[str, ...], asked: str | None) -> tuple[Log, bool]:
    """Return the log, and whether it is gone and only remembered."""
    gone = "-" not in given and not any(glob.has_magic(path) or Path(path).exists() for path in paths)
    known = memory.recall(paths, asked, place / "cache") if gone and place else None
    if known is None:
        require_one_customer(found := read_log(paths, time_zone=asked))
    return known or found, known is not None


# ---- whose case it is ----


def _kept(place: Path) -> Kept:
    """Return what a case keeps of itself, nothing where there is none; its settings make sense."""
    kept = Record(place / "case.json", "case", CASE).read()
    try:
        if settings := kept.get("settings"):
            zone(settings["time_zone"])
            translator(settings["language"])
            Settings(keepalive_s=settings["keepalive_s"])
    except SettingError as error:
        step = "Correct it, or move the file away."
        raise CaseError(f"The file is damaged: {error}", place=str(place / "case.json"), next_step=step) from None
    return kept


def _asked(kept: Kept) -> float | None:
    """Return the keepalive that the user gave a case; None where he gave none."""
    keepalive: float | None = kept.get("settings", {}).get("keepalive_s")
    return keepalive if keepalive != Settings().keepalive_s or "keepalive_s" in kept.get("asked", ()) else None


def _cases(home: Path, notes: list[str] | None = None) -> Iterator[tuple[Path, Kept]]:
    """Yield all cases of a folder; one that cannot be read is named and left out, a link to elsewhere is none."""
    for path in sorted(home.glob("*/case.json")):
        if not path.parent.is_symlink():
            try:
                yield path.parent, _kept(path.parent)
            except (CaseError, OSError) as error:
                if notes is not None:
                    notes.append(f"Left out: {error}")


def _begun(home: Path, given: tuple[str, ...], notes: list[str]) -> Path:
    """Return the case that was begun with these paths, or a place for a new one named after the log."""
    cases = dict(_cases(home, notes))
    begun = (place for place, kept in cases.items() if tuple(kept["log"]["paths"]) == given)
    own = home / _name_of(given[0])
    return _likeliest(begun, own.name) or _free(own, also=cases)


def _likeliest(cases: Iterable[Path], name: str) -> Path | None:
    """Return the case of this name, else the one last opened: a case's folder that was copied holds the same log."""
    return max(cases, key=lambda place: (place.name == name, (place / "case.json").stat().st_mtime), default=None)


def _own(place: Path, kept: Kept, log: Log, paths: tuple[str, ...], notes: list[str]) -> Path:
    """Return the case that holds this very log; else `place`, or a free one beside it where that is another's."""
    mine, cases = fingerprint(log), _cases(place.parent)
    if own := _likeliest((other for other, content in cases if content["log"]["fingerprint"] == mine), place.name):
        return own
    now = identity(log, paths)
    why = foreign(kept["log"], now, log) if kept else ""
    if why:
        notes.append(
            f"The case {place.name!r} is another customer's ({why}): this log has a case of its own. Where it is the "
            "same customer, name that case and say so (--case and --same-customer)."
        )
    if why or not kept:
        notes += _offered(place, now, log)
    return _free(place) if why else place


def _offered(place: Path, now: Kept, log: Log) -> list[str]:
    """Return what a new case is told where another one than at `place` has its phones."""
    kept = {other: content["log"] for other, content in _cases(place.parent) if other.name == clean_name(other.name)}
    kept.pop(place, None)
    own = _likeliest((other for other, before in kept.items() if not foreign(before, now, log)), "")
    found = own or _likeliest((other for other, before in kept.items() if have_same_phones(before, now)), "")
    if found is None:
        return []
    how = f"--case {found.name}" + ("" if own else " --same-customer")
    return [f"The case {found.name!r} has these phones, too: where this is its customer's log, go on there ({how})."]


def _free(place: Path, also: Collection[Path] = ()) -> Path:
    """Return a place that is no case yet, or one of `also`: `place` itself, or it with a number."""

    def is_taken(path: Path) -> bool:
        return path.is_symlink() or any((path / name).exists() for name in ("case.json", "answers.json"))

    numbered = (place.with_name(f"{place.name}-{n}") for n in count(2))
    return next(path for path in chain([place], numbered) if path in also or not is_taken(path))


def _compared(place: Path, kept: Kept, log: Log, paths: tuple[str, ...], *, trusted: bool) -> list[str]:
    """Return what there is to say about the log beside what the case had; an error where that is another customer's."""
    before = kept.get("log")
    now = identity(log, paths)
    if before is None or before["fingerprint"] == now["fingerprint"]:
        return []
    why = "" if trusted else foreign(before, now, log)
    if why:
        names = ", ".join(Path(path).name for path in before["paths"])
        held = "a log that may be another customer's" if why == UNTOLD else "another customer's log"
        step = "Give the new log a case of its own, with another name; where it is the same customer, say so "
        step += "(--same-customer)."
        raise CaseError(f"This case holds {held} ({names}); {why}.", place=place, next_step=step)
    return [f"The log has changed since this case was last open: {before['events']} events then, {now['events']} now."]
