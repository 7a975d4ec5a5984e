"""Looks at the certificates of meshed pods on this node: one TLS handshake each, without a certificate of our own.

A server that insists on mutual TLS shows its certificate before it turns us away, so nothing reaches the application.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
import time

from share import Certificate, Log, Me, Plan

DEADLINE_S = 3.0
_DER = 2  # OpenSSL's number of the encoding, which only the inner name wants


class HandshakeError(Exception):
    """The handshake ended and showed no certificate."""


class Handshakes:
    """Looks at what the plan asks of this node, from construction until `finish`.

    A chain is written in full when its leaf is first seen, and by the leaf's SHA-256 from then on.
    """

    def __init__(self, me: Me, plan: Plan, log: Log) -> None:
        self._me = me
        self._run_id = plan.run_id
        self._log = log
        self._known: set[str] = set()
        ours = [wanted for wanted in plan.certificates if wanted.node == me.node]
        self._tasks = [
            # One after the other: many handshakes at once would take time from the calls.
            asyncio.create_task(self._repeat(wanted, index * wanted.every_s / len(ours)))
            for index, wanted in enumerate(ours)
        ]

    async def finish(self) -> None:
        """Stop looking."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _repeat(self, wanted: Certificate, after_s: float) -> None:
        loop = asyncio.get_running_loop()
        context = client(wanted.alpn)
        due_s = loop.time() + after_s
        while True:  # until finish cancels it
            await asyncio.sleep(due_s - loop.time())
            await self._once(wanted, context)
            due_s = max(due_s + wanted.every_s, loop.time())  # a late look is not made up for

    async def _once(self, wanted: Certificate, context: ssl.SSLContext) -> None:
        at_ns = time.time_ns()
        chain: tuple[bytes, ...] = ()
        is_whole, error = False, ""
        try:
            async with asyncio.timeout(DEADLINE_S):
                chain, is_whole = await shown(wanted, context)
        except TimeoutError:
            error = f"no handshake within {DEADLINE_S} s"
        except (OSError, HandshakeError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        fingerprint = hashlib.sha256(chain[0]).hexdigest() if chain else ""
        is_new = bool(chain) and fingerprint not in self._known
        self._known |= {fingerprint}
        look = {"pod": wanted.pod, "node": self._me.node, "fingerprint": fingerprint, "error": error}
        text = [base64.b64encode(der).decode("ascii") for der in chain] if is_new else []
        line = {"run_id": self._run_id, **look, "chain": text, "is_whole": is_whole, "at_ns": at_ns}
        self._log.write({"type": "certificate", **line})


def client(alpn: tuple[str, ...]) -> ssl.SSLContext:
    """Return a client that takes whatever certificate it is shown: we look, and trust nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


async def shown(wanted: Certificate, context: ssl.SSLContext) -> tuple[tuple[bytes, ...], bool]:
    """Return the server's chain, leaf first, as DER, and whether it is all that the server sent.

    Raises OSError or HandshakeError; the caller sets the deadline.
    """
    name = wanted.server_name or wanted.host  # an address is no name: it is asked for nothing
    _, writer = await asyncio.open_connection(wanted.host, wanted.port, ssl=context, server_hostname=name)
    try:
        session = writer.get_extra_info("ssl_object")
        leaf = session.getpeercert(binary_form=True)
        if leaf is None:
            raise HandshakeError("the server showed no certificate")
        whole = presented(session)
        return (whole, True) if whole else ((leaf,), False)
    finally:
        writer.transport.abort()  # a server that turned us away owes no farewell


def presented(session: ssl.SSLObject) -> tuple[bytes, ...]:
    """Return all that the server sent, leaf first, as DER; nothing where this Python cannot tell it.

    From 3.13 on that is in the standard library. CPython has had it since 3.10, but under an inner name: that is tried
    and not relied on, because an image may bring any Python.
    """
    if hasattr(session, "get_unverified_chain"):
        return tuple(session.get_unverified_chain())
    read = getattr(getattr(session, "_sslobj", None), "get_unverified_chain", None)
    return tuple(one.public_bytes(_DER) for one in read() or ()) if read else ()
