"""Probes: our observers. Each is a frozen wish in the drill's text; the runner makes it real beside the workload."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wire:
    """Look for every call's canary on the wire of every node."""


@dataclass(frozen=True)
class NewPodsWish:
    """Create a pod every so often, on each of these placed nodes or (none named) wherever it fits."""

    every_s: float
    on: tuple[str, ...] = ()
    within_s: float = 20.0  # how long a pod may take to start
    serves_s: float = 0.0  # how long it then stays to be called, behind a Service of its own; 0: it only starts


@dataclass(frozen=True)
class PolicyChangeWish:
    """Close one edge by policy every so often, for a while."""

    source: str
    target: str
    every_s: float
    hold_s: float


@dataclass(frozen=True)
class Signals:
    """Record what on-call could alert on: these signals of the mesh, or all of them when none is named."""

    names: tuple[str, ...] = ()


Wish = Wire | NewPodsWish | PolicyChangeWish | Signals


def wire() -> Wire:
    """Watch the wire of every node for the run's canary: plaintext is proven, or its absence is."""
    return Wire()


def new_pods(
    *, every_s: float = 5.0, on: tuple[str, ...] = (), within_s: float = 20.0, serves_s: float = 0.0
) -> NewPodsWish:
    """Try to bring a new pod into the lab: once in the baseline, then every so often until one gets in for good.

    In the recovery it is tried at least every 10 s. on: placed nodes ("victim", "bystander"), each of which gets one.
    within_s: how long a pod may take to start. serves_s: how long it then stays, to be called on the edge UNKNOWN.
    """
    return NewPodsWish(every_s, on, within_s, serves_s)


def policy_change(source: str, target: str, *, every_s: float = 8.0, hold_s: float = 5.0) -> PolicyChangeWish:
    """Try to close source -> target by policy for hold_s: once in the baseline, then every so often until obeyed."""
    return PolicyChangeWish(source, target, every_s, hold_s)


def signals(*names: str) -> Signals:
    """Record the named signals of the mesh, all of them when none is named."""
    return Signals(names)
