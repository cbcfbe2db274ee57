"""How much of a long list of examples a usual run takes: a part, and all of it on demand.

`TOKENTIDE_TEST_EXAMPLES=12` draws twelve times as many examples of each property, and leaves out
nothing of the tables of which a usual run takes a share, and no test that is marked `in_thorough`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

import pytest

_TIMES = int(os.environ.get("TOKENTIDE_TEST_EXAMPLES", "1"))

IS_THOROUGH = _TIMES > 1

in_thorough = pytest.mark.skipif(
    not IS_THOROUGH,
    reason="long: `make thorough` runs it, and a usual run a shorter test of the same",
)
"""Marks a test or a case whose code another one of a usual run goes through, too; it says which."""

Item = TypeVar("Item")


def examples(usual: int) -> int:
    """Return `usual`, times what the environment says."""
    return usual * _TIMES


def share(items: Sequence[Item], of: int, first: int = 0) -> Sequence[Item]:
    """Return one in `of` items from number `first` on; all of them in a thorough run.

    Where items are all pairs of two lists, take an `of` that shares no factor with the length of
    the inner one: then every member of either list is met.
    """
    return items if IS_THOROUGH else items[first % of :: of]
