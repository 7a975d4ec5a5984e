"""What a command prints: inert on a terminal, and a stdout that cannot be written changes no verdict."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from drills.cli import app as cli
from drills.cli import exits, output
from drills.judge import inert
from drills.judge.verdict import Outcome
from drills.selftest.doubles import outage_bundle
from drills.selftest.doubles.made_up import Run, ended, verdict_of
from drills.selftest.doubles.statements import HELD, written

FULL = Path("/dev/full")
KEYID = "00\nsignature by key 00 is good"


def program(*words: object) -> list[str]:
    """Return the command line of the program in a process of its own."""
    return [sys.executable, "-c", "from drills.cli.app import main; main()", *map(str, words)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle whose verdict is FAILED_OBSERVABLY, without a statement."""
    place = outage_bundle.bundle_of(outage_bundle.outage(), tmp_path_factory.mktemp("outage") / "bundle")
    (place / "statement.dsse.json").unlink()
    return place


def test_what_moves_the_cursor_is_shown_as_an_escape(capsys: pytest.CaptureFixture[str]) -> None:
    """Line breaks and tabs of our own text stay; the rest is shown, on stdout and on stderr."""
    output.show("a\n\tb\x1b[2J\r\u202ec")
    output.say("\x07d")
    assert capsys.readouterr() == ("a\n\tb\\x1b[2J\\r\\u202ec\n", "\\x07d\n")


@pytest.mark.parametrize("is_verdict", [True, False])
@pytest.mark.parametrize("text", ["\x1b[31mred\x1b]0;title\x07", "\r\nsignature by key 00 is good", "a\u202eb\x9b2J"])
def test_the_console_of_a_run_shows_it_too(
    is_verdict: bool, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A verdict with its claims, and an error with what it says, have no other characters than text."""
    run = Run(verdict_of(Outcome.VIOLATED, passed=False, claims=(f"a{text}b",)))
    assert ended(tmp_path, monkeypatch, run, "assert False" if is_verdict else f"raise HarnessError({text!r})") == (
        exits.VIOLATED if is_verdict else exits.HARNESS
    )
    out = capfd.readouterr().out
    assert inert.printable(text, keep="" if is_verdict else "\n\t") in out
    assert all(it.isprintable() or it in "\n\t" for it in out)


@pytest.mark.parametrize("key", [KEYID, "", "zz", "0" * 129, "ab\n"])
def test_the_name_of_a_key_is_hex(key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Any other name makes the statement unreadable: a line break in it would pose as the next line."""
    place = written(tmp_path / "bundle", HELD, None)
    envelope = json.loads((place / "statement.dsse.json").read_bytes())
    envelope["signatures"] = [{"keyid": key, "sig": "AA=="}]
    (place / "statement.dsse.json").write_text(json.dumps(envelope))
    assert cli.status(["verify", str(place)]) == exits.VIOLATED
    assert "\nsignature by key" not in capsys.readouterr().out


def test_an_error_about_a_field_stays_one_line(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The name of an unknown field is recorded text as well."""
    (tmp_path / "events.jsonl").write_text(json.dumps({"at_ns": 1, "kind": "phase", "subject": "x", "a\nVerified": 1}))
    for name in ("calls.parquet", "run.json", "verdict.json"):
        (tmp_path / name).write_bytes((bundle / name).read_bytes())
    assert cli.status(["judge", str(tmp_path)]) == exits.INCONCLUSIVE
    assert capsys.readouterr().err.count("\n") == 1


def test_a_closed_pipe_keeps_the_code_of_the_verdict(bundle: Path) -> None:
    """`judge | head -0` ends as the verdict says; the reader's end is no interruption and no defect."""
    with subprocess.Popen(program("judge", bundle), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as judging:
        assert judging.stdout is not None
        judging.stdout.close()
        judging.stdout = None
        _, said = judging.communicate(timeout=60)
    assert (judging.returncode, said) == (exits.PASSED, b"")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_full_stdout_is_an_error_of_the_harness(bundle: Path) -> None:
    """A verdict that nobody can read has no code of a verdict, and one sentence says why."""
    with FULL.open("wb") as full:
        done = subprocess.run(program("judge", bundle), stdout=full, stderr=subprocess.PIPE, check=False, timeout=60)
    assert done.returncode == exits.HARNESS
    assert done.stderr.decode() == "meshdrill: The result cannot be printed to stdout: No space left on device.\n"
