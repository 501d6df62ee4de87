"""The guide as data: checklist, ports, router defaults, texts in three languages."""

from starface_nb.guide.answers import answers_from_log, trouble_began
from starface_nb.guide.checklist import Answer, Given, Step, checklist, given, port_checklist, ports
from starface_nb.guide.conclusion import Conclusion, conclusion, headline, open_steps
from starface_nb.guide.i18n import LANGUAGES, Translator, translator
from starface_nb.guide.readings import keepalive_readings
from starface_nb.guide.routers import (
    at_site,
    defaults_in_bracket,
    find_product,
    products,
    registered_phone_defaults,
    router_default,
    routers,
    setting,
    sip_inspection,
    snippets,
)
from starface_nb.guide.words import bracket_text, cause_name, finding_text, word

__all__ = ["LANGUAGES", "Answer", "Conclusion", "Given", "Step", "Translator", "answers_from_log", "at_site",
           "bracket_text", "cause_name", "checklist", "conclusion", "defaults_in_bracket", "find_product",
           "finding_text", "given", "headline", "keepalive_readings", "open_steps",
           "port_checklist", "ports", "products", "registered_phone_defaults", "router_default", "routers",
           "setting", "sip_inspection", "snippets", "translator", "trouble_began", "word"]  # fmt: skip
