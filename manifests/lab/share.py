"""The shared directory of a lab node: the plan is read from it, log lines are written to it.

This path needs neither the API server nor the mesh, because a drill may break either.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

POLL_S = 0.2
FLUSH_S = 0.05
LOG_LIMIT_BYTES = 512 * 1024 * 1024
CANARY_CHARS = 19  # "mdc" and 16 hexadecimal digits

Connection = Literal["new", "reused"]
Record = Mapping[str, object]
encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Me:
    """This process's identity, from its command line and environment."""

    service: str
    version: str
    pod: str
    node: str
    share: Path
    port: int

    @classmethod
    def from_environment(cls, service: str) -> Me:
        """Read VERSION, POD, NODE, SHARE and PORT; a missing POD or NODE is a KeyError."""
        return cls(
            service=service,
            version=os.environ.get("VERSION", "v1"),
            pod=os.environ["POD"],
            node=os.environ["NODE"],
            share=Path(os.environ.get("SHARE", "/meshdrill")),
            port=int(os.environ.get("PORT", "8080")),
        )


@dataclass(frozen=True, slots=True)
class Calls:
    """One caller that every pod of the source runs. knows_address: it needs the name of its target only once."""

    source: str
    target: str
    host: str
    port: int
    every_ms: float
    connection: Connection
    timeout_ms: float
    knows_address: bool = False


@dataclass(frozen=True, slots=True)
class Scrape:
    """One metrics endpoint that the observer of its node scrapes."""

    pod: str
    node: str
    url: str
    every_s: float
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Certificate:
    """One pod whose certificate the observer of its node reads by a TLS handshake; alpn: the protocols it offers."""

    pod: str
    node: str
    host: str
    port: int
    alpn: tuple[str, ...]
    server_name: str  # SNI of the handshake, "" for none
    every_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The work of all lab programs during one run."""

    run_id: str
    stop: bool
    canary: str
    identity_header: str
    callers: tuple[Calls, ...]
    scrapes: tuple[Scrape, ...]
    certificates: tuple[Certificate, ...]
    capture: bool
    published_ns: int = 0

    @classmethod
    def parse(cls, text: str, published_ns: int = 0) -> Plan:
        """Parse plan.json; raises ValueError, KeyError or TypeError when it is invalid."""
        raw = json.loads(text)
        if len(raw["canary"]) != CANARY_CHARS:
            raise ValueError(f"a canary has {CANARY_CHARS} characters, this one {len(raw['canary'])}")
        return cls(
            run_id=raw["run_id"],
            stop=raw["stop"],
            canary=raw["canary"],
            identity_header=raw.get("identity_header", "").lower(),
            callers=tuple(Calls(**caller) for caller in raw.get("callers", [])),
            scrapes=tuple(
                Scrape(**{**scrape, "metrics": tuple(scrape["metrics"])}) for scrape in raw.get("scrapes", [])
            ),
            certificates=tuple(
                Certificate(**{**wanted, "alpn": tuple(wanted["alpn"])}) for wanted in raw.get("certificates", [])
            ),
            capture=raw.get("capture", False),
            published_ns=published_ns,
        )

    @property
    def linger_s(self) -> float:
        """Time after a stop until the last call may arrive, in s: every program's poll, then the longest call."""
        longest_ms = max((caller.timeout_ms for caller in self.callers), default=0.0)
        return POLL_S + FLUSH_S + longest_ms / 1000


class PlanFile:
    """Returns each version of plan.json once; the harness replaces the file atomically."""

    def __init__(self, share: Path) -> None:
        self._path = share / "plan.json"
        self._seen: tuple[int, int, int] | None = None

    def poll(self) -> Plan | None:
        """Return the plan if it changed since the last poll; None if not, or if it is absent or invalid."""
        try:
            stat = self._path.stat()
            version = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if version == self._seen:
                return None
            self._seen = version
            return Plan.parse(self._path.read_text(encoding="utf-8"), stat.st_mtime_ns)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            print(f"{self._path} is no plan: {type(error).__name__}: {error}; waiting for the next one", flush=True)
            return None


class Log:
    """Appends JSON lines to logs/<pod>.jsonl; buffers for at most FLUSH_S; needs a running event loop.

    A write error ends the process: a log with a silent gap is worse than none.
    """

    def __init__(self, me: Me, limit_bytes: int = LOG_LIMIT_BYTES) -> None:
        path = _logs_folder(me.share) / f"{me.pod}.jsonl"
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        self._size_bytes = os.fstat(self._file).st_size
        self.boot_ns = time.time_ns()
        self.is_continued = self._size_bytes > 0  # this pod ran before
        self._end_torn_line()
        self._limit_bytes = limit_bytes
        self._lines: list[str] = []
        self._is_full = False
        self.note({"type": "boot", **writer(me), "service": me.service, "version": me.version, "at_ns": self.boot_ns})

    def _end_torn_line(self) -> None:
        """End a line that was truncated when this pod was killed, so that the next line stays intact."""
        if self.is_continued and os.pread(self._file, 1, self._size_bytes - 1) != b"\n":
            self._size_bytes += os.write(self._file, b"\n")

    def write(self, record: Record) -> bool:
        """Add a line; False when the file is at its limit and the line is dropped."""
        if self._is_full:
            return False
        self.note(record)
        if self._size_bytes >= self._limit_bytes:
            self._is_full = True
            self.note({"type": "truncated", "limit_bytes": self._limit_bytes, "at_ns": time.time_ns()})
        return True

    def note(self, record: Record) -> None:
        """Add a line that ignores the limit; for the few lines that every run needs."""
        line = encode(record) + "\n"
        self._size_bytes += len(line)
        if not self._lines:
            asyncio.get_running_loop().call_later(FLUSH_S, self.flush)
        self._lines.append(line)

    def flush(self) -> None:
        """Write the buffered lines."""
        data = "".join(self._lines).encode()
        self._lines.clear()
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            print(f"the log of this pod cannot be written: {error}; ending, so that the hole is seen", flush=True)
            os._exit(1)


def _logs_folder(share: Path) -> Path:
    """Return the folder of the logs; the first program creates it, writable by programs of any user."""
    folder = share / "logs"
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o1777)
    return folder


def writer(me: Me) -> dict[str, str]:
    """Return the fields that identify the writer of a line."""
    return {"pod": me.pod, "node": me.node}
