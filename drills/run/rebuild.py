"""From an experiment.json back to the request that it was made of, to run it again."""

import msgspec
from msgspec.structs import replace

from clusters.runtime import UsageError
from drills.run.experiment import EXTENSION, Json, experiment_of
from drills.run.request import Request
from drills.run.runner import new_run_id

_STEPS = ("steady-state-hypothesis", "method", "rollbacks")


class _Extension(msgspec.Struct, frozen=True):
    name: str
    request: Request | None = None


class _Experiment(msgspec.Struct, frozen=True):
    extensions: tuple[_Extension, ...]


def request_in(experiment: Json) -> Request:
    """Return the request that the experiment carries; UsageError when it carries none that this version knows."""
    try:
        found = msgspec.convert(experiment, _Experiment).extensions
    except msgspec.ValidationError as error:
        raise UsageError(f"The experiment does not carry a run that this version can read: {error}.") from error
    for extension in found:
        if extension.name == EXTENSION and extension.request is not None:
            return extension.request
    raise UsageError(f"The experiment has no extension {EXTENSION!r} with a request: it is no drill.")


def run_anew(experiment: Json) -> Request:
    """Return the request under an id of its own; UsageError when the steps are not those that the request asks for.

    An edited step would run something else than the facts that the judge reads.
    """
    request = request_in(experiment)
    meant = experiment_of(request)
    edited = [part for part in _STEPS if experiment.get(part) != meant[part]]
    if edited:
        raise UsageError(
            f"The experiment's {', '.join(edited)} is not what its request asks for: it was edited, or another version "
            "wrote it. Run an experiment.json as `meshdrill run` leaves it."
        )
    return replace(request, run_id=new_run_id())
