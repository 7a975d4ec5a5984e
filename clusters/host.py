"""Inspect this machine, without changing it, and list the gaps that prevent drills."""

import gzip
import os
import platform
import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import requests

from clusters import host_bootstrap, meshes
from clusters.runtime import HarnessError, Progress, answers, cache_dir

MIRROR_VARIABLE = "MESHDRILL_REGISTRY"
MIN_DISK_GIB = 4.0  # for three running nodes; the image builder checks for more
MIN_MEMORY_GIB = 6.0
MIN_INOTIFY_INSTANCES = 512
_REGISTRIES = ("docker.io", "registry.k8s.io")
_REGISTRY_TIMEOUT_S = 5.0
_GIB = 1024**3

# Capabilities by kernel number, as linux/capability.h counts them from 0.
_CAPABILITY_NAMES = """
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
    NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
    SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
    MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""

# Feature -> every kernel option it needs, and the module that carries it (None: never a module).
_KERNEL_FEATURES: dict[str, tuple[tuple[str, ...], str | None]] = {
    "BTF": (("CONFIG_DEBUG_INFO_BTF",), None),
    "TC": (("CONFIG_NET_SCH_INGRESS", "CONFIG_NET_CLS_BPF"), "sch_ingress"),
    "TPROXY": (("CONFIG_NETFILTER_XT_TARGET_TPROXY",), "xt_TPROXY"),
    "WireGuard": (("CONFIG_WIREGUARD",), "wireguard"),
    "ESP": (("CONFIG_INET_ESP",), "esp4"),
    "netem": (("CONFIG_NET_SCH_NETEM",), "sch_netem"),
}


class Gap(msgspec.Struct, frozen=True):
    """One thing that this machine lacks. fatal: no cluster can run without it."""

    subject: str
    observed: str
    expected: str
    cure: str
    fatal: bool


class HostReport(msgspec.Struct, frozen=True):
    """Facts about this machine at one moment; None if unknown."""

    os: str
    kernel: str
    cpus: int
    memory_gib: float
    disk_free_gib: float
    engine_version: str | None
    engine_runtime: str | None
    cgroup_version: int
    missing_capabilities: tuple[str, ...]
    kernel_features: dict[str, bool]
    registry_reachable: dict[str, bool]
    inotify_instances: int
    builder_lacks: tuple[str, ...] = ()


def inspect() -> HostReport:
    """Inspect the machine. An engine that does not answer costs 10 s, a registry 5 s."""
    engine = _engine()
    disks = [cache_dir(), *([Path(engine.root)] if engine.root and Path(engine.root).is_dir() else [])]
    return HostReport(
        os=platform.freedesktop_os_release().get("PRETTY_NAME", "unknown Linux"),
        kernel=platform.release(),
        cpus=len(os.sched_getaffinity(0)),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB, 1),
        disk_free_gib=round(min(shutil.disk_usage(disk).free for disk in disks) / _GIB, 1),
        engine_version=engine.version,
        engine_runtime=engine.runtime,
        cgroup_version=2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1,
        missing_capabilities=missing_capabilities(),
        kernel_features=kernel_features(),
        registry_reachable=_reachable([os.environ.get(MIRROR_VARIABLE, ""), *_REGISTRIES]),
        inotify_instances=_read_number(host_bootstrap.INOTIFY_INSTANCES),
        builder_lacks=host_bootstrap.builder_lacks(),
    )


def missing_kernel_features(needed: Sequence[str]) -> str:
    """Return a phrase that names the needed features that this kernel lacks, "" when it has all."""
    lacking = [name for name, has in (kernel_features() if needed else {}).items() if name in needed and not has]
    return f"the kernel of this machine, {platform.release()}, has no {' and no '.join(lacking)}" if lacking else ""


def missing_capabilities() -> tuple[str, ...]:
    """Return the capabilities missing from this process's bounding set (`CapBnd`), e.g. CAP_SYS_RESOURCE."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    line = next(line for line in status.splitlines() if line.startswith("CapBnd:"))
    bounding = int(line.split()[1], 16)
    return tuple(f"CAP_{name}" for number, name in enumerate(_CAPABILITY_NAMES.split()) if not bounding >> number & 1)


