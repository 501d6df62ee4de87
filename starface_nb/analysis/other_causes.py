"""Causes that the vocabulary of single losses does not name: frames in, findings out.

Each tells what was seen, how sure it is (`probability`), and its text in the guide what to do. A pattern that another
explanation also makes is not told: one phone that stays away may be switched off, one stall of the PBX may be chance.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby, pairwise

import numpy as np
import polars as pl

from starface_nb.analysis.calls import cost
from starface_nb.analysis.diagnosis import Finding
from starface_nb.analysis.restraint import Results
from starface_nb.analysis.seen import SIP_PORT, Place, Seen, prepare
from starface_nb.frames import UTC_TIME
from starface_nb.observations.addresses import UNKNOWN
from starface_nb.observations.intervals import of_kind

INSPECTION_TIMERS_S = (1800.0, 3600.0)
"""What SIP inspection forgets a silent phone after: the router table's rows `SIP inspection` (guide/routers.csv)."""
LONGEST_DEFAULT_S = 900.0  # no ordinary UDP timer of that table is longer by default
_BLUR_S = 15.0  # of a bracket's ends, where phones on one port renew each other's entry
_WIDEST_S = 300.0  # a bracket wider than this does not point at a number
AWAY_PERIODS = 2.0  # a phone whose binding only died is back after one period
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
_HANDED_SHARE = 0.05  # of the registrations of phones that take a port from each other
_TOGETHER_S = 64.0  # one probe interval and the time to give up
_APART = timedelta(seconds=2 * _TOGETHER_S)
Loss = tuple[datetime, str, datetime | None]
"""Start, phone and end of a loss."""


def other_findings(results: Results, calls: pl.DataFrame) -> tuple[Finding, ...]:
    """Return the findings about causes beside the NAT timeout.

    Parameters
    ----------
    results : Results
    calls : polars.DataFrame
        Frame of schema `CALLS_LOST`.
    """
    seen = prepare(results, calls)
    tellers = (
        stale_state,
        line_switches,
        sip_inspection,
        two_devices,
        shared_port,
        shared_power,
        pbx_trouble,
        lost_calls,
    )
    return tuple(finding for tell in tellers for finding in tell(seen))


# ---- addresses ----


def stale_state(seen: Seen) -> Iterator[Finding]:
    """The firewall holds on to states of the old public address: some phones of a site are back, others stay away."""
    for site, peers in seen.homes.items():
        for old, new, changed in _address_changes(seen, peers):
            soon = pl.col("time").is_between(changed, changed + seen.period) & (pl.col("address") == new)
            back = set(seen.registered.filter(soon & (pl.col("home") == site))["peer"])
            away = _stays_away(seen, [p for p in peers if p not in back], old, changed)
            if len(away) >= 2 and back:
                shown = seen.lines({*back, *away}, "unreachable", "registered", since=changed - seen.period)
                yield Finding(
                    "stale_state",
                    "action",
                    site,
                    {
                        "site": site,
                        "old": old,
                        "new": new,
                        "changed_at": changed,
                        "phones": len(away),
                        "peers": sorted(away),
                        "returned": len(back),
                        "away_s": min(away.values()).total_seconds(),
                        "probability": 0.8 if len(away) == 2 else 0.9,
                        "evidence": shown,
                    },
                )


def _address_changes(seen: Seen, peers: list[str]) -> list[tuple[str, str, datetime]]:
    """Return (old, new, first registration at new) of each change of the public address, in time."""
    moves = [
        (after[0], before[1], after[1])
        for peer in peers
        if peer in seen.movers
        for before, after in pairwise(seen.places(peer))
        if before[1] != after[1]
    ]
    changes: list[tuple[str, str, datetime]] = []
    for time, old, new in sorted(moves):
        known = any(one[:2] == (old, new) and time - one[2] <= 2 * seen.period for one in changes)
        if not known:
            changes.append((old, new, time))
    return changes


