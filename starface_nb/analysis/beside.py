"""What lies beside the log in a support bundle, put to use: settings instead of assumptions, states, proofs."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

import polars as pl

from starface_nb.analysis.diagnosis import Finding, about_peers, say
from starface_nb.analysis.probing import gaps, probed_every
from starface_nb.analysis.restraint import Results
from starface_nb.analysis.seen import evidence
from starface_nb.bundle.facts import Bundle, Fact, with_full_names
from starface_nb.observations.intervals import of_kind
from starface_nb.observations.signs import STREAMS
from starface_nb.reading.log import Log
from starface_nb.settings import Settings

CLOCK_OFF_S = 2.0  # further off than this, times do not fit those of a router's log
_TOLD: dict[str, dict[str, tuple[str, ...]]] = {
    "SIP": {"qualifyfreq": ("probe_interval_s",), "maxexpiry": ("expiry",)},
    "PJSIP": {
        "qualify_frequency": ("probe_interval_s", "probe_retry_s"),  # PJSIP asks in one rhythm, up and down
        "qualify_timeout": ("probe_timeout_s",),
        "maximum_expiration": ("expiry",),
    },
}
"""Which settings of the analysis a setting of Asterisk's drivers tells, in seconds."""
_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Settings)}
_NOWHERE = Fact("", "", None)
_SURE = 0.95
_MAXMS = 2000.0  # `qualify=yes` (channels/sip/include/sip.h 20.20.1:91)
_OFF = ("no", "false", "off", "0")
_NEEDED_LEVELS = ("notice", "verbose")


def settings_from(log: Log, settings: Settings) -> tuple[Settings, dict[str, Fact], list[Finding]]:
    """Return settings with the bundle's values where the user left the default, and where each comes from.

    The keepalive is only ever shortened: phones must register again within `maxexpiry`, and may do so sooner. What the
    log itself refutes is not taken: the findings say so.
    """
    techs = log.events["tech"]
    found = dict(_settings_of(log.bundle, "PJSIP" if (techs == "PJSIP").sum() > (techs == "SIP").sum() else "SIP"))
    if "probe_timeout_s" not in found and (wait := _waits(log)[0]):
        found["probe_timeout_s"] = wait, _NOWHERE
    open_to = {n for n, usual in _DEFAULTS.items() if n not in settings.asked and getattr(settings, n) == usual}
    told = [one for one in _refuted(log, found) if one.values["setting"] in open_to]
    for one in told:
        also = {"probe_retry_s"} & set(found) if one.values["setting"] == "probe_interval_s" else set()
        measured: Any = one.values["measured_s"], _NOWHERE
        found |= dict.fromkeys((str(one.values["setting"]), *also), measured)
    cap = found.pop("expiry", None)
    if cap and 60 <= cap[0] <= settings.keepalive_s:
        found["keepalive_s"] = cap
    used = {n: value for n, value in found.items() if n in open_to and value[0] > 0}
    taken = settings.with_asked(**{name: value for name, (value, _) in used.items()})
    return replace(taken, asked=settings.asked), {name: fact for name, (_, fact) in used.items() if fact.member}, told


def _refuted(log: Log, found: Mapping[str, tuple[float, Fact]]) -> Iterator[Finding]:
    """Yield which of the bundle's values the log refutes: the file is a later one, was not loaded, or another PBX's.

    The probe interval that is assumed without a file is held against the log as well.
    """
    given, (wait, limit) = found.get("probe_timeout_s"), _waits(log)
    if given and wait and given[0] not in (2 * limit["limit_ms"] / 1000):
        yield _refutation("probe_timeout_s", given, wait, limit, "probe_timeout_refuted")
    usual, apart = _DEFAULTS["probe_interval_s"], gaps(log.events)
    told_as = "probe_interval_refuted" if "probe_interval_s" in found else "probe_interval_measured"
    given = found.get("probe_interval_s", (usual, _NOWHERE))
    every = probed_every(apart, given[0], usual)
    if every is not None:
        yield _refutation("probe_interval_s", given, every, apart, told_as)


def _waits(log: Log) -> tuple[float, pl.DataFrame]:
    """Return how long chan_sip waits for most phones' answers, s (20.20.1:30709), and the lines that show its limit."""
    limit = of_kind(log.events, "reachable", "lagged").drop_nulls("limit_ms")
    return 2 * float(limit["limit_ms"].mode().min() or 0.0) / 1000, limit  # type: ignore[arg-type]


def _refutation(setting: str, given: tuple[float, Fact], measured: float, lines: pl.DataFrame, told_as: str) -> Finding:
    values = {"setting": setting, "source": given[1].source, "given_s": given[0], "measured_s": measured}
    log = Fact("", *lines.select("file", "line").row(0)).source
    return say("setting_refuted", "warning", **values, evidence=evidence(lines), log=log, told_as=told_as)


def _settings_of(bundle: Bundle, driver: str) -> Iterator[tuple[str, tuple[float, Fact]]]:
    for name, told in _TOLD[driver].items():
        if fact := bundle.setting(name):
            yield from ((one, (float(fact.value), fact)) for one in told)
    if driver == "SIP" and (limit := bundle.setting("qualify")) and limit.value not in _OFF:
        ms = float(limit.value) if limit.value.isdigit() else _MAXMS
        yield "probe_timeout_s", (2 * ms / 1000, limit)  # chan_sip.c 20.20.1:30709


