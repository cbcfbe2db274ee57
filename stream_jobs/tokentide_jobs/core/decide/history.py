"""What detectors learn from stored windows: an installation with history is guarded at once.

It is the same update as that of the stream, window by window, and silent: what it finds lies in the
past. Keys of a level that was watched for long enough keep what the stream taught them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from tokentide_jobs.core.detect.detectors import Detectors
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.detect.state import DetectorState
from tokentide_jobs.core.detect.window_view import ClosedWindow
from tokentide_jobs.core.merge.key_levels import KeyLevel, dimensions_of
from tokentide_jobs.core.merge.window_merge import MergedWindow
from tokentide_jobs.core.tables import DAY_S, HOUR_US

__all__ = ["learn_history", "stride_for", "unlearned_levels"]

_STRIDES: Final = (1, 7, 13, 29, 59, 119, 233, 353)
"""One of so many windows is learned. None shares a factor with the 60 or 360 windows of an hour, so
that each of them has its turn."""
_MOST_WINDOWS: Final = 2_000
_MOST_ROWS: Final = 2_000_000
_MOST_UPDATES: Final = 4_000_000
"""Windows times series: every key is updated in every window."""


def stride_for(windows: int, rows: int, series: int, length_us: int) -> int:
    """Return of how many stored windows one is learned, so that it takes seconds.

    One an hour is learned at least, however many rows there are.

    Args:
        windows: How many are stored.
        rows: Of all of them.
        series: How many different ones there are.
        length_us: Of a window.
    """
    least = max(windows / _MOST_WINDOWS, rows / _MOST_ROWS, windows * series / _MOST_UPDATES)
    strides = [stride for stride in _STRIDES if stride * length_us < HOUR_US]
    return next((stride for stride in strides if stride >= least), strides[-1])


def unlearned_levels(
    state: DetectorState,
    levels: Sequence[KeyLevel],
    stored_from_us: int,
    until_us: int,
    parameters: Parameters,
) -> list[KeyLevel]:
    """Return the levels that stored windows can teach: those that may raise nothing yet.

    Args:
        state: What was learned.
        levels: What windows are summed by.
        stored_from_us: Start of the oldest window that is stored.
        until_us: The stream has come so far.
        parameters: When a metric of a key may raise an alarm.
    """
    length_us = parameters.window_s * 1_000_000
    updates, first = state.array("updates")[0], state.array("first_window")[0].astype(np.int64)
    oldest = np.where(updates > 0, first, np.iinfo(np.int64).max).min(axis=0, initial=1 << 62)
    since_us = dict.fromkeys(levels, until_us)
    for key, window in zip(state.keys, oldest.tolist(), strict=True):
        level = tuple(dimensions_of(key))
        if level in since_us:
            since_us[level] = min(since_us[level], window * length_us)
    return [
        level
        for level, us in since_us.items()
        if us > until_us - parameters.silent_s * 1_000_000
        and _is_worth(us, until_us, stored_from_us)
    ]


def learn_history(
    state: DetectorState,
    levels: Sequence[KeyLevel],
    windows: Iterable[MergedWindow],
    parameters: Parameters,
) -> int:
    """Learn windows, oldest first, in the place of what the keys of some levels have learned.

    Args:
        state: Changed in place.
        levels: What the windows are summed by.
        windows: Those that are stored.
        parameters: What detectors decide by.

    Returns:
        How many windows there were; after none, nothing has changed.
    """
    learned = set(levels)
    kept = np.array([tuple(dimensions_of(key)) not in learned for key in state.keys], bool)
    room = max(1, parameters.most_keys - int(kept.sum()))
    detectors, count = Detectors(replace(parameters, most_keys=room)), 0
    for window in windows:
        sums = window.sums
        detectors.judge(ClosedWindow(window.start_us, sums.keys, sums.values, sums.counts, True))
        count += 1
    if count:
        state.keep_only(kept)
        state.take_over(detectors.state)
    return count


def _is_worth(since_us: int, until_us: int, stored_from_us: int) -> bool:
    """Return whether stored windows reach back far enough beyond what was watched."""
    return since_us == until_us or stored_from_us < since_us - DAY_S * 1_000_000
