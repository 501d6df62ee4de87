"""Nine families of customers, drawn at random: what an estimator must get right, and what must not fool it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from starface_nb.errors import SettingError
from starface_nb.simulation.spec import USER_AGENTS, Fault, Phone, Router, Scenario, Site, Style

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


def _wish(rng: Rng) -> Wish:
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
    wish = _wish(rng)
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


# -- faults -----------------------------------------------------------------------------------------------------------


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


def _phone_restart(rng: Rng, where: Site, t: float) -> list[Fault]:
    peer = where.phones[int(rng.integers(len(where.phones)))].peer
    return [Fault("phone_restart", t, t + float(rng.uniform(60, 300)), where.name, peer)]


def _phone_offline(rng: Rng, where: Site, t: float) -> list[Fault]:
    peer = where.phones[int(rng.integers(len(where.phones)))].peer
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


def _router_restart(rng: Rng, where: Site, t: float) -> list[Fault]:
    return [Fault("router_restart", t, t + float(rng.uniform(60, 240)), where.name)]


def _power_cut(rng: Rng, where: Site, t: float) -> list[Fault]:
    return [Fault("power_cut", t, t + float(rng.uniform(90, 1800)), where.name)]


def _blacklisted(where: Site, t: float) -> list[Fault]:
    return [Fault("blacklisted", t, t + DAY, where.name)]


def _wan_outage(rng: Rng, where: Site, t: float) -> list[Fault]:
    new_ip = f"198.51.100.{int(rng.integers(1, 250))}" if rng.random() < 0.25 else None
    return [outage(rng, where, t, new_ip=new_ip)]


def _unregister(rng: Rng, where: Site, t: float) -> list[Fault]:
    peer = where.phones[int(rng.integers(len(where.phones)))].peer
    return [Fault("unregister", t, t + float(rng.uniform(60, 7200)), where.name, peer)]


_DRAWS: dict[str, tuple[float, Callable[[Rng, Site, float], list[Fault]]]] = {
    "wan_outage": (1.2, _wan_outage),
    "router_restart": (0.8, _router_restart),
    "phone_restart": (1.5, _phone_restart),
    "phone_offline": (1.0, _phone_offline),
    "latency": (0.7, _latency),
    "packet_loss": (1.0, _packet_loss),
    "power_cut": (0.25, _power_cut),
    "unregister": (0.3, _unregister),
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
        found += _blacklisted(where, float(rng.uniform(0, hours * HOUR)))
    return found


# -- families ---------------------------------------------------------------------------------------------------------


def _scenario(rng: Rng, family: str, sites: list[Site], hours: float, faults: list[Fault]) -> Scenario:
    start = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(seconds=int(rng.integers(0, 330 * 86400)))
    warm = 0.0 if rng.random() < 0.4 else 3 * HOUR
    return Scenario(tuple(sites), hours, family, tuple(faults), start, warm_up_s=warm)


def _hours(rng: Rng) -> float:
    wish = _wish(rng).hours
    return wish if wish is not None else round(float(np.exp(rng.uniform(np.log(12), np.log(96)))), 1)


def _count(rng: Rng) -> int:
    wish = _wish(rng).phones
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
    hours = _wish(rng).hours or max(24.0, _hours(rng))
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
    wish = _wish(rng)
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
