"""Running means that never become denormal: steps too small to matter are left out.

A mean that halves for ever, since nothing happens any more, ends in numbers that processors are a
hundred times slower with; most keys have some metric that is always zero.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["SMALLEST", "move"]

Floats = NDArray[np.float32]

SMALLEST: Final = np.float32(1e-9)


def move(mean: Floats, difference: Floats, share: Floats) -> None:
    """Move means, in place, by a share of a difference; a share of 0 leaves one as it is."""
    step = share * difference
    mean += np.where(np.abs(step) > SMALLEST, step, np.float32(0))
