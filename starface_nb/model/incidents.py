"""What struck: losses of one event, of one phone's faults, of one spell or of one timeout are one incident each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from starface_nb.model.events import CAUSE_OF
from starface_nb.model.likelihood import NAT, OFFLINE, RESTART, UNKNOWN
from starface_nb.model.priors import PRIORS as P
from starface_nb.model.schemas import CAUSES, INCIDENTS
from starface_nb.model.site import Context, SiteView
from starface_nb.observations.story import Floats, Ints


@dataclass(frozen=True)
class Group:
    """Losses of one incident: indices within the site, its moments (beginnings of what struck) and its end, seconds."""

    cause: int
    members: Ints
    moments: Floats
    end: float


def find_incidents(
    context: Context, views: list[SiteView], names: list[str], rows: int
) -> tuple[pl.DataFrame, list[str | None]]:
    """Return the incidents, frame of schema `INCIDENTS`, and the incident of each raw interval (None: of none).

    Parameters
    ----------
    names : list of str
        The site of each view as it is told.
    rows : int
        Number of raw intervals.
    """
    of_row: list[str | None] = [None] * rows
    found: list[dict[str, object]] = []
    for view, name in zip(views, names, strict=True):
        if view.facts is None or not len(view.losses):
            continue
        for group in _groups(context, view):
            ident = f"i{len(found) + 1}"
            for row in context.story.losses.row[view.losses[group.members]]:
                of_row[row] = ident
            found.append(_told(context, view, name, ident, group))
    return INCIDENTS.frame(found).sort("start", "site", "id"), of_row


def _groups(context: Context, view: SiteView) -> Iterator[Group]:
    assert view.facts is not None  # noqa: S101
    losses, cause, event = context.story.losses.take(view.losses), view.facts.cause, view.facts.event
    free = cause != UNKNOWN
    struck: dict[int, list[tuple[Ints, float, float]]] = {}
    for number, one in enumerate(view.facts.events):
        kind = int(one.kinds.argmax())
        members = np.flatnonzero((event == number) & (cause == CAUSE_OF[kind]))
        if len(members) and CAUSE_OF[kind] != NAT:
            end = one.event.begin + one.event.lengths[kind]
            struck.setdefault(int(CAUSE_OF[kind]), []).append((members, one.event.begin, end))
            free[members] = False
    for code, parts in struck.items():
        for some in _recurring(parts):
            ends = max(end for _, _, end in some)
            yield Group(code, np.concatenate([m for m, _, _ in some]), np.array([b for _, b, _ in some]), ends)
    era = np.searchsorted([e.start for e in view.eras[1:]], losses.start)
    for code in np.unique(cause[free]):
        mine = np.flatnonzero(free & (cause == code))
        # A timeout is one incident per era, a phone's faults are one per phone, the rest one per spell.
        by = era[mine] if code == NAT else losses.phone[mine] if code in (RESTART, OFFLINE) else None
        spells = np.cumsum(np.diff(losses.start[mine], prepend=losses.start[mine[0]]) > P.spell_s)
        for key in np.unique(spells if by is None else by):
            members = mine[(spells if by is None else by) == key]
            own = losses.start[members]
            moments = own if by is not None and code != NAT else own[:1]
            yield Group(int(code), members, moments, float(losses.end[members].max()))


def _recurring(parts: list[tuple[Ints, float, float]]) -> list[list[tuple[Ints, float, float]]]:
    """Join events of one cause that come at equal intervals; others stay alone."""
    begins = np.array([begin for _, begin, _ in parts])
    return [parts] if _period(begins) is not None else [[part] for part in parts]


def _period(moments: Floats) -> float | None:
    """Return the interval at which most of at least three moments recur, if they do; seconds."""
    gaps = np.diff(np.sort(moments))
    if len(gaps) < 2:
        return None
    usual = float(np.median(gaps))
    turns = np.maximum(np.round(gaps / max(usual, 1.0)), 1.0)
    even = np.abs(gaps - turns * usual) <= np.maximum(P.recurring[0] * usual, P.recurring[1])
    return usual if even.mean() >= P.recurring[2] else None


def _told(context: Context, view: SiteView, site: str, ident: str, group: Group) -> dict[str, object]:
    assert view.facts is not None  # noqa: S101
    story, use = context.story, view.losses[group.members]
    every = _period(group.moments)
    ended = np.isfinite(story.losses.end[use]).any() and np.isfinite(group.end)

    def moment(second: float) -> int:
        return int(second * 1e6 + story.origin_us)

    return {
        "id": ident,
        "site": site,
        "cause": CAUSES[group.cause],
        "start": moment(float(group.moments.min())),
        "end": moment(group.end) if ended else None,
        "phones": len(np.unique(story.losses.phone[use])),
        "losses": len(use),
        "repeats": len(group.moments),
        "every_s": None if every is None else round(every, 1),
        "confidence": round(float(view.facts.confidence[group.members].mean()), 3),
    }
