"""From what the user names (files, folders, globs, archives, standard input) to streams of log text."""

import glob
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path

from starface_nb.bundle.members import BYTES, MEMBER_BYTES, ROUTER, Taken, member_of, sniffed, taken
from starface_nb.bundle.router import is_router_log
from starface_nb.errors import InputError
from starface_nb.sources import foreign
from starface_nb.sources.archives import ENCRYPTED, Member, is_zip, zip_members
from starface_nb.sources.limits import UNPACK, Account, Limits, RefusedError
from starface_nb.sources.streams import Stream, file_stream, format_of, opened, stdin_stream, unpacked, unreadable
from starface_nb.tables import table
from starface_nb.text import few, visible

STDIN = "-"
_SNIFFED = 64 << 10
_LOOKED_AT = 1 << 20  # bytes of a text of any name in which a router's log is known
_MOST_BESIDE = 10_000  # files of a folder that are looked at for what lies beside a log

ANY_NAME = 3  # rank of a name that says nothing
NOT_A_LOG = 9  # rank of a name that no log has
BY_CONTENT = ("messages", ROUTER)  # members by whose names Asterisk's own log may be called, too

_NAMES = table("sources/names")
OWN_NAMES = {"full", "messages", "pbx", "asterisk"}  # of Asterisk's logs, without what rotation puts behind them:
_OF_A_PART = re.compile(r"[\d._#-]|gz|bz2|xz|lzma|zst|log|txt")
A_DAY = 10_000
"""Numbers of parts are smaller than this, days (ordinals) are larger."""
_FOREIGN, ARCHIVE = re.compile(_NAMES["foreign"], re.I), re.compile(_NAMES["archive"], re.I)
_UNFINISHED = re.compile(_NAMES["unfinished"], re.I)


