"""Reads the members of a support bundle: from a member's text to the few facts that `bundle.toml` names.

Pure functions. A value is kept only where it has the form that the entry gives, so that no password, key or other text
of a member gets any further.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_network

from starface_nb.bundle import router
from starface_nb.networks import normal_ip
from starface_nb.tables import table

MEMBER_BYTES = 4 << 20  # of a member are read: a PBX with 10,000 peers lists them in a third of it
ROUTER = "router"
BYTES = {ROUTER: router.ROUTER_BYTES}
_SNIFFED_LINES = 40
_LINE = 1_000  # characters of a line that are looked at
_SHOWN = 25  # characters of name/username that `sip show peers` shows (chan_sip.c 1.8.32.3:17288 20.20.1:20312)

_SIP_PORTS = {5060: "TCP", 5061: "TLS"}
_NAMED_PORTS = {"sip": "5060", "sip-tls": "5061", "sips": "5061"}

Row = dict[str, object]


@dataclass(frozen=True)
class Configuration:
    """What was taken of a configuration file: entries before the first section have none.

    Attributes
    ----------
    entries : tuple of (section or None, row of `FACTS`)
    sections : mapping of each `[section](...)` to what stands in the brackets: the sections whose entries it has, too,
        and `!` of a template, which stands only for those that name it
    includes : tuple of (section or None, base name of the included file)
    """

    entries: tuple[tuple[str | None, Row], ...] = ()
    sections: dict[str, tuple[str, ...]] = field(default_factory=dict)
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


@lru_cache(maxsize=20_000)
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
    text = text[: BYTES.get(member, MEMBER_BYTES)]
    if form == "configuration":
        return Taken(member, name, configuration=_configuration(member, name, text))
    kind, rows = _ROWS[form]
    return Taken(member, name, **{kind: tuple(rows(member, name, text))})  # type: ignore[arg-type]


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        yield number, line[:_LINE].rstrip("\r ")


def _fact(fact: str, name: str, value: str, member: str, line: int | None) -> Row:
    return {"fact": fact, "name": name, "value": value, "member": member, "line": line}


# ---- lists of peers ----


def _sip_peers(_member: str, name: str, text: str) -> Iterator[Row]:
    for line, found in _matches("sip_peer", text):
        host = "" if found["host"].startswith("(") else found["host"]
        more = {"cut": len(found["name"]) >= _SHOWN, "tech": "SIP", "dynamic": "D" in found["flags"].split()}
        rtt = float(found["rtt"]) if found["rtt"] else None
        yield _peer(found, host, name, line) | {"peer": _peer_name(found["name"]), "rtt_ms": rtt, **more}


def _peer(found: re.Match[str], host: str, member: str, line: int) -> Row:
    """Return what both lists tell of a peer."""
    status = table("bundle/bundle")["status"][found["status"]]
    port = int(found["port"] or 0)
    where = {
        "address": normal_ip(host),
        "port": port if 0 < port < 65536 else None,
        "member": member,
        "line": line,
    }
    return {"status": status, "monitored": status != "unmonitored", **where}


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


def _pjsip_contacts(_member: str, name: str, text: str) -> Iterator[Row]:
    known, every = set[str](), {"cut": False, "tech": "PJSIP", "dynamic": True}
    for line, found in _matches("pjsip_contact", text):
        row = _peer(found, found["v6"] or found["v4"] or "", name, line)
        rtt = float(found["rtt"]) if row["status"] == "ok" and found["rtt"][0].isdigit() else None
        known.add(peer := found["name"].strip())
        yield row | every | {"peer": peer, "rtt_ms": rtt}
    for line, found in _matches("pjsip_endpoint", text):  # without a contact nothing is asked: not registered
        if found["name"] not in known and found["status"] == "Unavailable":
            known.add(found["name"])
            told = {"peer": found["name"], "status": "unknown", "monitored": True, "member": name, "line": line}
            yield every | told


def _line(name: str) -> re.Pattern[str]:
    return re.compile(table("bundle/bundle")["line"][name])


def _matches(name: str, text: str) -> Iterator[tuple[int, re.Match[str]]]:
    pattern = _line(name)
    for number, line in _lines(text):
        found = pattern.match(line)
        if found:
            yield number, found


# ---- configuration files ----


def _configuration(member: str, name: str, text: str) -> Configuration:
    wanted = {
        key: (entry["key"], re.compile(entry["form"]))
        for entry in table("bundle/bundle")["setting"]
        if entry["member"] == member
        for key in (entry["key"], *entry.get("also", ()))
    }
    entries, sections, includes = [], dict[str, tuple[str, ...]](), []
    section: str | None = None
    for line, plain in _without_comments(text):
        if begun := _line("section").match(plain):
            section = begun[1].strip()
            marks = (mark.strip() for mark in (begun[2] or "").split(","))
            sections[section] = (*sections.get(section, ()), *(mark for mark in marks if mark not in ("", "+")))
        elif included := _line("include").match(plain):
            includes.append((section, included[1].strip().rpartition("/")[2]))
        elif (found := _line("entry").match(plain)) and found[1].lower() in wanted:
            key, form = wanted[found[1].lower()]
            if form.fullmatch(found[2].strip()):
                entries.append((section, _fact("setting", key, found[2].strip().lower(), name, line)))
    return Configuration(tuple(entries), sections, tuple(includes))


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


def _logger(_member: str, name: str, text: str) -> Iterator[Row]:
    """Yield the date formats, and the levels of each log file: `full => notice,warning,error,verbose`."""
    section = ""
    for line, plain in _without_comments(text):
        if begun := _line("section").match(plain):
            section = begun[1].strip().lower()
        elif named := _line("date_format").match(plain):
            yield _fact("dateformat", "", named["value"].strip(), name, line)
        elif section == "logfiles" and (found := _line("log_file").match(plain)):
            levels = found[2].strip()
            if _line("levels").fullmatch(levels):
                yield _fact("levels", found[1], re.sub(r"\s", "", levels).lower(), name, line)


# ---- single lines, tables ----


def _single_lines(member: str, name: str, text: str) -> Iterator[Row]:
    known = (e for e in table("bundle/bundle")["fact"] if e["member"] == member)
    wanted = [(e["fact"], e["name"], re.compile(e["pattern"])) for e in known]
    for number, line in _lines(text):
        for fact, what, pattern in wanted:
            if found := pattern.search(line):
                yield _fact(fact, what, found["value"], name, number)


def _taskprocessors(_member: str, name: str, text: str) -> Iterator[Row]:
    """Yield the task processors whose queue has reached its high water mark; their names end in a number."""
    for line, found in _matches("processor", text):
        if int(found["deepest"]) >= int(found["high"]) > 0:
            kind = re.match(r"[a-z_]+(?:/[a-z_]+)*", found["name"])
            yield _fact("overload", kind[0] if kind else "task processor", found["deepest"], name, line)


def _firewall(_member: str, name: str, text: str) -> Iterator[Row]:
    """Yield the addresses and networks whose packets to SIP's ports the PBX's own firewall drops.

    The rules are as iptables-save, iptables -nvL, nft list ruleset or ipset save writes them.
    """
    rules = [re.compile(rule) for rule in table("bundle/bundle")["firewall"]["rules"]]
    for number, line in _lines(text):
        for found in filter(None, (rule.match(line) for rule in rules)):
            if (source := _network(found["source"])) and _meets_sip(found):
                yield _fact("blocked", "address", source, name, number)
                break


def _meets_sip(rule: re.Match[str]) -> bool:
    """Say whether a rule is about phones: not about another protocol, and not only about other ports."""
    text = f"{rule.groupdict().get('protocol') or ''} {rule.string}"
    if re.search(r"(?:^|-p )(?:icmp|icmpv6|igmp|gre|esp)\b", text):
        return False
    ports = re.search(r"(?:--dports? |dpts?:|multiport dports |dport )\s*\{?\s*([\w, :-]+)", text)
    spans = [re.split("[:-]", _NAMED_PORTS.get(one, one)) for one in re.split("[, ]+", ports[1])] if ports else []
    known = [(int(span[0]), int(span[-1])) for span in spans if all(one.isdigit() for one in span)]
    return ports is None or any(low <= port <= high for low, high in known for port in _SIP_PORTS)


def _network(text: str) -> str | None:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    if network.prefixlen == 0:
        return None
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _connections(_member: str, name: str, text: str) -> Iterator[Row]:
    """Yield who holds a TCP or TLS connection to the PBX's SIP ports."""
    for line, found in _matches("connection", text):
        transport = _SIP_PORTS.get(int(found["local"]))
        remote = normal_ip(found["remote"].strip("[]").removeprefix("::ffff:"))
        if transport and remote and "ESTAB" in found[0]:
            yield _fact("connection", transport, f"{remote} {found['port']}", name, line)


def _presence(member: str, name: str, text: str) -> Iterator[Row]:
    return iter([_fact("proxy", member, "yes", name, None)] * bool(text.strip()))


_ROWS: dict[str, tuple[str, Callable[[str, str, str], Iterable[Row]]]] = {
    "sip_peers": ("peers", _sip_peers), "pjsip_contacts": ("peers", _pjsip_contacts), "logger": ("facts", _logger),
    "lines": ("facts", _single_lines), "taskprocessors": ("facts", _taskprocessors), "firewall": ("facts", _firewall),
    "connections": ("facts", _connections), "presence": ("facts", _presence),
    ROUTER: ("router", lambda _, name, text: router.rows_of(name, text)),
}  # fmt: skip
