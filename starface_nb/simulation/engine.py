"""Runs a scenario, event by event: the PBX starts and stops, routers forget, phones register; probes go in between."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from starface_nb.simulation.journal import Journal
from starface_nb.simulation.probing import RHYTHMS, Chance, Prober
from starface_nb.simulation.spec import Fault, Phone, Router, Scenario
from starface_nb.simulation.world import COMMON_PORT, Contact, Mapping, PhoneState, SiteState, Timeline, trunk


class Engine:
    """One run of one scenario; afterwards `journal` holds what happened."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario, self.sip = scenario, scenario.tech == "SIP"
        self.now, self.end = -scenario.warm_up_s, scenario.seconds
        self._queue: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._count = count()
        faults = scenario.faults
        self.down = Timeline(fault for fault in faults if fault.kind == "pbx_restart")
        self.chance = Chance(seed)
        self.journal = Journal(self.down, RHYTHMS[scenario.tech].interval)
        self.prober = Prober(RHYTHMS[scenario.tech], self.chance, self.journal)
        self.sites = [SiteState(site, faults, self.chance.rng) for site in scenario.sites]
        self.phones = [self._phone(spec, site) for site in self.sites for spec in site.spec.phones]
        self.trunks = [trunk(peer, self.chance.rng) for peer in scenario.trunks]
        self._plan(faults)

    # -- setting up -----------------------------------------------------------------------------------------------

    def _phone(self, spec: Phone, site: SiteState) -> PhoneState:
        phone = PhoneState(spec, site, self.scenario.faults)
        kernel = site.spec.router.ports == "kernel"
        phone.inner_port = COMMON_PORT if kernel else int(self.chance.uniform(1025, 65000))
        phone.calm = self.prober.calm(site)
        site.phones.append(phone)
        return phone

    def _plan(self, faults: tuple[Fault, ...]) -> None:
        for phone in self.phones:
            first = phone.spec.first_s
            wait = self.chance.uniform(0, phone.spec.reregister_s) if first is None else first
            self._at(self.now + wait, self._register, phone, 0)
            for fault in phone.down.faults:
                boot = self.chance.uniform(0.5, 3.0) if fault.kind == "phone_offline" else self.chance.uniform(0.0, 1.0)
                self._at(fault.end + boot, self._boot, phone)
        for fault in faults:
            self._plan_fault(fault, next((site for site in self.sites if site.spec.name == fault.site), None))
        if not self.down.at(self.now):
            self._at(self.now, self._pbx_start)

    def _plan_fault(self, fault: Fault, site: SiteState | None) -> None:
        match fault.kind:
            case "wan_outage" if fault.values.get("new_ip"):
                self._at(fault.end, self._new_ip, site, fault)
            case "router_restart" | "power_cut":
                self._at(fault.start, self._lose_table, site, fault)
            case "router_change":
                if not fault.values.get("keep"):
                    self._at(fault.start, self._lose_table, site, fault)
                self._at(fault.end, self._change_router, site, fault)
            case "pbx_restart":
                self._at(fault.start, self._pbx_stop, fault)
                self._at(fault.end, self._pbx_start)
            case "reload":
                self._at(fault.start, self._reload)
            case "blacklisted" if site:
                peer = fault.phone or f"{site.spec.phones[0].peer.split('.')[0]}9.snomd345"
                port = int(self.chance.uniform(1025, 65000))
                for i in range(int(self.chance.uniform(5, 12)), 0, -1):
                    self._at(fault.start - i * self.chance.uniform(3, 8), self._refuse, peer, site, port)
            case "unregister":
                phone = next(p for p in self.phones if p.spec.peer == fault.phone)
                self._at(fault.start, self._unregister, phone)
                self._at(fault.end, self._boot, phone)

    def _at(self, t: float, action: Callable[..., None], *arguments: object) -> None:
        heappush(self._queue, (t, next(self._count), action, arguments))

    # -- running --------------------------------------------------------------------------------------------------

    def run(self) -> Engine:
        """Run to the log's end."""
        while self._queue and self._queue[0][0] < self.end:
            self.now, _, action, arguments = heappop(self._queue)
            action(*arguments)
        self.now = self.end
        for phone in [*self.phones, *self.trunks]:
            self.prober.advance(phone, self.end)
            self.journal.survive(phone.mapping)
            self.journal.unlag(phone, self.end)
        return self

    # -- the PBX --------------------------------------------------------------------------------------------------

    def _pbx_stop(self, fault: Fault) -> None:
        for phone in [*self.phones, *self.trunks]:
            self.prober.advance(phone, self.now)
            phone.next_probe = phone.pending = None
            phone.last_ms, phone.agent_known = 0.0, False
        if not fault.values.get("crash"):
            self.journal.row(self.now, "shutdown")

    def _pbx_start(self) -> None:
        self.journal.row(self.now, "start")
        stored = [p for p in self.phones if p.contact and p.expires > self.now]
        for i, phone in enumerate([*stored, *self.trunks]):
            gap = 0.1 * i if self.sip else self.chance.uniform(0, self.prober.rhythm.interval)
            phone.next_probe = self.now + 1.0 + gap
        for phone in self.phones:
            if phone.next_probe is None:
                phone.contact = None

    def _reload(self) -> None:
        """Probe every peer anew: from here on the probes are in step with the reload, not with the REGISTER."""
        if self.down.at(self.now) or not self.sip:
            return
        self.journal.row(self.now, "reload")
        for i, phone in enumerate([*self.phones, *self.trunks]):
            self.prober.advance(phone, self.now)
            if phone.next_probe is not None:
                phone.next_probe, phone.pending = self.now + 0.1 * i, None

    def _refuse(self, peer: str, site: SiteState, port: int) -> None:
        if site.open(self.now) and not self.down.at(self.now):
            self.journal.row(self.now, "failed", peer=peer, ip=site.ip, port=port)

    # -- the router -----------------------------------------------------------------------------------------------

    def _settle(self, site: SiteState) -> None:
        for phone in site.phones:
            self.prober.advance(phone, self.now)

    def _lose_table(self, site: SiteState, fault: Fault) -> None:
        self._settle(site)
        site.forget(self.now, "router_restart", fault.start)

    def _new_ip(self, site: SiteState, fault: Fault) -> None:
        self._settle(site)
        site.forget(self.now, "wan_outage", fault.start)
        site.ip = fault.values["new_ip"]
        site.addresses.append((self.now, site.ip))

    def _change_router(self, site: SiteState, fault: Fault) -> None:
        self._settle(site)
        router: Router = fault.values["router"]
        site.router = router
        site.eras.append((self.now, router))

    # -- the phones -----------------------------------------------------------------------------------------------

    def _boot(self, phone: PhoneState) -> None:
        if phone.down.at(self.now):
            return
        if phone.site.spec.router.ports != "kernel":
            phone.inner_port = int(self.chance.uniform(1025, 65000))
            self.prober.advance(phone, self.now)
            self.journal.survive(phone.mapping)
            if phone.mapping is not None and phone.mapping.alive(self.now):
                phone.mapping.killed = (self.now, "phone_restart")
            phone.mapping = None
        phone.token += 1
        self._register(phone, phone.token)

    def _unregister(self, phone: PhoneState) -> None:
        self.prober.advance(phone, self.now)
        if phone.contact is None or self.down.at(self.now) or not phone.answers(self.now):
            return
        phone.token += 1
        self._drop(phone, phone.contact, "unregistered")
        phone.contact = phone.next_probe = phone.pending = None
        phone.last_ms = 0.0
        self.journal.recover(phone, self.now, "unregistered")

    def _drop(self, phone: PhoneState, contact: Contact, kind: str) -> None:
        """Note that a contact is gone; res_pjsip calls an endpoint unreachable with its last reachable one."""
        self.journal.of(phone, self.now, kind, contact)
        if not self.sip and phone.episode is None:
            self.journal.of(phone, self.now, "unavailable", contact)

    def _register(self, phone: PhoneState, token: int) -> None:
        site = phone.site
        if token != phone.token or phone.down.at(self.now):
            return
        if site.router.ports == "kernel":
            self._settle(site)
        else:
            self.prober.advance(phone, self.now)
        wait = self._try(phone)
        phone.token += 1
        self._at(self.now + wait, self._register, phone, phone.token)

    def _try(self, phone: PhoneState) -> float:
        """Send a REGISTER; return how long the phone waits before the next one."""
        site = phone.site
        if not site.open(self.now):
            return phone.spec.retry_s
        self.journal.survive(phone.mapping)
        mapping = site.send(phone, self.now)
        if site.blocked.at(self.now) or self.down.at(self.now):
            return phone.spec.retry_s
        if self.prober.lost(site, self.now):
            return self.chance.uniform(0.5, 4.0)
        self._accept(phone, mapping)
        spread = phone.spec.jitter
        return phone.spec.reregister_s * self.chance.uniform(1.0 - spread, 1.0 + spread)

    def _accept(self, phone: PhoneState, mapping: Mapping) -> None:
        t, before = self.now, phone.contact
        phone.contact, phone.where = (mapping.ip, mapping.port), mapping
        moved = phone.contact != before
        if moved:
            self.journal.of(phone, t, "registered")
            if before and not self.sip:
                self._drop(phone, before, "replaced")
        if not phone.agent_known and self.sip:
            self.journal.of(phone, t, "useragent", agent=phone.spec.user_agent)
        phone.agent_known = True
        phone.expires = t + phone.spec.expires_s + 10.0
        if self.sip or moved or phone.next_probe is None:
            phone.next_probe, phone.pending = t + 0.005, None
            if not self.sip and moved:
                phone.last_ms = 0.0 if phone.episode is None else -1.0
