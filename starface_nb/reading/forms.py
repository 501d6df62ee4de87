"""A log in the form in which it was handed over, to lines as Asterisk writes them: forms are data, see `forms.toml`.

A plain log is passed through untouched. What the head of a file shows decides: a form is taken off only where that
makes most of the lines readable that are not readable as they are, so that text which merely stands in a plain log
(dumps, continuation lines) never becomes a line of its own.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, groupby, pairwise

import polars as pl

from starface_nb.reading import clock, exports
from starface_nb.reading.exports import Line, Physical
from starface_nb.reading.layouts import usual_prefix
from starface_nb.reading.messages import read_lines, text_of
from starface_nb.reading.stamps import read_stamps
from starface_nb.reading.tidy import tidied, without_end
from starface_nb.reading.undress import AT_ONCE, ZONE_STEP, knowledge, own, undressed
from starface_nb.sources.limits import DamagedError, RefusedError
from starface_nb.sources.streams import Stream
from starface_nb.tables import table

SNIFF = 1 << 20  # bytes of a file's head that are looked at
_WINDOW = 64 << 10
_WIDEST = 200  # columns; what is wider was not wrapped
_SCREEN = 60  # columns; nothing is wrapped at fewer
_MAIL = 72  # columns at which mail programs wrap, or a few more
_GLUED = 1.5  # headers on a line with one, on average: from there on lines are glued together


@dataclass(frozen=True)
class Form:
    """What was done to a log's lines.

    Attributes
    ----------
    returns : bool
        Carriage returns alone end the lines.
    mail : bool
        The text is a mail as it was saved.
    page : bool
        A page's tags stand in it.
    export : str
        Kind of a search engine's export (see `exports`), or empty.
    tidy : bool
        Characters were changed, or something stands behind the lines, or before the first one.
    dressed : bool
        Something stands before the lines, too.
    glued : bool
        Several lines stand on one.
    width : int
        Columns at which lines were wrapped, 0 where they were not.
    cut : bool
        They were wrapped wherever that column was, and not at a blank.
    chains : frozenset of tuple of str
        What stands before the lines, by its names in `forms.toml`; anything, where it is empty.
    late : bool
        A collector read the lines long after they were written: its stamps tell nothing of them.
    newest_first : bool
        The newest line comes first.
    """

    returns: bool = False
    mail: bool = False
    page: bool = False
    export: str = ""
    tidy: bool = False
    dressed: bool = False
    glued: bool = False
    width: int = 0
    cut: bool = False
    chains: frozenset[tuple[str, ...]] = frozenset()
    late: bool = False
    newest_first: bool = False


PLAIN = Form()


def plain_text(head: bytes, stream: Stream, numbers: array[int]) -> Stream:
    """Return a log's text as Asterisk writes it: the stream itself where it is that already.

    Parameters
    ----------
    head : bytes
        The first `SNIFF` bytes of the text (fewer only if it has no more); the stream begins with them, too.
    stream : Stream
        UTF-8 or an 8-bit code page.
    numbers : array of int
        Gets, for every line as it is read, the number of the physical line it came from; stays empty where the
        stream is passed through.

    Notes
    -----
    Reading raises `RefusedError` where the newest line comes first in more text than may be held, to be turned round.
    """
    form = form_of(head[:SNIFF])
    return stream if form == PLAIN else Stream.of(_rewritten(form, stream.blocks(), numbers))


def _rewritten(form: Form, blocks: Iterable[bytes], numbers: array[int]) -> Iterator[bytes]:
    if form.mail:
        blocks = [exports.unmailed(b"".join(blocks))]
    size, held, damage = 0, list[bytes](), None
    try:
        for number, text in _turned(form, _lines(form, _physical(form, blocks))):
            numbers.append(number)
            held.append(text.encode("utf-8", "replace"))
            size += len(held[-1]) + 1
            if size > _WINDOW:
                yield b"\n".join(held) + b"\n"
                size, held = 0, []
    except DamagedError as error:
        damage = error
    if held:
        yield b"\n".join(held) + b"\n"
    if damage:
        raise damage


def _turned(form: Form, lines: Iterator[Physical]) -> Iterator[Physical]:
    """Yield the lines in the order of time: where the newest comes first, from the last one on."""
    if form.export or not form.newest_first:  # an export's records are turned round, see `_lines`
        return lines
    physical = (list(group) for _, group in groupby(_held(lines), key=lambda line: line[0]))
    return (line for parts in reversed(list(physical)) for line in parts)


def _held(lines: Iterable[Line]) -> Iterator[Line]:
    """Pass on what is held in memory to be turned round."""
    cause = "refused: its newest line comes first, in more than 128 MiB."
    return exports.held(lines, RefusedError(cause, next_step="Turn it round: tac LOG > TURNED."))


def _physical(form: Form, blocks: Iterable[bytes]) -> Iterator[Physical]:
    """Yield the lines of a text with their numbers."""
    end, number, rest = b"\r" if form.returns else b"\n", 0, list[bytes]()
    for block in chain(blocks, [None]):
        parts = [b""] if block is None else block.split(end)
        rest.append(parts[0])
        if len(parts) == 1 and block is not None:
            continue
        whole = [b"".join(rest), *parts[1:-1]]
        for raw in whole if block is not None or whole[0] else []:
            number += 1
            yield number, text_of(raw).strip("\r\0")
        rest = [parts[-1]]


# ---- which form it is ----


@lru_cache(maxsize=64)
def form_of(head: bytes) -> Form:
    """Return the form of a text by its head."""
    whole = head.removeprefix(b"\xef\xbb\xbf")
    mail = exports.is_mail(whole[:_WINDOW].decode("latin-1"))
    if mail:
        whole = exports.unmailed(whole)
    window = _window(whole, "sign")
    if window is None:
        return PLAIN
    returns = b"\n" not in window and b"\r" in window
    base = Form(returns=returns, mail=mail)
    if not (returns or mail) and _is_plain(window):
        lines = list(_physical(base, [window]))
        return replace(base, newest_first=_is_reversed(base, lines)) if _may_be_reversed(lines) else PLAIN
    if not own("event").search(text_of(window)):
        window = _window(whole, "event") or window
    best, lines = _best(base, window, whole[:_WINDOW]), list(_physical(base, [window]))
    best = replace(best, late=best.dressed and _is_late(best, lines))
    return replace(best, newest_first=_is_reversed(best, lines))


def _window(head: bytes, sign: str) -> bytes | None:
    """Return what to look at: whole lines from the beginning on, or from somewhat before the first with a sign on."""
    text = head.decode("utf-8", "replace")
    found = own(sign).search(text)
    if not found:
        return None
    at = len(text[: found.start()].encode()) - _WINDOW // 2
    start = head.rfind(b"\n", 0, at) + 1 if at > 0 else 0
    window = head[start : start + _WINDOW]
    return window if len(head) <= start + _WINDOW else window[: window.rfind(b"\n") + 1] or window


def _is_plain(window: bytes) -> bool:
    """Say at once of an ordinary log that it is one: nearly every line begins with a header, and no other holds one."""
    if not window.isascii():
        return False
    lines = window.decode("ascii").split("\n")
    others = [line for line in lines if line.strip() and not own("plain").match(line)]
    # SIP debugging is on
    traced = re.search(r"(?m)^(?:<--- .* --->|.*ransmitting .* to \S+:)\r?$", window.decode("ascii"))
    if (20 * len(others) > len(lines) and not traced) or any(own("sign").search(line) for line in others):
        return False
    return 5 * sum(without_end(tidied(line)) != line.rstrip() for line in lines) < len(lines)


def _may_be_reversed(lines: list[Physical]) -> bool:
    """Say at once of a log in order, with the usual stamps, that it is: its first stamp is the least."""
    stamps = [text[1:20] for _, text in lines if text.startswith("[")]
    return not (stamps and re.match(r"\d{4}-\d\d-\d\d", stamps[0]) and stamps[0] <= stamps[-1])


def _times(form: Form, lines: list[Physical]) -> pl.DataFrame:
    texts = [text for _, text in _lines(form, iter(lines))]
    prefix = usual_prefix([text.encode() for text in texts]) or ""
    found = (own("stamped").match(re.sub(prefix, "", text, count=1)) for text in texts)
    return read_stamps(pl.Series([one["stamp"] for one in found if one], dtype=pl.String))


def _is_reversed(form: Form, lines: list[Physical]) -> bool:
    return any(clock.is_reversed(clock.micros(column)) for column in _times(form, lines))


def _is_late(form: Form, lines: list[Physical]) -> bool:
    """Say whether most stamps of a collector are some seconds, and not just a time zone, away from the lines' own."""
    its, mine = (_times(replace(form, late=late), lines) for late in (False, True))
    told = its.select(pl.coalesce(pl.col("utc").dt.replace_time_zone(None), "local").alias("told"))
    both = pl.concat([told, mine.select("local")], how="horizontal")
    away = (both["told"] - both["local"] + AT_ONCE).dt.total_seconds() % ZONE_STEP.seconds
    return 2 * int((away > 2 * AT_ONCE.seconds).sum()) > away.count()


