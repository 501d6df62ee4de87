"""Probes: when the PBX sends them, how they end, and healthy or dead stretches taken in one step.

Timing: Asterisk 13.38.3 channels/chan_sip.c:30329 (UNREACHABLE), :30466 (no answer after twice the limit), :17095 (a
REGISTER is probed at once), channels/sip/include/sip.h:91-93 (60 s, 10 s, 2,000 ms); res/res_pjsip/pjsip_options.c.
"""

from dataclasses import dataclass
from math import floor

import numpy as np

from starface_nb.simulation.journal import Journal
from starface_nb.simulation.world import Mapping, PhoneState, SiteState, next_after

LIMIT_MS = 2000.0


@dataclass(frozen=True)
class Rhythm:
    """When a driver sends probes and how long it waits, in seconds.

    `drift` marks chan_sip: the next probe follows the answer, not the probe, and a late answer is a state of its own.
    """

    interval: float
    wait: float
    retry: float
    resends: tuple[float, ...]
    drift: bool


RHYTHMS = {
    "SIP": Rhythm(60.0, 4.0, 10.0, (0.0, 1.0, 2.0, 3.0), drift=True),
    "PJSIP": Rhythm(60.0, 3.0, 57.0, (0.0, 0.5, 1.5), drift=False),
}


class Chance:
    """Random numbers, drawn in blocks, which is faster than one by one."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self._stock: list[float] = []

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return a number between `low` and `high`."""
        if not self._stock:
            self._stock = self.rng.random(4096).tolist()
        return low + (high - low) * self._stock.pop()

    def wait(self, chance: float) -> int:
        """Return how often something of this chance fails to happen before it happens."""
        return int(np.log(1.0 - self.uniform()) / np.log1p(-chance)) if chance > 0 else 1 << 60


class Prober:
    """Sends the probes of each phone and notes in the journal what comes of them."""

    def __init__(self, rhythm: Rhythm, chance: Chance, journal: Journal) -> None:
        self.rhythm, self.chance, self.journal = rhythm, chance, journal

    def calm(self, site: SiteState) -> int:
        """Return how many probes go by until background loss swallows two packets in a row."""
        return self.chance.wait((1.0 - (1.0 - site.spec.loss_rate) ** 2) ** 2)

    def advance(self, phone: PhoneState, until: float) -> None:
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
            if t >= phone.expires:
                if not self.rhythm.drift:
                    if phone.last_ms > 0:
                        self.journal.lose(phone, t, t)
                    self.journal.of(phone, t, "expired")
                phone.contact = phone.next_probe = None
                phone.last_ms = 0.0
                return
            if not self._leap(phone, t, until):
                self._probe(phone, t)

    def lost(self, site: SiteState, t: float) -> bool:
        """Return whether a fault swallows a packet and its answer."""
        fault = site.lossy.at(t)
        return fault is not None and self.chance.uniform() < 1.0 - (1.0 - fault.values.get("rate", 1.0)) ** 2

    def _leap(self, phone: PhoneState, t: float, until: float) -> bool:
        """Do as many probes at once as are bound to end like the last one."""
        site, rhythm = phone.site, self.rhythm
        edge = min(until, next_after(site.edges, t), next_after(phone.edges, t), phone.expires)
        if phone.last_ms == -1.0 and not phone.answers(t):
            step = rhythm.wait + rhythm.retry
            n = floor((edge - rhythm.wait - t) / step)
            if n < 1:
                return False
            phone.next_probe = t + n * step
            return True
        if not 0 < phone.last_ms <= LIMIT_MS:
            return False
        step = rhythm.interval + (phone.spec.rtt_ms / 1000.0 if rhythm.drift else 0.0)
        mapping = phone.holder(t)
        if mapping is None or not phone.answers(t) or site.slow.at(t) or site.lossy.at(t):
            return False
        any_packet = site.router.renewal == "any_packet"
        if any_packet and site.router.timeout_s < step + 5.0:
            return False
        stop = edge if any_packet and mapping.timeout > step + 5.0 else min(edge, mapping.dies)
        if mapping.owner is not phone:
            stop = min(stop, next_after(mapping.owner.edges, t))
        spare = 5.0 if site.phones else 0.0  # nothing awaits a trunk
        n = min(floor((stop - spare - t) / step), phone.calm)
        if n < 1:
            return False
        phone.calm -= n
        self._answered(site, mapping, phone, t + (n - 1) * step)
        phone.next_probe = t + n * step
        phone.last_ms = self._round_trip(phone)
        return True

    def _round_trip(self, phone: PhoneState) -> float:
        return max(1.0, phone.spec.rtt_ms * self.chance.uniform(0.3, 1.7))

    def _probe(self, phone: PhoneState, t: float) -> None:
        """Send one probe with its resends and note when and how it ends."""
        site, wait = phone.site, self.rhythm.wait
        for i, delay in enumerate(self.rhythm.resends):
            at = t + delay
            if not phone.answers(at) or self.lost(site, at) or self._unlucky(phone, i):
                continue
            if slow := site.slow.at(at):
                values = slow.values
                low, high = values.get("low_ms", 1500.0) / 2, values.get("high_ms", 5000.0) / 2
                rtt = self.chance.uniform(low, high) + self.chance.uniform(low, high)  # one way and the other
            else:
                rtt = self._round_trip(phone)
            rtt += delay * 1000.0
            if rtt < wait * 1000.0:
                phone.pending = (t + rtt / 1000.0, rtt, t)
                if mapping := phone.holder(at):
                    self._answered(site, mapping, phone, at)
                pause = self.rhythm.interval if rtt <= LIMIT_MS or not self.rhythm.drift else self.rhythm.retry
                phone.next_probe = t + pause + (rtt / 1000.0 if self.rhythm.drift else 0.0)
                return
        if phone.last_ms > -1.0:
            self.journal.blame(phone, t)
        phone.pending = (t + wait, -1.0, t)
        phone.next_probe = t + wait + self.rhythm.retry

    def _unlucky(self, phone: PhoneState, i: int) -> bool:
        """Return whether background loss swallows this packet: rarely two in a row, hence a late answer."""
        if phone.calm > 0:
            phone.calm -= i == 0
            return False
        if i < 2 or (i == 2 and self.chance.uniform() < 0.02):
            return True
        phone.calm = self.calm(phone.site)
        return False

    def _answered(self, site: SiteState, mapping: Mapping, phone: PhoneState, t: float) -> None:
        if site.router.renewal == "any_packet":
            self.journal.outlive(site, mapping, t)
            site.renew(mapping, t)
        if mapping.owner is phone:
            mapping.answered = t

    def _outcome(self, phone: PhoneState, t: float, rtt: float, sent: float) -> None:
        before = phone.last_ms
        if rtt < 0:
            if before > -1.0:
                self.journal.lose(phone, t, sent)
            phone.last_ms, phone.blame = -1.0, []
            return
        phone.last_ms = rtt if self.rhythm.drift else min(rtt, LIMIT_MS)
        was, now = 0 < before <= LIMIT_MS, rtt <= LIMIT_MS or not self.rhythm.drift
        if before != 0.0 and was == now:
            return
        self.journal.of(phone, t, "reachable" if now else "lagged", rtt=rtt)
        self.journal.recover(phone, t, "reachable" if now else "lagged")
        if now:
            self.journal.unlag(phone, t)
        elif phone.lagged_since is None:
            phone.lagged_since = t
