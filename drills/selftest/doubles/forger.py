"""Hands that change a stored bundle and make every digest match again, as any sender of an unsigned one can."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from drills.judge.verdict import Verdict
from drills.report.trust import statement


def reseal(bundle: Path) -> None:
    """Make the seal in run.json match calls and events."""
    run = msgspec.json.decode((bundle / "run.json").read_bytes())
    for name in ("calls.parquet", "events.jsonl"):
        run["seal"][name] = hashlib.sha256((bundle / name).read_bytes()).hexdigest()
    (bundle / "run.json").write_bytes(msgspec.json.encode(run))


def restate(bundle: Path, verdict: Verdict) -> None:
    """Store a verdict, and write a new statement over all files."""
    (bundle / "verdict.json").write_bytes(verdict.encode())
    statement.write(bundle, verdict, None)


def reword(bundle: Path, answers: Mapping[str, str]) -> None:
    """Change the answers of these claims in the statement."""
    file = bundle / "statement.dsse.json"
    envelope = msgspec.json.decode(file.read_bytes())
    stated = msgspec.json.decode(base64.b64decode(envelope["payload"]))
    for it in stated["predicate"]["meshdrill"]["claims"]:
        it["verdict"] = answers.get(it["claim"], it["verdict"])
    envelope["payload"] = base64.b64encode(msgspec.json.encode(stated)).decode()
    file.write_bytes(msgspec.json.encode(envelope))


def rename(bundle: Path, **facts: object) -> None:
    """Change facts of the run."""
    run = msgspec.json.decode((bundle / "run.json").read_bytes())
    run["facts"] |= facts
    (bundle / "run.json").write_bytes(msgspec.json.encode(run))
