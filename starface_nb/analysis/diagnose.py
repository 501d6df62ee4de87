"""From a log to a diagnosis: intervals, sites, cycles, causes, the NAT timeout and what to do about it."""

import ctypes
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import PurePath

import numpy as np
import polars as pl

from starface_nb.analysis import restraint
from starface_nb.analysis.beside import beside_findings, listed_peers, renew_later, settings_from, unwatched
from starface_nb.analysis.calls import calls_lost
from starface_nb.analysis.diagnosis import Diagnosis, Finding, say
from starface_nb.analysis.findings import by_severity, find_findings
from starface_nb.analysis.incidents import find_incidents
from starface_nb.analysis.other_causes import other_findings
from starface_nb.analysis.router import lay_beside
from starface_nb.analysis.tables import cycles_frame, eras_frame, sites_frame, words
from starface_nb.errors import InputError
from starface_nb.frames import UTC_TIME
from starface_nb.model.across import across
from starface_nb.model.adoption import adopt, of_one_timeout, of_two_sites
from starface_nb.model.causes import CODE
from starface_nb.model.evidence import evidence_json, evidence_numbers
from starface_nb.model.groups import group
from starface_nb.model.infer import reason
from starface_nb.model.renewals import tell
from starface_nb.model.schemas import CAUSE, CAUSES, ENDING, INTERVALS, PHONES, STATUS
from starface_nb.model.site import Context, SiteView
from starface_nb.model.surroundings import survey
from starface_nb.observations import observed
from starface_nb.observations.addresses import UNKNOWN, Addresses, find_addresses, place
from starface_nb.observations.intervals import by_peer, of_kind, unreachable_intervals, with_states
from starface_nb.observations.phones import find_peers
from starface_nb.observations.presence import calls_of
from starface_nb.observations.signs import inside, late, never_answering, refused
from starface_nb.observations.story import seconds
from starface_nb.reading.log import Log
from starface_nb.reading.schemas import TECH
from starface_nb.settings import Settings

LONG_LOSS = timedelta(minutes=10)
MOST_ASKED = 50
"""A log's calls are looked through for losses of that length, and for so many phones."""


def diagnose(log: Log, settings: Settings | None = None, **overrides: float | None) -> Diagnosis:
    """Say what happened to which phone, why, and what the router's NAT timeout is.

    Parameters
    ----------
    log : Log
        From `starface_nb.read_log`.
    settings : Settings, optional
        The guide's values where not given.
    **overrides : float
        Single settings in seconds, for example ``keepalive_s=3240``, as the user gave them; None: not given.

    Returns
    -------
    Diagnosis

    Raises
    ------
    SettingError
        A setting makes no sense.
    InputError
        The files are of two customers, or may be.
    """
    asked = (settings or Settings()).with_asked(**overrides)
    settings, sources, told = settings_from(log, asked)
    aside = unwatched(log)
    watched = log.events.filter(~pl.col("peer").is_in(aside).fill_null(value=False)) if aside else log.events
    states = with_states(watched)
    peers = find_peers(states)
    require_one_customer(log, states, peers)
    listed = dict.fromkeys(listed_peers(log).filter("monitored")["peer"], True)
    seen = Seen(log, states, peers, by_peer(states, peers["peer"]), observed.observe(log, states, peers, listed))
    results = examine(seen, settings)
    period = renew_later(results.phones, settings)
    if "keepalive_s" in sources and period is not None:
        source, expiry = sources.pop("keepalive_s").source, settings.keepalive_s
        told.append(say("expiry_contradicted", "warning", source=source, expiry_s=expiry, period_s=period))
        settings = replace(settings, keepalive_s=asked.keepalive_s)
        results = examine(seen, settings)
    measured = restraint.measured_keepalive(results.phones, settings)
    if measured is not None:
        other = examine(seen, replace(settings, keepalive_s=measured))
        if "too_short" in other.sites["verdict"]:  # had the keepalive been sent as given, none would have died
            results = replace(other, given_keepalive_s=settings.keepalive_s)
            sources.pop("keepalive_s", None)
    results, story = lay_beside(results)
    unlikely = pl.col("confidence") < restraint.LIKELY
    results = replace(results, intervals=restraint.not_decided(results.intervals, unlikely))
    told += [*story.findings, *_other_addresses(states, peers)]
    lost = calls_lost(log, results.intervals, results.settings)
    incidents, incident_of = find_incidents(results.intervals, results.eras)
    found = [*find_findings(results), *other_findings(results, lost), *beside_findings(results), *told]
    explained = {field.name: getattr(results, field.name) for field in fields(restraint.Explained)}
    router = story.with_incidents(results.intervals, incident_of)
    return Diagnosis(
        **explained, findings=by_severity(found), calls_lost=lost, sources=sources, incidents=incidents,
        incident_of=incident_of, router=router,
    )  # fmt: skip


