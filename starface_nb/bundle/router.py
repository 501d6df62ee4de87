"""A router's own log beside that of the PBX: its line, address and restarts; formats and messages in `router.toml`.

Pure functions. Of a line only its time, what happened, and the router's own public address are kept.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

from starface_nb.networks import normal_ip
from starface_nb.tables import table

KINDS = ("line_down", "line_up", "reconnect", "restart", "update", "states_reset", "state_expired", "state_renewed",
         "begin", "end")  # fmt: skip
ROUTER_BYTES = 16 << 20
"""How much of a router's log is read."""
NO_YEAR = 1904
"""Stands for the year of a stamp that names none; four more (leap years again) for the year after it."""
_MOST = 5_000  # events of one log, the newest
_LINE = 600  # characters of a line that are looked at
_ONE_BOOT = timedelta(minutes=4)
_YEAR, _HALF_A_YEAR = timedelta(days=366), timedelta(days=183)
_EPOCH = datetime(1970, 1, 1)
_RFC_5424 = re.compile(r"^(\S+ \S+) (\d+|-) \S+ (?:-|\[[^\]]*\]) ")  # host, program, process, message id, data
_CLOCK = re.compile(r"[^\d]*(?:time)?[^\d]*(?<!\d)(\d\d:\d\d:\d\d)")
Row = dict[str, object]
Values = dict[str, Any]
Known = dict[str, Any]
"""One way lines begin, or one kind of line; see the head of `router.toml`."""


@dataclass(frozen=True)
class _Stamped:
    """A line with its time: as written, or in UTC where it is `zoned`."""

    number: int
    stamp: datetime
    zoned: bool
    rest: str
    form: str


@cache
def _known(what: str) -> list[Known]:
    """Return the entries of `router.toml` of one kind, with their patterns ready."""
    return [entry | {"pattern": re.compile(entry["pattern"])} for entry in table("bundle/router")[what]]


def is_router_log(text: str) -> bool:
    """Say whether a text is a router's log: by a line that only a router writes, and none of Asterisk's."""
    known = table("bundle/router")
    if text.startswith("##") and "FRITZ!Box" in text and re.search(known["support"], text):
        return True
    if re.search(known["asterisk"], text) or not _may_tell(text):  # the first is quick for a log of Asterisk's
        return False
    told = (_message_of(rest, form["name"]) for _, rest, _, _, form in _begun(text))
    return any(message.get("tells") for message, _ in told)


def _may_tell(text: str) -> bool:
    """Say whether a text holds a word without which it tells nothing of ours: most lines of a log do not."""
    return any(needle in text for needle in table("bundle/router")["needles"])


def _message_of(rest: str, form: str) -> tuple[Known, Values]:
    """Return what the text behind a stamp of a form tells, with its values; nothing of ours is an empty entry."""
    for message in _known("event") if _may_tell(rest) else ():
        fits = message.get("form", form) == form and any(needle in rest for needle in message.get("needles", [""]))
        if fits and (found := message["pattern"].search(rest)):
            return message, found.groupdict()
    return {}, {}


def rows_of(name: str, text: str) -> tuple[Row, ...]:
    """Return the events of a router's log, oldest first, with rows `begin` and `end` for what it covers.

    Parameters
    ----------
    name : str
        Kept as the source of every event.
    text : str
        At most `ROUTER_BYTES` of it are looked at.
    """
    lines = list(_with_set_clock(_oldest_first(list(_stamped(text)))))
    told = list(_changes(lines))
    if not told:
        return ()
    product = next((one["product"] for _, one, _ in told if one.get("tells")), told[0][1]["product"])
    by_time = sorted((line for line, _ in lines), key=lambda line: line.stamp)
    rows = [_row(name, by_time[0], "begin", product), _row(name, by_time[-1], "end", product)]
    for line, message, values in told[-_MOST:]:
        numbers = {key: values.get(key) and int(values[key]) for key in ("port", "seconds")}
        rows.append(_row(name, line, message["kind"], product) | numbers | {"address": _address(values)})
    return tuple(sorted(rows, key=lambda row: (row["kind"] == "end", row["kind"] != "begin")))


def _address(values: Values) -> str | None:
    """Return the router's own address where a line tells it."""
    told = next((text for name, text in values.items() if name.startswith("address") and text), "")
    return normal_ip(told)


def _row(member: str, line: _Stamped, kind: str, product: str) -> Row:
    return {
        "stamp": line.stamp, "zoned": line.zoned, "kind": kind, "address": None, "port": None, "seconds": None,
        "product": product, "member": member, "line": line.number,
    }  # fmt: skip


def _begun(text: str) -> Iterator[tuple[int, str, str, str | None, Known]]:
    """Yield number, text behind the stamp, stamp, zone and form of each line that begins with a stamp.

    A list pasted from a page has date, time and text in lines of their own, one that a program fetched is JSON.
    """
    text = re.sub(r"(?m)^(\d\d\.\d\d\.\d{2,4})\s*\n\s*(\d\d:\d\d:\d\d)\s*\n", r"\1 \2 ", text[:ROUTER_BYTES])
    text = re.sub(r"[\]}],\s*(?=[\[{])", "\n", text)
    last = _known("form")[0]
    for number, line in enumerate(text.split("\n"), 1):
        line = line[:_LINE].strip("\r \t\"'|[{")
        for form in (last, *_known("form")):
            if found := form["pattern"].match(line):
                last, zone = form, found.groupdict().get("zone")
                rest = line[found.end() :].strip()
                rest = _RFC_5424.sub(_as_syslog, rest, count=1) if line.startswith("<") else rest
                yield number, rest, found["stamp"], zone, form
                break


