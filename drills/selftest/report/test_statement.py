"""The statement over a bundle: what it says, which change it notices, and whose signature it accepts."""

import base64
import json
import shutil
from pathlib import Path

import msgspec
import pytest

from clusters.model import Reference
from drills.cli import app as cli
from drills.cli import exits
from drills.judge.history import History
from drills.judge.verdict import Outcome
from drills.report.trust import statement, verification
from drills.selftest.doubles.statements import FILES, HELD, canonical, finding, payload_of, restate, verdict_of, written


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a bundle of a run that was never long, with an unsigned statement."""
    return written(tmp_path / "bundle", HELD, None)


def test_every_file_of_the_bundle_is_a_subject(bundle: Path) -> None:
    """The statement is in-toto's v1 about a test result, and lists every file but itself with its SHA-256."""
    found = payload_of(bundle)
    assert found["_type"] == "https://in-toto.io/Statement/v1"
    assert found["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    subjects = msgspec.convert(found["subject"], list[statement.Resource])
    assert {it.name: it.digest["sha256"] for it in subjects} == statement.digests(bundle)
    assert [it.name for it in subjects] == FILES
    assert json.loads((bundle / "statement.dsse.json").read_bytes())["signatures"] == []


def test_the_bytes_of_a_statement_depend_on_the_bundle_alone(bundle: Path, tmp_path: Path) -> None:
    """Two equal bundles have equal statements, in canonical JSON."""
    again = written(tmp_path / "again" / bundle.name, HELD, None)
    assert (bundle / "statement.dsse.json").read_bytes() == (again / "statement.dsse.json").read_bytes()
    envelope = json.loads((bundle / "statement.dsse.json").read_bytes())
    assert base64.b64decode(envelope["payload"]) == canonical(payload_of(bundle))


@pytest.mark.parametrize(
    ("answer", "passed", "is_control", "result"),
    [
        (Outcome.HELD, True, False, "PASSED"),
        (Outcome.FAILED_OBSERVABLY, True, False, "WARNED"),
        (Outcome.VIOLATED, False, False, "FAILED"),
        (Outcome.INCONCLUSIVE, False, False, "FAILED"),
        (Outcome.VIOLATED, True, True, "WARNED"),
        (Outcome.VIOLATED, False, True, "FAILED"),
        (Outcome.HELD, False, True, "FAILED"),
    ],
)
def test_four_outcomes_become_three_results(
    answer: Outcome, passed: bool, is_control: bool, result: str, tmp_path: Path
) -> None:
    """Nothing but HELD is PASSED, and a control never is; the answer itself stands beside in our own words."""
    verdict = verdict_of(finding("it-holds", answer), answer=answer, passed=passed, is_control=is_control)
    predicate = payload_of(written(tmp_path / "b", verdict, None))["predicate"]
    assert isinstance(predicate, dict)
    assert predicate["result"] == result
    own = predicate["meshdrill"]
    assert (own["verdict"], own["passed"], own["isControl"]) == (answer.value, passed, is_control)


NO_PROMISE = Reference("It says nothing", "https://example.org", "1", "not-promised")


def test_a_pass_with_something_broken_is_a_warning(tmp_path: Path) -> None:
    """A run that breaks only what is not promised passes, and no reader of the statement overlooks it."""
    broken = msgspec.structs.replace(finding("it-breaks", Outcome.VIOLATED), promise=NO_PROMISE)
    mixed = verdict_of(finding("it-holds", Outcome.HELD), broken, answer=Outcome.VIOLATED, passed=True)
    predicate = payload_of(written(tmp_path / "a", mixed, None))["predicate"]
    assert isinstance(predicate, dict)
    assert predicate["result"] == "WARNED"


def test_each_claim_stands_in_the_list_of_its_result(tmp_path: Path) -> None:
    """Claims are listed as passed, warned and failed; none fails without a promise; on a control failures warn."""
    each = [finding(answer.value, answer) for answer in Outcome]
    apart = [msgspec.structs.replace(it, id=f"{it.id}-unpromised", promise=NO_PROMISE) for it in each]
    mixed = verdict_of(*each, *apart, answer=Outcome.VIOLATED, passed=False)
    predicate = payload_of(written(tmp_path / "a", mixed, None))["predicate"]
    assert isinstance(predicate, dict)
    assert (predicate["passedTests"], predicate["warnedTests"]) == (
        ["HELD", "HELD-unpromised"],
        ["FAILED_OBSERVABLY", "FAILED_OBSERVABLY-unpromised", "INCONCLUSIVE-unpromised", "VIOLATED-unpromised"],
    )
    assert predicate["failedTests"] == ["INCONCLUSIVE", "VIOLATED"]
    assert {"claim": "VIOLATED-unpromised", "verdict": "VIOLATED"} in predicate["meshdrill"]["claims"]
    each = [finding(answer.value, answer, fails_on_control=True) for answer in Outcome]
    control = verdict_of(*each, answer=Outcome.VIOLATED, passed=False, is_control=True)
    predicate = payload_of(written(tmp_path / "b", control, None))["predicate"]
    assert isinstance(predicate, dict)
    assert (predicate["passedTests"], predicate["warnedTests"]) == ([], ["FAILED_OBSERVABLY", "VIOLATED"])


def test_an_intact_bundle_is_told_as_such(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`verify` ends with 0, counts the files, and says plainly that there is no signature."""
    assert cli.status(["verify", str(bundle)]) == exits.PASSED
    recorded = capsys.readouterr().out
    assert f"every file is as stated ({len(FILES)} files)" in recorded
    assert "unsigned" in recorded


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_of_any_file_is_named(bundle: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whichever file had one bit flipped, `verify` ends with 1 and names that file alone as changed."""
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    assert cli.status(["verify", str(bundle)]) == exits.VIOLATED
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert [line.split(":")[0] for line in lines if "changed" in line and "SHA-256" in line] == [name]


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    """A file that was taken away is named."""
    (bundle / name).unlink()
    complaints = verification.verify(bundle).complaints
    assert f"{name}: missing; the statement lists it" in complaints


@pytest.mark.parametrize("name", ["more.txt", "folder/deep.txt", ".hidden"])
def test_an_extra_file_is_named(bundle: Path, name: str) -> None:
    """A file that was added, however deep or hidden, is named."""
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_text("")
    assert verification.verify(bundle).complaints == (f"{name}: extra; the statement does not list it",)


def test_a_link_is_no_file_of_a_bundle(bundle: Path, tmp_path: Path) -> None:
    """A link counts as changed, whatever it points to and even if it was one when the statement was made."""
    elsewhere = shutil.move(bundle / "report.md", tmp_path / "report.md")
    (bundle / "report.md").symlink_to(elsewhere)
    (complaint,) = verification.verify(bundle).complaints
    assert "report.md: changed" in complaint
    statement.write(bundle, HELD, None)
    assert verification.verify(bundle).complaints == (complaint,)


def test_a_statement_that_contradicts_the_verdict_is_caught(bundle: Path) -> None:
    """A statement with every digest right that claims another result than verdict.json is caught."""
    found = payload_of(bundle)
    predicate = found["predicate"]
    assert isinstance(predicate, dict)
    restate(bundle, canonical({**found, "predicate": {**predicate, "result": "WARNED"}}))
    (complaint,) = verification.verify(bundle).complaints
    assert complaint.endswith("its result is not that of verdict.json: it says WARNED, verdict.json says PASSED")


@pytest.mark.parametrize(
    ("content", "recorded"),
    [
        (None, "does not exist"),
        (b"", "cannot be read"),
        (b"[]", "cannot be read"),
        (b"{}", "cannot be read"),
        (b'{"payload": 1, "payloadType": "x", "signatures": []}', "cannot be read"),
        (b'{"payload": "e30=", "payloadType": "x", "signatures": [1]}', "cannot be read"),
        (b'{"payload": "e30=", "payloadType": "text/plain", "signatures": []}', "text/plain"),
        (b'{"payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": []}', "cannot be read"),
    ],
)
def test_a_statement_that_is_none_vouches_for_nothing(
    bundle: Path, content: bytes | None, recorded: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a readable statement `verify` ends with 1 and says why."""
    (bundle / "statement.dsse.json").unlink()
    if content is not None:
        (bundle / "statement.dsse.json").write_bytes(content)
    assert cli.status(["verify", str(bundle)]) == exits.VIOLATED
    assert recorded in capsys.readouterr().out


def test_a_payload_that_two_readers_could_read_differently_is_refused(bundle: Path) -> None:
    """A payload that is not canonical JSON (here: a key twice) is no statement, even where its digests are right."""
    payload = canonical(payload_of(bundle))
    restate(bundle, payload.replace(b'{"_type"', b'{"_type":"x","_type"', 1))
    with pytest.raises(verification.StatementError, match="canonical"):
        verification.verify(bundle)


def test_a_statement_about_something_else_is_refused(bundle: Path) -> None:
    """A statement of another predicate type is not read as ours."""
    restate(bundle, canonical({**payload_of(bundle), "predicateType": "https://example.org/x"}))
    with pytest.raises(verification.StatementError, match=r"example\.org"):
        verification.verify(bundle)


def test_the_history_of_a_stated_bundle_still_loads(bundle: Path) -> None:
    """The statement leaves the sealed record as it was."""
    assert History.load(bundle).completeness() is not None
    assert History.load(bundle).facts.drill == "made-up"
