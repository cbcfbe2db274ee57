"""The memory of detectors: bytes and back, growth, forgetting, and bytes that are none."""

from __future__ import annotations

import numpy as np
import pytest

from tests.stream_jobs.core.detect.observed_windows import QUICK, windows
from tokentide_jobs.core.detect.detectors import Detectors
from tokentide_jobs.core.detect.state import (
    BYTES_PER_METRIC,
    FIELDS,
    DetectorState,
    UnreadableState,
)
from tokentide_jobs.core.detect.window_metrics import METRICS


def grown() -> DetectorState:
    detectors = Detectors(QUICK)
    for window in windows(40, [f"key-{i}" for i in range(20)]):
        detectors.judge(window)
    return detectors.state


def test_a_metric_of_a_key_takes_at_most_640_bytes() -> None:
    assert BYTES_PER_METRIC <= 640
    one, two = DetectorState(), DetectorState()
    one.places_of(["a"])
    two.places_of(["a", "b"])
    key = len(two.to_bytes()) - len(one.to_bytes()) - len(', "b"')
    assert key == BYTES_PER_METRIC * len(METRICS)


def test_a_state_comes_back_from_its_bytes_bit_for_bit() -> None:
    state = grown()
    data = state.to_bytes()
    restored = DetectorState.from_bytes(data)
    assert restored.to_bytes() == data
    assert restored.keys == state.keys
    assert restored.last_window == state.last_window
    for field in FIELDS:
        assert restored.array(field.name).tobytes() == state.array(field.name).tobytes()


def test_keys_keep_their_places_and_their_memory_while_others_arrive() -> None:
    state = grown()
    before = state.array("season")[:, :, :20].copy()
    assert state.places_of(["key-3", "new", "key-5"]).tolist() == [3, 20, 5]
    assert state.places_of([f"more-{i}" for i in range(100)]).tolist() == list(range(21, 121))
    assert np.array_equal(state.array("season")[:, :, :20], before)
    assert not state.array("season")[:, :, 20:].any()
    assert np.isnan(state.array("low")[:, :, 20:]).all()


def test_forgotten_keys_begin_anew_and_the_others_keep_what_they_learned() -> None:
    state = grown()
    season = state.array("season").copy()
    kept = np.arange(20) != 4
    state.keep_only(kept)
    assert "key-4" not in state.keys
    assert np.array_equal(state.array("season"), season[:, :, kept])
    assert state.places_of(["key-5", "key-4"]).tolist() == [4, 19]
    assert not state.array("updates")[:, :, 19].any()


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b"", "begins with b''"),
        (b"TTD9" + bytes(40), "begins with b'TTD9'"),
        (b"TTD1" + bytes(40), "head of the state"),
        (b"TTD1\x02" + bytes(7) + b"[]", "head of the state"),
    ],
)
def test_bytes_of_another_kind_are_refused_with_the_reason(broken: bytes, reason: str) -> None:
    with pytest.raises(UnreadableState, match=reason):
        DetectorState.from_bytes(broken)


def test_cut_bytes_and_another_layout_are_refused() -> None:
    data = grown().to_bytes()
    with pytest.raises(UnreadableState, match="bytes, expected"):
        DetectorState.from_bytes(data[:-1])
    with pytest.raises(UnreadableState, match="another layout"):
        DetectorState.from_bytes(data.replace(b'"throttle"', b'"throttlf"', 1))
