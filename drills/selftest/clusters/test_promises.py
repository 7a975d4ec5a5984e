"""Promises and known issues: every claim has an entry, and every entry a claim."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from clusters import meshes, promises
from clusters.model import Promises
from clusters.runtime import HarnessError
from drills.judge.claims import Claim
from drills.judge.quantifiers import Quantifier
from drills.run import catalogue
from drills.run.declare import unmet
from drills.run.experiment import promised

EACH = pytest.mark.parametrize("name", meshes.names())
REFERENCE = '[references.{0}]\ntitle = "{0}"\nurl = "https://example.org/{0}"\nversion = "1"\nkind = "documented"\n'


def asked_of(name: str) -> dict[str, Mapping[str, Claim]]:
    """Return the claims of every drill that the mesh can be asked, by the drill's name."""
    mesh = meshes.load(name)
    return {it.name: it.build(mesh).claims for it in catalogue.entries() if not unmet(it.requires, mesh)}


@EACH
def test_every_claim_has_its_promise(name: str) -> None:
    """Each claim that can fail has a reference: that it is promised, or that it is not."""
    found = meshes.load(name).promises
    asked = asked_of(name)
    assert len(asked) > 10
    assert not [
        f"{drill}: {claim}"
        for drill, claims in asked.items()
        for claim, it in claims.items()
        if it.quantifier is not Quantifier.REACHED and found.of(drill, claim) is None
    ]


@EACH
def test_a_claim_reached_is_no_promise_of_a_mesh(name: str) -> None:
    """A claim that the situation occurred has no reference: no document promises it."""
    mesh = meshes.load(name)
    for drill, claims in asked_of(name).items():
        found = promised(claims, mesh, drill).values()
        assert all((it.promise is None) is (it.quantifier is Quantifier.REACHED) for it in found)


def test_every_entry_is_about_a_claim_that_a_drill_asks() -> None:
    """An entry of promises.toml for a claim or a drill that is gone would be read as if it were asked."""
    asked = [(drill, claim) for name in meshes.names() for drill, it in asked_of(name).items() for claim in it]
    ids = {claim for _, claim in asked}
    for name in meshes.names():
        found = meshes.load(name).promises
        assert not set(found.claims) - ids
        of_drills = {(drill, claim) for drill, claims in found.drills.items() for claim in claims}
        assert not of_drills - set(asked)


def test_every_reference_is_there_and_is_used() -> None:
    """A claim leads to a reference that some mesh has; a reference that no claim leads to is never read."""
    there = {name: meshes.load(name).promises for name in meshes.names()}
    named = {
        reference
        for it in there.values()
        for reference in (*it.claims.values(), *(one for claims in it.drills.values() for one in claims.values()))
    }
    assert not named - {reference for it in there.values() for reference in it.references}
    assert not {name: left for name, it in there.items() if (left := set(it.references) - named)}


@EACH
def test_every_known_issue_is_about_a_claim_that_the_mesh_is_asked(name: str) -> None:
    """A known issue of a removed drill or claim would fail every run."""
    asked = asked_of(name)
    known = [(it.drill, it.claim) for it in meshes.load(name).known_issues]
    assert not [it for it in known if it[1] not in asked.get(it[0], {})]
    assert len(set(known)) == len(known)


