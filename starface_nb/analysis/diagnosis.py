"""The result of an analysis: frames, verdict and findings of one log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from starface_nb.analysis.settings import Settings

if TYPE_CHECKING:
    from starface_nb.reading.log import Log


@dataclass(frozen=True)
class Finding:
    """One thing the analyst should know, as data; its wording in a language is made by the guide.

    Attributes
    ----------
    id : str
        Which sentence, a key of the guide's findings.
    severity : str
        `action`, `warning` or `info`.
    site : str or None
        The site it is about, where it is about one.
    values : Mapping
        The numbers and names the sentence needs; durations in seconds, times as aware datetimes.
    """

    id: str
    severity: str
    site: str | None = None
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Diagnosis:
    """Everything known about one log; every frame has its schema in `starface_nb.analysis.schemas`."""

    log: Log
    settings: Settings
    intervals: pl.DataFrame
    phones: pl.DataFrame
    cycles: pl.DataFrame
    eras: pl.DataFrame
    sites: pl.DataFrame
    findings: tuple[Finding, ...]
