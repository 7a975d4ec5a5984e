"""Runs the lab's programs as a node would: real processes around a shared directory."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clusters.runtime import wait_until

PROGRAMS = Path(__file__).parents[3] / "manifests" / "lab"
RUN_ID = "0123456789ab"
CANARY = "mdc0123456789abcdef"
Line = dict[str, Any]

sys.path.append(str(PROGRAMS))  # the programs import each other as they do on their mount


@dataclass
class Log:
    """What was read of a log, and how far."""

    bytes_read: int = 0
    lines: list[Line] = field(default_factory=list)


@dataclass
class Lab:
    """A shared directory and the processes around it."""

    share: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    logs: dict[Path, Log] = field(default_factory=dict)

    def start(self, name: str, *, port: int = 0, inside: Sequence[str] = (), node: str = "n1") -> str:
        """Start a service (or the observer), wait until it runs, and return its pod name."""
        pod = f"{name}-5d9f-abcde"
        program = ["observer.py"] if name == "observer" else ["service.py", name]
        environment = {**os.environ, "POD": pod, "NODE": node, "SHARE": str(self.share), "PORT": str(port)}
        boots = len(self.lines("boot", pod=pod))
        self.processes[pod] = subprocess.Popen(
            [*inside, sys.executable, str(PROGRAMS / program[0]), *program[1:]], env=environment
        )
        self.wait(lambda: len(self.lines("boot", pod=pod)) > boots, f"the boot line of {pod}")
        return pod

    def plan(self, callers: Sequence[Line] = (), *, stop: bool = False, **others: object) -> None:
        """Publish a plan as the harness does."""
        plan = {"run_id": RUN_ID, "stop": stop, "canary": CANARY, "identity_header": "X-Peer", "callers": callers}
        draft = self.share / "draft"
        draft.write_text(json.dumps(plan | others))
        draft.replace(self.share / "plan.json")

    def lines(self, kind: str, **wanted: object) -> list[Line]:
        """Return every whole line of a kind, of all pods, whose fields are as wanted."""
        found = [line for path in sorted((self.share / "logs").glob("*.jsonl")) for line in self._whole(path)]
        return [line for line in found if line["type"] == kind and all(line.get(k) == v for k, v in wanted.items())]

    def _whole(self, path: Path) -> list[Line]:
        """Return the whole lines of a log; only what was added since it was last asked for is read."""
        known = self.logs.setdefault(path, Log())
        if path.stat().st_size < known.bytes_read:
            known = self.logs[path] = Log()  # written anew
        with path.open("rb") as file:
            file.seek(known.bytes_read)
            added = file.read()
        added = added[: added.rfind(b"\n") + 1]
        known.lines += [json.loads(line) for line in added.splitlines() if line]
        known.bytes_read += len(added)
        return known.lines

    def wait(self, condition: Callable[[], bool], what: str, within_s: float = 8.0) -> None:
        """Wait for a condition; the failure names it."""
        wait_until(condition, bool, what=what, within_s=within_s, every_s=0.05, next_step="Read the logs.")

    def end(self, pod: str) -> None:
        """Ask one process to end, as the kubelet does, and wait for it."""
        self.processes[pod].terminate()
        self.processes[pod].wait(timeout=8)

    def close(self) -> None:
        """End whatever still runs."""
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait(timeout=8)


@contextmanager
def running(share: Path) -> Iterator[Lab]:
    """Yield a lab without processes and end those that it got."""
    (share / "logs").mkdir()
    lab = Lab(share)
    try:
        yield lab
    finally:
        lab.close()


def caller(source: str, target: str, port: int, connection: str = "new", **others: object) -> Line:
    """Return one caller of a plan, on loopback."""
    base = {"source": source, "target": target, "host": "127.0.0.1", "port": port, "connection": connection}
    return {**base, "every_ms": 20, "timeout_ms": 1500, **others}  # a busy machine must not look like a timeout


def free_port() -> int:
    """Return a port of loopback that no program listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
