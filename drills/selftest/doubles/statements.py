"""A small bundle with a statement over it, and hands to forge it with."""

import base64
import json
from pathlib import Path

import msgspec
import polars as pl
import rfc8785

from drills.judge.events import Phase
from drills.judge.history import CALLS_SCHEMA, RunFacts, write_history
from drills.judge.records import StoredCheck, StoredClaim
from drills.judge.verdict import Finding, Outcome, Verdict
from drills.report import evidence
from drills.report.run_file import Environment
from drills.report.trust import keys

SECOND = 1_000_000_000
ENVIRONMENT = Environment("0.1.0", "meshdrill run made-up --mesh none", "It is made up.", "none", {}, (), {}, ())
FILES = ["calls.parquet", "events.jsonl", "junit.xml", "report.html", "report.md", "run.json", "verdict.json"]


def finding(name: str, answer: Outcome, *, fails_on_control: bool = False) -> Finding:
    """Return a finding of the claim with that id, which says only what it must."""
    return Finding(
        id=name,
        claim=f"always during run: {name.replace('-', ' ')}",
        quantifier="always",
        check="c",
        params={},
        edges=(),
        during="run",
        window=None,
        outcome=answer,
        reason="",
        must_hold=False,
        fails_on_control=fails_on_control,
        promise=None,
    )


def verdict_of(*findings: Finding, answer: Outcome, passed: bool, is_control: bool = False) -> Verdict:
    """Return a verdict of these findings."""
    return Verdict("made-up", "none", "0" * 12, is_control, answer, answer, passed, findings, ())


HELD = verdict_of(finding("it-holds", Outcome.HELD), answer=Outcome.HELD, passed=True)


def written(place: Path, verdict: Verdict, key: Path | None) -> Path:
    """Write a bundle of that verdict."""
    events = (Phase(0, "baseline"), Phase(10 * SECOND, "end"))
    check = StoredCheck("c")
    asked = tuple(StoredClaim(id=it.id, quantifier="always", check=check, during="run") for it in verdict.findings)
    facts = RunFacts("made-up", "none", "0" * 12, verdict.is_control, claims=asked)
    write_history(place, pl.DataFrame(schema=CALLS_SCHEMA), events, facts)
    (place / "verdict.json").write_bytes(verdict.encode())
    evidence.write(place, verdict, ENVIRONMENT, keys.signer(key) if key else None)
    return place


def payload_of(place: Path) -> dict[str, object]:
    """Return the statement inside the envelope."""
    envelope = json.loads((place / "statement.dsse.json").read_bytes())
    found: dict[str, object] = json.loads(base64.b64decode(envelope["payload"]))
    return found


def canonical(value: object) -> bytes:
    """Return the canonical JSON of plain data."""
    return rfc8785.dumps(msgspec.to_builtins(value))


def restate(place: Path, payload: bytes, **changes: object) -> None:
    """Put another payload into the envelope and leave the signatures as they are."""
    envelope = json.loads((place / "statement.dsse.json").read_bytes())
    envelope |= {"payload": base64.b64encode(payload).decode(), **changes}
    (place / "statement.dsse.json").write_text(json.dumps(envelope))
