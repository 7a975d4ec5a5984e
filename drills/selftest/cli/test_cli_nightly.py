"""A night of drills: every mesh is asked, every run counts, nothing is left standing, and what changed is listed."""

import itertools
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import pytest

from clusters import host, kind, meshes
from clusters.model import Role
from clusters.runtime import UsageError
from drills.cli import app as cli
from drills.cli import exits
from drills.cli import night as nightly
from drills.cli.night import Plan
from drills.run import catalogue
from drills.run.declare import unmet
from drills.selftest.doubles.many_runs import Runs, broken, bundle, quiet
from drills.selftest.doubles.story import Story

Night = Callable[..., tuple[int, str]]
OUTAGE, HANG = "control-plane-outage", "control-plane-hang"


@dataclass
class Machine:
    """Stands where processes and clusters stand: each run leaves a bundle of the next story and ends with its code."""

    answers: Callable[[str, str, int], tuple[Story | None, int]]  # drill, mesh, how often it was asked before
    asked: list[tuple[str, ...]] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    runs: Runs = field(default_factory=Runs)

    def ask(self, words: Sequence[str], _limit_s: float) -> int:
        """Be an Ask."""
        drill, mesh, reports = words[1], words[3], Path(words[words.index("--reports") + 1])
        before = sum(it[1] == drill and it[3] == mesh for it in self.asked)
        self.asked.append(tuple(words))
        story, code = self.answers(drill, mesh, before)
        if story is not None:
            self.runs.leave(reports, story, drill=drill, mesh=mesh)
        return code

    def remove(self, name: str, *_more: object) -> bool:
        """Remember which cluster was to go."""
        self.removed.append(name)
        return True

    def turns(self) -> list[tuple[str, str]]:
        """Return the drills and meshes that were asked."""
        return [(words[1], words[3]) for words in self.asked]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Return a night of two drills on two meshes."""
    return Plan(tmp_path / "night", ("istio-sidecar", "none"), (OUTAGE, HANG), 1, time.monotonic() + 60)


@cache
def well() -> Story:
    """Return a run in which all goes well: a night has many of them, and reads each only."""
    return quiet()


def passes(_drill: str, _mesh: str, _before: int) -> tuple[Story, int]:
    """Pass."""
    return well(), exits.PASSED


def test_every_drill_of_every_mesh_is_asked_mesh_after_mesh(plan: Plan) -> None:
    """One mesh is over, and its cluster gone, before the next begins."""
    machine = Machine(passes)
    turns = list(nightly.spend(plan, machine.ask, machine.remove))
    assert machine.turns() == [(drill, mesh) for mesh in plan.meshes for drill in plan.drills]
    assert machine.removed == ["meshdrill-nightly-istio-sidecar", "meshdrill-nightly-none"]
    assert [turn.code for turn in turns] == [exits.PASSED] * 4
    assert all("--keep-cluster" in words for words in machine.asked)


@pytest.mark.parametrize("code", [exits.VIOLATED, exits.INCONCLUSIVE, exits.HARNESS])
def test_a_rerun_that_passes_hides_nothing(plan: Plan, code: int) -> None:
    """What fails is asked once more; that it then passes makes it flaky, and its failure stands."""
    machine = Machine(lambda *asked: (well(), code if asked == (HANG, "none", 0) else exits.PASSED))
    turns = {(turn.drill, turn.mesh): turn for turn in nightly.spend(plan, machine.ask, machine.remove)}
    assert machine.turns().count((HANG, "none")) == 2
    assert len(machine.asked) == 5
    assert (turns[HANG, "none"].code, turns[HANG, "none"].is_flaky) == (code, True)
    assert not turns[OUTAGE, "none"].is_flaky


@pytest.mark.parametrize("code", [exits.HARNESS, exits.VIOLATED, exits.INCONCLUSIVE])
def test_what_did_not_pass_gets_a_new_cluster(plan: Plan, code: int) -> None:
    """The next run does not stand on the ruins of one that could not work, or that broke its mesh for good."""
    machine = Machine(lambda *_asked: (well(), code))
    list(nightly.spend(plan, machine.ask, machine.remove))
    assert machine.removed.count("meshdrill-nightly-none") == 5


def test_a_drill_with_an_install_of_its_own_gets_a_cluster_of_its_own(plan: Plan) -> None:
    """What stood before would be refused, and what it leaves is nothing for the next."""
    machine = Machine(passes)
    apart = Plan(plan.reports, ("none",), (OUTAGE, "identity-outage-beyond-life", HANG), 1, plan.until_s)
    list(nightly.spend(apart, machine.ask, machine.remove))
    assert machine.removed == ["meshdrill-nightly-none"] * 3
    machine.removed.clear()
    list(nightly.spend(Plan(plan.reports, ("cilium",), apart.drills, 1, plan.until_s), machine.ask, machine.remove))
    assert machine.removed == ["meshdrill-nightly-cilium"], "where it cannot be asked nothing has to go"


def test_a_steady_failure_is_not_flaky_and_not_asked_for_ever(plan: Plan) -> None:
    """Twice the same is enough; with more repeats than one, one more after the last."""
    machine = Machine(lambda *_asked: (None, exits.VIOLATED))
    turns = list(nightly.spend(plan, machine.ask, machine.remove))
    assert len(machine.asked) == 8
    assert not any(turn.is_flaky for turn in turns)


@pytest.mark.parametrize("code", [exits.PASSED, exits.VIOLATED])
def test_an_answer_without_a_bundle_is_none(plan: Plan, code: int) -> None:
    """A run that ends with 0 or 1 and left no evidence is a harness error: Python, too, ends a crash with 1."""
    machine = Machine(lambda *_asked: (None, code))
    assert {turn.code for turn in nightly.spend(plan, machine.ask, machine.remove)} == {exits.HARNESS}


def test_repeats_are_all_asked(plan: Plan) -> None:
    """With --repeat 3 each drill is asked three times though it passes."""
    machine = Machine(passes)
    repeated = Plan(plan.reports, ("none",), (OUTAGE,), 3, plan.until_s)
    (turn,) = nightly.spend(repeated, machine.ask, machine.remove)
    assert [len(attempt.bundles) for attempt in turn.attempts] == [1, 1, 1]


def test_what_is_not_begun_in_time_is_no_pass(plan: Plan) -> None:
    """When the night's time is over, what was not asked is owed: a harness error, with the reason."""
    machine = Machine(passes)
    late = Plan(plan.reports, plan.meshes, plan.drills, 1, time.monotonic() - 1)
    turns = list(nightly.spend(late, machine.ask, machine.remove))
    assert machine.asked == []
    assert {(turn.code, turn.reason) for turn in turns} == {(exits.HARNESS, "the time of the night was used up")}


