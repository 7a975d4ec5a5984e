"""Plays the lab's programs on the shared directory: answers a plan, logs calls, and stops on request.

It stands in for pods in tests of the harness; what a real service does is tested with the real program.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Self

import msgspec

from drills.run.plan import Caller, Plan, logs_dir, read_plan

Edge = tuple[str, str]
_TICK_S = 0.02
_MS = 1_000_000
_NEW_POD, _OUTSIDER = "new-pod", "outsider"


class Programs:
    """One thread that writes the logs of every pod in `pods` (pod name -> service)."""

    def __init__(  # noqa: PLR0913 - each is one way in which a lab can behave
        self,
        share: Path,
        pods: Mapping[str, str],
        *,
        nodes: tuple[str, ...],
        denied: frozenset[Edge] = frozenset(),
        is_broken: Callable[[], bool] = lambda: False,
        mute: frozenset[str] = frozenset(),
        new_pods: Callable[[], Iterable[str]] = tuple,
        dark: bool = False,
        peer: str = "lab/{source}",
    ) -> None:
        self._share = share
        self._pods = dict(pods)
        self._new_pods = new_pods  # those that exist now: each serves and calls until it is gone
        self._is_dark = dark  # no call of a new pod succeeds
        self._peer = peer  # what servers see of a caller
        self._begun_ns: dict[str, int] = {}
        self._nodes = nodes
        self._denied = denied
        self._is_broken = is_broken  # while true no route works
        self._mute = mute  # pods that never answer a plan
        self._seqs: dict[tuple[str, str, str], int] = {}
        self._served: dict[str, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join(5)

    def _run(self) -> None:
        live: Plan | None = None
        begun_ns = 0
        while not self._ended.wait(_TICK_S):
            plan = read_plan(self._share)
            if live is None and plan is not None and not plan.stop:
                live, begun_ns = plan, time.time_ns()
                self._ready(plan)
            elif live is not None and plan is not None:
                self._renew(live)
                self._call(live, begun_ns)
                if plan.stop or plan.run_id != live.run_id:
                    self._end(live)
                    live = None

    def _ready(self, plan: Plan) -> None:
        self._seqs.clear()
        self._served = dict.fromkeys(self._pods, 0)
        for pod, service in self._pods.items():
            if pod in self._mute:
                continue
            ours = [(caller.target, caller.connection) for caller in plan.callers if caller.source == service]
            self._write(plan, pod, type="ready", pod=pod, node="node-a", callers=ours)
        for node in self._nodes if plan.capture else ():
            self._write(plan, f"observer-{node}", type="wire_ready", node=node, interfaces=["eth0"])

    def _renew(self, plan: Plan) -> None:
        """Begin with the new pods that appeared, and end those that are gone."""
        names, known = set(self._new_pods()), {pod for pod, service in self._pods.items() if service == _NEW_POD}
        for pod in sorted(names - known):
            self._pods[pod], self._begun_ns[pod], self._served[pod] = _NEW_POD, time.time_ns(), 0
        for pod in sorted(known - names):
            self._end_pod(plan, pod)
            del self._pods[pod]

    def _call(self, plan: Plan, run_begun_ns: int) -> None:
        now_ns = time.time_ns()
        for caller in plan.callers:
            for pod in (pod for pod, service in self._pods.items() if service == caller.source):
                key, begun_ns = (pod, caller.target, caller.connection), self._begun_ns.get(pod, run_begun_ns)
                while (at_ns := begun_ns + int(self._seqs.get(key, 0) * caller.every_ms * _MS)) <= now_ns:
                    self._one(plan, caller, pod, at_ns)

    def _one(self, plan: Plan, caller: Caller, pod: str, at_ns: int) -> None:
        key = (pod, caller.target, caller.connection)
        seq = self._seqs[key] = self._seqs.get(key, 0) + 1
        call_id = f"{plan.canary}.{caller.source}.{caller.target}.{pod}.{caller.connection[0]}{seq - 1}"
        service = caller.target.removesuffix("-address")
        server = next((name for name, it in self._pods.items() if it == service), "")
        ok = bool(server) and not self._is_refused(caller.source, caller.target)
        if ok:
            self._served[server] += 1
            peer = self._peer.format(source=caller.source)
            seen = {"service": caller.target, "version": "v1", "source": caller.source, "status": 200, "peer": peer}
            self._write(plan, server, type="served", id=call_id, pod=server, node="node-a", at_ns=at_ns, **seen)
        self._write(
            plan,
            pod,
            type="call",
            id=call_id,
            seq=seq - 1,
            pod=pod,
            node="node-a",
            source=caller.source,
            target=caller.target,
            connection=caller.connection,
            scheduled_ns=at_ns,
            started_ns=at_ns + 1000,
            ended_ns=at_ns + _MS,
            outcome="ok" if ok else "fail",
            status=200 if ok else 403,
            error="" if ok else "http-403",
            reused=caller.connection == "reused",
            server_pod=server if ok else "",
            server_version="v1" if ok else "",
        )

    def _is_refused(self, source: str, target: str) -> bool:
        is_outsider = source == _OUTSIDER != target
        is_dark = self._is_dark and _NEW_POD in {source, target.removesuffix("-address")}
        return (source, target) in self._denied or is_outsider or is_dark or self._is_broken()

    def _end(self, plan: Plan) -> None:
        for pod in self._pods:
            self._end_pod(plan, pod)
        for node in self._nodes if plan.capture else ():
            self._write(plan, f"observer-{node}", type="wire_end", node=node, packets=9, dropped=0, hits=[])

    def _end_pod(self, plan: Plan, pod: str) -> None:
        for (caller, target, connection), count in self._seqs.items():
            if caller == pod:
                counts = {"scheduled": count, "written": count, "skipped": 0}
                self._write(plan, pod, type="end", pod=pod, target=target, connection=connection, **counts)
        if pod not in self._mute:
            served = self._served[pod]
            self._write(plan, pod, type="served_end", pod=pod, service=self._pods[pod], served=served)

    def _write(self, plan: Plan, writer: str, **line: object) -> None:
        with (logs_dir(self._share) / f"{writer}.jsonl").open("ab") as log:
            log.write(msgspec.json.encode({"at_ns": time.time_ns(), "run_id": plan.run_id, **line}) + b"\n")
