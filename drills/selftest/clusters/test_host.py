"""Host inspection, and the gaps that it reports."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from clusters import host, host_bootstrap, meshes, provision
from clusters.images import recipe
from clusters.runtime import CannotRunHereError, HarnessError
from drills.cli import exits

ABLE = host.HostReport(
    os="Debian GNU/Linux 12 (bookworm)",
    kernel="6.1.0",
    cpus=2,
    memory_gib=16.0,
    disk_free_gib=80.0,
    engine_version="20.10.24",
    engine_runtime="runc",
    cgroup_version=2,
    missing_capabilities=(),
    kernel_features={"BTF": True, "netem": True},
    registry_reachable={"docker.io": True},
    inotify_instances=8192,
)


@pytest.mark.parametrize(("euid", "is_systemd", "expected"), [(0, False, "99"), (1000, False, "1"), (0, True, "1")])
def test_all_containers_together_weigh_more_than_one_process(
    euid: int, is_systemd: bool, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root sets their CPU weight where systemd does not; a path that is no cgroup stays unchanged."""
    weight, elsewhere = tmp_path / "cpu" / "docker" / "cpu.shares", tmp_path / "unified" / "docker" / "cpu.weight"
    weight.parent.mkdir(parents=True)
    weight.write_text("1", encoding="ascii")
    elsewhere.parents[1].mkdir()
    (weight.parents[1] / "cgroup.procs").touch()
    monkeypatch.setattr(host_bootstrap, "_CONTAINER_WEIGHTS", {weight: 99, elsewhere: 99})
    monkeypatch.setattr(host_bootstrap, "_service_manager", lambda: is_systemd)
    monkeypatch.setattr(os, "geteuid", lambda: euid)
    host_bootstrap.raise_container_weight()
    assert weight.read_text(encoding="ascii") == expected
    assert not elsewhere.parent.exists()


