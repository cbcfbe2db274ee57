"""Which narrower keys make up an alarm: their share of what the key is away from the expected.

A key's part is its own difference from its own expectation, weighted by what it was observed on.
Keys that are there only since it began were expected to be nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tokentide_jobs.core.alert.finding import key_text
from tokentide_jobs.core.detect.alarms import AlarmChange
from tokentide_jobs.core.detect.llr import usual_requests
from tokentide_jobs.core.detect.state import DetectorState
from tokentide_jobs.core.detect.window_metrics import (
    COST,
    METRICS,
    RATIOS,
    REQUESTS,
    metric_at,
    to_value,
)
from tokentide_jobs.core.detect.window_view import WindowView
from tokentide_jobs.core.merge.key_levels import dimensions_of
from tokentide_jobs.core.merge.open_windows import WindowFigures

__all__ = ["Contributors", "providers_of_models"]

Floats = NDArray[np.float64]

_MOST: Final = 3
_LEAST: Final = 0.2
"""A smaller share of the difference is none worth naming."""


def providers_of_models(sums: WindowFigures) -> dict[str, str]:
    """Return the provider that carried most requests of each model in a window."""
    best: dict[str, tuple[float, str]] = {}
    for key, requests in zip(sums.keys, sums.values[REQUESTS].tolist(), strict=True):
        named = dimensions_of(key)
        if named.keys() == {"provider", "model"} and requests == requests:  # NaN: none
            known = best.get(named["model"], (0.0, ""))
            best[named["model"]] = max(known, (requests, named["provider"]))
    return {model: provider for model, (_requests, provider) in best.items()}


class Contributors:
    """The keys of one window, to be asked for those that make up its alarms.

    Args:
        state: What the window was judged by, right after it was.
        view: What was seen of it.
        providers: By model, as `providers_of_models` says.
    """

    def __init__(
        self, state: DetectorState, view: WindowView, providers: Mapping[str, str]
    ) -> None:
        self._view = view
        self._first = state.array("first_window")[0]
        self._keys = [_with_provider(dimensions_of(key), providers) for key in state.keys]
        self._place = {key: place for place, key in enumerate(state.keys)}
        self._having: dict[tuple[str, str], list[int]] = defaultdict(list)
        for place, named in enumerate(self._keys):
            for pair in named.items():
                self._having[pair].append(place)

    def of(self, alarm: AlarmChange, window_us: int) -> tuple[str, ...]:
        """Return the narrower keys with the greatest shares, as `model gpt-5 (82 %)`.

        Args:
            alarm: One that opened in this window.
            window_us: Length of a window.
        """
        whole = dimensions_of(alarm.key)
        itself = self._place[alarm.key]
        children = [place for place in self._children(whole) if place != itself]
        if not children:
            return ()
        metric = metric_at(alarm.metric)
        places = np.array([itself, *children])
        parts = self._differences(metric, places, alarm.onset_us // window_us)
        parts = np.maximum(parts if alarm.value > alarm.expected else -parts, 0.0)
        by_level: dict[tuple[str, ...], list[tuple[float, int]]] = defaultdict(list)
        for place, part in zip(children, parts[1:].tolist(), strict=True):
            by_level[tuple(self._keys[place])].append((part, place))
        shares = []
        for found in by_level.values():
            # Parts may outweigh the whole, where others go the other way; quantiles do not add up.
            whole_part = 0.0 if METRICS[metric].histogram else float(parts[0])
            whole_part = max(whole_part, sum(part for part, _place in found))
            shares += [(part / whole_part, place) for part, place in found if whole_part > 0]
        names = [
            (-round(share, 2), len(self._keys[place]), self._name(place, whole))
            for share, place in shares
            if share >= _LEAST
        ]
        return tuple(
            f"{name} ({-100 * share:.0f} %)" for share, _size, name in sorted(names)[:_MOST]
        )

    def _children(self, whole: Mapping[str, str]) -> list[int]:
        """Return the keys with all dimensions of a key, and more."""
        having = [self._having.get(pair, []) for pair in whole.items()]
        return [
            place for place in min(having, key=len) if self._keys[place].items() > whole.items()
        ]

    def _differences(self, metric: int, places: NDArray[np.int64], since: int) -> Floats:
        """Return how far keys are from the expected, weighted; the first is the whole."""
        view = self._view
        values = np.nan_to_num(view.values[metric, places])
        usual = view.usual[metric, places]
        if metric == REQUESTS:
            expected = usual_requests(usual, METRICS[REQUESTS].floor).astype(float)
        elif RATIOS.start <= metric < RATIOS.stop:
            expected = view.ratio[metric - RATIOS.start, places].astype(float)
        else:
            expected = np.array([to_value(metric, one) for one in usual.tolist()])
        is_new = self._first[metric, places] >= since
        is_new[0] = False
        is_count = metric in (REQUESTS, COST)
        expected = np.where(is_new, 0.0 if is_count else expected[0], expected)
        weight = 1.0 if is_count else view.n[metric, places].astype(float)
        differences: Floats = weight * (values - expected)
        return differences

    def _name(self, place: int, whole: Mapping[str, str]) -> str:
        return key_text(
            tuple((name, text) for name, text in self._keys[place].items() if name not in whole)
        )


def _with_provider(named: dict[str, str], providers: Mapping[str, str]) -> dict[str, str]:
    """Return the dimensions of a tenant's model with the provider that carries it."""
    provider = providers.get(named.get("model", ""))
    if provider is None or "tenant" not in named or "provider" in named:
        return named
    return {"provider": provider, **named}
