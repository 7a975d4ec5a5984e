"""The client's side of a connection: one exchange at a time; names are resolved as by an application."""

from __future__ import annotations

import asyncio
import socket

from http1 import Message, Parser, ProtocolError

DNS_TTL_S = 5.0


class ClosedError(Exception):
    """The peer closed the connection without an answer."""


class Wire(asyncio.Protocol):
    """The client's end of one connection; carries one call at a time."""

    def __init__(self) -> None:
        self._parser = Parser("response")
        self._waiter: asyncio.Future[Message] | None = None
        self._transport: asyncio.Transport | None = None
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Settle the exchange when the answer is complete."""
        try:
            for message in self._parser.feed(data):
                self._settle(message)
        except ProtocolError as error:
            self._settle(error)
            self.abort()

    def eof_received(self) -> None:
        """Settle the exchange with what arrived, if it is a complete answer."""
        self.is_open = False
        try:
            message = self._parser.end()
        except ProtocolError as error:
            self._settle(error)
            return
        self._settle(message or ClosedError())

    def connection_lost(self, exc: Exception | None) -> None:
        """Settle the exchange with the reason why there is no answer."""
        self.is_open = False
        self._settle(exc or ClosedError())

    async def exchange(self, request: bytes) -> Message:
        """Write one request in one segment and return its answer."""
        if self._transport is None or not self.is_open:
            raise ClosedError
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiter

    def abort(self) -> None:
        """Close at once and discard buffered data."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close after the buffered data is sent."""
        self.is_open = False
        if self._transport is not None:
            self._transport.close()

    def _settle(self, result: Message | Exception) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None:
            if isinstance(result, Message):
                self.abort()  # an unexpected answer: the next call must not take it for its own
        elif waiter.done():
            return
        elif isinstance(result, Message):
            waiter.set_result(result)
        else:
            waiter.set_exception(result)


class Resolver:
    """Resolves names, with a cache of DNS_TTL_S and one query for concurrent callers."""

    def __init__(self) -> None:
        self._answers: dict[str, tuple[float, str]] = {}
        self._asked: dict[str, asyncio.Task[str]] = {}

    async def resolve(self, host: str, *, is_old_good: bool = False) -> str:
        """Return an IPv4 address; raises OSError when there is none.

        is_old_good: return the last answer, whatever its age, and ask again meanwhile, as a caller that wrote it down.
        """
        until_s, address = self._answers.get(host, (0.0, ""))
        if asyncio.get_running_loop().time() < until_s:
            return address
        asked = self._ask_once(host)
        return address if address and is_old_good else await asyncio.shield(asked)

    def _ask_once(self, host: str) -> asyncio.Task[str]:
        if host not in self._asked:
            self._asked[host] = asyncio.create_task(self._ask(host))
            self._asked[host].add_done_callback(
                lambda done: done.cancelled() or done.exception()
            )  # all its waiters may have been cancelled
        return self._asked[host]

    async def _ask(self, host: str) -> str:
        loop = asyncio.get_running_loop()
        # The final dot skips the pod's DNS search list, which would try three domains first.
        name = f"{host}." if "." in host and not host[-1].isdigit() else host
        try:
            answers = await loop.getaddrinfo(name, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
        finally:
            del self._asked[host]
        address = str(answers[0][4][0])
        self._answers[host] = (loop.time() + DNS_TTL_S, address)
        return address
