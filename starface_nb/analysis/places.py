"""Findings about the addresses and ports that phones register from: frames in, findings out."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain, groupby, pairwise

import numpy as np
import polars as pl

from starface_nb.analysis.diagnosis import Finding, say
from starface_nb.analysis.seen import SIP_PORT, TOGETHER_S, Place, Seen
from starface_nb.frames import UTC_TIME
from starface_nb.observations.addresses import UNKNOWN

INSPECTION_TIMERS_S = (1800.0, 3600.0)
"""What SIP inspection forgets a silent phone after: the router table's rows `SIP inspection` (guide/routers.csv)."""
LONGEST_DEFAULT_S = 900.0  # no ordinary UDP timer of that table is longer by default
_BLUR_S = 15.0  # of a bracket's ends, where phones on one port renew each other's entry
_WIDEST_S = 300.0  # a bracket wider than this does not point at a number
AWAY_PERIODS = 2.0  # a phone whose binding only died is back after one period
_LEAST_TURNS, _STEADY, _A_ROUND = 6, 0.05, 1.1
"""So many turns between two places; how evenly both devices register; one alone is back after two periods."""
_HANDED_SHARE = 0.05  # of the registrations of phones that take a port from each other
_REVIVED = timedelta(seconds=15)  # after one phone has registered, the others at its port are found by their next probe
_APART = timedelta(seconds=2 * TOGETHER_S)


# ---- addresses ----


def stale_state(seen: Seen) -> Iterator[Finding]:
    """The firewall holds on to states of the old public address: some phones of a site are back, others stay away."""
    for site, peers in seen.homes.items():
        for old, new, changed in _address_changes(seen, peers):
            soon = pl.col("time").is_between(changed, changed + seen.period) & (pl.col("address") == new)
            back = set(seen.registered.filter(soon & (pl.col("home") == site))["peer"])
            away = _stays_away(seen, [p for p in peers if p not in back], old, changed)
            if len(away) >= 2 and back and 2 * len(back & _gone_again(seen, changed)) < len(back):
                values = {"old": old, "new": new, "changed_at": changed}
                values |= {"phones": len(away), "peers": sorted(away), "returned": len(back)}
                values |= {"away_s": min(away.values()).total_seconds(), "probability": 0.8 if len(away) == 2 else 0.9}
                shown = seen.lines({*back, *away}, "unreachable", "registered", since=changed - seen.period)
                yield say("stale_state", "action", site, **values, evidence=shown)


def _address_changes(seen: Seen, peers: list[str]) -> list[tuple[str, str, datetime]]:
    """Return (old, new, first registration at new) of each change of the public address, in time."""
    steps = chain.from_iterable(pairwise(seen.places(peer)) for peer in peers if peer in seen.movers)
    moves = sorted((time, old, new) for (_, old, _), (time, new, _) in steps if old != new)
    changes: list[tuple[str, str, datetime]] = []
    for time, old, new in moves:
        if not any(one[:2] == (old, new) and time - one[2] <= 2 * seen.period for one in changes):
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


def _gone_again(seen: Seen, changed: datetime) -> set[str]:
    """Return the phones lost soon after a change for longer than a binding that died explains: the line is down."""
    soon = pl.col("start").is_between(changed, changed + AWAY_PERIODS * seen.period)
    end = pl.col("end").fill_null(pl.lit(seen.results.log.last or changed, UTC_TIME))
    return set(seen.losses.filter(soon & (end - pl.col("start") > seen.period))["peer"])


def line_switches(seen: Seen) -> Iterator[Finding]:
    """A site goes to and fro between two public addresses: a second line takes over, or load is shared."""
    for site, peers in seen.homes.items():
        ways = [[address for address, _ in groupby(p[1] for p in seen.places(peer))]
                for peer in peers if peer in seen.movers]  # fmt: skip
        turns = chain.from_iterable(zip(way, way[1:], way[2:], strict=False) for way in ways)
        for pair in dict.fromkeys((min(a, b), max(a, b)) for a, b, c in turns if a == c):
            changes = [len([address for address in way if address in pair]) - 1 for way in ways]
            both = [n for n in changes if n >= 2]
            if len(both) >= max(2, 0.5 * sum(n > 0 for n in changes)) and max(both) >= 3:
                values = {"one": pair[0], "other": pair[1], "times": max(both), "phones": len(both), "probability": 0.9}
                yield say("line_switches", "warning", site, **values, evidence=seen.lines(peers, "registered"))
                break


# ---- endpoints: address and port ----


def two_devices(seen: Seen) -> Iterator[Finding]:
    """Two devices register with one account: its contact goes to and fro, faster than one device registers.

    Behind a router that draws a new port each time only their addresses are the same again: there both must keep time.
    """
    switching = {str(f.site) for f in line_switches(seen)}
    for site, peers in seen.homes.items():
        for peer in sorted((seen.returners | seen.movers).intersection(peers)) if site not in switching else ():
            lines = seen.places(peer)
            contacts, addresses = [f"{address}:{port}" for _, address, port in lines], [line[1] for line in lines]
            found = _to_and_fro(lines, contacts, seen.period, 0.75) or _to_and_fro(lines, addresses, seen.period, 0.0)
            if found:
                shown = seen.lines([peer], "registered")
                yield say("two_devices", "action", site, peer=peer, **found, probability=0.9, evidence=shown)


