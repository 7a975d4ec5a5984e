"""Policy objects through a run: each version is recorded once, a failed list is recorded, and nothing is made up."""

import time

import pytest

from clusters import lab
from clusters.kube import Json
from clusters.meshes import load, names
from clusters.model import Mesh, PolicyKind, PolicyModel
from clusters.runtime import HarnessError
from drills.judge.events import PolicyListing, PolicyVersion
from drills.run import policies
from drills.run.policies import PolicyLog, PolicyWatch
from drills.run.recorder import Recorder
from drills.run.timing import Timing
from drills.selftest.doubles.cluster_double import mesh
from drills.selftest.doubles.strict_double import StrictKube

KIND = PolicyKind("v1", "Rule")
OFTEN = Timing(policies_every_s=0.01)


def rule(name: str, version: str = "1", namespace: str = "lab") -> Json:
    """Return an object as a list has it."""
    metadata = {"name": name, "namespace": namespace, "resourceVersion": version, "managedFields": [{"manager": "m"}]}
    return {"metadata": metadata, "spec": {"b": 1, "a": 2}, "status": {"seen": True}}


def whole(name: str, version: str = "1") -> Json:
    """Return an object as the answer to a write has it."""
    return {"apiVersion": "v1", "kind": "Rule", **rule(name, version)}


def noted(recorder: Recorder) -> list[tuple[str, str]]:
    """Return what was noted of each object, in short."""
    return [(event.subject, event.detail.verb) for event in recorder.events() if isinstance(event, PolicyVersion)]


def failed(recorder: Recorder) -> list[tuple[str, str]]:
    """Return what was asked for, each with the reason why no list came."""
    return [(event.subject, event.detail.error) for event in recorder.events() if isinstance(event, PolicyListing)]


class Api(StrictKube):
    """Answers with the lists that it was given, one after the other, and then with the last."""

    def __init__(self, *answers: list[Json] | str) -> None:
        self.answers = list(answers)
        self.asked = 0

    def find(self, api_version: str, kind: str, namespace: str | None = None, selector: str = "") -> list[Json]:
        """Return the next list, or fail with the next text."""
        assert (namespace, selector) == (None, "")
        assert (api_version, kind) in {("v1", "Rule"), ("v1", "Other")}
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, str):
            raise HarnessError(answer)
        return answer


def watched(api: Api, *, looks: int, kinds: tuple[PolicyKind, ...] = (KIND,)) -> Recorder:
    """Watch until the API was asked so often, then end."""
    recorder = Recorder()
    watch = PolicyWatch(api, PolicyLog(recorder), mesh(policy=PolicyModel(kinds, root="root")), OFTEN)
    watch.start()
    until_s = time.monotonic() + 5
    while api.asked < looks and time.monotonic() < until_s:
        time.sleep(0.005)
    watch.stop()
    return recorder


def test_each_version_of_an_object_is_recorded_once() -> None:
    """Present, changed, gone; an object that stays as it is adds nothing but looks."""
    api = Api([rule("a"), rule("b")], [rule("a"), rule("b", "2")], [rule("a")])
    recorder = watched(api, looks=4)
    assert noted(recorder) == [
        ("Rule lab/a", "present"),
        ("Rule lab/b", "present"),
        ("Rule lab/b", "changed"),
        ("Rule lab/b", "gone"),
    ]
    looks = [event for event in recorder.events() if isinstance(event, PolicyListing)]
    assert len(looks) == api.asked
    assert all(event.at_ns <= event.detail.answered_ns for event in looks)


def test_an_object_is_kept_as_canonical_json_without_managed_fields() -> None:
    """Sorted keys, the kind that a list states only once, and neither status nor managed fields."""
    (event,) = [event for event in watched(Api([rule("a")]), looks=1).events() if isinstance(event, PolicyVersion)]
    assert event.detail.manifest == (
        '{"apiVersion":"v1","kind":"Rule","metadata":{"name":"a","namespace":"lab","resourceVersion":"1"},'
        '"spec":{"a":2,"b":1}}'
    )


def test_only_objects_that_can_decide_in_the_lab_are_kept() -> None:
    """Those of the lab, of the mesh's root namespace and of the whole cluster; a shared cluster has many others."""
    objects = [rule("a"), rule("b", namespace="root"), rule("c", namespace=""), rule("d", namespace="someone")]
    assert {subject for subject, _ in noted(watched(Api(objects), looks=1))} == {"Rule lab/a", "Rule root/b", "Rule /c"}


def test_a_failed_list_changes_nothing_and_is_recorded() -> None:
    """An API that does not answer has not removed an object."""
    recorder = watched(Api([rule("a")], "dead", [rule("a")]), looks=3)
    assert noted(recorder) == [("Rule lab/a", "present")]
    assert ("Rule", "dead") in failed(recorder)


def test_more_objects_than_are_kept_are_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the policies would look like all of them."""
    monkeypatch.setattr(policies, "_OBJECTS", 1)
    recorder = watched(Api([rule("a"), rule("b")]), looks=1)
    assert noted(recorder) == []
    assert "there are 2 of them" in failed(recorder)[0][1]


def test_an_api_that_is_away_is_not_asked_for_every_kind() -> None:
    """Each request may take ten seconds: listing all kinds ends at the first that fails."""
    api = Api("dead")
    recorder = Recorder()
    of_two_kinds = mesh(policy=PolicyModel((KIND, PolicyKind("v1", "Other"))))
    PolicyWatch(api, PolicyLog(recorder), of_two_kinds, OFTEN)._look_at_all()
    assert failed(recorder) == [("Rule", "dead")]


def test_mesh_without_policy_objects_asks_nothing() -> None:
    """Nothing is started, and stopping it is harmless."""
    api = Api([])
    watched(api, looks=0, kinds=())
    assert api.asked == 0


def test_what_a_probe_did_is_newer_than_a_look_that_was_under_way() -> None:
    """A list that was asked for before a change may show the time before it; the next list counts again."""
    recorder = Recorder()
    log, asked_ns = PolicyLog(recorder), time.time_ns()
    log.saw(whole("a"))
    log.looked(KIND, [], asked_ns)
    assert noted(recorder) == [("Rule lab/a", "present")]
    asked_ns = time.time_ns()
    log.lost(whole("a"))
    log.lost(whole("never-seen"))
    log.looked(KIND, [whole("a")], asked_ns)
    assert noted(recorder) == [("Rule lab/a", "present"), ("Rule lab/a", "gone")]
    log.looked(KIND, [whole("a", "2")], time.time_ns())
    assert noted(recorder)[-1] == ("Rule lab/a", "present")


def test_every_policy_of_a_mesh_is_of_a_kind_that_is_recorded() -> None:
    """What the harness itself applies to a mesh must not be missing from the record."""
    for name in names():
        facts = load(name)
        kinds = {(it.api_version, it.kind) for it in facts.policy.kinds}
        applied = {(it["apiVersion"], it["kind"]) for it in _applied(facts) if it["kind"] != "Service"}
        assert applied
        assert applied <= kinds, name


def _applied(mesh: Mesh) -> list[Json]:
    words = {"NAME": "n", "SOURCE": "s", "TARGET": "t"}
    return [item for path in (mesh.manifests / "policy").glob("*.yaml") for item in lab.load(path, words)]
