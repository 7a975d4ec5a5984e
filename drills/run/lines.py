"""The typed log lines of the lab's programs: one parser for the live view and for the final tables."""

from collections.abc import Iterator
from pathlib import Path

import msgspec


class Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """The fields of every line; at_ns is the time on the clock that all nodes share."""

    at_ns: int = 0
    run_id: str = ""


class Boot(Line, frozen=True, kw_only=True, tag="boot"):
    """A program started; a second one means that its container was restarted."""

    pod: str
    node: str


class Ready(Line, frozen=True, kw_only=True, tag="ready"):
    """A program has read the plan; `callers` lists its (target, connection) pairs."""

    pod: str
    node: str
    callers: tuple[tuple[str, str], ...]


class Late(Line, frozen=True, kw_only=True, tag="late"):
    """A restarted program: it serves requests but makes no calls, because request ids would repeat."""

    pod: str
    node: str


class Stalled(Line, frozen=True, kw_only=True, tag="stalled"):
    """A program did not run for stalled_ms, until at_ns."""

    pod: str
    node: str
    stalled_ms: int


class Call(Line, frozen=True, kw_only=True, tag="call"):
    """One call, recorded by its caller."""

    id: str
    seq: int
    pod: str
    node: str
    source: str
    target: str
    connection: str
    scheduled_ns: int
    started_ns: int
    ended_ns: int
    outcome: str
    status: int
    error: str
    reused: bool
    server_pod: str
    server_version: str


class Served(Line, frozen=True, kw_only=True, tag="served"):
    """One call, recorded by its server; `peer` is the identity header as received."""

    id: str
    pod: str
    node: str
    service: str
    version: str
    source: str
    status: int
    peer: str


class End(Line, frozen=True, kw_only=True, tag="end"):
    """A caller stopped: how many calls were due and how many it recorded."""

    pod: str
    target: str
    connection: str
    scheduled: int
    written: int
    skipped: int = 0


class ServedEnd(Line, frozen=True, kw_only=True, tag="served_end"):
    """A server stopped: how many requests it recorded."""

    pod: str
    service: str
    served: int


class WireReady(Line, frozen=True, kw_only=True, tag="wire_ready"):
    """An observer listens on its node."""

    node: str
    interfaces: tuple[str, ...]


class Wire(Line, frozen=True, kw_only=True, tag="wire"):
    """An observer found a call's canary in plaintext."""

    node: str
    interface: str
    source: str
    target: str
    id: str
    count: int


class WirePair(msgspec.Struct, frozen=True):
    """How often an edge's canary was found on one interface."""

    source: str
    target: str
    interface: str
    count: int
    first_ns: int
    last_ns: int


class WireEnd(Line, frozen=True, kw_only=True, tag="wire_end"):
    """An observer stopped: packets inspected, packets dropped, canaries found."""

    node: str
    packets: int
    dropped: int
    hits: tuple[WirePair, ...]


class Scrape(Line, frozen=True, kw_only=True, tag="scrape"):
    """A metric of a pod, summed over its label sets; None when the scrape failed."""

    pod: str
    node: str
    metric: str
    value: float | None
    error: str = ""


class Certificate(Line, frozen=True, kw_only=True, tag="certificate"):
    """The certificate that a pod presented: SHA-256 of the leaf, "" when there was none.

    chain: base64 of DER, leaf first, only when this leaf is new; is_whole: the chain is all that the server sent.
    """

    pod: str
    node: str
    fingerprint: str
    chain: tuple[str, ...]
    is_whole: bool
    error: str = ""


class Gap(Line, frozen=True, kw_only=True, tag="gap"):
    """An observer could not capture packets for a while."""

    node: str
    reason: str


class Truncated(Line, frozen=True, kw_only=True, tag="truncated"):
    """A program reached the size limit of its log and recorded no more calls."""


AnyLine = (
    Boot | Ready | Late | Stalled | Call | Served | End | ServedEnd | WireReady | Wire | WireEnd | Scrape | Certificate
    | Gap | Truncated
)  # fmt: skip

_DECODER: msgspec.json.Decoder[AnyLine] = msgspec.json.Decoder(AnyLine)


class TornLine(msgspec.Struct, frozen=True):
    """A line that cannot be parsed: cut off when its writer was killed, or edited."""

    file: str
    number: int
    reason: str


def parse(raw: bytes) -> AnyLine:
    """Return the typed line; msgspec.DecodeError when it is torn or of no known shape."""
    return _DECODER.decode(raw)


def read(path: Path, *, offset: int = 0) -> Iterator[AnyLine | TornLine]:
    """Yield the lines of one log from a byte offset on, one in memory at a time."""
    with path.open("rb") as source:
        source.seek(offset)
        for number, raw in enumerate(source, start=1):
            try:
                yield parse(raw)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                yield TornLine(file=path.name, number=number, reason=str(error))
