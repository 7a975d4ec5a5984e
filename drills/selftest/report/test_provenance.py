"""Where the parts of a run came from, on every page that names them; and the note on runs of the first edition."""

import re
from pathlib import Path
from typing import Final

import msgspec
import pytest

from clusters.images import build, origins
from clusters.install import InstalledChart
from clusters.provision import Prepared
from drills.cli.environment import run_environment
from drills.report import evidence
from drills.report.index import index_html, index_md
from drills.report.index.cells import read_runs
from drills.report.provenance import (
    NOTE_FILE,
    ChartRecord,
    HarnessRecord,
    ImageRecord,
    OriginRecord,
    edition_of,
)
from drills.report.run_file import Environment, edition, made_of, parts_of, read_environment
from drills.selftest.doubles import outage_bundle
from drills.selftest.doubles.cluster_double import FileCluster, mesh
from drills.selftest.doubles.decision_bundles import section, write
from drills.selftest.doubles.drill_double import MADE_OF
from drills.version import VERSION

D: Final = "sha256:" + "d" * 64
ZTUNNEL = ("istio-ztunnel", "docker.io/istio/ztunnel:1.31.0", "engine", "sha256:1")
BUILT = OriginRecord("build", "ztunnel", recipe_key="0123456789ab", inputs={"ztunnel/Dockerfile": "sha256:00"})
HOME_BUILD = ImageRecord(*ZTUNNEL, came_from=BUILT)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (HOME_BUILD, "built here, not official"),
        (ImageRecord(*ZTUNNEL, D, None, OriginRecord("registry", "docker.io", D), is_official=True), f"official, {D}"),
        (
            ImageRecord(*ZTUNNEL, D, None, OriginRecord("registry", "a.example", D)),
            "from the registry a.example, not shown to be official",
        ),
        (
            ImageRecord(*ZTUNNEL, came_from=OriginRecord("archive", "z.tar", sha256="00")),
            "from an archive, not shown to be official",
        ),
        (
            ImageRecord(*ZTUNNEL, came_from=OriginRecord("archive", "z.tar", recipe_key="0123456789ab")),
            "built by meshdrill elsewhere, from an archive, not official",
        ),
        (
            ImageRecord(*ZTUNNEL, came_from=OriginRecord("unknown")),
            "was in the engine before, origin unknown, not shown to be official",
        ),
        # As the first edition recorded them.
        (ImageRecord(*ZTUNNEL), "was in the engine before, origin unknown, not shown to be official"),
        (ImageRecord(*ZTUNNEL, None, "archive z.tar"), "from an archive, not shown to be official"),
        (ImageRecord("node", "meshdrill.local/kindest/node:v1", "engine", "sha256:2"), "built here, not official"),
    ],
)
def test_an_image_says_whether_it_is_the_official_one(image: ImageRecord, words: str) -> None:
    """A home build never passes for official, nor does an image of which nobody knows where it came from."""
    assert image.standing == words
    assert image.words == f"{image.name} {image.version}, {words}"


def test_a_name_of_ours_is_one_that_no_registry_answers_to() -> None:
    """The builder and the pages agree on it."""
    assert ImageRecord("x", f"{build.OUR_REGISTRY}/x:1", "engine", "sha256:1").standing == "built here, not official"
    assert ImageRecord("node", f"{build.OUR_REGISTRY}/node:linkerd-00", "build", "sha256:1").is_baked


@pytest.mark.parametrize(
    ("version", "words"),
    [("0.1.0", "first edition"), ("0.1.7", "first edition"), ("from a checkout", "first edition"), (VERSION, "")],
)
def test_meshdrill_0_1_recorded_the_first_edition(version: str, words: str) -> None:
    """What is recorded from now on differs from it."""
    assert edition_of(version) == words


def test_a_run_records_everything_that_it_was_made_of(tmp_path: Path) -> None:
    """Images with their origins, charts, Kubernetes and the commit of the harness come back from run.json."""
    inputs = {"ztunnel/Dockerfile": "sha256:00"}
    origin = origins.Origin("build", "ztunnel", recipe_key="0123456789ab", inputs=inputs)
    image = msgspec.structs.replace(MADE_OF.images[0], origin=origin)
    chart = InstalledChart("istiod", "1.31.0", "module:istio:m:p", "aa", "bb")
    provenance = msgspec.structs.replace(MADE_OF, images=(image,), charts=(chart,), kubernetes="v1.34.4")
    found = run_environment(Prepared(FileCluster(tmp_path / "c"), mesh(), provenance), "It holds.", "meshdrill run")
    place = outage_bundle.bundle_of(outage_bundle.outage(), tmp_path / "b")
    evidence.write(place, outage_bundle.verdict_of(outage_bundle.outage()), found)
    stored = read_environment(place)
    assert stored == found
    assert stored.images[1].came_from == BUILT
    assert stored.charts == (ChartRecord("istiod", "1.31.0", "module:istio:m:p", "aa", "bb"),)
    assert (stored.versions["kubernetes"], stored.meshdrill_version, edition(stored)) == ("v1.34.4", VERSION, "")
    assert isinstance(stored.harness, HarnessRecord | None)


