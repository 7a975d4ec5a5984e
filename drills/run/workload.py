"""The calls of a run: plan.json starts and stops them in the lab's programs."""

import secrets
from collections.abc import Sequence

from clusters.lab import LAB, OUTSIDE
from clusters.model import Mesh, SignalKind, SignalSpec
from clusters.runtime import wait_for
from drills.judge.history import Caller as ExpectedCaller
from drills.run.context import Context
from drills.run.experiment import Request, signals_of
from drills.run.facts import pods_ended_by
from drills.run.inventory import Inventory
from drills.run.lab import UNMESHED_PAIR, Calls
from drills.run.plan import Caller, CertificateTarget, Plan, ScrapeTarget, write_plan
from drills.run.undo_entry import LabCalls

_PORT = 8080
_SCRAPE_EVERY_S = 4.0  # a proxy renders all its statistics for each scrape
_CERTIFICATE_EVERY_S = 20.0  # each handshake costs the pod's proxy one signature


class Workload:
    """The calls of one run, from the plan to the last end line."""

    def __init__(self, context: Context, request: Request, pods: Inventory) -> None:
        self._context = context
        self._inventory = pods
        self._watches = request.probes.wire
        self._ended_pods = frozenset(pods_ended_by(request.fault, pods))
        self.expected = expected_callers(request.workload, pods)
        self._plan = Plan(
            run_id=request.run_id,
            canary=f"mdc{secrets.token_hex(8)}",
            identity_header=context.mesh.identity.header,
            callers=tuple(caller for spec in request.workload for caller in _callers(spec)),
            scrapes=_scrapes(signals_of(request, context.mesh), pods),
            certificates=_certificates(context.mesh, pods),
            capture=request.probes.wire,
        )

    def start(self) -> None:
        """Publish the plan and wait until every program has read it; HarnessError names the others."""
        self._context.undo_log.write(LabCalls(run_id=self._plan.run_id))
        write_plan(self._context.cluster.share, self._plan)
        timing = self._context.timing
        wait_for(
            "Every program of the lab at work",
            self._not_ready,
            within_s=timing.workload_ready_within_s,
            every_s=timing.poll_every_s,
        )

    def await_ends(self) -> None:
        """Wait, after the stop, until every program wrote its end line; HarnessError names the others.

        A program that the fault ended must write one only if it served requests again.
        """
        timing = self._context.timing
        wait_for(
            "Every program of the lab at its end",
            self._not_ended,
            within_s=timing.calls_end_within_s,
            every_s=timing.poll_every_s,
        )

    def _not_ready(self) -> str:
        at_work, watching = (
            self._context.tail.ready(),
            self._context.tail.watching() if self._watches else frozenset(self._context.cluster.nodes),
        )
        pods = [pod.name for pod in self._inventory.services if pod.name not in at_work]
        nodes = [node for node in self._context.cluster.nodes if node not in watching]
        silent = [
            f"{source}->{target}" for source, target in sorted(self._edges() - set(self._context.tail.pulse().recent))
        ]
        return _words({"plan not read by": pods, "no wire observer on": nodes, "no call yet on": silent})

    def _not_ended(self) -> str:
        ended, served = self._context.tail.ended(), self._context.tail.servers_ended()
        watched = self._context.tail.watched() if self._watches else frozenset(self._context.cluster.nodes)
        callers = [
            f"{caller.pod}->{caller.target} ({caller.connection})"
            for caller in self.expected
            if (caller.pod, caller.target, caller.connection) not in ended and caller.pod not in self._ended_pods
        ]
        excused = self._ended_pods - self._context.tail.late()
        servers = [pod.name for pod in self._inventory.services if pod.name not in served | excused]
        nodes = [node for node in self._context.cluster.nodes if node not in watched]
        return _words({"callers": callers, "servers": servers, "observers on": nodes})

    def _edges(self) -> set[tuple[str, str]]:
        return {(caller.source, caller.target) for caller in self.expected}


def expected_callers(specs: Sequence[Calls], inventory: Inventory) -> tuple[ExpectedCaller, ...]:
    """Return one entry per pod, target and connection: each must record a gapless sequence of calls."""
    return tuple(
        ExpectedCaller(pod.name, spec.source, spec.target, connection, spec.every_ms)
        for spec in specs
        for pod in inventory.of(spec.source)
        for connection in spec.connections
    )


def _callers(spec: Calls) -> tuple[Caller, ...]:
    namespace = OUTSIDE if spec.target in UNMESHED_PAIR else LAB
    host = f"{spec.target}.{namespace}.svc.cluster.local"
    return tuple(
        Caller(spec.source, spec.target, host, _PORT, spec.every_ms, connection, spec.timeout_ms, spec.knows_address)
        for connection in spec.connections
    )


def _scrapes(signals: Sequence[SignalSpec], inventory: Inventory) -> tuple[ScrapeTarget, ...]:
    """Return the metrics of meshed pods that the observers scrape, each on its own node."""
    metric_kinds = {SignalKind.METRIC_INCREASES, SignalKind.METRIC_BELOW}
    ports: dict[tuple[int, str], list[str]] = {}
    for signal in signals:
        if signal.kind in metric_kinds:
            ports.setdefault((signal.scrape_port, signal.scrape_path), []).append(signal.subject)
    return tuple(
        ScrapeTarget(pod.name, pod.node, f"http://{pod.address}:{port}{path}", _SCRAPE_EVERY_S, tuple(metrics))
        for (port, path), metrics in ports.items()
        for pod in inventory.services
        if pod.namespace == LAB
    )


def _certificates(mesh: Mesh, inventory: Inventory) -> tuple[CertificateTarget, ...]:
    """Return the meshed pods whose certificates the observers read; none if the mesh's pods present none."""
    handshake = mesh.certificates.handshake
    if handshake is None:
        return ()
    return tuple(
        CertificateTarget(
            pod=pod.name,
            node=pod.node,
            host=pod.address,
            port=handshake.port,
            alpn=handshake.alpn,
            server_name=mesh.identity.of(pod.namespace, pod.service_account) if handshake.by_name else "",
            every_s=_CERTIFICATE_EVERY_S,
        )
        for pod in inventory.services
        if pod.namespace == LAB
    )


def _words(missing: dict[str, list[str]]) -> str:
    return "; ".join(f"{what} {', '.join(names)}" for what, names in missing.items() if names)
