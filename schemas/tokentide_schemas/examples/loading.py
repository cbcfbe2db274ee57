"""Read the example files.

One file an example, `<type>/<name>.json`: `about` in words, `event`, `refused` (the reason and the
field, or null) and `beyond_json_schema` where only the models know the rule. They drive the tests
of the models and of the JSON Schemas, and serve as templates for other producers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Example", "load_examples"]


@dataclass(frozen=True, slots=True)
class Example:
    """One example file."""

    name: str
    about: str
    event: dict[str, Any]
    reason: str | None
    """Why it is refused; None for an example that is taken."""
    field: str
    beyond_json_schema: bool
    """The JSON Schema takes it although the models refuse it."""


def load_examples(event_type: str) -> list[Example]:
    """Return the examples of an event type, in order of their names."""
    examples = []
    for path in sorted((Path(__file__).parent / event_type).glob("*.json")):
        content = json.loads(path.read_text())
        refused = content["refused"] or {}
        examples.append(
            Example(
                name=path.stem,
                about=content["about"],
                event=content["event"],
                reason=refused.get("reason"),
                field=refused.get("field", ""),
                beyond_json_schema=content.get("beyond_json_schema", False),
            )
        )
    return examples