def renew_later(phones: pl.DataFrame, settings: Settings) -> float | None:
    """Return how often phones renew, s, where the log shows that this is more seldom than the keepalive; or None."""
    periods = phones.filter(~pl.col("trunk"))["period_s"].drop_nulls()
    middle = periods.median() if len(periods) else None
    return middle if isinstance(middle, float) and middle > 1.1 * settings.keepalive_s else None


def listed_peers(log: Log) -> pl.DataFrame:
    """Return the listed peers under the log's names, with `in_log`: whether the log has a line about them."""
    known = set(log.events["peer"].drop_nulls().unique())
    peers = with_full_names(log.bundle.peers, known)
    return peers.with_columns(pl.col("peer").is_in(list(known)).alias("in_log"))


def unwatched(log: Log) -> list[str]:
    """Return the peers that the PBX does not probe by its list or settings, and about whose state the log says nothing.

    Their silence is no sign that a binding lives: they are no part of any verdict.
    """
    off = log.bundle.facts.filter(pl.col("value").is_in(_OFF), fact="setting", name="qualify").drop_nulls("peer")
    named = {*listed_peers(log).filter(~pl.col("monitored"))["peer"], *off["peer"]}
    asked = of_kind(log.events, "reachable", "lagged", "unreachable")["peer"].unique() if named else ()
    return sorted(named - set(asked))


def beside_findings(results: Results) -> Iterator[Finding]:
    """Yield what the bundle adds: who is not probed or has no line, blocks, connections, levels, clock, load."""
    bundle = results.log.bundle
    yield from _connections(results)
    if bundle:
        yield from _about_listed(results)
        for fact in bundle.values("blocked"):
            if fact.value in results.home_of:
                yield say("block_proven", "action", fact.value, source=fact.source)
        yield from _about_the_pbx(bundle)


def _about_listed(results: Results) -> Iterator[Finding]:
    peers = listed_peers(results.log)
    phones = peers.filter("dynamic")  # the others have a fixed address: trunks
    silent = set(phones.filter(~pl.col("in_log") & pl.col("monitored"))["peer"])
    yield from about_peers("phones_without_line", "info", sorted(silent))
    ignored = {*phones.filter(~pl.col("monitored"))["peer"], *unwatched(results.log)}
    ignored -= set(peers.filter(~pl.col("dynamic"))["peer"])
    yield from about_peers("phones_unmonitored", "warning", sorted(ignored))


def _connections(results: Results) -> Iterator[Finding]:
    held = {fact.value for fact in results.log.bundle.values("connection")}
    places = of_kind(results.log.events, "registered").drop_nulls("address")
    last = places.group_by("peer", maintain_order=True).agg(pl.last("address", "port", "contact", "file", "line"))
    named = pl.col("contact").fill_null("").str.contains(STREAMS)
    at = pl.concat_str("address", pl.lit(" "), pl.col("port").cast(pl.String)).is_in(list(held))
    phones = last.filter(named | at).sort("peer")
    shown = evidence(phones)
    yield from about_peers("tcp_connections", "info", phones["peer"].to_list(), probability=_SURE, evidence=shown)


def _about_the_pbx(bundle: Bundle) -> Iterator[Finding]:
    for row in bundle.facts.filter((pl.col("fact") == "levels") & (pl.col("name") == "full")).iter_rows(named=True):
        missing = [level for level in _NEEDED_LEVELS if level not in row["value"] and "*" not in row["value"]]
        if missing:
            source = Fact(row["value"], row["member"], row["line"]).source
            yield say("log_levels", "warning", missing=", ".join(missing).upper(), source=source)
    overload = bundle.values("overload")
    if overload:
        source = overload[0].source
        yield say("pbx_trouble", "warning", overloaded=len(overload), source=source, told_as="pbx_queues")
    offsets = [float(fact.value) for fact in bundle.values("clock", "offset_s")]
    unset = any(fact.value == "no" for fact in bundle.values("clock", "synchronised"))
    if unset or max(offsets, default=0.0) > CLOCK_OFF_S:
        told = {"told_as": "clock_unset"} if unset else {"off_s": max(offsets)}
        yield say("clock_off", "info", None, source=bundle.values("clock")[0].source, **told)
    for proxy in bundle.values("proxy"):
        yield say("proxy_in_front", "info", source=proxy.source)


def document(bundle: Bundle, sources: Mapping[str, Fact]) -> dict[str, object]:
    """Return what a bundle gave as data: each value with the member and line it stands in.

    Parameters
    ----------
    bundle : Bundle
    sources : mapping
        Setting of the analysis to the fact it was taken from.
    """
    facts = bundle.facts.sort("fact", "member", "line", maintain_order=True).to_dicts()
    return {
        "members": list(bundle.members),
        "settings": [{"setting": name, "value": f.value, "source": f.source} for name, f in sorted(sources.items())],
        "facts": [{**row, "source": Fact(row["value"], row["member"], row["line"]).source} for row in facts],
        "peers": bundle.peers.drop("cut").to_dicts(),
    }
