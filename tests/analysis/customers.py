"""Customers with one cause that the simulator does not know, made out of simulated ones: found, and not invented."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import starface_nb as sf
from starface_nb.simulation import Fault, Phone, Router, Scenario, Site, simulate

MODELS = ("snomd345", "ylnkt54", "gigaset", "snomd785", "ylnkt46", "mitel")
HOUR = 3600.0
_STAMP = re.compile(r"^\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\] ")


def rng(seed: int) -> random.Random:
    """Return the chance of a customer."""
    return random.Random(seed)  # noqa: S311  a simulation, no secret


def site(seed: int, number: int, phones: int, router: Router | None = None) -> Site:
    """Return a site of phones of several models, its router healthy unless given."""
    r = rng(seed * 100 + number)
    router = router or Router(5400.0, ports=r.choice(["new", "preserve"]))
    listed = tuple(
        Phone(f"{number}{n:03}.{MODELS[(n + seed) % len(MODELS)]}", reregister_s=3600.0, rtt_ms=r.uniform(15, 60))
        for n in range(phones)
    )
    return Site(f"site{number}", f"203.0.113.{number}", listed, router)


def lines_of(sites: list[Site], hours: float, faults: list[Fault], seed: int, tech: str = "SIP") -> list[str]:
    """Return the lines of a simulated customer."""
    scenario = Scenario(tuple(sites), hours, faults=tuple(faults), tech=tech)
    return list(simulate(scenario, seed).lines)


def at(lines: list[str], seconds: float) -> datetime:
    """Return the local time a while after the first line."""
    first = next(filter(None, map(_STAMP.match, lines)))
    return datetime.fromisoformat(first[1]) + timedelta(seconds=seconds)


def time_of(line: str) -> datetime:
    """Return a line's local time."""
    found = _STAMP.match(line)
    assert found, line
    return datetime.fromisoformat(found[1])


def with_lines(lines: list[str], more: list[tuple[datetime, str]]) -> list[str]:
    """Return lines with more of them in their places."""
    added = [f"[{when:%Y-%m-%d %H:%M:%S}] {text}" for when, text in more]
    return sorted([*lines, *added], key=time_of)


def held_back(lines: list[str], phones: list[str], start: datetime, end: datetime) -> list[str]:
    """Return lines as if nothing had been heard of these phones between two times, and they came back then."""
    kept = [line for line in lines if not (start <= time_of(line) < end and _about(line, phones))]
    back = []
    for phone in phones:
        last = [line for line in lines if _about(line, [phone]) and "Registered SIP" in line and time_of(line) < end]
        place = last[-1].rpartition(" at ")[2]
        back.append((end, f"VERBOSE[1] chan_sip.c: Registered SIP '{phone}' at {place}"))
        back.append((end, f"NOTICE[1] chan_sip.c: Peer '{phone}' is now Reachable. (31ms / 2000ms)"))
    return with_lines(kept, back)


def _about(line: str, phones: list[str]) -> bool:
    return "is now UNREACHABLE" not in line and any(f"'{phone}'" in line for phone in phones)


def diagnosed(folder: Path, lines: list[str]) -> sf.Diagnosis:
    """Return the diagnosis of these lines."""
    path = folder / "full"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return sf.diagnose(sf.read_log(path, progress=False))


def found(case: sf.Diagnosis, *ids: str) -> list[str]:
    """Return those of the findings `ids` that are there."""
    return [finding.id for finding in case.findings if finding.id in ids]


# ---- customers with one cause each, and those that look alike without it ----


def new_address(seed: int, stuck: int) -> list[str]:
    """A site's public address changes; `stuck` of its phones stay away for hours."""
    r = rng(seed)
    where = site(seed, 10, 8)
    change = r.uniform(3, 5) * HOUR
    outage = Fault("wan_outage", change, change + r.uniform(70, 400), where.name, values={"new_ip": "198.51.100.20"})
    lines = lines_of([where], 14, [outage], seed)
    phones = r.sample([phone.peer for phone in where.phones], stuck)
    start = at(lines, 0) + timedelta(seconds=change - 60)
    return held_back(lines, phones, start, start + timedelta(hours=r.uniform(3.2, 7))) if phones else lines


