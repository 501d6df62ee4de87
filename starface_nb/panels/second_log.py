"""Before and after: what a second log of the customer tells beside the case's own; nothing of it joins the case."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from starface_nb import charts
from starface_nb.errors import SettingError
from starface_nb.files import at_home
from starface_nb.guide import word
from starface_nb.guide.comparison import comparison_text

if TYPE_CHECKING:
    from starface_nb.cases import Case

KEY = "second_log"
"""The step id under which the second log's path is kept."""
_MOST_SITES = 12


def compared(case: Case, name: str) -> dict[str, Any]:
    """Return what stands in the template `second` about a log, nothing where none is named.

    Parameters
    ----------
    case : Case
    name : str
        The log's path, absolute or from the case's folder.

    Raises
    ------
    InputError
        The log cannot be read.
    SettingError
        It is the case's own log, or may be another customer's: nothing of it is shown.
    """
    if not name:
        return {}
    tr = case.translator
    other = case.read_other(at_home(name if name.startswith("~") else Path(case.folder or "", name)))
    found, earlier = case.compare_by_time(other)
    verdict, *sites = (list(lines) for told, lines in groupby(comparison_text(found, tr), bool) if told)
    if all(site.after is None for site in found.sites):
        why = word("compared_because", min((site.reason for site in found.sites), default="no_phone"), tr)
        raise SettingError(" ".join([*verdict, why]))
    few = len(sites) <= _MOST_SITES
    return {
        "name": Path(name).name or name,
        "earlier": earlier,
        "doubt": " ".join(verdict[1:]),
        "verdict": verdict[0],
        "sites": sites,
        "picture": Markup(charts.to_inline_svg(charts.before_after(found, case.language))) if few else "",  # noqa: S704  own
    }
