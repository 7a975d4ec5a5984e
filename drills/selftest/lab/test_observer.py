"""The observer, run in a network namespace as a node, with a pod at the other end of a veth pair."""

import http.server
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from drills.judge.checks.wire import REPORT_EVERY_NS
from drills.selftest.doubles.lab_programs import CANARY, RUN_ID, Lab, caller, running

# isort: split
from capture import LINE_EVERY_NS
from scraper import total

IP = shutil.which("ip")
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or IP is None, reason="network namespaces need root and the `ip` program"
)

# Sends its first argument to 10.77.1.2 over TLS and expects it back. Without certificates: anonymous key exchange.
TLS_PEER = """
import socket, ssl, sys
server = sys.argv[1] == "serve"
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
context.maximum_version = ssl.TLSVersion.TLSv1_2
context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
if server:
    with socket.create_server(("10.77.1.2", 9443)) as listener:
        print("listening", flush=True)
        with context.wrap_socket(listener.accept()[0], server_side=True) as peer:
            peer.sendall(peer.recv(4096))
else:
    with context.wrap_socket(socket.create_connection(("10.77.1.2", 9443), timeout=5)) as peer:
        peer.sendall(sys.argv[2].encode())
        print(peer.recv(4096).decode(), flush=True)
"""
# Sends so many large datagrams that no buffer holds them all.
FLOOD = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    for _ in range(4000):
        sender.sendto(bytes(60000), ("10.77.1.2", 9))
"""


def _ip(*words: str) -> None:
    subprocess.run([str(IP), *words], check=True, timeout=10, capture_output=True)


def _inside(namespace: str) -> list[str]:
    return [str(IP), "netns", "exec", namespace]


class Node:
    """A namespace that stands for a node; its pods are namespaces too."""

    def __init__(self) -> None:
        self.name = f"meshdrill-test-{os.getpid()}"
        self.pods: list[str] = []
        _ip("netns", "add", self.name)
        _ip("-n", self.name, "link", "set", "lo", "up")

    def add_pod(self, mtu: int = 1500) -> tuple[str, str, str]:
        """Add a pod; return its namespace, its address, and the name of its interface on the node."""
        number = len(self.pods) + 1
        pod, veth = f"{self.name}-{number}", f"veth{number}"
        _ip("netns", "add", pod)
        self.pods.append(pod)
        _ip("-n", self.name, "link", "add", veth, "mtu", str(mtu), "type", "veth", "peer", "eth0", "netns", pod)
        _ip("-n", pod, "link", "set", "eth0", "up", "mtu", str(mtu))
        _ip("-n", self.name, "link", "set", veth, "up")
        _ip("-n", self.name, "addr", "add", f"10.77.{number}.1/24", "dev", veth)
        _ip("-n", pod, "addr", "add", f"10.77.{number}.2/24", "dev", "eth0")
        return pod, f"10.77.{number}.2", veth

    def close(self) -> None:
        """Remove the namespaces."""
        for namespace in (*self.pods, self.name):
            _ip("netns", "del", namespace)


@pytest.fixture
def node() -> Iterator[Node]:
    """A node without pods."""
    node = Node()
    try:
        yield node
    finally:
        node.close()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab without processes."""
    with running(tmp_path) as lab:
        yield lab


def _watch(lab: Lab, node: Node) -> str:
    pod: str = lab.start("observer", inside=_inside(node.name))
    lab.plan(capture=True)
    lab.wait(lambda: bool(lab.lines("wire_ready")), "the observer listens")
    return pod


