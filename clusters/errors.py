"""The three ways in which a run can end without a verdict on the mesh."""


class MeshdrillError(Exception):
    """A failure of ours, told to a person: subject, observed, expected, next step."""

    exit_code = 3


class HarnessError(MeshdrillError):
    """The harness could not do its work (exit code 3)."""


class InconclusiveError(MeshdrillError):
    """The harness worked and still could not find out (exit code 2)."""

    exit_code = 2


class CannotRunHereError(InconclusiveError):
    """This machine lacks what the mesh needs: nothing was asked of it, so nothing is known of it (exit code 2)."""


class MissingImagesError(CannotRunHereError):
    """An image can be had from nowhere."""


class UsageError(MeshdrillError):
    """The caller asked for something that does not exist or cannot be (exit code 64)."""

    exit_code = 64
