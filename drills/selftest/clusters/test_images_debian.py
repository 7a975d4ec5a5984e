"""Debian roots: which files a tar contains."""

from pathlib import Path

import pytest

from clusters.images import debian
from clusters.runtime import HarnessError


def test_of_a_root_only_what_is_kept_is_taken(tmp_path: Path) -> None:
    """Patterns choose paths under the root, once each; without any, everything is taken."""
    for name in ("usr/bin/jq", "usr/lib/one/libjq.so.1", "usr/share/doc/jq"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert debian.kept_paths(tmp_path, ("usr/bin/*", "usr/lib/*/libjq.so.*", "usr/bin/jq")) == (
        "./usr/bin/jq",
        "./usr/lib/one/libjq.so.1",
    )
    assert debian.kept_paths(tmp_path, ()) == (".",)


def test_a_root_without_what_is_to_be_kept_is_an_error(tmp_path: Path) -> None:
    """A pattern without a match stops the build and is named in the error."""
    with pytest.raises(HarnessError, match=r"libjq\.so\.\*.*adapt `keep`"):
        debian.kept_paths(tmp_path, ("usr/lib/*/libjq.so.*",))
