"""How right the diagnosis is: brackets, verdicts and causes on simulated customers and on the recorded logs.

    python -m tests.benchmarks.accuracy --sites 500                 report on the seeds kept for reporting
    python -m tests.benchmarks.accuracy --sites 200 --tuning        the same on the seeds kept for tuning
    python -m tests.benchmarks.accuracy --one mixed:1007            one customer, every confusion
    python -m tests.benchmarks.accuracy --other ../old              beside another checkout's diagnosis, in one run

Reporting seeds begin at 1,000,000 (or at --first), tuning seeds at 0: nothing may be tuned on the former.
Printed beside the diagnosis: the naive reading "60 minutes minus the gap" and lifelines' NPMLE.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
import sys
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from multiprocessing import Pool
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import polars as pl

import starface_nb as sf
from starface_nb.simulation import simulate
from tests.benchmarks._baselines import Reading, gaps, naive, npmle, site_losses
from tests.benchmarks._calibration import calibration, print_calibration
from tests.benchmarks._truth import Score, SiteScore, Truth, hold_against, macro_f1, read_truth
from tests.simulation.families import FAMILIES, make

RECORDED = Path(__file__).parents[2] / "data" / "recorded"
KEPT = RECORDED.parent / "calibration.json"
REPORTING, TUNING = 1_000_000, 0
ENOUGH = 6
NEVER_TOO_SHORT = ("healthy", "one_bad_phone")


@dataclass
class Job:
    family: str
    seed: int
    lifelines: bool = True
    tech: str = "SIP"
    other: str = ""


@dataclass
class Result:
    score: Score
    tech: str
    other: Score | None
    readings: dict[str, list[tuple[SiteScore, Reading]]]


def work(job: Job) -> Result:
    """Simulate (or read) one customer and score it."""
    if job.family == "recorded":
        folder = sorted(p for p in RECORDED.iterdir() if p.is_dir())[job.seed]
        log, truth = sf.read_log(folder / "pbx.log"), read_truth(folder / "truth.json")
    else:
        made = simulate(replace(make(job.family, job.seed), tech=job.tech), job.seed)
        log, truth = made.log, read_truth(made.truth)
    began = time.perf_counter()
    try:
        settings = sf.Settings(keepalive_s=truth.keepalive_s)
        score = hold_against(truth, sf.diagnose(log, settings))
    except Exception:  # one broken customer must not hide the others
        score = Score(truth.name, truth.family, [], [], [], [], len(truth.intervals), 0, trouble=traceback.format_exc())
    score.seconds = time.perf_counter() - began
    other = _elsewhere(job, truth) if job.other else None
    return Result(score, job.tech, other, _beside(truth, score, gaps(log.events), job.lifelines))


_ELSEWHERE = """
import pickle, sys, starface_nb as sf
case = sf.diagnose(sf.read_log(sys.argv[1], time_zone=sys.argv[2], progress=False), keepalive_s=float(sys.argv[3]))
names = ("intervals", "sites", "eras", "phones")
sys.stdout.buffer.write(pickle.dumps({**{n: getattr(case, n).to_dict(as_series=False) for n in names},
    "registered": case.log.events.filter(case.log.events["kind"] == "registered").to_dict(as_series=False)}))