def late_to_register(seed: int) -> list[str]:
    """Some phones register again only a while after their registration has run out."""
    r = rng(seed)
    where = site(seed, 10, 6)
    late = [replace(one, reregister_s=r.uniform(3700, 5400), expires_s=3600.0) for one in where.phones[: 1 + seed % 3]]
    phones = (*late, *where.phones[len(late) :])
    return lines_of([replace(where, phones=phones)], 20, [], seed, "PJSIP")


def two_lines(seed: int, *, back: bool) -> list[str]:
    """A site changes to a second line and back, or every time to another address, as a forced reconnect does."""
    r = rng(seed)
    where = site(seed, 10, r.randrange(3, 9))
    addresses = ["198.51.100.20", where.public_ip] * 2 if back else [f"198.51.100.{n}" for n in (20, 21, 22, 23)]
    faults = [
        Fault("wan_outage", start, start + r.uniform(70, 300), where.name, values={"new_ip": address})
        for start, address in zip((3 * HOUR, 7 * HOUR, 11 * HOUR, 15 * HOUR), addresses, strict=True)
    ]
    return lines_of([where], 20, faults, seed)


def inspected(seed: int, timeout_s: float) -> list[str]:
    """A router whose bindings live `timeout_s`; 1,800 s is the timer of SIP inspection."""
    return lines_of([site(seed, 10, rng(seed).randrange(4, 9), Router(timeout_s))], 24, [], seed)


def rewritten(seed: int, timeout_s: float) -> list[str]:
    """A router that inspects SIP: its timer, and what it rewrites comes from port 5060; some phones it leaves alone."""
    r = rng(seed)
    where = site(seed, 10, r.randrange(5, 9), Router(timeout_s, ports="preserve"))
    lines = lines_of([where], 24, [], seed)
    seen = r.sample([phone.peer for phone in where.phones], 3 + seed % 2)
    ours = "|".join(map(re.escape, seen))
    return [re.sub(rf"(Registered SIP '(?:{ours})' at [\d.]+):\d+", r"\1:5060", line) for line in lines]


def one_at_5060(seed: int, timeout_s: float) -> list[str]:
    """A router that keeps ports, with its timeout set to 30 minutes: one phone has port 5060, as one may."""
    where = site(seed, 10, 5, Router(timeout_s, ports="preserve"))
    first = re.escape(where.phones[0].peer)
    return [re.sub(rf"('{first}' at [\d.]+):\d+", r"\1:5060", line) for line in lines_of([where], 24, [], seed)]


