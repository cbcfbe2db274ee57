"""The faults that detection is measured by, each with the metric that must find it.

Sizes and volumes are those of a reference study whose recall and median delay stand beside them;
its generator was another one, so the two compare as orders of magnitude.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tokentide_jobs.core.simulate.faults import ConditionChange, GroupFault
from tokentide_jobs.core.simulate.population import KeyGroup, Volume

__all__ = ["FAULT_TABLE", "ROWS_BEFORE_END_DAYS", "TableRow"]

_HOUR: Final = 60
_DAY: Final = 24 * _HOUR
ROWS_BEFORE_END_DAYS: Final = 7
"""Short faults begin in the first day of the last week; drifts take all of it."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One fault of the table."""

    name: str
    title: str
    volume: Volume
    watched: tuple[str, ...]
    """Metrics of which one must raise an alarm."""
    effects: tuple[ConditionChange, ...]
    minutes: int
    reference_recall: float
    reference_delay_minutes: float
    """NaN: not stated."""
    ramp_minutes: int = 0
    repeats_days: tuple[int, ...] = (0,)
    """It happens again after so many days."""

    def group(self, size: int) -> KeyGroup:
        """Return the keys it happens to."""
        return KeyGroup(self.name, self.volume, size)

    def faults(self) -> list[GroupFault]:
        """Return it as faults of that group, each at another time of the day for each key."""
        return [
            GroupFault(
                group=self.name,
                title=self.title,
                effects=self.effects,
                minutes=self.minutes,
                before_end_minutes=(ROWS_BEFORE_END_DAYS - repeat) * _DAY,
                scattered_minutes=0 if self.minutes > _DAY else _DAY - self.minutes - _HOUR,
                ramp_minutes=self.ramp_minutes,
            )
            for repeat in self.repeats_days
        ]


def _times(condition: str, factor: float) -> ConditionChange:
    return ConditionChange(condition, "times", factor)


def _to(condition: str, value: float) -> ConditionChange:
    return ConditionChange(condition, "to", value)


_LOOP: Final = (_times("input_tokens", 1.5), _times("output_tokens", 1.5))
_CACHE_FULL: Final = 0.6
_COST: Final = ("cost_usd_per_minute",)
_PRICE: Final = ("unit_price",)
_TOKENS: Final = ("tokens_per_request",)
_TTFT: Final = ("ttft_p50_ms",)
_P95: Final = ("latency_p95_ms",)
_ERRORS: Final = ("error_ratio", "rate_limit_ratio")
_NAN: Final = float("nan")

FAULT_TABLE: Final[tuple[TableRow, ...]] = (
    TableRow("loop", "runaway loop: 3 times the calls, 1.5 times the context", "mid", _COST,
             (_times("requests", 3), *_LOOP), 2 * _HOUR, 1.0, 4),
    TableRow("loop-quiet", "runaway loop of a quiet tenant: 10 times the calls", "low",
             ("requests", *_COST), (_times("requests", 10), *_LOOP), 2 * _HOUR, 1.0, 5),
    TableRow("price-5x", "silent swap of the model: unit price times 5", "mid", _PRICE,
             (_times("price", 5),), 4 * _HOUR, 1.0, 4),
    TableRow("price-1.67x", "silent swap of the model: unit price times 1.67", "mid", _PRICE,
             (_times("price", 1.67),), 4 * _HOUR, 1.0, 4),
    TableRow("price-1.2x", "unit price times 1.2", "high", _PRICE,
             (_times("price", 1.2),), 4 * _HOUR, 1.0, 4),
    TableRow("price-1.67x-quiet", "unit price times 1.67 at a quiet tenant", "low", _PRICE,
             (_times("price", 1.67),), 4 * _HOUR, 8 / 12, 15),
    TableRow("cost-1.67x", "price times 1.67, seen in cost alone", "mid", _COST,
             (_times("price", 1.67),), 4 * _HOUR, 5 / 12, 62),
    TableRow("cost-5x", "price times 5, seen in cost alone", "mid", _COST,
             (_times("price", 5),), 4 * _HOUR, 1.0, 4),
    TableRow("prompt-2x", "prompt regression: twice the tokens a request", "mid", _TOKENS,
             (_times("input_tokens", 2), _times("output_tokens", 2)), 4 * _HOUR, 1.0, 4.5),
    TableRow("prompt-1.3x", "prompt regression: 1.3 times the tokens a request", "high", _TOKENS,
             (_times("input_tokens", 1.3), _times("output_tokens", 1.3)), 4 * _HOUR, 1.0, 5),
    TableRow("brownout", "provider brownout: latency doubles within 10 minutes", "high", _P95,
             (_times("latency_ms", 2),), 45, 1.0, 10, ramp_minutes=10),
    TableRow("brownout-mid", "the same at medium volume", "mid", _P95,
             (_times("latency_ms", 2),), 45, 8 / 12, 13, ramp_minutes=10),
    TableRow("ttft", "time to first token times 1.5", "high", _TTFT,
             (_times("ttft_ms", 1.5),), _HOUR, 11 / 12, 4),
    TableRow("ttft-mid", "the same at medium volume", "mid", _TTFT,
             (_times("ttft_ms", 1.5),), _HOUR, 8 / 12, 10.5),
    TableRow("errors", "burst of 429: 15 % of requests are refused", "high", _ERRORS,
             (_to("rate_limits", 0.15),), 20, 1.0, 3),
    TableRow("errors-mid", "the same at medium volume", "mid", _ERRORS,
             (_to("rate_limits", 0.15),), 20, 1.0, 3),
    TableRow("errors-60-quiet", "60 % errors at a quiet tenant", "low", _ERRORS,
             (_to("errors", 0.6),), 30, 12 / 20, 12.5),
    TableRow("errors-100-quiet", "nothing works at a quiet tenant", "low", _ERRORS,
             (_to("errors", 1.0),), _HOUR, 1.0, 7),
    TableRow("cache", "the prompt cache is hit by 10 % instead of 60 %", "mid",
             ("cache_hit_ratio",), (_times("cached", 0.1 / _CACHE_FULL),), 4 * _HOUR, 1.0, 3),
    TableRow("quality", "scores fall by 0.08, 5 % of answers judged", "high", ("quality_score",),
             (ConditionChange("quality", "plus", -0.08),), 4 * _HOUR, 1.0, 7),
    TableRow("silence", "no request arrives any more", "mid", ("requests",),
             (_times("requests", 0),), 30, 1.0, 3),
    TableRow("price-drift", "unit price grows by 3 % a day", "mid", _PRICE,
             (ConditionChange("price", "daily", 1.03),), 7 * _DAY, 1.0, 2.5 * _DAY),
    TableRow("cost-drift", "traffic, and with it cost, grows by 5 % a day", "mid", _COST,
             (ConditionChange("requests", "daily", 1.05),), 7 * _DAY, 1 / 12, _NAN),
    TableRow("errors-again", "the same burst of errors three times in five days", "high", _ERRORS,
             (_to("errors", 0.15),), 20, 1.0, 3, repeats_days=(0, 2, 4)),
)  # fmt: skip
"""24 rows: the reference's 23, its two volumes of one fault apart."""
