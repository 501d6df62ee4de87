"""Phones of unknown address, grouped by how they behave: those that share a timeout belong behind one router."""

from __future__ import annotations

import numpy as np

from starface_nb.model.eras import score_table
from starface_nb.model.likelihood import expit
from starface_nb.model.priors import PRIORS as P
from starface_nb.model.site import Context, SiteView
from starface_nb.model.timeout import collect
from starface_nb.observations.addresses import UNKNOWN


def split(context: Context, view: SiteView) -> list[int]:
    """Return the group of each phone of the view, 0 where it shows no timeout of its own.

    A phone joins the group with which it shares a timeout at the least loss of likelihood.
    """
    phones = len(view.phones)
    # Phones that are lost together by the clock are no proof of a timeout each.
    alone = np.ones(0) if view.facts is None else expit(-view.facts.shared)
    evidence = collect(context, view, alone, np.ones(len(view.losses), bool))
    table = score_table(evidence, evidence.lost.phone, evidence.kept.phone, phones, context.horizon)
    best = table.max(axis=1)
    label = np.zeros(phones, np.int64)
    sums: list[np.ndarray] = []
    for phone in np.argsort(table.argmax(axis=1), kind="stable"):
        if best[phone] < P.own_timeout:
            continue
        lost = [float((total + table[phone]).max() - total.max() - best[phone]) for total in sums]
        at = int(np.argmax(lost)) if lost else -1
        if at < 0 or lost[at] < -P.own_timeout / 2:
            sums.append(table[phone].copy())
            at = len(sums) - 1
        else:
            sums[at] += table[phone]
        label[phone] = at + 1
    if len(sums) == 1:
        # Behind the one router that shows itself is every phone that does not contradict it.
        label[table[:, int(np.argmax(sums[0]))] > -P.own_timeout / 2] = 1
    return label.tolist()


def group(context: Context, views: list[SiteView], homes: list[str]) -> list[str]:
    """Return the homes with the phones of unknown address told apart by how they behave."""
    found = list(homes)
    for view in views:
        if view.name == UNKNOWN:
            for phone, label in zip(view.phones, split(context, view), strict=True):
                found[phone] = f"{UNKNOWN} {label}" if label else UNKNOWN
    return found


def told(home: str) -> str:
    """Return a home as it is told: groups of unknown address have no name of their own."""
    return UNKNOWN if home.startswith(f"{UNKNOWN} ") else home
