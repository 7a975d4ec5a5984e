"""A product installed otherwise: what a variant has beyond the mesh that it is made of."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from clusters.issuance import Issuance, IssuerSecret
from clusters.mesh import Capability, Deviation, Mesh, Source

Values = Callable[[Mapping[str, str]], Mapping[str, object]]
"""Image name -> reference, to chart values."""


def with_more(mesh: Mesh, what: Capability, promises: Mapping[str, Source], values: Values) -> Mesh:
    """Return the mesh with one capability more, which nothing calls absent any longer.

    promises: by claim, what it promises then. values: those that turn it on; each key stands for the whole of its own.
    """

    def chart_values(images: Mapping[str, str], built: bool) -> dict[str, object]:
        return {**mesh.image_values(images, built), **values(images)}

    return replace(
        mesh,
        capabilities=mesh.capabilities | {what},
        absent={need: why for need, why in mesh.absent.items() if need is not what},
        image_values=chart_values,
        sources={**mesh.sources, **promises},
    )


def with_given_issuer(mesh: Mesh, issuer_name: str, secret: IssuerSecret, promises: Mapping[str, Source]) -> Mesh:
    """Return the mesh with an issuer that the harness lays before it, where it would make one for itself.

    promises: by claim, what it promises of an issuer that is replaced.
    """
    laid = Deviation(f"Secret {secret.namespace}/{secret.name}", "issuer made by the harness", "drills replace it")
    return replace(
        with_more(mesh, Capability.GIVEN_ISSUER, promises, lambda _images: {}),
        name=f"{mesh.name}-ca",
        title=f"{mesh.title} with a plugged-in CA",
        issuance=Issuance(issuer_name, lambda _made: {}, secret),
        deviations=(*mesh.deviations, laid),
    )
