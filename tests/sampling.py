"""How many examples a property test draws: few in a usual run, since every run draws others.

`TOKENTIDE_TEST_EXAMPLES=6` draws six times as many.
"""

from __future__ import annotations

import os

_TIMES = int(os.environ.get("TOKENTIDE_TEST_EXAMPLES", "1"))


def examples(usual: int) -> int:
    """Return `usual`, times what the environment says."""
    return usual * _TIMES
