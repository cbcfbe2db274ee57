"""Everything that is decided by, of one installation: detect.yaml as one frozen object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tokentide_jobs.core.alert.pipeline_rules import PipelineRules
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.guard.rules import GuardRules
from tokentide_jobs.core.merge.key_levels import DEFAULT_LEVELS, KeyLevel

__all__ = ["DetectRules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectRules:
    """The rules of detection.

    Attributes:
        guard: What runs are held to.
        levels: What windows are summed by.
        settle_us: How long after its end a window waits for events that are under way. Ingest asks
            where logs end at just that time (`progress_marks._AFTER_S`): change both defaults.
        longest_call_us: Calls that began longer ago than this count in no window.
        parameters: What detectors decide by.
        pipeline: What is expected of the pipeline itself.
        time: What closes windows: the clock of whoever stores events, or, where recorded traffic is
            sent faster than life, the times of events. Fixed while a worker runs.
    """

    guard: GuardRules = field(default_factory=GuardRules)
    levels: tuple[KeyLevel, ...] = DEFAULT_LEVELS
    settle_us: int = 1_000_000
    longest_call_us: int = 300_000_000
    parameters: Parameters = field(default_factory=Parameters)
    pipeline: PipelineRules = field(default_factory=PipelineRules)
    time: Literal["clock", "recorded"] = "clock"
