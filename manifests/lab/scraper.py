"""Scrapes Prometheus text endpoints of pods on this node; every scrape, failed or not, logs one line per metric."""

from __future__ import annotations

import asyncio
import re
import time
from urllib.parse import urlsplit

from http1 import Message, Parser, ProtocolError
from share import Log, Me, Plan, Scrape

DEADLINE_S = 1.5
BODY_LIMIT_BYTES = 16 * 1024 * 1024
READ_BYTES = 256 * 1024
OK = 200


class ScrapeError(Exception):
    """The endpoint gave no metrics."""


class Scraper:
    """Scrapes what the plan asks of this node, from construction until `finish`."""

    def __init__(self, me: Me, plan: Plan, log: Log) -> None:
        self._me = me
        self._run_id = plan.run_id
        self._log = log
        ours = [scrape for scrape in plan.scrapes if scrape.node == me.node]
        self._tasks = [asyncio.create_task(self._repeat(scrape)) for scrape in ours]

    async def finish(self) -> None:
        """Stop scraping."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _repeat(self, scrape: Scrape) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:  # until finish cancels it
            await self._once(scrape)
            due_s = max(due_s + scrape.every_s, loop.time())  # a late scrape is not caught up
            await asyncio.sleep(due_s - loop.time())

    async def _once(self, scrape: Scrape) -> None:
        at_ns = time.time_ns()
        text, error = b"", ""
        try:
            async with asyncio.timeout(DEADLINE_S):
                text = await fetch(scrape.url)
        except TimeoutError:
            error = f"no answer within {DEADLINE_S} s"
        except (OSError, ProtocolError, ScrapeError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        for metric in scrape.metrics:
            value = None if error else total(text, metric)
            self._write(scrape, metric, value, error, at_ns)

    def _write(self, scrape: Scrape, metric: str, value: float | None, error: str, at_ns: int) -> None:
        sample = {"pod": scrape.pod, "node": self._me.node, "metric": metric, "value": value, "error": error}
        self._log.write({"type": "scrape", "run_id": self._run_id, **sample, "at_ns": at_ns})


async def fetch(url: str) -> bytes:
    """Return the body of an HTTP GET; raises OSError, ProtocolError or ScrapeError. The caller sets the deadline."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    reader, writer = await asyncio.open_connection(host, port)
    try:
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode("ascii"))
        answer = await _answer(reader)
    finally:
        writer.close()
    if answer.status != OK:
        raise ScrapeError(f"status {answer.status}")
    return answer.body


async def _answer(reader: asyncio.StreamReader) -> Message:
    parser = Parser("response", BODY_LIMIT_BYTES)
    while data := await reader.read(READ_BYTES):
        for message in parser.feed(data):
            return message
    message_at_end = parser.end()
    if message_at_end is None:
        raise ScrapeError("the connection closed before the answer was whole")
    return message_at_end


def total(text: bytes, metric: str) -> float | None:
    """Return the sum of a metric over its label sets, or None when it is absent."""
    line = re.compile(rb"^" + re.escape(metric.encode("ascii")) + rb"(?:\{[^\n]*\})?[ \t]+(\S+)", re.MULTILINE)
    values = [float(value) for value in line.findall(text)]
    return sum(values) if values else None