def _to_and_fro(lines: Sequence[Place], places: list[str], period: timedelta, share: float) -> dict[str, object]:
    """Return how a phone goes to and fro between the two places where it does so most, if two devices do.

    Two they are where turns come sooner than a share of the time after which one device registers, or in its rhythm.
    """
    turns = [i for i in range(2, len(places)) if places[i] == places[i - 2] != places[i - 1]]
    pairs = Counter((min(places[i], places[i - 1]), max(places[i], places[i - 1])) for i in turns)
    one, other = pairs.most_common(1)[0][0] if pairs else ("", "")
    mine = [i for i in turns if {one, other} == {places[i], places[i - 1]}]
    if len(mine) < _LEAST_TURNS:
        return {}
    at, longest = np.array([time.timestamp() for time, *_ in lines]), period.total_seconds()
    gaps, rounds = at[mine] - at[[i - 1 for i in mine]], at[mine] - at[[i - 2 for i in mine]]
    usual = float(np.median(rounds))
    steady = float(np.median(np.abs(rounds - usual))) <= _STEADY * usual
    are_two = np.median(gaps) <= share * longest or (steady and usual <= _A_ROUND * longest)
    return {"one": one, "other": other, "times": len(mine)} if are_two else {}


def shared_port(seen: Seen) -> Iterator[Finding]:
    """Two phones of one site use the same local port: they take the same external port from each other.

    Accounts of one device are at one port together: only different models count. Phones that never have another port
    than 5060 are behind a router that reads SIP.
    """
    before = pl.col("peer", "model").shift(1).over("home", "address", "port").name.suffix("_before")
    turns = seen.registered.sort("home", "address", "port", "time", "peer").with_columns(before)
    turns = turns.filter(pl.col("model") != pl.col("model_before"))
    counts = seen.registered.group_by("peer").len("drawn")
    for site in seen.homes:
        rewritten = pl.Series(list(_at_sip_port(seen, site)[0]), dtype=pl.String).implode()
        pairs = turns.filter(pl.col("home") == site)
        pairs = pairs.filter(~(pl.col("peer").is_in(rewritten) & pl.col("peer_before").is_in(rewritten)))
        handed = _handed_over(pairs, counts)
        phones = sorted({*handed["peer"], *handed["peer_before"]})
        if phones:
            values = {"peers": phones, "phones": len(phones), "times": handed.height, "probability": 0.8}
            yield say("shared_port", "action", site, **values, evidence=seen.lines(phones, "registered"))


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
        values = {"low_s": row["low_s"], "high_s": high, "timer_s": timer, "phones": len(phones)}
        values |= {"evidence": seen.lines(phones, "registered"), "probability": 0.9 if everybody else 0.8}
        values |= {"told_as": "sip_inspection_ports"} if everybody else {}
        yield say("sip_inspection", "warning", site, **values)


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
    place = sorted(places[max(places, key=lambda address: len(places[address]))]) if places else []
    phones = {peer for _, peer in place}
    if len({seen.models[peer] for peer in phones} - {None}) < 2:
        return set(), False
    if len(phones) == sum(peer in seen.rows for peer in peers) >= 3 and _answer(seen, phones):
        return phones, True
    low = seen.results.sites.filter(pl.col("site") == site)["low_s"].drop_nulls().to_list()
    lives = timedelta(seconds=max(*low, TOGETHER_S, 0.0))
    # One phone's answers bring back another that is asked at its port: only what is further apart are two REGISTERs.
    back = seen.losses.filter(pl.col("peer").is_in(phones)).select("end", "peer").drop_nulls("end").rows()
    steps = [*pairwise(place), *((a, b) for a, b in pairwise(sorted(back)) if b[0] - a[0] > _APART)]
    others = ({seen.models[a[1]], seen.models[b[1]]} - {None} for a, b in steps if b[0] - a[0] < lives)
    return (phones if any(len(models) == 2 for models in others) else set()), False


def _answer(seen: Seen, phones: set[str]) -> bool:
    """Say whether phones at one place answer together, each for itself: not by the one that has the port of all."""
    later = max(seen.places(peer)[-1][0] for peer in phones) + timedelta(seconds=5 * TOGETHER_S)
    ends = seen.losses.filter(pl.col("peer").is_in(phones))["end"].drop_nulls().sort()
    revived = len(ends) > len(phones) and 2 * (ends.diff() <= _REVIVED).sum() > len(ends) - 1
    return not revived and sum(not seen.was_lost(peer, later) for peer in phones) >= 0.8 * len(phones)
