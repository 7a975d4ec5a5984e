"""Build images from package registries only. Compiler, downloads and debootstrap run concurrently."""

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from clusters.images import engine, golang, node, recipe
from clusters.images.artefacts import Artefacts, clear_work, log_of
from clusters.runtime import HarnessError, Progress, Steps, build_dir, hold

_DISK_GIB = 12.0  # compiler cache, modules, Debian roots and the images themselves
_PROGRAM_DISK_GIB = 3.0
OUR_REGISTRY = "meshdrill.local"  # no such host, so that an image of ours is never pulled


def build(recipes: Sequence[str], progress: Progress, programs: Sequence[str] = ()) -> dict[str, str]:
    """Build the images of these recipes and their artefacts, unless they are in the engine already.

    programs: further artefacts (`go:RECIPE:PROGRAM`) to make. Returns recipe -> reference in the engine. Resumable:
    each artefact is made once and cached. Raises UsageError when another builder runs and HarnessError when a step
    fails.
    """
    missing = _missing(recipes)
    steps = Steps(progress)
    if missing or programs:
        _require_disk(_DISK_GIB if missing else _PROGRAM_DISK_GIB)
        artefacts = Artefacts(steps)
        with _only_builder(), _lanes(artefacts, [*_sources(missing), *programs], steps) as ready:
            for name in missing:
                for source in recipe.load(name).context.values():
                    ready[_lane_key(source)].result()
                with steps.step(f"image {name}"):
                    _build_image(name, artefacts)
            for future in ready.values():
                future.result()
    return {name: built_ref(name) for name in recipes}


def _require_disk(needed_gib: float) -> None:
    free_gib = shutil.disk_usage(build_dir()).free / 1024**3
    if free_gib < needed_gib:
        raise HarnessError(
            f"Building needs {needed_gib:g} GiB of disk at {build_dir()}; {free_gib:.1f} GiB are free. Free some, point"
            " MESHDRILL_CACHE at a larger disk, or take images from elsewhere: --images DIR or --registry-mirror HOST."
        )


def built_ref(name: str) -> str:
    """Return the reference of a recipe's image in the engine; the tag changes with every input of the image."""
    return f"{OUR_REGISTRY}/build/{name}:{recipe.image_key(name)}"


def program(source: str, progress: Progress) -> Path:
    """Return one compiled program (`go:RECIPE:PROGRAM`), compiled if it is not in the cache."""
    with _only_builder():
        return Artefacts(Steps(progress)).path(source)


def _missing(recipes: Sequence[str]) -> list[str]:
    """Return recipes to build, dependencies first; an image in the engine and its dependencies are left out."""
    ordered: dict[str, None] = {}

    def visit(name: str) -> None:
        if name in ordered or engine.inspect_image(built_ref(name)) is not None:
            return
        described = recipe.load(name)
        for needed in (*([described.base] if described.base else []), *described.preloaded):
            visit(needed)
        ordered[name] = None

    for name in recipes:
        visit(name)
    return list(ordered)


def _sources(missing: Sequence[str]) -> list[str]:
    return [source for name in missing for source in recipe.load(name).context.values()]


def _lane_key(source: str) -> str:
    """Return the key of artefacts that are made together: those of one kind and recipe."""
    kind, _, rest = source.partition(":")
    return f"{kind}:{rest.partition(':')[0]}"


@contextmanager
def _lanes(artefacts: Artefacts, sources: Sequence[str], steps: Steps) -> Iterator[dict[str, Future[None]]]:
    """Start making all artefacts: one Go build at a time (it uses every core), beside downloads and debootstrap."""
    groups: dict[str, list[str]] = {}
    for source in sources:
        groups.setdefault(_lane_key(source), []).append(source)
    pools = {kind: ThreadPoolExecutor(1) for kind in ("go", "debian", "other")}
    modules = [key.partition(":")[2] for key in groups if key.startswith("go:")]  # in build order
    fetched = {name: pools["other"].submit(_fetch_modules, name, steps) for name in modules}

    failures: list[Exception] = []

    def make(key: str, members: list[str]) -> None:
        if failures:  # report the first failure without minutes of further work
            raise failures[0]
        kind, _, owner = key.partition(":")
        try:
            if kind == "go":
                fetched[owner].result()
                artefacts.programs(owner, tuple(dict.fromkeys(member.split(":")[2] for member in members)))
            else:
                for member in members:
                    artefacts.path(member)
        except Exception as failure:
            failures.append(failure)
            raise

    try:
        yield {
            key: pools.get(key.partition(":")[0], pools["other"]).submit(make, key, members)
            for key, members in groups.items()
        }
    finally:
        for pool in pools.values():
            pool.shutdown(cancel_futures=True)


def _fetch_modules(name: str, steps: Steps) -> None:
    with steps.step(f"download modules of {name}"):
        golang.download(name, log_of(f"modules-{name}"))


def _build_image(name: str, artefacts: Artefacts) -> None:
    described = recipe.load(name)
    context: dict[str, Path | bytes] = dict(recipe.own_files(name))
    context |= {target: artefacts.path(source) for target, source in described.context.items()}
    arguments = dict(described.arguments)
    if described.base is not None:
        arguments["BASE"] = built_ref(described.base)
    key, ref = recipe.image_key(name), built_ref(name)
    if not described.preloaded:
        engine.build_image(ref, context, arguments, {engine.KEY_LABEL: key}, log_of(f"image-{name}"))
        return
    bare = f"{OUR_REGISTRY}/build/{name}-bare:{key}"
    engine.build_image(bare, context, arguments, {}, log_of(f"image-{name}"))
    names = node.names_in_node(bare, described.arguments["KUBERNETES_VERSION"], described.preloaded)
    carried = {built_ref(program): refs for program, refs in names.items()}
    node.bake(bare, ref, carried, bounded=False, label=key)


@contextmanager
def _only_builder() -> Iterator[None]:
    """Hold the builder's lock: a second builder on the same cache would compile everything again."""
    taken = f"Another meshdrill builds images in {build_dir()}. Wait until it ends and run again: its work is reused."
    with hold(build_dir() / "lock", taken):
        clear_work()
        yield
