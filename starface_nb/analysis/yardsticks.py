"""The estimate beside the truth, where that is known."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.analysis.frames import AGAINST_TRUTH


def against_truth(case: Diagnosis, truth: Mapping[str, Any]) -> pl.DataFrame:
    """Return each site's bracket beside the timeout that its router really had; schema AGAINST_TRUTH, by site and era.

    Parameters
    ----------
    case : Diagnosis
    truth : Mapping
        A recorded or simulated log's truth: `sites[]` with `public_ip`, `T_s` and `changes`.
    """
    rows = []
    for place in truth["sites"]:
        addresses = {place["public_ip"], *(c["public_ip"] for c in place["changes"] if "public_ip" in c)}
        timeouts = [place["T_s"], *(c["T_s"] for c in place["changes"] if "T_s" in c)]
        found = list(_eras(case, addresses, alone=len(truth["sites"]) == 1))
        for era, timeout in enumerate(timeouts):
            row = found[min(era, len(found) - 1)] if found else dict.fromkeys(("low_s", "high_s", "verdict"))
            low, high = row["low_s"], row["high_s"]
            holds = None if low is None else low < timeout and (high is None or timeout <= high)
            known = {"low_s": low, "high_s": high, "verdict": row["verdict"], "holds": holds}
            rows.append({"site": place["public_ip"], "era": era, "true_s": float(timeout), **known})
    return AGAINST_TRUTH.frame(rows)


def _eras(case: Diagnosis, addresses: set[str], *, alone: bool) -> Iterator[dict[str, Any]]:
    for site, known in case.sites.select("site", "addresses").iter_rows():
        if addresses & {site, *known} or (alone and case.sites.height == 1):
            yield from case.eras.filter(pl.col("site") == site).sort("era").iter_rows(named=True)
