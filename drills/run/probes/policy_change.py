"""The probe of policy changes: denies one edge for a while, and records whether the change is accepted and enforced."""

import time
from typing import Literal

from clusters.kube import Admission, Json
from clusters.lab import load
from drills.judge.events import PolicyChangeStep
from drills.judge.records import NS_PER_S
from drills.run.context import Context
from drills.run.experiment import PolicyChanges
from drills.run.probes.base import Probe
from drills.run.undo import Pending
from drills.run.undo_entry import CreatedObject, ObjectRef

_ENFORCED_SHARE = 0.5  # of the hold, at its end, in which no call may succeed


class PolicyChangeProbe(Probe):
    """Applies a policy that denies one edge, holds it, removes it, and records the API server's answer to each step."""

    name = "policy-change"

    def __init__(self, context: Context, spec: PolicyChanges) -> None:
        super().__init__(context, every_s=spec.every_s)
        self._spec = spec
        self._count = 0

    def attempt(self, phase: str) -> bool:
        """Apply and remove the policy; good when the calls of the workload were denied meanwhile."""
        self._count += 1
        name = f"change-{self._context.run_id[:6]}-{self._count}"
        words = {"NAME": name, "SOURCE": self._spec.source, "TARGET": self._spec.target}
        (manifest,) = load(self._context.mesh.manifests / "policy" / "change.yaml", words)
        entry = CreatedObject(run_id=self._context.run_id, created=ObjectRef.of(manifest))
        pending = self._context.undo_log.write(entry)
        try:
            return self._hold(name, manifest)
        finally:
            self._remove(name, manifest, pending, phase)

    def _hold(self, name: str, manifest: Json) -> bool:
        answer = self._context.cluster.kube.apply(manifest)
        self._note(time.time_ns(), name, "apply", answer)
        if answer.outcome != "accepted":
            return False
        self._context.policies.saw(answer.object)
        self._context.phase.pause(self._spec.hold_s)
        since_ns = time.time_ns() - int(_ENFORCED_SHARE * self._spec.hold_s * NS_PER_S)
        return self._context.tail.is_closed((self._spec.source, self._spec.target), since_ns=since_ns)

    def _remove(self, name: str, manifest: Json, pending: Pending, phase: str) -> None:
        """Remove the policy whatever the answer to it was: a lost answer may have been a yes."""
        sent_ns = time.time_ns()
        answer = self._context.cluster.kube.delete(manifest)
        self._note(sent_ns, name, "remove", answer)
        if answer.outcome == "accepted":
            self._context.policies.lost(manifest)
        self._clean_up(pending, phase)

    def _note(self, at_ns: int, name: str, step: Literal["apply", "remove"], answer: Admission) -> None:
        said = PolicyChangeStep.Detail(
            step=step,
            outcome=answer.outcome,
            message=answer.message,
            source=self._spec.source,
            target=self._spec.target,
        )
        self._context.recorder.note(PolicyChangeStep(at_ns, name, said))