@dataclass(frozen=True)
class _Gain:
    """What is read of a text in a form: events, events with a time, and how much their times say."""

    events: int
    stamped: int
    knowledge: int

    def says_more_than(self, other: _Gain) -> bool:
        """Say whether no event is lost, and more of them have a time, or a better one."""
        mine, its = (self.stamped, self.knowledge), (other.stamped, other.knowledge)
        return self.events >= other.events and mine > its


def _best(base: Form, window: bytes, head: bytes) -> Form:
    """Return the form that makes most of a text readable.

    Where most lines with a header begin with it, nothing before a line is taken off: the others only quote one. Where
    most have the same before it, only what many lines have is.
    """
    lines = list(_physical(base, [window]))
    text = text_of(head)
    prefix = usual_prefix([line.encode() for _, line in lines])
    headed, behind = _headed(lines, ""), _headed(lines, prefix or "")
    base = replace(base, glued=_is_glued(lines) and headed)
    page = re.search(table("reading/forms")["text"]["page"], text_of(window)) is not None
    is_page = re.match(table("reading/forms")["text"]["begin_page"], text) is not None
    best, gain = replace(base, glued=False), _gain(replace(base, glued=False), lines)
    dressed = replace(base, dressed=True, page=page, chains=_chains(lines), glued=_is_glued(lines) and not page)
    for width, cut in _widths(lines):
        tidy = replace(base, tidy=True, width=width, cut=cut)
        plainly = _gain(tidy, lines)
        if plainly.events > gain.events:
            best, gain = tidy, plainly
        if headed and not is_page:
            continue
        now = _gain(form := replace(dressed, width=width, cut=cut), lines)
        is_most = is_page or now.events > 2 * plainly.events
        if (now.events > gain.events and is_most) or (prefix and now.says_more_than(gain)):
            best, gain = form, now
    if kind := exports.kind_of(text):
        form = replace(base, dressed=True, export=kind)
        now = _gain(form, lines)
        if now.events > gain.events or (now.says_more_than(gain) and (kind != "csv" or not behind)):
            best = form
    return best


