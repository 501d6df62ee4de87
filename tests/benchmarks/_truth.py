"""Reads a truth (simulated or recorded) and holds a diagnosis against it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

RENAMED = {"phone_reboot": "phone_restart", "router_reboot": "router_restart"}
GROUPS = {"phone_restart": "phone", "phone_offline": "phone", "latency": "latency/loss", "packet_loss": "latency/loss"}
NO_SITE = "unknown"
PROBED_S = 60.0
Pairs = list[tuple[str, str]]


@dataclass
class Interval:
    """A true unreachable interval, times in seconds since 1970."""

    peer: str
    start: float
    end: float | None
    causes: tuple[str, ...]


@dataclass
class Era:
    """One true timeout of a site."""

    start: float
    end: float
    timeout_s: float
    renewal: str
    low: float
    high: float | None
    expired: int
    survived: int

    @property
    def verdict(self) -> str:
        """What is to be said of it: where any packet renews, probing keeps alive what lives longer than its interval.

        What died there while nobody probed needs no longer timeout.
        """
        short = self.timeout_s <= PROBED_S if self.renewal == "outbound" else self.timeout_s < 3600.0
        return "too_short" if self.expired and short else "no_expiry_seen"


@dataclass
class Site:
    name: str
    addresses: set[str]
    eras: list[Era]


@dataclass
class Truth:
    name: str
    family: str
    sites: list[Site]
    intervals: list[Interval]
    keepalive_s: float = 3600.0


@dataclass
class SiteScore:
    """How a diagnosis did at one true era of one site."""

    customer: str
    family: str
    site: str
    era: int
    eras: int
    timeout_s: float
    renewal: str
    truth_verdict: str
    cycles: int
    expired: int
    oracle: tuple[float, float | None]
    verdict: str = "missing"
    low: float | None = None
    high: float | None = None
    probability: float | None = None
    renewed_by: str = ""
    found_eras: int = 0
    change_error_s: float | None = None

    @property
    def contained(self) -> bool:
        return (self.low or 0.0) - 1.0 <= self.timeout_s <= (self.high if self.high is not None else 1e12) + 1.0

    @property
    def width(self) -> float:
        return 1e9 if self.high is None else self.high - (self.low or 0.0)

    @property
    def oracle_width(self) -> float:
        return 1e9 if self.oracle[1] is None else max(1.0, self.oracle[1] - self.oracle[0])


@dataclass
class Score:
    """How a diagnosis did on one customer; `pairs` (true and told cause), `strict` and `confidence` go together."""

    name: str
    family: str
    sites: list[SiteScore]
    pairs: list[tuple[str, str]]
    strict: list[tuple[str, str]]
    confidence: list[float]
    missing: int
    extra: int
    confusions: list[str] = field(default_factory=list)
    seconds: float = 0.0
    trouble: str = ""


def _epoch(text: str | None, zone: ZoneInfo) -> float | None:
    if text is None:
        return None
    when = datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=zone)).timestamp()


def read_truth(raw: dict[str, object] | Path, name: str = "") -> Truth:
    """Return the truth of a simulated or recorded log."""
    if isinstance(raw, Path):
        name, raw = name or raw.parent.name, json.loads(raw.read_text())
    data: dict = raw  # type: ignore[assignment]
    zone = ZoneInfo(data["time_zone"])
    first, last = _epoch(data["log_start"], zone), _epoch(data["log_end"], zone)
    intervals = [
        Interval(
            u["peer"],
            _epoch(u["start"], zone) or 0.0,
            _epoch(u["end"], zone),
            tuple(
                RENAMED.get(c, c) for c in (u["cause"], *(a if isinstance(a, str) else a["cause"] for a in u["also"]))
            ),
        )
        for u in data["unreachable_intervals"]
    ]
    keepalive = 600.0 if name == "undilated" else 3600.0
    sites = [_site(s, zone, first or 0.0, last or 0.0, data) for s in data["sites"]]
    return Truth(name or data["run"], data.get("family", "recorded"), sites, intervals, keepalive)


def _site(s: dict, zone: ZoneInfo, first: float, last: float, data: dict) -> Site:
    addresses = {s["public_ip"], *(c["public_ip"] for c in s["changes"] if "public_ip" in c)}
    if "eras" in s:
        starts = [_epoch(e["start"], zone) or 0.0 for e in s["eras"]]
        ends = [*starts[1:], last]
        eras = [
            Era(a, b, e["T_s"], e["refresh_policy"], e["oracle_low_s"], e["oracle_high_s"], e["cycles_expired"],
                e["cycles_survived"])
            for a, b, e in zip(starts, ends, s["eras"], strict=True)
        ]  # fmt: skip
    else:
        eras = _recorded_eras(s, zone, first, last, data)
    return Site(s["site"], addresses, eras)


def _recorded_eras(s: dict, zone: ZoneInfo, first: float, last: float, data: dict) -> list[Era]:
    changes = [(first, s["T_s"])] + [(_epoch(c["at"], zone) or 0.0, c["T_s"]) for c in s["changes"] if "T_s" in c]
    eras = []
    for i, (start, timeout) in enumerate(changes):
        end = changes[i + 1][0] if i + 1 < len(changes) else last
        lost = sum(
            u["cause"] == "nat_expiry" and u["site"] == s["site"] and start <= (_epoch(u["start"], zone) or 0) < end
            for u in data["unreachable_intervals"]
        )
        # The change acts from each mapping's next renewal, so losses right after it still belong to the old timeout.
        lost = 0 if i and timeout >= 3600 else lost
        step = 60.0
        low = timeout // step * step if lost else min(3600.0, timeout)
        low = low - step if lost and timeout % step == 0 else low
        cycles = sum(int((end - start) / p["reregister_s"]) for p in s["phones"])
        eras.append(
            Era(start, end, timeout, s["refresh_policy"], low, low + step if lost else None, lost, cycles - lost)
        )
    return eras


def hold_against(truth: Truth, case: object) -> Score:
    """Score a `Diagnosis`."""
    pairs, strict, sure, missing, extra, confusions = _causes(truth, case.intervals)  # type: ignore[attr-defined]
    # Of several sites, one whose address no line shows cannot be told apart; a single one is then "unknown", and where
    # strangers' refused registrations are all that a log holds, there is none.
    registered = case.log.events.filter(pl.col("kind") == "registered")  # type: ignore[attr-defined]
    shown = set(registered["address"].drop_nulls().to_list())
    told = case.phones.filter(pl.col("losses").gt(0) | pl.col("ever_registered") | (pl.col("status") != "unknown"))  # type: ignore[attr-defined]
    scores = [
        _era_score(truth, site, i, case.sites, case.eras)  # type: ignore[attr-defined]
        for site in truth.sites
        if site.addresses & shown or (len(truth.sites) == 1 and told.height)
        for i in range(len(site.eras))
    ]
    return Score(truth.name, truth.family, scores, pairs, strict, sure, missing, extra, confusions)


def _causes(truth: Truth, found: pl.DataFrame) -> tuple[Pairs, Pairs, list[float], int, int, list[str]]:
    """Pair true and told causes: with the benefit where the log cannot decide between two, and strictly."""
    theirs: dict[str, list[tuple[float, str, float]]] = {}
    rows = found.select("peer", pl.col("start").dt.epoch("ms") / 1000, "cause", "confidence")
    for peer, start, cause, confidence in rows.iter_rows():
        theirs.setdefault(peer, []).append((start, str(cause), confidence))
    pairs, strict, sure, missing, confusions = [], [], [], 0, []
    for interval in truth.intervals:
        mine = theirs.get(interval.peer, [])
        match = next((m for m in mine if abs(m[0] - interval.start) <= 1.5), None)
        if match is None:
            missing += 1
            continue
        mine.remove(match)
        if interval.causes[0] == "lab_jitter":
            continue
        either = match[1] in interval.causes or (match[1] == "unknown" and len(interval.causes) > 1)
        said = interval.causes[0] if either else match[1]
        pairs.append((interval.causes[0], said))
        strict.append((interval.causes[0], match[1]))
        sure.append(match[2])
        if group(said) != group(interval.causes[0]):
            when = datetime.fromtimestamp(interval.start, ZoneInfo("UTC")).strftime("%m-%d %H:%M:%S")
            confusions.append(f"{interval.causes[0]} -> {said}: {interval.peer} {when}Z")
    return pairs, strict, sure, missing, sum(map(len, theirs.values())), confusions


def group(cause: str) -> str:
    """Return the cause as it is scored: some causes count as one."""
    return GROUPS.get(cause, cause)


def _era_score(truth: Truth, site: Site, i: int, sites: pl.DataFrame, eras: pl.DataFrame) -> SiteScore:
    era = site.eras[i]
    score = SiteScore(
        truth.name, truth.family, site.name, i, len(site.eras), era.timeout_s, era.renewal, era.verdict,
        era.expired + era.survived, era.expired, (era.low, era.high),
    )  # fmt: skip
    rows = [r for r in sites.iter_rows(named=True) if {r["site"], *(r["addresses"] or [])} & site.addresses]
    if not rows and len(truth.sites) == 1:
        rows = [r for r in sites.iter_rows(named=True) if r["site"] == NO_SITE]
    if not rows:
        return score
    row = max(rows, key=lambda r: r["phones"])
    mine = [r for r in eras.iter_rows(named=True) if r["site"] == row["site"]]
    score.found_eras = len(mine)

    def overlap(r: dict) -> float:
        return min(era.end, r["end"].timestamp()) - max(era.start, r["start"].timestamp())

    best = max(mine, key=overlap) if len(site.eras) > 1 and mine else row
    score.verdict, score.low, score.high = str(best["verdict"]), best["low_s"], best["high_s"]
    score.probability, score.renewed_by = best["probability_too_short"], str(best["renewed_by"])
    if i and row["changed_at"] is not None:
        score.change_error_s = row["changed_at"].timestamp() - era.start
    return score


def macro_f1(pairs: list[tuple[str, str]]) -> tuple[float, dict[str, tuple[float, float, int]]]:
    """Return macro-F1 over the causes that occur, and recall, precision and count of each."""
    truth, said = [group(a) for a, _ in pairs], [group(b) for _, b in pairs]
    table, scores = {}, []
    for name in sorted(set(truth)):
        hits = sum(a == b == name for a, b in zip(truth, said, strict=True))
        count, calls = truth.count(name), said.count(name)
        table[name] = (hits / count, hits / calls if calls else 0.0, count)
        scores.append(2 * hits / (count + calls) if count + calls else 0.0)
    return (sum(scores) / len(scores) if scores else 1.0), table
