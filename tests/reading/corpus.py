"""A labelled collection: log files of every dialect, version, layout, date format and damage, with hostile names.

Written from the facts about Asterisk's sources, not from the parser: messages are printed with the sources' own printf
formats, headers with logger.c's, times with the strftime formats; the labels are kept beside every line that is written.
"""

# ruff: noqa: C901, E501, E731, S311  (every template on one line; the seeds decide, nothing is secret)
from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Berlin")
Truth = dict[str, object]

PEERS = [
    "668", "4001", "2456.WinClient", "3168.snomd345", "1002.ylnkt22", "1234.a/b.c", "100952581997", "0702227978",
    "16.AL", "+49301234567", "Chefsekretärin", "Öffnungszeiten 1", "büro-süd", "a", "x y z", "ivan@office", "日本",
]  # fmt: skip
HOSTILE = [
    "x' is now Reachable. (1ms / 2ms)",
    "x' is now UNREACHABLE!  Last qualify: 7",
    "it's",
    "''",
    "o'brien' at 9.9.9.9:9",
    "x' at 1.2.3.4 port 5",
    "<script>alert(1)</script>",
    "a\tb",
    "100%s%n",
    "[2020-01-01 00:00:00] NOTICE[1] chan_sip.c: Peer 'y",
    "    -- Registered SIP 'z' at 1.1.1.1:1",
    "=cmd|' /C calc'!A0",
    "$(reboot)",
    "a\\b\\'c",
    '"quoted" <name>',
    "peer 'peer' is now",
    "x (AUTHENTICATED) at 1.2.3.4:5",
    " leading and trailing ",
    "a\rb",
    "\u202eevil",
]
USERS = ["1001", "anonymous", "+4930", "a.b-c", "x%20y", "100'200", "ünï"]
V4 = ["203.0.113.7", "198.51.100.42", "192.0.2.1", "10.0.0.5", "192.168.178.20"]
V6 = ["2001:db8::7", "2001:db8:0:1::42", "fe80::1%eth0", "::ffff:203.0.113.9"]
SIP_REASONS = [
    "Wrong password", "Username/auth name mismatch", "No matching peer found", "Not a local domain",
    "Peer is not supposed to register", "Device does not match ACL", "ACL error (permit/deny)",
    "Device not configured to use this transport type", "RTP initialization failed", "Unknown failure",
]  # fmt: skip


@dataclass
class Message:
    """One log entry before its header, with its label."""

    text: str
    level: str = "NOTICE"
    module: str = "chan_sip.c"
    function: str = "sip_poke_noanswer"
    verbose: int = 0
    truth: Truth | None = None
    more: tuple[str, ...] = ()


def label(kind: str, peer: str | None, tech: str | None, **fields: object) -> Truth:
    return {
        "kind": kind,
        "peer": peer,
        "tech": tech,
        "address": None,
        "port": None,
        "rtt_ms": None,
        "limit_ms": None,
    } | fields


class Writer:
    """Makes messages of one dialect and version."""

    def __init__(self, rng: random.Random, version: int, *, hostile: float = 0.25, v6: float = 0.2) -> None:
        self.rng, self.version, self.hostile, self.v6 = rng, version, hostile, v6

    def peer(self) -> str:
        return self.rng.choice(HOSTILE if self.rng.random() < self.hostile else PEERS)

    def place(self) -> tuple[str, int, str]:
        """Return address, port and how ast_sockaddr_stringify prints both."""
        port = self.rng.choice([5060, 5061, 1024, 65535, self.rng.randint(1024, 65535)])
        if self.version >= 18 and self.rng.random() < self.v6:
            address = self.rng.choice(V6)
            return address, port, f"[{address}]:{port}"
        address = self.rng.choice(V4)
        return address, port, f"{address}:{port}"

    def identity(self) -> tuple[str, str | None]:
        """Return a To or From header as the network may send it, and its user part."""
        rng, user, host = (
            self.rng,
            self.rng.choice(USERS),
            self.rng.choice(["pbx.example", "203.0.113.1", "[2001:db8::1]", "h:5061"]),
        )
        name = rng.choice(
            [
                "Bob",
                "O'Neil' failed for '6.6.6.6:6' - Wrong password",
                "<b>x</b>",
                "a, b",
                "Bob - Wrong password",
                "[C-00000001]",
            ]
        )
        return rng.choice([
            (f"<sip:{user}@{host}>", user),
            (f"sip:{user}@{host}", user),
            (f'"{name}" <sip:{user}@{host}>', user),
            (f'"{name}"<sip:{user}@{host};transport=tcp>;tag=as1', user),
            (f"{user} <sip:{user}@{host}>", user),
            (f"<sips:{user}@{host}>", user),
            (f"sip:{user}@{host};x=y", user),
            (f'"\\"{name}\\"" <sip:{user}@{host}>', user),
            (f"<sip:{host.split(':')[0].strip('[')}>" if host[0] != "[" else "<sip:pbx.example>", None),
        ])  # fmt: skip


