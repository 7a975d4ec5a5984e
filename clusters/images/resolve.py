"""Bring images into the engine, from the first of: the engine itself, an archive directory, a registry, the builder."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, get_args

import msgspec

from clusters.host import missing_capabilities, registry_answers
from clusters.images import archive, build, engine, node, recipe
from clusters.images.catalogue import Image
from clusters.images.origins import UNKNOWN, Origin, recall, remember
from clusters.runtime import HarnessError, MissingImagesError, Progress, Steps

Source = Literal["engine", "archive", "registry", "build"]
SOURCES: tuple[Source, ...] = get_args(Source)

_NOT_BUILT = "it cannot be built: no package registry has it"
_PROBE_S = 3.0  # a missing image must be reported within 10 s, of which the host's report has used 5 s


class Resolved(msgspec.Struct, frozen=True):
    """An image in the engine.

    ref: its reference without a digest, as archives and nodes know images by tag. image_id: digest of its config.
    digest: the registry's; None for an image that came from no registry. origin: where it first came from, in this run
    or an earlier one. is_official: whether it came, by digest, from the registry that publishes it.
    """

    name: str
    ref: str
    source: Source
    image_id: str
    digest: str | None = None
    origin: Origin = UNKNOWN
    is_official: bool = False


def resolve(
    image: Image, *, source: Source | None, archive_dir: Path, registry_mirror: str | None, progress: Progress
) -> Resolved:
    """Bring one image into the engine; see `resolve_all`."""
    return resolve_all(
        (image,), source=source, archive_dir=archive_dir, registry_mirror=registry_mirror, progress=progress
    )[0]


def resolve_all(
    images: Sequence[Image],
    *,
    source: Source | None,
    archive_dir: Path,
    registry_mirror: str | None,
    progress: Progress,
) -> tuple[Resolved, ...]:
    """Bring images into the engine, each from the first source that has it, or only from `source`.

    Builds run together, after all other images are found. registry_mirror (HOST[:PORT]) replaces every official
    registry. Raises MissingImagesError, before anything is fetched or built, with each image that no source has and
    the reason of each source; HarnessError when a source is broken.
    """
    allowed = SOURCES if source is None else (source,)
    _require(images, allowed, archive_dir, registry_mirror)
    found: dict[str, Resolved] = {}
    to_build: list[Image] = []
    # Images without a recipe come first: a registry may answer and still lack one, which must show before any build.
    for image in sorted(images, key=lambda wanted: _can_be_built(wanted, allowed)):
        reasons: dict[Source, str] = {}
        for attempt in allowed:
            got = _attempt(attempt, image, archive_dir, registry_mirror, progress)
            if isinstance(got, Resolved):
                found[image.name] = got
                break
            if got is None:
                to_build.append(image)
                break
            reasons[attempt] = got
        else:
            raise MissingImagesError(_missing_images_message({image: reasons}, archive_dir))
    found |= _built(to_build, progress)
    return tuple(found[image.name] for image in images)


def node_image_for(
    mesh: str, images: tuple[Resolved, ...], node: Resolved, lab: Resolved, progress: Progress
) -> Resolved:
    """Return the node image of a mesh: `node` with the images of the mesh and the lab inside, baked once.

    On a host that lacks a capability it also has the bounded runtime. Raises HarnessError.
    """
    return _bake(mesh, (*images, lab), node, progress)


def mirrored(ref: str, registry_mirror: str | None) -> str:
    """Return the reference with its registry replaced by the mirror, if there is one."""
    if registry_mirror is None:
        return ref
    return f"{registry_mirror}/{ref.partition('/')[2]}"


def _require(
    images: Iterable[Image], allowed: Sequence[Source], archive_dir: Path, registry_mirror: str | None
) -> None:
    """Raise MissingImagesError for the images that no source has, without fetching or building any."""
    doubtful = [image for image in images if not _can_be_built(image, allowed)]
    missing = {image: why for image in doubtful if (why := _absent_here(image, allowed, archive_dir)) is not None}
    if missing and "registry" in allowed:
        silent = _silent({_registry_of(image, registry_mirror) for image in missing})
        missing = {
            image: {**why, "registry": f"{name} does not answer"}
            for image, why in missing.items()
            if (name := _registry_of(image, registry_mirror)) in silent
        }
    if missing:
        raise MissingImagesError(_missing_images_message(missing, archive_dir))


def _absent_here(image: Image, allowed: Sequence[Source], archive_dir: Path) -> dict[Source, str] | None:
    """Return source -> why it lacks the image, for all but the registry; None when one of them has it."""
    why: dict[Source, str] = {"build": _NOT_BUILT} if "build" in allowed else {}
    if "engine" in allowed:
        got = _from_engine(image)
        if isinstance(got, Resolved):
            return None
        why["engine"] = got
    if "archive" in allowed:
        held = _in_archive(image, archive_dir)
        if not isinstance(held, str):
            return None
        why["archive"] = held
    return why


def _silent(registries: Iterable[str]) -> set[str]:
    """Return the registries that do not answer; none if the engine has a mirror or proxy, which only a pull tests."""
    if engine.has_mirror_or_proxy():
        return set()
    names = sorted(registries)
    with ThreadPoolExecutor(len(names)) as pool:
        answered = pool.map(lambda name: registry_answers(name, _PROBE_S), names)
        return {name for name, up in zip(names, answered, strict=True) if not up}


def _registry_of(image: Image, registry_mirror: str | None) -> str:
    return mirrored(image.official, registry_mirror).partition("/")[0]


def _can_be_built(image: Image, allowed: Sequence[Source]) -> bool:
    return image.recipe is not None and "build" in allowed


def _attempt(
    source: Source, image: Image, archive_dir: Path, registry_mirror: str | None, progress: Progress
) -> Resolved | str | None:
    """Return the image, the reason why this source lacks it, or None when it must be built."""
    match source:
        case "engine":
            return _from_engine(image)
        case "archive":
            return _from_archive(image, archive_dir, progress)
        case "registry":
            return _from_registry(image, registry_mirror, progress)
        case "build":
            return _NOT_BUILT if image.recipe is None else None


def _from_engine(image: Image) -> Resolved | str:
    official, _, pinned = image.official.partition("@")
    facts = engine.inspect_image(official)
    if facts is not None:
        got = _resolved(image, official, "engine", facts)
        if pinned and (held := facts.digest or got.digest) not in {None, pinned}:
            return f"{official} is there with digest {held}, expected {pinned}"
        return got
    if image.built is None or image.recipe is None:
        return f"no {official}"
    facts = engine.inspect_image(image.built)
    if facts is None:
        return f"neither {official} nor {image.built}"
    if facts.recipe_key != recipe.image_key(image.recipe):
        return f"{image.built} is there, but was built from another version of its recipe"
    return _resolved(image, image.built, "engine", facts)


def _from_archive(image: Image, archive_dir: Path, progress: Progress) -> Resolved | str:
    held = _in_archive(image, archive_dir)
    if isinstance(held, str):
        return held
    ref, path = held
    with Steps(progress).step(f"load {ref} from {path}"):
        archive.load(path)
    facts = engine.inspect_image(ref)
    if facts is None:
        return f"{path} says that it holds {ref}, and after loading it the engine has no such image"
    remember(facts.Id, Origin("archive", path.name, sha256=archive.sha256(path), recipe_key=facts.recipe_key))
    return _resolved(image, ref, "archive", facts)


def _in_archive(image: Image, archive_dir: Path) -> tuple[str, Path] | str:
    """Return (reference, archive that contains it), or the reason why there is none."""
    for ref in (image.official.partition("@")[0], image.built):
        path = archive.find(ref, archive_dir) if ref is not None else None
        if ref is not None and path is not None:
            return ref, path
    return f"no archive in {archive_dir} contains it" if archive_dir.is_dir() else f"{archive_dir} does not exist"


def _from_registry(image: Image, registry_mirror: str | None, progress: Progress) -> Resolved | str:
    ref = mirrored(image.official, registry_mirror)
    try:
        with Steps(progress).step(f"pull {ref}"):
            engine.pull(ref)
    except HarnessError as refused:
        return str(refused)
    official = image.official.partition("@")[0]
    if ref != official:
        engine.tag(ref, official)
    facts = engine.inspect_image(official)
    if facts is None:
        return f"{ref} was pulled and the engine has no such image"
    # The name is the registry's alone: a mirror that answered for it is not the publisher.
    remember(facts.Id, Origin("registry", ref.partition("/")[0], digest=facts.digest or ""))
    return _resolved(image, official, "registry", facts)


def _built(images: Sequence[Image], progress: Progress) -> dict[str, Resolved]:
    recipes = tuple(image.recipe for image in images if image.recipe is not None)
    refs = build.build(recipes, progress) if recipes else {}
    made: dict[str, Resolved] = {}
    for image in images:
        if image.recipe is None or image.built is None:
            continue
        engine.tag(refs[image.recipe], image.built)
        facts = engine.inspect_image(image.built)
        if facts is None:
            raise HarnessError(f"{image.built} was built and is absent from the engine; was it removed meanwhile?")
        remember(facts.Id, _built_by(image.recipe))
        made[image.name] = _resolved(image, image.built, "build", facts)
    return made


def _resolved(image: Image, ref: str, source: Source, facts: engine.ImageFacts) -> Resolved:
    origin = recall(facts.Id)
    if origin is None or (origin.kind == "build" and not origin.inputs):  # as meshdrill 0.1 remembered a build
        origin = _labelled(image, facts, origin or UNKNOWN)
    is_official = bool(origin.digest) and origin.name == _registry_of(image, None)
    return Resolved(image.name, ref, source, facts.Id, origin.digest or None, origin, is_official)


def _labelled(image: Image, facts: engine.ImageFacts, known: Origin) -> Origin:
    """Return the origin of an image by its label, else the known one: a build of ours stays one under any name."""
    if image.recipe is not None and facts.recipe_key == recipe.image_key(image.recipe):
        return _built_by(image.recipe)
    return Origin("build", known.name, recipe_key=facts.recipe_key) if facts.recipe_key else known


def _built_by(name: str) -> Origin:
    return Origin("build", name, recipe_key=recipe.image_key(name), inputs=recipe.inputs(name))


def _missing_images_message(missing: Mapping[Image, Mapping[Source, str]], archive_dir: Path) -> str:
    """Return one sentence per missing image, then how to provide an image."""
    sentences = []
    for image, reasons in missing.items():
        tried = "; ".join(f"{source}: {reasons[source]}" for source in SOURCES if source in reasons)
        sentences.append(f"Image {image.name} ({image.official}) is missing. Tried {tried}.")
    example = next(iter(missing)).official.partition("@")[0]  # archives store no digest
    cure = (
        f"To provide an image: `docker pull {example}`; or, where this machine reaches no registry, run "
        f"`docker save --output FILE.tar {example}` on one that does and put the file into {archive_dir} (or name its "
        "directory with --images DIR); or name a registry that has it with --registry-mirror HOST."
    )
    return "\n".join(["Inconclusive: an image is missing.", *sentences, cure])


def _bake(mesh: str, carried: tuple[Resolved, ...], base: Resolved, progress: Progress) -> Resolved:
    bounded = bool(missing_capabilities())
    parts: dict[str, str | bytes] = {image.ref: image.image_id for image in carried}
    parts["node"] = base.image_id
    if bounded:
        parts["runtime"] = (recipe.recipes_dir() / "bounded-runc" / "runc").read_bytes()
    key = recipe.digest(parts)
    repository = f"{build.OUR_REGISTRY}/node"
    ref = f"{repository}:{mesh}-{key}"
    facts = engine.inspect_image(ref)
    if facts is None:
        with Steps(progress).step(f"bake {ref}"):
            node.bake(base.ref, ref, {image.ref: (image.ref,) for image in carried}, bounded=bounded, label=key)
        engine.remove_others(repository, f"{mesh}-", ref)  # a gigabyte each, and no run uses them again
        facts = engine.inspect_image(ref)
        if facts is None:
            raise HarnessError(f"{ref} was baked and is absent from the engine; was it removed meanwhile?")
    inputs = {image.ref: image.image_id for image in (base, *carried)}
    return Resolved(base.name, ref, "build", facts.Id, origin=Origin("build", f"node image of {mesh}", inputs=inputs))