def gaps(report: HostReport) -> list[Gap]:
    """Return the machine's gaps, fatal ones first."""
    found = [*_engine_gaps(report), *_size_gaps(report), *_feature_gaps(report)]
    return sorted(found, key=lambda gap: not gap.fatal)


def ensure(*, bootstrap: bool, progress: Progress) -> HostReport:
    """Return the report of a host that can run drills; with bootstrap, first prepare it (Debian or Ubuntu, as root).

    Idempotent. Raises HarnessError with each fatal gap that remains; it names `--bootstrap` if that would help.
    """
    report = inspect()
    if bootstrap:
        host_bootstrap.raise_inotify_limit(MIN_INOTIFY_INSTANCES)
        host_bootstrap.raise_container_weight()
        if report.engine_version is None:
            host_bootstrap.start_engine(bounded=bool(report.missing_capabilities), progress=progress)
        if not any(report.registry_reachable.values()):
            host_bootstrap.install_builder(progress)
        report = inspect()
    fatal = [gap for gap in gaps(report) if gap.fatal]
    if fatal:
        raise HarnessError("\n".join(_sentence(gap) for gap in fatal))
    return report


def render(report: HostReport) -> str:
    """Return the text of `meshdrill doctor`: facts, then gaps with their cures."""
    features = ", ".join(f"{name} {'yes' if has else 'NO'}" for name, has in report.kernel_features.items())
    registries = ", ".join(f"{name} {'yes' if up else 'NO'}" for name, up in report.registry_reachable.items())
    without = ", ".join(report.missing_capabilities)
    facts = {
        "system": f"{report.os}, kernel {report.kernel}, {report.cpus} CPUs, {report.memory_gib} GiB memory",
        "free disk": f"{report.disk_free_gib} GiB at {cache_dir()}",
        "Docker Engine": f"{report.engine_version or 'none answers'} (runtime {report.engine_runtime or '-'})",
        "cgroup": f"v{report.cgroup_version}",
        "capabilities": f"without {without}" if without else "complete",
        "kernel features": features,
        "registries": registries,
        "inotify": f"{report.inotify_instances} instances per user",
    }
    lines = [f"{name:<16}{value}" for name, value in facts.items()]
    found = [f"{'FATAL' if gap.fatal else 'note'}: {_sentence(gap)}" for gap in gaps(report)]
    return "\n".join([*lines, "", *(found or ["No gaps."])])


def _sentence(gap: Gap) -> str:
    return f"{gap.subject}: {gap.observed}; expected {gap.expected}. {gap.cure}"


def _engine_gaps(report: HostReport) -> Iterable[Gap]:
    if report.engine_version is None:
        yield Gap(
            subject="Docker Engine",
            observed="none answers `docker version`",
            expected="a running engine",
            cure="Start it, or run again with --bootstrap (Debian or Ubuntu, as root) to install and start it.",
            fatal=True,
        )
    elif report.missing_capabilities and report.engine_runtime != host_bootstrap.BOUNDED_RUNTIME:
        yield Gap(
            subject="Docker Engine",
            observed=f"runtime {report.engine_runtime} on a host without {', '.join(report.missing_capabilities)}",
            expected=f"default runtime {host_bootstrap.BOUNDED_RUNTIME}, else no privileged container can start",
            cure="Stop this engine and run again with --bootstrap.",
            fatal=True,
        )


def _size_gaps(report: HostReport) -> Iterable[Gap]:
    if report.disk_free_gib < MIN_DISK_GIB:
        yield Gap(
            subject="Free disk",
            observed=f"{report.disk_free_gib} GiB at {cache_dir()}",
            expected=f"{MIN_DISK_GIB:.0f} GiB for a cluster",
            cure="Free some, or point MESHDRILL_CACHE at a larger disk.",
            fatal=True,
        )
    if report.memory_gib < MIN_MEMORY_GIB:
        yield Gap(
            subject="Memory",
            observed=f"{report.memory_gib} GiB",
            expected=f"{MIN_MEMORY_GIB:.0f} GiB for three nodes with a mesh and the lab",
            cure="Use a larger machine; on this one verdicts may be INCONCLUSIVE.",
            fatal=False,
        )
    if report.inotify_instances < MIN_INOTIFY_INSTANCES:
        yield Gap(
            subject="fs.inotify.max_user_instances",
            observed=str(report.inotify_instances),
            expected=f"{MIN_INOTIFY_INSTANCES} for three nodes with all their pods",
            cure=f"Run `sysctl fs.inotify.max_user_instances={MIN_INOTIFY_INSTANCES}`, or use --bootstrap.",
            fatal=False,
        )


