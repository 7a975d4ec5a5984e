"""What a run stood on, as run.json tells it: versions, images, host, and every setting that differs from production."""

import platform
from importlib.metadata import PackageNotFoundError, version

import msgspec

from clusters.images.resolve import Resolved
from clusters.model import Override
from clusters.provision import Prepared
from drills.report.record import ImageRecord, OverrideRecord, PointRecord, Surroundings

_OF_THE_PLACE = (
    Override("nodes", "containers on one machine (kind)", "a place that anyone can make and throw away"),
    Override("calls", "open loop, no client retries", "a retry would hide the failure that a drill looks for"),
)


def surroundings(prepared: Prepared, hypothesis: str, command: str) -> Surroundings:
    """Return what the run on this cluster stood on; `command` is how to reproduce it."""
    made_of = prepared.provenance
    deviations = (*_OF_THE_PLACE, *(it for it in prepared.mesh.overrides if made_of.built or not it.only_when_built))
    return Surroundings(
        meshdrill_version=_own_version(),
        command=command,
        hypothesis=hypothesis,
        mesh_title=prepared.mesh.title,
        versions={**made_of.tools, "python": platform.python_version()},
        images=tuple(_image_record(image) for image in (made_of.node_image, *made_of.images)),
        host=msgspec.to_builtins(made_of.host),
        deviations=tuple(OverrideRecord(it.setting, it.value, it.reason) for it in deviations),
        points=tuple(
            PointRecord(it.policy, it.identity, it.interception, it.enforcement) for it in prepared.mesh.policy.points
        ),
    )


def _image_record(image: Resolved) -> ImageRecord:
    return ImageRecord(
        name=image.name,
        ref=image.ref,
        source=image.source,
        image_id=image.image_id,
        digest=image.digest,
        origin=image.origin,
    )


def _own_version() -> str:
    try:
        return version("meshdrill")
    except PackageNotFoundError:
        return "from a checkout"