def test_an_engine_that_ends_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the end of its log, and comes long before the bound."""
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    (tmp_path / "log").write_text("address already in use\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with (
        subprocess.Popen(["sh", "-c", "exit 1"]) as engine,
        pytest.raises(HarnessError, match=r"(?s)did not answer .*address already in use"),
    ):
        host_bootstrap._wait_until_it_answers(tmp_path / "log", engine)


def test_an_engine_that_answers_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait ends with the first answer; the engine may belong to a service manager."""
    (tmp_path / "docker").write_text(f"#!/bin/sh\ntest -e {tmp_path}/asked || {{ touch {tmp_path}/asked; exit 1; }}\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    host_bootstrap._wait_until_it_answers(tmp_path / "log", None)
    assert (tmp_path / "asked").exists()


def test_a_mesh_is_told_which_feature_the_kernel_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what the mesh needs counts, and what is missing is named."""
    monkeypatch.setattr(host, "kernel_features", lambda: {"WireGuard": False, "ESP": False, "BTF": True})
    assert host.missing_kernel_features(()) == host.missing_kernel_features(("BTF",)) == ""
    assert host.missing_kernel_features(("BTF", "WireGuard")).endswith("has no WireGuard")


@pytest.mark.parametrize(
    ("lacking", "named"),
    [
        (("WireGuard", "ESP"), "Meshes that cannot run here: cilium-wireguard."),
        (("TPROXY",), "Meshes that cannot run here: cilium-l7."),
        (("netem",), "Meshes that cannot run here: none."),
    ],
)
def test_doctor_names_the_meshes_that_cannot_run_here(lacking: tuple[str, ...], named: str) -> None:
    """A gap of kernel features names the meshes that need them; a feature that no mesh needs names none."""
    report = msgspec.structs.replace(ABLE, kernel_features={"BTF": True, **dict.fromkeys(lacking, False)})
    assert named in host.render(report)
    assert "cannot run here" not in host.render(ABLE)


def test_every_feature_that_a_mesh_needs_is_one_that_is_looked_for() -> None:
    """Every required feature is a known one; a misspelt name would never be missing."""
    needed = {name for mesh in map(meshes.load, meshes.names()) for name in mesh.install.kernel_features}
    assert needed
    assert needed <= set(host.kernel_features())


def test_a_mesh_that_this_kernel_cannot_carry_is_inconclusive_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No engine is installed and no cluster created for it."""
    monkeypatch.setattr(host, "kernel_features", lambda: {"WireGuard": False})
    monkeypatch.setattr(host, "ensure", lambda **_: pytest.fail("the host was touched"))
    with (
        pytest.raises(CannotRunHereError, match=r"cannot run here: .* has no WireGuard") as raised,
        provision.up("cilium-wireguard", provision.Options(), print),
    ):
        pytest.fail("a place was given")
    assert raised.value.exit_code == exits.INCONCLUSIVE


def test_an_able_host_has_no_gaps() -> None:
    """A host with everything is reported without a gap."""
    assert host.gaps(ABLE) == []
    assert "No gaps." in host.render(ABLE)


def test_no_engine_is_fatal_and_names_the_flag() -> None:
    """A missing engine is the first gap, is fatal, and its cure names --bootstrap."""
    gap = host.gaps(msgspec.structs.replace(ABLE, engine_version=None, inotify_instances=128))[0]
    assert gap.fatal
    assert "--bootstrap" in gap.cure


@pytest.mark.parametrize(("runtime", "fatal"), [("runc", True), (host_bootstrap.BOUNDED_RUNTIME, False)])
def test_a_bounded_host_needs_the_bounded_runtime(runtime: str, fatal: bool) -> None:
    """Where capabilities are missing, an engine with an ordinary runtime cannot start a node; ours can."""
    report = msgspec.structs.replace(ABLE, missing_capabilities=("CAP_SYS_RESOURCE",), engine_runtime=runtime)
    assert any(gap.fatal for gap in host.gaps(report)) is fatal


@pytest.mark.parametrize(
    ("change", "subject", "fatal"),
    [
        ({"disk_free_gib": 3.0}, "Free disk", True),
        ({"memory_gib": 2.0}, "Memory", False),
        ({"inotify_instances": 128}, "fs.inotify.max_user_instances", False),
        ({"kernel_features": {"netem": False}}, "Kernel", False),
        ({"registry_reachable": {"docker.io": False}}, "Container registries", False),
    ],
)
def test_each_lack_is_a_gap_with_a_cure(change: dict[str, object], subject: str, fatal: bool) -> None:
    """Each gap has what was observed, what was expected and the cure."""
    (gap,) = host.gaps(msgspec.structs.replace(ABLE, **change))
    assert (gap.subject, gap.fatal) == (subject, fatal)
    assert gap.observed
    assert gap.expected
    assert gap.cure


def test_ensure_without_an_engine_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a host without docker, ensure is one HarnessError (exit code 3) that names --bootstrap."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("MESHDRILL_CACHE", str(tmp_path / "cache"))
    with pytest.raises(HarnessError, match="--bootstrap") as raised:
        host.ensure(bootstrap=False, progress=print)
    assert raised.value.exit_code == 3


def test_the_report_is_json_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `doctor --json` prints is the whole report of this very machine."""
    monkeypatch.setenv("MESHDRILL_CACHE", str(tmp_path))
    report = host.inspect()
    assert msgspec.json.decode(msgspec.json.encode(report), type=host.HostReport) == report
    assert report.cpus >= 1
    assert report.memory_gib > 0


def test_an_option_built_as_a_module_needs_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CONFIG_X=m where no module file can be found is an absent feature; =y is a present one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    wanted = ("CONFIG_NET_SCH_NETEM",)
    assert host._has_feature("netem", wanted, "sch_netem", {"CONFIG_NET_SCH_NETEM": "y"})
    assert not host._has_feature("netem", wanted, "sch_netem", {"CONFIG_NET_SCH_NETEM": "m"})
    assert not host._has_feature("netem", wanted, "sch_netem", {"CONFIG_OTHER": "y"})


BUNDLE = {"process": {"capabilities": {"bounding": ["CAP_KILL", "CAP_SYS_TIME"], "ambient": ["CAP_SYS_TIME"]}}}


@pytest.fixture
def bounded(tmp_path: Path) -> list[str]:
    """The bounded runtime's command line, without CAP_SYS_TIME, before a runc that echoes its arguments."""
    if os.geteuid() != 0 or not shutil.which("setpriv") or not shutil.which("jq"):
        pytest.skip("needs root, setpriv and jq to take a capability away")
    real = tmp_path / "runc"
    real.write_text('#!/bin/sh\necho "$@"\n')
    real.chmod(0o755)
    script = recipe.recipes_dir() / "bounded-runc" / "runc"
    return ["setpriv", "--bounding-set=-sys_time", "env", f"PATH={tmp_path}:{os.environ['PATH']}", "sh", str(script)]


@pytest.mark.parametrize(
    "words", [["create", "--bundle", "{}"], ["--debug", "run", "-b", "{}"], ["create", "--bundle={}"]]
)
def test_the_bounded_runtime_drops_what_the_host_cannot_grant(
    tmp_path: Path, bounded: list[str], words: list[str]
) -> None:
    """Exactly the missing capabilities are removed from every set of a bundle; runc gets the same arguments."""
    (tmp_path / "config.json").write_text(json.dumps(BUNDLE))
    words = [word.format(tmp_path) for word in [*words, "box"]]
    said = subprocess.run([*bounded, *words], capture_output=True, text=True, check=True, timeout=20).stdout
    assert said.split() == words
    kept = json.loads((tmp_path / "config.json").read_text())["process"]["capabilities"]
    assert kept == {"bounding": ["CAP_KILL"], "ambient": []}


def test_the_bounded_runtime_bounds_exec_too(tmp_path: Path, bounded: list[str]) -> None:
    """The process file of `exec` is bounded as a bundle is; a process that names no capabilities is left alone."""
    for process in (BUNDLE["process"], {"args": ["true"]}):
        file = tmp_path / "process.json"
        file.write_text(json.dumps(process))
        subprocess.run([*bounded, "exec", "--process", str(file), "box"], check=True, timeout=20, capture_output=True)
        assert "CAP_SYS_TIME" not in file.read_text()
        assert json.loads(file.read_text()).keys() == process.keys()
