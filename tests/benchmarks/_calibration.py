"""What confidences and probabilities are worth: how often the answers given with them were right."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from tests.benchmarks._truth import Score, group

EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0 + 1e-9)
DECILES = (*tuple(i / 10 for i in range(10)), 1.0 + 1e-09)
SURE = 0.9
Told = list[tuple[float, bool]]


def binned(told: Told, edges: tuple[float, ...] = EDGES) -> list[dict[str, float]]:
    """Return for each bin that is not empty: its edges, how many answers, what they said and how many were right."""
    rows = []
    for low, high in itertools.pairwise(edges):
        part = [(c, right) for c, right in told if low <= c < high]
        if part:
            said, right = (sum(x[i] for x in part) / len(part) for i in (0, 1))
            rows.append({"from": low, "to": min(high, 1.0), "answers": len(part), "said": said, "right": right})
    return rows


def expected_error(rows: list[dict[str, float]]) -> float:
    """Return the expected calibration error: what was said beside what was right, weighed by the answers."""
    total = sum(row["answers"] for row in rows)
    return sum(row["answers"] * abs(row["said"] - row["right"]) for row in rows) / total if total else float("nan")


def causes_told(scores: Iterable[Score]) -> dict[str, Told]:
    """Return confidence and rightness of each cause told, NAT and the others apart; `unknown` claims nothing."""
    found: dict[str, Told] = {"nat_expiry": [], "others": []}
    for score in scores:
        for (true, said), (_, strict), sure in zip(score.pairs, score.strict, score.confidence, strict=True):
            if strict != "unknown":
                of = "nat_expiry" if strict == "nat_expiry" else "others"
                found[of].append((sure, group(said) == group(true)))
    return found


def timeouts_told(scores: Iterable[Score]) -> Told:
    """Return each site's probability of a timeout that is too short, and whether it was; sites with one timeout."""
    sites = [s for score in scores for s in score.sites if s.eras == 1 and s.probability is not None]
    return [(float(s.probability or 0.0), s.truth_verdict == "too_short") for s in sites]


def calibration(scores: list[Score]) -> dict[str, Any]:
    """Return what was measured, as data."""
    found = {name: {"rows": binned(told), **_sums(told)} for name, told in causes_told(scores).items()}
    return {**found, "too_short": {"rows": binned(timeouts_told(scores), DECILES)}}


def _sums(told: Told) -> dict[str, float]:
    sure = [right for c, right in told if c >= SURE]
    wrong = sure.count(False)
    return {"expected_error": expected_error(binned(told)), "sure": len(sure), "sure_and_wrong": wrong}


def print_calibration(scores: list[Score]) -> None:
    """Print it."""
    for name, part in calibration(scores).items():
        sums = f", expected error {part['expected_error']:.3f}, " if "sure" in part else ""
        if "sure" in part:
            sums += f"wrong at {SURE} or more: {part['sure_and_wrong']} of {part['sure']}"
        print(f"\ncalibration, {name}{sums}")
        for row in part["rows"]:
            bounds = f"{row['from']:.2f}-{row['to']:.2f}"
            print(f"  {bounds} {row['answers']:6d}  said {row['said']:.3f}  right {row['right']:.3f}")
