"""The mesh's own drop log: read without the API from where the run began; a log that cannot be read is reported."""

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import msgspec
import pytest

from clusters.meshes import cilium
from clusters.model import Drop, DropLog
from clusters.runtime import HarnessError
from drills.judge.events import DropCount, DropLogRead
from drills.run.drops import DropReader
from drills.selftest.doubles.strict_double import StrictCluster, StrictKube

SECOND_NS = 1_000_000_000
LOG = cast("DropLog", cilium.MESH.drop_log)
FOLDER = str(Path(LOG.path).parent)


def line(at: str, source: str, target: str, verdict: str = "DROPPED", reason: str = "POLICY_DENIED") -> str:
    """Return one line as Hubble's exporter writes it."""
    ends = {"source": source, "destination": target}
    flow = {name: {"labels": [f"k8s:app={app}", "k8s:version=v1"]} for name, app in ends.items()}
    rest = {"time": at, "verdict": verdict, "drop_reason_desc": reason}
    return msgspec.json.encode({"flow": {**flow, **rest}, "node_name": "n"}).decode() + "\n"


class Nodes(StrictCluster):
    """Folders of this machine that stand for nodes; what is run on a node is really run, on its folder."""

    def __init__(self, root: Path) -> None:
        super().__init__(StrictKube(), root)
        self.root = root
        self.dead: set[str] = set()

    def exec(self, node: str, argv: Sequence[str], *, timeout_s: float, check: bool = True) -> str:
        """Run the program with the record's path moved into the node's folder."""
        if node in self.dead:
            raise HarnessError(f"{node} does not answer")
        here = [word.replace(FOLDER, str(self.root / node)) for word in argv]
        done = subprocess.run(here, capture_output=True, text=True, timeout=timeout_s, check=False)
        if check and done.returncode:
            raise HarnessError(done.stderr)
        return done.stdout

    def append(self, node: str, text: str, name: str = "events.log") -> None:
        """Let the mesh write to its record."""
        (self.root / node).mkdir(exist_ok=True)
        with (self.root / node / name).open("a") as sink:
            sink.write(text)

    def move(self, node: str) -> None:
        """Let the mesh put a full record aside."""
        (self.root / node / "events.log").rename(self.root / node / "events-1970.log")


def reader(nodes: Nodes, log: DropLog | None = LOG) -> DropReader:
    """Return a reader over the nodes, that has begun."""
    names = tuple(sorted(path.name for path in nodes.root.iterdir()))
    nodes.nodes = names
    found = DropReader(nodes, log)
    found.begin()
    return found


def counts(*found: DropLogRead | DropCount) -> list[tuple[int, int]]:
    """Return when each span of drops began, and how many it counts."""
    return [(it.detail.first_ns, it.detail.count) for it in found if isinstance(it, DropCount)]


def test_drops_of_the_run_are_counted_by_span(tmp_path: Path) -> None:
    """What stood there before, what passed, and an unfinished line are left out; the rest is counted by spans."""
    nodes = Nodes(tmp_path)
    nodes.append("a", line("1970-01-01T00:00:01.5Z", "intruder", "ledger"))
    drops = reader(nodes)
    nodes.append("a", line("1970-01-01T00:00:03.1Z", "intruder", "ledger"))
    nodes.append("a", line("1970-01-01T00:00:05.9Z", "intruder", "ledger"))
    nodes.append("a", line("1970-01-01T00:00:06.0Z", "intruder", "ledger", reason="STALE_OR_UNROUTABLE_IP"))
    nodes.append("a", line("1970-01-01T00:00:06.0Z", "payment", "ledger", verdict="FORWARDED"))
    nodes.append("a", line("1970-01-01T00:00:07.0Z", "intruder", "ledger")[:-5])
    read, denied, stale = drops.read(0, 100 * SECOND_NS, {})
    assert read == DropLogRead(100 * SECOND_NS, "a", DropLogRead.Detail(node="a", error=""))
    edge = {"node": "a", "source": "intruder", "target": "ledger"}
    first_ns, last_ns, then_ns = 3_100_000_000, 5_900_000_000, 6_000_000_000
    detail = DropCount.Detail(**edge, reason="POLICY_DENIED", count=2, first_ns=first_ns, last_ns=last_ns)
    assert denied == DropCount(first_ns, "intruder->ledger", detail)
    detail = DropCount.Detail(**edge, reason="STALE_OR_UNROUTABLE_IP", count=1, first_ns=then_ns, last_ns=then_ns)
    assert stale == DropCount(then_ns, "intruder->ledger", detail)


def test_a_record_that_was_put_aside_is_read_to_its_end(tmp_path: Path) -> None:
    """A full record is moved and a new one begun: both are read, and nothing from before the run."""
    nodes = Nodes(tmp_path)
    nodes.append("a", line("1970-01-01T00:00:01Z", "outsider", "payment") * 9)
    drops = reader(nodes)
    nodes.append("a", line("1970-01-01T00:00:02Z", "outsider", "payment"))
    nodes.move("a")
    nodes.append("a", line("1970-01-01T00:00:03Z", "outsider", "payment"))
    assert counts(*drops.read(0, 100 * SECOND_NS, {})) == [(2 * SECOND_NS, 1), (3 * SECOND_NS, 1)]


