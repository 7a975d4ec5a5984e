"""A verdict that its history does not give, or whose names differ between files, is cited by nothing."""

import shutil
from pathlib import Path

import msgspec
import pytest

from drills.cli import app as cli
from drills.cli import exits
from drills.judge.history import History
from drills.judge.verdict import Outcome, Verdict, read_verdict
from drills.report.trust import keys, statement
from drills.selftest.doubles import forger, many_runs


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle of a run in which all went well, whose verdict is HELD, and its statement."""
    return many_runs.bundle(tmp_path_factory.mktemp("runs"), many_runs.broken())


@pytest.fixture
def bundle(pattern: Path, tmp_path: Path) -> Path:
    """Return a copy."""
    return Path(shutil.copytree(pattern, tmp_path / "brain-outage" / "mesh-a" / "20260101T000000Z"))


def held(verdict: Verdict) -> Verdict:
    """Return a verdict in which every claim held."""
    findings = tuple(msgspec.structs.replace(it, outcome=Outcome.HELD) for it in verdict.findings)
    return msgspec.structs.replace(verdict, outcome=Outcome.HELD, passed=True, findings=findings)


def citing(bundle: Path, out: Path, *more: object) -> list[list[str]]:
    """Return the command lines that cite a bundle."""
    lines = (
        ("adr", bundle, "--title", "Which mesh", "--out", out, *more),
        ("audit", bundle, "--at", "+1", "--from", "payment", "--to", "ledger", *more),
        ("diff", bundle, bundle, *more),
        ("metrics", bundle, *more),
    )
    return [[str(word) for word in line] for line in lines]


def test_what_is_judged_is_what_is_cited(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A VIOLATED run is no less readable for it; every command that cites it works."""
    assert read_verdict(bundle).outcome is Outcome.VIOLATED
    for words in citing(bundle, tmp_path / "adr.md"):
        assert cli.status(words) == exits.PASSED, words
    assert cli.status(["judge", str(bundle)]) == exits.VIOLATED
    assert "Byte for byte" in capsys.readouterr().out


def test_a_forged_verdict_is_cited_by_nothing(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Restated, it passes `verify`; adr, audit, diff and metrics refuse it, and `judge` ends with 2, not with 0."""
    forger.restate(bundle, held(read_verdict(bundle)))
    assert cli.status(["verify", str(bundle)]) == exits.PASSED
    for words in citing(bundle, tmp_path / "adr.md"):
        assert cli.status(words) == exits.INCONCLUSIVE, words
        assert "claim no-plaintext is stored as HELD and judged as VIOLATED" in capsys.readouterr().err
    assert not (tmp_path / "adr.md").exists()
    assert cli.status(["judge", str(bundle)]) == exits.INCONCLUSIVE
    assert "NOT the stored verdict.json" in capsys.readouterr().out


def test_only_other_wording_changes_nothing(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sentences of an older version are no other answer; what is cited is judged again, so no stored number is."""
    stored = read_verdict(bundle)
    findings = tuple(msgspec.structs.replace(it, reason="otherwise", recovery_s=7e6) for it in stored.findings)
    forger.restate(bundle, msgspec.structs.replace(stored, findings=findings))
    for words in citing(bundle, tmp_path / "adr.md"):
        assert cli.status(words) == exits.PASSED, words
    assert "7e+06" not in capsys.readouterr().out
    assert cli.status(["judge", str(bundle)]) == exits.VIOLATED
    assert "its wording or its numbers are of another version" in capsys.readouterr().out


@pytest.mark.parametrize(
    "changed", [{"mesh": "mesh-b"}, {"drill": "other"}, {"run_id": "other"}, {"is_control": True}, {"claims": []}]
)
def test_names_are_the_same_in_all_files(
    changed: dict[str, object], bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run of one mesh cannot count as one of another: run.json differs from the verdict and the statement."""
    forger.rename(bundle, **changed)
    forger.restate(bundle, read_verdict(bundle))
    assert cli.status(["verify", str(bundle)]) == exits.VIOLATED
    (name,) = changed
    assert f"run.json: its {name} is not that of verdict.json" in capsys.readouterr().out
    for words in citing(bundle, tmp_path / "adr.md"):
        assert cli.status(words) == exits.INCONCLUSIVE, words


@pytest.mark.parametrize("name", ["drill", "mesh", "run_id"])
def test_a_statement_names_the_run_of_the_verdict(name: str, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that was written for another run is a contradiction, although every digest is right."""
    stored = read_verdict(bundle)
    forger.restate(bundle, stored)
    other = msgspec.structs.replace(stored, **{name: "other"})
    statement.write(bundle, other, None)
    assert cli.status(["verify", str(bundle)]) == exits.VIOLATED
    assert f"statement.dsse.json: its {name} is not that of verdict.json" in capsys.readouterr().out


def test_a_statement_has_the_answers_of_the_verdict(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Claim by claim: the same overall answer does not hide another one."""
    stored = read_verdict(bundle)
    first = msgspec.structs.replace(stored.findings[0], outcome=Outcome.FAILED_OBSERVABLY)
    statement.write(bundle, msgspec.structs.replace(stored, findings=(first, *stored.findings[1:])), None)
    assert cli.status(["verify", str(bundle)]) == exits.VIOLATED
    assert "its answers is not that of verdict.json" in capsys.readouterr().out


def test_with_a_key_every_reader_demands_its_signature(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unsigned is refused by what cites and by `judge`, with a statement or without; signed is not."""
    keys.generate(tmp_path / "key")
    more = ("--key", tmp_path / "key.pub")
    for words in [*citing(bundle, tmp_path / "adr.md", *more), ["judge", str(bundle), *map(str, more)]]:
        assert cli.status(words) == exits.INCONCLUSIVE, words
        assert "expected a signature by key" in capsys.readouterr().err
    statement.write(bundle, read_verdict(bundle), keys.signer(tmp_path / "key"))
    for words in citing(bundle, tmp_path / "adr.md", *more):
        assert cli.status(words) == exits.PASSED, words
    assert cli.status(["judge", str(bundle), *map(str, more)]) == exits.VIOLATED
    (bundle / "statement.dsse.json").unlink()
    assert cli.status(["judge", str(bundle), *map(str, more)]) == exits.INCONCLUSIVE


def test_a_run_with_endless_claims_is_refused_at_once(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Judging takes time for each claim, so their number is bounded."""
    claim = msgspec.to_builtins(History.load(bundle).facts.claims[0])
    forger.rename(bundle, claims=[{**claim, "id": f"claim-{number}"} for number in range(100_000)])
    (bundle / "statement.dsse.json").unlink()
    assert cli.status(["judge", str(bundle)]) == exits.INCONCLUSIVE
    assert "stores more than 500 claims" in capsys.readouterr().err
