"""The mesh's own record of what it refused: read past everything, from where the run began, and told when it is not."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from clusters.errors import HarnessError
from clusters.mesh import DropLog
from clusters.meshes import cilium
from clusters.place import Place
from drills.run.drops import DropReader

SECOND_NS = 1_000_000_000
LOG = cast("DropLog", cilium.MESH.drop_log)


def line(at: str, source: str, target: str, verdict: str = "DROPPED", reason: str = "POLICY_DENIED") -> str:
    """Return one line as Hubble's exporter writes it."""
    ends = {"source": source, "destination": target}
    flow = {name: {"labels": [f"k8s:app={app}", "k8s:version=v1"]} for name, app in ends.items()}
    rest = {"time": at, "verdict": verdict, "drop_reason_desc": reason}
    return msgspec.json.encode({"flow": {**flow, **rest}, "node_name": "n"}).decode() + "\n"


@dataclass
class Nodes:
    """Files of nodes; a node without one has no record."""

    texts: dict[str, str]
    dead: set[str] = field(default_factory=set)

    def on_node(self, node: str, argv: list[str], *, timeout_s: float, check: bool = True) -> str:
        """Answer `stat` and `tail` as a node does."""
        del timeout_s
        if node in self.dead or (node not in self.texts and check):
            raise HarnessError(f"{node} does not answer")
        text = self.texts.get(node, "")
        if argv[0] == "stat":
            return f"{len(text)}\n" if node in self.texts else ""
        return text[int(argv[2].removeprefix("+")) - 1 :]


def reader(nodes: Nodes, log: DropLog | None = LOG) -> DropReader:
    """Return a reader over the nodes, with its marks set."""
    place = SimpleNamespace(nodes=tuple(sorted(nodes.texts)), on_node=nodes.on_node)
    found = DropReader(cast("Place", place), log)
    found.mark()
    return found


def test_drops_of_the_run_are_counted_by_second(tmp_path: Path) -> None:
    """What stood there before, what passed, and a line in the making are left out; the rest is counted per second."""
    del tmp_path
    old = line("1970-01-01T00:00:01.5Z", "intruder", "ledger")
    nodes = Nodes({"a": old})
    drops = reader(nodes)
    nodes.texts["a"] += line("1970-01-01T00:00:02.1Z", "intruder", "ledger")
    nodes.texts["a"] += line("1970-01-01T00:00:02.9Z", "intruder", "ledger")
    nodes.texts["a"] += line("1970-01-01T00:00:03.0Z", "intruder", "ledger", reason="STALE_OR_UNROUTABLE_IP")
    nodes.texts["a"] += line("1970-01-01T00:00:03.0Z", "payment", "ledger", verdict="FORWARDED")
    nodes.texts["a"] += line("1970-01-01T00:00:04.0Z", "intruder", "ledger")[:-5]
    source, *found = drops.read(0, 100 * SECOND_NS)
    assert (source.kind, source.text("node"), source.text("error")) == ("drops.source", "a", "")
    assert [(e.subject, e.number("count"), e.text("reason")) for e in found] == [
        ("intruder->ledger", 2, "POLICY_DENIED"),
        ("intruder->ledger", 1, "STALE_OR_UNROUTABLE_IP"),
    ]
    assert found[0].at_ns == found[0].number("first_ns") == 2_100_000_000
    assert found[0].number("last_ns") == 2_900_000_000


def test_a_record_that_was_begun_anew_is_read_whole() -> None:
    """After a reboot the file is shorter than it was: nothing of it is older than the run."""
    nodes = Nodes({"a": line("1970-01-01T00:00:01Z", "outsider", "payment") * 9})
    drops = reader(nodes)
    nodes.texts["a"] = line("1970-01-01T00:00:02Z", "outsider", "payment")
    assert [event.kind for event in drops.read(0, 100 * SECOND_NS)] == ["drops.source", "drop"]


@pytest.mark.parametrize("harm", ["dead", "torn"])
def test_a_record_that_cannot_be_read_says_so(harm: str) -> None:
    """A node that does not answer, or a line that is no JSON, is an unreadable source, never an absence of drops."""
    nodes = Nodes({"a": "", "b": ""})
    drops = reader(nodes)
    nodes.texts["b"] = line("1970-01-01T00:00:02Z", "outsider", "payment")
    if harm == "dead":
        nodes.dead.add("a")
    else:
        nodes.texts["a"] = "{torn\n"
    found = drops.read(0, 100 * SECOND_NS)
    assert [(event.kind, bool(event.text("error"))) for event in found] == [
        ("drops.source", True),
        ("drops.source", False),
        ("drop", False),
    ]


def test_a_mesh_without_a_record_is_not_read() -> None:
    """Where a mesh keeps no record of its own, nothing is read and nothing is claimed."""
    assert reader(Nodes({"a": "x"}), None).read(0, SECOND_NS) == ()