def require_one_customer(log: Log, states: pl.DataFrame | None = None, peers: pl.DataFrame | None = None) -> None:
    """Raise `InputError` where the files of a log are of two customers, or may be."""
    if len(log.files) < 2:
        return
    states = with_states(log.events) if states is None else states
    peers = find_peers(states) if peers is None else peers
    step = "Name one customer's log alone; `starface-nb fleet` takes a folder of many."
    if clash := observed.of_two_customers(states):
        cause = "These are logs of two customers: at the same time, phones of the same names are at other addresses."
        raise InputError(cause, place=" and ".join(clash), next_step=step)
    if clash := observed.in_turns(log, states, peers):
        cause = "For hours these logs tell different things of the same phones: they may be two customers'."
        raise InputError(cause, place=" and ".join(clash), next_step=step)
    if clash := observed.without_common_phone(log, states, peers):
        cause = (
            "These logs name few phones or none in common, and are no parts of one rotated log: "
            "they may be two customers'."
        )
        step += " Parts of one log can be put together into one file."
        raise InputError(cause, place=" and ".join(clash), next_step=step)


def _other_addresses(states: pl.DataFrame, peers: pl.DataFrame) -> Iterator[Finding]:
    """Yield that the phones of two logs came from other addresses: another line, or another customer."""
    if found := observed.at_other_addresses(states, peers):
        (one, old), (other, new) = found
        own = -1 if PurePath(one).name != PurePath(other).name else -2  # folders tell little to who is shown them
        names = {name: "/".join(PurePath(path).parts[own:]) for name, path in (("one", one), ("other", other))}
        yield say("other_addresses", "warning", **names, old=old, new=new)


@dataclass(frozen=True)
class Seen:
    """What a log shows, whatever the settings: events with states, peers, rows by peer, and what was observed."""

    log: Log
    states: pl.DataFrame
    peers: pl.DataFrame
    rows: pl.DataFrame
    observation: observed.Observation


