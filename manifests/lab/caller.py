"""One caller: an open loop of calls to one target, each logged with its outcome.

Open loop: call k is due at t0 + k * every, independent of earlier calls, so a slow target does not slow its own
measurement. There are no retries, which would hide failures.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Literal

from client import ClosedError, Resolver, Wire
from http1 import Message, ProtocolError
from share import Calls, Log, Me, Plan, writer

IN_FLIGHT_LIMIT = 64
CLOCK_SAMPLES = 5
SLOTS_PER_TICK = 256  # a caller that was paused catches up in slices, so that it does not block the event loop
FIRST_ERROR_STATUS = 300
FORBIDDEN = 403

Stage = Literal["dns", "connect", "written"]
CONNECT_ERRORS: dict[type[Exception], str] = {
    TimeoutError: "connect-timeout",
    ConnectionRefusedError: "connect-refused",
    ConnectionResetError: "connect-reset",
}
WRITTEN_ERRORS: dict[type[Exception], str] = {
    TimeoutError: "timeout",
    ConnectionResetError: "reset",
    BrokenPipeError: "reset",
    ClosedError: "closed",
    ProtocolError: "protocol",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one call, in the columns of the call table."""

    outcome: Literal["ok", "fail", "info"]
    error: str = ""
    status: int = 0
    server_pod: str = ""
    server_version: str = ""


class Caller:
    """Makes the calls of one plan entry from one pod, from `start` until `finish`."""

    def __init__(self, me: Me, plan: Plan, calls: Calls, log: Log, resolver: Resolver) -> None:
        self._me = me
        self._run_id = plan.run_id
        self._calls = calls
        self._log = log
        self._resolver = resolver
        suffix = me.pod.removeprefix(f"{me.service}-")
        self._prefix = f"{plan.canary}.{calls.source}.{calls.target}.{suffix}.{calls.connection[0]}"
        self._idle: list[Wire] = []  # bounded by IN_FLIGHT_LIMIT
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.Handle | None = None
        self._t0_s = 0.0
        self._t0_ns = 0
        self._next = 0
        self._written = 0
        self._skipped = 0

    def start(self, after_s: float) -> None:
        """Schedule the first call `after_s` from now. Due times follow the monotonic clock, anchored once here."""
        steady_s, wall_ns = read_both_clocks()
        self._t0_s = steady_s + after_s
        self._t0_ns = wall_ns + round(after_s * 1e9)
        self._timer = asyncio.get_running_loop().call_at(self._t0_s, self._tick)

    async def finish(self) -> None:
        """Stop scheduling, wait for the calls in flight (each has a deadline) and log the end."""
        if self._timer is not None:
            self._timer.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for wire in self._idle:
            wire.close()
        counts = {"scheduled": self._next, "written": self._written, "skipped": self._skipped}
        ours = {"target": self._calls.target, "connection": self._calls.connection}
        self._log.note(
            {"type": "end", "run_id": self._run_id, **writer(self._me), **ours, **counts, "at_ns": time.time_ns()}
        )

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        every_s = self._calls.every_ms / 1000
        for _ in range(SLOTS_PER_TICK):
            due_s = self._t0_s + self._next * every_s
            if due_s > now_s:
                self._timer = loop.call_at(due_s, self._tick)
                return
            self._begin(self._next, self._t0_ns + round(self._next * self._calls.every_ms * 1e6))
            self._next += 1
        self._timer = loop.call_soon(self._tick)

    def _begin(self, seq: int, scheduled_ns: int) -> None:
        if len(self._tasks) >= IN_FLIGHT_LIMIT:
            self._skipped += 1
            now_ns = time.time_ns()
            self._write(seq, (scheduled_ns, now_ns, now_ns), Outcome("info", "in-flight-bound"), reused=False)
            return
        task = asyncio.create_task(self._call(seq, scheduled_ns))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self, seq: int, scheduled_ns: int) -> None:
        started_ns = time.time_ns()
        wire = self._take_idle()
        reused = wire is not None
        stage: Stage = "dns"
        result: Outcome
        try:
            async with asyncio.timeout(self._calls.timeout_ms / 1000):
                if wire is None:
                    address = await self._resolver.resolve(self._calls.host, is_old_good=self._calls.knows_address)
                    stage = "connect"
                    wire = await self._connect(address)
                stage = "written"
                answer = await wire.exchange(self._request(seq))
            result = read_answer(answer, self._id(seq))
            self._put_back(wire, answer)
        except Exception as error:  # noqa: BLE001 - a call without a line would be a gap in the log
            result = read_failure(stage, error)
            if wire is not None:
                wire.abort()
        self._write(seq, (scheduled_ns, started_ns, time.time_ns()), result, reused=reused)

    def _take_idle(self) -> Wire | None:
        while self._idle:
            wire = self._idle.pop()
            if wire.is_open:
                return wire
        return None

    def _put_back(self, wire: Wire, answer: Message) -> None:
        if self._calls.connection == "reused" and answer.keeps_connection and wire.is_open:
            self._idle.append(wire)
        else:
            wire.close()

    async def _connect(self, address: str) -> Wire:
        # asyncio sets TCP_NODELAY: without it, Nagle and delayed acknowledgements add 40 ms.
        _, wire = await asyncio.get_running_loop().create_connection(Wire, address, self._calls.port)
        return wire

    def _id(self, seq: int) -> str:
        return f"{self._prefix}{seq}"

    def _request(self, seq: int) -> bytes:
        call_id = self._id(seq)
        return (
            f"POST / HTTP/1.1\r\nHost: {self._calls.host}:{self._calls.port}\r\nX-Request-Id: {call_id}\r\n"
            f"Content-Type: text/plain\r\nContent-Length: {len(call_id)}\r\n\r\n{call_id}"
        ).encode("ascii")

    def _write(self, seq: int, times_ns: tuple[int, int, int], result: Outcome, *, reused: bool) -> None:
        self._written += self._log.write(
            {
                "type": "call",
                "run_id": self._run_id,
                "id": self._id(seq),
                "seq": seq,
                **writer(self._me),
                "source": self._calls.source,
                "target": self._calls.target,
                "connection": self._calls.connection,
                "scheduled_ns": times_ns[0],
                "started_ns": times_ns[1],
                "ended_ns": times_ns[2],
                "outcome": result.outcome,
                "status": result.status,
                "error": result.error,
                "reused": reused,
                "server_pod": result.server_pod,
                "server_version": result.server_version,
            }
        )


