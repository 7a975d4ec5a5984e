"""Files of the undo log that nothing of ours wrote: each is named, none is obeyed, and the others are reverted."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from clusters import kind
from clusters.runtime import HarnessError
from drills.cli import app as cli
from drills.run import faults
from drills.run.faults.api_access import BlockedApi
from drills.run.faults.base import BaseFault, ComponentFault, PreparedFault
from drills.run.faults.objects import AppliedObjects
from drills.run.faults.workload import Absent, ScaledToZero
from drills.run.undo import Entry, UndoLog, leftovers, sweep
from drills.run.undo_entry import CreatedObject, LabCalls, ObjectRef, Patch, UndoEntry
from drills.selftest.doubles.cluster_double import COMPONENT, FileCluster
from drills.selftest.doubles.cluster_world import NODES

CALLS = LabCalls(run_id="r1")
SCALE = ScaledToZero(run_id="r1", component=COMPONENT, replicas=1, address="", order=())
LONG = "x" * 100_000


@pytest.fixture
def double(tmp_path: Path) -> FileCluster:
    """Return a healthy component."""
    return FileCluster(tmp_path / "cluster")


def put(double: FileCluster, entry: object, name: str = "1.json") -> Path:
    """Put a file into the log as anything could."""
    UndoLog(double.state)
    path = double.state / "undo" / name
    path.write_bytes(entry if isinstance(entry, bytes) else msgspec.json.encode(entry))
    return path


def edited(entry: UndoEntry, **fields: object) -> dict[str, object]:
    """Return an entry as the log has it, with other fields."""
    return {**msgspec.to_builtins(entry), **fields}


def test_file_that_was_read_is_the_one_that_goes(double: FileCluster) -> None:
    """Whatever an entry says, the file of that entry is removed, by its own name."""
    path = put(double, CALLS, "any name at all.json")
    other = put(double, b"", "r1-workload.txt")
    assert sweep(double) == ("calls of the lab stopped",)
    assert not path.exists()
    assert other.exists()


def test_names_of_files_come_from_no_entry(double: FileCluster) -> None:
    """Two equal entries are two files, in the order in which they were written, and no field is in their names."""
    log = UndoLog(double.state)
    written = [log.write(entry) for entry in (SCALE, CALLS, SCALE)]
    assert [pending.entry for pending in log.pending()] == [SCALE, CALLS, SCALE]
    assert len({pending.file for pending in written}) == 3
    assert not [pending for pending in written if "r1" in pending.file.name or pending.entry.kind in pending.file.name]


def test_log_is_for_its_owner_alone(double: FileCluster) -> None:
    """What a sweep obeys no other user may write."""
    UndoLog(double.state)
    assert (double.state / "undo").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "entry",
    [
        edited(CALLS, run_id="../../x"),
        edited(CALLS, run_id=""),
        edited(CALLS, run_id="r1\n"),
        edited(CALLS, run_id="r" * 65),
        edited(CALLS, kind="unknown"),
        edited(CALLS, manifest={}),
        {"run_id": "r1"},
        edited(SCALE, address="10.0.0.1; reboot"),
        edited(SCALE, component=edited(SCALE)["component"] | {"name": "brain\x1b[2J"}),  # type: ignore[operator]  # a dict
        edited(SCALE, component=edited(SCALE)["component"] | {"process": LONG}),  # type: ignore[operator]  # a dict
        edited(SCALE, order=[f"node{LONG}"]),
        {"kind": "created-object", "run_id": "r1", "created": {"kind": "Pod", "name": "p"}},
        b"{",
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"kind": "lab-calls", "run_id": "r1"}' + b" " * (1 << 20),
    ],
)
def test_bad_entry_is_named_and_the_others_are_reverted(double: FileCluster, entry: object) -> None:
    """A file that is no entry of ours is never skipped and stays; every other entry is reverted and goes."""
    double.scale(COMPONENT, 0)
    bad = put(double, entry)
    log = UndoLog(double.state)
    log.write(CALLS)
    log.write(SCALE)
    with pytest.raises(HarnessError, match=bad.name) as raised:
        sweep(double)
    assert raised.value.exit_code == 3
    assert double.replicas(COMPONENT) == (1, 1)
    assert list((double.state / "undo").glob("*.json")) == [bad]
    with pytest.raises(HarnessError, match=bad.name):
        leftovers(double.state)


@pytest.mark.parametrize(
    "make",
    [lambda path: path.mkdir(), os.mkfifo, lambda path: path.symlink_to("/dev/zero")],
    ids=["folder", "pipe", "link"],
)
def test_what_is_no_regular_file_is_named_and_not_read(double: FileCluster, make: Callable[[Path], None]) -> None:
    """A pipe does not hold the sweep up, and a link leads nowhere."""
    log = UndoLog(double.state)
    bad = double.state / "undo" / "1.json"
    make(bad)
    log.write(CALLS)
    with pytest.raises(HarnessError, match=r"1\.json cannot be read"):
        sweep(double)
    assert [path.name for path in (double.state / "undo").iterdir()] == ["1.json"]


def test_entry_that_fails_in_our_own_code_holds_no_other_up(double: FileCluster) -> None:
    """An error that no one foresaw is named with its file, and the rest is done."""
    patch = Patch(ObjectRef("v1", "Service", "frontend", "lab"), {"metadata": 5})
    bad = AppliedObjects(run_id="r1", wanted=(), created=(), back=(patch,))
    log = UndoLog(double.state)
    log.write(CALLS)
    pending = log.write(bad)
    with pytest.raises(HarnessError, match=rf"{pending.file.name}\): TypeError"):
        sweep(double)
    assert leftovers(double.state) == (bad,)


def test_node_of_another_cluster_is_not_touched(double: FileCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry's node is one of the cluster's, or nothing is run on it."""
    monkeypatch.setattr(double, "exec", lambda *_asked, **_options: pytest.fail("a program was run"))
    stray = BlockedApi(run_id="r1", node="production-db", address="10.0.0.1")
    log = UndoLog(double.state)
    log.write(stray)
    log.write(CALLS)
    with pytest.raises(HarnessError, match=f"production-db, not a node of double; expected one of {NODES[0]}"):
        sweep(double)
    assert leftovers(double.state) == (stray,)


