"""Many customers at once."""

from starface_nb.files import passing_folder
from starface_nb.fleet.engine import Scheduler
from starface_nb.fleet.page import as_text, fleet_html
from starface_nb.fleet.run import run_fleet
from starface_nb.fleet.schemas import FLEET

__all__ = ["FLEET", "Scheduler", "as_text", "fleet_html", "passing_folder", "run_fleet"]
