"""The part of run.json that the judge does not need: the environment of the run, and what the callers achieved."""

from pathlib import Path

import msgspec

from drills.judge import files
from drills.judge.bundle_files import RUN_FILE


class ImageRecord(msgspec.Struct, frozen=True):
    """One container image of the run and where it came from."""

    name: str
    ref: str
    source: str  # engine | archive | registry | build
    image_id: str
    digest: str | None = None  # as a registry knows it
    origin: str | None = None  # of an image that was already in the engine: the registry or archive it came from


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


_NOT_OF_A_MESH = frozenset({"node", "lab", "python"})  # images of the lab and node, and our own runtime


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
