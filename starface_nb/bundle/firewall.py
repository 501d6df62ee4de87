"""The rules of the PBX's own firewall: whose packets to SIP's ports it drops."""

import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_network

from starface_nb.tables import table

SIP_PORTS = {5060: "TCP", 5061: "TLS"}
_NAMED = {"sip": "5060", "sip-tls": "5061", "sips": "5061"}


def blocked(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Yield line and address or network of each rule that drops the packets of phones.

    Parameters
    ----------
    lines : iterable of (int, str)
        Numbered lines of iptables-save, iptables -nvL, nft list ruleset or ipset save.
    """
    rules = [re.compile(rule) for rule in table("bundle/bundle")["firewall"]["rules"]]
    for number, line in lines:
        for rule in rules:
            found = rule.match(line)
            source = _network(found["source"]) if found else None
            if found and source and _meets_sip(found):
                yield number, source
                break


def _meets_sip(rule: re.Match[str]) -> bool:
    """Say whether a rule is about phones: not about another protocol, and not only about other ports."""
    text = f"{rule.groupdict().get('protocol') or ''} {rule.string}"
    if re.search(r"(?:^|-p )(?:icmp|icmpv6|igmp|gre|esp)\b", text):
        return False
    ports = re.search(r"(?:--dports? |dpts?:|multiport dports |dport )\s*\{?\s*([\w, :-]+)", text)
    spans = [re.split("[:-]", _NAMED.get(one, one)) for one in re.split("[, ]+", ports[1])] if ports else []
    known = [(int(span[0]), int(span[-1])) for span in spans if all(one.isdigit() for one in span)]
    return ports is None or any(low <= port <= high for low, high in known for port in SIP_PORTS)


def _network(text: str) -> str | None:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    if network.prefixlen == 0:
        return None
    return str(network.network_address) if network.num_addresses == 1 else str(network)
