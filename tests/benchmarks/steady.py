"""How steady the answers are: with each number of the model moved, and with a log that grows.

    python -m tests.benchmarks.steady numbers --sites 30     each number 30 % up and down, one after the other
    python -m tests.benchmarks.steady prefixes --logs 200    every 2 % of the lines of recorded and simulated logs

A number that may not be moved is a fact of the protocol, one that changes nothing is none of the model's: both are
printed. A growing log may change its mind while little is known; a site once called too short with a probability of
0.95 and ten losses behind it must not be called healthy later while its router is the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import Pool
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

import starface_nb as sf
from starface_nb.analysis.diagnose import Seen, examine
from starface_nb.model.priors import PRIORS, ROWS
from starface_nb.observations.intervals import by_peer, with_states
from starface_nb.observations.observed import observe
from starface_nb.observations.phones import find_peers
from starface_nb.reading.log import Log
from starface_nb.settings import Settings
from starface_nb.simulation import simulate
from tests.benchmarks._truth import Score, Truth, hold_against, macro_f1, read_truth
from tests.simulation.families import FAMILIES, make

RECORDED = Path(__file__).parents[2] / "data" / "recorded"
FIRST = 7_000_000
SHARE = 0.3
STEPS = 50
SURE, ENOUGH = 0.95, 10
FEWEST, NO_TOSS = 5, 0.6
"""Losses from which on a cause counts in macro-F1 here, and how sure an answer must have been: what is told with 0.52
may go the other way."""

Place = tuple[int, ...]


# -- each number moved ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """A log with its truth, read and observed once."""

    name: str
    truth: Truth
    seen: Seen

    @classmethod
    def of(cls, name: str, log: Log, truth: Truth) -> Known:
        """Observe a log."""
        states = with_states(log.events)
        peers = find_peers(states)
        return cls(
            name, truth, Seen(log, states, peers, by_peer(states, peers["peer"]), observe(log, states, peers, {}))
        )

    @classmethod
    def recorded(cls, name: str) -> Known:
        """Return a recorded log."""
        folder = RECORDED / name
        return cls.of(name, sf.read_log(folder / "pbx.log", progress=False), read_truth(folder / "truth.json"))

    @classmethod
    def simulated(cls, family: str, seed: int, tech: str = "SIP", **wish: float) -> Known:
        """Return a simulated log."""
        scenario = make(family, seed, sf.simulation.Wish(**wish))  # type: ignore[arg-type]
        made = simulate(replace(scenario, tech=tech), seed)
        return cls.of(f"{family}:{seed}:{tech}", made.log, read_truth(made.truth))

    def score(self) -> Score:
        """Explain the log with the numbers as they are now."""
        return hold_against(self.truth, examine(self.seen, Settings(keepalive_s=self.truth.keepalive_s)))


@dataclass(frozen=True)
class Outcome:
    """What all logs together came to: sites with a wrong verdict, and each loss's true and told cause."""

    wrong: frozenset[tuple[str, str, int]]
    told: tuple[tuple[str, str], ...]
    confidence: tuple[float, ...]

    @classmethod
    def of(cls, logs: Sequence[Known]) -> Outcome:
        """Explain the logs."""
        scores = [log.score() for log in logs]
        wrong = {(s.customer, s.site, s.era) for score in scores for s in score.sites if s.verdict != s.truth_verdict}
        told = tuple(pair for score in scores for pair in score.pairs)
        return cls(frozenset(wrong), told, tuple(c for score in scores for c in score.confidence))

    def f1(self, usual: Outcome | None = None) -> float:
        """Return macro-F1 over the causes of some losses, without those that were as good as tossed for before."""
        sure = (usual or self).confidence
        _, table = macro_f1([pair for pair, c in zip(self.told, sure, strict=True) if c >= NO_TOSS])
        f1 = [2 * r * p / (r + p) if r + p else 0.0 for r, p, count in table.values() if count >= FEWEST]
        return sum(f1) / len(f1)


