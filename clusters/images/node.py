"""Node images: import other images into a kind node image with the node's own containerd."""

import re
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from clusters.images import engine, recipe
from clusters.runtime import HarnessError, answers, run, wait_until

_CTR = ("ctr", "--namespace", "k8s.io", "images")
_QUICK_TIMEOUT_S = 60.0
_IMPORT_TIMEOUT_S = 600.0
_POLL_S = 0.2
_ENTRYPOINT = 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]'


def bake(base: str, target: str, carried: Mapping[str, tuple[str, ...]], *, bounded: bool, label: str) -> None:
    """Commit `target`: node image `base` with images of the engine in its containerd.

    carried: reference in the engine -> names in the node. bounded: install the capability-bounded runtime before runc
    on the PATH. label: value of the image's recipe-key label. Raises HarnessError when a step fails; only the finished
    image remains.
    """
    with _container(base) as container:
        if bounded:
            _install_bounded_runtime(container)
        if carried:
            with _containerd(container):
                _import(container, tuple(carried))
                _rename(container, carried)
        changes = [f"--change={_ENTRYPOINT}", f"--change=LABEL {engine.KEY_LABEL}={label}"]
        run(["docker", "commit", *changes, container, target], timeout_s=_IMPORT_TIMEOUT_S)


def names_in_node(base: str, kubernetes_version: str, programs: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return program -> the image names that kubeadm and containerd expect in a node image."""
    listing = ("config", "images", "list", f"--kubernetes-version={kubernetes_version}")
    wanted = _in_passing(base, "kubeadm", *listing).split()
    settings = _in_passing(base, "cat", "/etc/containerd/config.toml")
    wanted += re.findall(r'sandbox_image\s*=\s*"([^"]+)"', settings)
    names = {program: tuple(ref for ref in wanted if _program(ref) == program) for program in programs}
    nameless = sorted(program for program, refs in names.items() if not refs)
    unknown = sorted(ref for ref in wanted if _program(ref) not in programs)
    if nameless or unknown:
        raise HarnessError(
            f"kubeadm {kubernetes_version} needs {unknown}, which the recipe lacks, and does not need {nameless}; "
            "expected exactly the recipe's `preloaded` list. This is a defect of meshdrill."
        )
    return names


def _in_passing(base: str, program: str, *words: str) -> str:
    """Return the output of one program of an image."""
    return run(["docker", "run", "--rm", f"--entrypoint={program}", base, *words], timeout_s=_QUICK_TIMEOUT_S)


def _program(ref: str) -> str:
    return ref.rpartition("/")[2].partition(":")[0]


@contextmanager
def _container(base: str) -> Iterator[str]:
    name = f"meshdrill-bake-{uuid.uuid4().hex[:12]}"
    try:
        options = (f"--name={name}", "--entrypoint=sleep", "--security-opt=seccomp=unconfined")
        run(["docker", "run", "--detach", *options, base, "infinity"], timeout_s=_QUICK_TIMEOUT_S)
        yield name
    finally:
        answers(["docker", "rm", "--force", "--volumes", name], timeout_s=_QUICK_TIMEOUT_S)


def _install_bounded_runtime(container: str) -> None:
    """Install our runtime first on the PATH; a runc at that place moves to a later one, where our runtime finds it."""
    _exec(container, "sh", "-c", "if [ -e /usr/local/sbin/runc ]; then mv /usr/local/sbin/runc /usr/local/bin/runc; fi")
    script = (recipe.recipes_dir() / "bounded-runc" / "runc").read_bytes()
    run(
        ["docker", "exec", "--interactive", container, "cp", "/dev/stdin", "/usr/local/sbin/runc"],
        timeout_s=_QUICK_TIMEOUT_S,
        stdin=script,
    )
    _exec(container, "chmod", "755", "/usr/local/sbin/runc")


@contextmanager
def _containerd(container: str) -> Iterator[None]:
    run(["docker", "exec", "--detach", container, "containerd"], timeout_s=_QUICK_TIMEOUT_S)
    wait_until(
        lambda: _answers(container, "ctr", "version"),
        bool,
        what=f"containerd in {container} answers",
        within_s=60.0,
        every_s=_POLL_S,
    )
    yield
    _exec(container, "pkill", "--exact", "containerd")
    wait_until(
        lambda: not _answers(container, "pgrep", "--exact", "containerd"),
        bool,
        what=f"containerd in {container} writes its store and ends",
        within_s=30.0,
        every_s=_POLL_S,
    )


def _import(container: str, refs: tuple[str, ...]) -> None:
    """Pipe `docker save` into the node's `ctr images import` without unpacking; each node unpacks what it runs."""
    words = ["docker", "exec", "--interactive", container, *_CTR, "import", "--all-platforms", "--no-unpack", "-"]
    with subprocess.Popen(["docker", "save", *refs], stdout=subprocess.PIPE) as saving:
        try:
            done = subprocess.run(
                words, stdin=saving.stdout, capture_output=True, timeout=_IMPORT_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired as late:
            raise HarnessError(f"Importing {', '.join(refs)} took more than {_IMPORT_TIMEOUT_S:.0f} s.") from late
        finally:
            if saving.stdout is not None:
                saving.stdout.close()  # a failed import also ends the save
    if done.returncode != 0 or saving.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise HarnessError(f"Importing {', '.join(refs)} into {container} failed: {said or 'docker save failed'}")


def _rename(container: str, carried: Mapping[str, tuple[str, ...]]) -> None:
    for ref, names in carried.items():
        for name in names:
            if name != ref:
                _exec(container, *_CTR, "tag", ref, name)
        if ref not in names:
            _exec(container, *_CTR, "rm", ref)


def _exec(container: str, *words: str) -> None:
    run(["docker", "exec", container, *words], timeout_s=_QUICK_TIMEOUT_S)


def _answers(container: str, *words: str) -> bool:
    return answers(["docker", "exec", container, *words], timeout_s=10) is not None
