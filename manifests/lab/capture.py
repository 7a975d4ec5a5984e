"""Searches every interface of a node for the canary: if it is readable here, so is the request.

A packet socket that is bound to no interface receives from all, also those created later. A kernel filter drops packets
that cannot contain the canary (loopback, empty segments), so Python reads little more than requests.
"""

from __future__ import annotations

import array
import asyncio
import socket
import struct
import time
from dataclasses import dataclass

from share import CANARY_CHARS, Log, Me, Plan

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_STATISTICS = 6
SO_ATTACH_FILTER = 26
SO_RCVBUFFORCE = 33
RECEIVE_BUFFER_BYTES = 32 * 1024 * 1024
PACKET_LIMIT_BYTES = 256 * 1024  # no segment is longer, even with offloads
PACKETS_PER_WAKE = 256
LINES_PER_PAIR = 2  # log the first hits, then one every LINE_EVERY_NS, which is shorter than any drill's fault
LINE_EVERY_NS = 15_000_000_000
PAIR_LIMIT = 1000
STATISTICS_EVERY_S = 1.0
DRAIN_WAKES = 200
SOCKET_ERROR_LIMIT = 10

# Classic BPF, one (code, where to if true, where to if false, operand) a row.
LOAD_INTERFACE = (0x20, "", "", 0xFFFFF008)  # the kernel's ancillary word for the interface index
LOAD_LENGTH = (0x80, "", "", 0)
JUMP_EQUAL, JUMP_AT_LEAST = 0x15, 0x35
ACCEPT_WHOLE = (0x06, "", "", 0xFFFFFFFF)
DROP = (0x06, "", "", 0)
TLS_RECORDS = (0x14, 0x15, 0x16, 0x17)  # change of cipher, alert, handshake, application data
TLS_MAJOR = 0x03
FILTER_ROW_BYTES = 8
SHORTEST_BYTES = 20 + 20 + CANARY_CHARS  # the headers of IPv4 and TCP, then a canary

Pair = tuple[str, str, str]


def packet_filter() -> bytes:
    """Return the program that drops loopback, packets too short for a canary, and TLS records over IPv4.

    A TCP payload that begins with the type and version of a TLS record is encrypted, as is most traffic of a mesh.
    Every other packet, of any protocol or tunnel, is searched.
    """
    rows = [
        LOAD_INTERFACE,
        (JUMP_EQUAL, "drop", "", socket.if_nametoindex("lo")),
        LOAD_LENGTH,
        (JUMP_AT_LEAST, "", "drop", SHORTEST_BYTES),
        (0x30, "", "", 0),  # the first byte of IP: version and header length
        (0x54, "", "", 0xF0),
        (JUMP_EQUAL, "", "accept", 0x40),
        (0x30, "", "", 9),  # the protocol
        (JUMP_EQUAL, "", "accept", socket.IPPROTO_TCP),
        (0x28, "", "", 6),  # flags and fragment offset
        (0x45, "accept", "", 0x1FFF),
        (0xB1, "", "", 0),  # X: length of the IP header
        (0x50, "", "", 12),  # the upper half: length of the TCP header in words of four bytes
        (0x74, "", "", 4),
        (0x64, "", "", 2),
        (0x0C, "", "", 0),
        (0x07, "", "", 0),  # X: where the payload begins
        (0x48, "", "", 0),  # its first two bytes; drops a packet without payload
        *((JUMP_EQUAL, "drop", "", record << 8 | TLS_MAJOR) for record in TLS_RECORDS),
        ACCEPT_WHOLE,
        DROP,
    ]
    ends = {"accept": len(rows) - 2, "drop": len(rows) - 1}

    def jump(word: str | int, at: int) -> int:
        return ends[word] - at - 1 if word in ends else 0

    return b"".join(
        struct.pack("HBBI", code, jump(if_true, at), jump(if_false, at), operand)
        for at, (code, if_true, if_false, operand) in enumerate(rows)
    )


def open_packet_socket() -> socket.socket:
    """Return a filtered, non-blocking socket over all interfaces.

    Needs CAP_NET_RAW, and CAP_NET_ADMIN for a buffer larger than the node's default: a slow observer loses packets.
    """
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    program = packet_filter()
    memory = array.array("B", program)  # the kernel copies it from its address
    packets.setsockopt(
        socket.SOL_SOCKET,
        SO_ATTACH_FILTER,
        struct.pack("HL", len(program) // FILTER_ROW_BYTES, memory.buffer_info()[0]),
    )
    try:
        packets.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
    except PermissionError:
        packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)  # as much as the node allows
    packets.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return packets