def sip(w: Writer) -> Message:
    rng, peer, old = w.rng, w.peer(), w.version < 18
    address, port, place = w.place()
    rtt, limit = rng.choice([1, 12, 43, 1999, 2512]), rng.choice([2000, 3000, 500])
    register_module = "logger.c" if w.version < 18 and rng.random() < 0.8 else "chan_sip.c"
    kind = rng.randrange(11)
    if kind < 3:
        return Message(
            f"Peer '{peer}' is now UNREACHABLE!  Last qualify: {rng.choice([0, 39, 1627, -1])}",
            truth=label("unreachable", peer, "SIP"),
        )
    if kind < 5:
        return Message(
            f"Peer '{peer}' is now Reachable. ({rtt}ms / {limit}ms)",
            function="handle_response_peerpoke",
            truth=label("reachable", peer, "SIP", rtt_ms=rtt, limit_ms=limit),
        )
    if kind < 6:
        return Message(
            f"Peer '{peer}' is now Lagged. ({rtt}ms / {limit}ms)",
            function="handle_response_peerpoke",
            truth=label("lagged", peer, "SIP", rtt_ms=rtt, limit_ms=limit),
        )
    if kind < 8:
        text = f"Registered SIP '{peer}' at {address} port {port}" if old else f"Registered SIP '{peer}' at {place}"
        return Message(
            text,
            "VERBOSE",
            register_module,
            "parse_register_contact",
            3,
            label("registered", peer, "SIP", address=address, port=port),
        )
    if kind < 9:
        return Message(
            f"Unregistered SIP '{peer}'",
            "VERBOSE",
            register_module,
            "parse_register_contact",
            3,
            label("unregistered", peer, "SIP"),
        )
    if kind < 10:
        raw, user = w.identity()
        reason = rng.choice(SIP_REASONS)
        text = f"Registration from '{raw}' failed for '{address if old else place}' - {reason}"
        return Message(
            text,
            function="handle_request_register",
            truth=label("registration_failed", user, "SIP", address=address, port=None if old else port),
        )
    call = f"{rng.getrandbits(64):016x}@{address}"
    if old:
        text = f"Maximum retries exceeded on transmission {call} for seqno 102 (Critical Request)"
        return Message(text, "WARNING", "chan_sip.c", "retrans_pkt", truth=label("retransmission_timeout", None, "SIP"))
    text = f"Retransmission timeout reached on transmission {call}:{port} for seqno 102 (Critical Response) -- See https://wiki.asterisk.org/wiki/display/AST/SIP+Retransmissions"
    return Message(
        text,
        "WARNING",
        "chan_sip.c",
        "retrans_pkt",
        truth=label("retransmission_timeout", None, "SIP"),
        more=("Packet timed out after 32000ms with no response",),
    )


