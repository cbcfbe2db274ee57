"""Examples of every event type: what is taken, and what is refused with which reason."""

from __future__ import annotations

from tokentide_schemas.examples.loading import Example, load_examples

__all__ = ["Example", "load_examples"]
