"""Families of customers, drawn at random.

The order of draws is part of a seed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from starface_nb.errors import SettingError
from starface_nb.simulation.spec import Fault, Phone, Router, Scenario, Site, Style
from starface_nb.tables import table

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
OTHER_LINES = 30.0
"""A PBX in use writes hundreds of lines an hour that have nothing to do with a phone's state."""
Rng = np.random.Generator

# The rhythm of a phone's re-REGISTER and the expiry it asks for: most renew just before an hour's registration ends.
_RHYTHMS = ((3600.0, 3900.0), (3240.0, 3600.0), (1800.0, 3600.0))
_DATA = table("simulation/drawing")
_USER_AGENTS, _WEIGHTS = _DATA["user_agents"], _DATA["weights"]
_LASTING: dict[str, tuple[float, float]] = _DATA["lasting"]


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
    model = list(_USER_AGENTS)[int(rng.integers(len(_USER_AGENTS)))]
    period, expiry = _RHYTHMS[int(rng.choice(3, p=(0.75, 0.1, 0.15)))]
    jitter, retry, rtt = rng.uniform(0.002, 0.01), rng.choice([62.0, 92.0, 152.0]), rng.uniform(10, 90)
    return Phone(f"{number}.{model}", _USER_AGENTS[model], period, expiry, float(jitter), float(retry), float(rtt))


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


def _address(where: Site, number: int) -> str:
    """Return an address that no other site is given: five sites share the range among them."""
    block = int(where.public_ip.rpartition(".")[2]) % 5
    return f"198.51.100.{block * 50 + number % 50 + 1}"


def reconnects(rng: Rng, where: Site, days: float, number: int) -> list[Fault]:
    """Every night a forced reconnect with a new address."""
    at = float(rng.uniform(0, DAY))
    return [
        outage(rng, where, at + n * DAY, float(rng.uniform(8, 90)), _address(where, number * 17 + n))
        for n in range(int(days) + 1)
    ]


def bursts(rng: Rng, where: Site, start: float, end: float, per_hour: float) -> list[Fault]:
    """Most packets are lost for some seconds, again and again."""
    times = np.sort(rng.uniform(start, end, rng.poisson(per_hour * (end - start) / HOUR)))
    found = []
    for t in times.tolist():
        end, rate = t + min(25.0, 4.0 + rng.exponential(7.0)), rng.uniform(0.7, 1)
        found.append(Fault("packet_loss", t, end, where.name, values={"rate": rate}))
    return found


def _strike(rng: Rng, where: Site, kind: str, t: float) -> list[Fault]:
    """Draw a fault of one kind that strikes a site, or one of its phones, at `t`."""

    def anyone() -> str:
        return where.phones[int(rng.integers(len(where.phones)))].peer

    def lasting(low: float, high: float, peer: str | None = None, **values: Any) -> list[Fault]:
        return [Fault(kind, t, t + float(rng.uniform(low, high)), where.name, peer, values)]

    match kind:
        case "wan_outage":
            new_ip = _address(where, int(rng.integers(1, 250))) if rng.random() < 0.25 else None
            return [outage(rng, where, t, new_ip=new_ip)]
        case "router_restart" | "power_cut":
            return lasting(*_LASTING[kind])
        case "phone_restart" | "unregister":
            return lasting(*_LASTING[kind], peer=anyone())
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


# ---- families ----

Drawn = tuple[list[Site], float, list[Fault]]
"""Sites, hours and faults."""


def hours_of(rng: Rng, wish: Wish) -> float:
    """Draw the length of a log."""
    return wish.hours if wish.hours is not None else round(float(np.exp(rng.uniform(np.log(12), np.log(96)))), 1)


def one_site(rng: Rng, wish: Wish, router: Router, loss: float = 0.0) -> Site:
    """Draw the only site of a customer."""
    return site(rng, 1, router, _phones_of(rng, wish), loss, wish)


def _phones_of(rng: Rng, wish: Wish) -> int:
    return wish.phones if wish.phones is not None else int(rng.integers(3, 17))


def _plain(rng: Rng, wish: Wish) -> Drawn:
    where = one_site(rng, wish, nat(rng))
    return [where], hours_of(rng, wish), []


def _healthy(rng: Rng, wish: Wish) -> Drawn:
    where, hours = one_site(rng, wish, healthy_router(rng), 0.005), hours_of(rng, wish)
    return [where], hours, mixture(rng, where, hours, 6.0) + pbx_restarts(rng, hours, 0.8)


