"""Where the DNS of a kind cluster runs: on no node that a drill takes away."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import pytest

from clusters import kind, network
from clusters.cluster import Cluster
from clusters.runtime import Steps
from drills.selftest.doubles.strict_double import StrictCluster, StrictKube


class Patched(StrictKube):
    """An API that takes changes, and notes them in the order of all that is done to the cluster."""

    def __init__(self, done: list[str]) -> None:
        self.done = done
        self.selectors: list[object] = []

    def patch(self, changes: Mapping[str, object]) -> None:
        """Note which object is changed, and the node that its pods ask for."""
        metadata, spec = changes["metadata"], changes["spec"]
        assert isinstance(metadata, dict)
        assert isinstance(spec, dict)
        self.done.append(metadata["name"])
        self.selectors.append(spec["template"]["spec"]["nodeSelector"])


class NewMaker(kind.Maker):
    """A maker whose cluster does not exist yet."""

    def __init__(self, cluster: Cluster) -> None:
        self.name = "new"
        self.made = cluster

    def exists(self) -> bool:
        """There is none."""
        return False

    def make(self, *, restrict_oom: bool) -> None:
        """Make nothing."""
        assert not restrict_oom

    def cluster(self) -> Cluster:
        """Return the double."""
        return self.made


@pytest.mark.parametrize("with_network", [True, False])
def test_dns_gets_its_node_before_any_node_is_ready(
    with_network: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pods wait for a node until there is a network; only the control plane's node has that label."""
    done: list[str] = []
    kube = Patched(done)
    monkeypatch.setattr(kind, "_alone", lambda _maker: nullcontext())
    monkeypatch.setattr(network, "configure", lambda _cluster: done.append("pod network"))
    maker = NewMaker(StrictCluster(kube, tmp_path))
    with kind.running(maker, keep=True, restrict_oom=False, with_network=with_network, steps=Steps(print)):
        done.append("mesh")
    assert done == ["coredns", *(["pod network"] if with_network else []), "mesh"]
    assert kube.selectors == [{"node-role.kubernetes.io/control-plane": ""}]
