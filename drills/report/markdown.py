"""What the Markdown pages share: one environment for their templates."""

from functools import cache

import jinja2

from drills.report.formats import duration, ms, number


@cache  # to compile a template takes longer than to fill it in
def template(name: str) -> jinja2.Template:
    """Return the template of that file name beside this module."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("drills.report", ""),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown; `cell` escapes what a table cannot carry
    )
    environment.filters |= {"cell": _cell, "number": number, "ms": ms, "duration": duration, "joined": _joined}
    environment.filters["hypothesis_quote"] = _quote
    return environment.get_template(name)


def _cell(value: object) -> str:
    """Return the value as one line of a Markdown table."""
    return " ".join(number(value).split()).replace("|", "\\|")


def _joined(values: list[object]) -> str:
    return "; ".join(text for text in map(_cell, values) if text)


def _quote(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())
