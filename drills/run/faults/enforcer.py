"""`restart_enforcer_without`: the policy enforcer restarts while the source of its policy is unavailable.

The enforcer of an app's pods is the proxy in each pod if the mesh has one, else the agent of their node.
"""

from clusters.cluster import Cluster, find_node
from clusters.lab import LAB
from clusters.model import VICTIM, Component, Mesh, Role
from clusters.runtime import UsageError, wait_until
from drills.run.faults.base import BaseFault, PreparedFault, Receipt, both
from drills.run.faults.process import Killed, killed
from drills.run.faults.unavailable import MadeUnavailable, made_unavailable
from drills.run.timing import Timing


class RestartEnforcerWithout(BaseFault, tag="restart-enforcer-without", frozen=True, kw_only=True):
    """Make a role unavailable, then SIGKILL the enforcer of an app's pods on one node."""

    role: Role
    app: str  # the service of the lab whose enforcer is killed

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "RestartedEnforcer":
        """Find the role's workload and the enforcer's processes; UsageError when the mesh names no enforcer."""
        absent = made_unavailable(cluster, self.component(mesh), run_id, self.title)
        node = find_node(cluster, self.node)
        enforcer = killed(cluster, self._enforcer(mesh), node, run_id, self.title)
        return RestartedEnforcer(run_id=run_id, absent=absent, killed=enforcer)

    def _enforcer(self, mesh: Mesh) -> Component:
        if mesh.pod_proxy:
            return Component(Role.POD_PROXY, "Deployment", LAB, self.app, f"app={self.app}", mesh.pod_proxy)
        agent = mesh.component(Role.NODE_AGENT)
        if agent is None:
            raise UsageError(f"{self.title}: {mesh.title} names neither a proxy in each pod nor a node agent.")
        return agent


class RestartedEnforcer(PreparedFault, tag="restart-enforcer-without", kw_only=True):
    """An unavailable role, and an enforcer killed meanwhile; observed as each of the two is."""

    absent: MadeUnavailable
    killed: Killed

    @property
    def subject(self) -> str:
        """The role is available; the enforcer restarts by itself."""
        return self.absent.subject

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes of both."""
        return (*self.absent.nodes, *self.killed.nodes)

    def inject(self, cluster: Cluster, timing: Timing) -> str:
        """Make the role unavailable, and kill the enforcer once the role is gone."""
        done = self.absent.inject(cluster, timing)
        wait_until(
            lambda: self.absent.receipt(cluster),
            lambda seen: seen.landed,
            what=f"{self.absent.title} gone",
            within_s=timing.component_gone_within_s,
            every_s=timing.poll_every_s,
        )
        return f"{done}; {self.killed.inject(cluster, timing)}"

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: the role is unavailable and SIGKILL ended the enforcer. A turn is the role: only its loss lasts."""
        seen = self.absent.receipt(cluster, turn)
        return both(seen, self.killed.receipt(cluster)) if turn is None else seen

    def revert(self, cluster: Cluster) -> None:
        """Admit the role's pods again."""
        self.absent.revert(cluster)

    def reverted(self, cluster: Cluster) -> str:
        """Return what the role lacks, "" for nothing."""
        return self.absent.reverted(cluster)


def restart_enforcer_without(
    role: Role, app: str, node: str = VICTIM, *, hold_s: float = 30.0
) -> RestartEnforcerWithout:
    """Make the role unavailable until the undo, and meanwhile SIGKILL the enforcer of the app's pods on one node.

    The enforcer is the proxy in each of those pods if the mesh has one, else the node's agent.
    """
    return RestartEnforcerWithout(role=role, app=app, node=node, hold_s=hold_s)
