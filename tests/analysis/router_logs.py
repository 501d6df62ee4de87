"""Routers' own logs, written from the truth of a recorded log: what each of several products would have logged."""

from __future__ import annotations

import json
import re
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


GERMAN = (
    "Internetverbindung wurde getrennt.",
    "Internetverbindung wurde erfolgreich hergestellt. IP-Adresse: {}, DNS-Server: 192.0.2.53, Gateway: 192.0.2.1",
)
ENGLISH = (
    "Internet connection cleared.",
    "Internet connection established successfully. IP address: {}, DNS server: 192.0.2.53",
)


def fritzbox(found: list[Fault], *, texts: tuple[str, str] = GERMAN, shift: timedelta = timedelta()) -> str:
    """A FRITZ!Box's list of events, newest first; after a restart its clock begins in 1970."""
    down, up = texts
    lines: list[tuple[datetime, int, str]] = []
    for one in found:
        begin, end = one.start + shift, one.end + shift
        if one.restart:
            lines += [
                (
                    end,
                    -3,
                    "01.01.70 01:00:40 DSL ist verfügbar (DSL-Synchronisierung besteht mit 99/40 kbit/s).",
                ),
                (end, -2, f"01.01.70 01:00:55 {up.format(one.address)}"),
                (end, -1, f"{end:%d.%m.%y %H:%M:%S} Die Systemzeit wurde erfolgreich aktualisiert von Zeitserver x."),
            ]
        else:
            lines.append((begin, 0, f"{begin:%d.%m.%y %H:%M:%S} {down}"))
            lines.append((end, 0, f"{end:%d.%m.%y %H:%M:%S} {up.format(one.address)}"))
    told = _around(found, lambda n: f"WLAN-Gerät angemeldet: geraet-{n}, 5 GHz.")
    lines += [(when + shift, 1, f"{when + shift:%d.%m.%y %H:%M:%S} {text}") for when, text in told]
    return "\n".join(text for *_, text in sorted(lines, reverse=True)) + "\n"


def in_english(found: list[Fault], **how: Any) -> str:
    """The same list in English."""
    return fritzbox(found, texts=ENGLISH, **how)


FRENCH = (
    "La connexion Internet a été coupée.",
    "La connexion Internet a été établie avec succès. Adresse IP : {}, serveur DNS : 192.0.2.53",
)


def in_french_as_json(found: list[Fault], **how: Any) -> str:
    """The same list in French, as programs fetch it: date, time and text of each entry, all in one line."""
    rows = [[*line.split(" ", 2), "22"] for line in fritzbox(found, texts=FRENCH, **how).splitlines()]
    return json.dumps({"log": rows}, ensure_ascii=False, separators=(",", ":"))


def support_file(found: list[Fault], **how: Any) -> str:
    """The same list within a FRITZ!Box's support file."""
    other = "".join(f"{n} 1024 running\n" for n in range(9000))
    head = f"##### BEGIN SECTION Support_Data\nFRITZ!Box\n##### BEGIN SECTION proc\n{other}##### END SECTION proc\n"
    return (
        f"{head}##### BEGIN SECTION Events Events\nEvents\n------\n{fritzbox(found, **how)}##### END SECTION Events\n"
    )


def pasted(found: list[Fault], **how: Any) -> str:
    """The list as it is pasted out of the router's page: date, time and text each in a line."""
    return "\n".join(line.replace(" ", "\n", 2) for line in fritzbox(found, **how).splitlines()) + "\n"


def _stamped(found: list[Fault], lines: list[Line], form: str, zone: ZoneInfo, shift: timedelta) -> str:
    """Return lines and harmless ones around them with their stamps; a text of its own date keeps it behind a NUL."""
    every = sorted([*lines, *_around(found, lambda n: f"cron[{n}]: (root) CMD (run)")], key=lambda line: line[0])
    told = [f"{_local(when, zone, shift):{form}} {text}".rpartition("\0")[2] for when, text in every]
    return "\n".join(told) + "\n"


def _local(when: datetime, zone: ZoneInfo, shift: timedelta) -> datetime:
    return when.replace(tzinfo=BERLIN).astimezone(zone) + shift


