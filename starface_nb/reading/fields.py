"""From the raw groups of a message to typed values: addresses, ports, contacts and the user part of a SIP identity."""

from __future__ import annotations

import re
from ipaddress import ip_address

import polars as pl

_ENDPOINT = r"^(?:\[(?P<v6>[^\[\]]+)\]|(?P<v4>[^\s:\[\]]+))(?::(?P<p>\d{1,5}))?$"
_BARE_V6 = r"^([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[\w.-]+)?)$"
_URI = r"^(?i:sips?):(?:[^@]*@)?(?:\[(?P<v6>[^\[\]]+)\]|(?P<v4>[^\s:;?>@\[\]]+))(?::(?P<p>\d{1,5}))?"


def user_part(identity: str) -> str | None:
    """Return the user part of a SIP name and address as written, or None where there is none.

    The text comes from the network: quotes may be unbalanced, brackets missing, the display name may itself look like
    an address. As chan_sip does (get_in_brackets), a quoted display name is skipped before the bracket is looked for.
    """
    text = identity.strip()
    quoted = re.match(r'"(?:\\.|[^"\\])*"', text)
    rest = text[quoted.end() :] if quoted and "<" in text[quoted.end() :] else text
    if "<" in rest:
        last = text.startswith('"') and not quoted
        rest = rest.rpartition("<")[2] if last else rest.partition("<")[2]
        rest = rest.partition(">")[0]
    scheme = re.match(r"(?i)(?:sips?|tel):", rest)
    uri = rest[scheme.end() :] if scheme else rest
    user, at, _ = uri.partition("@")
    if not at:
        plain = scheme is None or scheme[0].lower() == "tel:"
        user = uri.partition(";")[0] if plain else ""
    return user.partition(":")[0] or None


def _is_address(text: str) -> bool:
    try:
        ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def _mapped(values: pl.Expr, unique: pl.Series, result: list[str | None]) -> pl.Expr:
    return values.replace_strict(unique, pl.Series(result, dtype=pl.String), default=None, return_dtype=pl.String)


def _with_place(found: pl.DataFrame, others: tuple[pl.Expr, ...] = ()) -> pl.DataFrame:
    """Fill in `address` and `port` from the groups in `e`, or from two other expressions."""
    e = pl.col("e").struct
    address = pl.coalesce("address", e.field("v6"), e.field("v4"), *others[:1])
    port = pl.coalesce("port", pl.coalesce(e.field("p"), *others[1:]).cast(pl.Int32, strict=False))
    return found.with_columns(address.alias("address"), port.alias("port")).drop("e")


def _bare_v6() -> tuple[pl.Expr, pl.Expr]:
    """Return address and port of IPv6 addresses without brackets.

    PJSIP before 13.25/16.30 writes '%s:%d' without brackets: what follows the last colon is the port. Elsewhere an
    address without brackets has no port.
    """
    bare = pl.col("endpoint").str.extract(_BARE_V6, 1)
    with_port = pl.col("tech") == "PJSIP"
    address = pl.when(with_port).then(bare.str.replace(r":\d{1,5}$", "")).otherwise(bare)
    return address, pl.when(with_port).then(bare.str.extract(r":(\d{1,5})$"))


def typed(found: pl.DataFrame) -> pl.DataFrame:
    """Return `found` with `peer`, `address` (String), `port` (Int32) and the round-trip times (Float64) filled in.

    An address is an IP address without brackets; a host name in a contact (`abc.invalid` of a browser phone) is none.
    """
    found = found.with_columns(
        *(pl.col(name).cast(pl.Float64, strict=False) for name in ("rtt_ms", "limit_ms", "last_rtt_ms")),
        pl.col("port").cast(pl.Int32, strict=False),
    )
    if found["endpoint"].null_count() < found.height:
        groups = pl.col("endpoint").str.extract_groups(_ENDPOINT)
        found = _with_place(found.with_columns(groups.alias("e")), _bare_v6())
    if found["contact"].null_count() < found.height:
        found = _with_place(found.with_columns(pl.col("contact").str.extract_groups(_URI).alias("e")))
    addresses = found["address"].drop_nulls().unique()
    identities = found["identity"].drop_nulls().unique()
    good = [a if _is_address(a) else None for a in addresses]
    users = [user_part(i) for i in identities]
    answered = pl.col("kind").is_in(["reachable", "lagged"])
    return found.with_columns(
        pl.coalesce("peer", _mapped(pl.col("identity"), identities, users)).alias("peer"),
        _mapped(pl.col("address"), addresses, good).alias("address"),
        pl.when(pl.col("port") <= 65535).then("port").alias("port"),
        pl.when(answered).then("rtt_ms").alias("rtt_ms"),
        pl.coalesce("detail", "lease_s", "state").alias("detail"),
    )
