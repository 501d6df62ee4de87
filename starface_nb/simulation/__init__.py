"""A seeded simulator of phones, NAT router and PBX probes, with ground truth."""

from starface_nb.simulation.drawing import FAMILIES, Wish, make
from starface_nb.simulation.simulated import Simulated, earlier_files, simulate
from starface_nb.simulation.spec import Fault, Phone, Router, Scenario, Site, Style

__all__ = ["FAMILIES", "Fault", "Phone", "Router", "Scenario", "Simulated", "Site", "Style", "Wish", "earlier_files",
           "make", "simulate"]  # fmt: skip
