"""The customer's side: when what is broken, and which mappings the router holds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import inf

import numpy as np

from starface_nb.simulation.spec import Fault, Phone, Router, Site

COMMON_PORT = 5060
Contact = tuple[str, int]


class Timeline:
    """Faults in the order of their begin; a later one wins where two overlap."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self.faults = sorted(faults, key=lambda fault: fault.start)
        self.starts = [fault.start for fault in self.faults]
        self.longest = max((fault.end - fault.start for fault in self.faults), default=0.0)

    def at(self, t: float) -> Fault | None:
        """Return the fault that covers `t`."""
        i = bisect_right(self.starts, t) - 1
        while i >= 0 and self.starts[i] >= t - self.longest:
            if t < self.faults[i].end:
                return self.faults[i]
            i -= 1
        return None


def next_after(times: list[float], t: float) -> float:
    """Return the first of these sorted moments after `t`."""
    i = bisect_right(times, t)
    return times[i] if i < len(times) else inf


@dataclass(slots=True)
class Mapping:
    """One entry of the router's table.

    `renewed` and `answered` are the times of the last renewal and of the last probe answered since; `timeout` is
    what the router set it to at the renewal; `counted` is true once its death was noted as a cycle; `killed` says
    since when and why it is gone other than by age.
    """

    ip: str
    port: int
    owner: PhoneState
    born: float
    renewed: float
    dies: float
    timeout: float
    answered: float | None = None
    counted: bool = False
    killed: tuple[float, str] | None = None

    def alive(self, t: float) -> bool:
        """Return whether a packet from outside still gets through."""
        return self.killed is None and t < self.dies


@dataclass(slots=True)
class Episode:
    """One unreachable interval as it will stand in the truth."""

    peer: str
    site: str
    start: float
    cause: str
    also: tuple[str, ...]
    since: float
    died: float | None
    shown: bool
    repeats: list[float] = field(default_factory=list)
    end: float | None = None
    ended_by: str = "open"


class PhoneState:
    """A phone, its registration at the PBX and the probing of it."""

    def __init__(self, spec: Phone, site: SiteState, faults: Iterable[Fault]) -> None:
        self.spec, self.site = spec, site
        mine = [f for f in faults if f.phone == spec.peer and f.kind in ("phone_restart", "phone_offline")]
        cut = [f for f in faults if f.kind == "power_cut" and f.site == site.spec.name]
        self.down = Timeline([*mine, *(replace(fault, kind="phone_restart") for fault in cut)])
        self.edges = sorted(edge for fault in self.down.faults for edge in (fault.start, fault.end))
        self.inner_port = COMMON_PORT
        self.token = 0
        self.mapping: Mapping | None = None
        self.where: Mapping | None = None
        self.contact: Contact | None = None
        self.expires = 0.0
        self.agent_known = False
        self.last_ms = 0.0
        self.next_probe: float | None = None
        self.pending: tuple[float, float, float] | None = None
        self.blame: list[tuple[float, str]] = []
        self.calm = 0
        self.episode: Episode | None = None
        self.lagged_since: float | None = None

    def holder(self, t: float) -> Mapping | None:
        """Return the living mapping that the stored contact leads to, whoever owns it."""
        if self.contact is None or self.contact[0] != self.site.ip:
            return None
        mapping = self.site.table.get(self.contact[1])
        return mapping if mapping is not None and mapping.alive(t) else None

    def answers(self, t: float) -> bool:
        """Return whether a probe of this phone, sent now, finds someone to answer it."""
        mapping, site = self.holder(t), self.site
        return bool(mapping and site.open(t) and not site.blocked.at(t) and not mapping.owner.down.at(t))


def trunk(peer: str, rng: np.random.Generator) -> PhoneState:
    """Return a peer with a fixed address, to which nothing ever happens."""
    found = PhoneState(Phone(peer, rtt_ms=18.0), SiteState(Site("", "", ()), (), rng), ())
    found.contact, found.expires, found.calm = ("", 0), inf, 1 << 60
    found.site.table[0] = Mapping("", 0, found, 0.0, 0.0, inf, inf)
    return found


class SiteState:
    """A site's line, router and table."""

    def __init__(self, spec: Site, faults: Iterable[Fault], rng: np.random.Generator) -> None:
        self.spec, self.rng = spec, rng
        self.ip, self.router = spec.public_ip, spec.router
        mine = [f for f in faults if f.site == spec.name]

        def timeline(*kinds: str) -> Timeline:
            return Timeline(fault for fault in mine if fault.kind in kinds)

        self.line = timeline("wan_outage")
        self.box = timeline("router_restart", "router_change", "power_cut")
        self.slow = timeline("latency")
        self.blocked = timeline("blacklisted")
        self.lossy = timeline("packet_loss")
        self.edges = sorted(edge for f in mine for edge in (f.start, f.end))
        self.table: dict[int, Mapping] = {}
        self.phones: list[PhoneState] = []
        self.eras: list[tuple[float, Router]] = [(-inf, spec.router)]
        self.addresses: list[tuple[float, str]] = [(-inf, spec.public_ip)]
        self.longest_gap = 0.0

    def open(self, t: float) -> bool:
        """Return whether packets pass between the phones and the internet."""
        return self.line.at(t) is None and self.box.at(t) is None

    def obstacles(self, t: float) -> list[tuple[float, str]]:
        """Return since when and by what every packet to the site is stopped."""
        found = []
        for timeline in (self.line, self.box, self.blocked):
            fault = timeline.at(t)
            if fault:
                restart = fault.kind in ("router_change", "power_cut")
                found.append((fault.start, "router_restart" if restart else fault.kind))
                if fault.kind == "power_cut":
                    found.append((fault.start, "wan_outage"))
        return found

    def renew(self, mapping: Mapping, t: float) -> None:
        """Let a packet from inside renew a mapping."""
        young = t - mapping.born <= 2.0
        short = self.router.unreplied_s if young else None
        mapping.timeout = self.router.timeout_s if short is None else short
        mapping.renewed, mapping.dies, mapping.answered, mapping.counted = t, t + mapping.timeout, None, False

    def send(self, phone: PhoneState, t: float) -> Mapping:
        """Let a REGISTER pass the router: renew the phone's mapping or make a new one."""
        mapping = phone.mapping
        if mapping is None or not mapping.alive(t) or mapping.ip != self.ip:
            port = self._port(phone, t)
            mapping = Mapping(self.ip, port, phone, t, t, t, 0.0)
            self.table[port] = phone.mapping = mapping
        self.renew(mapping, t)
        return mapping

    def _port(self, phone: PhoneState, t: float) -> int:
        if self.router.ports != "new" and self._free(phone.inner_port, phone, t):
            return phone.inner_port
        while True:
            port = int(self.rng.integers(1024, 65536))
            if self._free(port, phone, t):
                return port

    def _free(self, port: int, phone: PhoneState, t: float) -> bool:
        holder = self.table.get(port)
        if holder is None or holder.owner is phone or holder.killed is not None:
            return True
        # Probes of other phones may have renewed their mappings without that being worked out yet.
        lagging = self.router.renewal == "any_packet" and self.router.ports != "kernel"
        return not holder.alive(t) and not (lagging and holder.owner.mapping is holder)

    def forget(self, t: float, cause: str, since: float) -> None:
        """Drop every mapping."""
        for mapping in self.table.values():
            if mapping.alive(t):
                mapping.killed = (since, cause)