def carrier_nat(seed: int, *, restart: bool, tech: str = "SIP") -> list[str]:
    """Two customers behind one address: the line of one of them fails now and then, or its router restarts."""
    r = rng(seed)
    sites = [site(seed, 10, 5), site(seed, 11, 4)]
    sites[1] = replace(sites[1], public_ip=sites[0].public_ip)
    kind = "router_restart" if restart else "wan_outage"
    starts = [(2 + 4 * n + r.random()) * HOUR for n in range(4)]
    faults = [Fault(kind, start, start + r.uniform(100, 400), sites[n % 4 // 3].name) for n, start in enumerate(starts)]
    return lines_of(sites, 22, faults, seed, tech)


def all_on_5060(seed: int, *, one_model: bool) -> list[str]:
    """All phones of a site come from port 5060: SIP inspection, or one device with several accounts."""
    lines = lines_of([site(seed, 10, 5)], 8, [], seed)
    lines = [re.sub(r"(Registered SIP .* at 203\.0\.113\.10):\d+", r"\1:5060", line) for line in lines]
    return [re.sub(r"(?<=10\d{3}\.)[a-z]+\d*(?=')", "gigaset", line) for line in lines] if one_model else lines


def doubly_used(seed: int, *, doubly: bool) -> list[str]:
    """An account that two devices use, or one that often gets a new port."""
    r = rng(seed)
    where = site(seed, 10, 5)
    lines = lines_of([where], 20, [], seed)
    phone = where.phones[0].peer
    lines = [line for line in lines if not ("Registered SIP" in line and f"'{phone}'" in line)]
    places = [f"{where.public_ip}:{r.randrange(1024, 60000)}", f"{r.choice(['198.51.100.7', where.public_ip])}:5060"]
    more, offset = [], r.uniform(600, 2400)
    for n in range(36):
        one = n % 2
        when = at(lines, 30 + (n // 2) * 3550 + one * offset)
        port = r.randrange(1024, 60000)
        place = places[one] if doubly else f"{where.public_ip}:{port}"
        more.append((when, f"VERBOSE[1] chan_sip.c: Registered SIP '{phone}' at {place}"))
    return with_lines(lines, more)


def two_homes(seed: int, *, doubly: bool) -> list[str]:
    """An account of two devices at two addresses, with a new port each time; or of one device that is carried about."""
    r = rng(seed)
    where = site(seed, 10, 5)
    phone = where.phones[0].peer
    lines = [
        line for line in lines_of([where], 20, [], seed) if not ("Registered SIP" in line and f"'{phone}'" in line)
    ]
    offset, more, when = r.uniform(200, 3400), [], 30.0
    for n in range(36):
        address = (where.public_ip, "198.51.100.7")[n % 2]
        text = f"VERBOSE[1] chan_sip.c: Registered SIP '{phone}' at {address}:{r.randrange(1024, 60000)}"
        more.append((at(lines, 30 + (n // 2) * 3550 + n % 2 * offset + r.uniform(-30, 30) if doubly else when), text))
        when += r.expovariate(1 / 1900)
    return with_lines(lines, more)


def same_ports(seed: int, ports: str) -> list[str]:
    """Phones that use the same local port (`kernel`: the router gives it to whoever comes first), or do not."""
    r = rng(seed)
    router = Router(r.uniform(300, 1500), ports=ports)
    return lines_of([site(seed, 10, r.randrange(5, 9), router)], 30, [], seed)


def on_one_switch(seed: int, *, part: bool, tech: str = "SIP") -> list[str]:
    """Some phones of a site restart together now and then, or each for itself."""
    r = rng(seed)
    where = site(seed, 10, 9)
    group = r.sample([phone.peer for phone in where.phones], 4)
    faults = []
    for n in range(4):
        start = (3 + 5 * n + r.random()) * HOUR
        for k, peer in enumerate(group):
            begin = start + (0 if part else 1500 * k) + r.uniform(0, 3)
            faults.append(Fault("phone_restart", begin, begin + r.uniform(100, 260), where.name, peer))
    return lines_of([where], 24, faults, seed, tech)


def stalled(seed: int, *, pbx: bool) -> list[str]:
    """Phones of many sites late within the same seconds, or sites with troubles of their own."""
    r = rng(seed)
    sites = [site(seed, 10 + n, r.randrange(3, 6)) for n in range(5)]
    faults = [
        Fault("wan_outage", (2 + 3 * n + r.random()) * HOUR, (2.2 + 3 * n + r.random()) * HOUR, where.name)
        for n, where in enumerate(sites)
    ]
    lines = lines_of(sites, 20, faults, seed)
    if not pbx:
        return lines
    more = []
    for _ in range(3):
        when = at(lines, r.uniform(18.2, 19.5) * HOUR)
        for where in sites:
            for phone in where.phones[:2]:
                late = when + timedelta(seconds=r.randrange(8))
                more.append((late, f"NOTICE[1] chan_sip.c: Peer '{phone.peer}' is now Lagged. (2710ms / 2000ms)"))
                soon = late + timedelta(seconds=12)
                more.append((soon, f"NOTICE[1] chan_sip.c: Peer '{phone.peer}' is now Reachable. (31ms / 2000ms)"))
    return with_lines(lines, more)


def restarted(seed: int) -> list[str]:
    """A PBX that restarts: phones of all sites have trouble at once, and the log says why."""
    r = rng(seed)
    sites = [site(seed, 10 + n, 4) for n in range(5)]
    start = r.uniform(5, 9) * HOUR
    return lines_of(sites, 14, [Fault("pbx_restart", start, start + r.uniform(20, 90))], seed)


def overloaded(lines: list[str], seconds: float) -> list[str]:
    """Return lines with warnings of overload."""
    text = (
        "WARNING[1] taskprocessor.c: The 'pjsip/distributor-0000002b' task processor queue reached 500 scheduled tasks."
    )
    return with_lines(lines, [(at(lines, seconds + n), text) for n in range(3)])


def deaf(seed: int, *, ever: bool) -> list[str]:
    """A phone that registers and is never found by a probe, or only once, hours later."""
    r = rng(seed)
    where = site(seed, 10, r.randrange(3, 8))
    phone = where.phones[0].peer
    lines = [line for line in lines_of([where], 10, [], seed) if f"'{phone}'" not in line]
    first = at(lines, r.uniform(60, 1800))
    more = []
    for n in range(8):
        when = first + timedelta(seconds=3590 * n)
        place = f"{where.public_ip}:{r.randrange(1024, 60000)}"
        more.append((when, f"VERBOSE[1] chan_sip.c: Registered SIP '{phone}' at {place}"))
        if n == 0:
            lost = when + timedelta(seconds=4)
            more.append((lost, f"NOTICE[1] chan_sip.c: Peer '{phone}' is now UNREACHABLE!  Last qualify: 0"))
        if n == 7 and ever:
            more.append((when, f"NOTICE[1] chan_sip.c: Peer '{phone}' is now Reachable. (31ms / 2000ms)"))
    return with_lines(lines, more)


def over_tls(seed: int, *, tls: bool) -> list[str]:
    """Phones of a PJSIP customer, over TLS or over UDP."""
    where = site(seed, 10, rng(seed).randrange(3, 8), Router(rng(seed).uniform(600, 1500)))
    lines = list(simulate(Scenario((where,), 12, tech="PJSIP"), seed).lines)
    return [re.sub(r"(sip:[^@\s]+@[\d.]+:\d+)", r"\1;transport=TLS", line) for line in lines] if tls else lines


Customer = Callable[[int], list[str]]
IDS = (
    "stale_state",
    "line_switches",
    "sip_inspection",
    "two_devices",
    "shared_port",
    "shared_power",
    "pbx_trouble",
    "lapsed",
    "never_answers",
    "tcp_connections",
)

WITH: dict[str, tuple[str, Customer]] = {
    "stale_state": ("stale_state", lambda seed: new_address(seed, stuck=2 + seed % 3)),
    "line_switches": ("line_switches", partial(two_lines, back=True)),
    "sip_inspection": ("sip_inspection", partial(rewritten, timeout_s=1800.0)),
    "sip_inspection_ports": ("sip_inspection", partial(all_on_5060, one_model=False)),
    "two_devices": ("two_devices", partial(doubly_used, doubly=True)),
    "two_devices, new ports": ("two_devices", partial(two_homes, doubly=True)),
    "shared_port": ("shared_port", partial(same_ports, ports="kernel")),
    "shared_power": ("shared_power", partial(on_one_switch, part=True)),
    "shared_power, PJSIP": ("shared_power", partial(on_one_switch, part=True, tech="PJSIP")),
    "pbx_trouble": ("pbx_trouble", partial(stalled, pbx=True)),
    "lapsed": ("lapsed", late_to_register),
    "never_answers": ("never_answers", partial(deaf, ever=False)),
    "tcp_connections": ("tcp_connections", partial(over_tls, tls=True)),
}
WITHOUT: dict[str, Customer] = {
    "new address, everybody back": lambda seed: new_address(seed, stuck=0),
    "new address, one phone off": lambda seed: new_address(seed, stuck=1),
    "every night another address": partial(two_lines, back=False),
    "timeout of 15 minutes": partial(inspected, timeout_s=900.0),
    "timeout set to 30 minutes": partial(inspected, timeout_s=1800.0),
    "timeout set to 60 minutes": partial(inspected, timeout_s=3570.0),
    "timeout of 30 minutes and a phone at 5060": partial(one_at_5060, timeout_s=1800.0),
    "two customers behind one address, one line fails": partial(carrier_nat, restart=False),
    "two customers behind one address, one router restarts": partial(carrier_nat, restart=True),
    "the same, PJSIP": partial(carrier_nat, restart=False, tech="PJSIP"),
    "timeout of 40 minutes": partial(inspected, timeout_s=2400.0),
    "one device, several accounts": partial(all_on_5060, one_model=True),
    "one device carried about": partial(two_homes, doubly=False),
    "often a new port": partial(doubly_used, doubly=False),
    "ports of their own": partial(same_ports, ports="new"),
    "ports preserved": partial(same_ports, ports="preserve"),
    "phones restart each for itself": partial(on_one_switch, part=False),
    "sites with troubles of their own": partial(stalled, pbx=False),
    "PBX restarted": restarted,
    "a phone that answers late in the log": partial(deaf, ever=True),
    "PJSIP over UDP": partial(over_tls, tls=False),
}
