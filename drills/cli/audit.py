"""`meshdrill audit`: what a stored run recorded about one pair of services at one instant."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from clusters import meshes
from clusters.model import TargetPod
from clusters.runtime import InconclusiveError, UsageError
from drills.cli.keyring import public_key_in
from drills.judge.records import LAST_NS, NS_PER_S
from drills.report import bundles
from drills.report.audit import answer
from drills.report.audit import text as audit_text
from drills.report.audit.objects import Pod, Select


def ask(
    bundle: Path, *, at: str, source: str, target: str, route: str, as_json: bool, key: Path | None = None
) -> tuple[str, bool]:
    """Return the answer, as text or JSON, and whether the bundle shows what became of a call.

    Raises InconclusiveError for a bundle that does not match its statement, UsageError for an instant that cannot be
    parsed.
    """
    try:
        run = bundles.read(bundle, public_key_in(key))
    except bundles.BundleError as error:
        raise InconclusiveError(str(error)) from error
    question = answer.Question(instant_ns(at, answer.start_ns(run)), source, target, route)
    found = answer.ask(run, question, _select(run.verdict.mesh))
    text = json.dumps(msgspec.to_builtins(found), indent=2) if as_json else audit_text.render(found)
    return text, found.is_answered


def instant_ns(text: str, start_ns: int) -> int:
    """Parse an instant: RFC 3339, or signed seconds after the run's start, as +42."""
    try:
        if text.startswith(("+", "-")):
            return _bounded(text, start_ns + round(float(text) * NS_PER_S))
        moment = datetime.fromisoformat(text)
        seconds = int(moment.replace(microsecond=0).timestamp()) if moment.tzinfo else 0
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{text!r} is no instant: expected RFC 3339, as 2026-11-24T19:36:44Z, or seconds after the start, as +42."
        ) from error
    if moment.tzinfo is None:
        raise UsageError(f"{text!r} has no time zone: add Z for UTC, or an offset such as +01:00.")
    return _bounded(text, seconds * NS_PER_S + moment.microsecond * 1000)


def _bounded(text: str, at_ns: int) -> int:
    if not 0 <= at_ns <= LAST_NS:
        raise UsageError(f"{text!r} is no instant of a run: expected one from 1970 to 2116.")
    return at_ns


def _select(mesh: str) -> Select:
    """Return the mesh's test of whether a policy selects a pod; without one, every policy counts."""
    selects = meshes.load(mesh).policy.selects if mesh in meshes.names() else None

    def is_about(policy: Mapping[str, object], pod: Pod) -> bool:
        called = TargetPod(pod.namespace, pod.service, pod.service_account, pod.labels)
        return selects is None or selects(policy, called)

    return is_about
