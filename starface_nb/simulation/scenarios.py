"""Nine families of customers, drawn at random: what an estimator must get right, and what must not fool it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np

from starface_nb.errors import SettingError
from starface_nb.simulation.drawing import (
    DAY,
    HOUR,
    MINUTE,
    Chance,
    Rng,
    Wish,
    bursts,
    healthy_router,
    mixture,
    nat,
    outage,
    pbx_restarts,
    reconnects,
    site,
    wish_of,
)
from starface_nb.simulation.spec import Fault, Router, Scenario, Site, Style


def _scenario(rng: Rng, family: str, sites: list[Site], hours: float, faults: list[Fault]) -> Scenario:
    start = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(seconds=int(rng.integers(0, 330 * 86400)))
    warm = 0.0 if rng.random() < 0.4 else 3 * HOUR
    return Scenario(tuple(sites), hours, family, tuple(faults), start, warm_up_s=warm)


def _hours(rng: Rng) -> float:
    wish = wish_of(rng).hours
    return wish if wish is not None else round(float(np.exp(rng.uniform(np.log(12), np.log(96)))), 1)


def _count(rng: Rng) -> int:
    wish = wish_of(rng).phones
    return wish if wish is not None else int(rng.integers(3, 17))


def _plain(rng: Rng) -> Scenario:
    where = site(rng, 1, nat(rng), _count(rng))
    return _scenario(rng, "plain", [where], _hours(rng), [])


def _healthy(rng: Rng) -> Scenario:
    where, hours = site(rng, 1, healthy_router(rng), _count(rng), 0.005), _hours(rng)
    return _scenario(rng, "healthy", [where], hours, mixture(rng, where, hours, 6.0) + pbx_restarts(rng, hours, 0.8))


def _one_bad_phone(rng: Rng) -> Scenario:
    where, hours = site(rng, 1, healthy_router(rng), _count(rng)), _hours(rng)
    peer, t, faults = where.phones[0].peer, float(rng.uniform(0, HOUR)), []
    boots = bool(rng.random() < 0.5)
    rhythm = float(rng.uniform(0.4, 3.0)) * HOUR
    steady = rng.random() < 0.3
    while t < hours * HOUR:
        length = float(rng.uniform(60, 280)) if boots or rng.random() < 0.4 else float(rng.uniform(300, 7200))
        faults.append(Fault("phone_restart" if length < 300 else "phone_offline", t, t + length, where.name, peer))
        t += length + (rhythm if steady else float(rng.exponential(rhythm)) + 120.0)
    return _scenario(rng, "one_bad_phone", [where], hours, faults)


def _look_alikes(rng: Rng) -> Scenario:
    kind = int(rng.integers(4))
    hours = _hours(rng)
    if kind == 0:
        where = site(rng, 1, nat(rng), _count(rng))
        faults = [Fault("power_cut", t := float(rng.uniform(0.2, 4) * HOUR), t + 120.0, where.name)]
        return _scenario(rng, "look_alikes", [where], hours, faults)
    where = site(rng, 1, healthy_router(rng), _count(rng), 0.01)
    end = hours * HOUR
    if kind == 1:
        first, length = float(rng.uniform(600, HOUR)), float(rng.uniform(70, 900))
        period = HOUR * float(rng.choice([1.0, 1.0, 0.5, 2.0]))
        faults = [outage(rng, where, t + float(rng.uniform(0, 20)), length) for t in np.arange(first, end, period)]
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
    return _scenario(rng, "look_alikes", [where], hours, faults)


def _any_packet(rng: Rng) -> Scenario:
    timeout = float(rng.choice([20.0, 30.0, 30.0, 45.0, 120.0, 180.0, 180.0, 300.0]))
    stream = rng.random() < 0.25
    ports = "preserve" if rng.random() < 0.5 else "new"
    router = Router(timeout, None, "any_packet", ports)  # type: ignore[arg-type]
    if stream:
        router = Router(120.0, 30.0, "any_packet", ports)  # type: ignore[arg-type]
    where, hours = site(rng, 1, router, _count(rng), 0.005), _hours(rng)
    faults = mixture(rng, where, hours, 3.0) + pbx_restarts(rng, hours, 1.0)
    return _scenario(rng, "any_packet", [where], hours, faults)


def _router_fixed(rng: Rng) -> Scenario:
    before = nat(rng, high=50 * MINUTE)
    after = Router(float(rng.uniform(61, 130)) * MINUTE, ports=before.ports)
    if rng.random() < 0.2:
        after = Router(nat(rng).timeout_s, ports=before.ports)
    hours = wish_of(rng).hours or max(24.0, _hours(rng))
    where = site(rng, 1, before, _count(rng))
    at = float(rng.uniform(0.3, 0.7)) * hours * HOUR
    keep = bool(rng.random() < 0.6)
    values: dict[str, object] = {"router": after, "keep": keep}
    faults = [
        Fault("router_change", at, at + (0.0 if keep else float(rng.uniform(60, 300))), where.name, values=values)
    ]
    if rng.random() < 0.5:
        faults += mixture(rng, where, hours, 2.0, 0.0)
    return _scenario(rng, "router_fixed", [where], hours, faults)


def _inherited_ports(rng: Rng) -> Scenario:
    healthy = rng.random() < 0.3
    router = Router(nat(rng).timeout_s if not healthy else float(rng.uniform(61.5, 120)) * MINUTE, ports="kernel")
    where, hours = site(rng, 1, router, _count(rng)), _hours(rng)
    faults = mixture(rng, where, hours, 2.0, 0.0) if rng.random() < 0.6 else []
    return _scenario(rng, "inherited_ports", [where], hours, faults)


def _messy(rng: Rng) -> Scenario:
    made = _mixed(rng)
    rotations = tuple(sorted(float(t) for t in rng.uniform(0, made.seconds, int(rng.integers(0, 4)))))
    style = Style(
        str(rng.choice(["iso", "short", "iso_ms"])), float(rng.uniform(5, 60)), rotations, bool(rng.random() < 0.5)
    )
    return made.change(family="messy", warm_up_s=float(rng.uniform(1, 30)) * HOUR, style=style)


def _mixed(rng: Rng) -> Scenario:
    big = rng.random() < 0.08
    wish = wish_of(rng)
    big = big and wish.hours is None and wish.phones is None
    hours = round(float(rng.uniform(72, 168)), 1) if big else _hours(rng)
    count = int(rng.integers(2, 6)) if big else int(rng.integers(1, 4))
    sites, faults = [], []
    for number in range(1, count + 1):
        router = nat(rng) if rng.random() < 0.6 else healthy_router(rng)
        if rng.random() < 0.08:
            router = Router(30.0, renewal="any_packet")
        where = site(
            rng, number, router, int(rng.integers(10, 31)) if big else _count(rng), float(rng.uniform(0, 0.01))
        )
        faults += mixture(rng, where, hours, 5.0)
        if rng.random() < 0.2:
            faults += reconnects(rng, where, hours / 24, number)
        sites.append(where)
    faults += pbx_restarts(rng, hours, 0.7)
    if rng.random() < 0.25:
        faults += [Fault("reload", t, t) for t in rng.uniform(0, hours * HOUR, 1 + rng.poisson(1.0)).tolist()]
    made = _scenario(rng, "mixed", sites, hours, faults)
    return made.change(trunks=("0702227978",) if rng.random() < 0.5 else ())


FAMILIES: dict[str, Callable[[Rng], Scenario]] = {
    "plain": _plain,
    "healthy": _healthy,
    "one_bad_phone": _one_bad_phone,
    "look_alikes": _look_alikes,
    "any_packet": _any_packet,
    "router_fixed": _router_fixed,
    "inherited_ports": _inherited_ports,
    "messy": _messy,
    "mixed": _mixed,
}


def make(family: str, rng: Rng | int, wish: Wish | None = None) -> Scenario:
    """Draw a customer of a family.

    Parameters
    ----------
    family : str
        A key of `FAMILIES`.
    rng : numpy.random.Generator or int
        Source of chance, or its seed.
    wish : Wish, optional
        What to fix instead of drawing it; only together with a seed.

    Raises
    ------
    SettingError
        There is no such family.
    """
    if family not in FAMILIES:
        raise SettingError(f"There is no family {family!r}.", next_step=f"Choose one of {', '.join(FAMILIES)}.")
    return FAMILIES[family](Chance(rng, wish) if isinstance(rng, int) else rng)