def iax(w: Writer) -> Message:
    rng, peer = w.rng, w.peer()
    address, port, place = w.place()
    place_old = place if w.version >= 13 else f"{address}:{port}"
    if w.version < 13:
        address = rng.choice(V4)
        place_old = f"{address}:{port}"
    rtt = rng.choice([1, 12, 2512])
    auth = rng.choice(["AUTHENTICATED", "UNAUTHENTICATED"])
    kind = rng.randrange(9)
    m: Callable[..., Message] = lambda text, truth, level="NOTICE", verbose=0: Message(
        text, level, "chan_iax2.c", "socket_process", verbose, truth
    )
    if kind < 2:
        return m(f"Peer '{peer}' is now UNREACHABLE! Time: {rtt}", label("unreachable", peer, "IAX2"))
    if kind < 4:
        return m(f"Peer '{peer}' is now REACHABLE! Time: {rtt}", label("reachable", peer, "IAX2", rtt_ms=rtt))
    if kind < 5:
        return m(f"Peer '{peer}' is now TOO LAGGED ({rtt} ms)!", label("lagged", peer, "IAX2", rtt_ms=rtt))
    if kind < 6:
        return m(
            f"Registered IAX2 '{peer}' ({auth}) at {place_old}",
            label("registered", peer, "IAX2", address=address, port=port),
            "VERBOSE",
            3,
        )
    if kind < 7:
        return m(f"Unregistered IAX2 '{peer}' ({auth})", label("unregistered", peer, "IAX2"), "VERBOSE", 3)
    text = rng.choice([
        f"No registration for peer '{peer}' (from {address})",
        f"Host {address} denied access to register peer '{peer}'",
        f"Host {address} failed MD5 authentication for '{peer}' (0a1b != 2c3d)",
    ])  # fmt: skip
    return m(text, label("registration_failed", peer, "IAX2", address=address))


def pjsip(w: Writer) -> Message:
    """Versions: 12 (13.0-13.3), 13 (13.4-13.9), 14 (13.10-13.25), 18 and later."""
    rng, aor = w.rng, rng_name(w)
    address, port, place = w.place()
    extra = rng.choice(["", ";transport=TLS", ";transport=ws;x=1", ";x-ast-orig-host=192.168.1.9:5060"])
    shown_port = rng.random() < 0.85
    host = place if shown_port else place.rsplit(":", 1)[0]
    uri = f"{rng.choice(['sip', 'sip', 'sips'])}:{rng.choice(USERS)}@{host}{extra}"
    where: Truth = {"address": address, "port": port if shown_port else None}
    kind = rng.randrange(12)
    rtt = rng.choice([0.5, 12.345, 123.0])
    m: Callable[..., Message] = lambda text, truth, module="res_pjsip/pjsip_options.c", verbose=3: Message(
        text, "VERBOSE", module, "sip_options_contact_status_update", verbose, truth
    )
    if kind < 2:
        text = f"Contact {aor}/{uri} is now Reachable" + (f".  RTT: {rtt:.3f} msec" if w.version > 13 else "")
        return m(text, label("reachable", aor, "PJSIP", rtt_ms=rtt if w.version > 13 else None, **where))
    if kind < 4:
        text = f"Contact {aor}/{uri} is now Unreachable" + (".  RTT: 0.000 msec" if w.version > 13 else "")
        return m(text, label("unreachable", aor, "PJSIP", **where))
    if kind < 6:
        state = rng.choice(["Reachable", "Unreachable"])
        return m(
            f"Endpoint {aor} is now {state}", label(state.lower(), aor, "PJSIP"), "res_pjsip/pjsip_configuration.c", 2
        )
    if kind < 8:
        text = f"Added contact '{uri}' to AOR '{aor}' with expiration of {rng.choice([60, 1800, 3600])} seconds"
        return m(text, label("registered", aor, "PJSIP", **where), "res_pjsip_registrar.c")
    if kind < 9:
        reason, what = rng.choice([("request", "unregistered"), ("expiration", "expired")])
        return m(
            f"Removed contact '{uri}' from AOR '{aor}' due to {reason}",
            label(what, aor, "PJSIP", **where),
            "res_pjsip_registrar.c",
        )
    if kind < 11:
        raw, user = w.identity()
        bare = f"{address}:{port}" if w.version < 18 else place
        method = "" if w.version <= 13 else " 'REGISTER'"
        reason = (
            "No matching endpoint found"
            if w.version <= 13
            else rng.choice(
                [
                    "No matching endpoint found",
                    "Failed to authenticate",
                    "No matching endpoint found after 5 tries in 12.345 ms",
                ]
            )
        )
        text = f"Request{method} from '{raw}' failed for '{bare}' (callid: {rng.getrandbits(32):x}@x) - {reason}"
        return Message(
            text,
            "NOTICE",
            "res_pjsip/pjsip_distributor.c",
            "log_failed_request",
            truth=label("registration_failed", user, "PJSIP", address=address, port=port),
        )
    return m(f"Contact {aor}/{uri} has been {rng.choice(['created', 'deleted'])}", None)


