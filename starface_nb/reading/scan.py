"""The few relevant lines out of any source, at the speed of memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from threading import local
from typing import Any

from starface_nb.errors import InputError
from starface_nb.progress import Progress
from starface_nb.reading.archives import is_tar
from starface_nb.reading.cache import Grown
from starface_nb.reading.context import kept_from_pipe
from starface_nb.reading.decompress import ahead, filling, format_of, peek, utf16_codec
from starface_nb.reading.hits import Hits, Reader
from starface_nb.reading.layouts import Ends, usual_prefix
from starface_nb.reading.limits import Account, DamagedError, Limits, RefusedError, cores
from starface_nb.reading.lines import Block, Needles, Scanner
from starface_nb.reading.sources import Argument, Beside, Source, expand, opened
from starface_nb.reading.unwrap import Text, check_text, texts

__all__ = ["Limits", "scan_logs"]

EDGE = 64 << 10
STRETCH = 32 << 20  # least unit of parallel work
_SHARES = 6  # stretches per core


@dataclass(frozen=True)
class Outcome:
    """What one source gave."""

    source: Source
    hits: list[Hits]
    beside: Beside


@dataclass(frozen=True)
class Job:
    """One reading: what all its threads share."""

    needles: Needles
    account: Account
    grown: Grown
    pool: ThreadPoolExecutor
    words: bool
    mine: local = field(default_factory=local)  # each thread's own block


@dataclass(frozen=True)
class Task:
    """A source at work: its pieces under way, what takes their results in order, and what makes an outcome of them."""

    pieces: deque[Future[Any]]
    take: Callable[[Any], None]
    end: Callable[[], Outcome]


def scan_logs(
    logs: Sequence[str | os.PathLike[str]],
    needles: Sequence[bytes],
    *,
    progress: bool = True,
    limits: Limits | None = None,
    cache: Path | None = None,
    words: bool = False,
) -> tuple[list[Hits], list[str]]:
    """Find every line that holds one of the needles.

    Parameters
    ----------
    logs : sequence of path
        Files (plain, gz, bz2, xz, zst, zip, tar), folders, globs, or `-` for standard input.
    needles : sequence of bytes
        Literal byte strings without newline. Those with four rare bytes are cheapest.
    progress : bool
        Show a progress bar when it lasts longer than a second.
    limits : Limits, optional
        Default: the usual ones, as changed by the environment.
    cache : path, optional
        Folder to remember plain logs in: one that has grown is then read only from where it ended.
    words : bool
        Keep the text of every line, see `messages.read_lines`.

    Returns
    -------
    hits : list of Hits
        One per log file, in the order named; within a folder by name, within an archive as stored. The same on any
        number of cores.
    notes : list of str
        What was skipped or refused, and why.

    Raises
    ------
    InputError
        No such file, nothing to read in it, no text, damaged, encrypted, or refused by a limit.
    """
    account = Account(limits or Limits.from_environment())
    arguments, sources = expand(logs, account)
    account.take_read()
    with ThreadPoolExecutor(cores(), thread_name_prefix="scan") as pool:
        grown = Grown(cache, f"{sorted(needles)!r}|{account.limits!r}|{words}")
        job = Job(Needles(needles), account, grown, pool, words)
        try:
            outcomes = _run(sources, job, progress)
        except BaseException:
            account.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    notes: list[str] = []
    hits = [one for argument in arguments for one in _best(argument, outcomes, account.limits, notes)]
    return hits, notes


def _run(sources: Sequence[Source], job: Job, progress: bool) -> list[Outcome]:
    tasks = [_begin(source, job) for source in sources]
    outcomes: dict[int, Outcome] = {}
    with Progress(sum(s.size for s in sources), "Reading", enabled=progress) as bar:
        while len(outcomes) < len(tasks):
            for i, task in enumerate(tasks):
                while task.pieces and task.pieces[0].done():
                    task.take(task.pieces.popleft().result())
                if not task.pieces and i not in outcomes:
                    outcomes[i] = task.end()
            wait([task.pieces[0] for task in tasks if task.pieces], timeout=0.2, return_when=FIRST_COMPLETED)
            bar.advance(job.account.take_read())  # in this thread alone: notebooks' widgets know no other
    return [outcomes[i] for i in range(len(tasks))]


def _best(argument: Argument, outcomes: Sequence[Outcome], limits: Limits, notes: list[str]) -> list[Hits]:
    """Return the hits of an argument's best rank, with the `logger.conf` found beside them."""
    mine = [outcome for outcome in outcomes if outcome.source.argument is argument]
    besides = [argument.beside, *(outcome.beside for outcome in mine)]
    own = [note for beside in besides for note in beside.notes]
    found = [one for outcome in mine for one in outcome.hits]
    best = min((one.rank for one in found), default=0)
    kept = [one for one in found if one.rank == best]
    if not kept and mine == [] and argument.beside == Beside() and outcomes:
        return []  # every file of it was named before
    if not kept:
        cause = "holds no log that can be read" + (f" ({' '.join(own[:3])})." if own else ".")
        raise InputError(cause, place=argument.text, next_step="Name Asterisk's full log, or an archive that holds it.")
    damages = [one.damage for one in kept if one.damage]
    if not limits.allow_damaged and (len(damages) == len(kept) or any(d.place == argument.text for d in damages)):
        step = "Copy it again from its origin, or read what is there: set STARFACE_NB_ALLOW_DAMAGED=1."
        raise InputError(damages[0].cause, place=damages[0].place, next_step=step)
    skipped = sum(beside.skipped for beside in besides) + len(found) - len(kept)
    if skipped:
        own.append(f"{argument.text}: {skipped} other files were not read; by their names they are not the PBX log.")
    notes += own
    conf = next((beside.logger_conf for beside in besides if beside.logger_conf), None)
    return [replace(one, logger_conf=conf) for one in kept]


