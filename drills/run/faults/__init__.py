"""Faults: one reversible injury each. A drill names the role; the mesh's facts say which component plays it.

The kind of death matters: `stop` is an absence that lasts, `kill` an orderly end with an immediate successor,
`crash` a death without goodbye, `hang` a process that is alive, accepts connections, and says nothing. `keep_off` is
the absence of a node agent from one node, `rolling_restart` every pod replaced in turn.
`remove` is a part that somebody uninstalls under a running mesh.
`restart_without` is an absence, and then the crash of a part that has to ask the absent one as it starts.
`partition` is a component that lives, is Ready, and reaches nobody; `cut_api` a node whose programs reach no API anew.
`break_webhook`, `ignore_webhook` and `unlabel` are done to what puts new pods into the mesh.
`rotate_issuer` is done to what the issuer of identities signs with.
`declare` hurts nothing: it stores objects that a mesh may or may not put into force; `withdraw` takes one back again.
`stop_apiserver`, `reboot` and `reboot_without_api` are done to no part of the mesh, but to what each part stands on.
"""

from enum import StrEnum

import msgspec

from clusters.model import VICTIM, Role

ROTATED, EXPIRED, STRANGER = "rotated", "expired", "stranger"
"""What comes in an issuer's place: a good one, one whose life ends in service, one that nobody trusts."""


class FaultKind(StrEnum):
    """How something is hurt."""

    STOP = "stop"
    KILL = "kill"
    CRASH = "crash"
    HANG = "hang"
    KEEP_OFF = "keep-off"
    ROLLING_RESTART = "rolling-restart"
    STOP_APISERVER = "stop-apiserver"
    REBOOT = "reboot"
    CUT_API = "cut-api"
    REBOOT_WITHOUT_API = "reboot-without-api"
    PARTITION = "partition"
    REMOVE = "remove"
    BREAK_WEBHOOK = "break-webhook"
    IGNORE_WEBHOOK = "ignore-webhook"
    UNLABEL = "unlabel"
    ROTATE_ISSUER = "rotate-issuer"
    RESTART_WITHOUT = "restart-without"
    DECLARE = "declare"
    WITHDRAW = "withdraw"


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is done to which role, on which node, and how long the drill then watches, in seconds."""

    kind: FaultKind
    role: Role | None  # None: it is done to something that is no part of the mesh
    hold_s: float
    node: str = ""  # the part that the node plays in the lab's placement; "" when the fault is not of one node
    app: str = ""  # the service of the lab whose pods it is done to; "" when it is done to none of them
    issuer: str = ""  # what comes in the issuer's place, "" when nothing does
    life_s: float = 0.0  # how long that one lives, 0 when that does not matter
    declared: str = ""  # name of the objects that are declared, "" when none are
    stands_s: float = 0.0  # how long what is withdrawn stands by itself, and again with all the others

    @property
    def title(self) -> str:
        """The words by which events and people call this fault."""
        where = f"on {self.node}" if self.role and self.node else self.node
        words = (self.kind.value, self.role and self.role.value, self.issuer, where, self.declared)
        return " ".join(word for word in words if word)

    @property
    def takes_api(self) -> bool:
        """Whether the Kubernetes API is gone while the fault lasts: then not to reach it is no trouble of ours."""
        return self.kind in {FaultKind.STOP_APISERVER, FaultKind.REBOOT_WITHOUT_API}

    @property
    def ends_pods(self) -> bool:
        """Whether it ends the programs of its node, ours among them: their records then break off, and may go on."""
        return self.kind in {FaultKind.REBOOT, FaultKind.REBOOT_WITHOUT_API}


def stop(role: Role, *, hold_s: float = 30.0) -> Fault:
    """Scale to zero and hold there: nobody plays the role until the undo."""
    return Fault(FaultKind.STOP, role, hold_s)


def kill(role: Role, *, hold_s: float = 20.0) -> Fault:
    """Delete the pods, gracefully; their controller starts successors at once."""
    return Fault(FaultKind.KILL, role, hold_s)


def crash(role: Role, node: str = "", *, hold_s: float = 20.0) -> Fault:
    """SIGKILL the process, on one node if one is named; the kubelet restarts its container."""
    return Fault(FaultKind.CRASH, role, hold_s, node)


def restart_without(role: Role, app: str, node: str = VICTIM, *, hold_s: float = 30.0) -> Fault:
    """Stop the role, then SIGKILL whoever enforces its word for the app's pods on one node, and hold until the undo.

    That is the proxy in each of those pods where the mesh has one, else the node's agent.
    """
    return Fault(FaultKind.RESTART_WITHOUT, role, hold_s, node, app)


def hang(role: Role, *, hold_s: float = 30.0) -> Fault:
    """SIGSTOP the process on its node: alive and silent until the undo."""
    return Fault(FaultKind.HANG, role, hold_s)


def keep_off(role: Role, node: str = VICTIM, *, hold_s: float = 30.0) -> Fault:
    """Take the role's pod off one node and keep it away until the undo; its pods on other nodes are not touched."""
    return Fault(FaultKind.KEEP_OFF, role, hold_s, node)


