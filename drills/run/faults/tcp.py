"""Tests from a node over TCP whether a port replies, without the Kubernetes API and the mesh."""

import re
from dataclasses import dataclass

from clusters.cluster import Cluster
from clusters.runtime import HarnessError

_ASK_S = 1
_NODE_S = 10.0
_REPORT = re.compile(r"(\d{3}) (\d+) ([\d.]+)\s*$")
_CURL_CONNECTION_REFUSED = 7


@dataclass(frozen=True)
class Answer:
    """The result of one TCP connection and one HTTP request. A TLS port replies with an error, which is a reply."""

    accepted: bool  # the TCP handshake completed, if only by the kernel's backlog
    replied: bool  # the process itself sent data
    words: str  # for messages
    refused: bool = False  # the target's node answered that no program listens


def ask(cluster: Cluster, node: str, address: str, port: int) -> Answer:
    """Connect from a node to address:port; HarnessError when the node itself cannot do it."""
    url = f"http://{address}:{port}/"
    said = cluster.exec(
        node,
        [
            "curl",
            "--silent",
            "--output",
            "/dev/null",
            "--max-time",
            str(_ASK_S),
            "--write-out",
            "%{http_code} %{exitcode} %{time_connect}",
            url,
        ],
        timeout_s=_NODE_S,
        check=False,  # curl fails without an answer, which is a result here
    )
    report = _REPORT.search(said)
    if report is None:
        raise HarnessError(f"curl on node {node} printed {said!r}, not its report about {url}. Is curl installed?")
    status, code, connected_s = int(report[1]), int(report[2]), float(report[3])
    return _answer(f"{address}:{port}", status, code, accepted=connected_s > 0)


def _answer(where: str, status: int, code: int, *, accepted: bool) -> Answer:
    if status:
        return Answer(accepted=True, replied=True, words=f"{where} replied {status}")
    if code == _CURL_CONNECTION_REFUSED:
        return Answer(accepted=False, replied=False, words=f"{where} refused the connection", refused=True)
    if accepted:
        return Answer(accepted=True, replied=False, words=f"{where} accepted TCP and said nothing (curl {code})")
    return Answer(accepted=False, replied=False, words=f"{where} did not accept TCP in {_ASK_S} s (curl {code})")
