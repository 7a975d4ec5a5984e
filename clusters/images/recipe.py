"""Recipes: the inputs of an image, as data. Builds nothing."""

import hashlib
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import msgspec

from clusters.runtime import HarnessError

RECIPE_FILE = "recipe.toml"


class GoProgram(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One main package of a module that the recipe's go.mod requires."""

    package: str
    tags: tuple[str, ...] = ()


class Go(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Programs compiled from the recipe's go.mod and linked statically.

    variables: set by the linker in all programs. cgo: allow C, compiled by gcc.
    """

    programs: dict[str, GoProgram]
    variables: dict[str, str] = {}
    cgo: bool = False


class CProgram(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One C file, `module:...` as in a context, linked statically."""

    source: str
    flags: tuple[str, ...] = ()


class C(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Programs compiled by gcc."""

    programs: dict[str, CProgram]


class Debian(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A root file system of the host's Debian or Ubuntu release with these packages and their dependencies.

    keep: glob patterns (pathlib, relative to the root); if given, only matching paths are used.
    """

    packages: tuple[str, ...]
    keep: tuple[str, ...] = ()


class Wheel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Wheels from PyPI, unpacked; `requirements` names a file with versions and hashes."""

    requirements: str


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One directory under recipes/.

    context: name in the build context -> its source: `go:RECIPE:PROGRAM`, `c:RECIPE:PROGRAM`, `debian:RECIPE`,
    `wheel:RECIPE:PATH` or `module:RECIPE:MODULE:PATH`. base: the recipe of the Dockerfile's base image (its ARG BASE).
    preloaded: recipes of the images inside a node image.
    """

    base: str | None = None
    arguments: dict[str, str] = {}
    preloaded: tuple[str, ...] = ()
    context: dict[str, str] = {}
    go: Go | None = None
    c: C | None = None
    debian: Debian | None = None
    wheel: Wheel | None = None


@cache
def recipes_dir() -> Path:
    """Return the directory of all recipes, inside this package."""
    with as_file(files("clusters.images").joinpath("recipes")) as path:
        return path


@cache
def load(name: str) -> Recipe:
    """Return a recipe by name. Raises HarnessError when it is absent or invalid."""
    file = recipes_dir() / name / RECIPE_FILE
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Recipe)
    except FileNotFoundError as absent:
        raise HarnessError(f"Recipe {name} does not exist: expected {file}. This is a defect of meshdrill.") from absent
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as wrong:
        raise HarnessError(f"Recipe {file} cannot be read: {wrong}.") from wrong


def names() -> tuple[str, ...]:
    """Return every recipe that has a recipe.toml."""
    return tuple(sorted(path.parent.name for path in recipes_dir().glob(f"*/{RECIPE_FILE}")))


def digest(parts: Mapping[str, str | bytes]) -> str:
    """Return a short hash of these contents."""
    whole = hashlib.sha256()
    for key in sorted(parts):
        value = parts[key]
        data = value.encode() if isinstance(value, str) else value
        whole.update(f"{key}\0{len(data)}\0".encode())
        whole.update(data)
    return whole.hexdigest()[:12]


def own_files(name: str) -> dict[str, bytes]:
    """Return the files of a recipe that its Dockerfile may COPY, and the Dockerfile itself."""
    described_elsewhere = {RECIPE_FILE, "go.mod", "go.sum", "requirements.txt"}
    folder = recipes_dir() / name
    return {
        file.name: file.read_bytes()
        for file in folder.iterdir()
        if file.is_file() and file.name not in described_elsewhere
    }


def source_key(source: str) -> str:
    """Return the cache key of one source of a context: a hash of all its inputs."""
    kind, _, rest = source.partition(":")
    owner, _, detail = rest.partition(":")
    recipe = load(owner)
    parts: dict[str, str | bytes] = {"kind": kind, "detail": detail}
    if kind in {"go", "module"}:
        parts |= _file_parts(owner, "go.mod", "go.sum") | _local_modules(owner)
    if kind == "go" and recipe.go is not None:
        program = recipe.go.programs[detail]
        parts |= {"package": program.package, "tags": " ".join(program.tags), "variables": repr(recipe.go.variables)}
        parts |= {"cgo": "yes"} if recipe.go.cgo else {}
    if kind == "c" and recipe.c is not None:
        compiled = recipe.c.programs[detail]
        parts |= {"source": source_key(compiled.source), "flags": " ".join(compiled.flags)}
    if kind == "debian" and recipe.debian is not None:
        parts["packages"] = " ".join(sorted(recipe.debian.packages))
        parts |= {"keep": " ".join(sorted(recipe.debian.keep))} if recipe.debian.keep else {}
    if kind == "wheel" and recipe.wheel is not None:
        parts |= _file_parts(owner, recipe.wheel.requirements)
    return digest(parts)


def image_key(name: str) -> str:
    """Return the key of an image: a hash of its Dockerfile, context, base and preloaded images."""
    recipe = load(name)
    parts: dict[str, str | bytes] = dict(own_files(name))
    parts |= {f"context {target}": source_key(source) for target, source in recipe.context.items()}
    parts |= {f"argument {key}": value for key, value in recipe.arguments.items()}
    parts |= {f"carries {carried}": image_key(carried) for carried in recipe.preloaded}
    if recipe.base is not None:
        parts["base"] = image_key(recipe.base)
    return digest(parts)


def inputs(name: str) -> dict[str, str]:
    """Return what an image is built from: each file with its SHA-256, each argument, program and package it names.

    The lock files fix the version of every module and wheel. Debian's packages are those of the host's release that
    day: their versions are not recorded.
    """
    recipe, files = load(name), {f"{name}/{file}": data for file, data in own_files(name).items()}
    found: dict[str, str] = {f"argument {key}": value for key, value in recipe.arguments.items()}
    for target, source in recipe.context.items():
        owner = source.split(":")[1]
        found[f"context {target}"] = f"{source} ({source_key(source)})"
        locks = [recipes_dir() / owner / lock for lock in ("go.mod", "go.sum", "requirements.txt")]
        files |= {f"{owner}/{lock.name}": lock.read_bytes() for lock in locks if lock.exists()}
        debian = load(owner).debian
        if debian is not None:
            found[f"packages of {owner}"] = " ".join(sorted(debian.packages))
    for other in (*((recipe.base,) if recipe.base else ()), *recipe.preloaded):
        found[f"image {other}"] = image_key(other)
    return found | {file: f"sha256:{hashlib.sha256(data).hexdigest()}" for file, data in sorted(files.items())}


def _file_parts(name: str, *file_names: str) -> dict[str, str | bytes]:
    return {file: (recipes_dir() / name / file).read_bytes() for file in file_names}


def _local_modules(name: str) -> dict[str, str | bytes]:
    """Return the files of local modules in a recipe's folders, which its go.mod names in `replace`."""
    folder = recipes_dir() / name
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.glob("*/*") if file.is_file()}
