"""The lab's caller, run on loopback against peers with each kind of failure that it classifies."""

import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from drills.selftest.doubles.lab_programs import Lab, caller, free_port, running

Behaviour = Callable[[socket.socket, bytes], None]


def _answer(status: str, body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _reset(peer: socket.socket, _request: bytes) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def _reset_inside_answer(peer: socket.socket, request: bytes) -> None:
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    _reset(peer, request)


def _chunked(peer: socket.socket, request: bytes) -> None:
    body = request.partition(b"\r\n\r\n")[2]
    head = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    peer.sendall(head + b"%x\r\n" % len(body))
    peer.sendall(body + b"\r\n0\r\n\r\n")


def _say_nothing(peer: socket.socket, _request: bytes) -> None:
    peer.settimeout(3)
    peer.recv(1)


def _says(answer: bytes) -> Behaviour:
    return lambda peer, _request: peer.sendall(answer)


BEHAVIOURS: dict[str, Behaviour] = {
    "refuser": _says(_answer("403 Forbidden", b"RBAC: access denied")),
    "broken": _says(_answer("503 Service Unavailable", b"upstream connect error")),
    "stranger": _says(_answer("200 OK", b"not your answer")),
    "babbler": _says(b"\x15\x03\x01\x00\x02\x02\x50\r\n\r\n"),
    "parting": lambda peer, request: peer.sendall(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + request.partition(b"\r\n\r\n")[2]
    ),
    "hangup": lambda _peer, _request: None,
    "resetter": _reset,
    "half": _reset_inside_answer,
    "chunker": _chunked,
    "silent": _say_nothing,
}

# target -> outcome, error, status: the expected call table row of each peer
EXPECTED = {
    "refuser": ("fail", "http-403", 403),
    "broken": ("info", "http-503", 503),
    "stranger": ("info", "protocol", 200),
    "babbler": ("info", "protocol", 0),
    "parting": ("ok", "", 200),
    "hangup": ("info", "closed", 0),
    "resetter": ("info", "reset", 0),
    "half": ("info", "reset", 0),
    "chunker": ("ok", "", 200),
    "silent": ("info", "timeout", 0),
    "absent": ("fail", "connect-refused", 0),
    "nameless": ("fail", "dns", 0),
    "full": ("fail", "connect-timeout", 0),
}


@contextmanager
def _peer(behave: Behaviour) -> Iterator[int]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            behave(self.request, self.request.recv(65536))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 256  # the default 5 would drop connections, which is another failure

    with Server(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a peer that aborts is the point
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@contextmanager
def _full_backlog() -> Iterator[int]:
    """Yield a port whose queue is full: the kernel drops further attempts to connect."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            knock = stack.enter_context(socket.socket())
            knock.setblocking(False)  # noqa: FBT003 - the standard library's signature
            knock.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def rough(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A run of a second in which one service calls every misbehaving peer."""
    with running(tmp_path_factory.mktemp("rough")) as lab, ExitStack() as stack:
        ports = {name: stack.enter_context(_peer(behave)) for name, behave in BEHAVIOURS.items()}
        ports |= {"absent": free_port(), "nameless": 1, "full": stack.enter_context(_full_backlog())}
        # A busy machine must not look like a timeout: only where the deadline is the point is it short.
        deadlines_ms = dict.fromkeys(ports, 8000) | dict.fromkeys(("silent", "full", "nameless"), 2000)
        callers = [
            caller("frontend", target, port, every_ms=60, timeout_ms=deadlines_ms[target])
            for target, port in ports.items()
        ]
        callers = [c | {"host": "no-such-name.invalid"} if c["target"] == "nameless" else c for c in callers]
        callers.append(caller("frontend", "chunker", ports["chunker"], "reused"))
        callers.append(caller("frontend", "parting", ports["parting"], "reused"))
        callers.append(caller("frontend", "silent", ports["silent"], "reused", every_ms=3))
        pod = lab.start("frontend", port=free_port())
        lab.plan(callers)
        lab.wait(lambda: len(lab.lines("call", target="silent", connection="new")) > 15, "calls to the silent peer")
        lab.end(pod)
        yield lab


@pytest.mark.parametrize("target", EXPECTED)
def test_each_misbehaviour_has_its_own_words(rough: Lab, target: str) -> None:
    """Each peer's behaviour is logged with the right outcome, error class and status."""
    # What the caller's own bound kept it from making, on a busy machine, says nothing of the peer.
    calls = [c for c in rough.lines("call", target=target, connection="new") if c["error"] != "in-flight-bound"]
    seen = {(call["outcome"], call["error"], call["status"]) for call in calls}
    assert seen == {EXPECTED[target]}
    assert len(calls) > 10


def test_no_call_is_lost_whatever_happens_to_it(rough: Lab) -> None:
    """Each caller's sequence runs from 0 without a gap to the number scheduled in its end line."""
    ends = rough.lines("end")
    assert len(ends) == len(EXPECTED) + 3
    for end in ends:
        calls = rough.lines("call", target=end["target"], connection=end["connection"])
        assert sorted(call["seq"] for call in calls) == list(range(end["scheduled"]))
        assert end["written"] == end["scheduled"]


def test_calls_beyond_the_bound_are_written_and_not_made(rough: Lab) -> None:
    """With 64 calls in flight the next one is a line of its own, counted as skipped."""
    calls = rough.lines("call", target="silent", connection="reused")
    beyond = [call for call in calls if call["error"] == "in-flight-bound"]
    [end] = rough.lines("end", target="silent", connection="reused")
    assert len(beyond) == end["skipped"] > 0
    first_s = (beyond[0]["scheduled_ns"] - min(call["scheduled_ns"] for call in calls)) / 1e9
    assert beyond[0]["seq"] == 64
    assert first_s == pytest.approx(64 * 0.003)


def test_answer_that_closes_is_not_reused(rough: Lab) -> None:
    """A connection with `Connection: close` carries no second call; one that stays open does."""
    assert not any(call["reused"] for call in rough.lines("call", target="parting", connection="reused"))
    assert not any(call["reused"] for call in rough.lines("call", target="chunker", connection="new"))