def rng_name(w: Writer) -> str:
    return w.rng.choice(
        ["106", "1234.a/b.c", "office phone", "Öffnung", "trunk-1", "a'b", "x is now Reachable", "it's <b>"]
    )


def lookalikes(w: Writer) -> Message:
    """Return an entry that is no event, though it may quote one."""
    rng = w.rng
    fake = rng.choice([
        "Peer '668' is now UNREACHABLE!  Last qualify: 39", "Peer '668' is now Reachable. (43ms / 2000ms)",
        "Registered SIP '668' at 203.0.113.7:5060", "Endpoint 106 is now Unreachable", "Unregistered SIP '668'",
        "Contact 1/sip:1@203.0.113.7 is now Unreachable.  RTT: 0.000 msec", "Peer 'x' is now REACHABLE! Time: 5",
        "[2026-03-04 10:00:00] NOTICE[5] chan_sip.c: Peer '668' is now UNREACHABLE!  Last qualify: 39",
    ])  # fmt: skip
    method = rng.choice(["INVITE", "OPTIONS", "SUBSCRIBE"])
    options = [
        Message(f'Executing [s@dial:1] NoOp("SIP/668-0000000a", "{fake}") in new stack', "VERBOSE", "pbx.c", "pbx_extension_helper", 2),
        Message(fake, "VERBOSE", "app_verbose.c", "verbose_exec", 1) if w.version >= 18 else Message(f"NoOp: {fake}", "VERBOSE", "pbx.c", "x", 2),
        Message(fake, "NOTICE", "app_verbose.c", "log_exec"),
        Message(f'Saved useragent "{fake}" for peer 668', "VERBOSE", "chan_sip.c", "parse_register_contact", 4),
        Message("   -- Registration for '668@trunk.example' timed out, trying again (Attempt #3)", "NOTICE", "chan_sip.c", "sip_reg_timeout"),
        Message("   -- Last Registration Attempt #10 failed, Giving up forever trying to register '668@trunk.example'", "NOTICE", "chan_sip.c", "sip_reg_timeout"),
        Message("Outbound Registration: Expiry for trunk.example is 120 sec (Scheduling reregistration in 105 s)", "NOTICE", "chan_sip.c", "handle_response_register"),
        Message("Registered IAX2 to '198.51.100.1:4569', who sees us as 203.0.113.1:4569 with no messages waiting", "VERBOSE", "chan_iax2.c", "iax2_ack_registry", 3),
        Message(f"Request '{method}' from '\"x\" <sip:100@198.51.100.9>' failed for '198.51.100.9:5060' (callid: 1) - No matching endpoint found", "NOTICE", "res_pjsip/pjsip_distributor.c", "log_failed_request"),
        Message("Contact 106/sip:106@203.0.113.7:5060 is now NonQualified.", "VERBOSE", "res_pjsip/pjsip_options.c", "x", 3),
        Message("Contact 106/sip:106@203.0.113.7:5060 is now Unknown.  RTT: 0.000 msec", "VERBOSE", "res_pjsip/pjsip_options.c", "x", 3),
        Message("Contact 106/sip:106@203.0.113.7:5060 is now Created.  RTT: 0.000 msec", "VERBOSE", "res_pjsip/pjsip_configuration.c", "x", 3),
        Message("Removed contact 'sip:106@203.0.113.7:5060' from AOR '106' due to remove existing", "VERBOSE", "res_pjsip_registrar.c", "x", 3),
        Message("Removed contact 'sip:106@203.0.113.7:5060' from AOR '106' due to system boot", "VERBOSE", "res_pjsip/location.c", "x", 3),
        Message("No response received from 'sip:trunk.example' on registration attempt to 'sip:668@trunk.example', retrying in '60'", "WARNING", "res_pjsip_outbound_registration.c", "x"),
        Message("Unable to create channel of type 'SIP' (cause 20 - Subscriber absent)", "WARNING", "app_dial.c", "dial_exec_full"),
        Message("Everyone is busy/congested at this time (1:0/0/1)", "VERBOSE", "app_dial.c", "dial_exec_full", 2),
        Message("Registered application 'Dial'", "VERBOSE", "pbx.c", "x", 2),
        Message("Call from '' (198.51.100.9:5060) to extension '900' rejected because extension not found in context 'default'.", "NOTICE", "chan_sip.c", "handle_request_invite"),
        Message("Failed to authenticate device \"100\" <sip:100@198.51.100.9>;tag=1", "NOTICE", "chan_sip.c", "handle_request_invite"),
        Message("Refreshed contact 'sip:106@203.0.113.7:5060' on AOR '106' with expiration of 1800 seconds", "DEBUG", "res_pjsip_registrar.c", "x"),
    ]  # fmt: skip
    return rng.choice(options)


