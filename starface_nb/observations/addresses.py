"""Sites: phones grouped by the public IP they register from, followed over an IP change.

An address is a site's as it stands in the log, documentation ranges too; those that no router translates (RFC 1918,
RFC 4193, link-local) are one group, whose phones stand in the PBX's own network or behind a tunnel.
"""

from collections import defaultdict
from dataclasses import dataclass, field

import polars as pl

from starface_nb.networks import is_of
from starface_nb.observations.intervals import down_at_the_end, of_kind

UNKNOWN = "unknown"
PRIVATE = "private addresses"
"""Name of the group of phones without a NAT between them and the PBX."""

MOVED_TOGETHER = 0.5
"""Share of an address's phones that must move to the same new address for both to be one site."""


@dataclass(frozen=True)
class Addresses:
    """Where phones were seen.

    Attributes
    ----------
    seen : polars.DataFrame
        peer, time (UTC), address, port, file, line: every line that shows a phone's address, by peer and time.
    site_of : dict
        Address to the name of its site: the newest address of the linked ones.
    members : dict
        Site to all its addresses, in the order of their first use.
    """

    seen: pl.DataFrame
    site_of: dict[str, str] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)

    def site(self, address: str | None) -> str:
        """Return the site of an address."""
        return UNKNOWN if address is None else self.site_of.get(address, address)


def find_addresses(states: pl.DataFrame, peers: pl.Series) -> Addresses:
    """Collect the addresses of `peers` and link those that belong to one site.

    Parameters
    ----------
    states : polars.DataFrame
        Events with `row`, see `starface_nb.observations.intervals.with_states`.
    peers : polars.Series of str
        The phones; addresses of others (attackers, trunks) make no site.
    """
    seen = (
        of_kind(states, "registered", "reachable", "lagged")
        .filter(pl.col("address").is_not_null() & pl.col("peer").is_in(peers.implode()))
        .select("peer", "time", "address", "port", "file", "line", "kind", "row")
        .sort("peer", "row")
    )
    private = [address for address in seen["address"].unique() if is_private(address)]
    seen = seen.with_columns(pl.col("address").replace(private, [PRIVATE] * len(private)))
    runs = seen.group_by(pl.struct("peer", "address").rle_id().alias("run"), maintain_order=True).agg(
        pl.first("peer", "address"), pl.first("time").alias("first"), pl.last("time").alias("last")
    )
    parents = _link(runs, down_at_the_end(states))
    order = runs.group_by("address").agg(pl.min("first"), pl.max("last")).sort("first", "address")
    groups: dict[str, list[tuple[str, object]]] = defaultdict(list)
    for address, _, last in order.iter_rows():
        groups[_root(parents, address)].append((address, last))
    newest = (max(group, key=lambda pair: (pair[1], pair[0]))[0] for group in groups.values())
    members = {site: [address for address, _ in group] for site, group in zip(newest, groups.values(), strict=True)}
    site_of = {address: site for site, group in members.items() for address in group}
    return Addresses(seen, site_of, members)


def is_private(address: str) -> bool:
    """Return whether an address is one of a network of its own, which no router on the way translates."""
    return bool(is_of(address.partition("%")[0], "private", "local"))


def _root(parents: dict[str, str], address: str) -> str:
    while parents.get(address, address) != address:
        address = parents[address]
    return address


def _link(runs: pl.DataFrame, gone: pl.Series) -> dict[str, str]:
    """Join an address to the one that at least half of its phones, and no fewer than stayed, moved to next.

    Phones that are `gone` when the log ends have stayed nowhere.
    """
    same = (pl.col("peer").shift(-1) == pl.col("peer")).fill_null(value=False)
    moves = runs.with_columns(pl.when(same).then(pl.col("address").shift(-1)).alias("next"))
    phones = dict(runs.group_by("address").agg(pl.col("peer").n_unique()).iter_rows())
    counted = moves.filter(same | ~pl.col("peer").is_in(gone.implode()))
    stayed = dict(counted.group_by("address").agg(pl.col("peer").n_unique()).iter_rows())
    pairs = moves.drop_nulls("next").group_by("address", "next").agg(pl.col("peer").n_unique().alias("n"))
    parents: dict[str, str] = {address: address for address in phones}
    for old, new, n in pairs.sort("address", "next").iter_rows():
        if n >= MOVED_TOGETHER * stayed.get(old, 0) and n >= MOVED_TOGETHER * phones[new]:
            parents[_root(parents, old)] = _root(parents, new)
    return parents


def place(frame: pl.DataFrame, addresses: Addresses, time: str) -> pl.DataFrame:
    """Add `site` (public IP last seen at `time`, else the first seen later, else unknown), `home` and `port`.

    `home` is the linked site's name, which stays the same over a change of the public IP.
    """
    seen = addresses.seen.select("peer", "address", "port", pl.col("time").alias("seen_at")).sort("seen_at")
    first = seen.group_by("peer", maintain_order=True).agg(pl.first("address").alias("first_address"))
    order = frame.with_row_index("_order").sort(time)
    placed = order.join_asof(seen, left_on=time, right_on="seen_at", by="peer", check_sortedness=False)
    placed = placed.join(first, on="peer", how="left", maintain_order="left").sort("_order")
    site = pl.coalesce("address", "first_address").fill_null(UNKNOWN)
    placed = placed.with_columns(site.alias("site"), site.replace(addresses.site_of).alias("home"))
    return placed.drop("_order", "seen_at", "first_address")
