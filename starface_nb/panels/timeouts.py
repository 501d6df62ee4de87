"""From cycles to the NAT timeout, site by site; pictures and text alone, the same with and without a kernel."""

import polars as pl

from starface_nb import charts
from starface_nb.cases import Case
from starface_nb.guide import word
from starface_nb.guide.words import site_bracket, site_name
from starface_nb.panels.base import CasePanel, safe
from starface_nb.text import unparted

_MOST_SITES = 6


class Timeouts(CasePanel):
    """Each site's cycles and the bracket that follows from them, the sites with most dead entries first.

    Parameters
    ----------
    case : Case
    """

    name = "NAT timeout"

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        tr, found = self.tr, case.diagnosis
        sites = found.sites.sort("cycles_expired", "cycles_survived", "site", descending=[True, True, False])
        text = tr(
            "A phone renews its entry in the router's NAT table with each REGISTER, and the PBX probes it about every "
            "{probe}. If the entry dies, a probe goes unanswered: the timeout lies between the last answered probe and "
            "the first lost one. Each such cycle gives a span of time; together they give the bracket.",
            probe=tr.duration(case.settings.probe_interval_s),
        )
        self.show(head=f"<h2>{safe(tr('The NAT timeout'))}</h2><p>{unparted(safe(text))}</p>")
        for n, row in enumerate(sites.head(_MOST_SITES).to_dicts()):
            bracket = site_bracket(row, tr)
            said = tr.joined(word("verdict", row["verdict"], tr), tr("timeout {bracket}", bracket=bracket))
            mine = pl.col("site") == row["site"]
            drawn = ""
            if found.cycles.filter(mine).height and found.phones.filter(mine).height:
                drawn = charts.to_inline_svg(charts.cycles(found, case.language, site=row["site"]))
            body = drawn or f"<p>{safe(tr('No cycle was seen here.'))}</p>"
            site = safe(tr("{name}: {text}", name=site_name(row["site"], tr), text=""))
            head = f"<summary><strong>{site}</strong> {unparted(safe(said))}</summary>"
            self.show(
                **{f"site{n}": f'<details data-arg="{n}"{"" if n else " open"}>{head}<div>{body}</div></details>'}
            )
