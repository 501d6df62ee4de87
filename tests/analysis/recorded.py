"""The recorded logs with their truth, and small logs written line by line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import starface_nb as sf
from starface_nb.analysis.diagnosis import Diagnosis

RECORDED = Path(__file__).parents[2] / "data" / "recorded"
ZONE = ZoneInfo("Europe/Berlin")
LOGS = {
    "clean": ("clean/pbx.log", "clean/truth.json"),
    "clean-shortdate": ("clean/pbx_shortdate.log", "clean/truth.json"),
    "mixed": ("mixed/pbx.log", "mixed/truth.json"),
    "mixed-shortdate": ("mixed/pbx_shortdate.log", "mixed/truth.json"),
    "mixed-dst": ("mixed/pbx_dst.log", "mixed/truth_dst.json"),
    "kept-alive-by-probing": ("kept-alive-by-probing/pbx.log", "kept-alive-by-probing/truth.json"),
    "fixed-router": ("fixed-router/pbx.log", "fixed-router/truth.json"),
    "one-bad-phone": ("one-bad-phone/pbx.log", "one-bad-phone/truth.json"),
    "pjsip-clean": ("pjsip-clean/pbx.log", "pjsip-clean/truth.json"),
    "undilated": ("undilated/pbx.log", "undilated/truth.json"),
}
OURS = {"phone_reboot": "phone_restart", "router_reboot": "router_restart"}


@cache
def truth(name: str) -> dict:
    return json.loads((RECORDED / LOGS[name][1]).read_text("utf-8"))


@cache
def case(name: str) -> Diagnosis:
    keepalive = 600.0 if name == "undilated" else 3600.0
    return sf.diagnose(sf.read_log(RECORDED / LOGS[name][0]), keepalive_s=keepalive)


@dataclass
class Writer:
    """Writes a chan_sip log; times are seconds from 2026-03-02 08:00 in Berlin."""

    lines: list[str]
    start: datetime = datetime(2026, 3, 2, 8, tzinfo=ZONE)

    def at(self, second: float, text: str, level: str = "NOTICE", source: str = "chan_sip.c") -> None:
        time = self.start + timedelta(seconds=second)
        self.lines.append(f"[{time:%Y-%m-%d %H:%M:%S}] {level}[4711] {source}: {text}")

    def registered(self, second: float, peer: str, port: int, ip: str = "203.0.113.9") -> None:
        self.at(second, f"Registered SIP '{peer}' at {ip}:{port}", "VERBOSE")

    def reachable(self, second: float, peer: str, rtt: int = 30) -> None:
        self.at(second, f"Peer '{peer}' is now Reachable. ({rtt}ms / 2000ms)")

    def lagged(self, second: float, peer: str, rtt: int = 2500) -> None:
        self.at(second, f"Peer '{peer}' is now Lagged. ({rtt}ms / 2000ms)")

    def lost(self, second: float, peer: str, last: int = 30) -> None:
        self.at(second, f"Peer '{peer}' is now UNREACHABLE!  Last qualify: {last}")

    def unregistered(self, second: float, peer: str) -> None:
        self.at(second, f"Unregistered SIP '{peer}'", "VERBOSE")

    def pbx_start(self, second: float) -> None:
        time = self.start + timedelta(seconds=second)
        self.lines.append(
            f"[{time:%Y-%m-%d %H:%M:%S}] Asterisk 16.30.0 built by root @ pbx on a x86_64 running Linux on x"
        )
        self.at(second, "Asterisk PBX Core Initializing", "VERBOSE", "pbx.c")
        self.at(second, "26 modules will be loaded.", "NOTICE", "loader.c")

    def pbx_stop(self, second: float) -> None:
        self.at(second, "Asterisk cleanly ending (0).", "VERBOSE", "asterisk.c")

    def nat(
        self, peer: str, first: float, timeout: float, cycles: int, period: float = 3600.0, port: int = 20000
    ) -> None:
        """Let a phone behind a router that renews on REGISTER only run through so many cycles."""
        for i in range(cycles):
            begin = first + i * period
            self.registered(begin, peer, port + i)
            self.reachable(begin, peer)
            if timeout < period:
                self.lost(begin + (int(timeout // 60) + 1) * 60 + 4, peer)

    def case(self, folder: Path, **settings: float) -> Diagnosis:
        path = folder / "full"
        path.write_text("\n".join(sorted(self.lines, key=lambda line: line[1:20])) + "\n", "utf-8")
        return sf.diagnose(sf.read_log(path), **settings)