def examine(seen: Seen, settings: Settings) -> restraint.Results:
    """Explain the losses of a log under the given settings."""
    log, states, peers, rows = seen.log, seen.states, seen.peers, seen.rows
    raw = unreachable_intervals(rows, pl.concat([seen.observation.lacking.gaps, seen.observation.lacking.deaf]))
    addresses = find_addresses(states, peers.filter(~pl.col("trunk"))["peer"])

    def understand(homes: list[str], *, eras_only: bool = False) -> tuple[Context, list[SiteView]]:
        named = dict(zip(peers["peer"], homes, strict=True))
        story = tell(states, rows, raw, peers, settings, named, log.last, seen.observation.usable, log.calls)
        context = survey(story, states, rows, raw, addresses)
        views = site_views(context, homes, peers["trunk"].to_numpy())
        for view in views:
            reason(context, view, eras_only=eras_only)
        return context, views

    only = next(iter(addresses.members)) if len(addresses.members) == 1 else None
    homes, apart = (phone_homes(peers, addresses, stranger) for stranger in (only or UNKNOWN, UNKNOWN))
    context, views = understand(homes)
    strangers = np.array(homes, object) != np.array(apart, object)
    known = [view for view in views if view.name == only]
    together = not strangers.any() or any(of_one_timeout(context, view, strangers) for view in known)
    if not together and of_two_sites(*understand(apart, eras_only=True)):
        only, homes = None, apart
        context, views = understand(homes)
    adopted = adopt(context, views, homes)
    if adopted != homes:
        context, views = understand(adopted)
    grouped = group(context, views, adopted)
    if grouped != adopted:
        context, views = understand(grouped)
    overloads = seconds(of_kind(states, "overload")["time"].drop_nulls().sort(), context.story.origin_us)
    across(context, views, overloads)
    _give_back()
    intervals = intervals_frame(context, views, raw, peers, addresses)
    refusals = refused(states, peers, addresses)
    phones = phones_frame(seen, addresses, intervals, context, refusals)
    cycles = cycles_frame(context, views)
    eras = eras_frame(context, views, cycles, log)
    sites = sites_frame(context, views, addresses, eras)
    numbers = evidence_numbers(context, views, raw)
    del context, views
    _give_back()
    intervals = INTERVALS.check(intervals.with_columns(evidence_json(numbers).alias("evidence")))
    del numbers
    joined = Counter(new for new, old in zip(adopted, homes, strict=True) if new != old)
    registrations = inside(intervals, of_kind(states, "registered"), log.last)
    never = never_answering(states)
    if "reachable" in seen.observation.lacking.missing:
        never = never.clear()
    return restraint.restrained(restraint.Results(
        log, settings, intervals, phones, cycles, eras, sites, seen.observation, only, joined, refusals, never,
        registrations, _calls_inside(log, intervals, registrations),
    ))  # fmt: skip


def _give_back() -> None:
    """Give back what the reasoning used before tables and texts are written: glibc keeps it, 400 MiB of a large log."""
    if sys.platform == "linux":
        getattr(ctypes.CDLL(None), "malloc_trim", int)(0)  # not in every C library


def _calls_inside(log: Log, intervals: pl.DataFrame, registrations: pl.Series) -> pl.Series:
    """Return how many calls of its phone began in each interval, of the longest for which it would decide something.

    In a loss of the NAT timeout a call that the phone begins is nothing odd: it makes a new entry.
    """
    took = pl.col("end").fill_null(pl.lit(log.last)) - pl.col("start")
    odd = pl.col("cause").is_in(restraint.NOT_WHILE_REGISTERING)
    asked = (took >= LONG_LOSS) & ~pl.col("trunk") & (registrations == 0) & odd
    decided = intervals.with_columns(took=took, asked=asked)
    longest = decided.filter("asked").sort("took", "peer", descending=[True, False])
    peers = longest["peer"].unique(maintain_order=True).head(MOST_ASKED).to_list()
    counted = inside(intervals, calls_of(log, peers) if peers else pl.DataFrame(), log.last)
    return counted * decided["asked"].cast(pl.Int64)


def phone_homes(peers: pl.DataFrame, addresses: Addresses, stranger: str) -> list[str]:
    """Return each peer's linked site, in the order of the peers; `stranger` for those without any address line."""
    last = dict(addresses.seen.group_by("peer", maintain_order=True).agg(pl.last("address")).iter_rows())
    return [addresses.site(last[peer]) if peer in last else stranger for peer in peers["peer"]]


def site_views(context: Context, homes: list[str], trunk: np.ndarray) -> list[SiteView]:
    """Return one view per site, trunks left out, sorted by name."""
    losses, cycles = context.story.losses, context.cycles
    by_start = np.argsort(losses.start, kind="stable")
    names, codes = np.unique(np.where(trunk, "", np.array(homes, str)), return_inverse=True)
    of_loss, of_cycle = codes[losses.phone[by_start]], codes[cycles.phone]
    return [
        SiteView(name, np.flatnonzero(codes == i), by_start[of_loss == i], np.flatnonzero(of_cycle == i))
        for i, name in enumerate(names.tolist())
        if name
    ]


