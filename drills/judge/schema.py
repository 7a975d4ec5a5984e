"""The JSON Schema of a line of events.jsonl, made from drills/judge/events.py.

`python -m drills.judge.schema > reports/events.schema.json` regenerates it.
"""

import sys

import msgspec

from drills.judge.events import Event


def schema() -> bytes:
    """Return the schema as indented JSON with sorted keys."""
    found = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "One line of events.jsonl",
        **msgspec.json.schema(Event),
    }
    return msgspec.json.format(msgspec.json.encode(found, order="sorted"), indent=2) + b"\n"


if __name__ == "__main__":
    sys.stdout.buffer.write(schema())
