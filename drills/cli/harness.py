"""The commit of the meshdrill that runs: from the checkout that its files lie in, or as the installer recorded it."""

import os
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import msgspec

from clusters.runtime import HarnessError, run
from drills.report.provenance import HarnessRecord

_OWN_FILE = Path(__file__)
_TIMEOUT_S = 10.0


class _VcsInfo(msgspec.Struct, frozen=True):
    commit_id: str = ""


class _DirectUrl(msgspec.Struct, frozen=True):
    """direct_url.json of an installed package (PEP 610), as far as it names a commit."""

    vcs_info: _VcsInfo = _VcsInfo()


def own_commit() -> HarnessRecord | None:
    """Return the commit of the harness; None where it is not known, as for a wheel. Never raises."""
    return _of_checkout(_OWN_FILE) or _of_installation()


def _of_checkout(file: Path) -> HarnessRecord | None:
    """Return the commit of the checkout that tracks a file; None when none does, also inside another project's one."""
    try:
        _git(file.parent, "ls-files", "--error-unmatch", file.name)
        commit = _git(file.parent, "rev-parse", "HEAD").strip()
        root = Path(_git(file.parent, "rev-parse", "--show-toplevel").strip())
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", "clusters", "drills", "manifests")
    except (HarnessError, OSError):
        return None
    return HarnessRecord(commit, is_dirty=bool(changed.strip()))


def _of_installation() -> HarnessRecord | None:
    try:
        said = distribution("meshdrill").read_text("direct_url.json") or "{}"
        commit = msgspec.json.decode(said, type=_DirectUrl).vcs_info.commit_id
    except (PackageNotFoundError, OSError, msgspec.DecodeError):
        return None
    return HarnessRecord(commit) if commit else None


def _git(folder: Path, *words: str) -> str:
    # The caller's GIT_DIR and the like would name another repository.
    own = {name: "" for name in os.environ if name.startswith("GIT_")}
    return run(["env", *(f"--unset={name}" for name in own), "git", "-C", folder, *words], timeout_s=_TIMEOUT_S)