def places(*, each: bool) -> Iterator[tuple[str, Place]]:
    """Yield every row of the priors, or every number in it."""
    for name, row in ROWS.items():
        yield from ((name, at) for at in (_leaves(row["value"]) if each else [()]))


def _leaves(value: object) -> Iterator[Place]:
    if isinstance(value, list):
        for i, part in enumerate(value):
            yield from ((i, *rest) for rest in _leaves(part))
    else:
        yield ()


@contextmanager
def moved(name: str, at: Place, share: float) -> Iterator[None]:
    """Move one number, or all of a row, by this share; a probability at most half of the way to certainty."""
    row = ROWS[name]
    probability = any(word in row["unit"] for word in ("probability", "share"))
    old = getattr(PRIORS, name)
    setattr(PRIORS, name, _scaled(old, at, 1 + share, probability=probability))
    try:
        yield
    finally:
        setattr(PRIORS, name, old)


def _scaled(value: object, at: Place, factor: float, *, probability: bool) -> object:
    if isinstance(value, list):
        chosen = at[:1] or range(len(value))
        return [_scaled(v, at[1:], factor, probability=probability) if i in chosen else v for i, v in enumerate(value)]
    number = float(value) * factor  # type: ignore[arg-type]
    return min(number, (1 + float(value)) / 2) if probability and value <= 1 else number  # type: ignore[operator,arg-type]


def _moved_outcome(job: tuple[str, Place, float]) -> tuple[str, Place, float, Outcome]:
    name, at, share = job
    with moved(name, at, share):
        return name, at, share, Outcome.of(_LOGS)


_LOGS: list[Known] = []


