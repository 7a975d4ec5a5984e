"""What objects of Kubernetes say of a pod: who selects it, what runs in it. Pure: it can be told of stored objects."""

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
    """Return what lies at a path of nested objects, None when there is nothing."""
    for name in path:
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree


def selects(selector: object, labels: Labels) -> bool:
    """Tell whether a selector of matchLabels and matchExpressions fits; one that is absent or empty fits everything."""
    wanted, expressions = at_path(selector, "matchLabels"), at_path(selector, "matchExpressions")
    pairs = wanted.items() if isinstance(wanted, Mapping) else ()
    listed = expressions if isinstance(expressions, list) else []
    return all(labels.get(key) == value for key, value in pairs) and all(_fits(it, labels) for it in listed)


def bare(selector: object, prefixes: tuple[str, ...]) -> dict[str, object]:
    """Return a selector whose labels have lost the prefixes that a mesh puts before those of Kubernetes."""

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
    """Tell whether a rule of an object, its `spec` or one of its `specs`, is about the pod, by its selector so named.

    A rule that has no such selector is about no pod. prefixes: those of labels that `bare` takes away.
    """
    specs = at_path(policy, "specs")
    found = [at_path(rule, selector) for rule in (at_path(policy, "spec"), *(specs if isinstance(specs, list) else ()))]
    return any(it is not None and selects(bare(it, prefixes), labels) for it in found)


def network_policy_selects(policy: object, namespace: str, labels: Labels) -> bool:
    """Tell whether a NetworkPolicy of Kubernetes is about the pod with these labels."""
    return at_path(policy, "metadata", "namespace") == namespace and selects(
        at_path(policy, "spec", "podSelector"), labels
    )


def route_selects(route: object, namespace: str, service: str) -> bool:
    """Tell whether a route of the Gateway API is about that Service: it is one of the route's parents."""
    home, parents = at_path(route, "metadata", "namespace"), at_path(route, "spec", "parentRefs")
    return any(
        (at_path(it, "kind"), at_path(it, "namespace") or home, at_path(it, "name")) == ("Service", namespace, service)
        for it in (parents if isinstance(parents, list) else ())
    )


def has_container(pod: Mapping[str, object], name: str) -> bool:
    """Tell whether a container of the pod has that name, be it an ordinary one or a native sidecar."""
    kinds = (at_path(pod, "spec", "initContainers"), at_path(pod, "spec", "containers"))
    return any(at_path(container, "name") == name for kind in kinds if isinstance(kind, list) for container in kind)


def deployment_of(pod: object) -> str:
    """Return the Deployment of a pod, by the two endings that Kubernetes gave its name; "" for no name."""
    return re.sub(r"-[a-z0-9]{5,10}-[a-z0-9]{5}$", "", str(pod)) if pod else ""


def _fits(expression: object, labels: Labels) -> bool:
    """An operator that is not known here fits: an object too many that is shown can be left out by whoever reads it."""
    fits = _OPERATORS.get(str(at_path(expression, "operator")))
    values = at_path(expression, "values")
    return fits is None or fits(labels.get(str(at_path(expression, "key"))), values if isinstance(values, list) else [])
