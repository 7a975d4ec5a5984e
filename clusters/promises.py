"""Read what a mesh's documents promise and which issues it is known to have, from manifests/<mesh>/*.toml.

`promises.toml` has three tables. [references.NAME] is a document, file or issue with title, url, version and kind.
[claims] maps a claim's id to the name of its reference, in every drill. [drills.DRILL] maps it for one drill.
`known_issues.toml` is a list [[issue]] of drill, claim and reference, and of how far it goes, as in KnownIssue: edges,
since and at_most. With `extends = "OTHER-MESH"`, a file inherits the entries of that mesh's file; its own entries win.
The folder `kubernetes` holds the entries of every mesh.
"""

import tomllib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from clusters.model import KnownIssue, Mesh, Promises, Reference
from clusters.runtime import MANIFESTS, HarnessError

PROMISES_FILE = "promises.toml"
KNOWN_ISSUES_FILE = "known_issues.toml"
_EVERY_MESH = "kubernetes"
_File = TypeVar("_File", "_PromisesFile", "_IssuesFile")


class _Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    url: str
    version: str
    kind: str


class _PromisesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    extends: str = _EVERY_MESH
    references: dict[str, _Reference] = {}
    claims: dict[str, str] = {}
    drills: dict[str, dict[str, str]] = {}


class _Issue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    drill: str
    claim: str
    reference: str
    edges: tuple[str, ...] = ()
    since: Literal["", "fault", "recovery"] = ""
    at_most: dict[str, float] = {}


class _IssuesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    extends: str = ""
    references: dict[str, _Reference] = {}
    issue: tuple[_Issue, ...] = ()


def with_documents(mesh: Mesh) -> Mesh:
    """Return the mesh with its promises and known issues; HarnessError when a file is invalid.

    A variant may have a folder of its own beside that of its mesh, for the entries that differ.
    """
    own = mesh.manifests.with_name(mesh.name)
    folder = own if own.is_dir() else mesh.manifests
    return replace(mesh, promises=promises_of(folder), known_issues=known_issues_of(folder))


@cache
def promises_of(folder: Path) -> Promises:
    """Return the promises in a folder of manifests; HarnessError when a file is invalid."""
    stored = _read(folder / PROMISES_FILE, _PromisesFile)
    base = Promises() if folder.name == _EVERY_MESH else promises_of(MANIFESTS / stored.extends)
    references = {**base.references, **{name: _source(it) for name, it in stored.references.items()}}
    inherited = {
        drill: {claim: it for claim, it in claims.items() if claim not in stored.claims}
        for drill, claims in base.drills.items()
    }
    drills = {drill: {**inherited.get(drill, {}), **claims} for drill, claims in stored.drills.items()}
    return Promises(references, {**base.claims, **stored.claims}, {**inherited, **drills})


@cache
def known_issues_of(folder: Path) -> tuple[KnownIssue, ...]:
    """Return the known issues in a folder of manifests, empty without a file; HarnessError when a file is invalid."""
    stored = _read(folder / KNOWN_ISSUES_FILE, _IssuesFile)
    base = known_issues_of(MANIFESTS / stored.extends) if stored.extends else ()
    missing = [it.reference for it in stored.issue if it.reference not in stored.references]
    if missing:
        raise HarnessError(
            f"{folder / KNOWN_ISSUES_FILE} has no reference {missing[0]!r}: add [references.{missing[0]}]."
        )
    own = (
        KnownIssue(it.claim, _source(stored.references[it.reference]), it.drill, it.edges, it.since, it.at_most)
        for it in stored.issue
    )
    return (*base, *own)


def _read(file: Path, kind: type[_File]) -> _File:
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    try:
        return msgspec.convert(tomllib.loads(text), kind)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise HarnessError(f"{file} cannot be read: {error}.") from error


def _source(stored: _Reference) -> Reference:
    return Reference(stored.title, stored.url, stored.version, stored.kind)
