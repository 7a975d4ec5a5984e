"""Debian root file systems by debootstrap, from the host's apt sources, with verified signatures."""

import os
import platform
from pathlib import Path

from clusters.images.recipe import Debian
from clusters.runtime import HarnessError, build_dir, run

_DEBOOTSTRAP_TIMEOUT_S = 1200.0
_TAR_TIMEOUT_S = 300.0

# Files of the host (resolver, name and mirror), and files that no program reads.
_LEFT_OUT = (
    "./dev/*",
    "./proc/*",
    "./sys/*",
    "./etc/apt/sources.list",
    "./etc/hostname",
    "./etc/resolv.conf",
    "./usr/share/doc/*/*.gz",
    "./usr/share/info/*",
    "./usr/share/locale/*",
    "./usr/share/man/*",
    "./var/cache/apt/*",
    "./var/lib/apt/lists/*",
    "./var/log/*",
)


def make_root(wanted: Debian, target: Path, work: Path, log: Path) -> None:
    """Write a tar of a root file system, reduced to the `keep` patterns if any, to `target`; needs root.

    Raises HarnessError when the host's apt sources lack its own release, debootstrap fails, or a `keep` pattern
    matches nothing.
    """
    if os.geteuid() != 0:
        raise HarnessError(
            "Building Debian roots needs root, as debootstrap does. Run `sudo meshdrill images build` once."
        )
    mirror, suite, components = host_release()
    downloads = build_dir() / "debs"  # shared by all roots
    downloads.mkdir(exist_ok=True)
    root = work / "root"
    run(
        [
            "debootstrap",
            "--variant=minbase",
            "--force-check-gpg",
            f"--components={','.join(components)}",
            f"--cache-dir={downloads}",
            f"--include={','.join(wanted.packages)}",
            suite,
            root,
            mirror,
        ],
        timeout_s=_DEBOOTSTRAP_TIMEOUT_S,
        log=log,
    )
    excluded = [f"--exclude={pattern}" for pattern in _LEFT_OUT]
    run(
        ["tar", "--numeric-owner", *excluded, "-C", root, "-cf", target, *kept_paths(root, wanted.keep)],
        timeout_s=_TAR_TIMEOUT_S,
        log=log,
    )


def kept_paths(root: Path, patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the relative paths of a root that its tar contains: those that match a pattern, or all without any."""
    if not patterns:
        return (".",)
    matched = {pattern: sorted(root.glob(pattern)) for pattern in patterns}
    absent = [pattern for pattern, paths in matched.items() if not paths]
    if absent:
        raise HarnessError(
            f"Debian root: nothing matches {', '.join(absent)}; expected a file of this release's packages. Another "
            "release has it elsewhere: adapt `keep` in the recipe."
        )
    return tuple(dict.fromkeys(f"./{path.relative_to(root)}" for paths in matched.values() for path in paths))


def unmount_below(path: Path) -> None:
    """Unmount every file system below a directory, deepest first."""
    inside = f"{path.resolve()}/"
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    for mount in sorted((mount for mount in mounts if mount.startswith(inside)), key=len, reverse=True):
        run(["umount", "--lazy", mount], timeout_s=30)


def host_release() -> tuple[str, str, tuple[str, ...]]:
    """Return the mirror, suite and components that the host's apt sources name for its own release."""
    suite = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    said = run(
        ["apt-get", "indextargets", "--format", "$(SITE)|$(CODENAME)|$(COMPONENT)", "Created-By: Packages"],
        timeout_s=60,
    )
    rows = [line.split("|") for line in said.splitlines() if line.count("|") == 2]  # noqa: PLR2004 - three fields
    mine = [(site, component) for site, codename, component in rows if codename == suite]
    if not suite or not mine:
        raise HarnessError(
            f"The host's apt sources name no mirror of its own release ({suite or 'unknown'}); expected one line of "
            "`apt-get indextargets` with that codename. Add the distribution's source and run `apt-get update`."
        )
    mirror = mine[0][0]
    return mirror, suite, tuple(dict.fromkeys(component for site, component in mine if site == mirror))
