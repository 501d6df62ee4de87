"""Pages and texts from the templates that lie beside the code of their rooms."""

from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from starface_nb.text import unparted, visible


def fill(name: str, /, **values: object) -> str:
    """Return a template of the package, such as `report/page.html`, filled in.

    Every text that is put in is made visible, in HTML escaped, too: names from a log are never markup.
    """
    filled = _environment().get_template(name).render(values)
    return unparted(filled) if name.endswith(".html") else filled


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    environment.filters["lines"] = lambda text: Markup("\n").join(map(visible, text.split("\n")))
    return environment
