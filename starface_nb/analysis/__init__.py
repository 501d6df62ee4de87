"""What the log means: unreachable intervals, sites, renewal cycles, causes, the NAT timeout, before and after."""

from starface_nb.analysis.compare import compare, compare_at
from starface_nb.analysis.diagnose import diagnose
from starface_nb.analysis.experiment import what_next
from starface_nb.analysis.settings import Settings

__all__ = ["Settings", "compare", "compare_at", "diagnose", "what_next"]
