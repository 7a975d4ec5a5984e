"""Who may call whom in the lab, as its policies say it: the gate holds the mesh to it before anything is broken."""

Edge = tuple[str, str]

ROUTES: tuple[Edge, ...] = (
    ("frontend", "checkout"),
    ("checkout", "payment"),
    ("checkout", "fraud"),
    ("payment", "ledger"),
    ("payment", "bank-adapter"),
)
"""Who may call whom in the lab: these calls must succeed."""

SENTINEL: Edge = ("intruder", "frontend")
"""Any meshed identity may call the front door; a policy change may close this one edge, so that enforcement is seen."""

WELCOME: Edge = ("checkout", "frontend")
"""Another caller of the front door, for drills that close it to one: who is served beside him shows that it is open."""

BYPASS: Edge = ("outsider", "frontend")
"""A caller without an identity at the front door: whatever stands before it for callers of the mesh, he goes past."""

DENIED: tuple[Edge, ...] = (
    ("frontend", "ledger"),
    ("intruder", "ledger"),
    ("intruder", "payment"),
    ("outsider", "ledger"),
    ("outsider", "payment"),
)
"""Who must never be served: a wrong route, a wrong identity, no identity at all."""

FRESH: tuple[Edge, ...] = (("checkout", "fraud"),)
"""Each call has a connection, and so a handshake, of its own: the traffic policy of every mesh must say so."""

UNKNOWN: Edge = ("checkout", "latecomer")
"""To a service that nobody could know before: it is there only while a probe of new pods makes it serve."""

OPEN: Edge = ("outsider", "outsider")
"""Outside every mesh at both ends, and always free to pass: where a mesh refuses by silence, this alone shows that the
outsider can call at all; and its plaintext proves that the observers of the wire see plaintext."""
