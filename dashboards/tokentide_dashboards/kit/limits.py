"""From where on a number is bad: the limits that alert rules fire at and boards colour by.

Limits of the pipeline are the defaults of the detect job, so that an engineer sees the same in all
three; `pipeline:` of a detect.yaml changes the detect job alone.
"""

from __future__ import annotations

from typing import Final

from tokentide_dashboards.kit.threshold import Threshold
from tokentide_jobs.core.alert.pipeline_rules import PipelineRules

__all__ = [
    "BUDGET_USED",
    "BURN_FAST",
    "BURN_OF_ERRORS",
    "DEAD_LETTERS_SHARE",
    "FORECAST_SHARE",
    "LATE_S",
    "LOST_SHARE",
    "NO_DETECTOR_S",
    "OBJECTIVE",
    "PIPELINE",
    "SILENT_S",
    "SPENT_SHARE",
    "STALE_S",
    "UNPRICED_SHARE",
    "up_to",
]

PIPELINE: Final = PipelineRules()
"""What the detect job expects of the pipeline."""
_MILLION: Final = 1_000_000

LATE_S: Final = PIPELINE.late_us / _MILLION
"""From a record being in Kafka to its rows."""
DEAD_LETTERS_SHARE: Final = PIPELINE.dead_letters_ppm / _MILLION
UNPRICED_SHARE: Final = PIPELINE.unpriced_ppm / _MILLION
LOST_SHARE: Final = PIPELINE.lost_ppm / _MILLION
SILENT_S: Final = PIPELINE.silent_us / _MILLION
STALE_S: Final = 600
"""Since the last finished batch of any partition."""
NO_DETECTOR_S: Final = 900
"""Since the detect job kept its state."""

BUDGET_USED: Final = 0.8
"""Share of a budget that is worth a ticket."""
SPENT_SHARE: Final = 1.0
FORECAST_SHARE: Final = 1.1
"""Expected spend of a period, as a share of its plan."""

OBJECTIVE: Final = 0.99
"""Share of calls of a model that are to end without an error, where no slos.yaml says another."""
BURN_FAST: Final = 14.4
"""Times the allowed errors: a month's error budget in two days (SRE workbook, chapter 5)."""
_ALLOWED: Final = round(1 - OBJECTIVE, 6)
BURN_OF_ERRORS: Final = Threshold(((_ALLOWED, "orange"), (round(BURN_FAST * _ALLOWED, 6), "red")))
"""Orange: more errors than the objective allows."""


def up_to(limit: float) -> Threshold:
    """Return the colours of a number that is bad from a limit on, and worth a look from a fifth."""
    return Threshold(((limit / 5, "yellow"), (limit, "red")))
