"""The part of run.json that the judge does not need: the environment of the run, and what the callers achieved."""

from pathlib import Path

import msgspec

from drills.judge import files
from drills.judge.bundle_files import RUN_FILE
from drills.report.provenance import ChartRecord, HarnessRecord, ImageRecord, edition_of


class OverrideRecord(msgspec.Struct, frozen=True):
    """One setting that differs from production, with the reason."""

    setting: str
    value: str
    reason: str


class PointRecord(msgspec.Struct, frozen=True):
    """For one kind of policy: what binds the caller's identity, intercepts traffic and enforces the policy."""

    policy: str
    identity: str
    interception: str
    enforcement: str


class Environment(msgspec.Struct, frozen=True, rename={"overrides": "deviations"}):
    """The environment of a run: versions, images, host, and settings that differ from production."""

    meshdrill_version: str
    command: str  # reproduces the run
    hypothesis: str
    mesh_title: str
    versions: dict[str, str]
    images: tuple[ImageRecord, ...]
    host: dict[str, str | int | float | bool | tuple[str, ...] | dict[str, bool] | None]
    overrides: tuple[OverrideRecord, ...]
    points: tuple[PointRecord, ...] = ()  # empty in runs that predate this field
    charts: tuple[ChartRecord, ...] = ()  # as `points`
    harness: HarnessRecord | None = None  # None also where no checkout and no record of the installation has it


class WindowRecord(msgspec.Struct, frozen=True):
    """One window of the run."""

    name: str
    start_ns: int
    end_ns: int
    duration_s: float


class Measured(msgspec.Struct, frozen=True):
    """What the callers achieved: the resolution of the run, not the behaviour of the mesh."""

    calls: int
    calls_per_s: float
    lag_p50_ms: float | None  # actual start of a call minus its scheduled start
    lag_p99_ms: float | None
    windows: tuple[WindowRecord, ...]


class _RunFile(msgspec.Struct, frozen=True, rename={"environment": "surroundings"}):
    environment: Environment


_NOT_OF_A_MESH = frozenset({"node", "lab", "python", "kubernetes"})  # of the place and the lab, and our own runtime


def edition(environment: Environment) -> str:
    """Return "first edition" for a run that meshdrill 0.1 recorded, else ""."""
    return edition_of(environment.meshdrill_version)


def recorded_by(environment: Environment) -> str:
    """Return the version of meshdrill that recorded the run, as every page shows it."""
    return ", ".join(filter(None, (environment.meshdrill_version, edition(environment))))


def parts_of(environment: Environment) -> tuple[str, ...]:
    """Return the mesh's images and charts and the tools that installed it, in words; a home build says that it is one.

    For a reader; `made_of` is what runs are compared by.
    """
    images = (it.words for it in environment.images if it.name not in _NOT_OF_A_MESH)
    charts = (f"chart {it.name} {it.version}" for it in environment.charts)
    tools = (f"{name} {version}" for name, version in environment.versions.items() if name not in _NOT_OF_A_MESH)
    return tuple(dict.fromkeys((*sorted(images), *charts, *sorted(tools))))


def made_of(environment: Environment) -> tuple[str, ...]:
    """Return what identifies the version under test: the mesh's images and the tools that installed it."""
    images = (f"{it.name} {it.digest or it.ref}" for it in environment.images if it.name not in _NOT_OF_A_MESH)
    tools = (f"{name} {version}" for name, version in environment.versions.items() if name not in _NOT_OF_A_MESH)
    return tuple(sorted({*images, *tools}))


def read_environment(bundle: Path) -> Environment:
    """Return the environment that the bundle's run.json records. Raises FileError if it records none."""
    return files.decode(bundle / RUN_FILE, _RunFile).environment


def complete(bundle: Path, environment: Environment, measured: Measured) -> None:
    """Add both to the bundle's run.json; the facts and the seal that the judge reads stay as they are."""
    stored = files.decode(bundle / RUN_FILE, dict[str, object])
    stored |= {"surroundings": msgspec.to_builtins(environment), "measured": msgspec.to_builtins(measured)}
    files.write(bundle / RUN_FILE, msgspec.json.format(msgspec.json.encode(stored, order="sorted"), indent=2) + b"\n")
