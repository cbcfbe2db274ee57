"""Long measurements report what they are doing, on standard error."""

from __future__ import annotations

import sys


def say(line: str) -> None:
    """Print one line of progress."""
    print(line, file=sys.stderr, flush=True)
