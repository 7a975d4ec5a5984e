"""The committed evidence is what its own history says: every bundle under reports/ is judged again."""

from pathlib import Path

import pytest

from drills.cli_judge import VERDICT_FILE, replay
from drills.judge.history import History

REPORTS = Path(__file__).resolve().parents[2] / "reports"
BUNDLES = sorted(path.parent for path in REPORTS.glob(f"*/*/*/{VERDICT_FILE}"))
_MAX_BYTES = 2_000_000


def test_there_is_evidence() -> None:
    """The repository carries real runs of a mesh and of its control."""
    assert {bundle.parent.name for bundle in BUNDLES} >= {"istio-sidecar", "none"}


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: "/".join(bundle.parts[-3:]))
def test_bundle_is_judged_again_to_the_same_bytes(bundle: Path) -> None:
    """Same history, same claims: the stored verdict, byte for byte."""
    assert replay(History.load(bundle)).encode() == (bundle / VERDICT_FILE).read_bytes()


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: "/".join(bundle.parts[-3:]))
def test_bundle_is_small_enough_to_keep(bundle: Path) -> None:
    """A repository can carry a year of such bundles: each is under 2 MB."""
    assert sum(path.stat().st_size for path in bundle.iterdir()) < _MAX_BYTES
