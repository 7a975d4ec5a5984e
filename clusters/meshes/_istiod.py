"""What both of Istio's data planes have from istiod: its validating webhook and a plugged-in CA. Facts are of 1.31."""

from clusters.model import IssuerSecret, Mesh, Reference, Webhook, with_given_issuer

NOT_VALIDATED = 'failed calling webhook "validation.istio.io"'
"""In the API server's message when istiod cannot validate an object, which is then refused."""

VALIDATION = Reference(
    "Validation fails closed: without a ready istiod, configuration can be neither created nor updated",
    "https://istio.io/v1.31/docs/ops/common-problems/validation/",
    "1.31",
    "documented",
)
# Chart `base` has this webhook, because its value defaultRevision is `default`. istiod changes the failure policy to
# Fail when it has refused an invalid object. Chart `istiod` has another one, istio-validator-istio-system, which only
# validates objects with a revision label (istio.io/rev); the lab's have none.
VALIDATOR = Webhook("istiod-default-validator", "validating", "Fail", ("CREATE", "UPDATE"), VALIDATION)

_CACERTS = IssuerSecret("istio-system", "cacerts", "tls.crt", "tls.key", "/etc/cacerts", anchors="ca.crt")


def with_plugged_in_ca(mesh: Mesh) -> Mesh:
    """Return the variant of the mesh whose issuer and anchor are in the Secret `cacerts`, as Istio documents."""
    return with_given_issuer(mesh, "istiod.istio-system.svc", _CACERTS)
