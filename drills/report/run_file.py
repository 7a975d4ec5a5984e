"""The part of run.json that no verdict needs and every reader does: what the run stood on, and what it measured."""

import msgspec


class ImageRecord(msgspec.Struct, frozen=True):
    """One container image of the run and where it came from."""

    name: str
    ref: str
    source: str  # engine | archive | registry | build
    image_id: str
    digest: str | None = None  # as a registry knows it
    origin: str | None = None  # for an image found in the engine: where it first came from


class OverrideRecord(msgspec.Struct, frozen=True):
    """One setting that differs from production, with the reason."""

    setting: str
    value: str
    reason: str


class PointRecord(msgspec.Struct, frozen=True):
    """One kind of policy: where a caller is bound to a name, where traffic is taken up, and who enforces the policy."""

    policy: str
    identity: str
    interception: str
    enforcement: str


class Environment(msgspec.Struct, frozen=True):
    """What the run stood on."""

    meshdrill_version: str
    command: str  # how to reproduce it
    hypothesis: str
    mesh_title: str
    versions: dict[str, str]
    images: tuple[ImageRecord, ...]
    host: dict[str, str | int | float | bool | tuple[str, ...] | dict[str, bool] | None]
    deviations: tuple[OverrideRecord, ...]
    points: tuple[PointRecord, ...] = ()  # runs of before this was recorded have none


class WindowRecord(msgspec.Struct, frozen=True):
    """One window of the run."""

    name: str
    start_ns: int
    end_ns: int
    duration_s: float


class Measured(msgspec.Struct, frozen=True):
    """What the callers achieved: the run's resolution, not the mesh's behaviour."""

    calls: int
    calls_per_s: float
    lag_p50_ms: float | None  # real start of a call after its scheduled start
    lag_p99_ms: float | None
    windows: tuple[WindowRecord, ...]