def test_what_a_mesh_cannot_be_asked_is_skipped_with_the_reason(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drill whose needs a mesh does not meet is no failure, and it says why."""
    entry = replace(catalogue.find(OUTAGE), requires=(Role.L7_PROXY,))
    monkeypatch.setattr(catalogue, "find", lambda _name: entry)
    machine = Machine(passes)
    turns = list(nightly.spend(plan, machine.ask, machine.remove))
    assert machine.asked == []
    assert all(turn.code == exits.PASSED and "no l7-proxy" in turn.reason for turn in turns)


@pytest.mark.parametrize("words", [["--no-fault"], ["--", "--no-fault"]])
def test_a_night_of_controls_asks_every_mesh_that_can_have_one(words: list[str], night: Night, tmp_path: Path) -> None:
    """Each run gets the option; a mesh that is itself a control is skipped with the reason; nothing is compared."""
    bundle(tmp_path / "accepted", quiet(), drill="gone-outage", mesh="linkerd")
    machine: list[tuple[str, ...]] = []
    code, text = night(passes, "--mesh", "none", "--mesh", "linkerd", "--drill", OUTAGE, *words, asked=machine)
    assert code == exits.PASSED
    assert [(it[1], it[3], "--no-fault" in it) for it in machine] == [(OUTAGE, "linkerd", True)]
    assert re.search(rf"\| {OUTAGE} \| none \| skipped: .* is itself a control", text)
    assert "No-fault controls are compared with no run" in text


def test_a_mesh_that_lacks_an_image_is_asked_once(plan: Plan) -> None:
    """What is inconclusive and leaves no record would end so each time: it counts, and the other drills are listed."""

    def lacking(drill: str, mesh: str, before: int) -> tuple[Story | None, int]:
        return (None, exits.INCONCLUSIVE) if mesh == "istio-sidecar" else passes(drill, mesh, before)

    machine = Machine(lacking)
    night = replace(plan, drills=(OUTAGE, "node-agent-outage", HANG))  # the one between does not fit that mesh
    turns = list(nightly.spend(night, machine.ask, machine.remove))
    first, *rest = [
        it for it in turns if it.mesh == "istio-sidecar" and not it.reason.startswith("Istio sidecar has no")
    ]
    assert (first.code, len(first.attempts)) == (exits.INCONCLUSIVE, 2)
    assert {it.reason for it in rest} == {f"{first.drill} found that this machine cannot run the mesh"}
    assert all(it.code == exits.PASSED and it.attempts for it in turns if it.mesh == "none" and not it.reason)


def test_an_interrupted_night_removes_its_cluster(plan: Plan) -> None:
    """Ctrl-C in a run ends the night; the cluster of that mesh goes all the same."""

    def interrupt(*_asked: object) -> tuple[None, int]:
        raise KeyboardInterrupt

    machine = Machine(interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(nightly.spend(plan, machine.ask, machine.remove))
    assert machine.removed == ["meshdrill-nightly-istio-sidecar"]


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Return what spends a night through the command line with such answers."""

    def spend(
        answers: Callable[[str, str, int], tuple[Story | None, int]],
        *words: str,
        asked: list[tuple[str, ...]] | None = None,
    ) -> tuple[int, str]:
        machine = Machine(answers, [] if asked is None else asked)
        monkeypatch.setattr(nightly, "process", machine.ask)
        monkeypatch.setattr(kind, "remove", machine.remove)
        places = ["--reports", str(tmp_path / "night"), "--baseline", str(tmp_path / "accepted")]
        code = cli.status(["nightly", *places, *words])
        return code, (tmp_path / "night" / "nightly.md").read_text(encoding="utf-8")

    return spend


def test_a_night_writes_summary_and_index(night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a word every mesh and drill is asked; summary and index name them, and the summary is over."""
    monkeypatch.setattr(host, "kernel_features", dict)  # a kernel that lacks nothing
    code, text = night(passes)
    assert code == exits.PASSED
    for entry, mesh in itertools.product(catalogue.entries(), meshes.names()):
        what = "skipped" if unmet(entry.requires, meshes.load(mesh)) else "passed"
        row = rf"\| {entry.name} \| {mesh} \| {what}"
        assert re.search(row, text)
    assert re.search(rf"\| {OUTAGE} \| none \| passed \| passed in \d+ s \| HELD 20260101T000000Z \|", text)
    assert ("not over" in text, "No baseline" in text) == (False, True)
    for page, words in (("README.md", OUTAGE), ("index.html", "cannot be asked: ")):
        assert words in (tmp_path / "night" / page).read_text(encoding="utf-8")


def test_a_mesh_that_cannot_run_here_is_listed_with_the_reason(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel of this machine lacks is no failure of the night, and no run is made for it."""
    monkeypatch.setattr(host, "kernel_features", lambda: {"WireGuard": False})
    code, text = night(passes, "--drill", OUTAGE)
    assert code == exits.PASSED
    assert re.search(
        rf"\| {OUTAGE} \| cilium-wireguard \| skipped: the kernel of this machine, .*has no WireGuard", text
    )
    assert re.search(rf"\| {OUTAGE} \| cilium \| passed", text)


def test_a_night_ends_with_the_worst_and_shows_what_is_flaky(night: Night) -> None:
    """One violation that does not repeat itself: 1, and both runs with their bundles in one row."""

    def once(drill: str, mesh: str, before: int) -> tuple[Story, int]:
        return (broken(), exits.VIOLATED) if (drill, mesh, before) == (HANG, "none", 0) else (well(), exits.PASSED)

    code, text = night(once, "--drill", HANG)
    assert code == exits.VIOLATED
    row = next(line for line in text.splitlines() if line.startswith(f"| {HANG} | none |"))
    assert re.search(r"\*\*flaky\*\*, VIOLATED \| VIOLATED in \d+ s, passed in \d+ s \|", row)
    assert "VIOLATED 20260101T000000Z, HELD 20260102T000000Z" in row


def test_a_night_is_compared_with_the_baseline(night: Night, tmp_path: Path) -> None:
    """A drill that passes, and asks less than the accepted runs, ends the night with 1, within the named meshes."""
    for mesh in ("none", "istio-sidecar"):
        bundle(tmp_path / "accepted", quiet(), drill="gone-outage", mesh=mesh)
    code, text = night(passes, "--mesh", "none", "--drill", OUTAGE)
    assert (code, "No baseline" in text) == (exits.PASSED, True)
    bundle(tmp_path / "accepted", quiet(), drill=OUTAGE, mesh="none")
    assert night(passes, "--mesh", "none", "--drill", OUTAGE)[0] == exits.PASSED
    code, text = night(passes, "--mesh", "none")
    assert code == exits.VIOLATED
    assert "| gone-outage | none | no longer asked | HELD | - |" in text
    assert "| gone-outage | istio-sidecar |" not in text


def test_a_broken_baseline_is_no_pass(night: Night, tmp_path: Path) -> None:
    """An accepted bundle that is not as stated ends the night with 2, and is named."""
    accepted = bundle(tmp_path / "accepted", quiet(), drill=OUTAGE, mesh="none")
    (accepted / "events.jsonl").unlink()
    code, text = night(passes, "--mesh", "none")
    assert (code, "Not compared with the baseline" in text) == (exits.INCONCLUSIVE, True)
    assert "events.jsonl: missing" in text


def test_a_night_in_which_nothing_ran_is_no_pass(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every drill skipped is a night that found out nothing: a harness error."""
    monkeypatch.setattr(nightly, "unmet", lambda _needs, _mesh: "it has none of that")
    code, text = night(passes)
    assert (code, "skipped: it has none of that" in text) == (exits.HARNESS, True)


def test_wrong_usage_of_a_run_ends_the_night(night: Night, capsys: pytest.CaptureFixture[str]) -> None:
    """Options that `run` refuses are refused once, not for every drill of the night."""
    code, text = night(lambda *_asked: (None, exits.USAGE), "--", "--no-such-option")
    assert code == exits.USAGE
    assert len(re.findall(r"^\| [a-z]+-[a-z-]+ \| [a-z-]+ \|", text, re.MULTILINE)) == 1
    assert "--no-such-option" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--mesh", "nonne"], ["--drill", "nothing"], ["--repeat", "0"]])
def test_a_name_that_does_not_exist_begins_no_night(words: list[str], tmp_path: Path) -> None:
    """An unknown mesh or drill is refused before any run starts."""
    assert cli.status(["nightly", "--reports", str(tmp_path / "night"), *words]) == exits.USAGE
    assert not (tmp_path / "night").exists()


def test_a_cluster_that_cannot_be_removed_does_not_end_the_night(
    night: Night, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error is printed, and the next mesh is run."""

    def refuse(_machine: Machine, name: str, *_more: object) -> bool:
        raise UsageError(f"{name} is in use")

    monkeypatch.setattr(Machine, "remove", refuse)
    assert night(passes, "--drill", OUTAGE)[0] == exits.PASSED
    assert "could not be removed: meshdrill-nightly-none is in use" in capsys.readouterr().err
