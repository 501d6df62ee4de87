"""What is said of each loss: its cause, how sure that is, and what speaks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from starface_nb.model.schemas import CAUSES
from starface_nb.observations.story import Bools, Floats, Ints

TERMS = ("start", "end", "late", "refused", "moved", "went_on", "in_time", "ran_out")


@dataclass
class Found:
    """What is said of each loss of a site (arrays in the order of the site's losses).

    Attributes
    ----------
    cause, confidence : the most probable cause and its probability
    odds : what each of `TERMS` says for it against the next best, log, shape (terms, n), in the world that was believed
    event : number of the event it belongs to, -1 for none
    accused : the probability of all causes that accuse the site, or none
    across, places : log-odds that it was the PBX's doing, and how many known places were struck with it; else 0
    """

    cause: Ints
    confidence: Floats
    odds: Floats
    event: Ints
    shared: Floats
    together: Ints
    lower: Floats
    upper: Floats
    anchored: Bools
    accused: Floats
    across: Floats
    places: Ints


def odds_of(terms: Sequence[Callable[[int], Floats]], cause: Ints, next_best: Ints) -> Floats:
    """Return what each term says for each loss's cause against the next best, shape (terms, n)."""
    odds = np.zeros((len(terms), len(cause)))
    for code in range(len(CAUSES)):
        won, second = np.flatnonzero(cause == code), np.flatnonzero(next_best == code)
        for row, term in zip(odds, terms, strict=True):
            likelihood = term(code)
            row[won] += likelihood[won]
            row[second] -= likelihood[second]
    return odds
