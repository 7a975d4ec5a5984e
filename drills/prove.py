"""What a drill's selftest asks of it, without a cluster: it can be built, stored, and never passes on nothing."""

import re
from collections.abc import Iterator

import polars as pl

from clusters import meshes
from clusters.model import Mesh
from drills.judge.claims import Claim, judge, restored, stored
from drills.judge.history import CALLS_SCHEMA, History, RunFacts
from drills.judge.quantifiers import Quantifier
from drills.judge.verdict import Answer
from drills.run.declare import Declared, declared, unmet

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def defects(test: object) -> tuple[str, ...]:
    """Return what is wrong with a drill, its test function or what that declares; nothing when it is sound.

    For every mesh that can be asked: the experiment can be built, has a claim about the steady state or the fault, its
    ids are kebab-case, its claims are the same after they were stored, and on an empty history none of them is decided.
    """
    entry = test if isinstance(test, Declared) else declared(test)
    if entry is None:
        return (f"{test!r} is no drill: put @drill(...) on it.",)
    asked = [mesh for mesh in map(meshes.load, meshes.names()) if not unmet(entry.requires, mesh)]
    found = [] if asked else ["No mesh can be asked: each lacks something that the drill requires."]
    found += [] if entry.hypothesis else ["It has no docstring: the docstring of a drill is its hypothesis."]
    return (*found, *(f"On {mesh.title}: {it}" for mesh in asked for it in _defects_on(entry, mesh)))


def _defects_on(entry: Declared, mesh: Mesh) -> Iterator[str]:
    claims = dict(entry.build(mesh).claims)
    if all(claim.quantifier is Quantifier.REACHED for claim in claims.values()):
        yield "no claim can fail: it asks only that situations were reached."
    yield from (f"the id {name!r} is not kebab-case." for name in claims if not _ID.fullmatch(name))
    if stored(restored(stored(claims))) != stored(claims):
        yield "its claims are others after they were stored."
    yield from _decided_on_nothing(claims)


def _decided_on_nothing(claims: dict[str, Claim]) -> Iterator[str]:
    nothing = History(pl.LazyFrame(schema=CALLS_SCHEMA), (), RunFacts("no-run", "no-mesh", "0" * 12))
    for finding in judge(nothing, claims).findings:
        if finding.verdict not in {Answer.INCONCLUSIVE, Answer.NOT_PROMISED}:
            yield f"the claim {finding.id!r} is {finding.verdict} on a history in which nothing happened."