def numbers(sites: int, first: int, workers: int) -> None:
    """Print what each number does when it is moved."""
    _LOGS[:] = [Known.recorded(p.name) for p in sorted(RECORDED.iterdir()) if p.is_dir()]
    families, seed = list(FAMILIES), first
    while sum(len(log.truth.sites) for log in _LOGS) < sites:
        _LOGS.append(Known.simulated(families[seed % len(families)], seed, ("SIP", "PJSIP")[seed // 9 % 2]))
        seed += 1
    usual = Outcome.of(_LOGS)
    print(f"{len(_LOGS)} logs, {len(usual.told)} losses: macro-F1 {usual.f1():.3f}, {len(usual.wrong)} verdicts wrong")
    print(f"{'number':28s} {'moved':>6s} {'macro-F1':>9s} {'worse':>7s} {'told else':>9s}  verdicts newly wrong")
    still, jobs = [], [(name, at, share) for name, at in places(each=True) for share in (-SHARE, SHARE)]
    with Pool(workers) as pool:  # forked, so that the logs are read once
        for name, at, share, found in pool.imap(_moved_outcome, jobs):
            label = ".".join([name, *map(str, at)])
            changed = sum(a != b for a, b in zip(usual.told, found.told, strict=True))
            new = sorted(found.wrong - usual.wrong)
            if not changed and not new:
                still.append(f"{label} {share:+.0%}")
                continue
            worse = usual.f1() - found.f1(usual)
            print(
                f"{label:28s} {share:+6.0%} {found.f1(usual):9.3f} {worse:+7.3f} {changed:9d}  {new or ''}", flush=True
            )
    print(f"\nmoved without any cause or verdict told else ({len(still)} of {len(jobs)}): {', '.join(still)}")


# -- a log that grows -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Relapse:
    """A site that a shorter log called too short and a longer one healthy."""

    log: str
    site: str
    convicted: int
    losses: int
    cleared: int
    probability: float


def prefixes(lines: Sequence[str], steps: int = STEPS) -> Iterator[list[str]]:
    """Yield the first 1/steps of the lines, the first 2/steps, and so on."""
    for step in range(1, steps + 1):
        yield list(lines[: max(1, len(lines) * step // steps)])


def relapses(name: str, lines: Sequence[str], steps: int = STEPS, time_zone: str = "Europe/Berlin") -> list[Relapse]:
    """Return the sites of a log whose router never changed that are first convicted and then cleared.

    A site is known by its addresses. Phones without one stand together, whoever they are, until a line tells where each
    of them is: there the conviction is of the phones that were lost.
    """
    convicted: dict[frozenset[str], tuple[int, int]] = {}
    found = []
    for part in prefixes(lines, steps):
        case = _diagnosed(part, time_zone)
        for row in case.sites.iter_rows(named=True):
            here = pl.col("site").is_in([row["site"], *(row["addresses"] or ())]) & (pl.col("cause") == "nat_expiry")
            lost = case.intervals.filter(here)["peer"]
            names = frozenset((*(row["addresses"] or ()), *case.phones.filter(pl.col("site") == row["site"])["peer"]))
            losses = lost.len()
            before = [at for known, at in convicted.items() if known & names]
            if before and row["verdict"] == "no_expiry_seen":
                lines_then, losses_then = before[0]
                p = row["probability_too_short"]
                found.append(Relapse(name, row["site"], lines_then, losses_then, len(part), p))
            elif row["verdict"] == "too_short" and row["probability_too_short"] >= SURE and losses >= ENOUGH:
                convicted.setdefault(frozenset(row["addresses"] or lost), (len(part), losses))
    return found


def _diagnosed(lines: Sequence[str], time_zone: str) -> sf.Diagnosis:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "full"
        path.write_text("\n".join(lines) + "\n", "utf-8")
        return sf.diagnose(sf.read_log(path, time_zone=time_zone, progress=False))


def unchanged(lines: Sequence[str], truth: dict) -> list[str]:
    """Return the lines up to the first change of a router's timeout."""
    changes = [c["at"] for site in truth["sites"] for c in site["changes"] if "T_s" in c]
    first = min(changes, default="9")[:19].replace("T", " ")
    # ISO stamps are in the order of their texts; a log without a year in them has no change here.
    return [line for line in lines if not line.startswith("[2") or line[1:20].replace("T", " ") < first]


def _grown(job: tuple[str, int]) -> list[Relapse]:
    family, seed = job
    if family == "recorded":
        folder = sorted(p for p in RECORDED.iterdir() if p.is_dir())[seed]
        text = (folder / "pbx.log").read_text("utf-8", errors="replace")
        truth = sf.samples.truth(folder.name)
        return relapses(folder.name, unchanged(text.splitlines(), truth))
    scenario = make(family, seed)
    style = replace(scenario.style, date_format="iso", rotations=())
    made = simulate(replace(scenario, tech=("SIP", "PJSIP")[seed // 9 % 2], style=style), seed)
    return relapses(f"{family}:{seed}", unchanged(made.lines, made.truth), time_zone=scenario.time_zone)


def growing(logs: int, first: int, workers: int) -> None:
    """Print every relapse of the recorded and of simulated logs."""
    recorded = sum(p.is_dir() for p in RECORDED.iterdir())
    families = list(FAMILIES)
    jobs = [("recorded", i) for i in range(recorded)]
    jobs += [(families[seed % len(families)], seed) for seed in range(first, first + logs)]
    with Pool(workers) as pool:
        found = [relapse for part in pool.imap_unordered(_grown, jobs) for relapse in part]
    print(f"{recorded} recorded and {logs} simulated logs (seeds from {first}), {STEPS} prefixes each")
    print(f"sites convicted and cleared later: {len({(r.log, r.site) for r in found})}")
    for relapse in {(r.log, r.site): r for r in found}.values():
        print(f"  {relapse}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("numbers", "prefixes"))
    parser.add_argument("--sites", type=int, default=30)
    parser.add_argument("--logs", type=int, default=200)
    parser.add_argument("--first", type=int, default=FIRST)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if options.what == "numbers":
        numbers(options.sites, options.first, options.workers)
    else:
        growing(options.logs, options.first, options.workers)


if __name__ == "__main__":
    main()
