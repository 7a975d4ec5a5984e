"""Faults of nodes, of the API server and of the network: seen by someone else than their actor, and undone in full."""

from pathlib import Path

import pytest

from clusters.errors import HarnessError
from drills.run import faults, mending, placement
from drills.selftest.hurting import glances, ready
from drills.selftest.node_double import PARTS, NodePlace
from drills.selftest.place_double import as_place

BYSTANDER = PARTS[placement.BYSTANDER]


@pytest.fixture
def double(tmp_path: Path) -> NodePlace:
    """Return a healthy agent on each node."""
    return NodePlace(tmp_path)


def test_api_server_that_is_only_silent_is_no_receipt(double: NodePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost packet, or a port that refuses while the process lives on, does not prove that it is gone."""
    injury = ready(double, faults.stop_apiserver())
    injury.inject()
    on_node = double.on_node

    def silent(node: str, argv: list[str], **options: object) -> str:
        return "000 28 0.000000" if argv[0] == "curl" else on_node(node, argv, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(double, "on_node", silent)
    assert not injury.observe().landed
    assert glances(injury) == [False, True, False, True]
    monkeypatch.setattr(double, "on_node", on_node)
    world = double.load()
    world.is_api_dead = False
    double.save(world)
    assert glances(injury) == [False] * 4


def test_process_table_that_cannot_be_read_is_no_absence(double: NodePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that answers nothing does not prove that the API server is gone."""
    injury = ready(double, faults.stop_apiserver())
    monkeypatch.setattr(double, "on_node", lambda *_args, **_options: "")
    with pytest.raises(HarnessError, match="instead of a table"):
        injury.glance(1)


def test_api_server_is_brought_back_without_the_api(double: NodePlace) -> None:
    """The undo acts through the node alone, twice as well as once, and is verified when the API answers us."""
    injury = ready(double, faults.stop_apiserver())
    injury.inject()
    undo = injury.undo("r1")
    assert "does not say that it is ready" in mending.missing(as_place(double), undo)
    mending.act(as_place(double), undo)
    mending.act(as_place(double), undo)
    assert mending.missing(as_place(double), undo) == ""


@pytest.mark.parametrize("count", [0, 2])
def test_stopping_one_of_several_api_servers_is_refused(
    double: NodePlace, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Where another server would go on answering, the API would not be gone."""
    monkeypatch.setattr(double, "find", lambda *_args, **_options: [{}] * count)
    with pytest.raises(HarnessError, match="exactly one control-plane node"):
        ready(double, faults.stop_apiserver())


def test_api_server_needs_a_watcher_elsewhere(double: NodePlace) -> None:
    """On a cluster of one node nobody could see the port refuse."""
    double.nodes = (BYSTANDER,)  # type: ignore[assignment]  # a cluster of one node
    with pytest.raises(HarnessError, match="a node besides"):
        ready(double, faults.stop_apiserver())