def remove(role: Role, *, hold_s: float = 30.0) -> Fault:
    """Delete the role's Deployment or DaemonSet, which its pods take for their own removal, until the undo."""
    return Fault(FaultKind.REMOVE, role, hold_s)


def rolling_restart(role: Role, *, hold_s: float = 120.0) -> Fault:
    """Have the role's controller replace every pod, one after the other; the hold ends with the last, or by hold_s.

    A restart that is not complete by then is awaited by the undo, and the fault's window lasts until it is.
    """
    return Fault(FaultKind.ROLLING_RESTART, role, hold_s)


def stop_apiserver(*, hold_s: float = 30.0) -> Fault:
    """Take the Kubernetes API server away until the undo; probes that ask it learn only that it does not answer."""
    return Fault(FaultKind.STOP_APISERVER, None, hold_s)


def reboot(node: str = VICTIM, *, hold_s: float = 30.0) -> Fault:
    """Cut a node's power and give it back at once; never the control plane's."""
    return Fault(FaultKind.REBOOT, None, hold_s, node)


def reboot_without_api(node: str = VICTIM, *, hold_s: float = 30.0) -> Fault:
    """Take the Kubernetes API away, then cut the node's power and give it back; the undo brings the API back.

    Until then its kubelet knows of no pod; then it starts all of them at once, the mesh's own parts among them.
    """
    return Fault(FaultKind.REBOOT_WITHOUT_API, None, hold_s, node)


def cut_api(node: str = VICTIM, *, hold_s: float = 30.0) -> Fault:
    """Refuse what a node's own programs say to begin a connection to the Kubernetes API; those that stand go on."""
    return Fault(FaultKind.CUT_API, None, hold_s, node)


def partition(role: Role, *, hold_s: float = 30.0) -> Fault:
    """Drop every packet between the role's pods and everyone but their own kubelet: alive, Ready, and cut off."""
    return Fault(FaultKind.PARTITION, role, hold_s)


def break_webhook(*, hold_s: float = 30.0) -> Fault:
    """Give the injector's webhook the CA bundle of another authority: the API server trusts it no more."""
    return Fault(FaultKind.BREAK_WEBHOOK, Role.INJECTOR, hold_s)


def ignore_webhook(*, hold_s: float = 30.0) -> Fault:
    """Have the API server do without the injector's webhook (failurePolicy Ignore), and stop the injector."""
    return Fault(FaultKind.IGNORE_WEBHOOK, Role.INJECTOR, hold_s)


def unlabel(*, hold_s: float = 30.0) -> Fault:
    """Take from the lab's namespace the labels and annotations that put its pods into the mesh."""
    return Fault(FaultKind.UNLABEL, None, hold_s)


def declare(name: str, *, hold_s: float = 30.0) -> Fault:
    """Store the mesh's objects of this name (manifests/<mesh>/policy/declared/), and keep them until the undo."""
    return Fault(FaultKind.DECLARE, None, hold_s, declared=name)


def withdraw(name: str, *, stands_s: float, hold_s: float = 30.0) -> Fault:
    """Store the first of those objects, after stands_s the others, after stands_s more take the first away again.

    It is held from then on: what refers to the first object refers to nothing.
    """
    return Fault(FaultKind.WITHDRAW, None, hold_s, declared=name, stands_s=stands_s)


def rotate_issuer(issuer: str = ROTATED, *, hold_s: float, life_s: float = 0.0) -> Fault:
    """Put another issuer in the place of the mesh's own, and hold there from when its process has it before it.

    ROTATED: a good one under the same trust anchor. STRANGER: one under an anchor that nobody trusts. EXPIRED: a good
    one whose life ends after life_s; the fault lands only then, and life_s must outlast the 90 s until it gets there.
    """
    return Fault(FaultKind.ROTATE_ISSUER, Role.IDENTITY, hold_s, issuer=issuer, life_s=life_s)