@needs_root
def test_plaintext_is_found_on_the_interface_it_crosses(lab: Lab, node: Node) -> None:
    """Every plain call is found with its edge, on an interface that came after the capture began; loopback is not."""
    lab.start("observer", inside=_inside(node.name))
    lab.plan(capture=True, run_id="warm-up")
    lab.wait(lambda: bool(lab.lines("wire_ready")), "the observer listens")
    pod, address, veth = node.add_pod()
    lab.start("ledger", port=8080, inside=_inside(pod))
    lab.start("payment", port=8081, inside=_inside(node.name))
    lab.start("outsider", port=8082, inside=_inside(node.name))
    callers = [
        caller("outsider", "ledger", 8080, host=address, every_ms=100),
        caller("outsider", "payment", 8081, every_ms=100),
    ]
    lab.plan(callers, capture=True)
    lab.wait(lambda: len(lab.lines("served", service="ledger")) > 20, "calls across the veth pair")
    lab.wait(lambda: len(lab.lines("served", service="payment")) > 5, "calls on loopback")
    lab.wait(
        lambda: len(lab.lines("wire", run_id=RUN_ID)) > 2, "a hit that is written after the first ones", within_s=20
    )
    lab.plan(callers, capture=True, stop=True)
    lab.wait(lambda: bool(lab.lines("wire_end", run_id=RUN_ID)), "the end of the capture")
    [end] = lab.lines("wire_end", run_id=RUN_ID)
    [hit] = end["hits"]
    calls = lab.lines("call", target="ledger")
    assert (hit["source"], hit["target"], hit["interface"]) == ("outsider", "ledger", veth)
    assert hit["count"] == 2 * len(calls)  # the request and the answer that echoes its id
    assert end["dropped"] == 0
    lines = lab.lines("wire", run_id=RUN_ID)
    assert lines[0]["id"] == min(calls, key=lambda call: int(call["seq"]))["id"]
    assert [line["count"] for line in lines[:2]] == [1, 2]
    # After the first hits there is one line every eight seconds, so that every window of a drill has its own proof.
    later_s = [(after["at_ns"] - before["at_ns"]) / 1e9 for before, after in pairwise(lines[1:])]
    assert later_s
    assert min(later_s) >= 8
    assert (hit["last_ns"] - lines[-1]["at_ns"]) / 1e9 < 3


@needs_root
def test_encrypted_calls_are_not_found(lab: Lab, node: Node) -> None:
    """The same bytes inside TLS reach the peer and are not seen, while the detector sees them in the clear."""
    node_pod = node.add_pod()[0]
    text = f"{CANARY}.checkout.payment.x.n0"
    observer = _watch(lab, node)
    server = subprocess.Popen(
        [*_inside(node_pod), sys.executable, "-c", TLS_PEER, "serve"], stdout=subprocess.PIPE, text=True
    )
    with server:
        assert server.stdout is not None
        assert server.stdout.readline() == "listening\n"
        client = [*_inside(node.name), sys.executable, "-c", TLS_PEER, "call", text]
        answer = subprocess.run(client, capture_output=True, text=True, timeout=10, check=True)
    assert answer.stdout.strip() == text
    lab.end(observer)
    [end] = lab.lines("wire_end")
    assert end["dropped"] == 0
    assert end["hits"] == []


@needs_root
def test_canary_that_is_cut_has_no_edge(lab: Lab, node: Node) -> None:
    """A segment that ends within the call's id is still a hit, of an unknown edge."""
    node.add_pod()
    observer = _watch(lab, node)
    send = "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto({!r}, ('10.77.1.2', 9))"
    for text in (f"{CANARY}.checkout.pay", f"{'x' * 40}{CANARY}", f"{CANARY}.checkout.payment."):
        program = [*_inside(node.name), sys.executable, "-c", send.format(text.encode())]
        subprocess.run(program, check=True, timeout=10)
    lab.end(observer)
    [end] = lab.lines("wire_end")
    # A closed port answers with ICMP, which quotes the datagram: that is the canary in the clear as well.
    edges = {(hit["source"], hit["target"]) for hit in end["hits"]}
    assert edges == {("?", "?"), ("checkout", "payment")}


