"""Measured latency and failures of hosted providers, joined to calls that recorded none.

From the llmperf leaderboard (2,845 calls to 8 providers, December 2023): for each provider the
pairs (time to first token, seconds per further token) that were seen together, and over all
providers how often an attempt fails and how long failures run on.
"""

from __future__ import annotations

import csv
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokentide_jobs.replay.formats.trace import Source, bad_line, number_of, open_text

__all__ = ["JOINED", "SOURCE", "Bursts", "Measurements", "load"]

SOURCE = Source(
    "LLMPerf leaderboard, provider latencies of December 2023",
    "Apache-2.0",
    "https://github.com/ray-project/llmperf-leaderboard",
)
JOINED = (
    "latency of chat and reasoning calls, and of agent calls that recorded none: time to first "
    "token and pace of one llmperf measurement each, times the output tokens",
    "failures of chat and reasoning calls: attempts fail at llmperf's rates and in runs of its "
    "length, clients retry twice with back-off; agent calls keep their recorded outcome",
)


@dataclass(frozen=True, slots=True)
class FailureRate:
    """How often one kind of failure hits an attempt, and how many in a row."""

    share: float
    mean_run: float


@dataclass(frozen=True, slots=True)
class Measurements:
    """What the file holds.

    Attributes:
        pace: By provider: (time to first token in s, seconds per further token), as measured.
        rate_limited: Attempts answered with 429.
        other: Attempts that failed in any other way.
    """

    pace: dict[str, Sequence[tuple[float, float]]]
    rate_limited: FailureRate
    other: FailureRate


class Bursts:
    """Failures in runs: a chain of two states whose share and mean run are the recorded ones."""

    __slots__ = ("_begin", "_end", "_is_on", "_share")

    def __init__(self, rate: FailureRate, scale: float) -> None:
        """Set the chain up; `scale` multiplies the share, 0 means never."""
        self._share = min(0.95, rate.share * scale)
        self._end = 1.0 / max(1.0, rate.mean_run)
        self._begin = min(1.0, self._end * self._share / (1.0 - self._share))
        self._is_on = False

    def attempt(self, rng: random.Random) -> bool:
        """Say whether the next attempt fails."""
        number = rng.random()
        self._is_on = number >= self._end if self._is_on else number < self._begin
        return self._is_on

    def attempt_after(self, steps: int, rng: random.Random) -> bool:
        """Say whether a retry fails, when `steps` attempts of others went by in between."""
        if not self._share:
            return False
        memory: float = (1.0 - self._end - self._begin) ** steps
        start = 1.0 if self._is_on else 0.0
        return rng.random() < self._share + (start - self._share) * memory


def load(path: Path) -> Measurements:
    """Read the measurements.

    Raises:
        ConfigError: A line cannot be read; file and line are named.
    """
    name = str(path)
    pace: dict[str, list[tuple[float, float]]] = defaultdict(list)
    codes: dict[tuple[str, str], list[str]] = defaultdict(list)
    with open_text(path) as file:
        rows = csv.DictReader(file)
        for row in rows:
            line = rows.line_num
            if None in row or None in row.values():
                raise bad_line(name, line, f"expected {len(rows.fieldnames or ())} columns")
            codes[row["provider"], row["model"]].append(row["error_code"])
            if row["error_code"]:
                continue
            first_s, whole_s, made = (
                number_of(row[column], column, name, line)
                for column in ("ttft_s", "end_to_end_latency_s", "output_tokens")
            )
            if made > 1 and whole_s > first_s > 0:
                pace[row["provider"]].append((first_s, (whole_s - first_s) / (made - 1)))
    return Measurements(
        pace=dict(pace),
        rate_limited=_rate(list(codes.values()), lambda code: code == "429"),
        other=_rate(list(codes.values()), lambda code: code not in ("", "429")),
    )


def _rate(series: list[list[str]], is_failure: Callable[[str], bool]) -> FailureRate:
    """Count failures and runs of them; a run ends with its series (one provider and model)."""
    attempts = failed = runs = 0
    for codes in series:
        was_failure = False
        for code in codes:
            now = is_failure(code)
            attempts += 1
            failed += now
            runs += now and not was_failure
            was_failure = now
    return FailureRate(failed / attempts if attempts else 0.0, failed / runs if runs else 1.0)
