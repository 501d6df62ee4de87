"""Which phone lost STARFACE Cloud when and why, and what the router's NAT timeout is.

import starface_nb as sf

log = sf.read_log("customer.zip", time_zone="Europe/Berlin")
case = sf.diagnose(log)
sf.charts.timeline(case)
"""

from __future__ import annotations

import sys
from importlib import import_module

# jsonschema's check of internationalised addresses, which nothing here asks for: its grammar takes seconds to build.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

TYPE_CHECKING = False  # what `typing` would say; it takes a while to load
if TYPE_CHECKING:
    from starface_nb import analysis, cases, charts, fleet, guide, panels, privacy, report, samples, simulation
    from starface_nb.analysis.compare import compare
    from starface_nb.analysis.diagnose import diagnose
    from starface_nb.reading import read_log
    from starface_nb.settings import Settings

__version__ = "0.2.0"
__all__ = ["Settings", "analysis", "cases", "charts", "compare", "diagnose", "fleet", "guide", "panels", "privacy",
           "read_log", "report", "samples", "simulation"]  # fmt: skip

_HOMES = {"read_log": "reading", "diagnose": "analysis", "compare": "analysis.compare", "Settings": "settings"}


def __getattr__(name: str) -> object:
    """Load a name of the package's face when it is first used, so that importing the package stays quick."""
    if name in _HOMES:
        value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    elif name in __all__:
        value = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
