"""Hands that change a stored bundle and make every digest match again, as any sender of an unsigned one can."""

import hashlib
from pathlib import Path

import msgspec

from drills.judge.verdict import Verdict
from drills.report import statement


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


def rename(bundle: Path, **facts: object) -> None:
    """Change facts of the run."""
    run = msgspec.json.decode((bundle / "run.json").read_bytes())
    run["facts"] |= facts
    (bundle / "run.json").write_bytes(msgspec.json.encode(run))