def test_a_node_where_nothing_was_ever_refused_has_an_empty_record(tmp_path: Path) -> None:
    """The file comes with its first line: without it there is nothing to read, and that is no failure."""
    (tmp_path / "a").mkdir()
    drops = reader(Nodes(tmp_path))
    assert drops.read(0, SECOND_NS, {}) == (DropLogRead(SECOND_NS, "a", DropLogRead.Detail(node="a", error="")),)


@pytest.mark.parametrize("is_compressed", [False, True])
def test_a_record_of_many_files_is_known_again_by_what_stays_the_same(tmp_path: Path, is_compressed: bool) -> None:
    """A full file that is moved and perhaps compressed, and the file of a successor, lose no drop and repeat none."""
    pods = DropLog(f"{FOLDER}/agent-*/*.log", f"{FOLDER}/agent-*/*.log.*", LOG.parse, LOG.source)
    for pod in ("agent-1", "agent-2"):
        (tmp_path / "a" / pod).mkdir(parents=True)
    nodes = Nodes(tmp_path)
    nodes.append("a", line("1970-01-01T00:00:01Z", "outsider", "payment") * 9, "agent-1/0.log")
    drops = reader(nodes, pods)
    nodes.append("a", line("1970-01-01T00:00:12Z", "outsider", "payment"), "agent-1/0.log")
    full = (tmp_path / "a" / "agent-1" / "0.log").rename(tmp_path / "a" / "agent-1" / "0.log.1970")
    if is_compressed:
        subprocess.run(["gzip", full], check=True)
        (full.parent / "0.log.1970.gz.tmp").write_bytes(b"half of it")
    nodes.append("a", line("1970-01-01T00:00:15Z", "outsider", "payment"), "agent-1/0.log")
    nodes.append("a", line("1970-01-01T00:00:16Z", "outsider", "payment")[:-9], "agent-1/0.log")
    nodes.append("a", line("1970-01-01T00:00:18Z", "outsider", "payment"), "agent-2/0.log")
    read, *found = drops.read(10 * SECOND_NS, 100 * SECOND_NS, {})
    assert read == DropLogRead(100 * SECOND_NS, "a", DropLogRead.Detail(node="a", error=""))
    assert counts(*found) == [(second * SECOND_NS, 1) for second in (12, 15, 18)]


def test_a_record_that_was_emptied_is_read_from_its_beginning(tmp_path: Path) -> None:
    """A file shorter than it was holds nothing from before: all of it is read."""
    nodes = Nodes(tmp_path)
    nodes.append("a", line("1970-01-01T00:00:01Z", "outsider", "payment") * 9)
    drops = reader(nodes)
    (tmp_path / "a" / "events.log").write_text(line("1970-01-01T00:00:02Z", "outsider", "payment"))
    assert counts(*drops.read(0, 100 * SECOND_NS, {})) == [(2 * SECOND_NS, 1)]


@pytest.mark.parametrize("harm", ["dead", "torn"])
def test_a_record_that_cannot_be_read_says_so(tmp_path: Path, harm: str) -> None:
    """A node that does not answer, or a line that is no JSON, is an unreadable source, never an absence of drops."""
    nodes = Nodes(tmp_path)
    for name in ("a", "b"):
        nodes.append(name, "")
    drops = reader(nodes)
    nodes.append("b", line("1970-01-01T00:00:02Z", "outsider", "payment"))
    if harm == "dead":
        nodes.dead.add("a")
    else:
        nodes.append("a", "{torn\n")
    found = drops.read(0, 100 * SECOND_NS, {})
    assert [bool(it.detail.error) for it in found if isinstance(it, DropLogRead)] == [True, False]
    assert counts(*found) == [(2 * SECOND_NS, 1)]


def test_a_mesh_without_a_record_is_not_read(tmp_path: Path) -> None:
    """Where a mesh keeps no record of its own, nothing is read and nothing is claimed."""
    nodes = Nodes(tmp_path)
    nodes.append("a", "x\n")
    assert reader(nodes, None).read(0, SECOND_NS, {}) == ()


def test_a_caller_that_the_log_names_by_its_address_is_looked_up(tmp_path: Path) -> None:
    """An address of the lab becomes the service there; any other caller is no part of the lab."""
    nodes = Nodes(tmp_path)
    nodes.append("a", "")

    def parse(said: str) -> Drop:
        return Drop(4 * SECOND_NS, "", "ledger", "denied", said)

    drops = reader(nodes, replace(LOG, parse=parse))
    nodes.append("a", "10.0.0.7\n10.0.0.9\n")
    found = drops.read(0, 10 * SECOND_NS, {"10.0.0.7": "outsider"})
    assert [it.subject for it in found if isinstance(it, DropCount)] == ["outsider->ledger"]
