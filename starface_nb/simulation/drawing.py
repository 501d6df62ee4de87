"""Drawn at random: phones, routers and sites, and the faults that strike them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from starface_nb.simulation.spec import USER_AGENTS, Fault, Phone, Router, Site

HOUR, DAY = 3600.0, 86400.0
MINUTE = 60.0
Rng = np.random.Generator


@dataclass(frozen=True)
class Wish:
    """What is fixed instead of drawn, where given; durations in seconds, `hours` apart."""

    phones: int | None = None
    hours: float | None = None
    timeout_s: float | None = None
    renewal: str | None = None


class Chance(np.random.Generator):
    """A seeded source of chance that knows what is fixed."""

    def __init__(self, seed: int, wish: Wish | None = None) -> None:
        super().__init__(np.random.PCG64(seed))
        self.wish = wish or Wish()


def wish_of(rng: Rng) -> Wish:
    """Return what is fixed for this source of chance."""
    return rng.wish if isinstance(rng, Chance) else Wish()


# The rhythm of a phone's re-REGISTER and the expiry it asks for: most renew just before an hour's registration ends.
RHYTHMS = ((3600.0, 3900.0), (3240.0, 3600.0), (1800.0, 3600.0))


def phones(rng: Rng, count: int, number: int, rhythms: tuple[float, ...] = (0.75, 0.1, 0.15)) -> tuple[Phone, ...]:
    """Draw `count` phones whose names begin with `number`."""
    models = list(USER_AGENTS)
    found = []
    for i in range(count):
        model = models[int(rng.integers(len(models)))]
        period, expiry = RHYTHMS[int(rng.choice(3, p=rhythms))]
        found.append(
            Phone(
                f"{number * 1000 + i + 1}.{model}",
                USER_AGENTS[model],
                period,
                expiry,
                jitter=float(rng.uniform(0.002, 0.01)),
                retry_s=float(rng.choice([62.0, 92.0, 152.0])),
                rtt_ms=float(rng.uniform(10, 90)),
            )
        )
    return tuple(found)


def site(rng: Rng, number: int, router: Router, count: int, loss: float = 0.0, **more: tuple[float, ...]) -> Site:
    """Draw a site with `count` phones behind `router`."""
    wish = wish_of(rng)
    if wish.timeout_s is not None:
        router = replace(router, timeout_s=wish.timeout_s, unreplied_s=None)
    if wish.renewal is not None:
        router = replace(router, renewal=wish.renewal)  # type: ignore[arg-type]
    return Site(f"site{number}", f"203.0.113.{number}", phones(rng, count, 10 + number, **more), router, loss)


def nat(rng: Rng, low: float = 2 * MINUTE, high: float = 58 * MINUTE) -> Router:
    """Draw a router on which only a REGISTER renews; half the timeouts are whole minutes, as people set them."""
    timeout = float(np.exp(rng.uniform(np.log(low), np.log(high)))) if rng.random() < 0.5 else rng.uniform(low, high)
    if rng.random() < 0.5:
        timeout = float(np.clip(round(timeout / MINUTE) * MINUTE, low, high))
    return Router(round(float(timeout), 1), ports="preserve" if rng.random() < 0.35 else "new")


def healthy_router(rng: Rng) -> Router:
    """Draw a router whose mappings never die of age between two registrations."""
    ports = "preserve" if rng.random() < 0.5 else "new"
    if rng.random() < 0.5:
        return Router(float(rng.uniform(61.5, 180)) * MINUTE, ports=ports)  # type: ignore[arg-type]
    return Router(float(rng.choice([120.0, 180.0, 300.0, 600.0])), renewal="any_packet", ports=ports)  # type: ignore[arg-type]


def outage(rng: Rng, where: Site, start: float, seconds: float | None = None, new_ip: str | None = None) -> Fault:
    """The line of a site is down."""
    length = float(np.exp(rng.uniform(np.log(70), np.log(2.5 * HOUR)))) if seconds is None else seconds
    return Fault("wan_outage", start, start + length, where.name, values={"new_ip": new_ip} if new_ip else {})


def reconnects(rng: Rng, where: Site, days: float, number: int) -> list[Fault]:
    """Every night a forced reconnect with a new address."""
    at = float(rng.uniform(0, DAY))
    nights = range(int(days) + 1)
    return [
        outage(rng, where, at + n * DAY, float(rng.uniform(8, 90)), f"198.51.100.{(number * 17 + n) % 250 + 1}")
        for n in nights
    ]


def bursts(rng: Rng, where: Site, start: float, end: float, per_hour: float) -> list[Fault]:
    """Most packets are lost for some seconds, again and again."""
    times = np.sort(rng.uniform(start, end, rng.poisson(per_hour * (end - start) / HOUR)))
    return [
        Fault(
            "packet_loss",
            t,
            t + min(25.0, 4.0 + rng.exponential(7.0)),
            where.name,
            values={"rate": rng.uniform(0.7, 1)},
        )
        for t in times.tolist()
    ]


Draw = Callable[[Rng, Site, float], list[Fault]]


def _anyone(rng: Rng, where: Site) -> str:
    return where.phones[int(rng.integers(len(where.phones)))].peer


def _lasting(kind: str, low: float, high: float, *, one_phone: bool = False) -> Draw:
    """Draw a fault of the site, or of one phone, that lasts between `low` and `high` seconds."""

    def draw(rng: Rng, where: Site, t: float) -> list[Fault]:
        peer = _anyone(rng, where) if one_phone else None
        return [Fault(kind, t, t + float(rng.uniform(low, high)), where.name, peer)]

    return draw


def _phone_offline(rng: Rng, where: Site, t: float) -> list[Fault]:
    peer = _anyone(rng, where)
    length = 1e9 if rng.random() < 0.1 else float(np.exp(rng.uniform(np.log(600), np.log(14 * HOUR))))
    return [Fault("phone_offline", t, t + length, where.name, peer)]


def _latency(rng: Rng, where: Site, t: float) -> list[Fault]:
    low = float(rng.uniform(1000, 1800))
    values: dict[str, object] = {"low_ms": low, "high_ms": float(rng.uniform(3000, 6000))}
    return [Fault("latency", t, t + float(rng.uniform(240, 1500)), where.name, values=values)]


def _packet_loss(rng: Rng, where: Site, t: float) -> list[Fault]:
    if rng.random() < 0.7:
        return bursts(rng, where, t, t + float(rng.uniform(0.5, 4)) * HOUR, float(rng.uniform(2, 12)))
    rate = float(rng.uniform(0.25, 0.5))
    return [Fault("packet_loss", t, t + float(rng.uniform(300, 2400)), where.name, values={"rate": rate})]


def _wan_outage(rng: Rng, where: Site, t: float) -> list[Fault]:
    new_ip = f"198.51.100.{int(rng.integers(1, 250))}" if rng.random() < 0.25 else None
    return [outage(rng, where, t, new_ip=new_ip)]


_DRAWS: dict[str, tuple[float, Draw]] = {
    "wan_outage": (1.2, _wan_outage),
    "router_restart": (0.8, _lasting("router_restart", 60, 240)),
    "phone_restart": (1.5, _lasting("phone_restart", 60, 300, one_phone=True)),
    "phone_offline": (1.0, _phone_offline),
    "latency": (0.7, _latency),
    "packet_loss": (1.0, _packet_loss),
    "power_cut": (0.25, _lasting("power_cut", 90, 1800)),
    "unregister": (0.3, _lasting("unregister", 60, 7200, one_phone=True)),
}


def pbx_restarts(rng: Rng, hours: float, mean: float) -> list[Fault]:
    """The PBX stops cleanly or crashes, mostly for a minute, sometimes for half an hour."""
    times = np.sort(rng.uniform(0.02, 0.98, rng.poisson(mean))) * hours * HOUR
    found: list[Fault] = []
    for t in times:
        length = float(rng.uniform(20, 120)) if rng.random() < 0.7 else float(rng.uniform(180, 2400))
        if not found or t > found[-1].end + 600:
            found.append(Fault("pbx_restart", float(t), float(t) + length, values={"crash": bool(rng.random() < 0.35)}))
    return found


def mixture(rng: Rng, where: Site, hours: float, per_day: float = 5.0, blacklist: float = 0.03) -> list[Fault]:
    """Faults of every kind at one site."""
    names = list(_DRAWS)
    weights = np.array([_DRAWS[name][0] for name in names])
    times = rng.uniform(0, hours * HOUR, rng.poisson(per_day * hours / 24.0) + 1)
    found: list[Fault] = []
    for t in times:
        name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
        found += _DRAWS[name][1](rng, where, float(t))
    if rng.random() < blacklist:
        t = float(rng.uniform(0, hours * HOUR))
        found.append(Fault("blacklisted", t, t + DAY, where.name))
    return found
