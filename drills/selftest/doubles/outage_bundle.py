"""A bundle of a story, with its verdict and its pages: one edge that loses calls, one that must be refused."""

from pathlib import Path

import msgspec

from clusters.model import KnownIssue, Reference, SignalKind, SignalSpec
from drills.judge import checks
from drills.judge.claims import always, eventually, judge, sometimes, stored
from drills.judge.events import ReplicaCount
from drills.judge.history import write_history
from drills.judge.verdict import Verdict
from drills.report import evidence
from drills.report.provenance import ImageRecord
from drills.report.run_file import Environment, OverrideRecord, PointRecord
from drills.selftest.doubles import bundle_cache
from drills.selftest.doubles.story import Story

EDGE, FORBIDDEN, FREE = ("frontend", "checkout"), ("intruder", "ledger"), ("payment", "ledger")
SOURCE = Reference("A <promise>", "https://example.org/promise?a=1&b=2", "1.0", "documented")
BY = ("control-plane-down",)
FLOW = checks.success_rate(EDGE, at_least=0.999)
CLAIMS = {
    "routes-keep-working": always(FLOW, alert=BY, within_s=20, promise=SOURCE),
    "denied-stay-denied": always(checks.denied(FORBIDDEN), must_hold=True),
    "control-plane-down-alerts": sometimes(checks.signal_seen("control-plane-down")),
    "routes-recover": eventually(FLOW, within_s=10),
}
ENVIRONMENT = Environment(
    meshdrill_version="0.1.0",
    command="meshdrill run test-drill --mesh story",
    hypothesis="It survives.\n\nAnd <b>recovers</b>.",
    mesh_title="A mesh & more",
    versions={"kind": "0.33.0", "helm": "3.22.0"},
    images=(ImageRecord("lab", "example.org/lab:1", "engine", "sha256:1", None, "registry example.org/lab:1"),),
    host={"kernel": "6.1", "cpus": 2, "builder_lacks": ()},
    overrides=(OverrideRecord("replicas", "1", "two <cores>"),),
    points=(PointRecord("A rule", "a <certificate>", "in the pod", "the called pod's proxy"),),
)


def outage() -> Story:
    """Return a story of a control-plane outage: thirty failed and ten unknown calls, and a refused stranger."""
    down = SignalSpec("control-plane-down", SignalKind.CONDITION, "ns/Deployment/brain")
    story = Story(signals=(down, SignalSpec("never-seen", SignalKind.METRIC_INCREASES, "lost_total")))
    story.refused(FORBIDDEN).steady(FREE)
    story.baseline().calls(*EDGE, ok=100).event(ReplicaCount, down.subject, ready=1, desired=1)
    story.fault().calls(*EDGE, ok=160, fail=30, info=10).new_pod("refused", at_s=2.0, message="no webhook")
    story.event(ReplicaCount, down.subject, at_s=1.5, ready=0, desired=1).change("intruder", "frontend", "accepted")
    return story.recovery().calls(*EDGE, ok=200).new_pod("admitted", meshed=True, at_s=3.0)


_verdicts: dict[bytes, Verdict] = {}


def verdict_of(story: Story) -> Verdict:
    """Return the verdict on a story; the same story is judged once."""
    key = bundle_cache.key_of(story)
    if key not in _verdicts:
        _verdicts[key] = _judged(story)
    return _verdicts[key]


def _judged(story: Story) -> Verdict:
    return judge(story.history(), CLAIMS)


def bundle_of(story: Story, place: Path, verdict: Verdict | None = None, listed: tuple[KnownIssue, ...] = ()) -> Path:
    """Write the bundle of a story, as a run does; listed: the known issues of the mesh then."""
    found = verdict or verdict_of(story)

    def write(to: Path) -> None:
        facts = msgspec.structs.replace(story.facts(), known_issues=listed, claims=stored(CLAIMS))
        write_history(to, story.table(), story.all_events(), facts)
        (to / "verdict.json").write_bytes(found.encode())
        evidence.write(to, found, ENVIRONMENT)

    return bundle_cache.once(bundle_cache.key_of(story, found, listed, place.name), place, write)


def reworded(verdict: Verdict, **changes: object) -> Verdict:
    """Return the verdict with other words in its first finding."""
    first = msgspec.structs.replace(verdict.findings[0], **changes)
    return msgspec.structs.replace(verdict, findings=(first, *verdict.findings[1:]))
