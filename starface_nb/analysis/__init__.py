"""What follows from the model: the diagnosis, its findings, before and after, the next experiment."""

from starface_nb.analysis.diagnose import diagnose
from starface_nb.analysis.experiment import what_next

__all__ = ["diagnose", "what_next"]
