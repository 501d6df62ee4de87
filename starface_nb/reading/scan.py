"""The few relevant lines out of any source, at the speed of memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from starface_nb.errors import InputError
from starface_nb.progress import progress_bar
from starface_nb.reading.dumps import Dumps
from starface_nb.reading.hits import READ_AT_ONCE, Hits, Reader, read_together
from starface_nb.reading.layouts import Ends, usual_prefix
from starface_nb.reading.lines import Blocks, Needles, searched
from starface_nb.reading.unwrap import Text, texts
from starface_nb.sources.foreign import next_step, nothing_in
from starface_nb.sources.limits import ALLOW_DAMAGED, Account, DamagedError, ExhaustedError, Limits, RefusedError, cores
from starface_nb.sources.named import ANY_NAME, Argument, Beside, Source, expand, likeliest, router_log
from starface_nb.sources.streams import unreadable

__all__ = ["Limits", "scan_logs"]

EDGE = 64 << 10
_WIDE = "is UTF-16, which is not read within UTF-8"
_SMALL = 1 << 20  # bytes of sources that are read together
PIPED = 64 << 20  # bytes of a log from a pipe that are kept to show lines of it


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
    words: bool
    ends: bool
    threads: int  # for each source


def scan_logs(
    logs: Sequence[str | os.PathLike[str]],
    needles: Sequence[bytes],
    *,
    progress: bool = True,
    limits: Limits | None = None,
    words: bool = False,
    ends: bool = True,
) -> tuple[list[Hits], list[str]]:
    """Find every line that holds one of the needles.

    Parameters
    ----------
    logs : sequence of path
        Files (plain, gz, bz2, xz, lzma, zst, zip, tar), folders, globs, or `-` for standard input.
    needles : sequence of bytes
        Literal byte strings without newline. Those with four rare bytes are cheapest.
    progress : bool
        Show a progress bar when it lasts longer than a second.
    limits : Limits, optional
        Default: the usual ones, as changed by the environment.
    words : bool
        Keep the text of every line, see `messages.read_lines`.
    ends : bool
        Read a file's first and last lines even where no other line of it is found.

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
    account = Account(limits or Limits())
    arguments, sources = expand(logs, account)
    account.take_read()
    groups = _groups(sources)
    job = Job(Needles(needles), account, words, ends, max(1, cores() // max(1, len(groups))))
    with ThreadPoolExecutor(cores(), thread_name_prefix="scan") as pool:
        try:
            outcomes = _run(groups, job, pool, progress)
        except BaseException:
            account.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    notes: list[str] = []
    besides = [*(outcome.beside for outcome in outcomes), *(argument.beside for argument in arguments)]
    members = tuple(one for beside in besides for one in beside.members)
    hits = [one for argument in arguments for one in _best(argument, outcomes, account.limits, notes)]
    if not hits:
        step = f"Name the log itself beside it. {next_step(None)}"
        what = " (a router's list of events)" if any(one.router for one in members) else ""
        raise InputError(f"holds no log, only what lies beside one{what}.", place=arguments[0].text, next_step=step)
    return [replace(hit, members=members) for hit in hits], notes


def _groups(sources: Sequence[Source]) -> list[list[Source]]:
    """Return the sources, small ones next to each other in one group; a pipe alone: it may have to be waited for."""
    groups = list[list[Source]]()
    for source in sources:
        last = groups[-1] if groups else []
        if last and last[-1].path and source.path and sum(one.size for one in last) + source.size <= _SMALL:
            last.append(source)
        else:
            groups.append([source])
    return groups


def _run(groups: list[list[Source]], job: Job, pool: ThreadPoolExecutor, progress: bool) -> list[Outcome]:
    work = [pool.submit(_scan, group, job) for group in groups]
    left = set(work)
    with progress_bar(sum(one.size for group in groups for one in group), "Reading", enabled=progress) as advance:
        while left:
            done, left = wait(left, timeout=0.2, return_when=FIRST_EXCEPTION)
            advance(job.account.take_read())  # in this thread alone: notebooks' widgets know no other
            for one in done:
                one.result()
    return [outcome for one in work for outcome in one.result()]


def _best(argument: Argument, outcomes: Sequence[Outcome], limits: Limits, notes: list[str]) -> list[Hits]:
    """Return the hits of an argument's best rank, with the `logger.conf` found beside them."""
    mine = [outcome for outcome in outcomes if outcome.source.argument is argument]
    besides = [argument.beside, *(outcome.beside for outcome in mine)]
    own = [note for beside in besides for note in beside.notes]
    found = [one for outcome in mine for one in outcome.hits]
    best = min((one.rank for one in found), default=0)
    kept = [one for one in found if one.rank == best]
    known = any(beside.members for beside in besides)
    errors = [error for beside in besides for error in beside.errors]
    if not kept and not errors and (known or (mine == [] and argument.beside == Beside() and outcomes)):
        return []  # every file of it was named before, or it is no log but what lies beside one
    exhausted = [error for error in errors if isinstance(error, ExhaustedError)]
    if not kept and (exhausted or len(errors) == 1):
        raise [*exhausted, *errors][0]
    if not kept:
        raise nothing_in(argument.text, own)
    damages = [one.damage for one in kept if one.damage]
    if not limits.allow_damaged and (len(damages) == len(kept) or any(d.place == argument.text for d in damages)):
        step = f"Copy it again from its origin, or read what is there: set {ALLOW_DAMAGED}=1."
        raise InputError(damages[0].cause, place=damages[0].place, next_step=step)
    own += [one.damage.told(one.name, one.bytes) for one in kept if one.damage]
    skipped = [name for beside in besides for name in beside.skipped] + [one.name for one in found if one.rank > best]
    names = likeliest(skipped)
    if n := len(skipped):
        own.append(f"{argument.text}: {n} other files were not read, by their names less likely the PBX log: {names}.")
    notes += own
    return kept


# ---- some sources ----


def _scan(sources: Sequence[Source], job: Job) -> list[Outcome]:
    """Scan some sources; what is found in small ones is read in one go."""
    searched = [_search(source, job) for source in sources]
    read_together([one for _, found in searched for one in found])
    for outcome, found in searched:
        outcome.hits.extend(one.hits() for one in found)
        outcome.beside.notes.extend(
            f"{one.name}: {note}." for one in outcome.hits for note in one.remarks if _WIDE in note
        )
    return [outcome for outcome, _ in searched]


def _search(source: Source, job: Job) -> tuple[Outcome, list[Reader]]:
    """Search what is in a source, text after text."""
    outcome, found, waiting = Outcome(source, [], Beside()), list[Reader](), list[Reader]()
    try:
        for one in _searched(source, job, outcome.beside):
            found.append(one)
            if one.text.archives < 2:  # what is in archives in archives is not read before all of them are known
                waiting.append(one)
            if one.waiting * len(waiting) > READ_AT_ONCE:  # so that some times as many lines wait at most
                read_together(waiting)
                waiting.clear()
    except InputError as error:
        if isinstance(error, ExhaustedError):  # what is in archives in archives is then a random part
            found = [one for one in found if one.text.archives < 2]
        if isinstance(error, DamagedError) and found:
            found[-1].damage = found[-1].damage or error
        elif source.direct and not found:
            raise
        else:
            outcome.beside.skip(error)
    except OSError as error:
        outcome.beside.skip(unreadable(error, source.name))
    return outcome, found


def _searched(source: Source, job: Job, beside: Beside) -> Iterator[Reader]:
    """Yield the reader of each text, once it is searched."""
    for text in texts(source, job.account, beside):
        may_be = source.direct or text.rank >= ANY_NAME
        if (router := router_log(text.name, text.stream, may_be=may_be)) is not None:
            beside.members.append(router)
            continue
        try:
            yield _scan_text(text, job, pipe=source.path is None)
        except RefusedError as error:
            if isinstance(error, ExhaustedError) or not text.archives:
                raise
            beside.skip(error)


def _scan_text(text: Text, job: Job, *, pipe: bool) -> Reader:
    """Search a text to its end."""
    kept = bytearray()

    def fill(room: memoryview) -> int:  # what comes through a pipe can not be read again
        count = text.stream.readinto(room)
        if len(kept) <= PIPED:
            kept.extend(room[:count])
        return count

    prefix = usual_prefix(Ends(text.stream.peek(EDGE)[:EDGE], b"", 2 * EDGE).lines.values())
    stream, dumps = text.stream, Dumps(prefix)
    blocks = Blocks(fill if pipe else stream.readinto, EDGE, is_file=stream.is_file)
    reader = Reader(text, prefix, words=job.words, ends=job.ends)
    for placed in dumps.placed(searched(blocks, job.needles, job.account, text.name, job.threads), blocks):
        reader.add(placed)
    if reader.wide is not None:
        text.remarks.append(f"from about byte {reader.wide:,} on some of it {_WIDE}")
    ends = Ends(blocks.head, blocks.tail, blocks.size)
    reader.end(ends, dumps.among_ends(list(ends.lines), ends.head))
    reader.damage, reader.content = blocks.damage, bytes(kept) if pipe and len(kept) <= PIPED else None
    return reader
