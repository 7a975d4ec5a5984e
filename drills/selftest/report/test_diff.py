"""What changed between two sets of runs: nothing that is worse is missed, and no chance is called worse."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from clusters.model import Reference
from drills.cli import app as cli
from drills.cli import exits
from drills.judge import checks
from drills.judge.claims import never
from drills.judge.events import CallerEnd
from drills.judge.records import NS_PER_S
from drills.judge.verdict import Outcome, Standing
from drills.report.compare.runs import Asked, Change
from drills.selftest.doubles import story
from drills.selftest.doubles.many_runs import CLAIMS, EDGE, broken, bundle, quiet
from drills.selftest.doubles.story import Story

HELD, SHOWN, UNKNOWN, VIOLATED = map(
    Standing, (Outcome.HELD, Outcome.FAILED_OBSERVABLY, Outcome.INCONCLUSIVE, Outcome.VIOLATED)
)
KEPT, OPEN, BROKEN = (Standing(it.outcome, is_promised=False) for it in (HELD, UNKNOWN, VIOLATED))
"""The same without a promise."""


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ([HELD], [HELD], Change.SAME),
        ([HELD], [SHOWN], Change.WORSE),
        ([HELD], [HELD, VIOLATED], Change.WORSE),
        ([UNKNOWN], [VIOLATED], Change.WORSE),
        ([HELD], [UNKNOWN], Change.LOST),
        ([VIOLATED], [UNKNOWN], Change.LOST),
        ([VIOLATED], [HELD], Change.BETTER),
        ([HELD, VIOLATED], [HELD], Change.BETTER),
        ([UNKNOWN], [UNKNOWN], Change.SAME),
        ([HELD, VIOLATED], [VIOLATED], Change.SAME),
        ([HELD] * 39 + [VIOLATED], [VIOLATED], Change.WORSE),
        ([HELD] * 5 + [VIOLATED], [VIOLATED] * 2, Change.SAME),
        ([HELD] * 5 + [VIOLATED], [VIOLATED] * 3, Change.WORSE),
        ([HELD], [], Change.GONE),
        ([], [VIOLATED], Change.NEW),
    ],
)
@pytest.mark.parametrize("claim", ["", "c"])
def test_what_became_of_an_outcome(
    claim: str, old: Sequence[Standing], new: Sequence[Standing], change: Change
) -> None:
    """Worse than ever is worse; as bad as some repeats before is not, unless chance would hardly do it."""
    assert Asked(("d", "m"), claim, tuple(old), tuple(new)).change is change


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ([HELD], [KEPT], Change.DROPPED),
        ([VIOLATED], [BROKEN], Change.DROPPED),
        ([UNKNOWN], [OPEN], Change.DROPPED),
        ([BROKEN, HELD], [BROKEN], Change.DROPPED),
        ([OPEN], [VIOLATED], Change.WORSE),
        ([KEPT], [VIOLATED, BROKEN], Change.WORSE),
        ([KEPT], [KEPT], Change.SAME),
        ([KEPT], [KEPT, BROKEN], Change.WORSE_UNPROMISED),
        ([KEPT, BROKEN], [BROKEN], Change.SAME),
        ([KEPT], [OPEN], Change.SAME),
        ([BROKEN], [KEPT], Change.BETTER),
    ],
)
def test_a_claim_without_a_promise_is_compared_and_fails_no_comparison(
    old: Sequence[Standing], new: Sequence[Standing], change: Change
) -> None:
    """It is listed when it is worse; that a promise was dropped is a failure of its own."""
    assert Asked(("d", "m"), "c", tuple(old), tuple(new)).change is change


@pytest.mark.parametrize(
    ("old", "new", "change", "passes"),
    [
        ([HELD], [BROKEN], Change.WORSE_UNPROMISED, True),
        ([HELD], [VIOLATED], Change.WORSE, False),
        ([BROKEN], [BROKEN], Change.SAME, True),
    ],
)
def test_a_run_is_worse_without_failing_when_only_what_is_not_promised_broke(
    old: Sequence[Standing], new: Sequence[Standing], change: Change, *, passes: bool
) -> None:
    """The outcome of a run is the worst of its claims: a promise that is dropped shows at the claim."""
    asked = Asked(("d", "m"), "", tuple(old), tuple(new))
    assert (asked.change, asked.passes) == (change, passes)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return where the runs before lie."""
    return tmp_path / "old"


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Return where the runs now lie."""
    return tmp_path / "new"


def diff(old: Path, new: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Return the exit code and what was printed, rows with single spaces."""
    capsys.readouterr()
    code = cli.status(["diff", str(old), str(new), *words])
    return code, capsys.readouterr().out


def runs(place: Path, stories: Sequence[Story], **how: object) -> None:
    """Write a bundle for each story, a day apart."""
    for day, recorded in enumerate(stories, start=1):
        bundle(place, recorded, folder=f"202601{day:02d}T000000Z", **how)  # type: ignore[arg-type]


