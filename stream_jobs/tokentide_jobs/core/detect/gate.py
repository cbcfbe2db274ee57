"""The gate of tier B: a level alarm of a noisy metric counts only beside a new extreme.

An envelope of its own, with a wider margin and an effect that a hit needs. Its bounds are frozen
from the first hit; an excursion that raises no alarm is adopted, so that the daily job that fooled
it once does not fool it again. What belongs to an alarm is not learned.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tokentide_jobs.core.detect.envelope import excess, widen
from tokentide_jobs.core.detect.parameter_columns import Columns
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.detect.running import move
from tokentide_jobs.core.detect.state import NEVER, DetectorState
from tokentide_jobs.core.detect.window_metrics import GATED
from tokentide_jobs.core.detect.window_view import WindowView

__all__ = ["Gate"]

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

_RESIDUAL_RATE: Final = np.float32(0.15)
_SLOW_RATE: Final = np.float32(0.02)


class Gate:
    """The gates of all gated metrics.

    Args:
        parameters: Half-lives and memory.
        columns: The effect and the margin that a hit needs.
    """

    def __init__(self, parameters: Parameters, columns: Columns) -> None:
        slow = parameters.keep(parameters.gate_bound_half_life_s)
        fast = parameters.keep(parameters.level_half_life_s)
        self._keep = np.array([slow, fast, slow, fast], np.float32).reshape(-1, 1, 1)
        self._effects = columns.gate_effect
        self._margin = columns.gate_margin
        self._memory = parameters.gate_memory

    def judge(self, state: DetectorState, view: WindowView) -> Flags:
        """Look at one window of the gated metrics and say which gates are open.

        Args:
            state: Its gate fields change in place.
            view: The window, whose running levels are up to date.
        """
        residual, present = view.drawn[GATED], view.present[GATED]
        averaged, slow = state.array("gate_residual")[0, GATED], state.array("gate_slow")[0, GATED]
        level = state.array("level")[0, GATED]
        is_first = state.array("updates")[0, GATED] == 0
        slow_rate = np.where(is_first, np.float32(1), _SLOW_RATE)
        move(averaged, residual - averaged, _RESIDUAL_RATE * present)
        move(slow, view.shrunk[GATED] - slow, slow_rate * present)
        streams = np.stack([residual, averaged, level - slow, level])
        streams[:, ~present] = np.nan
        low, high = state.array("gate_low")[:, GATED], state.array("gate_high")[:, GATED]
        score = excess(streams, low, high, self._margin)
        is_hit = view.is_judgeable[GATED] & (score >= 1) & (np.abs(residual) >= self._effects)
        since = state.array("since_hit")[0, GATED]
        aged = np.minimum(since.astype(np.int64) + view.elapsed, NEVER)
        np.copyto(since, np.where(is_hit, 0, aged).astype(np.uint8))
        wider = state.array("wider_low")[:, GATED], state.array("wider_high")[:, GATED]
        widen(streams, *wider, self._keep)
        was_recently_hit: Flags = since < self._memory
        return was_recently_hit

    def settle(self, state: DetectorState, is_open: Flags, has_closed: Flags) -> None:
        """Let bounds follow what was seen, but for excursions that are open or were an alarm.

        Args:
            state: Its gate fields change in place.
            is_open: Which gated metrics have an open alarm.
            has_closed: Whose alarm has just ended as an incident.
        """
        bounds = state.array("gate_low")[:, GATED], state.array("gate_high")[:, GATED]
        wide = state.array("wider_low")[:, GATED], state.array("wider_high")[:, GATED]
        for bound, wider in zip(bounds, wide, strict=True):
            np.copyto(wider, bound, where=has_closed)
        pending = state.array("since_hit")[0, GATED] < self._memory
        is_free = ~pending & ~is_open
        for bound, wider in zip(bounds, wide, strict=True):
            np.copyto(bound, wider, where=is_free)
