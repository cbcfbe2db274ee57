"""Question: what would windows of ten seconds find sooner than those of a minute, and at what cost?

Counts alone, since they are exact at any length: the errors of calls that arrive at random, for
keys of five volumes, and what is found of two bursts. The same calls are judged at both lengths.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.progress import say
from tokentide_jobs.core.detect.detectors import Detectors
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.detect.window_metrics import METRICS, REQUESTS, metric_at
from tokentide_jobs.core.detect.window_view import ClosedWindow

VOLUMES: Final = (10, 30, 100, 300, 1_000)
"""Requests a minute."""
KEYS_OF_A_VOLUME: Final = 20
LEARNED_MINUTES: Final = 240
BURSTS: Final = {"15_percent": (0.15, 30), "60_percent": (0.60, 100)}
"""Share of errors, and minutes after learning at which it begins."""
BURST_MINUTES: Final = 20
LENGTHS_S: Final = (10, 60)
_MINUTES: Final = 120
_BEGIN_US: Final = 1_795_000_020_000_000
_ERRORS: Final = metric_at("error_ratio")
_USUAL: Final = 0.01


def measure() -> dict[str, object]:
    """Return delays by volume and length, and the CPU of a minute's windows."""
    chance = np.random.default_rng(11)
    per_minute = np.repeat(VOLUMES, KEYS_OF_A_VOLUME)
    keys = [f"tenant=t{n}" for n in range(per_minute.size)]
    judgeable = dataclasses.replace(Parameters(), silent_s=7_200, learning_s=7_200)
    detectors = {s: Detectors(dataclasses.replace(judgeable, window_s=s)) for s in LENGTHS_S}
    cpu_s = dict.fromkeys(LENGTHS_S, 0.0)
    waits: dict[tuple[str, int, int], dict[str, float]] = {}
    false = dict.fromkeys(LENGTHS_S, 0)
    for minute in range(LEARNED_MINUTES + _MINUTES):
        since = {name: minute - LEARNED_MINUTES - at for name, (_share, at) in BURSTS.items()}
        burst = next((name for name, age in since.items() if 0 <= age < BURST_MINUTES), "")
        share = BURSTS[burst][0] if burst else _USUAL
        calls = chance.poisson(per_minute / 6, (6, per_minute.size))
        errors = chance.binomial(calls, share)
        for length_s, detector in detectors.items():
            parts = 60 // length_s
            for part in range(parts):
                here = slice(part * 6 // parts, (part + 1) * 6 // parts)
                start_us = _BEGIN_US + (minute * 60 + part * length_s) * 1_000_000
                window = _window(keys, start_us, length_s, calls[here].sum(0), errors[here].sum(0))
                began = time.process_time()
                judged = detector.judge(window)
                cpu_s[length_s] += time.process_time() - began
                for alarm in judged.alarms:
                    if alarm.change != "opened":
                        continue
                    volume = int(per_minute[keys.index(alarm.key)])
                    if burst and alarm.metric == "error_ratio":
                        wait_s = 60.0 * since[burst] + (part + 1) * length_s
                        first = waits.setdefault((burst, volume, length_s), {})
                        first.setdefault(alarm.key, wait_s)
                    elif all(age < 0 for age in since.values()):
                        false[length_s] += 1
        if minute % 60 == 0:
            say(f"{minute} minutes")
    minutes = LEARNED_MINUTES + _MINUTES
    return {
        "keys": len(keys),
        "false_alarms_before_the_first_burst": {f"{s}_s": false[s] for s in LENGTHS_S},
        "median_delay_s": {
            f"{name}_errors": {
                f"{volume}_requests_a_minute": {
                    f"{s}_s": _median(waits.get((name, volume, s), {})) for s in LENGTHS_S
                }
                for volume in VOLUMES
            }
            for name in BURSTS
        },
        "cpu_ms_a_minute": {f"{s}_s": round(cpu_s[s] / minutes * 1e3, 1) for s in LENGTHS_S},
    }


def _window(
    keys: list[str],
    start_us: int,
    length_s: int,
    calls: NDArray[np.int64],
    errors: NDArray[np.int64],
) -> ClosedWindow:
    values = np.full((len(METRICS), len(keys)), np.nan)
    counts = np.zeros((len(METRICS), len(keys)))
    counts[REQUESTS] = counts[_ERRORS] = calls
    values[REQUESTS] = calls * (60 / length_s)
    values[_ERRORS] = np.where(calls > 0, errors / np.maximum(calls, 1), np.nan)
    return ClosedWindow(start_us, keys, values, counts, True)


def _median(waits: dict[str, float]) -> str:
    """Return the median of the first alarms, and how many keys had one."""
    if not waits:
        return f"none of {KEYS_OF_A_VOLUME}"
    return f"{statistics.median(waits.values()):.0f} ({len(waits)} of {KEYS_OF_A_VOLUME})"
