"""Which Kubernetes objects select a pod, and what runs in it. Pure: works on stored objects."""

import re
from collections.abc import Callable, Mapping

Labels = Mapping[str, str]

_OPERATORS: Mapping[str, Callable[[str | None, list[str]], bool]] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
}


def at_path(tree: object, *path: str) -> object:
    """Return the value at a path of nested objects, or None."""
    for name in path:
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree


def selects(selector: object, labels: Labels) -> bool:
    """Return whether a selector (matchLabels, matchExpressions) matches; an absent or empty one matches everything."""
    wanted, expressions = at_path(selector, "matchLabels"), at_path(selector, "matchExpressions")
    pairs = wanted.items() if isinstance(wanted, Mapping) else ()
    listed = expressions if isinstance(expressions, list) else []
    return all(labels.get(key) == value for key, value in pairs) and all(_fits(it, labels) for it in listed)


def bare(selector: object, prefixes: tuple[str, ...]) -> dict[str, object]:
    """Return a selector without the prefixes that a mesh adds to label names."""

    def key(label: object) -> str:
        text = str(label)
        return next((text.removeprefix(it) for it in prefixes if text.startswith(it)), text)

    wanted, expressions = at_path(selector, "matchLabels"), at_path(selector, "matchExpressions")
    pairs = wanted.items() if isinstance(wanted, Mapping) else ()
    listed = expressions if isinstance(expressions, list) else []
    return {
        "matchLabels": {key(name): value for name, value in pairs},
        "matchExpressions": [{**it, "key": key(it.get("key"))} for it in listed],
    }


def rules_select(policy: object, selector: str, labels: Labels, prefixes: tuple[str, ...]) -> bool:
    """Return whether a rule of an object (its `spec` or one of its `specs`) selects the pod.

    selector: the rule's field with the selector; a rule without it selects no pod. prefixes: see `bare`.
    """
    specs = at_path(policy, "specs")
    found = [at_path(rule, selector) for rule in (at_path(policy, "spec"), *(specs if isinstance(specs, list) else ()))]
    return any(it is not None and selects(bare(it, prefixes), labels) for it in found)


def network_policy_selects(policy: object, namespace: str, labels: Labels) -> bool:
    """Return whether a Kubernetes NetworkPolicy selects the pod with these labels."""
    return at_path(policy, "metadata", "namespace") == namespace and selects(
        at_path(policy, "spec", "podSelector"), labels
    )


def route_selects(route: object, namespace: str, service: str) -> bool:
    """Return whether the Service is a parent of a Gateway API route."""
    home, parents = at_path(route, "metadata", "namespace"), at_path(route, "spec", "parentRefs")
    return any(
        (at_path(it, "kind"), at_path(it, "namespace") or home, at_path(it, "name")) == ("Service", namespace, service)
        for it in (parents if isinstance(parents, list) else ())
    )


def has_container(pod: Mapping[str, object], name: str) -> bool:
    """Return whether the pod has a container or native sidecar of that name."""
    kinds = (at_path(pod, "spec", "initContainers"), at_path(pod, "spec", "containers"))
    return any(at_path(container, "name") == name for kind in kinds if isinstance(kind, list) for container in kind)


def deployment_of(pod: object) -> str:
    """Return the Deployment of a pod: its name without the two generated suffixes; "" for no name."""
    return re.sub(r"-[a-z0-9]{5,10}-[a-z0-9]{5}$", "", str(pod)) if pod else ""


def _fits(expression: object, labels: Labels) -> bool:
    """Return whether an expression matches. An unknown operator matches: a reader can skip an extra object."""
    fits = _OPERATORS.get(str(at_path(expression, "operator")))
    values = at_path(expression, "values")
    return fits is None or fits(labels.get(str(at_path(expression, "key"))), values if isinstance(values, list) else [])