def _stays_away(seen: Seen, peers: list[str], old: str, changed: datetime) -> dict[str, timedelta]:
    """Return the phones last seen at the old address that were lost with the change and stayed so, and how long."""
    before = seen.registered.filter(pl.col("peer").is_in(peers) & (pl.col("time") <= changed))
    there = before.group_by("peer").agg(pl.last("address")).filter(pl.col("address") == old)["peer"]
    begun = pl.col("start").is_between(changed - seen.period, changed + timedelta(minutes=10))
    lost = seen.losses.filter(begun & pl.col("peer").is_in(there.implode()))
    end = pl.lit(seen.results.log.last or changed, UTC_TIME)
    gone = lost.group_by("peer").agg((pl.col("end").fill_null(end) - changed).max())
    return dict(gone.filter(pl.col("end") >= AWAY_PERIODS * seen.period).iter_rows())


def line_switches(seen: Seen) -> Iterator[Finding]:
    """A site goes to and fro between two public addresses: a second line takes over, or load is shared."""
    for site, peers in seen.homes.items():
        ways = [[address for address, _ in groupby(p[1] for p in seen.places(peer))]
                for peer in peers if peer in seen.movers]  # fmt: skip
        pairs = {
            (min(a, b), max(a, b)): None
            for way in ways
            for a, b, c in zip(way, way[1:], way[2:], strict=False)
            if a == c
        }
        for pair in pairs:
            changes = [len([address for address in way if address in pair]) - 1 for way in ways]
            both = [n for n in changes if n >= 2]
            if len(both) >= max(2, 0.5 * sum(n > 0 for n in changes)) and max(both) >= 3:
                values = {"site": site, "one": pair[0], "other": pair[1], "times": max(both), "phones": len(both)}
                values |= {"probability": 0.9, "evidence": seen.lines(peers, "registered")}
                yield Finding("line_switches", "warning", site, values)
                break


# ---- endpoints: address and port ----


