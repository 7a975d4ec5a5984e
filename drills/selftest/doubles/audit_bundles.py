"""A run that an auditor asks about, and the question, in few words."""

import base64
import hashlib
import json
from pathlib import Path

from drills.judge.events import CertificateShown, PodListed, PolicyListing, PolicyVersion
from drills.judge.history import History
from drills.judge.records import NS_PER_S
from drills.report.audit import answer
from drills.report.audit.answer import Audit, Question
from drills.report.audit.objects import Pod
from drills.report.bundles import Run
from drills.selftest.doubles.statements import ENVIRONMENT, HELD
from drills.selftest.doubles.story import START_NS, Story

EDGE = ("payment", "ledger")
T_S = 20.0
HOUR_NS = 3600 * NS_PER_S
LABELS = ["app=ledger", "version=v1"]
FINGERPRINT = hashlib.sha256(b"leaf").hexdigest()
CALLER = hashlib.sha256(b"caller").hexdigest()
CHAIN = [base64.b64encode(part).decode() for part in (b"leaf", b"root")]


def story() -> Story:
    """Return a story of calls that are served, of an edge that is refused, and of observers that see."""
    story = Story().watched().steady(EDGE).refused(("intruder", "ledger"))
    return story.event(
        PodListed, "ledger-1", at_s=0, service="ledger", namespace="lab", service_account="l", labels=LABELS
    )


def rule(app: str) -> str:
    """Return the manifest of a policy object that selects an app."""
    return json.dumps({"kind": "Rule", "spec": {"app": app}})


def present(story: Story, name: str, app: str, *, at_s: float, verb: str = "present", version: str = "7") -> Story:
    """Add one version of a policy object."""
    more = {} if verb == "gone" else {"resource_version": version, "manifest": rule(app)}
    return story.event(PolicyVersion, f"Rule lab/{name}", at_s=at_s, verb=verb, api_version="v1", **more)


def looked(story: Story, *offsets_s: float, error: str = "") -> Story:
    """Add listings of the policy objects, each answered a tenth of a second later."""
    for offset_s in offsets_s:
        answered_ns = START_NS + round((offset_s + 0.1) * NS_PER_S)
        story.event(PolicyListing, "Rule", at_s=offset_s, answered_ns=answered_ns, error=error)
    return story


def shown(story: Story, at_s: float, fingerprint: str = FINGERPRINT, *, pod: str = "ledger-1") -> Story:
    """Add a certificate that a pod showed, valid for an hour around the start."""
    validity = {"not_before_ns": START_NS - HOUR_NS, "not_after_ns": START_NS + HOUR_NS}
    return story.event(CertificateShown, pod, at_s=at_s, fingerprint=fingerprint, error="", **validity)


def is_about(policy: object, pod: Pod) -> bool:
    """Return whether a rule of this test selects the pod."""
    assert isinstance(policy, dict)
    return bool(policy["spec"]["app"] == pod.labels["app"])


def run_of(story: Story | History) -> Run:
    """Return the run of a story."""
    history = story if isinstance(story, History) else story.history()
    return Run(Path("bundle"), HELD, ENVIRONMENT, history, "ab" * 32, "unsigned")


def asked(
    story: Story, source: str = "payment", target: str = "ledger", *, at_s: float = T_S, route: str = ""
) -> Audit:
    """Ask of an instant, in seconds after the start."""
    return answer.ask(run_of(story), Question(START_NS + round(at_s * NS_PER_S), source, target, route), is_about)