@needs_root
def test_packets_that_the_observer_missed_are_told(lab: Lab, node: Node) -> None:
    """An observer paused during a flood logs the gap and the number of packets that it lost."""
    node.add_pod(mtu=65000)
    observer = _watch(lab, node)
    process = lab.processes[observer]
    process.send_signal(signal.SIGSTOP)
    subprocess.run([*_inside(node.name), sys.executable, "-c", FLOOD], check=True, timeout=20)
    process.send_signal(signal.SIGCONT)
    lab.end(observer)
    [end] = lab.lines("wire_end")
    assert end["dropped"] > 0
    assert any("dropped" in gap["reason"] for gap in lab.lines("gap"))


METRICS = b"""# TYPE failures counter
failures{to="istiod",why="a b"} 2
failures{to="other"} 1.5e1 1700000000000
failures_total{to="istiod"} 100
plain 7
"""


@contextmanager
def _endpoint(status: int, body: bytes) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/stats?format=prometheus"
        server.shutdown()


def _scrape(pod: str, url: str, node: str = "n1") -> dict[str, object]:
    return {"pod": pod, "node": node, "url": url, "every_s": 0.2, "metrics": ["failures", "missing"]}


def test_scrapes_are_read_or_their_failure_is(lab: Lab) -> None:
    """A sample is the sum over label sets; absent metric, bad status, dead and silent endpoint differ."""
    with _endpoint(200, METRICS) as good, _endpoint(500, b"") as bad, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        mute = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        scrapes = [_scrape("good", good), _scrape("bad", bad), _scrape("mute", mute), _scrape("far", good, "n2")]
        scrapes.append(_scrape("dead", "http://127.0.0.1:1/"))
        lab.start("observer")
        lab.plan(scrapes=scrapes)
        lab.wait(lambda: len(lab.lines("scrape", pod="good")) > 4, "three samples of the good endpoint")
        lab.wait(lambda: bool(lab.lines("scrape", pod="mute")), "the sample of the silent endpoint")
    samples = {(line["pod"], line["metric"]): (line["value"], line["error"]) for line in lab.lines("scrape")[:8]}
    first = {pod: lab.lines("scrape", pod=pod)[0] for pod in ("bad", "mute", "dead")}
    assert samples[("good", "failures")] == (17.0, "")
    assert samples[("good", "missing")] == (None, "")
    assert first["bad"]["error"] == "ScrapeError: status 500"
    assert first["mute"]["error"] == "no answer within 1.5 s"
    assert first["dead"]["error"].startswith("ConnectionRefusedError")
    assert all(line["value"] is None for line in first.values())
    assert lab.lines("scrape", pod="far") == []


def test_same_run_may_name_other_endpoints(lab: Lab) -> None:
    """A replaced pod is scraped at its new address when the plan of the same run has it."""
    with _endpoint(200, METRICS) as url:
        lab.start("observer")
        lab.plan(scrapes=[_scrape("old", url)])
        lab.wait(lambda: bool(lab.lines("scrape", pod="old")), "a sample of the first pod")
        lab.plan(scrapes=[_scrape("new", url)])
        lab.wait(lambda: bool(lab.lines("scrape", pod="new")), "a sample of the second pod")


@pytest.mark.parametrize(("metric", "value"), [("failures", 17.0), ("plain", 7.0), ("fail", None), ("failures_", None)])
def test_metric_names_match_whole(metric: str, value: float | None) -> None:
    """A metric is not confused with another whose name it begins."""
    assert total(METRICS, metric) == value


def test_anonymous_tls_is_available() -> None:
    """The cipher of the TLS test exists here; without it that test proves nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
    assert "AECDH-AES256-SHA" in {cipher["name"] for cipher in context.get_ciphers()}


def test_the_judge_knows_how_long_an_observer_may_be_silent() -> None:
    """An observer that a reboot ends owes at most one line for each pair, and the judge allows for all of that time."""
    assert REPORT_EVERY_NS >= LINE_EVERY_NS