Place = Callable[[str, str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return a function that writes a file of a made-up mesh, the only one that is read."""
    monkeypatch.setattr(promises, "MANIFESTS", tmp_path)
    monkeypatch.setattr(promises, "promises_of", promises.promises_of.__wrapped__)
    monkeypatch.setattr(promises, "known_issues_of", promises.known_issues_of.__wrapped__)

    def put(mesh: str, file: str, text: str) -> None:
        (tmp_path / mesh).mkdir(exist_ok=True)
        (tmp_path / mesh / file).write_text(text, encoding="utf-8")

    return put


def folder(mesh: str) -> Path:
    """Return the folder of a made-up mesh."""
    found: Path = vars(promises)["MANIFESTS"] / mesh
    return found


def titles(found: Promises, drill: str) -> list[str]:
    """Return the titles of the references of claims a, b, c and x in a drill, "" for none."""
    references = (found.of(drill, claim) for claim in "abcx")
    return [it.title if it else "" for it in references]


def test_what_a_mesh_says_counts_before_what_holds_for_every_mesh(write: Place) -> None:
    """It may override a reference, a claim, and a claim of one drill; all else is inherited."""
    common = "".join(REFERENCE.format(it) for it in ("kept", "own"))
    claims = '[claims]\na = "kept"\nb = "kept"\n[drills.d]\na = "own"\nc = "own"\n'
    write("kubernetes", "promises.toml", f"{common}{claims}")
    own = REFERENCE.format("own").replace('"1"', '"2"')
    write("mesh", "promises.toml", f'{own}[claims]\nb = "own"\n[drills.d]\na = "kept"\n')
    write("variant", "promises.toml", 'extends = "mesh"\n[drills.d]\nc = "kept"\n')
    write("strict", "promises.toml", 'extends = "mesh"\n[claims]\nc = "kept"\n')
    found = promises.promises_of(folder("mesh"))
    assert titles(found, "d") == ["kept", "own", "own", ""]
    assert titles(found, "e") == ["kept", "own", "", ""]
    assert found.references["own"].version == "2"
    variant = promises.promises_of(folder("variant"))
    assert (variant.of("d", "a"), variant.of("d", "b")) == (found.of("d", "a"), found.of("d", "b"))
    assert variant.of("d", "c") == found.references["kept"]
    assert titles(promises.promises_of(folder("strict")), "d") == ["kept", "own", "kept", ""]


def test_a_mesh_without_a_file_says_what_holds_for_every_mesh(write: Place) -> None:
    """A new mesh needs no files, and has no known issues."""
    write("kubernetes", "promises.toml", f'{REFERENCE.format("all")}[claims]\na = "all"\n')
    assert promises.promises_of(folder("new")) == promises.promises_of(folder("kubernetes"))
    assert promises.known_issues_of(folder("new")) == ()


def test_a_variant_breaks_what_its_mesh_breaks(write: Place) -> None:
    """Issues are those of the mesh that it extends, then its own."""
    issue = '[[issue]]\ndrill = "d"\nclaim = "{0}"\nreference = "{0}"\n'
    for mesh, claim, extends in (("mesh", "a", ""), ("variant", "b", "mesh")):
        write(mesh, "known_issues.toml", f'extends = "{extends}"\n{REFERENCE.format(claim)}{issue.format(claim)}')
    found = [(it.drill, it.claim, it.issue.title) for it in promises.known_issues_of(folder("variant"))]
    assert found == [("d", "a", "a"), ("d", "b", "b")]


@pytest.mark.parametrize(
    ("file", "text", "named"),
    [
        ("promises.toml", "claims = [", "promises.toml"),
        ("promises.toml", '[promise]\na = "b"\n', "promise"),
        ("promises.toml", '[references.a]\ntitle = "a"\n', "url"),
        ("known_issues.toml", '[[issue]]\ndrill = "d"\nclaim = "a"\nreference = "a"\n', r"\[references\.a\]"),
        ("known_issues.toml", '[[issue]]\ndrill = "d"\nreference = "a"\n', "claim"),
    ],
)
def test_a_file_that_is_wrong_is_refused(file: str, text: str, named: str, write: Place) -> None:
    """An unknown key, a missing key and an unknown reference are errors that name the file and the key."""
    write("kubernetes", "promises.toml", "")
    write("mesh", file, text)
    read = promises.promises_of if file == "promises.toml" else promises.known_issues_of
    with pytest.raises(HarnessError, match=named):
        read(folder("mesh"))
