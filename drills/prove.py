"""Find defects of a drill without a cluster: it must build, be storable, and not decide an empty history."""

import re
from collections.abc import Iterator

import polars as pl

from clusters import meshes
from clusters.model import Mesh
from drills.judge.claims import Claim, judge, restored, stored
from drills.judge.history import CALLS_SCHEMA, History, RunFacts
from drills.judge.quantifiers import Quantifier
from drills.judge.verdict import Outcome
from drills.run import controls
from drills.run.declare import Declared, declared, unmet
from drills.run.experiment import Experiment

CONTROL_CLAIMS = 5
"""So many claims of a no-fault control can fail, at least: fewer would hold on almost any run."""

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def defects(test: object) -> tuple[str, ...]:
    """Return the defects of a drill, given as its test function or its declaration; () when it is sound.

    For every mesh that it can run on: the experiment can be built, at least one claim can fail, ids are kebab-case,
    claims survive being stored, and an empty history decides none of them. The same is true of its no-fault control,
    which has claims enough to show that the run disturbs nothing by itself.
    """
    entry = test if isinstance(test, Declared) else declared(test)
    if entry is None:
        return (f"{test!r} is no drill: put @drill(...) on it.",)
    asked = [mesh for mesh in map(meshes.load, meshes.names()) if not unmet(entry.requires, mesh)]
    found = [] if asked else ["It can run on no mesh: each lacks something that the drill requires."]
    found += [] if entry.hypothesis else ["It has no docstring: the docstring of a drill is its hypothesis."]
    return (*found, *(f"On {mesh.title}: {it}" for mesh in asked for it in _defects_on(entry, mesh)))


def _defects_on(entry: Declared, mesh: Mesh) -> Iterator[str]:
    experiment = entry.build(mesh)
    found = tuple(_defects_of(dict(experiment.claims)))
    yield from found
    if not found and not controls.refusal(mesh):
        yield from (f"in its no-fault control {it}" for it in _defects_of_control(experiment.without_fault(mesh)))


def _defects_of_control(experiment: Experiment) -> Iterator[str]:
    claims = dict(experiment.claims)
    can_fail = sum(claim.quantifier is not Quantifier.REACHED for claim in claims.values())
    if can_fail < CONTROL_CLAIMS:
        yield f"{can_fail} claims can fail, expected at least {CONTROL_CLAIMS}: say of fewer that they need the fault."
    yield from _defects_of(claims)


def _defects_of(claims: dict[str, Claim]) -> Iterator[str]:
    if all(claim.quantifier is Quantifier.REACHED for claim in claims.values()):
        yield "no claim can fail: each only asks that a situation was reached."
    yield from (f"the id {name!r} is not kebab-case." for name in claims if not _ID.fullmatch(name))
    if stored(restored(stored(claims))) != stored(claims):
        yield "its claims change when they are stored and restored."
    yield from _decided_without_calls(claims)


def _decided_without_calls(claims: dict[str, Claim]) -> Iterator[str]:
    empty = History(pl.LazyFrame(schema=CALLS_SCHEMA), (), RunFacts("no-run", "no-mesh", "0" * 12))
    for finding in judge(empty, claims).findings:
        if finding.outcome is not Outcome.INCONCLUSIVE:
            yield f"the claim {finding.id!r} is {finding.outcome} on an empty history."
