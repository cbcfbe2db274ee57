"""How a call without recorded latency or outcome went: pace, retries and failures, by seed.

An attempt fails at the rates llmperf measured, in runs; the client tries three times with
exponential back-off, as the official SDKs do. A call fails when all attempts do.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from tokentide_jobs.replay.llmperf import Bursts, Measurements

__all__ = ["AttemptResult", "AttemptResults"]

_ATTEMPTS: Final = 3
_BACKOFF_S: Final = (0.5, 1.0)
"""Pause before the second and third attempt; jitter takes off up to a quarter."""
_STEPS_BETWEEN: Final = (4, 8)
"""Attempts of other calls that go by during a pause: a retry does not sit in the same instant."""
_TIMEOUT_S: Final = 30.0

_OTHER_FAILURES: Final = (
    (0.45, "server_error", "internal_error", 500),
    (0.70, "overloaded", "overloaded_error", 529),
    (0.90, "timeout", "request_timeout", 408),
    (1.00, "connection", "connection_reset", None),
)
"""Names for llmperf's failures other than 429, which it does not name: (up to share, …)."""


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """What became of one call; times in seconds."""

    duration_s: float
    ttft_s: float | None
    retries: int
    error_type: str = ""
    error_code: str = ""
    http_status: int | None = None
    retry_after_ms: float | None = None


class AttemptResults:
    """Draws outcomes; one chain of failures for each provider.

    Args:
        measured: Pace and failure rates.
        seed: The same seed draws the same outcomes for the same calls.
        failure_scale: 1 keeps the measured rates, 0 lets nothing fail.
    """

    def __init__(self, measured: Measurements, seed: int, failure_scale: float) -> None:
        self._measured = measured
        self._scale = failure_scale
        self._rng = random.Random(f"{seed}:outcomes")  # noqa: S311 - a simulation, not a secret
        self._chains: dict[str, tuple[Bursts, Bursts]] = {}

    def pace(self, pace_of: str, output_tokens: int) -> tuple[float, float]:
        """Return (time to first token, whole duration) of a call that went well."""
        measured = self._measured.pace[pace_of]
        first_s, per_token_s = measured[int(self._rng.random() * len(measured))]
        return first_s, first_s + per_token_s * max(0, output_tokens - 1)

    def of(self, provider: str, pace_of: str, output_tokens: int) -> AttemptResult:
        """Return what became of the next call to a provider."""
        rng = self._rng
        limited, other = self._chain(provider)
        spent_s = 0.0
        # Both chains advance with every call, whatever the other says.
        failure = (limited.attempt(rng), other.attempt(rng))
        for retry in range(_ATTEMPTS):
            first_s, whole_s = self.pace(pace_of, output_tokens)
            if not any(failure):
                return AttemptResult(spent_s + whole_s, spent_s + first_s, retry)
            spent_s += first_s
            if retry < _ATTEMPTS - 1:
                spent_s += _BACKOFF_S[retry] * (1 - rng.random() / 4)
                steps = _STEPS_BETWEEN[retry]
                failure = (limited.attempt_after(steps, rng), other.attempt_after(steps, rng))
        return self._failed(failure[0], spent_s)

    def _failed(self, is_rate_limit: bool, spent_s: float) -> AttemptResult:
        retries = _ATTEMPTS - 1
        if is_rate_limit:
            wait_ms = 1_000.0 * (1 + int(self._rng.random() * 20))
            return AttemptResult(
                spent_s, None, retries, "rate_limit", "rate_limit_exceeded", 429, wait_ms
            )
        number = self._rng.random()
        kind, code, status = next(row[1:] for row in _OTHER_FAILURES if number < row[0])
        if kind == "timeout":
            spent_s += _TIMEOUT_S
        return AttemptResult(spent_s, None, retries, kind, code, status)

    def _chain(self, provider: str) -> tuple[Bursts, Bursts]:
        chain = self._chains.get(provider)
        if chain is None:
            measured = self._measured
            chain = (
                Bursts(measured.rate_limited, self._scale),
                Bursts(measured.other, self._scale),
            )
            self._chains[provider] = chain
        return chain
