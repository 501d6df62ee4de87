"""What the log means: unreachable intervals, sites, renewal cycles, causes, the NAT timeout, before and after."""

from starface_nb.analysis.diagnose import diagnose
from starface_nb.analysis.settings import Settings

__all__ = ["Settings", "diagnose"]
