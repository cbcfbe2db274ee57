"""All detectors over closed windows, one after the other: judge, then learn.

A window is judged by what was learned before it. Windows that are not newer than the last are
ignored, so a replay changes nothing; a gap is passed over without learning.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tokentide_jobs.core.detect.alarms import WindowReport
from tokentide_jobs.core.detect.decision import decide
from tokentide_jobs.core.detect.gate import Gate
from tokentide_jobs.core.detect.learning import adopt, learn_window
from tokentide_jobs.core.detect.parameter_columns import Columns
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.detect.rows import alarm_changes, new_extremes
from tokentide_jobs.core.detect.state import DetectorState
from tokentide_jobs.core.detect.tiers import add_evidence, allowed, extremes, follow_levels
from tokentide_jobs.core.detect.window_metrics import GATED, REQUESTS
from tokentide_jobs.core.detect.window_view import ClosedWindow, WindowView, look
from tokentide_jobs.core.tables import DAY_S

__all__ = ["Detectors"]


class Detectors:
    """The detectors of all keys, with their memory.

    Args:
        parameters: What they decide by.
        state: What they remember; None: nothing yet.

    Attributes:
        view: What was seen of the last window that was judged, by the places of the state.
        refused_keys: Keys of that window that were passed over since too many are held.
    """

    def __init__(self, parameters: Parameters, state: DetectorState | None = None) -> None:
        self.state = state or DetectorState()
        self.view: WindowView | None = None
        self.refused_keys = 0
        self._parameters = parameters
        self._columns = Columns(parameters)
        self._gate = Gate(parameters, self._columns)
        slow = parameters.keep(parameters.bound_half_life_s)
        level = parameters.keep(parameters.level_half_life_s)
        self._keep = np.array([slow, level, slow, slow], np.float32).reshape(-1, 1, 1)

    def judge(self, window: ClosedWindow) -> WindowReport:
        """Judge one window of every key, and learn it.

        Returns:
            Alarms that opened or ended, and new extremes; nothing for a window that is not newer
            than the last one.
        """
        state, parameters, columns = self.state, self._parameters, self._columns
        number = window.start_us // (parameters.window_s * 1_000_000)
        if number <= state.last_window:
            return WindowReport((), ())
        elapsed = number - state.last_window if state.last_window >= 0 else 1
        self._forget_the_silent(number)
        state.last_window = number
        window = self._admitted(window)

        self.view = view = look(state, window, number, elapsed, columns, parameters)
        follow_levels(state, view)
        scores = extremes(state, view, self._keep, parameters)
        gate = self._gate.judge(state, view)
        add_evidence(state, view, columns, parameters)
        changes = decide(
            state, number, view.present, allowed(view, gate, columns), columns.thresholds,
            parameters,
        )  # fmt: skip
        is_open, closed = state.array("is_open"), changes.closed
        self._gate.settle(state, (is_open[0] | is_open[1])[GATED], (closed[0] | closed[1])[GATED])
        judged = WindowReport(
            tuple(alarm_changes(state, view, changes, columns, parameters)),
            tuple(new_extremes(state, view, scores)),
        )
        adopt(state, view, changes.adopted, columns)
        learn_window(state, view, columns, parameters)
        return judged

    def _admitted(self, window: ClosedWindow) -> ClosedWindow:
        """Return a window without the new keys that find no room; the busiest come first."""
        state, most = self.state, self._parameters.most_keys
        self.refused_keys = 0
        if len(state.keys) + len(window.keys) <= most:
            return window
        is_known = state.holds(window.keys)
        new, room = np.flatnonzero(~is_known), max(0, most - len(state.keys))
        if new.size <= room:
            return window
        self.refused_keys = new.size - room
        order = np.argsort(-np.nan_to_num(window.values[REQUESTS, new]), kind="stable")
        kept = np.sort(np.concatenate([np.flatnonzero(is_known), new[order[:room]]]))
        keys = [window.keys[place] for place in kept]
        values, counts = window.values[:, kept], window.counts[:, kept]
        return replace(window, keys=keys, values=values, counts=counts)

    def _forget_the_silent(self, number: int) -> None:
        """Drop, once a day, the keys that had no observation for long."""
        state, parameters = self.state, self._parameters
        day = parameters.windows(DAY_S)
        if state.last_window >= 0 and number // day != state.last_window // day:
            seen = state.array("seen_window")[0].max(axis=0).astype(np.int64)
            kept = number - seen <= parameters.windows(parameters.forget_after_s)
            if not kept.all():
                state.keep_only(kept)
