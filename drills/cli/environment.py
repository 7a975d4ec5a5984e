"""The environment of a run as run.json records it: versions, images, host, settings that differ from production."""

import platform

import msgspec

from clusters.images.resolve import Resolved
from clusters.model import Override
from clusters.provision import Prepared, Provenance
from drills.cli import harness
from drills.report.provenance import ChartRecord, ImageRecord, OriginRecord
from drills.report.run_file import Environment, OverrideRecord, PointRecord
from drills.version import VERSION

_HARNESS_OVERRIDES = (
    Override("nodes", "containers on one machine (kind)", "a place that anyone can make and throw away"),
    Override("cluster DNS", "on the control plane's node", "the loss of a node must not take DNS from all others"),
    Override("calls", "open loop, no client retries", "a retry would hide the failure that a drill looks for"),
)


def run_environment(prepared: Prepared, hypothesis: str, command: str) -> Environment:
    """Return the environment of a run on this cluster. command: the command line that reproduces the run."""
    provenance = prepared.provenance
    of_mesh = (it for it in prepared.mesh.overrides if provenance.built or not it.only_when_built)
    return Environment(
        meshdrill_version=VERSION,
        command=command,
        hypothesis=hypothesis,
        mesh_title=prepared.mesh.title,
        versions={**provenance.tools, **_kubernetes(provenance), "python": platform.python_version()},
        images=tuple(_image_record(image) for image in (provenance.node_image, *provenance.images)),
        host=msgspec.to_builtins(provenance.host),
        overrides=tuple(OverrideRecord(it.setting, it.value, it.reason) for it in (*_HARNESS_OVERRIDES, *of_mesh)),
        points=tuple(
            PointRecord(it.policy, it.identity, it.interception, it.enforcement) for it in prepared.mesh.policy.points
        ),
        charts=msgspec.convert(msgspec.to_builtins(provenance.charts), tuple[ChartRecord, ...]),
        harness=harness.own_commit(),
    )


def _kubernetes(provenance: Provenance) -> dict[str, str]:
    return {"kubernetes": provenance.kubernetes} if provenance.kubernetes else {}


def _image_record(image: Resolved) -> ImageRecord:
    return ImageRecord(
        name=image.name,
        ref=image.ref,
        source=image.source,
        image_id=image.image_id,
        digest=image.digest,
        came_from=msgspec.convert(msgspec.to_builtins(image.origin), OriginRecord),
        is_official=image.is_official,
    )