def intervals_frame(
    context: Context, views: list[SiteView], raw: pl.DataFrame, peers: pl.DataFrame, addresses: Addresses
) -> pl.DataFrame:
    """Return the intervals with site, cause and confidence: the columns of `INTERVALS` but for the evidence."""
    n = raw.height
    cause, confidence = np.full(n, CODE["unknown"]), np.full(n, 0.3)
    for view in views:
        if view.facts is not None:
            rows = context.story.losses.row[view.losses]
            cause[rows], confidence[rows] = view.facts.cause, view.facts.confidence
    return raw.with_columns(
        peers["trunk"].gather(raw["phone"]),
        place(raw.select("peer", "start"), addresses, "start")["site"],
        words(cause, CAUSES).cast(CAUSE).alias("cause"),
        pl.Series("confidence", np.round(confidence, 3)),
        ((pl.col("end") - pl.col("start")).dt.total_microseconds() / 1e6).alias("seconds"),
        pl.col("tech").cast(TECH),
        pl.col("ended_by").cast(ENDING),
    )


def phones_frame(
    seen: Seen, addresses: Addresses, intervals: pl.DataFrame, context: Context, refusals: pl.DataFrame
) -> pl.DataFrame:
    """Return one row per phone and trunk, refused accounts and phones that are not probed among them; `PHONES`."""
    away = pl.col("end").fill_null(pl.lit(seen.log.last, dtype=UTC_TIME)) - pl.col("start")
    lost = intervals.group_by("peer").agg(
        pl.len().cast(pl.Int64).alias("losses"),
        (away.dt.total_microseconds().clip(lower_bound=0).sum() / 1e6).alias("unreachable_s"),
    )
    known = seen.peers.with_columns(pl.Series("period_s", context.story.periods).fill_nan(None).round(1))
    last = addresses.seen.group_by("peer", maintain_order=True).agg(pl.last("address").alias("site"))
    known = known.join(last, on="peer", how="left", maintain_order="left")
    strangers = refusals.filter(~pl.col("peer").is_in(known["peer"].implode())).unique("peer", maintain_order=True)
    site = pl.col("address").replace(addresses.site_of).alias("site")
    strangers = strangers.select("peer", site, "first", "last", ever_registered=pl.lit(value=False))
    counts = refusals.group_by("peer").agg(pl.sum("refused"))
    aside = _unwatched(seen.log)
    frame = pl.concat([known, strangers, aside], how="diagonal_relaxed")
    for more in (lost, counts, late(seen.states), seen.observation.probed):
        frame = frame.join(more, on="peer", how="left", maintain_order="left")
    status = pl.lit("unknown") if seen.observation.lacking.deaf.height else pl.col("status").fill_null("unknown")
    frame = frame.with_columns(
        pl.col("losses", "refused", "late").fill_null(0).cast(pl.Int64),
        pl.col("unreachable_s", "observed_s").fill_null(0.0),
        status.cast(STATUS).alias("status"),
        pl.col("site").fill_null(UNKNOWN),
        pl.col("tech").cast(TECH),
        pl.col("trunk").fill_null(value=False),
        pl.when(pl.col("peer").is_in(aside["peer"].implode())).then(False).otherwise("probed").alias("probed"),
    )
    return PHONES.check(frame.sort("peer"))


def _unwatched(log: Log) -> pl.DataFrame:
    """Return what is known of the phones that the PBX does not probe."""
    lines = log.events.filter(pl.col("peer").is_in(unwatched(log))).drop_nulls("time")
    return lines.group_by("peer", maintain_order=True).agg(
        pl.col("tech").drop_nulls().last(),
        pl.col("address").drop_nulls().last().alias("site"),
        (pl.col("kind") == "registered").any().alias("ever_registered"),
        pl.min("time").alias("first"),
        pl.max("time").alias("last"),
    )