def dump(w: Writer) -> Message:
    """Return a SIP dump whose content imitates genuine lines, with and without a header."""
    rng = w.rng
    fakes = [
        "Peer '668' is now UNREACHABLE!  Last qualify: 39",
        "    -- Registered SIP '668' at 203.0.113.7:5060",
        "[2026-03-04 10:00:00] NOTICE[1356] chan_sip.c: Peer '668' is now UNREACHABLE!  Last qualify: 39",
        "[Mar  4 10:00:00] NOTICE[1356][C-00000001] chan_sip.c: Peer '668' is now Reachable. (43ms / 2000ms)",
        "User-Agent: Peer '668' is now Reachable. (43ms / 2000ms)",
        "Subject: [2026-03-04 10:00:00] NOTICE[1356] chan_sip.c: Peer '668' is now Lagged. (43ms / 2000ms)",
        "[2026-03-04 10:00:00] VERBOSE[1] res_pjsip/pjsip_configuration.c: Endpoint 106 is now Unreachable",
    ]
    body = [
        "REGISTER sip:203.0.113.1 SIP/2.0",
        "Via: SIP/2.0/UDP 198.51.100.9:5060;branch=z9hG4bK1",
        *rng.sample(fakes, 3),
        "Content-Length: 0",
        "",
    ]
    if rng.random() < 0.3 and w.version >= 13:
        size = len("\n".join(body).encode()) + 1
        return Message(
            f"<--- Received SIP request ({size} bytes) from UDP:198.51.100.9:5060 --->",
            "VERBOSE",
            "res_pjsip_logger.c",
            "x",
            0,
            None,
            (*body, ""),
        )
    if rng.random() < 0.5:
        return Message(
            "",
            "VERBOSE",
            "chan_sip.c",
            "x",
            0,
            None,
            ("<--- SIP read from UDP:198.51.100.9:5060 --->", *body, "<------------->"),
        )
    return Message(
        "<--- SIP read from UDP:198.51.100.9:5060 --->",
        "VERBOSE",
        "chan_sip.c",
        "x",
        0,
        None,
        (*body, "<------------->"),
    )


# -- date formats -------------------------------------------------------------------------------------------------------


def _ms(digits: int) -> Callable[[datetime], str]:
    return lambda t: f"{t.microsecond:06d}"[:digits]


