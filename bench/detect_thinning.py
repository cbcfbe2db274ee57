"""Question: what does it cost in false alarms to learn one stored window of so many?

Clean simulated traffic: the same two weeks are learned whole, and thinned as on a first start; the
three days after them are judged whole.
"""

from __future__ import annotations

import time
from typing import Final

import numpy as np

from bench.progress import say
from tokentide_jobs.core.detect.detectors import Detectors
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.detect.window_metrics import METRICS
from tokentide_jobs.core.simulate.population import KeyGroup, populate
from tokentide_jobs.core.simulate.run import closed_windows
from tokentide_jobs.core.tables import DAY_US, MINUTE_US

STRIDES: Final = (1, 13, 29, 59)
LEARNED_DAYS: Final = 14
JUDGED_DAYS: Final = 3
KEYS_OF_A_VOLUME: Final = 24
GROUPS: Final = (
    KeyGroup("high", "high", KEYS_OF_A_VOLUME),
    KeyGroup("mid", "mid", KEYS_OF_A_VOLUME),
    KeyGroup("low", "low", KEYS_OF_A_VOLUME),
)
SEED: Final = 9_031


def measure() -> dict[str, object]:
    """Return false alarms of the days after, by how many windows one was learned of."""
    chance = np.random.default_rng(SEED)
    population = populate(GROUPS, chance)
    detectors = {stride: Detectors(Parameters()) for stride in STRIDES}
    opened = dict.fromkeys(STRIDES, 0)
    begun, judged_from_us = time.process_time(), 0
    for window in closed_windows(population, (), LEARNED_DAYS + JUDGED_DAYS, chance):
        if not judged_from_us:
            judged_from_us = window.start_us + LEARNED_DAYS * DAY_US
            say(f"{LEARNED_DAYS + JUDGED_DAYS} days")
        for stride, detector in detectors.items():
            if window.start_us < judged_from_us and window.start_us // MINUTE_US % stride:
                continue
            alarms = detector.judge(window).alarms
            if window.start_us >= judged_from_us:
                opened[stride] += sum(alarm.change == "opened" for alarm in alarms)
    return {
        "metric_key_days": len(METRICS) * len(GROUPS) * KEYS_OF_A_VOLUME * JUDGED_DAYS,
        "false_alarms": {f"one_of_{stride}": count for stride, count in opened.items()},
        "cpu_s": round(time.process_time() - begun, 1),
    }
