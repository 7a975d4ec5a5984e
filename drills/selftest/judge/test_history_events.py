"""Events are typed: what is stored reads as before, byte for byte, and what is no event is named by file and line."""

import runpy
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from msgspec import UNSET

from drills.judge import schema
from drills.judge.events import (
    CertificateShown,
    ComponentPod,
    Event,
    FaultAccount,
    HarnessTrouble,
    NewPod,
    Phase,
    PolicyVersion,
    ProgramStalled,
    WireGap,
    decode,
    encode,
    revised,
)
from drills.judge.files import FileError
from drills.judge.history import History, write_history
from drills.judge.migration import FORMAT
from drills.report import evidence
from drills.selftest.doubles.statements import ENVIRONMENT, HELD
from drills.selftest.doubles.story import Story, event_of

REPORTS = Path(__file__).resolve().parents[3] / "reports"
STORED = sorted(REPORTS.glob("*/*/*/events.jsonl"))
EDGE = ("checkout", "payment")


def bundle_of(place: Path) -> Path:
    """Store a whole run."""
    story = Story().steady(EDGE)
    write_history(place, story.table(), story.all_events(), story.facts())
    return place


def edited(place: Path, old: str, new: str) -> Path:
    """Replace a text in the run.json of a stored run."""
    run = bundle_of(place) / "run.json"
    text = run.read_text()
    assert old in text
    run.write_text(text.replace(old, new))
    return place


@pytest.mark.parametrize("path", STORED, ids=lambda path: "/".join(path.parts[-4:-1]))
def test_every_stored_event_is_written_again_to_the_same_bytes(path: Path) -> None:
    """No field of a stored line is lost, added or moved by reading it."""
    lines = path.read_bytes().splitlines()
    assert lines
    for number, line in enumerate(lines, start=1):
        assert encode(decode(line)) == line, f"{path}, line {number}"


def test_the_stored_runs_have_nearly_every_kind() -> None:
    """Trouble of the harness, a blind observer and a program that stood still are missing from the runs in reports/."""
    seen = {type(decode(line)) for path in STORED for line in path.read_bytes().splitlines()}
    # ComponentPod is newer than most runs.
    assert set(get_args(Event)) - seen <= {HarnessTrouble, ProgramStalled, WireGap, ComponentPod}


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Phase(1, "end"), '{"at_ns":1,"detail":{},"kind":"phase","subject":"end"}'),
        (
            event_of(WireGap, 2, "n1", reason="late"),
            '{"at_ns":2,"detail":{"node":"n1","reason":"late"},"kind":"wire.gap","subject":"n1"}',
        ),
        (
            event_of(FaultAccount, 3, "stop", actor="done"),
            '{"at_ns":3,"detail":{"actor":"done"},"kind":"fault.account","subject":"stop"}',
        ),
        (
            event_of(PolicyVersion, 4, "Rule lab/a", verb="gone", api_version="v1"),
            '{"at_ns":4,"detail":{"api_version":"v1","verb":"gone"},"kind":"policy","subject":"Rule lab/a"}',
        ),
        (
            event_of(CertificateShown, 5, "p", error="none was shown"),
            '{"at_ns":5,"detail":{"error":"none was shown","node":"n1"},"kind":"certificate","subject":"p"}',
        ),
    ],
    ids=lambda it: it.kind if isinstance(it, Phase | WireGap | FaultAccount | PolicyVersion | CertificateShown) else "",
)
def test_an_event_is_a_line_with_sorted_keys(event: Event, line: str) -> None:
    """What a kind leaves out where there is nothing to say is not written, and reads as nothing."""
    assert encode(event) == line.encode()
    assert decode(line.encode()) == event