@dataclass
class Beside:
    """What was seen beside the logs.

    Attributes
    ----------
    errors : list of InputError
        Why what may be a log was skipped or refused.
    notes : list of str
        The same as text, and what else was skipped.
    skipped : list of str
        Names of files left out because of them.
    members : list of Taken
        What was taken of the members of a support bundle.
    """

    errors: list[InputError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    members: list[Taken] = field(default_factory=list)

    def skip(self, error: InputError) -> None:
        """Note why something was not read."""
        self.errors.append(error)
        self.notes.append(f"skipped: {error}")


@dataclass(frozen=True)
class Argument:
    """One LOG the user named; its sources are weighed against each other by rank.

    Attributes
    ----------
    text : str
        As given.
    direct : bool
        A file was named itself: what is wrong with it is an error, not a note.
    """

    text: str
    direct: bool
    beside: Beside = field(default_factory=Beside)


@dataclass(frozen=True)
class Source:
    """One file on disk, zip member or standard input, to be opened when its turn comes."""

    name: str
    rank: int
    size: int
    modified: datetime | None
    argument: Argument
    open: Callable[[], Stream] = field(repr=False)
    path: Path | None = None

    @property
    def direct(self) -> bool:
        """Whether the user named this very file."""
        return self.argument.direct and (self.path is None or "!" not in self.name)


def rank_of(name: str) -> int:
    """Return how surely a file of this name is the PBX log: 0 is best, `NOT_A_LOG` never is one."""
    base = name.rpartition("/")[2]
    if member_of(base) not in (None, *BY_CONTENT):
        return NOT_A_LOG
    for rank, pattern in enumerate(_NAMES["ranks"]):
        if re.fullmatch(pattern + _NAMES["behind"], base, re.I):
            return rank
    return NOT_A_LOG if _FOREIGN.search(base) or base.startswith(".") else ANY_NAME


def log_of(name: str) -> str:
    """Return where a file lies and, of the parts of a rotated log, the log's name: what they have in common."""
    place, base = re.fullmatch(r"((?:.*[/\\!])?)(.*)", name, re.S).groups()  # type: ignore[union-attr]
    bare = _OF_A_PART.sub("", base.lower())
    return f"{place}{bare if bare in OWN_NAMES else base}"


def likeliest(names: Sequence[str]) -> str:
    """Return the names of a few files, first those that may be the PBX log."""
    return few([visible(name) for name in sorted(names, key=rank_of)], 3)


def part_of(name: str) -> int | None:
    """Return the number, or the day, that rotation put behind a log's name; None where it put neither."""
    digits = re.findall(r"\d+", re.split(r"[/\\!]", name)[-1].lower().replace("bz2", ""))
    try:
        day = datetime.strptime("".join(digits), "%Y%m%d").toordinal() if len("".join(digits)) == 8 else None
    except ValueError:
        return None
    return int(digits[0]) if len(digits) == 1 and int(digits[0]) < A_DAY else day


def is_systems(name: str) -> bool:
    """Say whether a file or folder of this name is what a system or a storage leaves everywhere."""
    return re.fullmatch(_NAMES["systems"], name, re.I) is not None


# ---- what was named ----


def expand(logs: Sequence[str | os.PathLike[str]], account: Account) -> tuple[list[Argument], list[Source]]:
    """Return the arguments and the sources they stand for, in order.

    Raises
    ------
    InputError
        No such file, nothing matches, a device, an encrypted or broken archive, too many files.
    """
    if not logs or any(os.fspath(log) == "" for log in logs):
        raise InputError("no log was named.", next_step="Name a file, folder or archive.")
    arguments, sources = [], dict[tuple[object, str], Source]()
    for log in logs:
        for text in _globbed(os.fspath(log)):
            argument, found = _sources_of(text, account)
            arguments.append(argument)
            for source in found:  # what is named twice is read once
                sources.setdefault((source.path and source.path.resolve(), source.name.partition("!")[2]), source)
    return arguments, list(sources.values())


def _globbed(text: str) -> list[str]:
    if text == STDIN or not glob.has_magic(text) or os.path.lexists(text):
        return [text]
    found = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 (a pattern may be absolute)
    if not found:
        raise InputError("no file matches this pattern.", place=text, next_step="Check the pattern and the folder.")
    return found


def _sources_of(text: str, account: Account) -> tuple[Argument, list[Source]]:
    if text == STDIN:
        argument = Argument(text, direct=True)
        return argument, [Source(STDIN, 0, 0, None, argument, partial(stdin_stream, account))]
    path = Path(text)
    mode = _status(path, text).st_mode
    argument = Argument(text, direct=not stat.S_ISDIR(mode))
    if stat.S_ISDIR(mode):
        return argument, _folder(path, argument, account)
    if stat.S_ISREG(mode):
        return argument, _file(path, text, 0, argument, account)
    if stat.S_ISFIFO(mode):
        return argument, [Source(text, 0, 0, None, argument, partial(file_stream, path, account))]
    cause = "is a socket, not a file." if stat.S_ISSOCK(mode) else "is a device, not a file."
    raise InputError(cause, place=text, next_step="Name a log file, folder or archive.")


def _status(path: Path, text: str) -> os.stat_result:
    try:
        return path.stat()
    except (OSError, ValueError) as error:
        raise unreadable(error, text) from None


def _file(path: Path, name: str, rank: int, argument: Argument, account: Account) -> list[Source]:
    status = _status(path, name)
    with opened(path, account) as file:
        head = file.read(_SNIFFED)
    if is_zip(head):
        members = zip_members(partial(opened, path, account), name, account)
        if document := foreign.document_kind(member.name for member in members):
            raise foreign.refusal(document, visible(name))
        return list(chosen(name, members, argument, argument.beside, account, path))
    if argument.direct:
        if member := named_member(path.name, head):
            keep_member(member, name, partial(file_stream, path, account), argument.beside, account)
            return []
        for other in beside(path):
            _keep_file(other, argument.beside, account)
    if _UNFINISHED.search(path.name):
        argument.beside.notes.append(f"{visible(name)}: by its name an unfinished download; its end may be missing.")
    modified = datetime.fromtimestamp(status.st_mtime, UTC)
    return [Source(visible(name), rank, status.st_size, modified, argument, partial(file_stream, path, account), path)]


def chosen(
    name: str, members: list[Member], argument: Argument, beside: Beside, account: Account, path: Path | None = None
) -> Iterator[Source]:
    """Return the members of a zip archive that may be the PBX log: those of the best rank, and inner archives."""
    ranks = {member.name: rank_of(member.name) for member in members}
    best = min((rank for n, rank in ranks.items() if not ARCHIVE.search(n)), default=NOT_A_LOG)
    for member in members:
        inner = bool(ARCHIVE.search(member.name))
        if not inner and (ranks[member.name] > best or best == NOT_A_LOG):
            pass_over(name, member, beside, account)
        elif member.refused:
            beside.skip(refusal(name, member))
        else:
            full = f"{visible(name)}!{member.name}"
            rank = 0 if inner else ranks[member.name]
            yield Source(full, rank, member.size, member.modified, argument, member.open, path)


def refusal(archive: str, member: Member) -> InputError:
    """Return why a member is not read."""
    place = f"{visible(archive)}!{member.name}"
    if member.refused == ENCRYPTED:
        step = "Unpack the archive with its password and name the log inside."
        return InputError("this log in the archive is encrypted.", place=place, next_step=step)
    return InputError(f"refused: {member.refused}.", place=place, next_step=UNPACK)


def pass_over(archive: str, member: Member, beside: Beside, account: Account) -> None:
    """Take from a member that is no log what `bundle.toml` names; count any other as skipped."""
    took = not member.refused and keep_known(member.name, f"{archive}!{member.name}", member.open, beside, account)
    beside.skipped += [] if took else [member.name]


def keep_known(name: str, shown: str, opened: Callable[[], Stream], beside: Beside, account: Account) -> bool:
    """Take from a file what `bundle.toml` names, by its name or, where that says nothing, by its content."""
    known = member_of(name)
    if known is None and not _FOREIGN.search(name):
        known = ROUTER  # of a text that is none, nothing is taken
    return known is not None and keep_member(known, shown, opened, beside, account)


def named_member(name: str, head: bytes) -> str | None:
    """Return which member of a bundle a file is that was named itself: by its name, or by what was pasted into it."""
    known = member_of(name)
    return sniffed(head.decode("utf-8", "replace")) if known in (None, *BY_CONTENT) else known


def keep_member(member: str, name: str, opened: Callable[[], Stream], beside: Beside, account: Account) -> bool:
    """Take from a member what `bundle.toml` names, and forget its text; say whether there was anything."""
    try:
        stream = opened()
        if kind := format_of(stream.peek()):
            stream = unpacked(kind, stream, name, account, [])
        known = member != ROUTER or is_router_log(_decoded(stream, _LOOKED_AT))
        text = _decoded(stream, BYTES.get(member, MEMBER_BYTES)) if known else ""
    except (InputError, OSError):
        text = ""
    found = taken(member, visible(name), text)
    beside.members += [found] if found or member != ROUTER else []
    return bool(found)


def _decoded(stream: Stream, limit: int) -> str:
    return stream.peek(limit)[:limit].decode("utf-8", "replace")


def router_log(name: str, stream: Stream, *, may_be: bool) -> Taken | None:
    """Return what a router's log tells, where a file that might be the PBX's is one by its content; else None."""
    head = _decoded(stream, _LOOKED_AT) if may_be else ""
    if not is_router_log(head):
        return None
    text = _decoded(stream, BYTES[ROUTER])
    return taken(ROUTER, visible(name), text) if is_router_log(text) else None


def as_router_log(path: str) -> str:
    """Return the path of a router's log, once it is known to be one.

    Raises
    ------
    InputError
        It cannot be read, or no line of it has a wording that is known.
    """
    account, found = Account(Limits()), Beside()
    opened(path, account).close()
    if not keep_member(ROUTER, path, partial(file_stream, Path(path), account), found, account):
        cause = "no line of it tells of a router's line, address or restart in a wording that is known here."
        step = "Known are the lists and logs of FRITZ!Box, OpenWrt, OPNsense, pfSense, MikroTik and conntrack, as text."
        raise InputError(cause, place=visible(path), next_step=step)
    return path


def beside(path: Path) -> list[Path]:
    """Return the members of a bundle that lie in the folder of a log, in the order of their names."""
    try:
        names = [entry.name for entry in islice(os.scandir(path.parent), _MOST_BESIDE)]
    except OSError:
        return []
    files = (path.parent / name for name in sorted(names) if member_of(name, beside=True))
    return [file for file in files if file != path and file.is_file() and not file.is_symlink()]


def _keep_file(path: Path, beside: Beside, account: Account) -> bool:
    return keep_known(path.name, str(path), partial(file_stream, path, account), beside, account)


def _folder(folder: Path, argument: Argument, account: Account) -> list[Source]:
    """Return the logs of a folder, at any depth: the best rank there is, and archives."""
    beside = argument.beside
    ranked = [
        (-1 if ARCHIVE.search(path.name) else rank_of(path.name), path) for path in _walk(folder, argument, account)
    ]
    best = min((rank for rank, _ in ranked if 0 <= rank < NOT_A_LOG), default=-1)
    sources = []
    for rank, path in ranked:
        if rank > best:
            beside.skipped += [] if _keep_file(path, beside, account) else [str(path.relative_to(folder))]
            continue
        try:
            sources += _file(path, str(path), max(rank, 0), argument, account)
        except InputError as error:
            beside.skip(error)
    return sources


def _walk(folder: Path, argument: Argument, account: Account) -> Iterator[Path]:
    notes, limit = argument.beside.notes, account.limits.max_members
    count = 0

    for root, folders, files in os.walk(
        folder, onerror=lambda error: notes.append(f"skipped: {unreadable(error, error.filename)}")
    ):
        folders.sort()
        for name in sorted(files):
            path = Path(root, name)
            count += 1
            if count > limit:
                cause = f"refused: more than {limit:,} files in this folder."
                step = "Name the log itself."
                raise RefusedError(cause, place=argument.text, next_step=step)
            try:
                if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
                    notes.append(f"skipped: {visible(str(path))} is a link out of the folder.")
                elif path.is_file():
                    yield path
            except (OSError, RuntimeError) as error:  # a link that leads nowhere, in a circle, or may not be followed
                notes.append(f"skipped: {unreadable(error, str(path))}")