"""


def _elsewhere(job: Job, truth: Truth) -> Score:
    """Score what another checkout says of the same log."""
    with TemporaryDirectory() as folder:
        if job.family == "recorded":
            log, zone = sorted(p for p in RECORDED.iterdir() if p.is_dir())[job.seed] / "pbx.log", "Europe/Berlin"
        else:
            scenario = replace(make(job.family, job.seed), tech=job.tech)
            log, zone = simulate(scenario, job.seed).write(folder), scenario.time_zone
            (log.parent / "truth.json").unlink()
            log = log.parent
        command = [sys.executable, "-c", _ELSEWHERE, str(log), zone, str(truth.keepalive_s)]
        done = subprocess.run(command, cwd=job.other, env={**os.environ, "PYTHONPATH": job.other}, capture_output=True)
    if done.returncode:
        lines = done.stderr.decode().splitlines()
        return Score(truth.name, truth.family, [], [], [], [], len(truth.intervals), 0, trouble=lines[-1])
    frames = {name: pl.DataFrame(columns) for name, columns in pickle.loads(done.stdout).items()}  # noqa: S301
    events = frames.pop("registered")
    return hold_against(truth, SimpleNamespace(**frames, log=SimpleNamespace(events=events)))


def _beside(truth: Truth, score: Score, losses: object, lifelines: bool) -> dict[str, list[tuple[SiteScore, Reading]]]:
    found: dict[str, list[tuple[SiteScore, Reading]]] = {"naive": [], "lifelines": []}
    for site in truth.sites:
        mine = [s for s in score.sites if s.site == site.name]
        if len(mine) != 1:
            continue
        here = site_losses(losses, site.addresses)  # type: ignore[arg-type]
        found["naive"].append((mine[0], naive(here, truth)))
        if lifelines:
            found["lifelines"].append((mine[0], npmle(here, truth)))
    return found


def jobs(
    sites: int, first: int, families: list[str], lifelines: bool, techs: tuple[str, ...] = ("SIP",), other: str = ""
) -> Iterator[Job]:
    """Yield customers, the families in turn and the dialects after each round, until they have `sites` sites."""
    seed, count = first, 0
    while count < sites:
        family = families[seed % len(families)]
        count += len(make(family, seed).sites)
        yield Job(family, seed, lifelines, techs[seed // len(families) % len(techs)], other)
        seed += 1


# -- figures ----------------------------------------------------------------------------------------------------------


@dataclass
class Figures:
    """What is reported of one set of sites."""

    sites: int
    coverage: float
    bracketed: int
    width: float
    ratio: float
    verdict: float
    judged: int
    false_alarms: int
    healthy: int
    f1: float


def figures(sites: list[SiteScore], pairs: list[tuple[str, str]]) -> Figures:
    """Sum up."""
    measured = [s for s in sites if s.expired and s.oracle[1] is not None and 60 < s.timeout_s <= 3480]
    closed = [s for s in measured if s.high is not None]
    judged = [s for s in sites if s.cycles >= ENOUGH]
    calm = [s for s in sites if s.truth_verdict == "no_expiry_seen"]
    width = median([s.width for s in closed]) if closed else float("nan")
    oracle = median([s.oracle_width for s in closed]) if closed else float("nan")
    return Figures(
        len(sites), _share(s.contained for s in measured), len(measured), width, width / oracle,
        _share(s.verdict == s.truth_verdict for s in judged), len(judged),
        sum(s.verdict == "too_short" for s in calm), len(calm), macro_f1(pairs)[0] if pairs else float("nan"),
    )  # fmt: skip


def _sums(scores: list[Score]) -> Figures:
    return figures([s for score in scores for s in score.sites], [p for score in scores for p in score.pairs])


def _share(values: Iterator[bool]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else float("nan")


def _line(name: str, f: Figures) -> str:
    return (
        f"{name:18s} {f.sites:5d} {f.coverage:8.1%} of {f.bracketed:4d} {f.width:7.0f} s {f.ratio:6.2f}x "
        f"{f.verdict:8.1%} of {f.judged:4d} {f.false_alarms:4d} of {f.healthy:4d} {f.f1:8.3f}"
    )


HEAD = f"{'':18s} sites bracket holds T   width   /oracle    verdict right  false alarms   macro-F1"


def _other(results: list[Result], name: str) -> Figures:
    sites = []
    for result in results:
        for site, reading in result.readings[name]:
            copy = SiteScore(**site.__dict__)
            copy.low, copy.high, copy.verdict = reading.low, reading.high, reading.verdict
            sites.append(copy)
    pairs = [(a, "nat_expiry") for r in results for a, _ in r.score.pairs] if name == "naive" else []
    return figures(sites, pairs)


def _table(results: list[Result]) -> None:
    families: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        families[result.score.family].append(result)
    print(HEAD)
    for name in (n for n in (*FAMILIES, "recorded") if n in families):
        found = families[name]
        print(_line(name, _sums([r.score for r in found])))
    for tech in sorted({r.tech for r in results}):
        print(_line(tech, _sums([r.score for r in results if r.tech == tech])))
    print(_line("all", _sums([r.score for r in results])))
    others = [r.other for r in results if r.other]
    if others:
        print(_line("other checkout", _sums(others)))
    for name in ("naive", "lifelines"):
        print(_line(name, _other(results, name)))


def _causes(results: list[Result]) -> None:
    pairs = [p for r in results for p in r.score.pairs]
    missing, extra = sum(r.score.missing for r in results), sum(r.score.extra for r in results)
    strict = macro_f1([p for r in results for p in r.score.strict])[0]
    print(f"\nintervals: {len(pairs)} matched, {missing} missing, {extra} extra; macro-F1 {macro_f1(pairs)[0]:.3f}, ")
    print(f"{strict:.3f} without the benefit of the doubt where two causes leave the same lines")
    print(f"{'cause':18s} {'recall':>8s} {'precis.':>8s} {'count':>7s}   taken for")
    wrong: dict[str, Counter[str]] = defaultdict(Counter)
    _, table = macro_f1(pairs)
    from tests.benchmarks._truth import group

    for truth, said in pairs:
        if group(truth) != group(said):
            wrong[group(truth)][said] += 1
    for name, (recall, precision, count) in table.items():
        taken = ", ".join(f"{k} {v}" for k, v in wrong[name].most_common(4))
        print(f"{name:18s} {recall:8.3f} {precision:8.3f} {count:7d}   {taken}")


def _calibrated(results: list[Result]) -> None:
    print_calibration([r.score for r in results])
    others = [r.other for r in results if r.other]
    if others:
        print("\nother checkout:", end="")
        print_calibration(others)


def _changes(results: list[Result]) -> None:
    second = [s for r in results for s in r.score.sites if s.era == 1 and s.cycles >= ENOUGH]
    if second:
        errors = [abs(s.change_error_s) for s in second if s.change_error_s is not None]
        near = sum(e <= 3660 for e in errors)
        print(f"\nrouter changes: {len(second)}, found {len(errors)}, within one keepalive {near}")
    spurious = sum(s.found_eras > 1 for r in results for s in r.score.sites if s.eras == 1)
    print(f"changes seen where there was none: {spurious}")


def _worst(results: list[Result], limit: int) -> None:
    print("\nworst cases (simulate with make(family, seed); the name is family-seed)")
    shown = 0
    for result in results:
        for s in result.score.sites:
            what = _fault(s)
            if what and shown < limit:
                shown += 1
                low, high = (f"{s.low:.0f}" if s.low is not None else "-"), (f"{s.high:.0f}" if s.high else "-")
                print(
                    f"  {s.customer:24s} {s.site:7s} era {s.era}: {what}; T {s.timeout_s:.0f} {s.renewal}, "
                    f"({low}, {high}], oracle {s.oracle}, {s.verdict} p={s.probability}, {s.expired}/{s.cycles} cycles"
                )
    bad = sorted((r for r in results if r.score.confusions), key=lambda r: -len(r.score.confusions))
    for result in bad[:limit]:
        kinds = Counter(c.split(":")[0] for c in result.score.confusions)
        print(f"  {result.score.name:24s} causes: {', '.join(f'{k} x{v}' for k, v in kinds.most_common(3))}")
    for result in [r for r in results if r.score.trouble][:5]:
        print(f"  {result.score.name}: {result.score.trouble.splitlines()[-1]}")


def _fault(s: SiteScore) -> str:
    if s.verdict == "too_short" and s.truth_verdict != "too_short":
        return "FALSE ALARM"
    if s.expired and s.oracle[1] is not None and not s.contained:
        return "bracket misses T"
    if s.cycles >= ENOUGH and s.verdict != s.truth_verdict:
        return f"verdict should be {s.truth_verdict}"
    if s.eras == 1 and s.found_eras > 1:
        return "change where there was none"
    return ""


def run(found: list[Job], workers: int) -> list[Result]:
    """Score every customer."""
    if workers == 1:
        return [work(job) for job in found]
    with Pool(workers) as pool:
        return list(pool.imap_unordered(work, found, chunksize=2))


def _keep(results: list[Result], how: str) -> None:
    scores = [r.score for r in results]
    said = {"measured": f"{date.today():%Y-%m-%d}", "how": how, "losses": sum(len(s.pairs) for s in scores)}
    KEPT.write_text(json.dumps({**said, **calibration(scores)}, indent=1) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=500)
    parser.add_argument("--tuning", action="store_true")
    parser.add_argument("--first", type=int)
    parser.add_argument("--family", action="append", choices=list(FAMILIES))
    parser.add_argument("--one", metavar="FAMILY:SEED")
    parser.add_argument("--no-lifelines", action="store_true")
    parser.add_argument("--no-recorded", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--worst", type=int, default=25)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--tech", action="append", choices=["SIP", "PJSIP"], help="dialects in turn; default: both")
    parser.add_argument("--other", default="", metavar="FOLDER", help="another checkout, diagnosed beside this one")
    parser.add_argument("--keep", action="store_true", help=f"write the calibration to {KEPT.name}, for the notebook")
    options = parser.parse_args()
    first = options.first if options.first is not None else TUNING if options.tuning else REPORTING
    techs, other = tuple(options.tech or ("SIP", "PJSIP")), str(Path(options.other).resolve()) if options.other else ""
    todo = list(jobs(options.sites, first, options.family or list(FAMILIES), not options.no_lifelines, techs, other))
    if options.one:
        family, seed = options.one.split(":")
        todo = [Job(family, int(seed), not options.no_lifelines, techs[0], other)]
    began = time.perf_counter()
    results = sorted(run(todo, options.workers if len(todo) > 1 else 1), key=lambda r: r.score.name)
    print(f"{len(todo)} simulated customers, seeds from {first}, {time.perf_counter() - began:.0f} s")
    _table(results)
    _causes(results)
    _calibrated(results)
    _changes(results)
    _worst(results, options.worst)
    if options.one:
        print("\n".join(f"    {c}" for r in results for c in r.score.confusions))
        print("".join(r.score.trouble for r in results))
    elif not options.no_recorded:
        count = sum(p.is_dir() for p in RECORDED.iterdir())
        recorded = run([Job("recorded", i, not options.no_lifelines, "recorded", other) for i in range(count)], 1)
        print("\nrecorded logs")
        _table(recorded)
        _causes(recorded)
        _calibrated(recorded)
        _worst(recorded, options.worst)
    if options.keep:
        how = f"python -m tests.benchmarks.accuracy --sites {options.sites} --first {first} --keep"
        _keep(results, f"{len(todo)} simulated customers that nothing was tuned on, both dialects:\n{how}")
    if options.json:
        options.json.write_text(json.dumps([s.__dict__ for r in results for s in r.score.sites], indent=1))


if __name__ == "__main__":
    main()
