"""Detectors by the length of their windows.

A level is watched in windows of one length, so no key has two detectors, and no alarm comes twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from tokentide_jobs.core.change.cause import Change
from tokentide_jobs.core.decide.contributors import Contributors, providers_of_models
from tokentide_jobs.core.decide.decisions import JudgedWindow
from tokentide_jobs.core.decide.detect_rules import DetectRules
from tokentide_jobs.core.detect.detectors import Detectors
from tokentide_jobs.core.detect.state import DetectorState
from tokentide_jobs.core.detect.window_metrics import METRICS
from tokentide_jobs.core.detect.window_view import ClosedWindow
from tokentide_jobs.core.merge.key_levels import dimensions_of
from tokentide_jobs.core.merge.window_merge import MergedWindow
from tokentide_jobs.core.tables import MINUTE_US

__all__ = ["Watched"]

_PART: Final = "detectors"
"""Of a saved state: that of the first watch; others add their seconds."""


class Watched:
    """The detectors of one installation.

    Args:
        rules: What is watched, in windows of which length.
        states: What is remembered, by length in microseconds; what is missing begins again.

    Attributes:
        by_length: Detectors by the length of their windows in microseconds; the first are those of
            `levels`.
    """

    def __init__(
        self, rules: DetectRules, states: Mapping[int, DetectorState] | None = None
    ) -> None:
        states = states or {}
        self.by_length = {
            one.length_us: Detectors(one.parameters, states.get(one.length_us))
            for one in rules.watches
        }

    @property
    def keys(self) -> int:
        """Return how many keys are watched."""
        return sum(len(one.state.keys) for one in self.by_length.values())

    @property
    def refused_keys(self) -> int:
        """Return how many keys are not watched, since too many are."""
        return sum(one.refused_keys for one in self.by_length.values())

    @property
    def tests(self) -> int:
        """Return how many tests a minute has: metrics of keys, as often as their windows close."""
        return len(METRICS) * sum(
            len(one.state.keys) * MINUTE_US // length for length, one in self.by_length.items()
        )

    def set_rules(self, rules: DetectRules) -> bool:
        """Go on under other rules; what was learned stays, but for levels that are watched no more.

        Returns:
            Whether an alarm was open of a key that is watched no more.
        """
        before = self.open_alarms()
        states = {length: one.state for length, one in self.by_length.items()}
        for watch in rules.watches:
            if (state := states.get(watch.length_us)) is not None:
                # A key of another level would look like one without traffic.
                levels = set(watch.levels)
                kept = [tuple(dimensions_of(key)) in levels for key in state.keys]
                if not all(kept):
                    state.keep_only(np.array(kept, bool))
        self.by_length = Watched(rules, states).by_length
        return self.open_alarms() != before

    def take_lost_alarms(self) -> bool:
        """Tell whether keys with an open alarm were forgotten since this was asked last."""
        states = [one.state for one in self.by_length.values()]
        found = any(state.has_lost_alarms for state in states)
        for state in states:
            state.has_lost_alarms = False
        return found

    def judge(self, window: MergedWindow, changes: tuple[Change, ...]) -> JudgedWindow:
        """Judge a window; what may explain an alarm is known only now.

        Args:
            window: One that has closed.
            changes: What people changed before it: candidate causes.
        """
        sums, detectors = window.sums, self.by_length[window.length_us]
        judged = detectors.judge(
            ClosedWindow(window.start_us, sums.keys, sums.values, sums.counts, True)
        )
        opened = [alarm for alarm in judged.alarms if alarm.change == "opened"]
        if not opened or detectors.view is None:
            return JudgedWindow(window.start_us, window.length_us, sums, judged, self.tests)
        parts = Contributors(detectors.state, detectors.view, providers_of_models(sums))
        contributors = {(one.key, one.metric): parts.of(one, window.length_us) for one in opened}
        return JudgedWindow(
            window.start_us, window.length_us, sums, judged, self.tests, contributors, changes
        )

    def open_alarms(self) -> set[tuple[frozenset[tuple[str, str]], str]]:
        """Return dimensions and metric of every alarm that is open."""
        found = set()
        for detectors in self.by_length.values():
            state = detectors.state
            places = np.argwhere(np.any(state.array("is_open"), axis=0)).tolist()
            found |= {
                (frozenset(dimensions_of(state.keys[key]).items()), METRICS[metric].name)
                for metric, key in places
            }
        return found

    def to_parts(self) -> dict[str, bytes]:
        """Return everything, by the names of parts of a saved state."""
        first = next(iter(self.by_length))
        return {
            _part(length, first): one.state.to_bytes() for length, one in self.by_length.items()
        }

    @classmethod
    def from_parts(cls, parts: Mapping[str, bytes], rules: DetectRules) -> Watched:
        """Return what `to_parts` returned, as it was saved.

        Raises:
            ValueError: A part is of another version, or not whole.
        """
        lengths = [one.length_us for one in rules.watches]
        names = {length: _part(length, lengths[0]) for length in lengths}
        return cls(
            rules,
            {
                length: DetectorState.from_bytes(parts[name])
                for length, name in names.items()
                if name in parts  # there was one length of windows only
            },
        )


def _part(length_us: int, first_us: int) -> str:
    return _PART if length_us == first_us else f"{_PART}_{length_us // 1_000_000}s"