def _headed(lines: list[Physical], prefix: str) -> bool:
    """Say whether most of the lines that can be Asterisk's begin with a header, but for a prefix."""
    signs = [re.sub(prefix, "", text, count=1) for _, text in lines if own("sign").search(text)]
    return 2 * sum(any(own(kind).match(text) for kind in ("plain", "header")) for text in signs) > len(signs)


def _chains(lines: list[Physical]) -> frozenset[tuple[str, ...]]:
    """Return what stands before entries, if most have the same: what one line in fifty has, at least; else anything."""
    chains = Counter(chain for _, text in lines for begins, _, chain in [undressed(tidied(text))] if begins)
    if not chains or 2 * max(chains.values()) < chains.total():
        return frozenset()
    return frozenset(chain for chain, count in chains.items() if 50 * count >= chains.total())


def _gain(form: Form, lines: list[Physical]) -> _Gain:
    texts = [text for _, text in (_lines(form, iter(lines)) if form.dressed or form.tidy else lines)]
    prefix = None if form.dressed else usual_prefix([text.encode() for text in texts])
    series = pl.Series("text", texts, dtype=pl.String).str.strip_chars_end("\r\0 \t").str.strip_chars_start("\ufeff\0")
    stamp = read_lines(series, prefix, words=False).filter(pl.col("kind").is_not_null())["stamp"]
    known = read_stamps(stamp).select(pl.any_horizontal(pl.all().is_not_null())).to_series()
    stamps = stamp.filter(known).to_list()
    return _Gain(len(stamps) + int((stamp == "").sum()), len(stamps), sum(knowledge(s) for s in stamps))


