"""A minimal HTTP/1.1 parser without I/O: bytes in, whole messages out.

It covers our own server and proxies in front of it: Content-Length, chunked bodies, interim 1xx answers and bodies
that end with the connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HEAD_LIMIT_BYTES = 64 * 1024
BODY_LIMIT_BYTES = 64 * 1024
END_OF_HEAD = b"\r\n\r\n"
START_LINE_WORDS = 3
FIRST_FINAL_STATUS = 200
BODILESS_STATUSES = (204, 304)


class ProtocolError(Exception):
    """The peer sent bytes that are not the HTTP/1.1 message expected here."""


@dataclass(frozen=True, slots=True)
class Message:
    """One whole request (method, path, version) or response (version, status, reason); header names are lower case."""

    start: tuple[str, str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def status(self) -> int:
        """The status of a response."""
        return int(self.start[1])

    @property
    def keeps_connection(self) -> bool:
        """Whether the sender keeps the connection open for another message."""
        return "close" not in self.headers.get("connection", "").lower()


class Parser:
    """Turns the bytes of one connection, in chunks of any size, into messages; raises ProtocolError."""

    def __init__(self, kind: Literal["request", "response"], body_limit_bytes: int = BODY_LIMIT_BYTES) -> None:
        self._kind = kind
        self._body_limit_bytes = body_limit_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes and return the messages that they complete, in order."""
        self._buffer += data
        messages: list[Message] = []
        while self._buffer:
            message = self._next(at_end=False)
            if message is None:
                break
            messages.append(message)
        return messages

    def end(self) -> Message | None:
        """Return the response whose body the end of the connection completes, if there is one."""
        return self._next(at_end=True) if self._buffer else None

    def _next(self, *, at_end: bool) -> Message | None:
        while True:
            split = self._buffer.find(END_OF_HEAD)
            if split < 0:
                if len(self._buffer) > HEAD_LIMIT_BYTES:
                    raise ProtocolError(f"no end of the header within {HEAD_LIMIT_BYTES} bytes")
                return None
            start, headers = _head(bytes(self._buffer[:split]))
            begin = split + len(END_OF_HEAD)
            if self._kind == "request" or _status(start) >= FIRST_FINAL_STATUS:
                break
            del self._buffer[:begin]  # an interim answer (1xx) has no body, and another follows
        found = self._body(start, headers, begin, at_end=at_end)
        if found is None:
            if len(self._buffer) - begin > self._body_limit_bytes:
                raise ProtocolError(f"a body longer than {self._body_limit_bytes} bytes")
            return None
        body, end = found
        del self._buffer[:end]
        return Message(start, headers, body)

    def _body(
        self, start: tuple[str, str, str], headers: dict[str, str], begin: int, *, at_end: bool
    ) -> tuple[bytes, int] | None:
        """Return the body and the offset of what follows it, or None while it is not complete."""
        is_response = self._kind == "response"
        if is_response and _status(start) in BODILESS_STATUSES:
            return b"", begin
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return _chunks(self._buffer, begin)
        if "content-length" in headers:
            length = _number(headers["content-length"], 10)
            if length > self._body_limit_bytes:
                raise ProtocolError(f"a body of {length} bytes, more than {self._body_limit_bytes}")
            end = begin + length
            return (bytes(self._buffer[begin:end]), end) if len(self._buffer) >= end else None
        if not is_response:
            return b"", begin
        return (bytes(self._buffer[begin:]), len(self._buffer)) if at_end else None


def _head(block: bytes) -> tuple[tuple[str, str, str], dict[str, str]]:
    first, *lines = block.decode("latin-1").split("\r\n")
    words = (*first.split(" ", START_LINE_WORDS - 1), "")[:START_LINE_WORDS]
    if len(words) < START_LINE_WORDS or not (words[0].startswith("HTTP/1.") or words[2].startswith("HTTP/1.")):
        raise ProtocolError(f"no HTTP/1 start line: {first[:80]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ProtocolError(f"no header line: {line[:80]!r}")
        key, text = name.strip().lower(), value.strip()
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    return (words[0], words[1], words[2]), headers


def _status(start: tuple[str, str, str]) -> int:
    if not start[0].startswith("HTTP/1."):
        raise ProtocolError(f"a request where a response was due: {start!r}")
    return _number(start[1], 10)


def _chunks(buffer: bytearray, begin: int) -> tuple[bytes, int] | None:
    parts: list[bytes] = []
    at = begin
    while True:
        line_end = buffer.find(b"\r\n", at)
        if line_end < 0:
            return None
        size = _number(bytes(buffer[at:line_end]).split(b";")[0].decode("latin-1"), 16)
        at = line_end + 2
        if size == 0:
            return _after_trailers(buffer, at, b"".join(parts))
        if len(buffer) < at + size + 2:
            return None
        parts.append(bytes(buffer[at : at + size]))
        at += size + 2


def _after_trailers(buffer: bytearray, at: int, body: bytes) -> tuple[bytes, int] | None:
    while True:
        line_end = buffer.find(b"\r\n", at)
        if line_end < 0:
            return None
        if line_end == at:
            return body, at + 2
        at = line_end + 2


def _number(text: str, base: int) -> int:
    try:
        value = int(text.strip(), base)
    except ValueError:
        raise ProtocolError(f"no number: {text[:40]!r}") from None
    if value < 0:
        raise ProtocolError(f"a negative length: {value}")
    return value