DATES: dict[str, tuple[Callable[[datetime], str], int]] = {
    "short": (lambda t: f"{t:%b} {t.day:>2} {t:%H:%M:%S}", 0),
    "short, one blank": (lambda t: f"{t:%b} {t.day} {t:%H:%M:%S}", 0),
    "short ms": (lambda t: f"{t:%b} {t.day:>2} {t:%H:%M:%S}.{_ms(3)(t)}", 3),
    "iso": (lambda t: f"{t:%Y-%m-%d %H:%M:%S}", 0),
    "iso comma": (lambda t: f"{t:%Y-%m-%d %H:%M:%S},{_ms(3)(t)}", 3),
    "iso dot 1": (lambda t: f"{t:%Y-%m-%d %H:%M:%S}.{_ms(1)(t)}", 1),
    "iso dot 6": (lambda t: f"{t:%Y-%m-%d %H:%M:%S}.{_ms(6)(t)}", 6),
    "iso T": (lambda t: f"{t:%Y-%m-%dT%H:%M:%S}", 0),
    "iso offset": (lambda t: f"{t:%Y-%m-%dT%H:%M:%S}.{_ms(3)(t)}{t:%z}", 3),
    "iso z": (lambda t: f"{t.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{_ms(3)(t)}Z", 3),
    "epoch": (lambda t: f"{int(t.timestamp())}", 0),
    "epoch ms": (lambda t: f"{int(t.timestamp())}.{_ms(3)(t)}", 3),
    "german": (lambda t: f"{t:%d.%m.%Y %H:%M:%S}", 0),
    "weekday": (lambda t: f"{t:%a %b} {t.day:>2} {t:%H:%M:%S %Y}", 0),
}


# -- layouts ------------------------------------------------------------------------------------------------------------

PREFIX = {0: "", 1: " ", 2: "  == ", 3: "    -- ", 4: "       > "}


@dataclass
class Layout:
    """How one file's entries are written; `stamp` may change between entries."""

    name: str
    version: int
    stamp: Callable[[datetime], str]
    rng: random.Random
    lineno: int = 30555

    def entry(self, t: datetime, m: Message) -> list[str]:
        """Return the physical lines of one entry."""
        return [*self.first(t, m).split("\n"), *m.more]

    def text(self, m: Message) -> str:
        return (PREFIX[m.verbose] if self.version <= 12 else "") + m.text

    def call(self) -> str:
        return f"[C-{self.rng.getrandbits(24):08x}]" if self.version >= 11 and self.rng.random() < 0.3 else ""

    def lwp(self) -> int:
        return self.rng.choice([1, 17903, 4194303, 2147483647])

    def first(self, t: datetime, m: Message) -> str:
        s, head = self.stamp(t), f"{m.level}[{self.lwp()}]{self.call()}"
        place = f"{m.module}:{self.lineno} {m.function}: "
        match self.name:
            case "file":
                return f"[{s}] {head} {m.module}: {self.text(m)}"
            case "file, repeated date":
                again = f"[{s}] " if m.level == "VERBOSE" else ""
                return f"[{s}] {head} {m.module}: {again}{self.text(m)}"
            case "plain":
                return f"[{s}] {head}: {place}{m.text}"
            case "syslog 3164":
                return f"{t:%b} {t.day:>2} {t:%H:%M:%S} pbx asterisk[812]: {head}: {m.module}:{self.lineno} in {m.function}: {m.text}"
            case "syslog pri":
                return f"<134>{t:%b} {t.day:>2} {t:%H:%M:%S} pbx.example asterisk: {head}: {m.module}:{self.lineno} in {m.function}: {m.text}"
            case "syslog 5424":
                return f"<134>1 {t:%Y-%m-%dT%H:%M:%S}.{_ms(3)(t)}{t:%z} pbx asterisk 812 - - {head}: {m.module}:{self.lineno} in {m.function}: {m.text}"
            case "syslog iso":
                offset = f"{t:%z}"
                return f"{t:%Y-%m-%dT%H:%M:%S}.{_ms(6)(t)}{offset[:3]}:{offset[3:]} pbx asterisk[812]: {head}: {m.module}:{self.lineno} in {m.function}: {m.text}"
            case "grep":
                return f"messages-20170203:[{s}] {head} {m.module}: {self.text(m)}"
            case "grep -n":
                return f"/var/log/asterisk/full.1:{self.rng.randint(1, 10**6)}:[{s}] {head} {m.module}: {self.text(m)}"
            case "docker":
                return f"asterisk-1  | [{s}] {head} {m.module}: {self.text(m)}"
            case "journal":
                return f"{t:%b} {t.day:02d} {t:%H:%M:%S} pbx asterisk[812]: [{s}] {head} {m.module}: {self.text(m)}"
            case "unbracketed":
                return f"{t:%b} {t.day:>2} {t:%H:%M:%S} {m.level}[{self.lwp()}] {m.module}: {self.text(m)}"
            case "console" | "console colour" | "console -T":
                return self._console(s, head, m)
            case "json" | "json escaped" | "docker json":
                return self._json(s, head, m, t)
        raise ValueError(self.name)

    def _console(self, s: str, head: str, m: Message) -> str:
        if m.level == "VERBOSE":
            return (f"[{s}] " if self.name == "console -T" else "") + PREFIX[m.verbose] + m.text
        if self.name == "console colour":
            level, rest = head.split("[", 1)
            place = f"\x1b[1;37m{m.module}\x1b[0m:\x1b[1;37m{self.lineno}\x1b[0m \x1b[1;37m{m.function}\x1b[0m: "
            return f"[{s}] \x1b[1;33m{level}\x1b[0m[{rest}: {place}{m.text}"
        return f"[{s}] {head}: {m.module}:{self.lineno} {m.function}: {m.text}"

    def _json(self, s: str, head: str, m: Message, t: datetime) -> str:
        if self.name == "docker json":
            return json.dumps(
                {
                    "log": f"[{s}] {head} {m.module}: {self.text(m)}\n",
                    "stream": "stdout",
                    "time": f"{t.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
                }
            )
        call = self.call()
        entry = {
            "hostname": "", "timestamp": s, "identifiers": {"lwp": 17903, "callid": call},
            "logmsg": {"location": {"filename": m.module, "function": m.function, "line": self.lineno},
                       "level": m.level, "message": "\n".join([m.text, *m.more]) + "\n"},
        }  # fmt: skip
        return json.dumps(
            entry, ensure_ascii=self.name == "json escaped", separators=(",", ":") if self.name == "json" else None
        )

    @property
    def one_line_each(self) -> bool:
        return self.name.startswith("json")

    @property
    def whole_second(self) -> bool | None:
        """Whether times are whole seconds whatever the stamp (None: as the stamp says)."""
        return True if self.name in ("syslog 3164", "syslog pri", "unbracketed") else None

    @property
    def digits(self) -> int | None:
        return {"syslog 5424": 3, "syslog iso": 6}.get(self.name)

    @property
    def timeless(self) -> bool:
        return self.name in ("console", "console colour")


