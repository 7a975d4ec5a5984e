"""The command line: what it refuses, what it prints, and how it ends."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from clusters import host, kind
from clusters.model import Mesh, Role
from clusters.runtime import HarnessError, InconclusiveError
from drills.cli import app as cli
from drills.cli import exits
from drills.cli import images as cli_images
from drills.cli import sweep as cli_sweep
from drills.judge.files import FileError
from drills.run import catalogue
from drills.run.declare import declared, drill
from drills.run.experiment import Experiment

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "control-plane-outge", "--mesh", "none"], "control-plane-outage"),
        (["run", "control-plane-outage", "--mesh", "nonne"], "Did you mean none?"),
        (["run", "control-plane-outage"], "--mesh"),
        (["run"], "drill"),
        (["run", "control-plane-outage", "--mesh", "none", "--no-such-option"], "--no-such-option"),
        (["run", "control-plane-outage", "--mesh", "none", "--image-source", "thin-air"], "thin-air"),
        (["no-such-command"], "no-such-command"),
        (["judge", "no/such/bundle"], "no/such/bundle"),
        (["verify", "no/such/bundle"], "no/such/bundle"),
        (["keygen"], "file"),
        (["images", "no-such-command"], "no-such-command"),
    ],
)
def test_wrong_usage_is_64_and_names_the_word(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong usage, ours or typer's, ends with 64 and a message that names what was wrong."""
    assert cli.status(words) == exits.USAGE
    assert expected in capsys.readouterr().err


def test_a_usage_error_of_ours_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown drill is answered in one line."""
    cli.status(["run", "nothing-of-the-kind", "--mesh", "none"])
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_drill_that_a_mesh_cannot_be_asked_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A drill that requires what the mesh lacks is refused with the reason, before anything is started."""

    @drill(requires=[Role.L7_PROXY])
    def l7_proxy_outage(_mesh: Mesh) -> Experiment:
        """It is never built."""
        raise AssertionError

    monkeypatch.setattr(catalogue, "entries", lambda: (declared(l7_proxy_outage),))
    assert cli.status(["run", "l7-proxy-outage", "--mesh", "none"]) == exits.USAGE
    assert "no l7-proxy" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "light"),
    [
        (["no-such-command"], {"polars", "kubernetes", "chaoslib", "rich.console"}),
        (["run", "x", "--mesh", "none"], {"chaoslib", "rich.console"}),  # the drills are loaded, and what they ask
    ],
)
def test_refusal_comes_before_anything_heavy_is_loaded(words: list[str], light: set[str]) -> None:
    """A typing error is refused without loading what only a run needs."""
    script = (
        f"import sys; from drills.cli import app; code = app.status({words});"
        f"print(code, sorted({light} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split(maxsplit=1) == ["64", "[]\n"]


@pytest.mark.parametrize(
    ("error", "code"), [(HarnessError("the engine is gone"), 3), (InconclusiveError("cannot be read"), 2)]
)
def test_failures_of_ours_end_with_their_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failure of the harness is reported on stderr in its own words and ends with its own code."""

    def fail(*_words: object) -> None:
        raise error

    monkeypatch.setattr(cli_images, "_resolve", fail)
    assert cli.status(["images", "pull"]) == code
    assert capsys.readouterr().err == f"meshdrill: {error}\n"


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), SystemExit("a text"), SystemExit(77), pl.exceptions.PanicException("a panic")]
)
def test_an_unforeseen_error_is_a_defect_of_the_harness(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A crash ends with 3 and its trace, and never with 1, which is a verdict; a panic of a library is one, too."""

    def crash(*_words: object) -> None:
        raise error

    monkeypatch.setattr(cli_images, "_resolve", crash)
    assert cli.status(["images", "pull"]) == exits.HARNESS
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.endswith(f"meshdrill: {exits.DEFECT}\n")


def test_a_file_that_cannot_be_used_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong with a file of a bundle is reported in its own words and ends with 2, whatever command reads it."""

    def fail(*_words: object) -> None:
        raise FileError("run.json is a pipe")

    monkeypatch.setattr(cli_images, "_resolve", fail)
    assert cli.status(["images", "pull"]) == exits.INCONCLUSIVE
    assert capsys.readouterr().err == "meshdrill: run.json is a pipe\n"


def test_an_interrupted_command_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends any command with 130, which no verdict has."""

    def interrupt(*_words: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_images, "_resolve", interrupt)
    assert cli.status(["images", "pull"]) == exits.INTERRUPTED


@pytest.mark.parametrize(
    ("existing", "expected"),
    [((), "No cluster of ours exists"), (("a",), "a: nothing to undo"), (("b",), "b: scale it back, resume it")],
)
def test_sweep_names_what_it_undid_in_each_cluster(
    existing: tuple[str, ...], expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`sweep` names every existing cluster and what was undone there, and says so when there is none."""
    clusters = [SimpleNamespace(name=name) for name in existing]
    undone = {"a": (), "b": ("scale it back", "resume it")}
    monkeypatch.setattr(kind, "existing", lambda _progress: iter(clusters))
    monkeypatch.setattr(kind, "remove_orphans", lambda _progress: ("gone",))
    monkeypatch.setattr(cli_sweep, "sweep", lambda cluster, _progress: undone[cluster.name])
    assert cli.status(["sweep"]) == exits.PASSED
    out = capsys.readouterr().out
    assert expected in out
    assert "gone: the cluster no longer exists" in out


def test_help_names_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """The help states what each exit code means."""
    assert cli.status(["--help"]) == exits.PASSED
    text = capsys.readouterr().out
    assert all(f"{code} {word}" in text for code, word in {0: "passed", 1: "violated", 64: "usage"}.items())


def test_list_as_json_is_the_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    """`list --json` shows drill, hypothesis, roles, capabilities and, per mesh, "" or why it cannot be asked."""
    assert cli.status(["list", "--json"]) == exits.PASSED
    listed = {row["drill"]: row for row in json.loads(capsys.readouterr().out)}
    outage = listed["control-plane-outage"]
    assert outage["roles"] == ["control-plane"]
    assert outage["meshes"]["none"] == ""
    assert outage["hypothesis"].startswith("With no control plane, known routes keep working")


def test_list_names_a_mesh_that_this_machine_cannot_carry(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not among those that can be asked, in either form, and the reason names the kernel; one that can be is."""
    monkeypatch.setattr(host, "kernel_features", lambda: {"WireGuard": False, "TPROXY": True})
    assert cli.status(["list", "--json"]) == exits.PASSED
    outage = next(row for row in json.loads(capsys.readouterr().out) if row["drill"] == "control-plane-outage")
    assert outage["meshes"]["cilium-wireguard"].startswith("Cilium with WireGuard cannot run here: the kernel")
    assert outage["meshes"]["cilium-l7"] == outage["meshes"]["cilium"] == ""
    assert cli.status(["list"]) == exits.PASSED
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    asked = [words for words in lines if words[:1] == ["meshes"]]
    assert asked
    assert not any("cilium-wireguard" in word for words in asked for word in words)


def test_list_for_people_names_drills_and_meshes(capsys: pytest.CaptureFixture[str]) -> None:
    """`list` names every drill and the meshes that it can run on."""
    assert cli.status(["list"]) == exits.PASSED
    text = capsys.readouterr().out
    assert all(entry.name in text for entry in catalogue.entries())
    assert "none" in text


def test_images_list_shows_every_image_of_the_catalogue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`images list` names each official reference and where it can be had from here."""
    assert cli.status(["images", "list", "--mesh", "none", "--images", str(tmp_path)]) == exits.PASSED
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "node"
    assert "kindest/node" in lines[1]
