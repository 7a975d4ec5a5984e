"""The lab's HTTP/1.1 parser, tested with every way to split a stream."""

import pytest

import drills.selftest.doubles.lab_programs  # noqa: F401 - puts the lab's programs on the path

# isort: split
from http1 import BODY_LIMIT_BYTES, HEAD_LIMIT_BYTES, Message, Parser, ProtocolError

REQUEST = b"POST / HTTP/1.1\r\nHost: a\r\nX-Peer: one\r\nx-peer: two\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;note=1\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def in_pieces(parser: Parser, data: bytes, size: int) -> list[Message]:
    """Feed data in pieces of a size."""
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return [message for piece in pieces for message in parser.feed(piece)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
@pytest.mark.parametrize("response", [PLAIN, CHUNKED, INTERIM + PLAIN, INTERIM + CHUNKED])
def test_response_is_the_same_wherever_the_stream_is_cut(response: bytes, size: int) -> None:
    """Content-Length, chunks, trailers and interim answers give one message with the same body at every cut."""
    messages = in_pieces(Parser("response"), response * 2, size)
    assert [(message.status, message.body) for message in messages] == [(200, b"hello")] * 2


@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_pipelined_requests_are_all_found(size: int) -> None:
    """Two requests on one connection are two messages; a repeated header keeps both values."""
    messages = in_pieces(Parser("request"), REQUEST + b"GET /healthz HTTP/1.1\r\n\r\n" + REQUEST, size)
    assert [message.start[1] for message in messages] == ["/", "/healthz", "/"]
    assert messages[0].headers["x-peer"] == "one,two"


def test_response_without_a_length_ends_with_the_connection() -> None:
    """A body delimited by the end of the connection is complete only then."""
    parser = Parser("response")
    assert parser.feed(b"HTTP/1.0 200 OK\r\n\r\nhel") == []
    assert parser.feed(b"lo") == []
    message = parser.end()
    assert message is not None
    assert message.body == b"hello"


def test_cut_response_is_no_message() -> None:
    """A connection that ends within a body with Content-Length gives no answer."""
    parser = Parser("response")
    assert parser.feed(PLAIN[:-1]) == []
    assert parser.end() is None


def test_statuses_without_a_body_need_no_length() -> None:
    """204 is complete with its header."""
    assert [message.status for message in Parser("response").feed(b"HTTP/1.1 204 No Content\r\n\r\n")] == [204]


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x15\x03\x01\x00\x02\x02\x50\r\n\r\n",
        b"HTTP/1.1 two OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"x" * (HEAD_LIMIT_BYTES + 1),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (BODY_LIMIT_BYTES + 1),
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
    ],
)
def test_garbage_is_refused(garbage: bytes) -> None:
    """Bytes that are no HTTP/1 response, or too many, are an error and not a message."""
    with pytest.raises(ProtocolError):
        Parser("response").feed(garbage)
