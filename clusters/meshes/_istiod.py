"""A plugged-in CA for istiod, in both of Istio's data planes. Facts are those of 1.31."""

from clusters.model import IssuerSecret, Mesh, with_given_issuer

_CACERTS = IssuerSecret("istio-system", "cacerts", "tls.crt", "tls.key", "/etc/cacerts", anchors="ca.crt")


def with_plugged_in_ca(mesh: Mesh) -> Mesh:
    """Return the variant of the mesh whose issuer and anchor are in the Secret `cacerts`, as Istio documents."""
    return with_given_issuer(mesh, "istiod.istio-system.svc", _CACERTS)