def two_devices(seen: Seen) -> Iterator[Finding]:
    """Two devices register with one account: its contact goes to and fro, faster than one device registers."""
    switching = {str(f.site) for f in line_switches(seen)}
    for site, peers in seen.homes.items():
        for peer in sorted(seen.returners.intersection(peers)) if site not in switching else ():
            lines = seen.places(peer)
            pair, gaps = _to_and_fro(lines)
            if pair and len(gaps) >= 6 and sorted(gaps)[len(gaps) // 2] <= 0.75 * seen.period.total_seconds():
                one, other = (f"{address}:{port}" for address, port in pair)
                values = {"site": site, "peer": peer, "one": one, "other": other, "times": len(gaps)}
                values |= {"probability": 0.9, "evidence": seen.lines([peer], "registered")}
                yield Finding("two_devices", "action", site, values)


def _to_and_fro(
    lines: Sequence[Place],
) -> tuple[tuple[tuple[str, int | None], tuple[str, int | None]] | None, list[float]]:
    """Return the two contacts between which a phone goes to and fro, and the seconds between its turns."""
    places = [(address, port) for _, address, port in lines]
    turns = [i for i in range(2, len(places)) if places[i] == places[i - 2] != places[i - 1]]
    if not turns:
        return None, []
    pairs = Counter(tuple(sorted((places[i], places[i - 1]), key=str)) for i in turns)
    pair = pairs.most_common(1)[0][0]
    mine = [i for i in turns if set(pair) == {places[i], places[i - 1]}]
    return (pair[0], pair[1]), [(lines[i][0] - lines[i - 1][0]).total_seconds() for i in mine]


def shared_port(seen: Seen) -> Iterator[Finding]:
    """Two phones of one site use the same local port: they take the same external port from each other.

    Accounts of one device are at one port together: only different models count. Phones that never have another port
    than 5060 are behind a router that reads SIP.
    """
    turns = seen.registered.sort("home", "address", "port", "time", "peer")
    before = turns.select(pl.col("home", "address", "port", "peer", "model").shift(1).name.suffix("_before"))
    same = pl.all_horizontal(pl.col(c).eq_missing(pl.col(f"{c}_before")) for c in ("home", "address", "port"))
    turns = turns.hstack(before).filter(same, pl.col("model") != pl.col("model_before"))
    counts = seen.registered.group_by("peer").len("drawn")
    for site in seen.homes:
        rewritten = pl.Series(list(_at_sip_port(seen, site)[0]), dtype=pl.String).implode()
        pairs = turns.filter(pl.col("home") == site)
        pairs = pairs.filter(~(pl.col("peer").is_in(rewritten) & pl.col("peer_before").is_in(rewritten)))
        handed = _handed_over(pairs, counts)
        phones = sorted({*handed["peer"], *handed["peer_before"]})
        if phones:
            values = {"site": site, "peers": phones, "phones": len(phones), "times": handed.height}
            values |= {"probability": 0.8, "evidence": seen.lines(phones, "registered")}
            yield Finding("shared_port", "action", site, values)


def _handed_over(pairs: pl.DataFrame, counts: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs (two phones registered from one place, one after the other) at ports that are taken over.

    Ports that a router draws it draws twice by chance, and seldom again; `counts`: how often each phone registered.
    """
    place = ["address", "port"]
    takers = pl.concat([pairs.select(*place, "peer"), pairs.select(*place, peer="peer_before")]).unique()
    drawn = takers.join(counts, on="peer").group_by(place).agg(pl.sum("drawn"))
    pairs = pairs.join(drawn, on=place, how="left", nulls_equal=True, maintain_order="left")
    often = pl.max_horizontal(2.0, _HANDED_SHARE * pl.col("drawn"))
    return pairs.filter((pl.col("port") == SIP_PORT) | (pl.len().over(place) >= often))


def sip_inspection(seen: Seen) -> Iterator[Finding]:
    """SIP inspection (ALG) of a router: phones of several models at one address and port, some or all of a site.

    A timeout of 30 or 60 minutes alone is no sign of it: anybody may have set that. It makes two such phones enough.
    """
    for row in seen.results.sites.iter_rows(named=True):
        site, low, high = row["site"], row["low_s"] or 0.0, row["high_s"]
        timer = next((t for t in INSPECTION_TIMERS_S if high and low < t + _BLUR_S and t - _BLUR_S <= high), None)
        pointed = timer is not None and low >= LONGEST_DEFAULT_S and high - low <= _WIDEST_S
        phones, everybody = _at_sip_port(seen, site)
        if site == UNKNOWN or not (everybody or (pointed and phones)):
            continue
        values = {"site": site, "low_s": row["low_s"], "high_s": high, "timer_s": timer, "phones": len(phones)}
        values |= {"evidence": seen.lines(phones, "registered"), "probability": 0.9 if everybody else 0.8}
        values |= {"told_as": "sip_inspection_ports"} if everybody else {}
        yield Finding("sip_inspection", "warning", site, values)


def _at_sip_port(seen: Seen, site: str) -> tuple[set[str], bool]:
    """Return the phones that always register from the same address and port 5060, and whether all of a site do.

    A router gives each phone behind an address a port of its own: only who reads SIP can tell phones apart on one. They
    are of several models (accounts of one may be one device's), and either answer all together, or one registers there
    while the entry of another must still live: phones that take a port from each other wait for that to expire.
    """
    places: dict[str, list[tuple[datetime, str]]] = {}
    peers = seen.homes.get(site, [])
    for peer in peers:
        if peer in seen.at_sip_port:
            time, address = seen.at_sip_port[peer]
            places.setdefault(address, []).append((time, peer))
    most = max(map(len, places.values()), default=0)
    place = next((sorted(one) for one in places.values() if len(one) == most), [])
    phones = {peer for _, peer in place}
    if len({seen.models[peer] for peer in phones} - {None}) < 2:
        return set(), False
    if len(phones) == sum(peer in seen.rows for peer in peers) >= 3 and _answer(seen, phones):
        return phones, True
    low = seen.results.sites.filter(pl.col("site") == site)["low_s"].max()
    lives = timedelta(seconds=max(float(low or 0.0), _TOGETHER_S))  # type: ignore[arg-type]
    # One phone's answers bring back another that is asked at its port: only what is further apart are two REGISTERs.
    back = seen.losses.filter(pl.col("peer").is_in(phones) & pl.col("end").is_not_null()).select("end", "peer").rows()
    steps = [*pairwise(place), *((a, b) for a, b in pairwise(sorted(back)) if b[0] - a[0] > _APART)]
    others = ({seen.models[a[1]], seen.models[b[1]]} - {None} for a, b in steps if b[0] - a[0] < lives)
    return (phones if any(len(models) == 2 for models in others) else set()), False


def _answer(seen: Seen, phones: set[str]) -> bool:
    """Say whether phones at one place answer together: where an entry has died, another phone may have its port."""
    later = max(seen.places(peer)[-1][0] for peer in phones) + timedelta(seconds=5 * _TOGETHER_S)
    return sum(not seen.was_lost(peer, later) for peer in phones) >= 0.8 * len(phones)


# ---- several phones at once ----


def shared_power(seen: Seen) -> Iterator[Finding]:
    """The same part of a site's phones boots together, again and again: one switch, one power strip.

    Phones that are back at once without a REGISTER, or one by one much later, had no line: they may be one of several
    customers behind a carrier's NAT.
    """
    own = seen.losses.filter(~pl.col("cause").cast(pl.String).is_in(_NOT_POWER))
    for site, peers in seen.homes.items():
        rows = own.filter(pl.col("home") == site).select("start", "peer", "end").rows() if site != UNKNOWN else []
        parts = [cluster for cluster in _clusters(rows) if _part_of(seen, peers, cluster) and _booted(seen, cluster)]
        groups = [frozenset(peer for _, peer, _ in cluster) for cluster in parts]
        for group in dict.fromkeys(sorted(groups, key=len, reverse=True)):
            alike = [one for one in groups if len(one & group) >= 0.8 * len(one | group)]
            if len(alike) >= 2:
                values = {"site": site, "peers": sorted(group), "phones": len(group), "times": len(alike)}
                values |= {"probability": 0.8, "evidence": seen.lines(group, "unreachable")}
                yield Finding("shared_power", "action", site, values)
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
    cluster: list[Loss] = []
    for row in rows:
        if cluster and (row[0] - cluster[0][0]).total_seconds() > _TOGETHER_S:
            yield cluster
            cluster = []
        cluster.append(row)
    if cluster:
        yield cluster


def pbx_trouble(seen: Seen) -> Iterator[Finding]:
    """The PBX or its own line: phones of unrelated sites lost or late within the same seconds, or its queues full."""
    events = seen.results.log.events
    overloaded = of_kind(events, "overload").height
    stalls = list(_stalls(seen))
    if not stalls and not overloaded:
        return
    values = {
        "times": len(stalls),
        "phones": max((len(stall) for _, stall in stalls), default=0),
        "sites": max((len({home for _, home in stall}) for _, stall in stalls), default=0),
        "since_at": stalls[0][0] if stalls else of_kind(events, "overload")["time"].drop_nulls().min(),
        "overloaded": overloaded,
        "probability": 0.95 if stalls and overloaded else 0.8,
    }
    if stalls:
        late = [peer for peer, _ in stalls[0][1]]
        values["evidence"] = seen.lines(late, "unreachable", "lagged", since=stalls[0][0])
    if not stalls:
        values["told_as"] = "pbx_overloaded"
    yield Finding("pbx_trouble", "action" if stalls else "warning", None, values)


def _stalls(seen: Seen) -> Iterator[tuple[datetime, list[tuple[str, str]]]]:
    """Yield the times at which phones of several sites had trouble within seconds, with (peer, site) of each."""
    home_of = {peer: home for home, peers in seen.homes.items() for peer in peers}
    events = seen.results.log.events.filter(pl.col("time").is_not_null())
    own = of_kind(events, "restart", "shutdown", "reload")["time"].to_list()
    rows = of_kind(events, "unreachable", "lagged").filter(pl.col("peer").is_in(list(home_of))).sort("time")
    rows = rows.join(_expired(seen), on=["peer", "time"], how="anti")
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


def _expired(seen: Seen) -> pl.DataFrame:
    """Return the losses (peer, time) by the NAT timeout: phones that restarted together are lost together by it."""
    own = seen.losses.filter((pl.col("cause").cast(pl.String) == "nat_expiry") & (pl.col("confidence") > _SURE))
    return own.select("peer", pl.col("start").alias("time"))


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
        yield Finding(
            "calls_lost", "warning", None, {"calls": told["calls"], "nobody": told["nobody"], "phones": phones}
        )
    elif told["unnamed"]:
        yield Finding("calls_lost_unnamed", "info", None, {"calls": told["unnamed"]})
