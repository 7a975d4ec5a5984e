"""A product installed otherwise: what a variant has beyond the mesh that it is made of."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from clusters.mesh import Capability, Mesh, Source

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
