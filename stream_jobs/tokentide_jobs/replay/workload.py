"""A replay ready to run: the trace, cut to a limit, measured, and turned into events.

The trace is read twice: once for its length, which places event times and changes, and once for
the events. Both readings are the same, so nothing has to be kept in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from tokentide_jobs.errors import ConfigError
from tokentide_jobs.replay import company, llmperf
from tokentide_jobs.replay.events import Event, Events
from tokentide_jobs.replay.formats.trace import RecordedCall, Source, Trace
from tokentide_jobs.replay.packaged import DATA, open_trace

__all__ = ["Workload", "prepare"]


@dataclass(frozen=True, slots=True)
class Workload:
    """What is going to be sent."""

    trace: Trace
    seed: int
    requests: int
    span_s: float
    limit: int | None
    failure_scale: float

    @property
    def sources(self) -> tuple[Source, ...]:
        """Data sets the events are made of, the joined measurements included."""
        return (*self.trace.sources, llmperf.SOURCE)

    @property
    def joined(self) -> tuple[str, ...]:
        """What was not recorded together with the calls, one phrase each."""
        return (*self.trace.joined, *llmperf.JOINED, *company.JOINED)

    def events(self) -> Iterator[tuple[float, Event]]:
        """Yield (seconds since the trace began, event) in order of time."""
        measured = llmperf.load(DATA / "llmperf_2023.csv.gz")
        maker = Events(self.seed, self.span_s, measured, self.failure_scale)
        return maker.of(_calls(self.trace, self.limit))


def prepare(
    name: str, *, seed: int = 1, limit: int | None = None, failure_scale: float = 1.0
) -> Workload:
    """Open a trace and measure it.

    Args:
        name: A packaged trace or a path.
        seed: Decides everything that is drawn.
        limit: Take only so many calls.
        failure_scale: Multiplies the measured failure rates; 0 lets nothing fail.

    Raises:
        ConfigError: The trace cannot be read (file and line are named), or holds no calls.
    """
    trace = open_trace(name, seed)
    requests, span_s = 0, 0.0
    for call in _calls(trace, limit):
        requests += 1
        span_s = call.at_s
    if not requests:
        raise ConfigError(f"{name}: the trace holds no calls")
    return Workload(trace, seed, requests, span_s, limit, failure_scale)


def _calls(trace: Trace, limit: int | None) -> Iterator[RecordedCall]:
    return islice(trace.calls(), limit)
