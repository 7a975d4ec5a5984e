"""Reads the certificates of meshed pods on this node, by one TLS handshake each without a client certificate.

A server that requires mutual TLS presents its certificate before it rejects us, so nothing reaches the application.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
import time

from share import Certificate, Log, Me, Plan

DEADLINE_S = 3.0
_DER = 2  # OpenSSL's number of the encoding, for CPython's private method


class HandshakeError(Exception):
    """The handshake ended without a certificate."""


class Handshakes:
    """Reads the planned certificates of this node, from construction until `finish`.

    A chain is logged in full when its leaf is first seen, then only by the leaf's SHA-256.
    """

    def __init__(self, me: Me, plan: Plan, log: Log) -> None:
        self._me = me
        self._run_id = plan.run_id
        self._log = log
        self._known: set[str] = set()
        ours = [wanted for wanted in plan.certificates if wanted.node == me.node]
        self._tasks = [
            # Spread over the interval: many handshakes at once would take CPU time from the calls.
            asyncio.create_task(self._repeat(wanted, index * wanted.every_s / len(ours)))
            for index, wanted in enumerate(ours)
        ]

    async def finish(self) -> None:
        """Stop."""
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
            due_s = max(due_s + wanted.every_s, loop.time())  # a late handshake is not caught up

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
    """Return a client context that accepts any certificate: we only read it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


async def shown(wanted: Certificate, context: ssl.SSLContext) -> tuple[tuple[bytes, ...], bool]:
    """Return the server's chain, leaf first, as DER, and whether it is complete.

    Raises OSError or HandshakeError; the caller sets the deadline.
    """
    name = wanted.server_name or wanted.host  # an IP address sends no SNI
    _, writer = await asyncio.open_connection(wanted.host, wanted.port, ssl=context, server_hostname=name)
    try:
        session = writer.get_extra_info("ssl_object")
        leaf = session.getpeercert(binary_form=True)
        if leaf is None:
            raise HandshakeError("the server showed no certificate")
        whole = presented(session)
        return (whole, True) if whole else ((leaf,), False)
    finally:
        writer.transport.abort()  # a server that rejected us sends no close_notify


def presented(session: ssl.SSLObject) -> tuple[bytes, ...]:
    """Return the chain that the server sent, leaf first, as DER; empty if this Python cannot read it.

    The method is public from Python 3.13. CPython has it since 3.10 under a private name, which is tried but not
    required, because an image may have any Python.
    """
    if hasattr(session, "get_unverified_chain"):
        return tuple(session.get_unverified_chain())
    read = getattr(getattr(session, "_sslobj", None), "get_unverified_chain", None)
    return tuple(one.public_bytes(_DER) for one in read() or ()) if read else ()
