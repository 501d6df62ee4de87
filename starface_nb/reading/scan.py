"""The few relevant lines out of any source, at the speed of memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from isal import isal_zlib

from starface_nb.errors import InputError
from starface_nb.progress import Progress
from starface_nb.reading.archives import is_tar
from starface_nb.reading.context import kept_from_pipe
from starface_nb.reading.decompress import ahead, format_of, utf16_codec
from starface_nb.reading.hits import EDGE, Hits, Scanned
from starface_nb.reading.limits import Account, DamagedError, Limits, RefusedError
from starface_nb.reading.lines import SEGMENT, Checksums, Found, Needles, Scanner
from starface_nb.reading.remember import HitStore, Memory, prefix, status_of
from starface_nb.reading.sources import Argument, Beside, Source, expand, opened
from starface_nb.reading.unwrap import Text, check_text, texts

__all__ = ["Hits", "Limits", "scan_logs"]

_PIECE = 4 << 10


@dataclass(frozen=True)
class Outcome:
    """What one source gave."""

    source: Source
    texts: list[Scanned]
    beside: Beside


@dataclass(frozen=True)
class Job:
    """One reading: what all its threads share."""

    needles: Needles
    account: Account
    store: HitStore
    pool: ThreadPoolExecutor


@dataclass(frozen=True)
class Task:
    """A source at work: its futures, and how their results become an outcome."""

    futures: list[Future[Any]]
    collect: Callable[[list[Any]], Outcome]


def scan_logs(
    logs: Sequence[str | os.PathLike[str]],
    needles: Sequence[bytes],
    *,
    progress: bool = True,
    limits: Limits | None = None,
    cache: Path | None = None,
) -> tuple[list[Hits], list[str]]:
    """Find every line that holds one of the needles.

    Parameters
    ----------
    logs : sequence of path
        Files (plain, gz, bz2, xz, zst, zip, tar), folders, globs, or `-` for standard input.
    needles : sequence of bytes
        Literal byte strings without newline. Those whose first three bytes are rare in logs are cheapest.
    progress : bool
        Show a progress bar when it lasts longer than a second.
    limits : Limits, optional
        Default: the usual ones, as changed by the environment.
    cache : path, optional
        Folder to remember the result in; a plain log that has grown is then read only from where it ended.

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
    with _pool() as pool:
        job = Job(Needles(needles), account, HitStore(cache, needles, account.limits), pool)
        try:
            outcomes = _run(sources, job, progress)
        except BaseException:
            account.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    notes: list[str] = []
    hits = [h for argument in arguments for h in _best(argument, outcomes, account.limits, notes)]
    return hits, notes


def _pool() -> ThreadPoolExecutor:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ThreadPoolExecutor(min(8, cores), thread_name_prefix="scan")


def _run(sources: Sequence[Source], job: Job, progress: bool) -> list[Outcome]:
    tasks = [_begin(source, job) for source in sources]
    outcomes = []
    with Progress(sum(s.size for s in sources), "Reading", enabled=progress) as bar:
        for task in tasks:
            left = set(task.futures)
            while left:  # the bar moves in this thread alone: notebooks' widgets know no other
                done, left = wait(left, timeout=0.2)
                bar.advance(job.account.take_read())
                for future in done:
                    future.result()
            outcomes.append(task.collect([future.result() for future in task.futures]))
    return outcomes


def _best(argument: Argument, outcomes: Sequence[Outcome], limits: Limits, notes: list[str]) -> list[Hits]:
    """Return the hits of an argument's best rank, with the `logger.conf` found beside them."""
    mine = [outcome for outcome in outcomes if outcome.source.argument is argument]
    besides = [argument.beside, *(outcome.beside for outcome in mine)]
    own = [note for beside in besides for note in beside.notes]
    found = [text for outcome in mine for text in outcome.texts]
    best = min((text.rank for text in found), default=0)
    kept = [text for text in found if text.rank == best]
    if not kept and mine == [] and argument.beside == Beside() and outcomes:
        return []  # every file of it was named before
    if not kept:
        cause = "holds no log that can be read" + (f" ({' '.join(own[:3])})." if own else ".")
        raise InputError(cause, place=argument.text, next_step="Name Asterisk's full log, or an archive that holds it.")
    damages = [text.damage for text in kept if text.damage]
    if not limits.allow_damaged and (len(damages) == len(kept) or any(d.place == argument.text for d in damages)):
        step = "Copy it again from its origin, or read what is there: set STARFACE_NB_ALLOW_DAMAGED=1."
        raise InputError(damages[0].cause, place=damages[0].place, next_step=step)
    skipped = sum(beside.skipped for beside in besides) + len(found) - len(kept)
    if skipped:
        own.append(f"{argument.text}: {skipped} other files were not read; by their names they are not the PBX log.")
    notes += own
    conf = next((beside.logger_conf for beside in besides if beside.logger_conf), None)
    return [text.hits(conf) for text in kept]


# ---- one source ----


