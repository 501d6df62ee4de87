"""Routers' own logs, written from the truth of a recorded log: what each of several products would have logged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

BERLIN, UTC = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
Line = tuple[datetime, str]


@dataclass(frozen=True)
class Fault:
    """A time without a line: local begin and end, whether the router restarted, and the address it has afterwards."""

    start: datetime
    end: datetime
    restart: bool
    address: str


def faults(truth: Path) -> dict[str, list[Fault]]:
    """Return the faults of each router (site of the truth) that has any, in time."""
    told = json.loads(truth.read_text("utf-8"))
    address = {site["site"]: site["public_ip"] for site in told["sites"]}
    found: dict[str, list[Fault]] = {}
    for one in told["faults"]:
        if one["kind"] in ("wan_outage", "router_reboot"):
            site = one["site"]
            address[site] = one.get("new_ip", address[site])
            ends = (datetime.fromisoformat(one[key]) for key in ("start", "end"))
            found.setdefault(site, []).append(Fault(*ends, one["kind"] == "router_reboot", address[site]))
    return found


def _around(found: list[Fault], text: Callable[[int], str]) -> Iterator[Line]:
    """Yield harmless lines before and after the faults, as every log has them."""
    first, last = found[0].start - timedelta(hours=2), found[-1].end + timedelta(hours=2)
    for n in range(int((last - first).total_seconds() // 1700)):
        yield first + timedelta(seconds=1700 * n), text(n)


def fritzbox(found: list[Fault], *, english: bool = False, shift: timedelta = timedelta()) -> str:
    """A FRITZ!Box's list of events, newest first; after a restart its clock begins in 1970."""
    down, up = (
        ("Internet connection cleared.", "Internet connection established successfully. IP address: {}, DNS server: 192.0.2.53")
        if english
        else ("Internetverbindung wurde getrennt.", "Internetverbindung wurde erfolgreich hergestellt. IP-Adresse: {}, DNS-Server: 192.0.2.53 und 192.0.2.54, Gateway: 192.0.2.1")
    )  # fmt: skip
    lines: list[tuple[datetime, int, str]] = []
    for one in found:
        end = one.end + shift
        if one.restart:
            lines += [
                (end, -3, "01.01.70 01:00:40 DSL ist verfügbar (DSL-Synchronisierung besteht mit 100000/40000 kbit/s)."),
                (end, -2, f"01.01.70 01:00:55 {up.format(one.address)}"),
                (end, -1, f"{end:%d.%m.%y %H:%M:%S} Die Systemzeit wurde erfolgreich aktualisiert von Zeitserver 192.0.2.7."),
            ]  # fmt: skip
        else:
            begin = one.start + shift
            lines.append((begin, 0, f"{begin:%d.%m.%y %H:%M:%S} {down}"))
            lines.append((end, 0, f"{end:%d.%m.%y %H:%M:%S} {up.format(one.address)}"))
    told = _around(found, lambda n: f"WLAN-Gerät angemeldet: geraet-{n}, 5 GHz.")
    lines += [(when + shift, 1, f"{when + shift:%d.%m.%y %H:%M:%S} {text}") for when, text in told]
    return "\n".join(text for *_, text in sorted(lines, reverse=True)) + "\n"


def support_file(found: list[Fault], **how: Any) -> str:
    """The same list within a FRITZ!Box's support file."""
    other = "".join(f"{n} 1024 running\n" for n in range(9000))
    head = f"##### BEGIN SECTION Support_Data\nFRITZ!Box\n##### BEGIN SECTION proc\n{other}##### END SECTION proc\n"
    return f"{head}##### BEGIN SECTION Events Events\nEvents\n--------\n{fritzbox(found, **how)}##### END SECTION Events\n"


def pasted(found: list[Fault], **how: Any) -> str:
    """The list as it is pasted out of the router's page: date, time and text each in a line."""
    return "\n".join(line.replace(" ", "\n", 2) for line in fritzbox(found, **how).splitlines()) + "\n"


def _stamped(found: list[Fault], lines: list[Line], form: str, zone: ZoneInfo, shift: timedelta) -> str:
    told = []
    for when, text in sorted([*lines, *_around(found, lambda n: f"cron[{n}]: (root) CMD (run)")], key=lambda l: l[0]):
        local = when.replace(tzinfo=BERLIN).astimezone(zone) + shift
        told.append(f"{local.strftime(form)} {text}")
    return "\n".join(told) + "\n"


