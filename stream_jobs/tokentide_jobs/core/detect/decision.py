"""From evidence to alarms: when one opens, when it closes, and when its state is the new normal.

An alarm opens once its evidence exceeds the threshold and the effect is large enough; it closes
after some quiet windows at half the threshold, and cannot open again in the cooldown after that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.detect.state import DetectorState

__all__ = ["Changes", "decide"]

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Changes:
    """Which alarms changed in a window: test, metric, key."""

    opened: Flags
    closed: Flags
    adopted: Flags


def decide(
    state: DetectorState,
    number: int,
    present: Flags,
    is_allowed: Flags,
    thresholds: Floats,
    parameters: Parameters,
) -> Changes:
    """Open, close and adopt alarms, in place.

    Args:
        state: Evidence, and what is open.
        number: Of this window.
        present: Metrics of keys with something observed.
        is_allowed: Where an alarm may open: old enough, effect large enough, gate open.
        thresholds: By test and metric.
        parameters: Windows and durations.
    """
    evidence, is_open = state.array("evidence"), state.array("is_open")
    onset, opened_at = state.array("onset_window"), state.array("opened_window")
    closed_at, quiet = state.array("closed_window"), state.array("quiet_windows")

    np.copyto(onset, np.uint32(0), where=evidence == 0)
    np.copyto(onset, np.uint32(number), where=(evidence > 0) & (onset == 0))

    is_rested = number - closed_at.astype(np.int64) > parameters.windows(parameters.cooldown_s)
    opened = ~is_open & is_allowed & (evidence > thresholds) & (is_rested | (closed_at == 0))
    np.copyto(opened_at, np.uint32(number), where=opened)
    is_open |= opened

    is_quiet = is_open & present & (evidence < thresholds / 2)
    counted = np.where(is_quiet, quiet + 1, np.where(is_open & present, 0, quiet))
    np.copyto(quiet, counted.astype(np.uint8))
    closed = is_open & (quiet >= parameters.close_windows)
    age = number - opened_at.astype(np.int64)
    adopted = is_open & ~closed & (age >= parameters.windows(parameters.adopt_after_s))
    ended = closed | adopted
    np.copyto(closed_at, np.uint32(number), where=ended)
    np.copyto(quiet, np.uint8(0), where=ended)
    np.copyto(evidence, np.float32(0), where=adopted)
    is_open &= ~ended
    return Changes(opened, closed, adopted)