def read_both_clocks() -> tuple[float, int]:
    """Return one instant on the event loop's clock (seconds) and on the wall clock (nanoseconds).

    Takes the fastest of several attempts: a process preempted between two clock reads would misplace its schedule.
    """
    attempts = [(time.monotonic(), time.time_ns(), time.monotonic()) for _ in range(CLOCK_SAMPLES)]
    before_s, wall_ns, after_s = min(attempts, key=lambda attempt: attempt[2] - attempt[0])
    return (before_s + after_s) / 2, wall_ns


def read_answer(answer: Message, call_id: str) -> Outcome:
    """Classify an answer: only our own server's answer to this call is `ok`."""
    status = answer.status
    if status >= FIRST_ERROR_STATUS:
        # A policy denial was certainly not served; with any other error the call may have been served.
        return Outcome("fail" if status == FORBIDDEN else "info", f"http-{status}", status)
    if answer.body.decode("latin-1") != call_id:
        return Outcome("info", "protocol", status)
    return Outcome("ok", "", status, answer.headers.get("x-server-pod", ""), answer.headers.get("x-server-version", ""))


def read_failure(stage: Stage, error: Exception) -> Outcome:
    """Classify a call without an answer: failed before the request was written, unknown (`info`) after that."""
    other = f"other:{type(error).__name__}"
    if stage == "dns":
        return Outcome("fail", "dns")
    if stage == "connect":
        return Outcome("fail", CONNECT_ERRORS.get(type(error), other))
    return Outcome("info", WRITTEN_ERRORS.get(type(error), other))
