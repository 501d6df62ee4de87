"""One line without what a copy or a collector put before and behind it, with the better of two stamps."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import cache

from starface_nb.reading.tidy import without_end
from starface_nb.tables import table

_MOST_TAKEN_OFF = 10
ZONE_STEP, AT_ONCE = timedelta(minutes=15), timedelta(seconds=5)
Chains = frozenset[tuple[str, ...]]


def undressed(
    text: str, time: str = "", *, is_record: bool = False, chains: Chains = frozenset(), late: bool = False
) -> tuple[bool, str, tuple[str, ...]]:
    """Return whether a line begins an entry, the line without what stands before and behind it, and what that was."""
    rest, stamp, chain, last, quoted = text, time, tuple[str, ...](), "date" if time else "", False
    for _ in range(_MOST_TAKEN_OFF):
        taken = None if own("begin").match(rest) else _taken(rest, last)
        if taken is None or (chains and not any(one[: len(chain) + 1] == (*chain, taken[0]) for one in chains)):
            break
        last, found = taken
        quoted |= last == "enclosed" and "'" in found[0]
        stamp, rest, chain = _better(stamp, found.groupdict().get("stamp"), late), rest[found.end() :], (*chain, last)
    bare = without_end(rest)
    bare = bare.removesuffix("'") if quoted else bare  # else it is the line's own
    if header := own("header").match(bare):
        return True, f"[{_better(stamp, header['stamp'], late)}]{bare[header.end('stamp') + 1 :]}", chain
    if own("begin").match(bare) and (last or is_record):
        return True, f"[{stamp}] {bare}" if stamp else bare, chain
    if last == "stamp" and text.startswith("[") and rest.strip():
        return True, f"[{stamp}] {rest}", chain
    return bool(last and own("dated").match(bare)), bare if last else text, chain


def _taken(text: str, last: str) -> tuple[str, re.Match[str]] | None:
    for name, after, pattern in _before():
        if (not after or after == last) and (found := pattern.match(text)) and found.end():
            return "stamp" if name == "date" and re.search(r"[\[\]]", found[0]) else name, found  # Asterisk's own
    return None


@cache
def _before() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    known = table("reading/forms")["before"]
    return tuple((one["name"], one.get("after", ""), _filled(one["pattern"])) for one in known)


def _filled(pattern: str) -> re.Pattern[str]:
    inside = table("reading/forms")["own"]
    for _ in range(3):  # one may hold another
        for name, inner in (("date", table("reading/forms")["date"]["pattern"]), *inside.items()):
            pattern = pattern.replace(f"{{{name}}}", f"(?:{inner})")
    return re.compile(pattern)


@cache
def own(name: str) -> re.Pattern[str]:
    """Return a pattern of the table `own`: how a line of Asterisk's own begins."""
    return _filled("{date}" if name == "date" else table("reading/forms")["own"][name])


# ---- two stamps on a line ----


def knowledge(stamp: str) -> int:
    """Return how much a stamp says: zone before year before fraction of a second."""
    zone = re.search(r"(?:Z|UTC|GMT|:\d\d(?:[.,]\d+)? ?[+-]\d\d:?\d\d)$|^\d{10}(?:\.?\d+)?$", stamp) is not None
    year = zone or re.search(r"\d{4}-|[ ./]\d{4}\b|\d{4}/", stamp) is not None
    return 4 * zone + 2 * year + (re.search(r"\d:\d\d[.,]\d", stamp) is not None)


def _better(outer: str, inner: str | None, late: bool) -> str:
    """Return the stamp that says more, the line's own where both say the same.

    Where only the collector's knows the zone, the line's own is kept with that zone: a collector writes later. Where it
    read the lines `late`, its stamp is none of theirs.
    """
    if not outer or not inner or late or knowledge(outer) <= knowledge(inner):
        return inner or outer
    try:
        known, local = datetime.fromisoformat(outer), datetime.fromisoformat(inner.replace(",", "."))
    except ValueError:
        return outer
    if known.tzinfo is None or local.tzinfo is not None:
        return outer
    away = local - known.astimezone(known.tzinfo).replace(tzinfo=None) + (known.utcoffset() or timedelta())
    zone = round(away / ZONE_STEP) * ZONE_STEP
    if abs(away - zone) > AT_ONCE or abs(zone) > timedelta(hours=14):
        return outer
    sign, minutes = "-" if zone < timedelta() else "+", abs(zone) // timedelta(minutes=1)
    return f"{inner}{sign}{minutes // 60:02}:{minutes % 60:02}"
