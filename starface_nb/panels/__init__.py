"""Panels: the verdict, what happened, the checklist, the report, the start page; without writing code."""

from starface_nb.panels.canvas import Canvas
from starface_nb.panels.checklist import ChecklistPanel
from starface_nb.panels.handing_out import ReportPanel
from starface_nb.panels.start import Start
from starface_nb.panels.timeouts import Timeouts
from starface_nb.panels.verdict import Verdict

__all__ = ["Canvas", "ChecklistPanel", "ReportPanel", "Start", "Timeouts", "Verdict"]
