"""The result of an analysis: frames, verdict and findings of one log."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import polars as pl

from starface_nb.analysis.restraint import Explained
from starface_nb.observations.addresses import PRIVATE
from starface_nb.text import visible

if TYPE_CHECKING:
    from starface_nb.analysis.router import RouterStory
    from starface_nb.bundle.facts import Fact


MOST_SITES = 20


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


def say(finding: str, severity: str, site: str | None = None, /, **values: object) -> Finding:
    """Return a finding with these values; the site it is about is one of them."""
    return Finding(finding, severity, site, {"site": site, **values} if site else values)


def about_peers(
    finding: str, severity: str, peers: Collection[str], site: str | None = None, **more: object
) -> Iterator[Finding]:
    """Yield a finding about phones, where there are any: how many and which, before what else it says."""
    if len(peers):
        yield say(finding, severity, site, phones=len(peers), peers=list(peers), **more)


@dataclass(frozen=True, repr=False)
class Diagnosis(Explained):
    """Everything known about one log; its further frames have their schemas in `analysis/frames.csv`.

    `sources` says which settings come out of the support bundle, and where they stand in it; `incident_of` names the
    incident of each interval.
    """

    findings: tuple[Finding, ...]
    calls_lost: pl.DataFrame
    sources: Mapping[str, Fact]
    incidents: pl.DataFrame
    incident_of: pl.Series
    router: RouterStory

    @property
    def behind_nat(self) -> pl.DataFrame:
        """The sites with a router in between, whose timeout may be too short."""
        return self.sites.filter(pl.col("site") != PRIVATE)

    def __repr__(self) -> str:
        """Return one line: what was found, in numbers."""
        told = self.sites.head(MOST_SITES).select("site", pl.col("verdict").cast(pl.String))
        verdicts = ", ".join(f"{visible(site)}: {verdict}" for site, verdict in told.iter_rows())
        more = ", ..." if self.sites.height > MOST_SITES else ""
        phones = self.phones.filter(~pl.col("trunk")).height
        return f"Diagnosis({phones} phones, {self.intervals.height} unreachable intervals; {verdicts}{more})"

    def _repr_html_(self) -> str:
        """Return the sites with their brackets as a small table, everything from the log escaped."""
        head = "<tr><th>site</th><th>phones</th><th>verdict</th><th>NAT timeout</th><th>losses</th></tr>"
        losses = dict(self.intervals.group_by(pl.col("site").replace(self.home_of)).len().iter_rows())
        rows = "".join(
            f"<tr><td>{escape(visible(row['site']))}</td><td>{row['phones']}</td><td>{escape(row['verdict'])}</td>"
            f"<td>{escape(_bracket(row))}</td><td>{losses.get(row['site'], 0)}</td></tr>"
            for row in self.sites.head(MOST_SITES).iter_rows(named=True)
        )
        return f"<table>{head}{rows}</table>"


def _bracket(row: Mapping[str, Any]) -> str:
    low, high = row["low_s"], row["high_s"]
    if row["verdict"] == "undetermined":
        return "not known"
    return f"{low or 0:.0f} to {high:.0f} s" if high is not None else f"more than {low or 0:.0f} s"