def _feature_gaps(report: HostReport) -> Iterable[Gap]:
    absent = [name for name, has in report.kernel_features.items() if not has]
    unable_here = [name for name in meshes.names() if set(absent) & set(meshes.load(name).install.kernel_features)]
    if absent:
        yield Gap(
            subject="Kernel",
            observed=f"no {', '.join(absent)} in {report.kernel}",
            expected="every feature that a mesh or drill may require",
            cure=f"Meshes that cannot run here: {', '.join(unable_here) or 'none'}. Use a stock distribution kernel.",
            fatal=False,
        )
    unreachable = [name for name, up in report.registry_reachable.items() if not up]
    if unreachable:
        yield Gap(
            subject="Container registries",
            observed=f"{', '.join(unreachable)} not reachable",
            expected="a registry, an archive directory or package registries",
            cure="Give --images DIR or --registry-mirror HOST, or let the images be built from package registries.",
            fatal=False,
        )
    if unreachable and report.builder_lacks:
        yield Gap(
            subject="Image builder",
            observed=f"no {', '.join(report.builder_lacks)}",
            expected="these packages, to build images from package registries",
            cure="Install them, or use --bootstrap (Debian or Ubuntu, as root); images from elsewhere need none.",
            fatal=False,
        )


class _Engine(msgspec.Struct, frozen=True):
    version: str | None = msgspec.field(default=None, name="ServerVersion")
    runtime: str | None = msgspec.field(default=None, name="DefaultRuntime")
    root: str | None = msgspec.field(default=None, name="DockerRootDir")


def _engine() -> _Engine:
    """Query the engine; without one, `docker info` still succeeds, with empty fields."""
    said = answers(["docker", "info", "--format", "{{json .}}"], timeout_s=10)
    found = msgspec.json.decode(said.encode(), type=_Engine) if said else _Engine()
    return found if found.version else _Engine()


def kernel_features() -> dict[str, bool]:
    """Return feature -> whether this machine's kernel has it."""
    options = _kernel_options()
    return {name: _has_feature(name, wanted, module, options) for name, (wanted, module) in _KERNEL_FEATURES.items()}


def _has_feature(name: str, wanted: tuple[str, ...], module: str | None, options: dict[str, str]) -> bool:
    if name == "BTF":
        return Path("/sys/kernel/btf/vmlinux").exists()
    if not options:  # no readable kernel configuration: look for the module
        return module is not None and answers(["modinfo", module], timeout_s=5) is not None
    states = {options.get(option, "n") for option in wanted}
    if states <= {"y"}:
        return True
    # CONFIG_X=m is useless without the module's file, which many virtual machines lack.
    return "n" not in states and module is not None and answers(["modinfo", module], timeout_s=5) is not None


def _kernel_options() -> dict[str, str]:
    compressed, plain = Path("/proc/config.gz"), Path(f"/boot/config-{platform.release()}")
    if compressed.exists():
        text = gzip.decompress(compressed.read_bytes()).decode()
    elif plain.exists():
        text = plain.read_text(encoding="utf-8")
    else:
        return {}
    return dict(line.split("=", 1) for line in text.splitlines() if line.startswith("CONFIG_") and "=" in line)


def _reachable(registries: Iterable[str]) -> dict[str, bool]:
    names = [name for name in registries if name]
    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(registry_answers, names), strict=True))


def registry_answers(registry: str, timeout_s: float = _REGISTRY_TIMEOUT_S) -> bool:
    """Return whether a container registry (HOST[:PORT]) answers."""
    host = "registry-1.docker.io" if registry == "docker.io" else registry
    scheme = "http" if host.partition(":")[0] in {"127.0.0.1", "localhost"} else "https"
    try:
        status = requests.get(f"{scheme}://{host}/v2/", timeout=timeout_s).status_code
    except requests.RequestException:
        return False
    return status in {200, 401}  # 401: a registry that requires authentication


def _read_number(path: Path) -> int:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0
