"""Many whole bundles: runs of made-up drills on made-up meshes, each built as a story and really judged."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from clusters.model import SignalKind, SignalSpec
from drills.judge import checks
from drills.judge.claims import Claim, always, eventually, judge, never, reached, sometimes, stored
from drills.judge.events import ReplicaCount
from drills.judge.history import History, write_history
from drills.judge.verdict import Verdict
from drills.report import evidence
from drills.report.provenance import ImageRecord
from drills.report.run_file import Environment, OverrideRecord, PointRecord
from drills.report.trust import keys, statement
from drills.selftest.doubles import bundle_cache
from drills.selftest.doubles.story import Story

EDGE = ("payment", "ledger")
DENIED = ("intruder", "ledger")
DOWN = SignalSpec("control-plane-down", SignalKind.CONDITION, "mesh/Deployment/brain")
HOST: dict[str, str | int | float | bool | tuple[str, ...] | dict[str, bool] | None] = {
    "os": "a Linux",
    "cpus": 2,
    "memory_gib": 8.0,
    "kernel": "6.1",
}
NAMES = ("drill", "mesh", "run_id")
CLAIMS: Mapping[str, Claim] = {
    "calls-made": reached(checks.attempted(EDGE)),
    "no-plaintext": never(checks.plaintext(EDGE), must_hold=True),
    "denied-stay-denied": always(checks.denied(DENIED), must_hold=True),
    "routes-keep-working": always(checks.success_rate(EDGE, at_least=0.999)),
    "no-request-served-twice": always(checks.attempts_per_request(EDGE)),
    "control-plane-down-alerts": sometimes(checks.signal_seen("control-plane-down")),
    "routes-recover": eventually(checks.success_rate(EDGE, at_least=0.999), within_s=15),
}

CONTROL_CLAIMS: Mapping[str, Claim] = {
    **{name: claim for name, claim in CLAIMS.items() if not claim.needs_fault},
    "control-plane-down-silent": always(checks.signal_absent("control-plane-down"), "run"),
}
"""What a no-fault control is asked."""


def quiet(
    *, back_after_s: float = 0.0, lag_ms: float = 0.1, signal_after_s: float = 0.5, is_control: bool = False
) -> Story:
    """Return a run in which all goes well, but for calls that still fail until so long after the undo.

    lag_ms: how late every call starts, which is latency. On the control nothing is refused and all is readable.
    """
    story = Story(signals=(DOWN,), is_control=is_control)
    lanes = [(edge, connection) for edge in (EDGE, DENIED) for connection in ("new", "reused")]
    for edge, connection in lanes:
        is_ok = edge == EDGE or is_control
        for go_on in (story.baseline, story.fault):
            go_on()
            count = round(story.length_s() * 10)
            story.calls(*edge, **{"ok" if is_ok else "fail": count}, connection=connection, lag_ms=lag_ms)  # type: ignore[arg-type]
        story.recovery()
        late, rest = round(back_after_s * 10), round((story.length_s() - back_after_s) * 10)
        if is_ok and late:
            story.calls(*edge, fail=late, connection=connection, over=(0, back_after_s), lag_ms=lag_ms)
        story.calls(
            *edge,
            **{"ok" if is_ok else "fail": rest},  # type: ignore[arg-type]
            connection=connection,
            over=(back_after_s, story.length_s()),
            lag_ms=lag_ms,
        )
    story.baseline().event(ReplicaCount, DOWN.subject, ready=1, desired=1)
    story.fault().event(ReplicaCount, DOWN.subject, at_s=signal_after_s, ready=0, desired=1).watched()
    return story.hit(*EDGE).pair(*EDGE, first_ns=story.at(1), last_ns=story.at(2)) if is_control else story


def no_fault() -> Story:
    """Return a no-fault control in which all goes well and no signal appears."""
    return no_fault_of(quiet())


def no_fault_of(story: Story) -> Story:
    """Return the story as a no-fault control in which no signal appears."""
    story.without_fault = True
    story.events = [event for event in story.events if not isinstance(event, ReplicaCount)]
    return story.baseline().event(ReplicaCount, DOWN.subject, ready=1, desired=1)


def broken() -> Story:
    """Return a run in which a call was readable on the wire."""
    story = quiet().fault()
    return story.hit(*EDGE).pair(*EDGE, first_ns=story.at(1), last_ns=story.at(2))


_judged: dict[bytes, Verdict] = {}


def judged(place: Path, claims: Mapping[str, Claim]) -> Verdict:
    """Judge the history that lies there, and one that differs from it in its names alone not again."""
    record = msgspec.json.decode((place / "run.json").read_bytes())
    names = {name: record["facts"].pop(name) for name in NAMES}
    same = msgspec.json.encode(record)  # with the claims, and the digests of calls and events
    if same not in _judged:
        _judged[same] = judge(History.load(place), claims)
    return msgspec.structs.replace(_judged[same], **names)


def bundle(  # noqa: PLR0913 - each word of the sentence is one argument
    reports: Path,
    story: Story,
    *,
    drill: str = "brain-outage",
    mesh: str = "mesh-a",
    folder: str = "20260101T000000Z",
    version: str = "1.0",
    claims: Mapping[str, Claim] | None = None,
    cpus: int = 2,
    key: Path | None = None,
) -> Path:
    """Write the run as a bundle with its statement; the folder makes its run id, so that two runs differ."""
    if claims is None:
        claims = CONTROL_CLAIMS if story.without_fault else CLAIMS

    def write(place: Path) -> None:
        _write(place, story, drill=drill, mesh=mesh, version=version, claims=claims, cpus=cpus, key=key)

    place = reports / drill / mesh / folder
    if key is not None:
        write(place)
        return place
    return bundle_cache.once(
        bundle_cache.key_of(story, drill, mesh, folder, version, cpus, stored(claims)), place, write
    )


def _write(
    place: Path,
    story: Story,
    *,
    drill: str,
    mesh: str,
    version: str,
    claims: Mapping[str, Claim],
    cpus: int,
    key: Path | None,
) -> None:
    folder = place.name
    names = {"drill": drill, "mesh": mesh, "run_id": f"{mesh}-{folder}"}
    facts = msgspec.structs.replace(story.facts(), **names, claims=stored(claims))
    write_history(place, story.table(), story.all_events(), facts)
    verdict = judged(place, claims)
    (place / "verdict.json").write_bytes(verdict.encode())
    environment = Environment(
        meshdrill_version="0.1.0",
        command=f"meshdrill run {drill} --mesh {mesh}",
        hypothesis="It is made up.",
        mesh_title=f"The {mesh}",
        versions={"kind": "0.33.0"},
        images=(ImageRecord("brain", f"example.org/brain:{version}", "registry", "sha256:1"),),
        host={**HOST, "cpus": cpus},
        overrides=(OverrideRecord("replicas", "1", "two | cores"),),
        points=(PointRecord("A rule", "a certificate", "in the pod", "the called pod's proxy"),),
    )
    evidence.write(place, verdict, environment, keys.signer(key) if key else None)


@dataclass
class Runs:
    """Many bundles of few stories: each story is built, judged and drawn once."""

    made: list[tuple[Story, Path]] = field(default_factory=list)

    def leave(self, reports: Path, story: Story, *, drill: str, mesh: str) -> None:
        """Write the run as the bundle of the day after the last that lies there."""
        folder = f"202601{len(list((reports / drill / mesh).glob('*'))) + 1:02d}T000000Z"
        earlier = next((first for it, first in self.made if it is story), None)
        if earlier:
            _again(earlier, reports, drill=drill, mesh=mesh, folder=folder)
        else:
            self.made.append((story, bundle(reports, story, drill=drill, mesh=mesh, folder=folder)))


def _again(earlier: Path, reports: Path, *, drill: str, mesh: str, folder: str) -> None:
    """Write an earlier bundle once more, as another run in which the same happened; its pages still name that one."""
    place = Path(shutil.copytree(earlier, reports / drill / mesh / folder))
    names = {"drill": drill, "mesh": mesh, "run_id": f"{mesh}-{folder}"}
    record = msgspec.json.decode((place / "run.json").read_bytes())
    record["facts"] |= names
    (place / "run.json").write_bytes(msgspec.json.encode(record))
    verdict = msgspec.json.decode((place / "verdict.json").read_bytes(), type=Verdict)
    verdict = msgspec.structs.replace(verdict, **names)
    (place / "verdict.json").write_bytes(verdict.encode())
    statement.write(place, verdict, None)
