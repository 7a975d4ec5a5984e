"""`meshdrill images`: list, pull, build and save the images of the meshes, also for a site without a network."""

# ruff: noqa: PLC0415 - what a command needs is loaded when it runs, so that a usage error is reported at once

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drills.cli import options
from drills.cli.output import say, show
from drills.run.catalogue import find_mesh

if TYPE_CHECKING:
    from clusters.images.catalogue import Image
    from clusters.images.resolve import Resolved, Source

app = typer.Typer(help="List, pull, build or save the container images of the meshes.", no_args_is_help=True)

OfMesh = Annotated[str | None, typer.Option("--mesh", help="Only the images of this mesh; default: of every mesh.")]
Mirror = Annotated[str | None, options.REGISTRY_MIRROR.for_typer()]
Archive = Annotated[Path | None, options.IMAGES.for_typer()]


@app.command("list")
def list_images(mesh: OfMesh = None, images: Archive = None) -> None:
    """List every image with its official and its built reference, and where each is: engine, archive directory."""
    from clusters.images import archive, engine
    from clusters.runtime import archive_dir

    directory = images or archive_dir()
    for image in _catalogue(mesh):
        show(f"{image.name}")
        for kind, ref in (("official", image.official), ("built", image.built)):
            if ref is not None:
                places = [
                    *(["in the engine"] if engine.inspect_image(ref) else []),
                    *([f"in {directory}"] if archive.find(ref, directory) else []),
                ]
                show(f"  {kind:<9} {ref}  {', '.join(places) or 'not here'}")


@app.command()
def pull(mesh: OfMesh = None, registry_mirror: Mirror = None) -> None:
    """Pull the official images from their registry, or from a mirror of it."""
    _report(_resolve(mesh, "registry", None, registry_mirror))


@app.command()
def build(mesh: OfMesh = None) -> None:
    """Build the images from package registries; an image that is already built is kept."""
    _report(_resolve(mesh, "build", None, None))


@app.command()
def save(mesh: OfMesh = None, images: Archive = None, registry_mirror: Mirror = None) -> None:
    """Write images, tools and charts into an archive directory: everything that a site without a network needs."""
    from clusters import charts, tools
    from clusters.images import archive, catalogue
    from clusters.provision import CHARTS
    from clusters.runtime import archive_dir

    directory = images or archive_dir()
    found = _resolve(mesh, None, directory, registry_mirror)
    saved = [
        *archive.save([image.ref for image in found], directory, say),
        *tools.save(tools.ensure_tools(say), directory),
        *charts.save(catalogue.versions().charts, directory / CHARTS, say),
        *charts.save_crds(catalogue.versions().crds, directory / CHARTS, say),
    ]
    for path in saved:
        show(path)


def _catalogue(mesh: str | None) -> "tuple[Image, ...]":
    from clusters.images import catalogue

    if mesh is None:
        return catalogue.all_images()
    known = {image.name: image for image in (catalogue.image("node"), catalogue.image("lab"))}
    return tuple((known | {image.name: image for image in catalogue.images_for(find_mesh(mesh).name)}).values())


def _resolve(
    mesh: str | None, source: "Source | None", directory: Path | None, registry_mirror: str | None
) -> "tuple[Resolved, ...]":
    from clusters.images.resolve import resolve_all
    from clusters.runtime import archive_dir

    return resolve_all(
        _catalogue(mesh),
        source=source,
        archive_dir=directory or archive_dir(),
        registry_mirror=registry_mirror,
        progress=say,
    )


def _report(found: "tuple[Resolved, ...]") -> None:
    for image in found:
        show(f"{image.name}  {image.ref}  {image.image_id}  {image.origin}")
