"""What a sidecar writes about a call that it refused is read under the names of the lab."""

import json

import pytest

from clusters.meshes.istio_sidecar import MESH
from clusters.model import Drop

AT_NS = 2_500_000_000


def logged(**changes: str | None) -> str:
    """Return a line of a proxy as the kubelet stores it."""
    entry: dict[str, str | None] = {
        "start": "1970-01-01T00:00:02.500000Z",
        "account": "ledger",
        "peer": "spiffe://cluster.local/ns/lab/sa/intruder",
        "address": "10.244.1.5",
        "details": "rbac_access_denied_matched_policy[none]",
        "ended": None,
        "transport": None,
    }
    return f"1970-01-01T00:00:02.6Z stdout F {json.dumps(entry | changes)}"


@pytest.mark.parametrize(
    ("line", "drop"),
    [
        (logged(), Drop(AT_NS, "intruder", "ledger", "rbac_access_denied_matched_policy[none]")),
        (
            logged(peer=None, details="filter_chain_not_found"),
            Drop(AT_NS, "", "ledger", "filter_chain_not_found", "10.244.1.5"),
        ),
        (
            logged(peer=None, details=None, transport="TLS_error:|268435703:SSL routines:WRONG_VERSION_NUMBER"),
            Drop(AT_NS, "", "ledger", "TLS_error:|268435703:SSL routines:WRONG_VERSION_NUMBER", "10.244.1.5"),
        ),
        (
            logged(details=None, ended="rbac_access_denied_matched_policy[ns[lab]-policy[closed]-rule[0]]"),
            Drop(AT_NS, "intruder", "ledger", "rbac_access_denied_matched_policy[ns[lab]-policy[closed]-rule[0]]"),
        ),
        (logged(details="via_upstream"), None),
        (logged(details=None), None),
        (logged(account=None), None),
        ("1970-01-01T00:00:02.6Z stderr F info Envoy proxy is ready", None),
        ("", None),
    ],
)
def test_a_refusal_is_read_from_the_log_of_the_called_pods_proxy(line: str, drop: Drop | None) -> None:
    """The caller is its identity, or its address where it shows none; any other line is no refusal."""
    assert MESH.drop_log is not None
    assert MESH.drop_log.parse(line) == drop
