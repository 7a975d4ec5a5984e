"""Install a mesh from its official charts and wait until each of its parts is ready."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec
import yaml

from clusters import volumes
from clusters.authority import DEFAULT_LIVES, authority
from clusters.charts import chart, is_in
from clusters.command import run
from clusters.crds import define
from clusters.errors import HarnessError
from clusters.images.catalogue import chart as chart_named
from clusters.issuance import Authority, IssuerSecret
from clusters.mesh import ChartRelease, Component, Mesh
from clusters.place import Place
from clusters.progress import Steps
from clusters.tools import Tools
from clusters.waiting import wait_until

MANIFESTS = Path(__file__).resolve().parents[1] / "manifests"

_HELM_S = 120.0


class ChartSource(msgspec.Struct, frozen=True):
    """Where the charts come from: a directory, a repository, or (neither) where the images suggest.

    carried: charts that lie beside the image archives; such a one wins over the suggestion, and others may be absent.
    """

    directory: Path | None = None
    repository: str | None = None
    carried: Path | None = None

    @property
    def directories(self) -> tuple[Path, ...]:
        """Return every directory in which something may lie that goes with charts."""
        return tuple(folder for folder in (self.directory, self.carried) if folder is not None)

    def directory_for(self, name: str) -> Path | None:
        """Return the directory from which this chart must come, None when it may come from elsewhere."""
        if self.directory or self.repository or self.carried is None:
            return self.directory
        return self.carried if is_in(name, self.carried) else None


def install(
    place: Place,
    mesh: Mesh,
    *,
    images: Mapping[str, str],
    built: bool,
    charts: ChartSource,
    tools: Tools,
    steps: Steps,
    leaf_s: int = 0,
) -> None:
    """Define the kinds that the mesh reads, install its charts in order, then wait for its components and webhooks.

    `images` maps image names to references that the nodes already hold; `built` says that they are our own builds;
    `leaf_s` is how long a workload's certificate shall live, 0 for as long as the mesh has it by default.
    """
    volumes.lay(place, mesh)
    define(place, mesh.crds, directories=charts.directories, published=not built, steps=steps)
    values = [yaml.safe_load((MANIFESTS / "values" / mesh.values).read_text()), mesh.image_values(images, built)]
    if mesh.issuance is not None:
        made = authority(place.state, mesh.issuance.issuer_name, DEFAULT_LIVES)
        lay_issuer(place, mesh.issuance.secret, made)
        values.append(mesh.issuance.values(made))
    if leaf_s and mesh.leaf_values is not None:
        values.append(mesh.leaf_values(leaf_s))
    with tempfile.TemporaryDirectory(prefix="meshdrill-") as folder:  # for our eyes only: one may hold a key
        files = [Path(folder) / f"{number}.yaml" for number in range(len(values))]
        for release in mesh.charts:
            for file, whole in zip(files, values, strict=True):
                file.write_text(yaml.safe_dump(section(whole, release)))
            with steps.step(f"chart {release.chart}"):
                # Official images go with the charts that their project publishes, our builds with the module's own.
                published = None if built else chart_named(release.chart).repository
                source = chart(
                    release.chart,
                    chart_dir=charts.directory_for(release.chart),
                    repository=charts.repository or published,
                    progress=steps.say,
                )
                arguments: list[str | Path] = [tools.helm, "upgrade", "--install", release.release, source]
                arguments += ["--namespace", release.namespace, "--create-namespace"]
                arguments += ["--kubeconfig", place.kubeconfig]
                arguments += [word for file in files for word in ("--values", file)]
                run(arguments, timeout_s=_HELM_S)
    wait_components(place, mesh, steps)
    with steps.step("webhooks in force"):
        wait_webhooks(place, mesh)


def lay_issuer(place: Place, secret: IssuerSecret, made: Authority) -> None:
    """Lay the issuer where the mesh looks for it as it starts, unless its own chart does."""
    if not secret.anchors:
        return
    texts = {secret.certificate: made.issuer, secret.key: made.issuer_key, secret.anchors: made.anchors}
    named = {"name": secret.name, "namespace": secret.namespace}
    place.kube.apply_all(
        [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": secret.namespace}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": named, "stringData": texts},
        ]
    )


def section(values: Mapping[str, object], release: ChartRelease) -> Mapping[str, object]:
    """Return those of the mesh's values that are this chart's: two charts may mean different things by one key."""
    if not release.section:
        return values
    own = values.get(release.section, {})
    if not isinstance(own, Mapping):
        raise HarnessError(
            f"Values of chart {release.chart} are {own!r}; expected a mapping under the key {release.section}. "
            "This is a defect of meshdrill."
        )
    return own


def wait_components(place: Place, mesh: Mesh, steps: Steps) -> None:
    """Wait for every distinct workload of the mesh; one that plays several roles is waited for once."""
    for component in {(part.namespace, part.name): part for part in mesh.components}.values():
        with steps.step(f"{component.namespace}/{component.name} ready"):
            wait_ready(place, component)


def wait_ready(place: Place, component: Component, *, within_s: float = 120.0) -> None:
    """Wait until every desired replica of the component is ready."""
    wait_until(
        lambda: place.kube.replicas(component),
        lambda seen: seen[0] > 0 and seen[0] == seen[1],
        what=f"{component.kind} {component.namespace}/{component.name} ready (desired, ready)",
        within_s=within_s,
        next_step=f"Look at `kubectl -n {component.namespace} describe pods -l {component.selector}`.",
    )


def wait_webhooks(place: Place, mesh: Mesh) -> None:
    """Wait until each webhook has its CA bundle and its documented failure policy: before that it lets all pass."""
    for webhook in mesh.webhooks:
        kind = f"{webhook.kind.capitalize()}WebhookConfiguration"

        def look(kind: str = kind, name: str = webhook.configuration) -> list[tuple[str, bool]]:
            found = place.kube.get("admissionregistration.k8s.io/v1", kind, name) or {}
            hooks = found.get("webhooks") or []
            return [(hook.get("failurePolicy", ""), bool(hook["clientConfig"].get("caBundle"))) for hook in hooks]

        def ready(seen: list[tuple[str, bool]], wanted: str = webhook.failure_policy) -> bool:
            return bool(seen) and all(policy == wanted and bundle for policy, bundle in seen)

        wait_until(
            look,
            ready,
            what=f"{kind} {webhook.configuration} with failurePolicy {webhook.failure_policy} and a CA bundle",
            within_s=60.0,
        )
