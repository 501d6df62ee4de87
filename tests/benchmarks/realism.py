"""Is the simulator like the recorded logs? The same sites and faults simulated, side by side with the recording.

    python -m tests.benchmarks.realism

For every recorded chan_sip log: lines of each kind, intervals of each cause, how long NAT losses last, the age of a
binding at its loss against the 60 s grid, and the delay from a mapping's death to the UNREACHABLE line.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from starface_nb.simulation import Fault, Phone, Router, Scenario, Simulated, Site, simulate
from tests.benchmarks._truth import RENAMED

RECORDED = Path(__file__).parents[2] / "data" / "recorded"
LOGS = ("clean", "mixed", "kept-alive-by-probing", "fixed-router", "one-bad-phone", "pjsip-clean")
KINDS = {
    "Registered": r"Registered SIP '|Added contact '",
    "useragent": r"Saved useragent",
    "Reachable": r"is now Reachable",
    "UNREACHABLE": r"is now (UNREACHABLE|Unreachable)",
    "Lagged": r"is now Lagged",
}


def _seconds(text: str, zone: ZoneInfo, first: float) -> float:
    when = datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=zone)).timestamp() - first


def mirror(truth: dict, log: str) -> Scenario:
    """Return a scenario with the sites, phones and faults of a recording; its loss bursts come at random."""
    zone = ZoneInfo(truth["time_zone"])
    start = datetime.fromisoformat(truth["log_start"]).replace(tzinfo=zone)
    first = start.timestamp()
    hours = _seconds(truth["log_end"], zone, first) / 3600.0
    faults = [f for f in (_fault(f, zone, first) for f in truth["faults"]) if f]
    sites = []
    for s in truth["sites"]:
        renewal = "register_only" if s["refresh_policy"] == "register-only" else "any_packet"
        router = Router(s["T_s"], renewal=renewal, ports=s["port_policy"])  # type: ignore[arg-type]
        phones = tuple(
            Phone(
                p["peer"],
                p["user_agent"],
                p["reregister_s"],
                p["expires_s"],
                first_s=_first(p["peer"], log, zone, first),
            )
            for p in s["phones"]
        )
        sites.append(Site(s["site"], s["public_ip"], phones, router, s["loss_rate"]))
        faults += _bursts(truth, s, hours)
        faults += [
            Fault("router_change", at, at, s["site"],
                  values={"router": Router(c["T_s"], renewal=renewal, ports=s["port_policy"]), "keep": True})  # type: ignore[arg-type]
            for c in s["changes"] if "T_s" in c for at in [_seconds(c["at"], zone, first)]
        ]  # fmt: skip
    tech = "PJSIP" if "PJSIP" in truth["asterisk"].upper() else "SIP"
    return Scenario(tuple(sites), hours, "mirror", tuple(faults), start, truth["time_zone"], tech=tech)


def _first(peer: str, log: str, zone: ZoneInfo, first: float) -> float:
    found = re.search(rf"^\[([^\]]+)\].*(?:Registered SIP '|Added contact 'sip:){re.escape(peer)}", log, re.M)
    return _seconds(found[1], zone, first) if found else 0.0


def _fault(f: dict, zone: ZoneInfo, first: float) -> Fault | None:
    kind = RENAMED.get(f["kind"], f["kind"])
    if kind == "router_fix" or (kind == "packet_loss" and f.get("rate", 1) < 0.1):
        return None
    values = {"new_ip": f.get("new_ip"), "low_ms": f.get("lo"), "high_ms": f.get("hi")}
    start, end = (_seconds(f[k], zone, first) for k in ("start", "end"))
    return Fault(kind, start, end, f.get("site"), f.get("phone"), {k: v for k, v in values.items() if v})


def _bursts(truth: dict, site: dict, hours: float) -> list[Fault]:
    """Return as many bursts of loss as the recording seems to hold: losses within ten seconds share one."""
    zone = ZoneInfo(truth["time_zone"])
    times = sorted(
        _seconds(u["start"], zone, 0.0)
        for u in truth["unreachable_intervals"]
        if u["site"] == site["site"] and u["cause"] == "packet_loss"
    )
    count = sum(b - a > 10 for a, b in zip([-1e9, *times], times, strict=False))
    rng = np.random.default_rng(count)
    return [
        Fault("packet_loss", t, t + 6.0 + float(rng.exponential(6.0)), site["site"])
        for t in rng.uniform(0, hours * 3600, count * 2)
    ]


def features(lines: list[str], truth: dict) -> dict[str, float]:
    """Return the figures that are compared."""
    found: dict[str, float] = {name: sum(bool(re.search(p, line)) for line in lines) for name, p in KINDS.items()}
    zone = ZoneInfo(truth["time_zone"])
    causes: dict[str, int] = {}
    lasting, delay = [], []
    for u in truth["unreachable_intervals"]:
        cause = RENAMED.get(u["cause"], u["cause"])
        causes[cause] = causes.get(cause, 0) + 1
        if cause == "nat_expiry" and u["duration_s"] is not None:
            lasting.append(u["duration_s"])
            if u.get("mapping_died"):
                delay.append(_seconds(u["start"], zone, 0.0) - _seconds(u["mapping_died"], zone, 0.0))
    found |= {f"cause {name}": count for name, count in sorted(causes.items())}
    for name, values in (("NAT loss lasts s", lasting), ("death to line s", delay)):
        if values:
            found |= {f"{name} {q}%": float(np.percentile(values, q)) for q in (10, 50, 90)}
    ages = _ages(lines)
    if ages:
        found |= {f"age at loss - 4 mod 60, {q}%": float(np.percentile(ages, q)) for q in (10, 50, 90)}
    return found


def _ages(lines: list[str]) -> list[float]:
    """Return where on the 60 s grid each first loss after a registration line falls."""
    last: dict[str, datetime] = {}
    found = []
    for line in lines:
        done = re.search(r"^\[([^\]]+)\].*Registered SIP '(.+)' at", line)
        lost = re.search(r"^\[([^\]]+)\].*Peer '(.+)' is now UNREACHABLE", line)
        if done:
            last[done[2]] = datetime.fromisoformat(done[1])
        elif lost and lost[2] in last:
            found.append((datetime.fromisoformat(lost[1]) - last.pop(lost[2])).total_seconds() - 4.0)
    return [(age + 30.0) % 60.0 - 30.0 for age in found]


def compare(name: str, seed: int = 1) -> tuple[dict[str, float], dict[str, float], Simulated]:
    """Return the recording's figures, its mirror's, and the mirror."""
    folder = RECORDED / name
    truth, log = json.loads((folder / "truth.json").read_text()), (folder / "pbx.log").read_text(errors="replace")
    made = simulate(mirror(truth, log), seed)
    return features(log.splitlines(), truth), features(made.lines, made.truth), made


def main() -> None:
    for name in LOGS:
        recorded, made, _ = compare(name)
        print(f"\n{name:36s} {'recorded':>10s} {'simulated':>10s}")
        for key in sorted({*recorded, *made}):
            print(f"  {key:34s} {recorded.get(key, 0):10.1f} {made.get(key, 0):10.1f}")


if __name__ == "__main__":
    main()
