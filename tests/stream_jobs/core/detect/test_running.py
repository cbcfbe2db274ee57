"""Running means end at their value, or so near to it that the rest slows no arithmetic down."""

from __future__ import annotations

import numpy as np

from tests.stream_jobs.core.detect.observed_windows import READY, ready, windows
from tokentide_jobs.core.detect.running import move

DENORMAL = np.finfo(np.float32).smallest_normal


def test_a_mean_of_zeros_stops_before_it_is_denormal() -> None:
    mean, share = np.ones(3, np.float32), np.full(3, 0.1, np.float32)
    share[2] = 0
    for _ in range(2_000):
        move(mean, np.zeros(3, np.float32) - mean, share)
    assert (mean[:2] < 1e-7).all()
    assert (mean[:2] > DENORMAL).all()
    assert mean[2] == 1


def test_what_fades_in_the_state_ends_in_zero() -> None:
    detectors = ready()
    for name in ("refractory", "throttle"):
        detectors.state.array(name)[:] = 1e-9
    (window,) = windows(1, first=READY, complete=lambda _minute: False)
    window.values[:], window.counts[:] = np.nan, 0
    detectors.judge(window)
    assert not detectors.state.array("refractory").any()
    assert not detectors.state.array("throttle").any()
