"""Who signs a mesh's certificates, where that is the business of whoever installs it: types only, no I/O."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Authority:
    """What the harness makes where a mesh wants its trust anchor and its issuer from whoever installs it; PEM texts."""

    anchors: str
    issuer: str
    issuer_key: str


@dataclass(frozen=True)
class IssuerSecret:
    """The Secret from which a mesh's issuer has its certificate and key, and where its process finds them as files.

    anchors: key for the trust anchor, where the mesh expects the whole Secret before it is installed; "" where its
    chart makes the Secret.
    """

    namespace: str
    name: str
    certificate: str  # key in the Secret's data, and so the name of the file
    key: str
    folder: str  # where the issuer's own process sees the files
    anchors: str = ""


@dataclass(frozen=True)
class Issuance:
    """How a mesh takes its authority: under which name, in which chart values, and where the issuer lies then."""

    issuer_name: str  # DNS name in the issuer's certificate
    values: Callable[[Authority], dict[str, object]]
    secret: IssuerSecret
