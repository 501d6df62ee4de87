"""The guide as data: checklist, ports, router defaults, texts in three languages."""

from starface_nb.guide.answers import LogAnswer, answers_from_log, trouble_began
from starface_nb.guide.causes import cause_advice, cause_meaning, cause_name, word
from starface_nb.guide.checklist import Answer, Given, Step, checklist, given
from starface_nb.guide.conclusion import Conclusion, conclusion, headline, how_to_verify, keepalive_experiment
from starface_nb.guide.i18n import LANGUAGES, Translator, translator
from starface_nb.guide.limits import Experiment, Limit, experiment, limits
from starface_nb.guide.ports import PORTS, Port, port_checklist, ports
from starface_nb.guide.readings import Reading, Readings, keepalive_readings
from starface_nb.guide.routers import (
    ROUTERS,
    RouterDefault,
    defaults_in_bracket,
    find_product,
    is_enough,
    products,
    router_default,
    routers,
    setting,
)
from starface_nb.guide.words import bracket_text, timeout_text

__all__ = [
    "LANGUAGES",
    "PORTS",
    "ROUTERS",
    "Answer",
    "Conclusion",
    "Experiment",
    "Given",
    "Limit",
    "LogAnswer",
    "Port",
    "Reading",
    "Readings",
    "RouterDefault",
    "Step",
    "Translator",
    "answers_from_log",
    "bracket_text",
    "cause_advice",
    "cause_meaning",
    "cause_name",
    "checklist",
    "conclusion",
    "defaults_in_bracket",
    "experiment",
    "find_product",
    "given",
    "headline",
    "how_to_verify",
    "is_enough",
    "keepalive_experiment",
    "keepalive_readings",
    "limits",
    "port_checklist",
    "ports",
    "products",
    "router_default",
    "routers",
    "setting",
    "timeout_text",
    "translator",
    "trouble_began",
    "word",
]
