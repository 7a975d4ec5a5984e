"""Image operations of Docker Engine, by the docker client."""

import io
import subprocess
import tarfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import msgspec

from clusters.runtime import HarnessError, answers, run, tail

KEY_LABEL = "meshdrill.recipe"

_QUICK_TIMEOUT_S = 60.0
_INFO_TIMEOUT_S = 5.0
_BUILD_TIMEOUT_S = 900.0
PULL_TIMEOUT_S = 900.0


class _Config(msgspec.Struct, frozen=True):
    Labels: dict[str, str] | None = None


class ImageFacts(msgspec.Struct, frozen=True):
    """Facts of one image in the engine (field names are Docker's)."""

    Id: str
    RepoDigests: tuple[str, ...] | None = None
    Config: _Config | None = None

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the image; empty when it has none."""
        return (self.Config.Labels if self.Config else None) or {}

    @property
    def recipe_key(self) -> str:
        """The key of the recipe that meshdrill built it from, as its label says; "" for any other image."""
        return self.labels.get(KEY_LABEL, "")

    @property
    def digest(self) -> str | None:
        """The registry digest, None if it was not pulled."""
        return self.RepoDigests[0].partition("@")[2] if self.RepoDigests else None


def inspect_image(ref: str) -> ImageFacts | None:
    """Return facts of an image in the engine, or None."""
    said = answers(["docker", "image", "inspect", ref], timeout_s=_QUICK_TIMEOUT_S)
    return msgspec.json.decode(said.encode(), type=tuple[ImageFacts, ...])[0] if said else None


def has_mirror_or_proxy() -> bool:
    """Return whether the engine has a mirror or proxy configured, and so may reach registries that we cannot."""
    fields = "{{if .RegistryConfig}}{{range .RegistryConfig.Mirrors}}{{.}}{{end}}{{end}}{{.HTTPSProxy}}{{.HTTPProxy}}"
    return bool((answers(["docker", "info", f"--format={fields}"], timeout_s=_INFO_TIMEOUT_S) or "").strip())


def tag(ref: str, other: str) -> None:
    """Give an image of the engine another name."""
    run(["docker", "tag", ref, other], timeout_s=_QUICK_TIMEOUT_S)


def remove_others(repository: str, prefix: str, kept: str) -> None:
    """Remove images `repository:prefix*` other than `kept`, as far as no container uses them."""
    said = answers(
        ["docker", "image", "ls", "--format={{.Repository}}:{{.Tag}}", f"--filter=reference={repository}:{prefix}*"],
        timeout_s=_QUICK_TIMEOUT_S,
    )
    for ref in (said or "").split():
        if ref != kept:
            answers(["docker", "image", "rm", ref], timeout_s=_QUICK_TIMEOUT_S)


def pull(ref: str) -> None:
    """Fetch an image from its registry. Raises HarnessError with the registry's answer."""
    run(["docker", "pull", "--quiet", ref], timeout_s=PULL_TIMEOUT_S)


def build_image(
    ref: str, context: Mapping[str, Path | bytes], arguments: Mapping[str, str], labels: Mapping[str, str], log: Path
) -> ImageFacts:
    """Build an image from a streamed context: name in the context -> content.

    Works with the classic builder and with BuildKit. Raises HarnessError with the end of the builder's output.
    """
    words = ["docker", "build", "--tag", ref]
    words += [f"--build-arg={name}={value}" for name, value in arguments.items()]
    words += [f"--label={name}={value}" for name, value in labels.items()]
    _stream([*words, "-"], context, log)
    facts = inspect_image(ref)
    if facts is None:
        raise HarnessError(f"docker build of {ref} ended well and the image is absent (log: {log}).")
    return facts


def _stream(words: list[str], context: Mapping[str, Path | bytes], log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=sink, stderr=subprocess.STDOUT)
        watchdog = threading.Timer(_BUILD_TIMEOUT_S, process.kill)
        watchdog.start()
        try:
            if process.stdin is None:  # pragma: no cover - PIPE was asked for
                raise HarnessError("docker build has no standard input.")
            _write_context(process.stdin, context)
            code = process.wait()
        except BrokenPipeError:  # docker ended early: its log has the reason
            code = process.wait() or 1
        finally:
            watchdog.cancel()
            process.kill()
    if code != 0:
        said = tail(log.read_text(encoding="utf-8", errors="replace"))
        raise HarnessError(f"`{' '.join(words)}` ended with {code} (log: {log}): {said}")


def _write_context(pipe: IO[bytes], context: Mapping[str, Path | bytes]) -> None:
    with pipe, tarfile.open(fileobj=pipe, mode="w|") as archive:
        for name, content in sorted(context.items()):
            if isinstance(content, bytes):
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(_neutral(entry), io.BytesIO(content))
            else:
                archive.add(content, arcname=name, filter=_neutral)


def _neutral(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Normalise owner, time and mode, so that equal content gives an equal layer; a Go module's files are read-only."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mtime = 0
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry
