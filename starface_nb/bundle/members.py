"""Reads the members of a support bundle: from a member's text to the few facts that `bundle.toml` names.

Pure functions. A value is kept only where it has the form that the entry gives, so that no password, key or other text
of a member gets any further.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address

from starface_nb.bundle import router
from starface_nb.bundle.firewall import SIP_PORTS, blocked
from starface_nb.tables import table

MEMBER_BYTES = 4 << 20  # of a member are read: a PBX with 10,000 peers lists them in a third of it
ROUTER = "router"
BYTES = {ROUTER: router.ROUTER_BYTES}
_SNIFFED_LINES = 40
_LINE = 1_000  # characters of a line that are looked at
_SHOWN = 25  # characters of name/username that `sip show peers` shows (chan_sip.c 1.8.32.3:17288 20.20.1:20312)

Row = dict[str, object]


@dataclass(frozen=True)
class Section:
    """A `[section](parents)` of a configuration file; a template (`!`) stands only for those that name it."""

    parents: tuple[str, ...] = ()
    template: bool = False


@dataclass(frozen=True)
class Configuration:
    """What was taken of a configuration file: entries before the first section have none.

    Attributes
    ----------
    entries : tuple of (section or None, key, value, line)
    sections : mapping of name to Section
    includes : tuple of (section or None, base name of the included file)
    """

    entries: tuple[tuple[str | None, str, str, int], ...] = ()
    sections: dict[str, Section] = field(default_factory=dict)
    includes: tuple[tuple[str | None, str], ...] = ()


@dataclass(frozen=True)
class Taken:
    """What was taken of one member.

    Attributes
    ----------
    id, name : str
        Of the entry in `bundle.toml`; as it is shown.
    facts, peers, router : tuple of dict
        Rows of the frames `FACTS`, `PEERS` and `ROUTER`.
    configuration : Configuration or None
    """

    id: str
    name: str
    facts: tuple[Row, ...] = ()
    peers: tuple[Row, ...] = ()
    configuration: Configuration | None = None
    router: tuple[Row, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.facts or self.peers or self.router or (self.configuration and self.configuration.entries))


def member_of(name: str, *, beside: bool = False) -> str | None:
    """Return the id of the member that a file of this name is, or None.

    Parameters
    ----------
    name : str
        Base name, or path in an archive.
    beside : bool
        Only those that are looked for beside a log.
    """
    base = name.replace("\\", "/").rpartition("/")[2]
    for entry in table("bundle/bundle")["member"]:
        if (not beside or entry.get("beside")) and any(re.fullmatch(pattern, base) for pattern in entry["names"]):
            return str(entry["id"])
    return None


def sniffed(text: str) -> str | None:
    """Return the id of the member whose text this is, by its content: for what was pasted or has any name."""
    head = text.splitlines()[:_SNIFFED_LINES]
    for entry in table("bundle/bundle")["member"]:
        pattern = entry.get("sniff")
        if pattern and any(re.search(pattern, line[:_LINE]) for line in head):
            return str(entry["id"])
    return ROUTER if router.is_router_log(text) else None


def taken(member: str, name: str, text: str) -> Taken:
    """Return what is taken of a member's text.

    Parameters
    ----------
    member, name : str
        Its id in `bundle.toml`; its name, kept as the source of every value.
    text : str  (at most `BYTES` of it are looked at)
    """
    form = {entry["id"]: entry["form"] for entry in table("bundle/bundle")["member"]}[member]
    return _FORMS[form](member, name, text[: BYTES.get(member, MEMBER_BYTES)])


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        yield number, line[:_LINE].rstrip("\r ")


def _fact(fact: str, name: str, value: str, member: str, line: int | None) -> Row:
    return {"fact": fact, "name": name, "value": value, "member": member, "line": line}


# ---- lists of peers ----


def _sip_peers(member: str, name: str, text: str) -> Taken:
    rows = [_sip_peer(found, name, line) for line, found in _matches("sip_peer", text)]
    return Taken(member, name, peers=tuple(rows))


def _sip_peer(found: re.Match[str], member: str, line: int) -> Row:
    status = table("bundle/bundle")["status"][found["status"]]
    port = int(found["port"])
    return {
        "peer": _peer_name(found["name"]),
        "cut": len(found["name"]) >= _SHOWN,
        "tech": "SIP",
        "address": None if found["host"].startswith("(") else _address(found["host"]),
        "port": port if 0 < port < 65536 else None,
        "status": status,
        "rtt_ms": float(found["rtt"]) if found["rtt"] else None,
        "monitored": status != "unmonitored",
        "dynamic": "D" in found["flags"].split(),
        "member": member,
        "line": line,
    }


def _peer_name(shown: str) -> str:
    """Return the peer's name out of `name/username`, which the list cuts at 25 characters.

    The username mostly is the name again; a name that holds a slash itself is told by the half that repeats it.
    """
    name, slash, user = shown.strip().partition("/")
    if not slash or not user:
        return name
    whole = shown.strip()
    half, odd = divmod(len(whole), 2)
    if odd and whole[half] == "/" and whole[:half] == whole[half + 1 :]:
        return whole[:half]
    return name


def _pjsip_contacts(member: str, name: str, text: str) -> Taken:
    rows: list[Row] = []
    for line, found in _matches("pjsip_contact", text):
        status, rtt = table("bundle/bundle")["status"][found["status"]], found["rtt"]
        rows.append(
            {
                "peer": found["name"].strip(),
                "cut": False,
                "tech": "PJSIP",
                "address": _address(found["v6"] or found["v4"] or ""),
                "port": int(found["port"]) if found["port"] and 0 < int(found["port"]) < 65536 else None,
                "status": status,
                "rtt_ms": float(rtt) if status == "ok" and rtt[0].isdigit() else None,
                "monitored": status != "unmonitored",
                "dynamic": True,
                "member": name,
                "line": line,
            }
        )
    known = {row["peer"] for row in rows}
    for line, found in _matches("pjsip_endpoint", text):  # without a contact nothing is asked: not registered
        if found["name"] not in known and found["status"] == "Unavailable":
            known.add(found["name"])
            peer: Row = {"peer": found["name"], "cut": False, "tech": "PJSIP"}
            rows.append({**peer, "status": "unknown", "monitored": True, "dynamic": True, "member": name, "line": line})
    return Taken(member, name, peers=tuple(rows))


def _line(name: str) -> re.Pattern[str]:
    return re.compile(table("bundle/bundle")["line"][name])


def _matches(name: str, text: str) -> Iterator[tuple[int, re.Match[str]]]:
    pattern = _line(name)
    for number, line in _lines(text):
        found = pattern.match(line)
        if found:
            yield number, found


def _address(text: str) -> str | None:
    try:
        return str(ip_address(text))
    except ValueError:
        return None


# ---- configuration files ----


def _configuration(member: str, name: str, text: str) -> Taken:
    wanted = {
        key: (entry["key"], re.compile(entry["form"]))
        for entry in table("bundle/bundle")["setting"]
        if entry["member"] == member
        for key in (entry["key"], *entry.get("also", ()))
    }
    entries, sections, includes = [], dict[str, Section](), []
    section: str | None = None
    for line, plain in _without_comments(text):
        if begun := _line("section").match(plain):
            section = begun[1].strip()
            marks = [mark.strip() for mark in (begun[2] or "").split(",")]
            before = sections.get(section, Section())
            parents = tuple(mark for mark in marks if mark not in {"", "!", "+"})
            sections[section] = Section((*before.parents, *parents), before.template or "!" in marks)
        elif included := _line("include").match(plain):
            includes.append((section, included[1].strip().rpartition("/")[2]))
        elif (found := _line("entry").match(plain)) and found[1].lower() in wanted:
            key, form = wanted[found[1].lower()]
            if form.fullmatch(found[2].strip()):
                entries.append((section, key, found[2].strip().lower(), line))
    return Taken(member, name, configuration=Configuration(tuple(entries), sections, tuple(includes)))


def _without_comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines without `;` and `;-- --;` comments (main/config.c)."""
    inside = False
    for number, line in _lines(text):
        if inside:
            _, end, line = line.partition("--;")
            inside = not end
        line, begin, rest = line.partition(";--")
        if begin and not rest.startswith("-"):
            inside = "--;" not in rest
        plain = re.sub(r"(?<!\\);.*$", "", line)
        if plain.strip():
            yield number, plain


def _logger(member: str, name: str, text: str) -> Taken:
    """Return the date formats, and the levels of each log file: `full => notice,warning,error,verbose`."""
    rows, section = [], ""
    for line, plain in _without_comments(text):
        if begun := _line("section").match(plain):
            section = begun[1].strip().lower()
        elif named := _line("date_format").match(plain):
            rows.append(_fact("dateformat", "", named["value"].strip(), name, line))
        elif section == "logfiles" and (found := _line("log_file").match(plain)):
            levels = found[2].strip()
            if _line("levels").fullmatch(levels):
                rows.append(_fact("levels", found[1], re.sub(r"\s", "", levels).lower(), name, line))
    return Taken(member, name, facts=tuple(rows))


# ---- single lines, tables ----


def _single_lines(member: str, name: str, text: str) -> Taken:
    known = (e for e in table("bundle/bundle")["fact"] if e["member"] == member)
    wanted = [(e["fact"], e["name"], re.compile(e["pattern"])) for e in known]
    rows = []
    for number, line in _lines(text):
        for fact, what, pattern in wanted:
            found = pattern.search(line)
            if found:
                rows.append(_fact(fact, what, found["value"], name, number))
    return Taken(member, name, facts=tuple(rows))


def _taskprocessors(member: str, name: str, text: str) -> Taken:
    """Return the task processors whose queue has reached its high water mark; their names end in a number."""
    rows = []
    for line, found in _matches("processor", text):
        if int(found["deepest"]) >= int(found["high"]) > 0:
            kind = re.match(r"[a-z_]+(?:/[a-z_]+)*", found["name"])
            rows.append(_fact("overload", kind[0] if kind else "task processor", found["deepest"], name, line))
    return Taken(member, name, facts=tuple(rows))


