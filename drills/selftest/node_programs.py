"""The programs that faults run on nodes, as the double answers them: each knows state, node and its own line."""

from collections.abc import Callable

from drills.selftest.node_world import ADDRESSES, CONTROL_PLANE, NodeWorld


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
    return "000 7 0.000000" if world.is_api_dead else "400 0 0.000300"


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
}
"""By words that stand in no other program's line; the first that fits answers."""
