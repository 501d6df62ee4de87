"""What the analyst should know, as data: the guide turns each finding into a sentence."""

from __future__ import annotations

import polars as pl

from starface_nb.analysis.diagnosis import Finding
from starface_nb.analysis.settings import Settings
from starface_nb.reading.log import Log


def find_findings(
    log: Log,
    settings: Settings,
    intervals: pl.DataFrame,
    phones: pl.DataFrame,
    eras: pl.DataFrame,
    sites: pl.DataFrame,
) -> tuple[Finding, ...]:
    """Return the findings, the most urgent first."""
    found: list[Finding] = []
    for site in sites.iter_rows(named=True):
        if site["verdict"] == "too_short":
            found.append(
                Finding(
                    "nat_too_short",
                    "action",
                    site["site"],
                    {
                        "site": site["site"],
                        "low_s": site["low_s"],
                        "high_s": site["high_s"],
                        "probability": site["probability_too_short"],
                        "set_s": settings.recommended_timeout_s,
                    },
                )
            )
    _ = log, intervals, phones, eras
    return tuple(found)
