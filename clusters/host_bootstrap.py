"""Prepare a Debian or Ubuntu host for drills, as root: packages, a running Docker Engine, kernel limits."""

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

import msgspec

from clusters.runtime import HarnessError, Progress, Steps, TimeUpError, answers, run, state_dir, tail, wait_until

BOUNDED_RUNTIME = "meshdrill-bounded"
INOTIFY_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")

# CPU weight of the cgroup of all containers, in cgroup v1 and v2: 16 times that of one process.
_CONTAINER_WEIGHTS = {
    Path("/sys/fs/cgroup/cpu/docker/cpu.shares"): 16 * 1024,
    Path("/sys/fs/cgroup/docker/cpu.weight"): 16 * 100,
}

# Debian package -> a program or file that proves it is installed.
_ENGINE_PACKAGES = {"docker.io": "dockerd", "iptables": "iptables", "jq": "jq"}
_BUILDER_PACKAGES = {
    "debootstrap": "debootstrap",
    "golang-go": "go",
    "gcc": "gcc",
    "libc6-dev": "/usr/include/stdlib.h",
}

_APT_TIMEOUT_S = 600.0
_ENGINE_START_TIMEOUT_S = 60.0


def raise_inotify_limit(instances: int) -> None:
    """Raise fs.inotify.max_user_instances to at least `instances` until the next boot, where root may."""
    if os.geteuid() == 0 and int(INOTIFY_INSTANCES.read_text(encoding="ascii")) < instances:
        INOTIFY_INSTANCES.write_text(str(instances), encoding="ascii")


def raise_container_weight() -> None:
    """Give the containers more CPU weight than one host process; only as root and without systemd.

    Otherwise the kernel gives a whole cluster as much CPU time as one compiler on the host, and callers starve.
    """
    if os.geteuid() == 0 and not _service_manager():
        for weight, value in _CONTAINER_WEIGHTS.items():
            if (weight.parents[1] / "cgroup.procs").exists():
                weight.parent.mkdir(exist_ok=True)  # dockerd uses an existing cgroup unchanged
            if weight.exists():
                weight.write_text(str(value), encoding="ascii")


def builder_lacks() -> tuple[str, ...]:
    """Return the Debian packages that the image builder needs and this host lacks."""
    return tuple(package for package, sign in _BUILDER_PACKAGES.items() if not _has(sign))


def install_builder(progress: Progress) -> None:
    """Install what the image builder needs. Raises HarnessError when this is not Debian or Ubuntu, or not root."""
    _install(builder_lacks(), progress)


def start_engine(*, bounded: bool, progress: Progress) -> None:
    """Install missing packages of Docker Engine, start it and wait until it answers.

    bounded: the engine's default runtime drops capabilities that the host's bounding set lacks.
    Raises HarnessError when this is not Debian or Ubuntu, the caller is not root, or the engine does not answer.
    """
    _require_root_on_debian()
    _install([package for package, sign in _ENGINE_PACKAGES.items() if not _has(sign)], progress)
    if not bounded and answers(["docker", "info"], timeout_s=10) is not None:
        return  # the package's own service started it
    with Steps(progress).step("starting Docker Engine"):
        if _service_manager():
            _start_by_systemd(bounded=bounded)
        else:
            _start_by_hand(bounded=bounded)


def _require_root_on_debian() -> None:
    release = platform.freedesktop_os_release()
    if not {"debian", "ubuntu"} & {release.get("ID", ""), *release.get("ID_LIKE", "").split()}:
        raise HarnessError(
            f"--bootstrap supports Debian and Ubuntu; this is {release.get('PRETTY_NAME', 'another system')}. "
            "Install Docker Engine by this system's own means and run again without --bootstrap."
        )
    if os.geteuid() != 0:
        raise HarnessError("--bootstrap installs packages and starts Docker Engine; run it as root (sudo).")


def _has(sign: str) -> bool:
    return Path(sign).exists() if sign.startswith("/") else shutil.which(sign) is not None


def _service_manager() -> bool:
    return Path("/run/systemd/system").is_dir()


def _install(packages: Sequence[str], progress: Progress) -> None:
    if not packages:
        return
    _require_root_on_debian()
    log = state_dir() / "apt.log"
    settings = {"DEBIAN_FRONTEND": "noninteractive"}
    if not _service_manager():
        settings["RUNLEVEL"] = "1"  # an init script must not start the engine before we choose its runtime
    with Steps(progress).step(f"installing {' '.join(packages)}"):
        for words in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            run(["apt-get", *words], timeout_s=_APT_TIMEOUT_S, environment=settings, log=log)


def _runtime_settings(*, bounded: bool) -> dict[str, object]:
    """Return dockerd's settings; empty on a host that can grant every capability."""
    if not bounded:
        return {}
    # Copied: an installed package may lack the executable bit, and may be upgraded while the engine runs.
    program = state_dir() / "bounded-runc"
    program.write_bytes(files("clusters.images").joinpath("recipes/bounded-runc/runc").read_bytes())
    program.chmod(0o755)
    return {"runtimes": {BOUNDED_RUNTIME: {"path": str(program)}}, "default-runtime": BOUNDED_RUNTIME}


def _start_by_systemd(*, bounded: bool) -> None:
    settings = _runtime_settings(bounded=bounded)
    if settings:
        file = Path("/etc/docker/daemon.json")
        if file.exists():
            raise HarnessError(
                f"{file} exists and this host needs these settings in it: {msgspec.json.encode(settings).decode()}. "
                "Merge them in and run `systemctl restart docker`."
            )
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.encode(settings))
    run(["systemctl", "restart", "docker"], timeout_s=_ENGINE_START_TIMEOUT_S)
    _wait_until_it_answers(state_dir() / "dockerd.log", None)


def _start_by_hand(*, bounded: bool) -> None:
    """Start dockerd in its own session, so that it outlives this process and its terminal."""
    log, config = state_dir() / "dockerd.log", state_dir() / "dockerd.json"
    config.write_bytes(msgspec.json.encode(_runtime_settings(bounded=bounded)))
    with log.open("ab") as sink:
        engine = subprocess.Popen(
            ["dockerd", "--config-file", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
        )
    _wait_until_it_answers(log, engine)


def _wait_until_it_answers(log: Path, engine: subprocess.Popen[bytes] | None) -> None:
    def is_answering() -> bool:
        return answers(["docker", "info"], timeout_s=10) is not None

    def has_ended() -> bool:
        return engine is not None and engine.poll() is not None

    with suppress(TimeUpError):
        answered, _ = wait_until(
            lambda: (is_answering(), has_ended()),
            any,
            what="dockerd answers",
            within_s=_ENGINE_START_TIMEOUT_S,
            every_s=0.2,
        )
        if answered:
            return
    said = tail(log.read_text(encoding="utf-8", errors="replace")) if log.exists() else "see `journalctl -u docker`"
    raise HarnessError(
        f"dockerd did not answer `docker info` within {_ENGINE_START_TIMEOUT_S:.0f} s (log: {log}). It said:\n{said}"
    )