def test_the_same_runs_differ_in_nothing(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder beside itself: 0, and no table."""
    runs(old, [quiet()])
    code, text = diff(old, old, capsys)
    assert code == exits.PASSED
    assert "**Nothing is worse.**" in text
    assert "| drill |" not in text


def test_a_worse_answer_is_1_and_names_the_claim(old: Path, new: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """HELD before and VIOLATED now: the pair and the claim that did it are both there."""
    runs(old, [quiet()])
    runs(new, [broken()])
    code, text = diff(old, new, capsys)
    assert code == exits.VIOLATED
    assert "| brain-outage | mesh-a | worse | HELD | VIOLATED |" in text
    assert "| brain-outage | mesh-a | no-plaintext | worse | HELD | VIOLATED |" in text


def test_a_better_answer_is_0(old: Path, new: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """VIOLATED before and HELD now is listed and is no failure."""
    runs(old, [broken()])
    runs(new, [quiet()])
    assert diff(old, new, capsys)[0] == exits.PASSED
    assert "| better | VIOLATED | HELD |" in diff(old, new, capsys)[1]


def test_an_answer_that_is_not_known_any_more_is_2(old: Path, new: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """HELD before and INCONCLUSIVE now is neither worse nor a pass."""
    runs(old, [quiet()])
    runs(new, [quiet().without(CallerEnd)])
    code, text = diff(old, new, capsys)
    assert code == exits.INCONCLUSIVE
    assert "no longer known | HELD | INCONCLUSIVE |" in text


def test_a_promise_that_was_dropped_is_1(old: Path, new: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A claim that held, and that nothing can fail of any more, is seen, with its outcome."""
    bundle(old, quiet())
    silent = Reference("The mesh says nothing of it", "https://example.org/silence", "1", "not-promised")
    secret = never(checks.plaintext(EDGE), must_hold=True, promise=silent)
    bundle(new, broken(), folder="20260102T000000Z", claims={**CLAIMS, "no-plaintext": secret})
    code, text = diff(old, new, capsys)
    assert code == exits.VIOLATED
    assert "no longer promised | HELD | VIOLATED, no promise |" in text
    assert "**Something is worse, no longer promised or no longer asked.**" in text


def test_what_is_not_asked_any_more_is_1(old: Path, new: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A drill that is gone and a claim that is gone are listed and fail; a new one is listed."""
    runs(old, [quiet()])
    runs(new, [quiet()], drill="node-outage")
    code, text = diff(old, new, capsys)
    assert code == exits.VIOLATED
    assert "| brain-outage | mesh-a | no longer asked | HELD | - |" in text
    assert "| node-outage | mesh-a | new | - | HELD |" in text
    runs(new, [quiet()], claims={name: claim for name, claim in CLAIMS.items() if name != "calls-made"})
    code, text = diff(old, new, capsys, "--mesh", "mesh-a")
    assert code == exits.VIOLATED
    assert "| brain-outage | mesh-a | calls-made | no longer asked | HELD | - |" in text


@pytest.mark.parametrize("phase", ["baseline", "fault", "recovery"])
def test_a_claim_of_one_phase_is_still_asked_where_the_whole_run_is(
    phase: str, old: Path, new: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The id without the phase answers for it if it covers the run: a violation is worse, and other phases are gone."""
    before = {**CLAIMS, f"no-plaintext-in-{phase}": never(checks.plaintext(EDGE), phase, must_hold=True)}
    now = {**CLAIMS, "no-plaintext": never(checks.plaintext(EDGE), "run", must_hold=True)}
    runs(old, [quiet()], claims=before)
    runs(new, [quiet()], claims=now)
    code, text = diff(old, new, capsys)
    assert code == exits.PASSED
    assert "| no longer asked |" not in text
    shutil.rmtree(new)
    runs(new, [broken()], claims=now)
    code, text = diff(old, new, capsys)
    assert code == exits.VIOLATED
    assert f"| brain-outage | mesh-a | no-plaintext-in-{phase} | worse | HELD | VIOLATED |" in text
    shutil.rmtree(new)
    runs(new, [quiet()])
    code, text = diff(old, new, capsys)
    assert code == exits.VIOLATED
    assert f"| brain-outage | mesh-a | no-plaintext-in-{phase} | no longer asked | HELD | - |" in text


def test_what_failed_before_is_not_hidden_by_no_change(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is worse than a baseline that was violated, and the page still says that it does not pass."""
    runs(old, [broken()])
    code, text = diff(old, old, capsys)
    assert code == exits.PASSED
    assert "### Not passing, as before" in text
    assert "| brain-outage | mesh-a | VIOLATED |" in text


def test_a_control_that_came_out_right_is_no_failure(old: Path, new: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A control counts by whether it came out right: violated as it must be is HELD, and a blind one is worse."""
    blind = quiet()
    blind.is_control = True
    runs(old, [quiet(is_control=True)])
    runs(new, [blind])
    assert "Not passing" not in diff(old, old, capsys)[1]
    code, text = diff(old, new, capsys)
    assert code == exits.VIOLATED
    assert "| worse | HELD | VIOLATED |" in text


def test_a_slower_recovery_in_repeats_is_worse(old: Path, new: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three runs that all recover seconds later than three before: worse, with interval and margin."""
    runs(old, [quiet(back_after_s=it) for it in (1, 1.2, 1.4)])
    runs(new, [quiet(back_after_s=it) for it in (5, 5.2, 5.4)])
    code, text = diff(old, new, capsys)
    assert code == exits.VIOLATED
    row = next(line for line in text.splitlines() if "routes-recover" in line)
    assert "| **worse** |" in row
    assert "(3 runs)" in row
    assert "interval +3." in row
    assert diff(new, old, capsys)[0] == exits.PASSED


def test_one_slower_run_is_only_a_suspect(old: Path, new: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One run each cannot tell a slower mesh from chance: listed, with the reason, and no failure."""
    runs(old, [quiet(back_after_s=1)])
    runs(new, [quiet(back_after_s=8)])
    code, text = diff(old, new, capsys)
    assert code == exits.PASSED
    row = next(line for line in text.splitlines() if "routes-recover" in line)
    assert "| suspect |" in row
    assert "too few runs to rule out chance" in row


def test_noise_is_no_regression(old: Path, new: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs that overlap, or that differ by less than the margin, differ in nothing."""
    runs(old, [quiet(back_after_s=it) for it in (1, 4, 2)])
    runs(new, [quiet(back_after_s=it) for it in (3, 5, 2)])
    code, text = diff(old, new, capsys)
    assert code == exits.PASSED
    assert "### Numbers" not in text


def test_latency_of_single_runs_is_compared_by_its_seconds(
    old: Path, new: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twenty milliseconds more in every second of one baseline: a suspect, with an interval within single runs."""
    runs(old, [quiet()])
    runs(new, [quiet(lag_ms=20)])
    code, text = diff(old, new, capsys)
    assert code == exits.PASSED
    row = next(line for line in text.splitlines() if "latency p50" in line)
    assert "| suspect | 2.1 to 2.1 ms (10 seconds) | 22 to 22 ms (10 seconds) |" in row
    assert "within single runs only" in row


def test_numbers_of_another_machine_are_not_compared(old: Path, new: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A smaller host is no slower mesh: answers are compared, numbers are not, and that is said."""
    runs(old, [quiet()] * 3)
    runs(new, [quiet(lag_ms=50, back_after_s=8)] * 3, cpus=1)
    code, text = diff(old, new, capsys)
    assert code == exits.PASSED
    assert "Numbers: 0 compared" in text
    assert "brain-outage on mesh-a." in text


def test_repeats_that_differ_are_flaky(old: Path, new: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One version, two answers, in whichever folders: flaky, with the claim and both runs; another version is none."""
    runs(old, [broken()], version="0.9")
    runs(new, [quiet()])
    assert "### Flaky" not in diff(old, new, capsys)[1]
    runs(new, [quiet(), broken()])
    text = diff(old, new, capsys)[1]
    row = text.split("### Flaky")[1].splitlines()[4]
    assert "VIOLATED (1 of 2), HELD (1 of 2)" in row
    assert "no-plaintext" in row
    assert "20260102T000000Z" in row


def test_an_older_version_excuses_nothing(
    old: Path, new: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That a version before the baseline's newest was violated does not make a violation of today the usual thing."""
    bundle(old, broken(), version="0.9", folder="20250101T000000Z")
    monkeypatch.setattr(story, "START_NS", story.START_NS + 365 * 86_400 * NS_PER_S)
    bundle(old, quiet(), version="1.0", folder="20260101T000000Z")
    runs(new, [broken()], version="1.1")
    code, text = diff(old, new, capsys)
    assert code == exits.VIOLATED
    assert "| worse | HELD | VIOLATED |" in text


def test_a_changed_bundle_is_2(old: Path, new: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bundle that is not as stated is not compared, and the comparison does not pass without it."""
    runs(old, [quiet()])
    runs(new, [quiet()])
    (next(new.rglob("verdict.json"))).write_bytes((next(old.rglob("verdict.json"))).read_bytes() + b"\n")
    assert cli.status(["diff", str(old), str(new)]) == exits.INCONCLUSIVE
    assert "verdict.json: changed" in capsys.readouterr().err


def test_nothing_to_compare_is_2(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mesh that neither side ran is listed; it is no pass."""
    runs(old, [quiet()])
    assert cli.status(["diff", str(old), str(old), "--mesh", "mesh-z"]) == exits.INCONCLUSIVE
    assert "no run of mesh-z" in capsys.readouterr().err


def test_the_page_is_written_where_it_is_asked_for(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--out gets the same Markdown as the terminal."""
    runs(old, [quiet()])
    _, text = diff(old, old, capsys, "--out", str(tmp_path / "diff.md"))
    assert (tmp_path / "diff.md").read_text(encoding="utf-8").strip() == text.strip()


def test_help_states_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """What a CI server needs to know stands in --help."""
    assert cli.status(["diff", "--help"]) == exits.PASSED
    assert "Exit codes: 0 nothing is worse; 1 an answer" in " ".join(capsys.readouterr().out.split())
