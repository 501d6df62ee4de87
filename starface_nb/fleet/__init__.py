"""Many customers at once."""

from starface_nb.fleet.page import fleet_html
from starface_nb.fleet.run import run_fleet
from starface_nb.fleet.schemas import FLEET

__all__ = ["FLEET", "fleet_html", "run_fleet"]