LAYOUTS = {
    "file": (4, 18, 11, 12, 13, 20), "file, repeated date": (11,), "plain": (20,), "syslog 3164": (18, 20),
    "syslog pri": (20,), "syslog 5424": (20,), "syslog iso": (20,), "grep": (13,), "grep -n": (11,), "docker": (20,),
    "journal": (20,), "unbracketed": (4,), "console": (11, 20), "console colour": (20,), "console -T": (20,),
    "json": (20,), "json escaped": (20,), "docker json": (20,),
}  # fmt: skip


@dataclass
class File:
    """One generated file with its labels: line number to label, times included."""

    name: str
    data: bytes
    truth: dict[int, Truth]
    end: datetime
    lines: int
    what: str = ""
    logger_conf: str | None = None
    extra: dict[str, bytes] = field(default_factory=dict)


def moments(rng: random.Random, start: datetime, n: int) -> Iterator[datetime]:
    now = start
    for _ in range(n):
        now += timedelta(seconds=rng.choice([0, 0.004, 1, 10, 64, 300]) + rng.random())
        yield now


def make(seed: int, dialect: str, layout: str, version: int, date: str, *, n: int = 80, damage: str = "") -> File:
    """Make one file: about a third of its entries are events."""
    rng = random.Random(seed)
    # chan_sip 1.4/1.6 counts as version 4; 1.8 and later as 18 and up, only the layout tells 11 and 12 from 13.
    w = Writer(rng, 4 if version == 4 else 18 if dialect != "pjsip" else rng.choice([13, 14, 18]))
    render, digits = DATES[date]
    style = Layout(layout, version, render, rng)
    source = {"sip": sip, "iax": iax, "pjsip": pjsip}[dialect]
    start = rng.choice(
        [
            datetime(2026, 3, 4, 7, tzinfo=UTC),
            datetime(2025, 12, 31, 22, 50, tzinfo=UTC),
            datetime(2026, 2, 28, 22, 30, tzinfo=UTC),
            datetime(2026, 3, 29, 0, 40, tzinfo=UTC),
            datetime(2025, 10, 25, 23, 0, tzinfo=UTC),
        ]
    )
    lines: list[str] = []
    truth: dict[int, Truth] = {}
    last = start
    digits = style.digits if style.digits is not None else 0 if style.whole_second else digits
    for t in moments(rng, start, n):
        last, local = t, t.astimezone(ZONE)
        roll = rng.random()
        quiet = roll < 0.95 or layout in _NO_DUMP or damage == "invalid"
        m = source(w) if roll < 0.5 else lookalikes(w) if quiet else dump(w)
        m = _printable(m, style)
        if m.truth is not None:
            known = not (style.timeless and m.level == "VERBOSE")
            cut = 10 ** (6 - digits)
            truth[len(lines) + 1] = m.truth | {
                "time": t.replace(microsecond=t.microsecond // cut * cut) if known else None
            }
        entry = style.entry(local, m)
        lines += entry[:1] if style.one_line_each else entry
    data, truth = _damaged("\n".join(lines).encode() + b"\n", truth, damage)
    return File("full", data, truth, last, data.count(b"\n"), f"{dialect} {layout} v{version} {date} {damage}".strip())


_NO_DUMP = ("grep", "grep -n", "docker", "journal", "docker json", "json", "json escaped", "console", "console colour", "console -T", "syslog 3164", "syslog pri", "syslog 5424", "syslog iso", "unbracketed")  # fmt: skip


def _printable(m: Message, style: Layout) -> Message:
    """Keep only what the layout can tell apart: without a module, a quotation at the message's start looks genuine."""
    headerless = style.name.startswith("console") and m.level == "VERBOSE"
    if headerless and m.truth is None and m.module in ("app_verbose.c",):
        m.text = "NoOp: " + m.text
    return m


def _damaged(data: bytes, truth: dict[int, Truth], damage: str) -> tuple[bytes, dict[int, Truth]]:
    lines = data.split(b"\n")[:-1]
    if damage == "crlf":
        return b"\r\n".join(lines) + b"\r\n", truth
    if damage == "bom":
        return b"\xef\xbb\xbf" + data, truth
    if damage == "nul":
        return b"".join(b"\0" * (512 if i == 3 else 0) + line + b"\n" for i, line in enumerate(lines)), truth
    if damage == "no newline":
        return data[:-1], truth
    if damage == "half line":
        return data + b"[2026-03-04 10:00:00] NOTICE[1356] chan_sip.c: Peer '668' is now UNREACH", truth
    if damage == "invalid":
        bad = [
            b"\xff\xfe\x80 " + b"\xe4\xf6\xfc" * 3,
            b"[2026-03-04 10:00:00] WARNING[1] x.c: \xc3\x28 caf\xe9 is now open",
        ]
        out = [p for line in lines for p in (line, bad[len(line) % 2])]
        return b"\n".join(out) + b"\n", {2 * n - 1: label_ for n, label_ in truth.items()}
    if damage == "giant":
        giant = b"x" * 300_000 + b" Peer 'x' is now Reachable. (1ms / 2ms)"
        return giant + b"\n" + data, {n + 1: label_ for n, label_ in truth.items()}
    return data, truth


def collection(seed: int = 1) -> Iterator[File]:
    """Yield the whole collection: dialects x layouts x versions x date formats, then damages."""
    rng = random.Random(seed)
    dates = list(DATES)
    for layout, versions in LAYOUTS.items():
        for version in versions:
            for dialect in ("sip", "sip", "iax", "pjsip"):
                if dialect == "pjsip" and version < 11:
                    continue
                date = dates[rng.randrange(len(dates))] if layout != "docker json" else "iso comma"
                yield make(rng.getrandbits(32), dialect, layout, version, date)
    for date in dates:
        yield make(rng.getrandbits(32), rng.choice(["sip", "pjsip"]), "file", 13, date, n=120)
    for damage in ("crlf", "bom", "nul", "no newline", "half line", "invalid", "giant"):
        for dialect in ("sip", "pjsip"):
            yield make(rng.getrandbits(32), dialect, "file", 13, rng.choice(["iso", "short"]), damage=damage)