def _is_glued(lines: list[Physical]) -> bool:
    counts = [n for _, text in lines if (n := len(own("glue").findall(tidied(text))))]
    return sum(counts) >= _GLUED * len(counts) > 0


def _widths(lines: list[Physical]) -> list[tuple[int, bool]]:
    """Return the widths at which lines may have been wrapped, and whether at any character: first 0, not at all.

    Long words stand out of what a mail program wraps: beside the longest line a usual width is tried.
    """
    lengths = sorted(len(text) for _, text in lines if text.strip())
    width = lengths[int(0.98 * (len(lengths) - 1))] if lengths else 0
    others = [len(a) for (_, a), (_, b) in pairwise(lines) if b.strip() and not undressed(tidied(b))[0]]
    if not others:
        return [(0, False)]
    cut = [(width, True)] if 10 * others.count(width) > 9 * len(others) else []
    longest = [*cut, (width, False)] if _SCREEN <= width <= _WIDEST else []
    return [(0, False), *longest, (_MAIL, False)]


# ---- taking it off ----


def _lines(form: Form, physical: Iterator[Physical]) -> Iterator[Physical]:
    """Yield lines as Asterisk writes them, each with the number of the physical line it begins on."""
    if form.page:
        physical = _untagged(physical)
    if form.dressed:
        physical = exports.in_one_piece(physical)
    if form.export:
        records = exports.records(form.export, physical)
        for number, time, message in reversed(list(_held(records))) if form.newest_first else records:
            first, *more = tidied(message).split("\n")
            whole = undressed(first, time, is_record=True, late=form.late)[1]
            yield from ((number, text) for text in (*_parts(form, whole), *more))
        return
    each = ((number, _begun(form, number, tidied(text))[1]) for number, text in physical)
    for number, text in _joined(form, physical) if form.width else each:
        yield from ((number, part) for part in _parts(form, text))


def _parts(form: Form, text: str) -> list[str]:
    """Return the lines that stand on one."""
    if not form.glued:
        return [text]
    at = [found.start() for found in own("glue").finditer(text)]
    cuts = [0, *(a for a in at if a), len(text)]
    return [undressed(text[a:b], chains=form.chains, late=form.late)[1] for a, b in pairwise(cuts) if text[a:b].strip()]


def _joined(form: Form, physical: Iterator[Physical]) -> Iterator[Physical]:
    """Yield wrapped lines in one piece: what goes on behind a line that was full."""
    pending, number, length = "", 0, 0
    for at, raw in physical:
        whole = tidied(raw)
        begins, text = _begun(form, at, whole)
        if raw.startswith(">") and not (begins or form.cut):
            text = text.lstrip("> ")  # a quotation's mark, also without a blank
        word = len(text.lstrip().partition(" ")[0])
        full = length >= form.width if form.cut else length + 1 + word > form.width
        begins = begins and own("entry").match(text) is not None
        if pending and not begins and full and text.strip():
            pending += whole if form.cut else " " + text.lstrip()
        else:
            if number:
                yield number, _begun(form, number, pending)[1]
            pending, number = whole if form.cut else text, at
        length = len(raw)
    if number:
        yield number, _begun(form, number, pending)[1]


def _begun(form: Form, number: int, text: str) -> tuple[bool, str]:
    """Return whether a line begins an entry, and the line as far as the form allows it to be taken off."""
    if form.dressed:
        return undressed(text, chains=form.chains, late=form.late)[:2]
    if number == 1 and not own("begin").match(text) and own("header").match(undressed(text)[1]):
        return undressed(text)[:2]
    return own("entry").match(text) is not None, without_end(text)


def _untagged(physical: Iterator[Physical]) -> Iterator[Physical]:
    """Yield the lines of a page, without its tags."""
    words = table("reading/forms")["text"]
    for number, text in physical:
        text = re.sub(words["line_tag"], "\n", re.sub(words["hidden_tag"], "", text))
        text = re.sub(words["plain_tag"], "", re.sub(r"(?i)</?t[dh](?: [^<>]*)?>", " ", text))
        yield from ((number, line) for line in text.split("\n"))
