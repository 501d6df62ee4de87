"""From what the PBX did to the lines it writes, and to the events that reading them would yield."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from starface_nb.reading.schemas import EVENTS
from starface_nb.simulation.journal import Row
from starface_nb.simulation.spec import Scenario

_BUILT = "Asterisk {version} built by builder @ pbx on a x86_64 running Linux on 2025-11-22 10:39:10 UTC"
_START = (
    ("VERBOSE", "pbx.c", "Asterisk PBX Core Initializing"),
    ("VERBOSE", "loader.c", "Asterisk Dynamic Loader Starting:"),
    ("NOTICE", "loader.c", "26 modules will be loaded."),
    ("NOTICE", "cdr.c", "CDR simple logging enabled."),
    ("VERBOSE", "asterisk.c", "Asterisk Ready."),
)
_NOISE = (
    ("VERBOSE", "app_dial.c", "Called SIP/{n}"),
    ("VERBOSE", "pbx.c", "Executing [{n}@internal:1] NoOp(\"SIP/{n}-0000{n}\", \"\") in new stack"),
    ("VERBOSE", "bridge_channel.c", "Channel SIP/{n}-0000{n} joined 'simple_bridge' basic-bridge <{n}>"),
    ("WARNING", "chan_sip.c", "Timeout on 8f2a{n} on non-critical invite transaction."),
    ("NOTICE", "res_rtp_asterisk.c", "Unknown RTP codec 126 received from '198.51.100.9:{n}'"),
    ("VERBOSE", "manager.c", "Manager 'monitor' logged on from 127.0.0.1"),
)  # fmt: skip
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SIP = {
    "unreachable": ("NOTICE", "chan_sip.c"),
    "reachable": ("NOTICE", "chan_sip.c"),
    "lagged": ("NOTICE", "chan_sip.c"),
    "failed": ("NOTICE", "chan_sip.c"),
    "registered": ("VERBOSE", "chan_sip.c"),
    "unregistered": ("VERBOSE", "chan_sip.c"),
    "useragent": ("VERBOSE", "chan_sip.c"),
    "shutdown": ("VERBOSE", "asterisk.c"),
    "cleanups": ("VERBOSE", "asterisk.c"),
}
Line = tuple[float, str | None, str, str, dict[str, object] | None]


def with_noise(rows: list[Row], scenario: Scenario, seed: int) -> list[Row]:
    """Add unrelated lines, one at each end at least, and the marks of log rotation."""
    extra: list[Row] = [(t, -1, "rotate", "", None, None) for t in scenario.style.rotations]
    extra += [(t, order, "noise", "", 5, 0) for t, order in ((0.0, 1 << 40), (scenario.seconds, 1 << 40))]
    if scenario.style.noise > 0:
        rng = np.random.default_rng([seed, 1])
        times = rng.uniform(0, scenario.seconds, rng.poisson(scenario.style.noise * scenario.hours))
        which = rng.integers(0, len(_NOISE), times.size)
        numbers = rng.integers(1000, 9999, times.size)
        for t, w, n in zip(times.tolist(), which.tolist(), numbers.tolist(), strict=True):
            scan = scenario.tech == "SIP" and n % 10 == 0  # a stranger tries his luck
            extra.append((t, -2, "failed", str(n), f"192.0.2.{n % 200}", n) if scan else (t, -2, "noise", "", w, n))
    return sorted(rows + extra, key=lambda row: (row[0], row[1]))


def lines(rows: list[Row], scenario: Scenario) -> Iterator[Line]:
    """Yield every line: time, level, source file, text, and the event in it, if any."""
    make = _sip_lines if scenario.tech == "SIP" else _pjsip_lines
    version = "18.26.4" if scenario.tech == "SIP" else "22.10.1"
    for t, _, kind, peer, a, b in rows:
        if kind == "noise":
            level, source, text = _NOISE[int(str(a))]
            yield t, level, source, text.format(n=b), None
        elif kind == "start":
            yield t, None, "", _BUILT.format(version=version), None
            for level, source, text in _START:
                yield t, level, source, text, {"kind": "restart"} if source == "pbx.c" else None
        elif kind == "rotate":
            yield t, None, "", _BUILT.format(version=version), {"kind": "rotate"}
            yield t, "VERBOSE", "logger.c", "Asterisk Queue Logger restarted", {"kind": "rotate"}
        elif kind == "shutdown":
            yield t, *_SIP[kind], "Asterisk cleanly ending (0).", {"kind": "shutdown"}
        elif kind == "reload":
            yield t, "VERBOSE", "chan_sip.c", "Reloading SIP", {"kind": "reload", "tech": "SIP"}
        elif kind == "cleanups":
            yield t, *_SIP[kind], "Executing last minute cleanups", None
        elif kind == "failed":
            user = f"<sip:{peer}@pbx.example.com>"
            yield (t, *_SIP[kind], f"Registration from '{user}' failed for '{a}:{b}' - Wrong password",
                   {"kind": "registration_failed", "peer": peer, "tech": "SIP", "address": a, "port": b,
                    "detail": "Wrong password"})  # fmt: skip
        else:
            yield from make(t, kind, peer, a, b)


def _sip_lines(t: float, kind: str, peer: str, a: object, _: object) -> Iterator[Line]:
    event: dict[str, object] = {"kind": kind, "peer": peer, "tech": "SIP"}
    if kind == "useragent":
        yield t, *_SIP[kind], f'Saved useragent "{a}" for peer {peer}', None
        return
    if kind in ("reachable", "lagged"):
        rtt = round(float(str(a)))
        event |= {"rtt_ms": float(rtt), "limit_ms": 2000.0, "detail": kind.capitalize()}
        text = f"Peer '{peer}' is now {kind.capitalize()}. ({rtt}ms / 2000ms)"
    elif kind == "unreachable":
        last = round(float(str(a)))
        event |= {"last_rtt_ms": float(last)}
        text = f"Peer '{peer}' is now UNREACHABLE!  Last qualify: {last}"
    elif kind == "registered":
        ip, port = a if isinstance(a, tuple) else ("", 0)
        event |= {"address": ip, "port": port}
        text = f"Registered SIP '{peer}' at {ip}:{port}"
    else:
        text = f"Unregistered SIP '{peer}'"
    yield t, *_SIP[kind], text, event


def _contact(peer: str, contact: object) -> tuple[str, str, int]:
    ip, port = contact if isinstance(contact, tuple) else ("", 0)
    return f"sip:{peer}@{ip}:{port};x-ast-orig-host=192.168.1.20:5060", ip, port


def _pjsip_lines(t: float, kind: str, peer: str, a: object, b: object) -> Iterator[Line]:
    registrar, options = "res_pjsip_registrar.c", "res_pjsip/pjsip_options.c"
    contact = b if kind in ("reachable", "unreachable") else a
    uri, ip, port = _contact(peer, contact)
    base: dict[str, object] = {"peer": peer, "tech": "PJSIP", "address": ip, "port": port, "contact": uri}
    if kind in ("reachable", "unreachable"):
        state = kind.capitalize()
        rtt = float(str(a)) if kind == "reachable" else 0.0
        yield (t, "VERBOSE", "res_pjsip/pjsip_configuration.c", f"Endpoint {peer} is now {state}",
               {"kind": kind, "peer": peer, "tech": "PJSIP", "detail": state})  # fmt: skip
        seen = {"rtt_ms": round(rtt, 3)} if kind == "reachable" else {}
        yield (t, "VERBOSE", options, f"Contact {peer}/{uri} is now {state}.  RTT: {rtt:.3f} msec",
               base | {"kind": kind, "detail": state} | seen)  # fmt: skip
    elif kind == "registered":
        yield (t, "VERBOSE", registrar, f"Added contact '{uri}' to AOR '{peer}' with expiration of 3900 seconds",
               base | {"kind": "registered"})  # fmt: skip
        if b is not None:
            old = _contact(peer, b)[0]
            yield t, "VERBOSE", registrar, f"Removed contact '{old}' from AOR '{peer}' due to remove existing", None
            yield t, "VERBOSE", options, f"Contact {peer}/{old} has been deleted", None
    else:
        reason = "expiration" if kind == "expired" else "request"
        yield (t, "VERBOSE", registrar, f"Removed contact '{uri}' from AOR '{peer}' due to {reason}",
               base | {"kind": kind, "detail": reason})  # fmt: skip
        yield t, "VERBOSE", options, f"Contact {peer}/{uri} has been deleted", None


class Stamp:
    """Writes a second of the log as the log's local time."""

    def __init__(self, scenario: Scenario) -> None:
        self.start = scenario.start.astimezone(UTC)
        self.zone = ZoneInfo(scenario.time_zone)
        self.format = scenario.style.date_format
        self._last: tuple[int, str] = (-1, "")

    def __call__(self, t: float) -> str:
        """Return the time stamp, without brackets."""
        if self.format != "iso_ms" and int(t) == self._last[0]:
            return self._last[1]
        local = (self.start + timedelta(seconds=t)).astimezone(self.zone)
        text = self._write(local)
        self._last = (int(t), text)
        return text

    def _write(self, local: datetime) -> str:
        if self.format == "iso":
            return local.strftime("%Y-%m-%d %H:%M:%S")
        if self.format == "iso_ms":
            return local.strftime("%Y-%m-%d %H:%M:%S,") + f"{local.microsecond // 1000:03d}"
        if self.format == "short":
            return f"{_MONTHS[local.month - 1]} {local.day:2d} {local:%H:%M:%S}"
        return local.strftime(self.format)