def _as_syslog(header: re.Match[str]) -> str:
    program, process = header.groups()
    return f"{program}: " if process == "-" else f"{program}[{process}]: "


def _stamped(text: str) -> Iterator[_Stamped]:
    """Yield the lines of a text with their times; what RouterOS prints of today without a date is of the day after."""
    last: _Stamped | None = None
    for number, rest, stamp, zone, form in _begun(text):
        if form["date"] != ["today"]:
            if (line := _read(number, rest, stamp, zone, form)) is not None:
                last = line
                yield line
        elif last is not None and (since := _since_midnight(stamp)) is not None:
            day = last.stamp.replace(hour=0, minute=0, second=0) + timedelta(days=1)
            yield replace(last, number=number, rest=rest, stamp=day + since)


def _read(number: int, rest: str, stamp: str, zone: str | None, form: Known) -> _Stamped | None:
    if form["date"] == ["epoch"]:
        return _Stamped(number, _EPOCH + timedelta(seconds=int(stamp)), zoned=True, rest=rest, form=form["name"])
    date, clock, year = _CLOCK.split(stamp, maxsplit=1)
    begin, since = _day(f"{date} {year}", zone, (*form["date"],)), _since_midnight(clock)
    if begin is None or since is None:
        return None
    return _Stamped(number, begin + since, zoned=bool(zone), rest=rest, form=form["name"])


def _since_midnight(clock: str) -> timedelta | None:
    hours, minutes, seconds = map(int, clock.split(":"))
    fits = hours < 24 and minutes < 60 and seconds < 60
    return timedelta(hours=hours, minutes=minutes, seconds=seconds) if fits else None


@lru_cache(512)
def _day(text: str, zone: str | None, forms: tuple[str, ...]) -> datetime | None:
    """Return the begin of a day, in UTC where its zone is named; one day has many lines."""
    day = " ".join(text.replace(",", " ").split())
    for form in forms:
        dated = "%Y" in form or "%y" in form
        try:
            time = datetime.strptime(day if dated else f"{day} {NO_YEAR}", form if dated else f"{form} %Y")
            ahead = datetime.strptime((zone or "Z").replace("Z", "+0000"), "%z").utcoffset() or timedelta()
            return time - ahead
        except (ValueError, OverflowError):
            continue
    return None


def _oldest_first(lines: list[_Stamped]) -> list[_Stamped]:
    """Return lines in the order in which they were written, and count the years of stamps that name none."""
    dated = [line.stamp for line in lines if line.stamp.year != _EPOCH.year]
    steps = [(b - a) % _YEAR for a, b in pairwise(dated) if a != b]
    back = sum(1 if step > _HALF_A_YEAR else -1 for step in steps)
    ordered, years = lines[::-1] if back > 0 else lines, 0
    counted: list[_Stamped] = []
    for line in ordered:
        if line.stamp.year == NO_YEAR:
            before = counted[-1].stamp.replace(year=NO_YEAR) if counted else line.stamp
            years += before - line.stamp > _HALF_A_YEAR
            line = replace(line, stamp=line.stamp.replace(year=NO_YEAR + 4 * years))
        counted.append(line)
    return counted


def _with_set_clock(lines: list[_Stamped]) -> Iterator[tuple[_Stamped, bool]]:
    """Yield lines with the time at which they were written, and whether a restart begins there that no line tells.

    A router without a clock of its own begins in 1970, or where its last file was written, until a time server answers:
    such lines are dated back from the first one behind them.
    """
    at, newest = 0, datetime.min
    while at < len(lines):
        line = lines[at]
        unset = line.stamp.year == _EPOCH.year
        behind = line.stamp < newest and _message_of(line.rest, line.form)[0].get("kind") == "restart"
        if not unset and not behind:
            newest = max(newest, line.stamp)
            yield line, False
            at += 1
            continue
        end = at + 1
        while end < len(lines) and (lines[end].stamp.year == _EPOCH.year if unset else lines[end].stamp < newest):
            end += 1
        if end == len(lines):
            return  # never set: nothing is known of when that was
        start = lines[end].stamp - (lines[end - 1].stamp - line.stamp)
        for n, one in enumerate(lines[at:end]):
            time = start + (one.stamp - line.stamp)
            yield _Stamped(one.number, time, lines[end].zoned, one.rest, one.form), unset and n == 0
        at = end


_STATES = {"line_up": "line_up"} | dict.fromkeys(("line_down", "restart", "update", "reconnect"), "line_down")
_RESTART = {"kind": "restart", "product": "FRITZ!Box"}


def _changes(lines: list[tuple[_Stamped, bool]]) -> Iterator[tuple[_Stamped, Known, Values]]:
    """Yield the lines that change something: a line that fails is told many times, a restart in many lines."""
    state, restarted = "", datetime.min
    address: str | None = None
    for line, hidden_restart in lines:
        if hidden_restart:
            state, restarted = "line_down", line.stamp
            yield line, _RESTART, {}
        message, values = _message_of(line.rest, line.form)
        if not message:
            continue
        kind = message["kind"]
        if kind == "restart":
            again, restarted = abs(line.stamp - restarted) < _ONE_BOOT, line.stamp
            if again:
                continue
        told_address = _address(values)
        if kind == state and kind in ("line_down", "line_up") and told_address in (None, address):
            continue
        address = told_address or address
        state = _STATES.get(kind, state)
        yield line, message, values