def test_of_a_new_pod_absent_and_unknown_are_two_things() -> None:
    """A pod that was refused was not looked for; one that could not be looked for is another matter."""
    refused = event_of(NewPod, 1, "p", outcome="refused", meshed=None, started=None, answered_ns=2)
    assert (refused.detail.found, refused.is_found, refused.blocked, refused.is_blockage_known) == (
        UNSET,
        None,
        "",
        False,
    )
    lost = revised(refused, outcome="admitted", found=None, blocked=None, blocked_ns=None)
    assert decode(encode(lost)) == lost
    assert (lost.is_found, lost.blocked, lost.blocked_ns, lost.is_blockage_known) == (None, "", 0, False)
    stuck = revised(lost, blocked="no network", blocked_ns=7, found=True)
    assert (stuck.is_found, stuck.blocked, stuck.blocked_ns, stuck.is_blockage_known) == (True, "no network", 7, True)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"at_ns":1,"detail":{},"kind":"surprise","subject":""}', "Invalid value 'surprise' - at `$.kind`"),
        ('{"at_ns":1,"detail":{},"subject":""}', "missing required field `kind`"),
        ('{"at_ns":1,"detail":{"took_s":"long"},"kind":"step","subject":"hold"}', "Expected `float`, got `str`"),
        ('{"at_ns":1,"detail":{},"kind":"step","subject":"hold"}', "missing required field `took_s`"),
        ('{"at_ns":1,"detail":{"more":1},"kind":"phase","subject":"end"}', "unknown field `more`"),
        ('{"at_ns":1,"detail":{},"kind":"phase","more":1,"subject":"end"}', "unknown field `more`"),
        ('{"at_ns":9223372036854775808,"detail":{},"kind":"phase","subject":"end"}', "at `$.at_ns`"),
        ("[]", "Expected `object`"),
        ('{"at_ns":1,', "truncated"),
    ],
)
def test_a_line_that_is_no_event_is_named(tmp_path: Path, line: str, reason: str) -> None:
    """An unknown kind, an unknown field and a value of another type end the reading with file, line and reason."""
    path = bundle_of(tmp_path) / "events.jsonl"
    kept = path.read_bytes()
    path.write_bytes(kept + line.encode() + b"\n")
    with pytest.raises(FileError, match=r"events\.jsonl") as caught:
        History.load(tmp_path)
    assert f"line {len(kept.splitlines()) + 1}: " in str(caught.value)
    assert reason in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_new_run_names_its_format(tmp_path: Path) -> None:
    """The number stands in run.json, and the report that is added there leaves it."""
    bundle = bundle_of(tmp_path / "drill" / "mesh" / "20260101T000000Z")
    assert msgspec.json.decode((bundle / "run.json").read_bytes())["format"] == FORMAT == 3
    (bundle / "verdict.json").write_bytes(HELD.encode())
    evidence.write(bundle, HELD, ENVIRONMENT)
    assert msgspec.json.decode((bundle / "run.json").read_bytes())["format"] == FORMAT


def test_a_run_of_the_first_edition_has_no_format_and_gets_none(tmp_path: Path) -> None:
    """It reads as ever, and a report that is added does not change what it is."""
    bundle = edited(tmp_path / "drill" / "mesh" / "20260101T000000Z", f'"format": {FORMAT},', "")
    assert History.load(bundle).completeness() == ()
    verdict = msgspec.structs.replace(HELD, findings=())
    (bundle / "verdict.json").write_bytes(verdict.encode())
    evidence.write(bundle, verdict, ENVIRONMENT)
    assert "format" not in msgspec.json.decode((bundle / "run.json").read_bytes())


def test_a_format_of_tomorrow_is_refused_in_one_sentence(tmp_path: Path) -> None:
    """Nothing else of the file is looked at: its facts may have fields that this reader does not know."""
    edited(tmp_path, f'"format": {FORMAT},', '"format": 4,')
    run = tmp_path / "run.json"
    run.write_text(run.read_text().replace('"facts"', '"truths"'))
    with pytest.raises(FileError) as caught:
        History.load(tmp_path)
    assert str(caught.value) == f"{run} has format 4, and this meshdrill reads formats 1 to 3: use a newer one."


@pytest.mark.parametrize("number", ["0", '"two"', "null"])
def test_a_format_that_is_no_number_of_one_is_unreadable(tmp_path: Path, number: str) -> None:
    """A file that was edited is not guessed at."""
    with pytest.raises(FileError, match=r"run\.json"):
        History.load(edited(tmp_path, f'"format": {FORMAT},', f'"format": {number},'))


def test_the_schema_that_is_kept_is_the_one_of_the_code(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """reports/events.schema.json says what events.py says, and one command makes it anew."""
    kept = (REPORTS / "events.schema.json").read_bytes()
    assert kept == schema.schema(), "Write it anew: python -m drills.judge.schema > reports/events.schema.json"
    runpy.run_path(schema.__file__, run_name="__main__")
    assert capfdbinary.readouterr().out == kept
