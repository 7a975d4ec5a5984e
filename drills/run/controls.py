"""No-fault controls: where one makes sense, and the newest one of a drill in a folder of reports."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from clusters.model import Mesh
from clusters.runtime import UsageError
from drills.judge import files, storage
from drills.judge.bundle_files import RUN_FILE
from drills.judge.controls import fired_signals
from drills.judge.history import History


class NoFaultControl(msgspec.Struct, frozen=True):
    """A run of a drill in which nothing was broken. fired: the signals that appeared all the same."""

    run_id: str
    fired: tuple[str, ...] = ()


def refusal(mesh: Mesh) -> str:
    """Return why a mesh can have no no-fault control, "" where it can."""
    if not mesh.is_control:
        return ""
    return f"{mesh.title} is itself a control, whose security claims must fail with or without a fault"


def demand_possible(mesh: Mesh) -> None:
    """Raise UsageError for a mesh that can have no no-fault control."""
    if reason := refusal(mesh):
        raise UsageError(f"--no-fault makes no sense on {mesh.name}: {reason}; choose a mesh.")


def newest(reports: Path, drill: str, mesh: str) -> NoFaultControl | None:
    """Return the newest no-fault control of a drill on a mesh below a folder of reports; None without any.

    A bundle that cannot be read is left out: it cannot show which signals appeared.
    """
    return next(_controls(reports, drill, mesh), None)


def _controls(reports: Path, drill: str, mesh: str) -> Iterator[NoFaultControl]:
    """Yield the controls, the newest first."""
    for path in sorted((reports / drill / mesh).glob(f"*/{RUN_FILE}"), reverse=True):
        try:
            facts = storage.read_facts(path.parent)
            if facts.without_fault:
                yield NoFaultControl(facts.run_id, fired_signals(History.load(path.parent)))
        except files.FileError:
            continue
