"""statement.dsse.json: an in-toto statement over every file of a bundle, signed if there is a key.

The predicate is in-toto's test-result v0.1. It has three results for our four outcomes:

    HELD                          PASSED
    FAILED_OBSERVABLY             WARNED   it passes, with a claim that failed
    VIOLATED, INCONCLUSIVE        FAILED   a run that cannot know never passes
    the same without a promise    WARNED   no run fails by it, and it is not hidden
    a control that passed         WARNED   it proves that the drill can detect, and says nothing about a mesh

The outcomes stand in the predicate's extension field `meshdrill`, which other readers ignore.
The subjects are the files of the bundle (evidence), where most producers list the sources that they tested.
"""

from pathlib import Path
from typing import Final, Literal

import msgspec
import rfc8785
from securesystemslib.dsse import Envelope
from securesystemslib.signer import Signer

from drills.judge import files
from drills.judge.bundle_files import STATEMENT_FILE
from drills.judge.verdict import FAILING, Finding, Outcome, Verdict

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://in-toto.io/attestation/test-result/v0.1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
_CONFIGURATION = ("run.json", "experiment.json")  # the environment of the run, and its experiment

Result = Literal["PASSED", "WARNED", "FAILED"]

_RESULTS: dict[Outcome, Result] = {
    Outcome.HELD: "PASSED",
    Outcome.FAILED_OBSERVABLY: "WARNED",
    Outcome.INCONCLUSIVE: "FAILED",
    Outcome.VIOLATED: "FAILED",
}


class Resource(msgspec.Struct, frozen=True):
    """One file, as in-toto describes it: its name below the bundle, and its SHA-256."""

    name: str
    digest: dict[str, str]


class Answered(msgspec.Struct, frozen=True):
    """One claim, and its outcome. A string: statements of older versions have words that this one does not use."""

    claim: str
    verdict: str


class Own(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What the three results of the predicate cannot say."""

    drill: str
    mesh: str
    run_id: str
    is_control: bool
    verdict: str  # the outcome
    passed: bool
    claims: tuple[Answered, ...]
    without_fault: bool = False


class Predicate(msgspec.Struct, frozen=True, rename="camel"):
    """in-toto's test-result v0.1 with our extension."""

    result: Result
    configuration: tuple[Resource, ...]
    passed_tests: tuple[str, ...]
    warned_tests: tuple[str, ...]
    failed_tests: tuple[str, ...]
    meshdrill: Own


class Statement(msgspec.Struct, frozen=True, rename="camel"):
    """in-toto's Statement v1."""

    type: str = msgspec.field(name="_type")
    subject: tuple[Resource, ...]
    predicate_type: str
    predicate: Predicate


def write(bundle: Path, verdict: Verdict, signer: Signer | None) -> None:
    """Write the statement over every file of the bundle. Call it after the last other file is written."""
    payload = rfc8785.dumps(msgspec.to_builtins(_state(bundle, verdict)))
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    if signer is not None:
        envelope.sign(signer)
    text = msgspec.json.format(msgspec.json.encode(envelope.to_dict(), order="sorted"), indent=2) + b"\n"
    files.write(bundle / STATEMENT_FILE, text)


def digests(bundle: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of the bundle except the statement, sorted by name.

    A file that is not regular (for example a link) or is too large has the digest "", which no statement matches.
    """
    found = sorted(path for path in bundle.rglob("*") if not path.is_dir() or path.is_symlink())
    names = {path.relative_to(bundle).as_posix(): path for path in found}
    return {name: _digest(path) for name, path in names.items() if name != STATEMENT_FILE}


def result_of(outcome: str, *, passed: bool, is_control: bool) -> Result:
    """Return the predicate's word for a verdict."""
    if not passed:
        return "FAILED"
    return "WARNED" if is_control or outcome != Outcome.HELD else "PASSED"


def _state(bundle: Path, verdict: Verdict) -> Statement:
    found = digests(bundle)
    return Statement(
        type=STATEMENT_TYPE,
        subject=tuple(_resource(name, digest) for name, digest in found.items()),
        predicate_type=PREDICATE_TYPE,
        predicate=Predicate(
            result=result_of(verdict.outcome, passed=verdict.passed, is_control=verdict.is_control),
            configuration=tuple(_resource(name, found[name]) for name in _CONFIGURATION if name in found),
            passed_tests=_claims(verdict, "PASSED"),
            warned_tests=_claims(verdict, "WARNED"),
            failed_tests=_claims(verdict, "FAILED"),
            meshdrill=Own(
                drill=verdict.drill,
                mesh=verdict.mesh,
                run_id=verdict.run_id,
                is_control=verdict.is_control,
                verdict=verdict.outcome.value,
                passed=verdict.passed,
                claims=tuple(Answered(finding.id, finding.outcome.value) for finding in verdict.findings),
                without_fault=verdict.without_fault,
            ),
        ),
    )


def _claims(verdict: Verdict, result: Result) -> tuple[str, ...]:
    return tuple(it.id for it in verdict.findings if _result_in(verdict, it) == result)


def _result_in(verdict: Verdict, finding: Finding) -> Result:
    """Return the result of a claim. In a no-fault control no alert excuses a claim that is false."""
    if verdict.without_fault and finding.outcome is not Outcome.HELD:
        return "WARNED" if finding.passes_without_fault else "FAILED"
    return _result(finding, is_control=verdict.is_control)


def _result(finding: Finding, *, is_control: bool) -> Result:
    """Return the result of a claim; on a control, WARNED or FAILED for a claim that is meant to fail."""
    if is_control and finding.fails_on_control:
        return "WARNED" if finding.outcome in FAILING else "FAILED"
    if not finding.is_promised and finding.outcome is not Outcome.HELD:
        return "WARNED"
    return _RESULTS[finding.outcome]


def _resource(name: str, digest: str) -> Resource:
    return Resource(name, {"sha256": digest})


def _digest(path: Path) -> str:
    try:
        return files.digest(path)
    except files.FileError:
        return ""