def openwrt(found: list[Fault], *, zone: ZoneInfo = UTC, shift: timedelta = timedelta()) -> str:
    """OpenWrt's logread with PPPoE; a restart begins with the clock of the last file written."""
    lines = list[Line]()
    for one in found:
        if one.restart:
            old = one.start - timedelta(hours=5)
            lines += [(one.start - timedelta(seconds=5), "daemon.info procd: - shutdown -")]
            boot = [(old, "kern.notice kernel: [    0.000000] Linux version 5.15.150 (builder@host)"),
                    (old + timedelta(seconds=20), "daemon.info procd: - init complete -")]  # fmt: skip
        else:
            lines += [(one.start + timedelta(seconds=10), "daemon.notice pppd[1046]: Modem hangup"),
                      (one.start + timedelta(seconds=11), "daemon.notice netifd: Interface 'wan' has lost the connection")]  # fmt: skip
            boot = []
        up = [(one.end, f"daemon.notice pppd[1100]: local  IP address {one.address}"),
              (one.end + timedelta(seconds=1), "daemon.notice netifd: Interface 'wan' is now up")]  # fmt: skip
        lines += [(one.end - timedelta(seconds=1), f"\0{when.replace(tzinfo=BERLIN).astimezone(zone) + shift:%a %b %e %H:%M:%S %Y} {text}") for when, text in boot]  # fmt: skip
        lines += up
    text = _stamped(found, lines, "%a %b %e %H:%M:%S %Y", zone, shift)
    return "\n".join(line.rpartition("\0")[2] for line in text.splitlines()) + "\n"


def opnsense(found: list[Fault], *, zone: ZoneInfo = UTC, shift: timedelta = timedelta()) -> str:
    """OPNsense's system log by RFC 5424, with the offset from UTC."""
    lines = list[Line]()
    for one in found:
        if one.restart:
            lines += [(one.start, "fw shutdown 1 - [meta] shutdown: reboot by root:"),
                      (one.end - timedelta(seconds=40), "fw kernel - - [meta sequenceId=\"8\"] ---<<BOOT>>---")]  # fmt: skip
        else:
            lines.append((one.start, "fw ppp 53258 - [meta sequenceId=\"5\"] [wan] IFACE: Down event"))
        lines.append((one.end - timedelta(seconds=1), f"fw ppp 53258 - [meta] [wan]   {one.address} -> 192.0.2.1"))
        lines.append((one.end, "fw ppp 53258 - [meta sequenceId=\"6\"] [wan] IFACE: Up event"))
    return _stamped(found, lines, "<13>1 %Y-%m-%dT%H:%M:%S%z", zone, shift)


def pfsense(found: list[Fault], *, zone: ZoneInfo = BERLIN, shift: timedelta = timedelta()) -> str:
    """pfSense's syslog: no year, no zone."""
    lines = list[Line]()
    for one in found:
        if one.restart:
            lines += [(one.end - timedelta(seconds=50), "fw syslogd: kernel boot file is /boot/kernel/kernel"),
                      (one.end - timedelta(seconds=50), "fw kernel: Copyright (c) 1992-2021 The FreeBSD Project.")]  # fmt: skip
        else:
            lines.append((one.start + timedelta(seconds=5), "fw rc.gateway_alarm[55473]: >>> Gateway alarm: WAN_PPPOE (Addr:192.0.2.1 Alarm:1 RTT:.467ms RTTsd:.091ms Loss:21%)"))  # fmt: skip
        lines.append((one.end, f"fw php-fpm[338]: /rc.newwanip: rc.newwanip: on (IP address: {one.address}) (interface: WAN[wan]) (real interface: pppoe0)."))  # fmt: skip
    return _stamped(found, lines, "%b %e %H:%M:%S", zone, shift)


def mikrotik(found: list[Fault], *, zone: ZoneInfo = BERLIN, shift: timedelta = timedelta()) -> str:
    """RouterOS's log; it does not tell its address."""
    lines = list[Line]()
    for one in found:
        first = "pppoe,ppp,info pppoe-out1: terminating... - peer is not responding"
        reboot = "system,error,critical router was rebooted without proper shutdown, probably power outage"
        lines.append((one.end - timedelta(seconds=30), reboot) if one.restart else (one.start, first))
        lines.append((one.end, "pppoe,ppp,info pppoe-out1: connected"))
    return _stamped(found, lines, "%Y-%m-%d %H:%M:%S", zone, shift)


FORMS: dict[str, Callable[..., str]] = {
    "fritzbox": fritzbox, "support file": support_file, "pasted": pasted, "openwrt": openwrt, "opnsense": opnsense,
    "pfsense": pfsense, "mikrotik": mikrotik,
}  # fmt: skip
