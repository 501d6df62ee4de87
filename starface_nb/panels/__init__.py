"""Panels: choose a log, look at what happened, walk the checklist, hand out the report; without writing code."""

from starface_nb.panels.checklist import ChecklistPanel
from starface_nb.panels.chooser import LogChooser
from starface_nb.panels.explorer import Explorer
from starface_nb.panels.handing_out import AnonymousCopy, ReportPanel

__all__ = ["AnonymousCopy", "ChecklistPanel", "Explorer", "LogChooser", "ReportPanel"]
