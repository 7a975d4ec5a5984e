"""Which policy objects are about a pod through others: a rule for a route, the route of a server, what the rule needs.

Two kinds of reference are told apart. What an object attaches to, in the words of the Gateway API, makes the object
about whatever that is about. Every other object that it names, it needs.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

_ATTACHES: Final = ("targetRef", "targetRefs", "parentRefs")

Manifests = Mapping[str, Mapping[str, object]]
"""Objects by `Kind namespace/name`."""


def related(objects: Manifests, is_about: Callable[[Mapping[str, object]], bool]) -> frozenset[str]:
    """Return the names of those that are about the pod, and of all that attach to one of them or are needed by one."""
    ours = {name for name, manifest in objects.items() if is_about(manifest)}
    while more := _next(objects, ours):
        ours |= more
    return frozenset(ours)


def _next(objects: Manifests, ours: set[str]) -> set[str]:
    attached = {name for name in objects if ours.intersection(_named(objects, name, attaches=True))}
    needed = {it for name in ours for it in _named(objects, name, attaches=False)}
    return (attached | needed).intersection(objects) - ours


def _named(objects: Manifests, name: str, *, attaches: bool) -> Iterator[str]:
    """Yield the objects that this one names, in its own namespace where it says none."""
    spec = objects[name].get("spec")
    home = name.partition(" ")[2].rpartition("/")[0]
    for key, value in spec.items() if isinstance(spec, Mapping) else ():
        if (key in _ATTACHES) is attaches:
            for it in value if isinstance(value, list) else (value,):
                if isinstance(it, Mapping):
                    yield f"{it.get('kind')} {it.get('namespace') or home}/{it.get('name')}"
