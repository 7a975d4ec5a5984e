"""The fields that every event has."""

from typing import Literal

import msgspec

from drills.judge.records import Ns

Answered = Literal["accepted", "refused", "failed"]
"""What the API server answered to a write; failed: it could not be reached."""


class Detail(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of one kind of event; some kinds have none."""


class BaseEvent(msgspec.Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True):
    """The fields of every event: the instant, on the clock that all nodes share, and what the event is about."""

    at_ns: Ns
    subject: str
    detail: Detail = Detail()

    @property
    def kind(self) -> str:
        """The kind as on disk."""
        return str(self.__struct_config__.tag)
