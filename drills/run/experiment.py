"""The experiment of a drill as a value, and the request for one run that follows from it."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from clusters.model import Mesh, Reference, SignalSpec
from drills.judge import checks
from drills.judge.claims import Claim, always, stored
from drills.judge.measure import Need
from drills.judge.quantifiers import Quantifier
from drills.judge.records import StoredClaim
from drills.run.controls import NoFaultControl
from drills.run.faults import Fault, NoFault
from drills.run.faults.no_fault import no_fault
from drills.run.lab import (
    BYSTANDER,
    FRONT_DOOR,
    FRONT_DOOR_ALLOWED,
    ROUTES,
    VICTIM,
    Calls,
    new_pod_calls,
    outsider_calls,
    traffic,
)

_BASELINE_S = 10.0
_RECOVERY_S = 45.0
_RECOVERY_AT_LEAST_S = 10.0
_RUN_ID_BYTES = 6
_OF_ANY_RUN = "baseline"
_BEYOND_BOUND_S = 20.0
"""How long a recovery is watched after the longest bound of its claims: so a late recovery differs from none."""
_ENOUGH_CALLS = 80
"""A share of 99.9 % is decided by 60 calls of a route; some more, because a recovery does not begin with its window."""
_CALLERS = 2  # the lab runs two pods of each service
_MS_PER_S = 1000


class NewPods(msgspec.Struct, frozen=True):
    """Create a new pod in the lab: once in the baseline, then every `every_s`, and in the recovery until one joins.

    In the recovery the interval is at most 10 s. on: VICTIM and BYSTANDER create one pod on each of these nodes; empty
    creates one pod that the scheduler places. within_s: how long a pod may take to start. serves_s: how long a started
    pod then makes and serves calls. own_service: create the Service of the edge NEW_SERVICE with each pod; such a pod
    is called for serves_s whether it started or not.
    """

    every_s: float = 10.0
    on: tuple[str, ...] = ()
    within_s: float = 20.0
    serves_s: float = 4.0
    own_service: bool = False


class PolicyChanges(msgspec.Struct, frozen=True):
    """Deny source -> target by policy for hold_s: once in the baseline, then every `every_s`, until it is enforced."""

    source: str = FRONT_DOOR[0]
    target: str = FRONT_DOOR[1]
    every_s: float = 10.0
    hold_s: float = 8.0


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What a drill does and what it claims.

    method: the fault. claims: by id, in the order of the report; an id is kebab-case and never reused for another
    question. workload: the calls on the lab. new_pods, policy_changes: settings of these probes; a probe runs only if a
    claim needs it. baseline_s: how long the healthy mesh is watched before the fault, at least. recovery_at_least_s:
    how long the mesh is watched after the fault, even if it recovers earlier. Both are longer where calls are few.
    recovery_s: how long it is watched at most; by default 20 s longer than the longest bound of a claim about the
    recovery. only_named_signals: record only the signals that claims name, which keeps the evidence of a long drill
    small; by default a run records every signal of the mesh if one claim needs a signal.
    """

    method: Fault
    claims: Mapping[str, Claim]
    workload: tuple[Calls, ...] = field(default_factory=traffic)
    new_pods: NewPods = field(default_factory=NewPods)
    policy_changes: PolicyChanges = field(default_factory=PolicyChanges)
    baseline_s: float = _BASELINE_S
    recovery_at_least_s: float = _RECOVERY_AT_LEAST_S
    recovery_s: float | None = None
    only_named_signals: bool = False

    @property
    def needs(self) -> frozenset[Need]:
        """The observers that the claims need."""
        by_alert = frozenset({Need.SIGNALS}) if any(claim.alerts for claim in self.claims.values()) else frozenset()
        return by_alert.union(*(claim.check.needs for claim in self.claims.values()))

    def without_fault(self, mesh: Mesh) -> "Experiment":
        """Return the experiment of the no-fault control on a mesh: the same, and nothing is broken.

        It leaves out the claims that only a fault can make true, and those about the baseline: the baseline of a
        control is that of any other run, which asks them. For each signal of the mesh that a claim names, it claims
        that the signal is silent.
        """
        if isinstance(self.method, NoFault):
            return self
        kept = {
            name: claim for name, claim in self.claims.items() if not claim.needs_fault and claim.during != _OF_ANY_RUN
        }
        silent = {
            f"{name}-silent": always(checks.signal_absent(name), "run")
            for name in dict.fromkeys(_named_signals(self))
            if name in mesh.signals
        }
        return replace(self, method=no_fault(self.method), claims={**kept, **silent})


class Probes(msgspec.Struct, frozen=True, kw_only=True):
    """The probes of one run, one field for each kind, and the names of the recorded signals."""

    wire: bool = False
    new_pods: NewPods | None = None
    policy_change: PolicyChanges | None = None
    signals: tuple[str, ...] = ()


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one drill on one mesh, as data: enough to run it again from experiment.json.

    cluster: its name; if the cluster is kept, it can run the request again. leaf_ttl_s: lifetime of a workload's
    certificate there. control: the newest no-fault control of the drill on the mesh; None if there is none yet, and for
    a control itself.
    """

    run_id: str
    cluster: str
    drill: str
    mesh: str
    hypothesis: str
    workload: tuple[Calls, ...]
    fault: Fault
    probes: Probes
    baseline_s: float
    recovery_s: float
    recovery_at_least_s: float = _RECOVERY_AT_LEAST_S
    leaf_ttl_s: int = 0
    claims: tuple[StoredClaim, ...] = ()
    control: NoFaultControl | None = None

    @property
    def title(self) -> str:
        """Drill and mesh, for messages and the experiment's title."""
        return f"{self.drill} on {self.mesh}"