def _any_packet(rng: Rng, wish: Wish) -> Drawn:
    timeout = float(rng.choice([20.0, 30.0, 30.0, 45.0, 120.0, 180.0, 180.0, 300.0]))
    stream = rng.random() < 0.25
    router = Router(timeout, None, "any_packet", "preserve" if rng.random() < 0.5 else "new")
    if stream:
        router = replace(router, timeout_s=120.0, unreplied_s=30.0)
    where, hours = one_site(rng, wish, router, 0.005), hours_of(rng, wish)
    return [where], hours, mixture(rng, where, hours, 3.0) + pbx_restarts(rng, hours, 1.0)


def _router_fixed(rng: Rng, wish: Wish) -> Drawn:
    before = nat(rng, high=50 * MINUTE)
    after = Router(float(rng.uniform(61, 130)) * MINUTE, ports=before.ports)
    if rng.random() < 0.2:
        after = Router(nat(rng).timeout_s, ports=before.ports)
    hours = wish.hours or max(24.0, hours_of(rng, wish))
    where = one_site(rng, wish, before)
    at = float(rng.uniform(0.3, 0.7)) * hours * HOUR
    keep = bool(rng.random() < 0.6)
    end = at + (0.0 if keep else float(rng.uniform(60, 300)))
    faults = [Fault("router_change", at, end, where.name, values={"router": after, "keep": keep})]
    if rng.random() < 0.5:
        faults += mixture(rng, where, hours, 2.0, 0.0)
    return [where], hours, faults


def _mixed(rng: Rng, wish: Wish) -> Drawn:
    big = rng.random() < 0.08 and wish.hours is None and wish.phones is None
    hours = round(float(rng.uniform(72, 168)), 1) if big else hours_of(rng, wish)
    sites: list[Site] = []
    faults: list[Fault] = []
    for number in range(1, (int(rng.integers(2, 6)) if big else int(rng.integers(1, 4))) + 1):
        router = nat(rng) if rng.random() < 0.6 else healthy_router(rng)
        if rng.random() < 0.08:
            router = Router(30.0, renewal="any_packet")
        count = int(rng.integers(10, 31)) if big else _phones_of(rng, wish)
        sites.append(site(rng, number, router, count, float(rng.uniform(0, 0.01)), wish))
        faults += mixture(rng, sites[-1], hours, 5.0)
        if rng.random() < 0.2:
            faults += reconnects(rng, sites[-1], hours / 24, number)
    faults += pbx_restarts(rng, hours, 0.7)
    if rng.random() < 0.25:
        faults += [Fault("reload", t, t) for t in rng.uniform(0, hours * HOUR, 1 + rng.poisson(1.0)).tolist()]
    return sites, hours, faults


Draw = Callable[[Rng, Wish], Drawn]
FAMILIES: dict[str, Draw] = {
    "plain": _plain,
    "healthy": _healthy,
    "any_packet": _any_packet,
    "router_fixed": _router_fixed,
    "messy": _mixed,
    "mixed": _mixed,
}


def make(family: str, seed: int, wish: Wish | None = None, families: Mapping[str, Draw] = FAMILIES) -> Scenario:
    """Draw a customer of a family.

    Parameters
    ----------
    family : str
        A key of `families`.
    seed : int
    wish : Wish, optional
        What to fix instead of drawing it.
    families : Mapping
        Name to what draws sites, hours and faults.

    Raises
    ------
    SettingError
        There is no such family.
    """
    if family not in families:
        raise SettingError(f"There is no family {family!r}.", next_step=f"Choose one of {', '.join(families)}.")
    rng = np.random.default_rng(seed)
    sites, hours, faults = families[family](rng, wish or Wish())
    start = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(seconds=int(rng.integers(0, 330 * 86400)))
    warm_up = 0.0 if rng.random() < 0.4 else 3 * HOUR
    made = Scenario(
        tuple(sites), hours, family, tuple(faults), start, warm_up_s=warm_up, style=Style(noise=OTHER_LINES)
    )
    if families[family] is _mixed and rng.random() < 0.5:
        made = replace(made, trunks=("0702227978",))
    return _begun_and_ended_anywhere(rng, made) if family == "messy" else made


def _begun_and_ended_anywhere(rng: Rng, made: Scenario) -> Scenario:
    """Return a customer whose log is cut out of the middle, rotated and full of other lines."""
    rotations = tuple(sorted(rng.uniform(0, made.seconds, int(rng.integers(0, 4))).tolist()))
    form, noise = str(rng.choice(["iso", "short", "iso_ms"])), float(rng.uniform(5, 60))
    style = Style(form, noise, rotations, cut_last=bool(rng.random() < 0.5))
    return replace(made, warm_up_s=float(rng.uniform(1, 30)) * HOUR, style=style)