def test_entry_that_no_sweep_would_accept_is_not_written(double: FileCluster) -> None:
    """The fault is not injected then: it could not be undone."""
    log = UndoLog(double.state)
    with pytest.raises(HarnessError, match="A later process would reject the undo entry lab-calls"):
        log.write(LabCalls(run_id="not an id"))
    assert log.pending() == ()


def test_bad_entry_of_one_cluster_does_not_keep_the_next_from_its_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`sweep` ends with 3, names the file, and has put every other cluster right."""
    first, second = FileCluster(_folder(tmp_path / "a")), FileCluster(_folder(tmp_path / "b"))
    put(first, b"{")
    put(second, CALLS)
    monkeypatch.setattr(kind, "existing", lambda _progress: iter([first, second]))
    assert cli.status(["sweep"]) == 3
    said = capsys.readouterr()
    assert "calls of the lab stopped" in said.out
    assert "1.json cannot be read" in said.err
    assert leftovers(second.state) == ()


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _below(base: type) -> set[type]:
    children: list[type] = base.__subclasses__()
    return set(children).union(*map(_below, children))


def test_every_class_of_entry_is_in_the_registry() -> None:
    """A class that the log may hold and no sweep could decode would be an undo that is lost; so with faults."""
    assert _below(UndoEntry) - {PreparedFault, ComponentFault, Absent} == set(get_args(Entry))
    assert _below(BaseFault) == set(get_args(faults.Fault))


@pytest.mark.parametrize("made", get_args(Entry), ids=lambda it: it.__struct_config__.tag)
def test_every_entry_can_be_reverted(made: type[UndoEntry]) -> None:
    """Each class says how it is reverted, how that is verified, and what for, in its own words."""
    for name in ("subject", "revert", "reverted"):
        assert getattr(made, name) is not getattr(UndoEntry, name)
    if issubclass(made, PreparedFault):
        assert made.inject is not PreparedFault.inject
        assert made.receipt is not PreparedFault.receipt


def test_created_object_is_deleted_by_its_address(double: FileCluster) -> None:
    """An entry of a probe holds the address of what was created and nothing of its content."""
    manifest: dict[str, object] = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "lab"}}
    double.apply(manifest)
    entry = CreatedObject(run_id="r1", created=ObjectRef.of({**manifest, "spec": {"x": 1}}))
    assert b"spec" not in msgspec.json.encode(entry)
    UndoLog(double.state).write(entry)
    assert sweep(double) == ("Pod lab/p deleted",)
    assert double.load().objects == {}
