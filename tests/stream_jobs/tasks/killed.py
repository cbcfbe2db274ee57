"""A task that dies before one of its steps, as if its process had been killed there."""

from __future__ import annotations

import itertools
from collections.abc import Callable


class Killed(Exception):
    """Is raised where the process would have died."""


def dying_at(step: int) -> Callable[[str], None]:
    """Return a `progress` of a task that raises `Killed` before step number `step`."""
    steps = itertools.count()

    def progress(_what: str) -> None:
        if next(steps) == step:
            raise Killed

    return progress
