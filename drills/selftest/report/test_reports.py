"""The committed evidence is what its own history says: every bundle under reports/ is judged again."""

import re
from pathlib import Path

import msgspec
import pytest

from drills.cli.judge import replay
from drills.judge import migration
from drills.judge.bundle_files import VERDICT_FILE
from drills.judge.history import History
from drills.judge.verdict import Verdict, read_verdict

REPORTS = Path(__file__).resolve().parents[3] / "reports"
BUNDLES = sorted(path.parent for path in REPORTS.glob(f"*/*/*/{VERDICT_FILE}"))
EACH = pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: "/".join(bundle.parts[-3:]))
_MAX_BYTES = 2_000_000


def test_there_is_evidence() -> None:
    """The repository carries real runs of a mesh and of its control."""
    assert {bundle.parent.name for bundle in BUNDLES} >= {"istio-sidecar", "none"}


@EACH
def test_bundle_is_judged_again_to_the_same_bytes(bundle: Path) -> None:
    """Same history, same claims: the stored verdict byte for byte; of the first format all of it but its wording."""
    again, stored = replay(History.load(bundle)), read_verdict(bundle)
    if migration.format_of(raw(bundle, "run.json")) == migration.FORMAT:
        assert again.encode() == stored.encode() == (bundle / VERDICT_FILE).read_bytes()
    else:
        assert without_wording(again) == without_wording(stored)


def without_wording(verdict: Verdict) -> object:
    """Return a verdict without its sentences, reasons and messages, and without what an example says of its call."""
    found = msgspec.to_builtins(verdict)
    for finding in found["findings"]:
        for part in (finding, *finding["rows"]):
            part.pop("reason")
        finding.pop("claim")
        for example in finding["counter_examples"]:
            example.pop("outcome")
            example.pop("error")
    for defect in found["defects"]:
        defect.pop("message")
    return found


@EACH
def test_each_claim_has_one_id_and_the_answer_that_was_stored(bundle: Path) -> None:
    """Whatever format a bundle has, no two of its claims share an id, and no answer changes by being read."""
    found = read_verdict(bundle).findings
    ids = [it.id for it in found]
    assert len(set(ids)) == len(ids) > 3
    assert all(re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", it) for it in ids)
    assert ids == [it.id for it in History.load(bundle).facts.claims]
    stored = msgspec.convert(raw(bundle, VERDICT_FILE)["findings"], list[dict[str, object]])
    assert [(it.outcome, it.claim, it.reason) for it in found] == [
        (it["outcome"], it["claim"], it["reason"]) for it in stored
    ]


@EACH
def test_known_issues_of_a_bundle_are_about_its_claims(bundle: Path) -> None:
    """What was known of the mesh before the run is about a claim that the run was asked."""
    facts = History.load(bundle).facts
    listed = raw(bundle, "run.json")["facts"]
    assert isinstance(listed, dict)
    assert {it.claim for it in facts.known_issues} <= {it.id for it in facts.claims}
    assert len(facts.known_issues) == len(listed.get("deviates", ())) + len(listed.get("known_issues", ()))


@EACH
def test_bundle_is_small_enough_to_keep(bundle: Path) -> None:
    """A repository can carry a year of such bundles: each is under 2 MB."""
    assert sum(path.stat().st_size for path in bundle.iterdir()) < _MAX_BYTES


def raw(bundle: Path, name: str) -> dict[str, object]:
    """Return a JSON file of a bundle as it lies there."""
    return msgspec.json.decode((bundle / name).read_bytes(), type=dict[str, object])