def request_of(
    experiment: Experiment,
    mesh: Mesh,
    *,
    drill: str,
    hypothesis: str,
    cluster: str,
    run_id: str,
    control: NoFaultControl | None = None,
) -> Request:
    """Return the request for one run on a mesh, with the mesh's promise for each claim."""
    return Request(
        run_id=run_id,
        cluster=cluster,
        drill=drill,
        mesh=mesh.name,
        hypothesis=hypothesis,
        workload=_workload(experiment),
        fault=experiment.method,
        probes=_probes(experiment, mesh),
        baseline_s=max(experiment.baseline_s, _enough_s(experiment)),
        recovery_s=max(_recovery_s(experiment), _enough_s(experiment)),
        recovery_at_least_s=max(experiment.recovery_at_least_s, _enough_s(experiment)),
        leaf_ttl_s=mesh.certificates.leaf_ttl_s,
        claims=stored(promised(experiment.claims, mesh, drill)),
        control=control,
    )


def new_run_id() -> str:
    """Return a new id: two runs must never share lines in the lab's logs."""
    return secrets.token_hex(_RUN_ID_BYTES)


def promised(claims: Mapping[str, Claim], mesh: Mesh, drill: str) -> dict[str, Claim]:
    """Return the claims with the mesh's promises; a claim with quantifier `reached` has none."""
    return {
        name: claim if claim.quantifier is Quantifier.REACHED else claim.promised_by(_promise(mesh, drill, name))
        for name, claim in claims.items()
    }


def _promise(mesh: Mesh, drill: str, claim: str) -> Reference | None:
    found = mesh.promises.of(drill, claim)
    return None if found is None else msgspec.convert(found, Reference, from_attributes=True)


def signals_of(request: Request, mesh: Mesh) -> tuple[SignalSpec, ...]:
    """Return the signals that the run records."""
    return tuple(mesh.signals[name] for name in request.probes.signals)


def _workload(experiment: Experiment) -> tuple[Calls, ...]:
    """Return the calls of the drill, and those that its claims need: of new pods, and from outside the mesh."""
    needs, found = experiment.needs, tuple(experiment.workload)
    if Need.NEW_PODS in needs:
        found += new_pod_calls()
    if Need.OUTSIDERS in needs:
        found += outsider_calls(found)
    return found


def _probes(experiment: Experiment, mesh: Mesh) -> Probes:
    needs = experiment.needs
    return Probes(
        wire=Need.WIRE in needs,
        new_pods=_new_pods(experiment) if Need.NEW_PODS in needs else None,
        policy_change=experiment.policy_changes if Need.POLICY_CHANGES in needs else None,
        signals=_signals(experiment, mesh) if Need.SIGNALS in needs else (),
    )


def _new_pods(experiment: Experiment) -> NewPods:
    """Return the settings of the probe; claims about pods of one node need one pod on each of the placed nodes."""
    named = {claim.check.params.get("on") for claim in experiment.claims.values() if Need.NEW_PODS in claim.check.needs}
    if not named & {VICTIM, BYSTANDER}:
        return experiment.new_pods
    return msgspec.structs.replace(experiment.new_pods, on=(VICTIM, BYSTANDER))


def _signals(experiment: Experiment, mesh: Mesh) -> tuple[str, ...]:
    """Return the signals to record; the judge reports a signal that a claim names and the mesh lacks."""
    if not experiment.only_named_signals:
        return tuple(sorted(mesh.signals))
    return tuple(name for name in dict.fromkeys(_named_signals(experiment)) if name in mesh.signals)


def _named_signals(experiment: Experiment) -> Iterator[str]:
    for claim in experiment.claims.values():
        yield from claim.check.signals
        yield from claim.alerts


def _enough_s(experiment: Experiment) -> float:
    """Return how long a phase must last so that each route has calls enough to show that none is lost.

    A drill that calls at a slower pace needs longer phases, not weaker claims.
    """
    asked = {*ROUTES, FRONT_DOOR_ALLOWED}
    slowest_ms = max((it.every_ms for it in experiment.workload if (it.source, it.target) in asked), default=0.0)
    return _ENOUGH_CALLS * slowest_ms / _CALLERS / _MS_PER_S


def _recovery_s(experiment: Experiment) -> float:
    if experiment.recovery_s is not None:
        return experiment.recovery_s
    recovering = (
        claim
        for claim in experiment.claims.values()
        if claim.quantifier is Quantifier.EVENTUALLY and claim.during == "recovery"
    )
    bound_s = max((claim.within_s for claim in recovering), default=_RECOVERY_S - _BEYOND_BOUND_S)
    return max(bound_s + _BEYOND_BOUND_S, experiment.recovery_at_least_s)