def _begin(source: Source, job: Job) -> Task:
    memory = job.store.load(source)
    if memory and memory.complete:
        return Task([], lambda _: Outcome(source, memory.texts, memory.beside))
    if source.path is None:
        return Task([job.pool.submit(_stream, source, job)], lambda results: results[0])
    status = status_of(source.path)
    if "!" not in source.name:
        head = _read(source.path, 0, EDGE, job.account)
        if not (format_of(head) or is_tar(head) or utf16_codec(head)):
            return _begin_plain(source, head, status, memory, job)
    return Task([job.pool.submit(_stream, source, job)], partial(_end_stream, source, status, job))


def _read(path: Path, start: int, count: int, account: Account) -> bytes:
    with opened(path, account) as file:
        file.seek(start)
        return file.read(count)


def _begin_plain(source: Source, head: bytes, status: tuple[int, int], memory: Memory | None, job: Job) -> Task:
    """Scan a plain file in stretches of 32 MiB, on all cores, up to the size it has now."""
    assert source.path is not None  # noqa: S101
    try:
        check_text(head, source.name)
    except InputError as error:
        if source.direct:
            raise
        outcome = Outcome(source, [], Beside([f"skipped: {error}"]))
        return Task([], lambda _: outcome)
    size = status[0]
    parts, sums = prefix(memory) if memory else ([], [])
    futures = [
        job.pool.submit(_segment, source, start, min(start + SEGMENT, size), size, job)
        for start in range(len(parts) * SEGMENT, size, SEGMENT)
    ]
    return Task(futures, partial(_end_plain, source, head, status, parts, sums, job))


def _segment(source: Source, start: int, end: int, size: int, job: Job) -> tuple[Found, int, int]:
    """Return what the lines that begin in `[start, end)` hold, the CRC-32 of these bytes, and how many were there."""
    assert source.path is not None  # noqa: S101
    begin = max(0, start - 1)  # the byte before tells whether a line begins at `start`
    scanner = Scanner(job.needles, job.account, source.name, begin, inside=start > 0)
    crc, at = 0, begin
    with opened(source.path, job.account) as file:
        file.seek(begin)
        while at < end:
            room = scanner.room()[: end - at]
            count = file.readinto(room)
            if not count:
                break
            crc = isal_zlib.crc32(room[max(0, start - at) : count], crc)
            at += count
            scanner.advance(count)
        while scanner.inside and at < size:
            piece = file.read(min(_PIECE, size - at))
            at += len(piece)
            stop = piece.find(b"\n") + 1
            scanner.feed(piece[:stop] if stop else piece)
            if stop or not piece:
                break
    return scanner.finish(), crc, max(0, min(at, end) - start)


def _end_plain(
    source: Source,
    head: bytes,
    status: tuple[int, int],
    parts: list[Found],
    sums: list[int],
    job: Job,
    results: list[tuple[Found, int, int]],
) -> Outcome:
    assert source.path is not None  # noqa: S101
    size = len(parts) * SEGMENT + sum(count for _, _, count in results)
    remarks = ["became shorter while it was read"] if size < status[0] else []
    text = Scanned(
        name=source.name,
        rank=source.rank,
        modified=source.modified,
        parts=parts + [found for found, _, _ in results],
        sums=sums + [crc for _, crc, _ in results],
        head=head[:size],
        tail=_read(source.path, max(0, size - EDGE), min(size, EDGE), job.account),
        size=size,
        remarks=remarks,
    )
    if not remarks:
        job.store.save(source, [text], Beside(), status)
    return Outcome(source, [text], Beside())


def _stream(source: Source, job: Job) -> Outcome:
    """Scan what must be read from its beginning: compressed files, archives, members, pipes."""
    outcome = Outcome(source, [], Beside())
    try:
        for text in texts(source, job.account, outcome.beside):
            blocks = text.blocks if source.path else kept_from_pipe(text.name, text.blocks)
            outcome.texts.append(_scan_text(replace(text, blocks=blocks), job))
    except RefusedError:
        raise
    except InputError as error:
        if isinstance(error, DamagedError) and outcome.texts:
            outcome.texts[-1] = replace(outcome.texts[-1], damage=error)
        elif source.direct:
            raise
        else:
            outcome.beside.notes.append(f"skipped: {error}")
    return outcome


def _end_stream(source: Source, status: tuple[int, int], job: Job, results: list[Outcome]) -> Outcome:
    job.store.save(source, results[0].texts, results[0].beside, status)
    return results[0]


def _scan_text(text: Text, job: Job) -> Scanned:
    scanner = Scanner(job.needles, job.account, text.name)
    sums, head, tail, size, damage = Checksums(), b"", b"", 0, None
    try:
        for block in ahead(text.blocks):
            scanner.feed(block)
            sums.update(memoryview(block))
            size += len(block)
            head = head if len(head) == EDGE else (head + block)[:EDGE]
            tail = (block if len(block) >= EDGE else tail + block)[-EDGE:]
    except DamagedError as error:
        damage = error
    return Scanned(
        name=text.name,
        rank=text.rank,
        modified=text.modified,
        parts=[scanner.finish()],
        sums=sums.finish(),
        head=head,
        tail=tail,
        size=size,
        remarks=text.remarks,
        damage=damage,
    )
