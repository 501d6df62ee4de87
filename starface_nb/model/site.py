"""What all sites of a log share, and one site's own: its phones, losses and cycles, and what is said of them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from starface_nb.model.cycles import Cycles, Exposure
from starface_nb.model.likelihood import Ends, Marks
from starface_nb.model.schedule import at_once
from starface_nb.observations.story import START_BURST_S, Bools, Columns, Floats, Ints, Story

if TYPE_CHECKING:
    from starface_nb.model.found import Found
    from starface_nb.model.timeout import Era


@dataclass
class Around(Columns):
    """What happened around each loss.

    Attributes
    ----------
    inherited : another phone's renewal of the same external port ended it
    placed, new_address : an address of the phone was known before; it is another one afterwards
    refused : refused registrations from the site's address shortly before
    at_risk : phones of the site that answered until then
    port : its external port, 0 where no line shows one
    alone : a line shows its port, and none shows another phone there
    """

    inherited: Bools
    placed: Bools
    new_address: Bools
    refused: Ints
    at_risk: Ints
    port: Ints
    alone: Bools


@dataclass
class Surface:
    """When phones of a site were heard: sorted times of its Reachable, Lagged and Registered lines, seconds."""

    times: Floats = field(default_factory=lambda: np.empty(0))

    def heard(self, start: float, end: float) -> int:
        """Return how many lines stand in (start, end]."""
        return int(np.searchsorted(self.times, end, "right") - np.searchsorted(self.times, start, "right"))


@dataclass
class SiteView:
    """One site: which losses, cycles and phones (global indices) are its own; `best` is kept by `pick`."""

    name: str
    phones: Ints
    losses: Ints
    cycles: Ints
    eras: list[Era] = field(default_factory=list)
    facts: Found | None = None
    best: Exposure | None = None


@dataclass
class Context:
    """What all sites share: the story, exposures, cycles and what is known of the surroundings of each loss.

    `exposure` counts from the phone's last known renewal, `soft` from its last recovery without one, `shared` from
    another phone's renewal of the same port, `called` from the last call that the phone began; `rhythms` are the
    log-odds that the phone's own renewal ended the loss, for exact timers and for such as vary; `random` are the phones
    that renew at no fixed spacing.
    """

    story: Story
    exposure: Exposure
    soft: Exposure
    shared: Exposure
    called: Exposure
    rhythms: tuple[Floats, Floats]
    random: Bools
    cycles: Cycles
    around: Around
    ends: Ends
    marks: Marks
    surfaces: dict[str, Surface]
    horizon: float


def pick(context: Context, site: SiteView) -> Exposure:
    """Return the exposure of each loss from its best anchor: another phone's renewal where the port was inherited.

    What a keepalive made anew is as old as the phone's return.
    """
    if site.best is None:
        own, other = context.exposure.take(site.losses), context.shared.take(site.losses)
        known = np.isfinite(other.anchor)
        names = [f.name for f in fields(Exposure)] if known.any() else []
        best = replace(own, **{n: np.where(known, getattr(other, n), getattr(own, n)) for n in names})
        losses = context.story.told.take(site.losses)
        _, back = at_once(losses, context.story.settings.probe_interval_s)
        if (young := np.isfinite(back)).any():
            upper = np.where(young, losses.failed - back, best.upper)
            best = Exposure(
                np.where(young, back, best.anchor), np.where(young, 0.0, best.lower), upper, best.locked | young
            )
        site.best = best
    return site.best


def pbx_silence(story: Story, lost: Floats, surface: Surface) -> tuple[float, float]:
    """Return the longest PBX stop that the site's bindings outlived, and the shortest that killed some of them."""
    outlived, killed = 0.0, np.inf
    for start, stop in zip(story.starts, story.stops, strict=True):
        dead = int(((lost >= start) & (lost <= start + START_BURST_S)).sum())
        heard = surface.heard(start, start + START_BURST_S)
        if dead == 0 and heard >= 2:
            outlived = max(outlived, start - stop)
        elif dead >= 2:
            killed = min(killed, start - stop)
    return outlived, max(killed, 60.0)