def test_the_identity_of_a_version_is_as_before() -> None:
    """Runs of both editions are compared: what was not recorded then does not tell them apart."""
    old = msgspec.structs.replace(outage_bundle.ENVIRONMENT, images=(ImageRecord(*ZTUNNEL),))
    versions = {**old.versions, "kubernetes": "v1.34.4"}
    new = msgspec.structs.replace(old, images=(HOME_BUILD,), versions=versions, charts=(ChartRecord(*"abcde"),))
    assert made_of(old) == made_of(new)
    assert parts_of(old) != parts_of(new)


def reports_of(place: Path, environment: Environment) -> Path:
    """Write a folder of reports with one run of this environment."""
    bundle = place / "test-drill" / "story" / "20260101T000000Z"
    outage_bundle.bundle_of(outage_bundle.outage(), bundle)
    evidence.write(bundle, outage_bundle.verdict_of(outage_bundle.outage()), environment)
    evidence.write_index(place)
    return place


def test_every_page_names_a_home_build_as_one(tmp_path: Path) -> None:
    """Report, page and decision record; the record lists it among what differs from production, too."""
    new = msgspec.structs.replace(
        outage_bundle.ENVIRONMENT,
        meshdrill_version=VERSION,
        images=(HOME_BUILD,),
        charts=(ChartRecord("istiod", "1.31.0", "module:istio:m:p", "a" * 64, "b" * 64),),
        harness=HarnessRecord("c" * 40, is_dirty=True),
    )
    reports = reports_of(tmp_path / "reports", new)
    bundle = reports / "test-drill" / "story" / "20260101T000000Z"
    for name in ("report.md", "report.html"):
        text = (bundle / name).read_text()
        for part in ("built here, not official", "a" * 64, "b" * 64, f"{'c' * 40} with changes"):
            assert part in text, (name, part)
        assert "first edition" not in text
    text = write(reports, tmp_path / "decisions" / "1.md", "--title", "x")
    part = section(text, "## Context")
    assert "istio-ztunnel 1.31.0, built here, not official; chart istiod 1.31.0" in part
    assert re.search(r"\| image istio-ztunnel 1\.31\.0 \| built here, not official \| ztunnel, recipe key 0123", part)
    assert NOTE_FILE not in text


def test_a_run_of_the_first_edition_says_so_wherever_it_is_shown(tmp_path: Path) -> None:
    """Beside the version or the run; the note on its gaps is linked where it lies there."""
    reports = tmp_path / "reports"
    reports.mkdir()
    (reports / NOTE_FILE).write_text("What is missing.")
    reports_of(reports, outage_bundle.ENVIRONMENT)
    bundle = reports / "test-drill" / "story" / "20260101T000000Z"
    assert '<p class="crumb">meshdrill 0.1.0, first edition ·' in (bundle / "report.html").read_text()
    assert "| meshdrill | 0.1.0, first edition |" in (bundle / "report.md").read_text()
    assert "20260101T000000Z, first edition" in (reports / "README.md").read_text()
    assert f"]({NOTE_FILE})" in (reports / "README.md").read_text()
    page = (reports / "index.html").read_text()
    assert page.count("20260101T000000Z, first edition") == 1
    assert page.count("20260101T000000Z</a>, first edition") == 1
    assert f'href="{NOTE_FILE}"' in page
    text = write(reports, tmp_path / "decisions" / "1.md", "--title", "x")
    assert "| 0.1.0, first edition |" in text
    assert f"[{NOTE_FILE}](../reports/{NOTE_FILE})" in text
    (reports / NOTE_FILE).unlink()
    runs = read_runs(reports)
    evidence.write_index(reports)
    assert index_md.render(runs) == (reports / "README.md").read_text()
    assert NOTE_FILE not in index_md.render(runs) + index_html.render(runs, {})