# ---- one source ----


def _begin(source: Source, job: Job) -> Task:
    if source.path is not None and "!" not in source.name:
        head = _read(source.path, 0, EDGE, job.account)
        if not (format_of(head) or is_tar(head) or utf16_codec(head)):
            return _begin_plain(source, source.path, head, job)
    outcome = Outcome(source, [], Beside())
    return Task(deque([job.pool.submit(_stream, outcome, job)]), lambda _: None, lambda: outcome)


def _read(path: Path, start: int, count: int, account: Account) -> bytes:
    with opened(path, account) as file:
        file.seek(start)
        return file.read(count)


def _begin_plain(source: Source, path: Path, head: bytes, job: Job) -> Task:
    """Scan a plain file in stretches on all cores, up to the size it has now."""
    try:
        check_text(head, source.name)
    except InputError as error:
        if source.direct:
            raise
        outcome = Outcome(source, [], Beside([f"skipped: {error}"]))
        return Task(deque(), lambda _: None, lambda: outcome)
    size = path.stat().st_size
    tail = _read(path, max(0, size - EDGE), min(size, EDGE), job.account)
    reader, start = Reader(usual_prefix(Ends(head[:size], tail, size).lines), words=job.words), 0
    if known := job.grown.load(path, size, reader.prefix):
        rows, marks, reader.found, start = known
        reader.rows.append(rows)
        reader.marks.append(marks)
    counts = [start]

    def take(result: tuple[Reader, int]) -> None:
        reader.follow(result[0])
        counts.append(result[1])

    def end() -> Outcome:
        return Outcome(source, [_plain_hits(source, path, head, reader, sum(counts), size, job)], Beside())

    stretches = pairwise(_line_starts(path, start, size, job))
    pieces = (job.pool.submit(_stretch, path, *stretch, reader.prefix, job) for stretch in stretches)
    return Task(deque(pieces), take, end)


def _plain_hits(source: Source, path: Path, head: bytes, reader: Reader, size: int, expected: int, job: Job) -> Hits:
    tail = _read(path, max(0, size - EDGE), min(size, EDGE), job.account)
    remarks = ["became shorter while it was read"] if size < expected else []
    about = {"modified": source.modified, "rank": source.rank, "remarks": remarks}
    hits = reader.hits(source.name, Ends(head[:size], tail, size), **about)
    if not remarks:
        job.grown.save(path, hits, reader.prefix)
    return hits


def _line_starts(path: Path, start: int, size: int, job: Job) -> list[int]:
    """Return the offsets at which stretches of whole lines begin, and the size."""
    step = max(STRETCH, (size - start) // (_SHARES * cores()))
    found = [start]
    for at in range(start + step, size, step):
        newline = _read(path, at - 1, EDGE, job.account).find(b"\n")
        if newline >= 0 and found[-1] < at + newline < size:
            found.append(at + newline)
    return [*found, size] if size > start else found


def _stretch(path: Path, start: int, end: int, prefix: str | None, job: Job) -> tuple[Reader, int]:
    """Return what the lines in `[start, end)` hold, and how many bytes were there."""
    scanner, reader, at = Scanner(job.needles, job.account, str(path), start), Reader(prefix, words=job.words), start
    if not hasattr(job.mine, "block"):
        job.mine.block = Block()
    block: Block = job.mine.block
    with opened(path, job.account) as file:
        file.seek(start)
        while at < end and (count := file.readinto(block.room[: end - at])):
            at += count
            scanner.scan(block, count)
            reader.add(scanner.take())
    reader.add(scanner.finish(block))
    return reader, at - start


def _stream(outcome: Outcome, job: Job) -> None:
    """Scan what must be read from its beginning: compressed files, archives, members, pipes."""
    source = outcome.source
    try:
        for text in texts(source, job.account, outcome.beside):
            blocks = text.blocks if source.path else kept_from_pipe(text.name, text.blocks)
            words = job.words or source.path is None  # a pipe is not read again
            outcome.hits.append(_scan_text(replace(text, blocks=blocks), job, words=words))
    except RefusedError:
        raise
    except InputError as error:
        if isinstance(error, DamagedError) and outcome.hits:
            outcome.hits[-1] = replace(outcome.hits[-1], damage=error)
        elif source.direct:
            raise
        else:
            outcome.beside.notes.append(f"skipped: {error}")


def _scan_text(text: Text, job: Job, *, words: bool) -> Hits:
    scanner, block = Scanner(job.needles, job.account, text.name), Block()
    head, blocks = peek(text.blocks, EDGE)
    first = Ends(head[:EDGE], b"", len(head) + 1)
    reader, tail, size, damage = Reader(usual_prefix(first.lines), words=words), b"", 0, None
    try:
        for block, count in ahead(text.fill or filling(blocks)):
            scanner.scan(block, count)
            reader.add(scanner.take())
            size += count
            tail = (tail + block.room[max(0, count - EDGE) : count])[-EDGE:]
    except DamagedError as error:
        damage = error
    reader.add(scanner.finish(block))
    about = {"modified": text.modified, "rank": text.rank, "remarks": text.remarks, "damage": damage}
    return reader.hits(text.name, Ends(head[:EDGE], tail, size), **about)
