"""Causes that the vocabulary of single losses does not name: frames in, findings out.

Each tells what was seen, how sure it is (`probability`), and its text in the guide what to do. A pattern that another
explanation also makes is not told: one phone that stays away may be switched off, one stall of the PBX may be chance.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime, timedelta
from operator import itemgetter

import numpy as np
import polars as pl

from starface_nb.analysis.calls import cost
from starface_nb.analysis.diagnosis import Finding, about_peers, say
from starface_nb.analysis.places import line_switches, shared_port, sip_inspection, stale_state, two_devices
from starface_nb.analysis.restraint import Results
from starface_nb.analysis.seen import TOGETHER_S, Seen, prepare
from starface_nb.model.evidence import BY_PBX
from starface_nb.observations.addresses import UNKNOWN
from starface_nb.observations.intervals import of_kind

STALL_S = 10.0
_STALL_PHONES, _STALL_SITES = 5, 3
_CHANCE = 1e-6  # how seldom chance alone may make such a stall
_AROUND = timedelta(minutes=30)  # losses around a stall that tell how many are usual
_SURE = 0.9  # of a loss by the NAT timeout, which is none of the PBX's
_OWN_DOING = timedelta(minutes=3)  # around a restart or reload every peer is asked anew
_SOONEST_S = 30.0  # no phone boots so soon; bindings that end just before the next REGISTER are back sooner
_NOT_POWER = ["nat_expiry", "pbx_restart", "latency", "packet_loss"]
BOOT_S = 420.0  # phones boot in one to five minutes, and are found by the next probe
_ONE_GRID_S = {"SIP": 20.0, "PJSIP": 68.0}
"""Phones whose line is back are found within one round of probes to lost phones, which PJSIP asks no more often."""
Loss = tuple[datetime, str, datetime | None]
"""Start, phone and end of a loss."""


def other_findings(results: Results, calls: pl.DataFrame) -> Iterator[Finding]:
    """Yield the findings about causes beside the NAT timeout.

    Parameters
    ----------
    results : Results
    calls : polars.DataFrame
        Frame of schema `CALLS_LOST`.
    """
    seen = prepare(results, calls)
    timed = (stale_state, line_switches, sip_inspection, two_devices, shared_port, shared_power, pbx_trouble, lapsed)
    coarse = "seconds" in results.observation.lacking.missing  # what was at once or first is not known
    for tell in (*(() if coarse else timed), lost_calls):
        yield from tell(seen)


# ---- one phone ----


def lapsed(seen: Seen) -> Iterator[Finding]:
    """Registrations that run out again and again, the phone answering up to that moment, before it registers anew."""
    of = ["peer", "second"]
    ran_out = of_kind(seen.results.log.events, "expired").with_columns(second=pl.col("time").dt.truncate("1s"))
    losses = seen.losses.filter(cause="unknown").with_columns(second=pl.col("start").dt.truncate("1s"))
    often = losses.join(ran_out, on=of, how="semi").filter(pl.len().over("peer") > 1)
    for site, mine in often.partition_by("home", as_dict=True).items():
        peers = mine["peer"].unique().sort().to_list()
        values = {"losses": mine.height, "away_s": mine["seconds"].median(), "probability": _SURE}
        yield from about_peers("lapsed", "action", peers, str(site[0]), **values, evidence=seen.lines(peers, "expired"))


# ---- several phones at once ----


def shared_power(seen: Seen) -> Iterator[Finding]:
    """The same part of a site's phones boots together, again and again: one switch, one power strip.

    Phones that are back at once without a REGISTER, or one by one much later, had no line: they may be one of several
    customers behind a carrier's NAT.
    """
    own = seen.losses.filter(~pl.col("cause").is_in(_NOT_POWER))
    for site, peers in seen.homes.items():
        rows = own.filter(pl.col("home") == site).select("start", "peer", "end").rows() if site != UNKNOWN else []
        parts = [cluster for cluster in _clusters(rows) if _part_of(seen, peers, cluster) and _booted(seen, cluster)]
        groups = [frozenset(peer for _, peer, _ in cluster) for cluster in parts]
        for group in dict.fromkeys(sorted(groups, key=len, reverse=True)):
            alike = [one for one in groups if len(one & group) >= 0.8 * len(one | group)]
            if len(alike) >= 2:
                values = {"peers": sorted(group), "phones": len(group), "times": len(alike), "probability": 0.8}
                yield say("shared_power", "action", site, **values, evidence=seen.lines(group, "unreachable"))
                break


def _part_of(seen: Seen, peers: list[str], cluster: list[Loss]) -> bool:
    """Say whether several phones were lost together and others of the site stayed: those not lost already."""
    group = {peer for _, peer, _ in cluster}
    if len(group) < 2:
        return False
    during = cluster[-1][0] + timedelta(seconds=1)
    stayed = [peer for peer in peers if peer not in group and not seen.was_lost(peer, during)]
    return len(stayed) >= 2 and len(group) <= 0.75 * (len(group) + len(stayed))


def _booted(seen: Seen, cluster: list[Loss]) -> bool:
    """Say whether phones that were lost together came back as phones do that boot: each for itself, soon."""
    ends = [end for start, _, end in cluster if end and (end - start).total_seconds() <= BOOT_S]
    longest = max(((end - start).total_seconds() for start, _, end in cluster if end), default=0.0)
    if len(ends) < 0.8 * len(cluster) or longest <= _SOONEST_S:
        return False
    registered = sum(
        any(abs((time - end).total_seconds()) <= 2 for time, *_ in seen.places(peer)) for _, peer, end in cluster if end
    )
    grid = max(_ONE_GRID_S.get(seen.techs.get(peer, ""), 0.0) for _, peer, _ in cluster)
    return (max(ends) - min(ends)).total_seconds() > grid or registered >= 0.5 * len(cluster)


def _clusters(rows: list[Loss]) -> Iterator[list[Loss]]:
    """Yield the losses that begin within one probe interval of the first of them."""
    at = 0
    while at < len(rows):
        past = bisect_right(rows, rows[at][0] + timedelta(seconds=TOGETHER_S), lo=at, key=itemgetter(0))
        yield rows[at:past]
        at = past


def pbx_trouble(seen: Seen) -> Iterator[Finding]:
    """The PBX or its own line: phones of unrelated sites lost or late within the same seconds, or its queues full."""
    overloaded, stalls = of_kind(seen.results.log.events, "overload"), sorted(_stalls(seen))
    phones = max((len(stall) for _, stall in stalls), default=0)
    sites = max((len({home for _, home in stall}) for _, stall in stalls), default=0)
    since = stalls[0][0] if stalls else overloaded["time"].min()
    values = {"times": len(stalls), "phones": phones, "sites": sites, "since_at": since, "overloaded": len(overloaded)}
    values |= {"probability": 0.95 if stalls and len(overloaded) else 0.8}
    if stalls:
        shown = seen.lines([peer for peer, _ in stalls[0][1]], "unreachable", "lagged", since=stalls[0][0])
        yield say("pbx_trouble", "action", **values, evidence=shown)
    elif len(overloaded):
        yield say("pbx_trouble", "warning", **values, told_as="pbx_overloaded")


def _stalls(seen: Seen) -> Iterator[tuple[datetime, list[tuple[str, str]]]]:
    """Yield the times at which phones of several sites had trouble within seconds, with (peer, site) of each."""
    home_of = {peer: home for home, peers in seen.homes.items() for peer in peers}
    events = seen.results.log.events.select("time", "kind", "peer").filter(pl.col("time").is_not_null())
    own = of_kind(events, "restart", "shutdown", "reload")["time"].to_list()
    for cluster in _clusters(seen.losses.filter(BY_PBX).select("start", "peer", "end").rows()):
        stall = sorted({(peer, home_of[peer]) for _, peer, _ in cluster})
        if len({home for _, home in stall} - {UNKNOWN}) > 1:
            own.append(cluster[0][0])
            yield cluster[0][0], stall
    rows = of_kind(events, "unreachable", "lagged").filter(pl.col("peer").is_in(list(home_of))).sort("time")
    # Phones that restarted together are lost together by the NAT timeout.
    expired = seen.losses.filter(pl.col("cause") == "nat_expiry", pl.col("confidence") > _SURE)
    rows = rows.join(expired, left_on=["peer", "time"], right_on=["peer", "start"], how="anti")
    seconds, peers = rows["time"].dt.epoch("us").to_numpy() / 1e6, rows["peer"].to_list()
    behind = np.searchsorted(seconds, seconds + STALL_S, "right")
    reach = _AROUND.total_seconds()
    around = np.searchsorted(seconds, seconds + reach, "right") - np.searchsorted(seconds, seconds - reach)
    count = behind - np.arange(len(seconds))
    usual = (around - count) * STALL_S / (2 * reach - STALL_S)
    done = 0
    for at in np.flatnonzero((count >= _STALL_PHONES) & (count > usual)).tolist():  # no more than usual is no stall
        stall = sorted({(peer, home_of[peer]) for peer in peers[at : behind[at]]}) if at >= done else []
        if len(stall) < _STALL_PHONES or len({home for _, home in stall} - {UNKNOWN}) < _STALL_SITES:
            continue
        first = rows["time"][at]
        if _poisson_tail(len(stall), usual[at]) < _CHANCE and not any(abs(first - t) <= _OWN_DOING for t in own):
            yield first, stall
            done = int(behind[at])


def _poisson_tail(n: int, mean: float) -> float:
    """Return the probability of at least `n` events where `mean` are expected."""
    below = sum(math.exp(k * math.log(max(mean, 1e-9)) - mean - math.lgamma(k + 1)) for k in range(n))
    return max(1.0 - below, 0.0) if mean > 1e-3 else mean**n


# ---- what it cost ----


def lost_calls(seen: Seen) -> Iterator[Finding]:
    """Calls that did not reach a phone because it was lost."""
    told = cost(seen.calls)
    phones = seen.calls["peer"].drop_nulls().n_unique()
    if told["calls"]:
        yield say("calls_lost", "warning", calls=told["calls"], nobody=told["nobody"], phones=phones)
    elif told["unnamed"]:
        yield say("calls_lost_unnamed", "info", calls=told["unnamed"])
