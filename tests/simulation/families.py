"""Customers that must not fool the diagnosis: they look like something else than they are."""

from __future__ import annotations

from functools import partial

import numpy as np

from starface_nb.simulation import Fault, Router, Wish, drawing
from starface_nb.simulation.drawing import (
    DAY,
    HOUR,
    MINUTE,
    bursts,
    healthy_router,
    hours_of,
    mixture,
    nat,
    one_site,
)


def _one_bad_phone(rng: drawing.Rng, wish: Wish) -> drawing.Drawn:
    where, hours = one_site(rng, wish, healthy_router(rng)), hours_of(rng, wish)
    peer, t, faults = where.phones[0].peer, float(rng.uniform(0, HOUR)), []
    boots = bool(rng.random() < 0.5)
    rhythm = float(rng.uniform(0.4, 3.0)) * HOUR
    steady = rng.random() < 0.3
    while t < hours * HOUR:
        length = float(rng.uniform(60, 280)) if boots or rng.random() < 0.4 else float(rng.uniform(300, 7200))
        faults.append(Fault("phone_restart" if length < 300 else "phone_offline", t, t + length, where.name, peer))
        t += length + (rhythm if steady else float(rng.exponential(rhythm)) + 120.0)
    return [where], hours, faults


def _look_alikes(rng: drawing.Rng, wish: Wish) -> drawing.Drawn:
    kind, hours = int(rng.integers(4)), hours_of(rng, wish)
    if kind == 0:
        where = one_site(rng, wish, nat(rng))
        cut = float(rng.uniform(0.2, 4) * HOUR)
        return [where], hours, [Fault("power_cut", cut, cut + 120.0, where.name)]
    where, end = one_site(rng, wish, healthy_router(rng), 0.01), hours * HOUR
    if kind == 1:
        first, length = float(rng.uniform(600, HOUR)), float(rng.uniform(70, 900))
        period = HOUR * float(rng.choice([1.0, 1.0, 0.5, 2.0]))
        faults = [
            drawing.outage(rng, where, t + float(rng.uniform(0, 20)), length) for t in np.arange(first, end, period)
        ]
    elif kind == 2:
        faults = bursts(rng, where, 0, end, float(rng.uniform(3, 20)))
    else:
        faults = []
        for phone in where.phones[: max(1, int(rng.integers(len(where.phones) + 1)))]:
            off = float(rng.uniform(15, 19) * HOUR)
            for day in range(-1, int(hours / 24) + 1):
                start = off + day * DAY + float(rng.normal(0, 900))
                length = float(rng.uniform(11, 14) * HOUR)
                faults.append(Fault("phone_offline", start, start + length, where.name, phone.peer))
    return [where], hours, faults


def _inherited_ports(rng: drawing.Rng, wish: Wish) -> drawing.Drawn:
    healthy = rng.random() < 0.3
    timeout = float(rng.uniform(61.5, 120)) * MINUTE if healthy else nat(rng).timeout_s
    where, hours = one_site(rng, wish, Router(timeout, ports="kernel")), hours_of(rng, wish)
    return [where], hours, mixture(rng, where, hours, 2.0, 0.0) if rng.random() < 0.6 else []


_OWN = {"one_bad_phone": _one_bad_phone, "look_alikes": _look_alikes, "inherited_ports": _inherited_ports}
_ORDER = ("plain", "healthy", "one_bad_phone", "look_alikes", "any_packet", "router_fixed",
          "inherited_ports", "messy", "mixed")  # fmt: skip
FAMILIES = {name: (drawing.FAMILIES | _OWN)[name] for name in _ORDER}
make = partial(drawing.make, families=FAMILIES)
