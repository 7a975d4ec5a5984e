"""What istiod does with an authority that it is given, in either of Istio's data planes. Facts are those of 1.31."""

from clusters.model import IssuerSecret, Mesh, with_given_issuer

_CACERTS = IssuerSecret("istio-system", "cacerts", "tls.crt", "tls.key", "/etc/cacerts", anchors="ca.crt")


def with_plugged_in_ca(mesh: Mesh) -> Mesh:
    """Return the mesh with the Secret laid from which istiod takes its issuer and anchor, as its documents advise."""
    return with_given_issuer(mesh, "istiod.istio-system.svc", _CACERTS)
