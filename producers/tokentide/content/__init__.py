"""Prompts and responses: counted for sensitive text, and captured where the settings ask for it.

Invariant: a text is never part of an event; it leaves, if at all, on a topic of its own.
"""

from tokentide.content.pending import capture

__all__ = ["capture"]
