"""plan.json: the harness's message to the programs of the lab, replaced atomically and never edited in place."""

import os
from pathlib import Path

import msgspec

from clusters.runtime import HarnessError

_NAME = "plan.json"
_LOGS = "logs"
_READABLE = 0o644  # the lab's programs run as other users


class Caller(msgspec.Struct, frozen=True):
    """One open loop of calls that every pod of `source` runs. knows_address: it needs the target's name only once."""

    source: str
    target: str
    host: str
    port: int
    every_ms: float
    connection: str  # new | reused
    timeout_ms: int
    knows_address: bool = False


class ScrapeTarget(msgspec.Struct, frozen=True):
    """Metrics of a pod that the observer on its node scrapes."""

    pod: str
    node: str
    url: str
    every_s: float
    metrics: tuple[str, ...]


class CertificateTarget(msgspec.Struct, frozen=True):
    """A pod whose certificate the observer on its node reads, by a TLS handshake that offers these protocols."""

    pod: str
    node: str
    host: str
    port: int
    alpn: tuple[str, ...]
    server_name: str  # SNI of the handshake, "" for none
    every_s: float


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What every program of the lab does once it has read the plan."""

    run_id: str
    canary: str
    identity_header: str = ""
    callers: tuple[Caller, ...] = ()
    scrapes: tuple[ScrapeTarget, ...] = ()
    certificates: tuple[CertificateTarget, ...] = ()
    capture: bool = False
    stop: bool = False


def write_plan(share: Path, plan: Plan) -> None:
    """Publish the plan atomically."""
    draft = share / f".{_NAME}.{os.getpid()}"
    draft.write_bytes(msgspec.json.encode(plan))
    draft.chmod(_READABLE)
    draft.replace(share / _NAME)


def read_plan(share: Path) -> Plan | None:
    """Return the current plan, None when there is none; HarnessError when it cannot be read."""
    path = share / _NAME
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except msgspec.DecodeError as error:
        raise HarnessError(f"{path} is not a plan: {error}. Remove the file.") from error


def stop_plan(share: Path) -> None:
    """Make every program stop; harmless when none runs."""
    plan = read_plan(share)
    if plan is not None and not plan.stop:
        write_plan(share, msgspec.structs.replace(plan, stop=True))


def logs_dir(share: Path) -> Path:
    """Return the folder of the programs' logs, one file per pod."""
    return share / _LOGS
