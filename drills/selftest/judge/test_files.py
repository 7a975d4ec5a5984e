"""The one way to read a file of a bundle and to write a file for people."""

from pathlib import Path

import pytest

from drills.judge import files
from drills.judge.files import FileError, NoFileError


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of each file in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_limit_is_that_of_what_is_read() -> None:
    """A file that reports size 0, as the kernel's own do, is read up to the limit and no further."""
    with pytest.raises(FileError, match="larger than 10 bytes"):
        files.read(Path("/proc/self/maps"), limit_bytes=10)


def test_a_digest_has_a_limit_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is that of a table of calls, whatever size the file shows; what is below has the digest of its bytes."""
    (tmp_path / "empty").touch()
    assert files.digest(tmp_path / "empty").startswith("e3b0c442")
    monkeypatch.setattr(files, "TABLE_BYTES", 10)
    with pytest.raises(FileError, match="larger than 10 bytes"):
        files.digest(Path("/proc/self/maps"))


def test_a_file_that_is_missing_is_told_apart(tmp_path: Path) -> None:
    """For callers that allow a missing file; a link that leads nowhere is not missing."""
    with pytest.raises(NoFileError, match="does not exist"):
        files.read(tmp_path / "none")
    (tmp_path / "none").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileError, match="is a link") as refused:
        files.read(tmp_path / "none")
    assert not isinstance(refused.value, NoFileError)


def test_a_file_is_replaced_and_not_overwritten(tmp_path: Path) -> None:
    """Another name of the same file keeps its bytes, and nothing but the new file is left beside it."""
    (tmp_path / "page").write_text("old")
    (tmp_path / "other").hardlink_to(tmp_path / "page")
    files.write(tmp_path / "page", b"new")
    assert contents(tmp_path) == {"other": b"old", "page": b"new"}


def test_of_several_files_none_is_written_when_one_cannot_be(tmp_path: Path) -> None:
    """All names are looked at before the first is written."""
    (tmp_path / "b").mkdir()
    with pytest.raises(FileError, match="b is a directory"):
        files.write_all(tmp_path, {"a": b"", "b": b""})
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("place", ["missing/page", "file/page"])
def test_a_folder_that_is_none_is_told(place: str, tmp_path: Path) -> None:
    """One sentence names the file and says what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"page cannot be written \(.*\): use a folder that exists"):
        files.write(tmp_path / place, b"")


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No draft is left, and the old bytes are."""
    (tmp_path / "page").write_text("old")

    def full(*_given: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(FileError, match="No space left on device"):
        files.write(tmp_path / "page", b"new")
    assert contents(tmp_path) == {"page": b"old"}


def test_a_path_below_a_file_is_no_file(tmp_path: Path) -> None:
    """What the system refuses to open is an error that names the path, not a traceback."""
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(files.FileError, match="cannot be read"):
        files.read(tmp_path / "file" / "below")
