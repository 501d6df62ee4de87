"""Drawn at random: phones, routers and sites, and the faults that strike them. The order of draws is part of a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from starface_nb.simulation.spec import USER_AGENTS, Fault, Phone, Router, Site

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
Rng = np.random.Generator

# The rhythm of a phone's re-REGISTER and the expiry it asks for: most renew just before an hour's registration ends.
_RHYTHMS = ((3600.0, 3900.0), (3240.0, 3600.0), (1800.0, 3600.0))
_WEIGHTS = {
    "wan_outage": 1.2,
    "router_restart": 0.8,
    "phone_restart": 1.5,
    "phone_offline": 1.0,
    "latency": 0.7,
    "packet_loss": 1.0,
    "power_cut": 0.25,
    "unregister": 0.3,
}
_LASTING = {"router_restart": (60, 240), "power_cut": (90, 1800), "phone_restart": (60, 300), "unregister": (60, 7200)}


@dataclass(frozen=True)
class Wish:
    """What is fixed instead of drawn, where given; durations in seconds, `hours` apart."""

    phones: int | None = None
    hours: float | None = None
    timeout_s: float | None = None
    renewal: str | None = None


def _log_uniform(rng: Rng, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _phone(rng: Rng, number: int) -> Phone:
    model = list(USER_AGENTS)[int(rng.integers(len(USER_AGENTS)))]
    period, expiry = _RHYTHMS[int(rng.choice(3, p=(0.75, 0.1, 0.15)))]
    jitter, retry, rtt = rng.uniform(0.002, 0.01), rng.choice([62.0, 92.0, 152.0]), rng.uniform(10, 90)
    return Phone(f"{number}.{model}", USER_AGENTS[model], period, expiry, float(jitter), float(retry), float(rtt))


def site(rng: Rng, number: int, router: Router, count: int, loss: float = 0.0, wish: Wish | None = None) -> Site:
    """Draw a site with `count` phones behind `router`, unless something else is wished."""
    wish = wish or Wish()
    if wish.timeout_s is not None:
        router = replace(router, timeout_s=wish.timeout_s, unreplied_s=None)
    router = replace(router, renewal=wish.renewal or router.renewal)
    phones = tuple(_phone(rng, (10 + number) * 1000 + i + 1) for i in range(count))
    return Site(f"site{number}", f"203.0.113.{number}", phones, router, loss)


def nat(rng: Rng, low: float = 2 * MINUTE, high: float = 58 * MINUTE) -> Router:
    """Draw a router on which only a REGISTER renews; half the timeouts are whole minutes, as people set them."""
    timeout = _log_uniform(rng, low, high) if rng.random() < 0.5 else rng.uniform(low, high)
    if rng.random() < 0.5:
        timeout = float(np.clip(round(timeout / MINUTE) * MINUTE, low, high))
    return Router(round(float(timeout), 1), ports="preserve" if rng.random() < 0.35 else "new")


def healthy_router(rng: Rng) -> Router:
    """Draw a router whose mappings never die of age between two registrations."""
    ports = "preserve" if rng.random() < 0.5 else "new"
    if rng.random() < 0.5:
        return Router(float(rng.uniform(61.5, 180)) * MINUTE, ports=ports)
    return Router(float(rng.choice([120.0, 180.0, 300.0, 600.0])), renewal="any_packet", ports=ports)


def outage(rng: Rng, where: Site, start: float, seconds: float | None = None, new_ip: str | None = None) -> Fault:
    """The line of a site is down."""
    length = _log_uniform(rng, 70, 2.5 * HOUR) if seconds is None else seconds
    return Fault("wan_outage", start, start + length, where.name, values={"new_ip": new_ip} if new_ip else {})


def reconnects(rng: Rng, where: Site, days: float, number: int) -> list[Fault]:
    """Every night a forced reconnect with a new address."""
    at = float(rng.uniform(0, DAY))
    return [
        outage(rng, where, at + n * DAY, float(rng.uniform(8, 90)), f"198.51.100.{(number * 17 + n) % 250 + 1}")
        for n in range(int(days) + 1)
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


def _strike(rng: Rng, where: Site, kind: str, t: float) -> list[Fault]:
    """Draw a fault of one kind that strikes a site, or one of its phones, at `t`."""

    def anyone() -> str:
        return where.phones[int(rng.integers(len(where.phones)))].peer

    def lasting(low: float, high: float, peer: str | None = None, **values: Any) -> list[Fault]:
        return [Fault(kind, t, t + float(rng.uniform(low, high)), where.name, peer, values)]

    match kind:
        case "wan_outage":
            new_ip = f"198.51.100.{int(rng.integers(1, 250))}" if rng.random() < 0.25 else None
            return [outage(rng, where, t, new_ip=new_ip)]
        case "router_restart" | "power_cut":
            return lasting(*_LASTING[kind])
        case "phone_restart" | "unregister":
            return lasting(*_LASTING[kind], anyone())
        case "phone_offline":
            peer = anyone()
            length = 1e9 if rng.random() < 0.1 else _log_uniform(rng, 600, 14 * HOUR)
            return [Fault(kind, t, t + length, where.name, peer)]
        case "latency":
            low, high = float(rng.uniform(1000, 1800)), float(rng.uniform(3000, 6000))
            return lasting(240, 1500, low_ms=low, high_ms=high)
        case _:  # packet_loss
            if rng.random() < 0.7:
                return bursts(rng, where, t, t + float(rng.uniform(0.5, 4)) * HOUR, float(rng.uniform(2, 12)))
            return lasting(300, 2400, rate=float(rng.uniform(0.25, 0.5)))


def mixture(rng: Rng, where: Site, hours: float, per_day: float = 5.0, blacklist: float = 0.03) -> list[Fault]:
    """Faults of every kind at one site."""
    kinds, weights = list(_WEIGHTS), np.array(list(_WEIGHTS.values()))
    found: list[Fault] = []
    for t in rng.uniform(0, hours * HOUR, rng.poisson(per_day * hours / 24.0) + 1):
        found += _strike(rng, where, kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))], float(t))
    if rng.random() < blacklist:
        t = float(rng.uniform(0, hours * HOUR))
        found.append(Fault("blacklisted", t, t + DAY, where.name))
    return found


def pbx_restarts(rng: Rng, hours: float, mean: float) -> list[Fault]:
    """The PBX stops cleanly or crashes, mostly for a minute, sometimes for half an hour."""
    found: list[Fault] = []
    for t in (np.sort(rng.uniform(0.02, 0.98, rng.poisson(mean))) * hours * HOUR).tolist():
        length = float(rng.uniform(20, 120)) if rng.random() < 0.7 else float(rng.uniform(180, 2400))
        if not found or t > found[-1].end + 600:
            found.append(Fault("pbx_restart", t, t + length, values={"crash": bool(rng.random() < 0.35)}))
    return found
