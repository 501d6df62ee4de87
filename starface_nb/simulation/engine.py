"""The PBX's side: registrations, probes, and the lines they leave; event by event, healthy stretches in one step.

Timing of the probes: Asterisk 13.38.3 channels/chan_sip.c:30329 (UNREACHABLE), :30466 (no answer after twice the
limit), :17095 (a REGISTER is probed at once), channels/sip/include/sip.h:91-93 (60 s, 10 s, 2,000 ms);
res/res_pjsip/pjsip_options.c for PJSIP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from math import floor

import numpy as np

from starface_nb.simulation.spec import Fault, Phone, Router, Scenario
from starface_nb.simulation.world import COMMON_PORT, Episode, Mapping, PhoneState, SiteState, Timeline

LIMIT_MS = 2000.0
Row = tuple[float, int, str, str, object, object]


@dataclass(frozen=True)
class Probing:
    """When a driver sends probes and how long it waits."""

    interval: float
    wait: float
    retry: float
    resends: tuple[float, ...]
    drift: bool


PROBING = {
    "SIP": Probing(60.0, 4.0, 10.0, (0.0, 1.0, 2.0, 3.0), drift=True),
    "PJSIP": Probing(60.0, 3.0, 57.0, (0.0, 0.5, 1.5), drift=False),
}


class Engine:
    """Runs one scenario; afterwards `rows`, `episodes`, `lags` and `cycles` hold what happened."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.rng = np.random.default_rng(seed)
        self._uniforms: list[float] = []
        self.probing = PROBING[scenario.tech]
        self.sip = scenario.tech == "SIP"
        self.rows: list[Row] = []
        self.episodes: list[Episode] = []
        self.lags: list[tuple[str, float, float]] = []
        self.cycles: list[tuple[SiteState, float, float, float, float | None]] = []
        self.now = -scenario.warm_up_s
        self.end = scenario.seconds
        self._queue: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._count = 0
        faults = scenario.faults
        self.down = Timeline((f.start, f.end, f) for f in faults if f.kind == "pbx_restart")
        self.sites = [SiteState(site, faults, self.rng) for site in scenario.sites]
        self.phones = [self._phone(spec, site) for site in self.sites for spec in site.spec.phones]
        self.trunks = [PhoneState(Phone(peer, rtt_ms=18.0), None, faults) for peer in scenario.trunks]
        self._plan(faults)

    # -- chance ---------------------------------------------------------------------------------------------------

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return a random number; drawn in blocks, which is faster than one by one."""
        if not self._uniforms:
            self._uniforms = self.rng.random(4096).tolist()
        return low + (high - low) * self._uniforms.pop()

    def _geometric(self, chance: float) -> int:
        return int(np.log(1.0 - self.uniform()) / np.log1p(-chance)) if chance > 0 else 1 << 60

    # -- setting up -----------------------------------------------------------------------------------------------

    def _phone(self, spec: Phone, site: SiteState) -> PhoneState:
        phone = PhoneState(spec, site, self.scenario.faults)
        kernel = site.spec.router.ports == "kernel"
        phone.inner_port = COMMON_PORT if kernel else int(self.uniform(1025, 65000))
        phone.calm = self._calm(site)
        site.phones.append(phone)
        return phone

    def _calm(self, site: SiteState) -> int:
        loss = 1.0 - (1.0 - site.spec.loss_rate) ** 2
        return self._geometric(loss**2)

    def _plan(self, faults: tuple[Fault, ...]) -> None:
        for phone in self.phones:
            first = phone.spec.first_s
            wait = self.uniform(0, phone.spec.reregister_s) if first is None else first
            self._at(self.now + wait, self._register, phone, 0)
            for _, end, kind in phone.down.spans:
                boot = self.uniform(0.5, 3.0) if kind == "phone_offline" else self.uniform(0.0, 1.0)
                self._at(end + boot, self._boot, phone)
        for fault in faults:
            action = getattr(self, f"_on_{fault.kind}", None)
            if action:
                action(fault)
        if not self.down.at(self.now):
            self._at(self.now, self._pbx_start)

    def _at(self, t: float, action: Callable[..., None], *arguments: object) -> None:
        self._count += 1
        heappush(self._queue, (t, self._count, action, arguments))

    def _site(self, fault: Fault) -> SiteState:
        return next(site for site in self.sites if site.spec.name == fault.site)

    def _on_wan_outage(self, fault: Fault) -> None:
        if fault.values.get("new_ip"):
            self._at(fault.end, self._new_ip, self._site(fault), fault)

    def _on_router_restart(self, fault: Fault) -> None:
        self._at(fault.start, self._lose_table, self._site(fault), fault)

    _on_power_cut = _on_router_restart

    def _on_router_change(self, fault: Fault) -> None:
        site = self._site(fault)
        if not fault.values.get("keep"):
            self._at(fault.start, self._lose_table, site, fault)
        self._at(fault.end, self._change_router, site, fault)

    def _on_pbx_restart(self, fault: Fault) -> None:
        self._at(fault.start, self._pbx_stop, fault)
        self._at(fault.end, self._pbx_start)

    def _on_blacklisted(self, fault: Fault) -> None:
        site = self._site(fault)
        peer = fault.phone or f"{site.spec.phones[0].peer.split('.')[0]}9.snomd345"
        port = int(self.uniform(1025, 65000))
        for i in range(int(self.uniform(5, 12)), 0, -1):
            self._at(fault.start - i * self.uniform(3, 8), self._refuse, peer, site, port)

    def _on_unregister(self, fault: Fault) -> None:
        phone = next(p for p in self.phones if p.spec.peer == fault.phone)
        self._at(fault.start, self._unregister, phone)
        self._at(fault.end, self._boot, phone)

    # -- running --------------------------------------------------------------------------------------------------

    def run(self) -> Engine:
        """Run to the log's end."""
        while self._queue and self._queue[0][0] < self.end:
            self.now, _, action, arguments = heappop(self._queue)
            action(*arguments)
        self.now = self.end
        for phone in [*self.phones, *self.trunks]:
            self._advance(phone, self.end)
            self._survive(phone.mapping)
            if phone.lagged_since is not None:
                self._unlag(phone, self.end)
        self.rows.sort()
        return self

    def _row(self, t: float, kind: str, peer: str, a: object = None, b: object = None) -> None:
        self._count += 1
        if t >= 0.0:
            self.rows.append((t, self._count, kind, peer, a, b))

    # -- the PBX --------------------------------------------------------------------------------------------------

    def _pbx_stop(self, fault: Fault) -> None:
        for phone in [*self.phones, *self.trunks]:
            self._advance(phone, self.now)
            phone.next_probe = phone.pending = None
            phone.last_ms, phone.agent_known = 0.0, False
        if not fault.values.get("crash"):
            self._row(self.now, "shutdown", "")
            self._row(self.now, "cleanups", "")

    def _pbx_start(self) -> None:
        self._row(self.now, "start", "")
        stored = [p for p in self.phones if p.contact and p.expires > self.now]
        for i, phone in enumerate([*stored, *self.trunks]):
            gap = 0.1 * i if self.sip else self.uniform(0, self.probing.interval)
            phone.next_probe = self.now + 1.0 + gap
        for phone in self.phones:
            if phone.next_probe is None:
                phone.contact = None

    def _refuse(self, peer: str, site: SiteState, port: int) -> None:
        if site.open(self.now) and not self.down.at(self.now):
            self._row(self.now, "failed", peer, site.ip, port)

    # -- the router -----------------------------------------------------------------------------------------------

    def _settle(self, site: SiteState) -> None:
        for phone in site.phones:
            self._advance(phone, self.now)

    def _lose_table(self, site: SiteState, fault: Fault) -> None:
        self._settle(site)
        site.forget(self.now, "router_restart", fault.start)

    def _new_ip(self, site: SiteState, fault: Fault) -> None:
        self._settle(site)
        site.forget(self.now, "wan_outage", fault.start)
        site.ip = str(fault.values["new_ip"])
        site.addresses.append((self.now, site.ip))

    def _change_router(self, site: SiteState, fault: Fault) -> None:
        self._settle(site)
        router = fault.values["router"]
        assert isinstance(router, Router)  # noqa: S101
        site.router = router
        site.eras.append((self.now, router))

    # -- the phones -----------------------------------------------------------------------------------------------

    def _boot(self, phone: PhoneState) -> None:
        if phone.down.at(self.now):
            return
        site = phone.site
        if site is not None and site.spec.router.ports != "kernel":
            phone.inner_port = int(self.uniform(1025, 65000))
            self._advance(phone, self.now)
            self._survive(phone.mapping)
            if phone.mapping is not None and phone.mapping.alive(self.now):
                phone.mapping.killed = (self.now, "phone_restart")
            phone.mapping = None
        phone.token += 1
        self._register(phone, phone.token)

    def _unregister(self, phone: PhoneState) -> None:
        self._advance(phone, self.now)
        if phone.contact is None or self.down.at(self.now) or not self._passes(phone, self.now):
            return
        phone.token += 1
        phone.contact = phone.next_probe = phone.pending = None
        phone.last_ms = 0.0
        self._row(self.now, "unregistered", phone.spec.peer)
        self._recover(phone, self.now, "unregistered")

    def _register(self, phone: PhoneState, token: int) -> None:
        site = phone.site
        if token != phone.token or site is None or phone.down.at(self.now):
            return
        if site.router.ports == "kernel":
            self._settle(site)
        else:
            self._advance(phone, self.now)
        self._again(phone, self._try(phone, site))

    def _try(self, phone: PhoneState, site: SiteState) -> float:
        """Send a REGISTER; return how long the phone waits before the next one."""
        if not site.open(self.now):
            return phone.spec.retry_s
        self._survive(phone.mapping)
        mapping = site.send(phone, self.now)
        if site.blocked.at(self.now) or self.down.at(self.now):
            return phone.spec.retry_s
        if self._lost(site, self.now):
            return self.uniform(0.5, 4.0)
        self._accept(phone, mapping)
        spread = phone.spec.jitter
        return phone.spec.reregister_s * self.uniform(1.0 - spread, 1.0 + spread)

    def _again(self, phone: PhoneState, wait: float) -> None:
        phone.token += 1
        self._at(self.now + wait, self._register, phone, phone.token)

    def _accept(self, phone: PhoneState, mapping: Mapping) -> None:
        t, contact = self.now, (mapping.ip, mapping.port)
        moved = contact != phone.contact
        if moved:
            self._row(t, "registered", phone.spec.peer, contact, phone.contact)
        if not phone.agent_known and self.sip:
            self._row(t, "useragent", phone.spec.peer, phone.spec.user_agent)
        phone.agent_known = True
        phone.contact, phone.where = contact, mapping
        phone.expires = t + phone.spec.expires_s + 10.0
        if self.sip or moved or phone.next_probe is None:
            phone.next_probe, phone.pending = t + 0.005, None
            if not self.sip and moved:
                phone.last_ms = 0.0 if phone.episode is None else -1.0

    # -- probing --------------------------------------------------------------------------------------------------

    def _advance(self, phone: PhoneState, until: float) -> None:
        """Send this phone's probes up to `until`; nothing about its site's table changes before then."""
        while True:
            if phone.pending is not None:
                if phone.pending[0] > until:
                    return
                self._outcome(phone, *phone.pending)
                phone.pending = None
            t = phone.next_probe
            if t is None or t >= until:
                return
            if phone.site is not None and t >= phone.expires:
                if not self.sip:
                    if phone.last_ms > 0:
                        self._lose(phone, t, t)
                    self._row(t, "expired", phone.spec.peer, phone.contact)
                phone.contact = phone.next_probe = None
                phone.last_ms = 0.0
                return
            if not self._leap(phone, t, until):
                self._probe(phone, t)

    def _holder(self, phone: PhoneState, t: float) -> Mapping | None:
        """Return the living mapping that the phone's stored contact leads to, whoever owns it."""
        site = phone.site
        if site is None or phone.contact is None or phone.contact[0] != site.ip:
            return None
        mapping = site.table.get(phone.contact[1])
        return mapping if mapping is not None and mapping.alive(t) else None

    def _passes(self, phone: PhoneState, t: float) -> bool:
        site = phone.site
        if site is None:
            return True
        mapping = self._holder(phone, t)
        if mapping is None or not site.open(t) or site.blocked.at(t):
            return False
        return mapping.owner.down.at(t) is None

    def _lost(self, site: SiteState, t: float) -> bool:
        span = site.lossy.at(t)
        if span is None:
            return False
        rate = float(getattr(span[1], "values", {}).get("rate", 1.0))
        return self.uniform() < 1.0 - (1.0 - rate) ** 2

    def _leap(self, phone: PhoneState, t: float, until: float) -> bool:
        """Do as many probes at once as are bound to end like the last one."""
        site, probing = phone.site, self.probing
        edge = until if site is None else min(until, site.edges.after(t), phone.edges.after(t), phone.expires)
        if phone.last_ms == -1.0 and site is not None and not self._passes(phone, t):
            step = probing.wait + probing.retry
            n = floor((edge - probing.wait - t) / step)
            if n < 1:
                return False
            phone.next_probe = t + n * step
            return True
        if not 0 < phone.last_ms <= LIMIT_MS:
            return False
        step = probing.interval + (phone.spec.rtt_ms / 1000.0 if probing.drift else 0.0)
        if site is None:
            n = floor((until - t) / step)
        else:
            mapping = self._holder(phone, t)
            if mapping is None or not self._calm_now(phone, mapping, t):
                return False
            any_packet = site.router.renewal == "any_packet"
            if any_packet and site.router.timeout_s < step + 5.0:
                return False
            stop = edge if any_packet and mapping.timeout > step + 5.0 else min(edge, mapping.dies)
            if mapping.owner is not phone:
                stop = min(stop, mapping.owner.edges.after(t))
            n = min(floor((stop - 5.0 - t) / step), phone.calm)
            if n < 1:
                return False
            phone.calm -= n
            self._answered(site, mapping, phone, t + (n - 1) * step)
        if n < 1:
            return False
        phone.next_probe = t + n * step
        phone.last_ms = self._rtt(phone)
        return True

    def _calm_now(self, phone: PhoneState, mapping: Mapping, t: float) -> bool:
        site = phone.site
        assert site is not None  # noqa: S101
        return self._passes(phone, t) and not site.slow.at(t) and not site.lossy.at(t) and mapping.alive(t)

    def _rtt(self, phone: PhoneState) -> float:
        return max(1.0, phone.spec.rtt_ms * self.uniform(0.3, 1.7))

    def _probe(self, phone: PhoneState, t: float) -> None:
        """Send one probe with its resends and note when and how it ends."""
        site, wait = phone.site, self.probing.wait
        for i, delay in enumerate(self.probing.resends):
            at = t + delay
            if site is not None and (not self._passes(phone, at) or self._lost(site, at) or self._unlucky(phone, i)):
                continue
            slow = site.slow.at(at) if site is not None else None
            if slow:
                values = getattr(slow[1], "values", {})
                low, high = float(values.get("low_ms", 1500)) / 2, float(values.get("high_ms", 5000)) / 2
                rtt = self.uniform(low, high) + self.uniform(low, high)  # one way and the other
            else:
                rtt = self._rtt(phone)
            rtt += delay * 1000.0
            if rtt < wait * 1000.0:
                phone.pending = (t + rtt / 1000.0, rtt, t)
                mapping = self._holder(phone, at)
                if site is not None and mapping is not None:
                    self._answered(site, mapping, phone, at)
                pause = self.probing.interval if rtt <= LIMIT_MS or not self.sip else self.probing.retry
                phone.next_probe = t + pause + (rtt / 1000.0 if self.probing.drift else 0.0)
                return
        phone.pending = (t + wait, -1.0, t)
        phone.next_probe = t + wait + self.probing.retry

    def _unlucky(self, phone: PhoneState, i: int) -> bool:
        """Return whether background loss swallows this packet: rarely two in a row, hence a late answer."""
        if phone.calm > 0 or phone.site is None:
            phone.calm -= i == 0
            return False
        if i < 2 or (i == 2 and self.uniform() < 0.02):
            return True
        phone.calm = self._calm(phone.site)
        return False

    def _answered(self, site: SiteState, mapping: Mapping, phone: PhoneState, t: float) -> None:
        if site.router.renewal == "any_packet":
            gap = min(t - mapping.renewed, self.probing.interval)
            if gap > site.longest_gap and mapping.renewed >= 0.0:
                site.longest_gap = gap
                self.cycles.append((site, mapping.renewed, mapping.timeout, gap, None))
            site.renew(mapping, t)
        if mapping.owner is phone:
            mapping.answered = t

    def _outcome(self, phone: PhoneState, t: float, rtt: float, sent: float) -> None:
        before = phone.last_ms
        if rtt < 0:
            if before > -1.0:
                self._lose(phone, t, sent)
            phone.last_ms = -1.0
            return
        phone.last_ms = rtt if self.sip else min(rtt, LIMIT_MS)
        was, now = 0 < before <= LIMIT_MS, rtt <= LIMIT_MS or not self.sip
        if before != 0.0 and was == now:
            return
        self._row(t, "reachable" if now else "lagged", phone.spec.peer, rtt, phone.contact)
        self._recover(phone, t, "reachable" if now else "lagged")
        if now:
            self._unlag(phone, t)
        elif phone.lagged_since is None:
            phone.lagged_since = t

    def _unlag(self, phone: PhoneState, t: float) -> None:
        if phone.lagged_since is not None:
            if t >= 0:
                self.lags.append((phone.spec.peer, phone.lagged_since, t))
            phone.lagged_since = None

    # -- truth ----------------------------------------------------------------------------------------------------

    def _lose(self, phone: PhoneState, t: float, sent: float) -> None:
        self._row(t, "unreachable", phone.spec.peer, max(0.0, phone.last_ms), phone.contact)
        self._unlag(phone, t)
        episode = phone.episode
        if episode is not None:
            episode.repeats.append(t)
            if t >= 0 and not episode.shown:
                episode.start, episode.shown, episode.repeats = t, True, []
            return
        obstacles = sorted(self._obstacles(phone, sent), key=lambda found: found[0])
        (since, cause), rest = obstacles[0], obstacles[1:]
        died = phone.where.dies if cause == "nat_expiry" and phone.where else None
        also = tuple(dict.fromkeys(name for at, name in rest if name != cause and at == since))
        site = phone.site.spec.name if phone.site else None
        phone.episode = Episode(phone.spec.peer, site, t, cause, also, since, died, t >= 0)
        self.episodes.append(phone.episode)
        if cause == "nat_expiry" and phone.site and phone.where and not phone.where.counted:
            self._cycle(phone.site, phone.where, sent - phone.where.renewed)
            phone.where.counted = True

    def _recover(self, phone: PhoneState, t: float, by: str) -> None:
        if phone.episode is not None:
            phone.episode.end, phone.episode.ended_by = t, by
            phone.episode = None

    def _obstacles(self, phone: PhoneState, t: float) -> list[tuple[float, str]]:
        site = phone.site
        if site is None:
            return [(t, "packet_loss")]
        found = site.obstacles(t)
        span = phone.down.at(t)
        if span:
            found.append((span[0], str(span[1])))
        if self._holder(phone, t) is None:
            found.append(self._death(phone))
        for timeline, cause in ((site.slow, "latency"), (site.lossy, "packet_loss")):
            span = timeline.at(t)
            if span:
                found.append((span[0], cause))
        return found or [(t, "packet_loss")]

    def _death(self, phone: PhoneState) -> tuple[float, str]:
        mapping = phone.where
        assert mapping is not None  # noqa: S101
        if mapping.killed is not None:
            return mapping.killed
        site = phone.site
        assert site is not None  # noqa: S101
        if site.router.renewal == "any_packet" and mapping.timeout > self.probing.interval:
            # Probing had kept it alive, so whatever stopped the probes' answers killed it.
            down = self.down.at(mapping.dies - 1e-3)
            if down:
                return down[0], "pbx_restart"
            for timeline in (site.line, site.box, phone.down):
                span = timeline.at(mapping.dies - 1e-3)
                if span:
                    kind = span[1] if isinstance(span[1], str) else str(getattr(span[1], "kind", ""))
                    return span[0], kind
        return mapping.dies, "nat_expiry"

    def _survive(self, mapping: Mapping | None) -> None:
        """Note how old a mapping was seen alive, before it is renewed."""
        if mapping is None or mapping.answered is None or mapping.counted or mapping.killed is not None:
            return
        if mapping.owner.site is not None and mapping.answered > mapping.renewed:
            self._cycle(mapping.owner.site, mapping, None)
        mapping.answered = None

    def _cycle(self, site: SiteState, mapping: Mapping, upper: float | None) -> None:
        seen = mapping.renewed if mapping.answered is None else mapping.answered
        if mapping.renewed >= 0.0:
            self.cycles.append((site, mapping.renewed, mapping.timeout, seen - mapping.renewed, upper))


def build(scenario: Scenario, seed: int) -> Engine:
    """Return the engine of a scenario after its run."""
    return Engine(scenario, seed).run()
