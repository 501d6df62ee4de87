"""Phones without any address line: are they of the one site that the log shows, or whose timeout do they share?"""

from __future__ import annotations

import numpy as np

from starface_nb.model.site import Context, SiteView, pick
from starface_nb.model.timeout import collect, era_of, measurable
from starface_nb.observations.addresses import UNKNOWN
from starface_nb.observations.story import Bools

ENOUGH_FITS = 4
"""Losses of a phone that must fall into a site's cell before the phone is judged with it."""

FITTING = 0.6
"""Share of the phone's measurable losses that must."""

ENOUGH_PHONES = 2
"""Phones that must have outlived the other's timeout for two groups not to be behind one router."""

RIVAL = 0.5
"""Share of those that may fit another site as well."""


def adopt(context: Context, views: list[SiteView], homes: list[str]) -> list[str]:
    """Return the homes with phones of unknown address given to the one site whose timeout their losses fit.

    By chance a loss falls into a cell of one or two probing intervals about once in thirty times.
    """
    strangers = next((view for view in views if view.name == UNKNOWN), None)
    hosts = [view for view in views if view.name != UNKNOWN and any(era.expires for era in view.eras)]
    if strangers is None or not hosts:
        return homes
    phone, measured = context.story.losses.phone[strangers.losses], _measured(context, strangers)
    fits = [measured & _fitting(context, strangers, host) for host in hosts]
    found = list(homes)
    for stranger in strangers.phones:
        mine = phone == stranger
        counts = np.array([int(fit[mine].sum()) for fit in fits])
        order = np.argsort(-counts, kind="stable")
        first, second = counts[order[0]], counts[order[1]] if len(order) > 1 else 0
        enough = first >= ENOUGH_FITS and first >= FITTING * int(measured[mine].sum())
        if enough and second <= RIVAL * first:
            found[stranger] = hosts[order[0]].name
    return found


def _measured(context: Context, view: SiteView) -> Bools:
    """Say of which losses the idle time is known: longer than a period, a renewal between went unseen."""
    story, best = context.story, pick(context, view)
    period = story.periods_taken
    return measurable(best, period[story.losses.phone[view.losses]])


def _fitting(context: Context, view: SiteView, host: SiteView) -> Bools:
    """Say which losses of the view fall into the cell of the host's timeout."""
    best, slop = pick(context, view), context.story.slop
    era = era_of(host.eras, best, context.story.losses.start[view.losses], context.story.settings.keepalive_s)
    low, high = np.array([(one.estimate.low, one.estimate.high) for one in host.eras])[era].T
    expires = np.array([one.expires for one in host.eras])[era]
    return np.asarray(expires & (best.lower < high + slop) & (best.upper > low - slop), bool)


def of_one_timeout(context: Context, view: SiteView, strangers: Bools) -> bool:
    """Say whether the phones of unknown address (mask over all phones) and the others of a site show the same timeout.

    Then they need not be judged apart.
    """
    if len(view.eras) > 1 or view.eras[0].verdict != "too_short":
        return False
    measured = _measured(context, view)
    fits, strange = measured & _fitting(context, view, view), strangers[context.story.losses.phone[view.losses]]
    counts = [(int(fits[group].sum()), int(measured[group].sum())) for group in (strange, ~strange)]
    return all(n >= max(ENOUGH_FITS, FITTING * of) for n, of in counts)


def of_two_sites(context: Context, views: list[SiteView]) -> bool:
    """Say whether the phones of unknown address and those of the one known site, judged apart, contradict each other.

    They do where both have a timeout and the brackets are apart, where the strangers alone show one that is too short,
    or where several phones of the one have outlived the other's timeout. A timeout that changed within the log proves
    nothing.
    """
    strangers = next((view for view in views if view.name == UNKNOWN), None)
    host = next((view for view in views if view.name != UNKNOWN), None)
    if strangers is None or host is None or len(strangers.eras) > 1 or len(host.eras) > 1:
        return False
    one, other = strangers.eras[0], host.eras[0]
    if one.verdict == "too_short" != other.verdict:
        return True  # nobody is accused of what strangers alone show
    if one.verdict == other.verdict == "too_short":
        slop = context.story.slop
        return one.estimate.low > other.estimate.high + slop or other.estimate.low > one.estimate.high + slop
    for short, view in ((one, host), (other, strangers)):
        if short.verdict == "too_short":
            kept = collect(context, view, np.ones(len(view.losses)), np.zeros(len(view.losses), bool)).kept
            # A phone whose period is not known may renew its binding more often than thought.
            sure = np.isfinite(context.story.periods[view.phones])[kept.phone]
            return len(np.unique(kept.phone[sure & (kept.idle > short.estimate.high)])) >= ENOUGH_PHONES
    return False
