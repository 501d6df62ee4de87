"""Which addresses are no public ones, by the kinds of networks in `networks.toml`."""

from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starface_nb.tables import table

KINDS = ("private", "local", "carrier", "own")


@cache
def networks(*kinds: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks of these kinds."""
    return tuple(ip_network(text) for kind in kinds for text in table("networks")[kind])


def normal_ip(text: str) -> str | None:
    """Return an IP address in its one normal form; None where the text is none."""
    try:
        return str(ip_address(text))
    except ValueError:
        return None


def is_of(address: str, *kinds: str) -> bool | None:
    """Say whether an address is of a network of these kinds; None where the text is no address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    return any(parsed in network for network in networks(*kinds))