def openwrt(found: list[Fault], *, zone: ZoneInfo = UTC, shift: timedelta = timedelta()) -> str:
    """OpenWrt's logread with PPPoE; a restart begins with the clock of the last file written."""
    form, lines = "%a %b %e %H:%M:%S %Y", list[Line]()
    for one in found:
        late = one.start + timedelta(seconds=10)
        if one.restart:
            boot = ("kern.notice kernel: [    0.000000] Linux version 5.15", "daemon.info procd: - init complete -")
            for n, text in enumerate(boot):
                old = _local(one.start - timedelta(hours=5) + timedelta(seconds=20 * n), zone, shift)
                lines.append((one.end - timedelta(seconds=1), f"\0{old:{form}} {text}"))
        else:
            lines.append((late, "daemon.notice pppd[1046]: Modem hangup"))
            lines.append((late, "daemon.notice netifd: Interface 'wan' has lost the connection"))
        lines.append((one.end, f"daemon.notice pppd[1100]: local  IP address {one.address}"))
        lines.append((one.end, "daemon.notice netifd: Interface 'wan' is now up"))
    return _stamped(found, lines, form, zone, shift)


def openwrt_rfc5424(found: list[Fault], **how: Any) -> str:
    """OpenWrt's lines as a server keeps them that was sent RFC 5424."""
    told = []
    for line in openwrt(found, **how).splitlines():
        when, text = datetime.strptime(line[4:24], "%b %d %H:%M:%S %Y"), line[25:]
        program, message = re.match(r"(?:\w+\.\w+ )?(\S+): (.*)", text).groups()  # type: ignore[union-attr]
        name, _, process = program.rstrip("]").partition("[")
        told.append(f"<30>1 {when:%Y-%m-%dT%H:%M:%S}.250Z gw {name} {process or '-'} - - {message}")
    return "\n".join(told) + "\n"


def opnsense(found: list[Fault], *, zone: ZoneInfo = UTC, shift: timedelta = timedelta()) -> str:
    """OPNsense's system log by RFC 5424, with the offset from UTC."""
    lines = list[Line]()
    for one in found:
        if one.restart:
            lines.append((one.start, "fw shutdown 1 - [meta] shutdown: reboot by root:"))
            lines.append((one.end - timedelta(seconds=40), "fw kernel - - [meta] ---<<BOOT>>---"))
        else:
            lines.append((one.start, "fw ppp 53258 - [meta] [wan] IFACE: Down event"))
        lines.append((one.end - timedelta(seconds=1), f"fw ppp 53258 - [meta] [wan]   {one.address} -> 192.0.2.1"))
        lines.append((one.end, "fw ppp 53258 - [meta] [wan] IFACE: Up event"))
    return _stamped(found, lines, "<13>1 %Y-%m-%dT%H:%M:%S%z", zone, shift)


def pfsense(found: list[Fault], *, zone: ZoneInfo = BERLIN, shift: timedelta = timedelta()) -> str:
    """pfSense's syslog: no year, no zone."""
    alarm = "fw rc.gateway_alarm[55473]: >>> Gateway alarm: WAN_PPPOE (Addr:192.0.2.1 Alarm:1 RTT:.4ms Loss:21%)"
    boot = (
        "fw syslogd: kernel boot file is /boot/kernel/kernel",
        "fw kernel: Copyright (c) 1992-2021 The FreeBSD Project.",
    )
    lines = list[Line]()
    for one in found:
        if one.restart:
            lines += [(one.end - timedelta(seconds=50), text) for text in boot]
        else:
            lines.append((one.start + timedelta(seconds=5), alarm))
        up = f"fw php-fpm[338]: /rc.newwanip: rc.newwanip: on (IP address: {one.address}) (interface: WAN[wan])."
        lines.append((one.end, up))
    return _stamped(found, lines, "%b %e %H:%M:%S", zone, shift)


def mikrotik(found: list[Fault], *, zone: ZoneInfo = BERLIN, shift: timedelta = timedelta()) -> str:
    """RouterOS's log; it does not tell its address."""
    first = "pppoe,ppp,info pppoe-out1: terminating... - peer is not responding"
    reboot = "system,error,critical router was rebooted without proper shutdown, probably power outage"
    lines = list[Line]()
    for one in found:
        lines.append((one.end - timedelta(seconds=30), reboot) if one.restart else (one.start, first))
        lines.append((one.end, "pppoe,ppp,info pppoe-out1: connected"))
    return _stamped(found, lines, "%Y-%m-%d %H:%M:%S", zone, shift)


FORMS: dict[str, Callable[..., str]] = {
    "fritzbox": fritzbox,
    "in English": in_english,
    "in French, as JSON": in_french_as_json,
    "support file": support_file,
    "pasted": pasted,
    "openwrt": openwrt,
    "openwrt, RFC 5424": openwrt_rfc5424,
    "opnsense": opnsense,
    "pfsense": pfsense,
    "mikrotik": mikrotik,
}