@dataclass(slots=True)
class Hits:
    """The packets of one source, target and interface that showed the canary."""

    first_ns: int
    last_ns: int
    count: int = 0
    lined_ns: int = 0  # when the last line of this pair was written


class Capture:
    """The capture of one run on one node, from construction until `finish`."""

    def __init__(self, me: Me, plan: Plan, log: Log) -> None:
        self._me = me
        self._run_id = plan.run_id
        self._log = log
        self._canary = plan.canary.encode("ascii")
        self._buffer = bytearray(PACKET_LIMIT_BYTES)
        self._hits: dict[Pair, Hits] = {}
        self._packets = 0
        self._dropped = 0
        self._socket_errors = 0
        self._socket = open_packet_socket()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket, self._read)
        self._timer = loop.call_later(STATISTICS_EVERY_S, self._count_drops_again)
        interfaces = [name for _, name in socket.if_nameindex()]
        self._note("wire_ready", interfaces=interfaces)

    def finish(self) -> None:
        """Read the packets still in the kernel's buffer, then log the end with the totals."""
        for _ in range(DRAIN_WAKES):
            if not self._read():
                break
        else:
            self._note("gap", reason="the run ended before every packet that the kernel held was looked at")
        self._timer.cancel()
        self._count_drops()
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        hits = [
            {
                "source": source,
                "target": target,
                "interface": interface,
                "count": found.count,
                "first_ns": found.first_ns,
                "last_ns": found.last_ns,
            }
            for (source, target, interface), found in self._hits.items()
        ]
        self._note("wire_end", packets=self._packets, dropped=self._dropped, hits=hits)

    def _read(self) -> bool:
        """Search a bounded batch of packets; False when there are none left."""
        for _ in range(PACKETS_PER_WAKE):
            try:
                length, address = self._socket.recvfrom_into(self._buffer)
            except BlockingIOError:
                return False
            except OSError as error:
                self._blind(error)
                return False
            self._packets += 1
            at = self._buffer.find(self._canary, 0, length)
            if at >= 0:
                self._found(bytes(self._buffer[at : min(length, at + 256)]), address[0] or "?")
        return True

    def _blind(self, error: OSError) -> None:
        self._socket_errors += 1
        self._note("gap", reason=f"the packet socket failed: {error}")
        if self._socket_errors >= SOCKET_ERROR_LIMIT:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._note("gap", reason=f"given up after {SOCKET_ERROR_LIMIT} failures of the packet socket")

    def _found(self, text: bytes, interface: str) -> None:
        call_id = text.split(b"\r")[0].split(b"\n")[0].decode("ascii", "replace")
        words = call_id.split(".")
        # A word is complete only if a dot follows it: the segment may end anywhere.
        source, target = (words[1], words[2]) if len(words) > 3 else ("?", "?")  # noqa: PLR2004 - canary.source.target.rest
        pair = (source, target, interface)
        now_ns = time.time_ns()
        if pair not in self._hits and len(self._hits) >= PAIR_LIMIT:
            pair = ("?", "?", "?")
        found = self._hits.setdefault(pair, Hits(now_ns, now_ns))
        found.count += 1
        found.last_ns = now_ns
        if found.count <= LINES_PER_PAIR or now_ns - found.lined_ns >= LINE_EVERY_NS:
            found.lined_ns = now_ns
            self._note("wire", interface=interface, source=source, target=target, id=call_id, count=found.count)

    def _count_drops_again(self) -> None:
        self._count_drops()
        self._timer = asyncio.get_running_loop().call_later(STATISTICS_EVERY_S, self._count_drops_again)

    def _count_drops(self) -> None:
        _, dropped = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        if dropped:  # reading the statistics sets them to zero
            self._dropped += dropped
            self._note("gap", reason=f"the kernel dropped {dropped} packets because the observer was too slow")

    def _note(self, kind: str, **fields: object) -> None:
        self._log.note({"type": kind, "run_id": self._run_id, "node": self._me.node, **fields, "at_ns": time.time_ns()})
