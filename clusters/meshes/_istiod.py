"""What istiod does with an authority that it is given, in either of Istio's data planes. Facts are those of 1.31."""

from clusters.model import IssuerSecret, Mesh, Reference, with_given_issuer

_VERSION = "1.31"
_TREE = "https://github.com/istio/istio/blob/release-1.31"
_CACERTS = IssuerSecret("istio-system", "cacerts", "tls.crt", "tls.key", "/etc/cacerts", anchors="ca.crt")


def _code(title: str, path: str) -> Reference:
    return Reference(title, f"{_TREE}/{path}", _VERSION, "source")


_PLUGGED = "pilot/pkg/bootstrap/istio_ca.go"
_PROMISES = {
    "issuer-rotation": _code("istiod takes up an issuer that its anchor vouches for, while it runs", _PLUGGED),
    "issuer-refused": _code("One that its anchor does not vouch for is let lie; only istiod's log says so", _PLUGGED),
    "issuer-expires": _code("An issuer that is over signs nothing more (minTTL)", "security/pkg/pki/ca/ca.go"),
}


def with_plugged_in_ca(mesh: Mesh) -> Mesh:
    """Return the mesh with the Secret laid from which istiod takes its issuer and anchor, as its documents advise."""
    return with_given_issuer(mesh, "istiod.istio-system.svc", _CACERTS, _PROMISES)
