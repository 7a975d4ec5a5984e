"""`meshdrill mutate`: a survivor ends with 1, a run from which nothing can be learnt with 2, a wrong line with 64."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from drills.cli import app as cli
from drills.cli import exits
from drills.cli import mutate as cli_mutate
from drills.judge import checks
from drills.judge.claims import Claim, always
from drills.judge.history import History, write_history
from drills.judge.measure import Invariant, Measurement, Truth
from drills.judge.verdict import Verdict
from drills.selftest.doubles.asking import judge
from drills.selftest.doubles.story import Story

EDGE = ("checkout", "payment")
REPORTS = Path(__file__).resolve().parents[3] / "reports"
SEEING = always(checks.success_rate(EDGE, at_least=0.99))
BLIND = always(Invariant("success_rate", "all is well", lambda _history, _window: Measurement(Truth.TRUE), {}, (EDGE,)))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a stored run in which all is well."""
    story = Story().steady(EDGE)
    folder = tmp_path / "reports" / "drill" / "mesh" / "20260101T000000Z"
    write_history(folder, story.table(), story.all_events(), story.facts())
    (folder / "verdict.json").write_text("{}")
    return folder


def claiming(monkeypatch: pytest.MonkeyPatch, *claims: Claim) -> None:
    """Let the drill of the bundle ask these claims."""

    def replay(history: History) -> Verdict:
        return judge(history, claims)

    monkeypatch.setattr(cli_mutate, "replay", replay)


def test_a_drill_that_sees_passes(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No survivor: the command ends with 0 and says how many mutations there were."""
    claiming(monkeypatch, SEEING)
    assert cli.status(["mutate", str(bundle)]) == exits.PASSED
    assert "18 mutations, 0 survivors" in capsys.readouterr().out


def test_a_drill_that_is_blind_ends_with_1(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A survivor is named with the claim that let it live."""
    claiming(monkeypatch, BLIND)
    assert cli.status(["mutate", str(bundle)]) == exits.VIOLATED
    assert "SURVIVED  one-outage" in capsys.readouterr().out


def test_a_run_that_did_not_pass_ends_with_2(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no claim passed, and where nothing can be read, nothing can be learnt."""
    claiming(monkeypatch, always(checks.success_rate(("a", "b"), at_least=0.9)))
    assert cli.status(["mutate", str(bundle)]) == exits.INCONCLUSIVE
    assert "no claim passed" in capsys.readouterr().err
    (bundle / "run.json").unlink()
    assert cli.status(["mutate", str(bundle)]) == exits.INCONCLUSIVE


def test_the_page_shows_the_newest_run_of_each_drill(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One section per drill and mesh, of its newest bundle, and 1 when anything survived."""
    claiming(monkeypatch, SEEING)
    # A process of its own would not know of the claims here; with processes CI makes the page of the stored runs.
    monkeypatch.setattr(cli_mutate, "ProcessPoolExecutor", lambda mp_context: ThreadPoolExecutor())  # noqa: ARG005
    reports = bundle.parents[2]
    bundle.rename(bundle.with_name("20270101T000000Z"))
    bundle.mkdir()
    (bundle / "verdict.json").write_text("{}")
    assert cli.status(["mutate", "--page", str(reports)]) == exits.PASSED
    page = (reports / "mutations.md").read_text()
    assert "## drill/mesh/20270101T000000Z" in page
    assert "20260101T000000Z" not in page
    claiming(monkeypatch, BLIND)
    assert cli.status(["mutate", "--page", str(reports)]) == exits.VIOLATED


@pytest.mark.parametrize("line", [[], ["{bundle}", "--page", "{bundle}"]])
def test_a_bundle_or_a_page_must_be_named(line: list[str], bundle: Path) -> None:
    """Neither, or both, is wrong usage."""
    assert cli.status(["mutate", *(word.format(bundle=bundle) for word in line)]) == exits.USAGE


def count_claims(verdict: Path) -> int:
    """Return how many claims a drill made: each mutation asks them all again."""
    return verdict.read_bytes().count(b'"quantifier":')


SHORTEST = min(sorted(REPORTS.glob("*/*/*/verdict.json")), key=count_claims, default=None)


@pytest.mark.skipif(SHORTEST is None, reason="no bundle is stored in reports/")
def test_a_stored_run_has_no_survivor() -> None:
    """A drill's claims kill every mutation that they cover; of the real runs, the quickest to judge (CI asks all)."""
    assert SHORTEST is not None
    text, is_killed = cli_mutate.mutate(SHORTEST.parent)
    assert is_killed, text
