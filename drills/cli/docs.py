"""The page drills/CHECKS.md, generated from the docstrings of the checks."""

import inspect
import sys
from collections.abc import Callable, Iterator

from drills.judge import checks
from drills.judge.measure import Check, Invariant

_HEAD = """# Checks

Every check that a claim may ask, from its own docstring. `python -m drills.cli.docs > drills/CHECKS.md` makes it.

A check is a pure function of a recorded run. An **invariant** can be true of every moment of a phase: `claim.always`
and `claim.eventually` take it. An **occurrence** happened at least once: `claim.never`, `claim.sometimes` and
`claim.reached` take it. Edges are pairs `(source, target)` of lab services; `drills.kit.lab` names the usual ones.
"""


def checks_page() -> str:
    """Return the page."""
    sections = (_section(name, getattr(checks, name)) for name in sorted(checks.__all__))
    return "\n".join([_HEAD, *sections])


def _section(name: str, make: Callable[..., Check]) -> str:
    kind = "invariant" if inspect.signature(make).return_annotation is Invariant else "occurrence"
    return "\n".join([f"## {name}", "", f"`{name}({', '.join(_parameters(make))})`: {kind}.", "", _text(make), ""])


def _parameters(make: Callable[..., Check]) -> Iterator[str]:
    for parameter in inspect.signature(make).parameters.values():
        star = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        yield f"{star}{parameter.name}{default}"


def _text(make: Callable[..., Check]) -> str:
    return inspect.cleandoc(make.__doc__ or "")


if __name__ == "__main__":
    sys.stdout.write(checks_page())
