"""The frame of the HTML pages: self-contained, and with a content security policy that loads nothing."""

import base64
import hashlib
from functools import cache
from importlib.resources import files

import jinja2
from markupsafe import Markup

from drills.report import formats

_FOLDER = files("drills.report") / "templates"


def page(template: str, scripts: tuple[str, ...], **values: object) -> str:
    """Return the document of a template; the scripts are the only code that a browser may run in it."""
    return _environment(scripts).get_template(template).render(**values)


@cache  # compiling is the slowest part of a page
def _environment(scripts: tuple[str, ...]) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("drills.report", "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "number": formats.number,
        "ms": formats.ms,
        "duration": formats.duration,
        "offset": formats.offset,
        "utc": formats.utc,
        "arrow": _arrow,
        "breakable": _breakable,
    }
    environment.tests["linked"] = _is_linked
    script = "\n".join(f"{_read(name)};" for name in scripts)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals |= {
        "css": Markup(_read("style.css")),  # noqa: S704 - our own file
        "script": Markup(script),  # noqa: S704 - our own file
        "script_hash": f"sha256-{digest}",
    }
    return environment


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8").strip()


def _arrow(edge: str) -> str:
    return edge.replace("->", " \u2192 ")


def _breakable(name: str) -> Markup:
    """Return a name with possible line breaks after each underscore."""
    return Markup("_<wbr>").join(name.split("_"))


def _is_linked(address: str) -> bool:
    """Whether an address may become a link: http(s) only, never a script."""
    return address.startswith(formats.LINKED)
