"""The programs that faults run on nodes, as the double answers them: each knows state, node and its own line."""

from collections.abc import Callable

from drills.selftest.doubles.cluster_world import Process
from drills.selftest.doubles.node_world import ADDRESSES, CONTROL_PLANE, NodeWorld


def _stat(world: NodeWorld, node: str, _line: str) -> str:
    return f"1 (a (b) c) S {'0 ' * 18}{world.boots[node] * 100} 0\n"


def _clock(world: NodeWorld, node: str, _line: str) -> str:
    return f"{world.boots[node] * 1000 + 500}\n    500\n"


def _lay_route(world: NodeWorld, node: str, line: str) -> str:
    world.routes[node] = line.splitlines()[-1].removeprefix("ip route replace ")
    return ""


def _routes(world: NodeWorld, node: str, _line: str) -> str:
    return f"default via 172.18.0.1 dev eth0\n{world.routes[node]} dev eth0\n"


def _park(world: NodeWorld, _node: str, _line: str) -> str:
    world.is_parked, world.is_api_dead = True, not world.survives
    return ""


def _give_back(world: NodeWorld, _node: str, _line: str) -> str:
    world.is_parked = world.is_api_dead = False
    return ""


def _pids(world: NodeWorld, _node: str, _line: str) -> str:
    return "    PID\n" if world.is_api_dead else "    PID\n    712\n"


def _readyz(world: NodeWorld, _node: str, _line: str) -> str:
    return "" if world.is_api_dead else "ok"


def _ask_api(world: NodeWorld, node: str, line: str) -> str:
    assert ADDRESSES[CONTROL_PLANE] in line
    assert node != CONTROL_PLANE
    if node in world.api_cut:
        world.api_cut[node] += 1
        return "000 7 0.000000"
    return "000 7 0.000000" if world.is_api_dead else "400 0 0.000300"


def _cut_api(world: NodeWorld, node: str, _line: str) -> str:
    if not world.survives:
        world.api_cut[node] = 0
    return ""


def _count_api(world: NodeWorld, node: str, _line: str) -> str:
    dropped = world.api_cut.get(node)
    rule = "" if dropped is None else f"  {dropped}  {60 * dropped} REJECT  tcp  --  *  *  /* meshdrill-api */\n"
    return f"Chain OUTPUT (policy ACCEPT 5 packets, 300 bytes)\n{rule}asked\n"


def _reach_api(world: NodeWorld, node: str, _line: str) -> str:
    world.api_cut.pop(node, None)
    return ""


def _agent(world: NodeWorld, node: str, line: str) -> Process:
    """Return the process whose network `nsenter` enters."""
    pid = int(line.split()[2])
    return next(agent for agent in world.agents() if (agent.pid, agent.node) == (pid, node))


def _networks(world: NodeWorld, _node: str, _line: str) -> str:
    return f"net:[1]\nnet:[{1 if world.is_in_node_network else 2}]\n"


def _gateway(_world: NodeWorld, _node: str, _line: str) -> str:
    return "default via 10.0.1.1 dev eth0\n"


def _cut(world: NodeWorld, node: str, line: str) -> str:
    assert "-s 10.0.1.1 -j RETURN" in line
    if not world.survives:
        world.cut[_agent(world, node, line).uid] = 0
    return ""


def _count(world: NodeWorld, node: str, line: str) -> str:
    dropped = world.cut.get(_agent(world, node, line).uid)
    rule = "" if dropped is None else f"  5  300 RETURN  all  --  lo\n  {dropped}  {60 * dropped} DROP  all  --  *  *\n"
    return f"{rule}asked\n"


def _heal(world: NodeWorld, node: str, _line: str) -> str:
    for agent in world.agents():
        if agent.node == node:
            world.cut.pop(agent.uid, None)
    return ""


def _find_cut(world: NodeWorld, node: str, _line: str) -> str:
    return "".join(
        f"/run/netns/{agent.pod}\n" for agent in world.agents() if agent.node == node and agent.uid in world.cut
    )


def _ask_agent(world: NodeWorld, node: str, line: str) -> str:
    """Answer for the agent of another node; the asking itself is what its rules count."""
    asked = next((agent for agent in world.agents() if f"//{agent.address}:" in line), None)
    if asked is None:
        return "000 7 0.000000"
    assert asked.node != node
    if asked.uid not in world.cut:
        return "400 0 0.000300"
    world.cut[asked.uid] += 1
    return "000 28 0.000000"


PROGRAMS: dict[str, Callable[[NodeWorld, str, str], str]] = {
    "/proc/1/stat": _stat,
    "etimes": _clock,
    "ip route replace": _lay_route,
    "ip -o route show": _routes,
    "mv /etc/": _park,
    "mv -f": _give_back,
    "ps -C": _pids,
    "/readyz": _readyz,
    ":6443/": _ask_api,
    "readlink": _networks,
    "ip -4 route": _gateway,
    "iptables-restore": _cut,
    "-I OUTPUT": _cut_api,
    "-L OUTPUT": _count_api,
    "-D OUTPUT": _reach_api,
    "-v -x -L": _count,
    "-w -D": _heal,
    'echo "$net"': _find_cut,
    ":9090/": _ask_agent,
}
"""By words that stand in no other program's line; the first that fits answers."""
