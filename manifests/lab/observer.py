"""The observer of one node: searches the wire for the canary, scrapes metrics and reads certificates, as planned.

    python3 observer.py        environment: POD NODE SHARE (see share.Me)

It runs in the network of the node, outside every mesh, and only reads.
"""

from __future__ import annotations

import asyncio
import signal

from capture import Capture
from handshakes import Handshakes
from scraper import Scraper
from share import POLL_S, Log, Me, Plan, PlanFile


class Watch:
    """The observer's work for one run."""

    def __init__(self, me: Me, plan: Plan, log: Log) -> None:
        self._me = me
        self._log = log
        self.plan = plan
        self._capture = Capture(me, plan, log) if plan.capture else None
        self._scraper = Scraper(me, plan, log)
        self._handshakes = Handshakes(me, plan, log)

    async def update(self, plan: Plan) -> None:
        """Apply a plan of the same run with other endpoints: a replaced pod has a new address."""
        self.plan = plan
        await self._stop_asking()
        self._scraper = Scraper(self._me, plan, self._log)
        self._handshakes = Handshakes(self._me, plan, self._log)

    async def finish(self, linger_s: float) -> None:
        """Continue while requests may still arrive, then log the end."""
        await asyncio.sleep(linger_s)
        await self._stop_asking()
        if self._capture is not None:
            self._capture.finish()

    async def _stop_asking(self) -> None:
        await self._scraper.finish()
        await self._handshakes.finish()


async def observe(me: Me) -> None:
    """Watch each run of the plan until SIGTERM or SIGINT."""
    log = Log(me)
    plans = PlanFile(me.share)
    asked_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_end.set)
    watch: Watch | None = None
    while not asked_to_end.is_set():
        plan = plans.poll()
        if plan is not None and watch is not None and (plan.stop or plan.run_id != watch.plan.run_id):
            await watch.finish(watch.plan.linger_s)
            watch = None
        if plan is not None and not plan.stop:
            if watch is None:
                watch = Watch(me, plan, log)
            else:
                await watch.update(plan)
        try:
            await asyncio.wait_for(asked_to_end.wait(), POLL_S)
        except TimeoutError:
            continue
    if watch is not None:
        await watch.finish(linger_s=0.0)
    log.flush()


if __name__ == "__main__":
    asyncio.run(observe(Me.from_environment("observer")))
