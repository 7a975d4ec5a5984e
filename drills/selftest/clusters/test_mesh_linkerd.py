"""What Linkerd's proxies write about denied calls is read under the names of the lab."""

import pytest

from clusters.meshes.linkerd import MESH
from clusters.model import Drop

AT_NS = 2_500_000_000
NAME = "intruder.lab.serviceaccount.identity.linkerd.cluster.local"
TLS = f'Some(Established {{ client_id: Some(ClientId(Dns(Name("{NAME}")))) }})'
ROUTE = "route.group=gateway.networking.k8s.io route.kind=HTTPRoute route.name=ledger-callers"


def logged(said: str, *, level: str = "INFO") -> str:
    """Return a line of a proxy as the kubelet stores it."""
    where = "ThreadId(01) inbound:server{port=8080}:http: linkerd_app_inbound::policy::http:"
    return f"1970-01-01T00:00:02.5Z stdout F [    12.345678s]  {level} {where} {said}"


def denied(name: str, tls: str, client: str) -> str:
    """Return the words of a denial; the name of its Server comes before those of the route."""
    server = f"server.group=policy.linkerd.io server.kind=server server.name={name}"
    return logged(f"Request denied {server} {ROUTE} client.tls={tls} client.ip={client}")


@pytest.mark.parametrize(
    ("line", "drop"),
    [
        (denied("ledger", TLS, "10.244.1.5"), Drop(AT_NS, "intruder", "ledger", "Request denied")),
        (
            denied("ledger", "None(NoClientHello)", "10.244.1.9"),
            Drop(AT_NS, "", "ledger", "Request denied", "10.244.1.9"),
        ),
        (
            logged("Connection denied server.name=fraud tls=None(NoClientHello) client=10.244.2.7:5000"),
            Drop(AT_NS, "", "fraud", "Connection denied", "10.244.2.7"),
        ),
        (logged("Request authorized server.name=ledger"), None),
        (logged("Request denied"), None),
        ("", None),
    ],
)
def test_a_denial_is_read_from_the_log_of_the_called_pods_proxy(line: str, drop: Drop | None) -> None:
    """The caller is its identity, or its address where it shows none; any other line is no denial."""
    assert MESH.drop_log is not None
    assert MESH.drop_log.parse(line) == drop