def text_lines(rows: list[Row], scenario: Scenario) -> list[str]:
    """Return the log's lines without their line ends."""
    stamp, prefix = Stamp(scenario), "    -- " if scenario.style.old_verbose else ""
    found = []
    for t, level, source, text, _ in lines(rows, scenario):
        if level is None:
            found.append(f"[{stamp(t)}] {text}")
        else:
            verbose = prefix if level == "VERBOSE" else ""
            found.append(f"[{stamp(t)}] {level}[2418] {source}: {verbose}{text}")
    return found


def events_frame(rows: list[Row], scenario: Scenario, file: str = "pbx.log") -> pl.DataFrame:
    """Return the events as reading the log would, except that byte offsets are 0."""
    wanted = ["kind", "peer", "tech", "address", "port", "rtt_ms", "limit_ms", "last_rtt_ms", "contact", "detail"]
    columns: dict[str, list[object]] = {name: [] for name in ("time", *wanted, "line")}
    first = scenario.start.astimezone(UTC).timestamp()
    unit = 1000 if scenario.style.date_format == "iso_ms" else 1
    for number, (t, _, _, _, event) in enumerate(lines(rows, scenario), start=1):
        if event is not None:
            columns["time"].append(int((first + t) * unit) * 1_000_000 // unit)
            columns["line"].append(number)
            for name in wanted:
                columns[name].append(event.get(name))
    schema = {name: EVENTS.dtypes[name] for name in columns} | {"time": pl.Int64}
    frame = pl.DataFrame(columns, schema=schema, strict=False).with_columns(
        pl.col("time").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        file=pl.lit(file),
        offset=pl.lit(0, pl.Int64),
    )
    return EVENTS.check(frame.sort("line"))
