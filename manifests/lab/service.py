"""A service of the lab: answers calls, and makes the calls that the plan gives it.

    python3 service.py NAME        environment: VERSION POD NODE SHARE PORT (see share.Me)

It needs only a stock Python 3.11. The same program is every service, the intruder, the outsider, the new destination
of a drill, and the placebo of the control without a mesh.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time

from caller import Caller
from client import Resolver
from http1 import Message, Parser, ProtocolError
from share import CANARY_CHARS, POLL_S, Log, Me, Plan, PlanFile, writer
from stalls import StallWatch

CONNECTION_LIMIT = 1024


class Desk:
    """Answers requests; logs each served call before it answers."""

    def __init__(self, me: Me, log: Log, plans: Plans) -> None:
        self._me = me
        self._log = log
        self._plans = plans
        self._plan: Plan | None = None
        self._served = 0
        self.connections = 0

    def open(self, plan: Plan) -> None:
        """Serve the calls of this run."""
        self._plan = plan
        self._served = 0

    def close(self) -> None:
        """Stop serving calls of the run and log their number."""
        plan, self._plan = self._plan, None
        if plan is not None:
            counts = {"service": self._me.service, "served": self._served, "at_ns": time.time_ns()}
            self._log.note({"type": "served_end", "run_id": plan.run_id, "pod": self._me.pod, **counts})

    def answer(self, request: Message) -> bytes:
        """Return the whole response; a call that cannot be logged is refused."""
        if request.start[:2] == ("GET", "/healthz"):
            return self._response("200 OK", "ok")
        call_id = request.body.decode("latin-1")
        plan = self._plan_of(call_id[:CANARY_CHARS])
        if plan is None:
            return self._response("409 Conflict", "this call belongs to no run that is under way")
        return self._serve(plan, call_id, request.headers.get(plan.identity_header, ""))

    def _plan_of(self, canary: str) -> Plan | None:
        if self._plan is None or self._plan.canary != canary:
            # The caller may have read a new plan first. The plan has the identity header that names the peer.
            self._plans.look()
        return self._plan if self._plan is not None and self._plan.canary == canary else None

    def _serve(self, plan: Plan, call_id: str, peer: str) -> bytes:
        is_written = self._log.write(
            {
                "type": "served",
                "run_id": plan.run_id,
                "id": call_id,
                **writer(self._me),
                "service": self._me.service,
                "version": self._me.version,
                "source": call_id.split(".")[1] if "." in call_id else "",
                "at_ns": time.time_ns(),
                "status": 200,
                "peer": peer,
            }
        )
        if not is_written:
            return self._response("507 Insufficient Storage", "the log of this pod is full")
        self._served += 1
        return self._response("200 OK", call_id)

    def _response(self, status: str, body: str) -> bytes:
        return (
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
            f"X-Server-Pod: {self._me.pod}\r\nX-Server-Version: {self._me.version}\r\n\r\n{body}"
        ).encode("latin-1")


class Door(asyncio.Protocol):
    """The server's end of one connection."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._parser = Parser("request")
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the connection unless the limit is reached."""
        self._desk.connections += 1
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            if self._desk.connections > CONNECTION_LIMIT:
                print(f"more than {CONNECTION_LIMIT} connections; this one is refused", flush=True)
                transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio fixes the signature
        """Update the number of connections."""
        self._desk.connections -= 1

    def data_received(self, data: bytes) -> None:
        """Answer each complete request."""
        if self._transport is None:
            return
        try:
            requests = self._parser.feed(data)
        except ProtocolError as error:
            print(f"a peer spoke no HTTP/1.1: {error}", flush=True)
            self._transport.close()
            return
        for request in requests:
            self._transport.write(self._desk.answer(request))  # one write: headers and body share a segment
            if not request.keeps_connection:
                self._transport.close()


class Plans:
    """Runs each plan once: log ready, make and serve calls, log the end. If started during a run, it only serves."""

    def __init__(self, me: Me, log: Log) -> None:
        self._me = me
        self._log = log
        self._file = PlanFile(me.share)
        self._resolver = Resolver()
        self._callers: list[Caller] = []
        self._stalls = StallWatch(me, log)
        self._live: Plan | None = None
        self._next: Plan | None = None
        self.desk = Desk(me, log, self)

    def look(self) -> None:
        """Read the plan if it changed; a new run starts at once unless an old one must end first."""
        self._next = self._file.poll() or self._next
        if self._live is None and self._next is not None:
            plan, self._next = self._next, None
            if not plan.stop:
                self._start(plan)

    async def turn(self) -> None:
        """Read the plan; end the current run when the plan says stop or names another run."""
        self.look()
        if self._live is not None and self._next is not None:
            plan = self._next
            if plan.stop or plan.run_id != self._live.run_id:
                await self.finish(self._live.linger_s)

    async def finish(self, linger_s: float) -> None:
        """Stop the callers, keep serving while other pods' calls may arrive, then log the end."""
        if self._live is None:
            return
        deadline_s = asyncio.get_running_loop().time() + linger_s
        await asyncio.gather(*(caller.finish() for caller in self._callers))
        await asyncio.sleep(deadline_s - asyncio.get_running_loop().time())
        self.desk.close()
        self._stalls.stop()
        self._callers = []
        self._live = None

    def _start(self, plan: Plan) -> None:
        self._live = plan
        self.desk.open(plan)
        self._stalls.start(plan.run_id)
        if self._log.is_continued and plan.published_ns < self._log.boot_ns:
            # This pod's container restarted during the run: the ids of its calls would repeat.
            self._log.note({"type": "late", "run_id": plan.run_id, **writer(self._me), "at_ns": time.time_ns()})
            return
        ours = [calls for calls in plan.callers if calls.source == self._me.service]
        self._callers = [Caller(self._me, plan, calls, self._log, self._resolver) for calls in ours]
        pairs = [[calls.target, calls.connection] for calls in ours]
        self._log.note(
            {"type": "ready", "run_id": plan.run_id, **writer(self._me), "callers": pairs, "at_ns": time.time_ns()}
        )
        for index, caller in enumerate(self._callers):
            caller.start(after_s=ours[index].every_ms / 1000 * index / len(ours))  # not all in the same millisecond


async def serve(me: Me) -> None:
    """Serve until SIGTERM or SIGINT; then close the listening socket, end the current run and flush the log."""
    loop = asyncio.get_running_loop()
    log = Log(me)
    plans = Plans(me, log)
    server = await loop.create_server(lambda: Door(plans.desk), "0.0.0.0", me.port, backlog=CONNECTION_LIMIT)  # noqa: S104 - a pod serves its network
    asked_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_end.set)
    while not asked_to_end.is_set():
        await plans.turn()
        try:
            await asyncio.wait_for(asked_to_end.wait(), POLL_S)
        except TimeoutError:
            continue
    server.close()
    await plans.finish(linger_s=0.0)
    log.flush()


if __name__ == "__main__":
    asyncio.run(serve(Me.from_environment(sys.argv[1])))
