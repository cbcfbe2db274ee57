"""Everything that is decided by, of one installation: detect.yaml as one frozen object."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from tokentide_jobs.core.alert.pipeline_rules import PipelineRules
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.guard.rules import GuardRules
from tokentide_jobs.core.merge.key_levels import DEFAULT_LEVELS, KeyLevel
from tokentide_jobs.core.tables import WINDOW_S

__all__ = ["DetectRules", "WindowWatch"]


@dataclass(frozen=True, slots=True)
class WindowWatch:
    """What is watched in windows of one length.

    Attributes:
        levels: What these windows are summed by.
        parameters: What detectors decide by; the length is among them.
    """

    levels: tuple[KeyLevel, ...]
    parameters: Parameters

    @property
    def length_us(self) -> int:
        """Return the length of these windows."""
        return self.parameters.window_s * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectRules:
    """The rules of detection.

    Attributes:
        guard: What runs are held to.
        levels: What windows are summed by.
        fast_levels: What windows of ten seconds are summed by; none of `levels`.
        settle_us: How long after its end a window waits for events that are under way. Ingest asks
            where logs end at just that time (`progress_marks._AFTER_S`): change both defaults.
        longest_call_us: Calls that began longer ago than this count in no window.
        parameters: What detectors decide by.
        pipeline: What is expected of the pipeline itself.
        time: What closes windows: the clock of the ingest workers, or, where recorded traffic is
            sent faster than life, the times of events. Fixed while a worker runs.
    """

    guard: GuardRules = field(default_factory=GuardRules)
    levels: tuple[KeyLevel, ...] = DEFAULT_LEVELS
    fast_levels: tuple[KeyLevel, ...] = ()
    settle_us: int = 1_000_000
    longest_call_us: int = 300_000_000
    parameters: Parameters = field(default_factory=Parameters)
    pipeline: PipelineRules = field(default_factory=PipelineRules)
    time: Literal["clock", "recorded"] = "clock"

    @property
    def watches(self) -> tuple[WindowWatch, ...]:
        """Return what is watched by the length of windows; the usual ones come first."""
        fast = replace(self.parameters, window_s=WINDOW_S)
        return WindowWatch(self.levels, self.parameters), WindowWatch(self.fast_levels, fast)