def _firewall(member: str, name: str, text: str) -> Taken:
    """Return the addresses whose packets to SIP's ports the PBX's own firewall drops."""
    rows = (_fact("blocked", "address", source, name, line) for line, source in blocked(_lines(text)))
    return Taken(member, name, facts=tuple(rows))


def _connections(member: str, name: str, text: str) -> Taken:
    """Return who holds a TCP or TLS connection to the PBX's SIP ports."""
    rows = []
    for line, found in _matches("connection", text):
        transport = SIP_PORTS.get(int(found["local"]))
        remote = _address(found["remote"].strip("[]").removeprefix("::ffff:"))
        if transport and remote and "ESTAB" in found[0]:
            rows.append(_fact("connection", transport, f"{remote} {found['port']}", name, line))
    return Taken(member, name, facts=tuple(rows))


_FORMS: dict[str, Callable[[str, str, str], Taken]] = {
    "sip_peers": _sip_peers,
    "pjsip_contacts": _pjsip_contacts,
    "configuration": _configuration,
    "logger": _logger,
    "lines": _single_lines,
    "taskprocessors": _taskprocessors,
    "firewall": _firewall,
    "connections": _connections,
    "presence": lambda member, name, text: Taken(
        member, name, facts=(_fact("proxy", member, "yes", name, None),) * bool(text.strip())
    ),
    ROUTER: lambda member, name, text: Taken(member, name, router=router.rows_of(name, text)),
}
