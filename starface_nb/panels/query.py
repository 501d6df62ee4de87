"""What an analyst has chosen of a case's losses, and how it is shown."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl


@dataclass(frozen=True)
class Query:
    """What is chosen: site, part of a phone's name, causes, a time (local, naive), an age (minutes), how it is shown.

    `kind` is `incidents`, `phones` or `losses`; `open` is the incident or phone that is unfolded, `row` the loss in the
    drawer.
    """

    site: str | None = None
    find: str = ""
    causes: frozenset[str] = frozenset()
    time: tuple[datetime, datetime] | None = None
    ages: tuple[float, float] | None = None
    zoomed: bool = False
    kind: str = "incidents"
    sort: str = "losses"
    down: bool = True
    page: int = 0
    open: int | None = None
    row: int | None = None
    lines: str = "phone"

    def fits(self) -> pl.Expr:
        """Say whether a loss is chosen, see `charts.losses.measured`."""
        fits = [pl.lit(value=True)]
        if self.site is not None:
            fits.append(pl.col("site") == self.site)
        if self.find:
            fits.append(pl.col("label").str.to_lowercase().str.contains(self.find.lower(), literal=True))
        if self.causes:
            fits.append(pl.col("cause").is_in(sorted(self.causes)))
        if self.time:
            fits += [pl.col("begin") <= self.time[1], pl.col("until") >= self.time[0]]
        if self.ages:
            fits.append(pl.col("age").is_between(*self.ages))
        return pl.all_horizontal(fits)
