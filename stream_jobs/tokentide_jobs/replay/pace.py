"""When each event is sent, and what time it says it happened.

Recorded spacing is kept in the events' own times, whatever the speed of sending: the last event of
the trace ends at the moment when sending is due to end. In live mode events carry the time at which
they are sent.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokentide_jobs.errors import ConfigError

__all__ = ["Pace", "Plan"]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast to send; exactly one of the two is set, neither means as fast as possible.

    Attributes:
        speed: Recorded pace times this.
        rate_per_s: Events a second, evenly spaced.
    """

    speed: float | None = None
    rate_per_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse values that would never end or contradict each other."""
        if self.speed is not None and self.rate_per_s is not None:
            raise ConfigError("--speed and --rate exclude each other: give one of them")
        for option, value in (("--speed", self.speed), ("--rate", self.rate_per_s)):
            if value is not None and not 0 < value <= 1e9:
                raise ConfigError(f"{option} is {value:g}: expected more than 0")

    def due_s(self, place: int, at_s: float) -> float:
        """Return seconds after the start at which an event is due.

        Args:
            place: Number of events sent before it.
            at_s: Its place in the trace.
        """
        if self.speed is not None:
            return at_s / self.speed
        return place / self.rate_per_s if self.rate_per_s else 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Maps places in the trace to the clock for one replay.

    Attributes:
        pace: How fast to send.
        begin_us: When sending begins (epoch µs).
        end_us: Event time of the end of the trace (epoch µs).
        span_s: Length of the trace.
        is_live: Events carry the time of sending.
    """

    pace: Pace
    begin_us: int
    end_us: int
    span_s: float
    is_live: bool

    @classmethod
    def make(cls, pace: Pace, begin_us: int, events: int, span_s: float, *, is_live: bool) -> Plan:
        """Return the plan of sending `events` events of a trace of `span_s` seconds from now."""
        sending_s = pace.due_s(events, span_s)
        return cls(pace, begin_us, begin_us + int(sending_s * 1e6), span_s, is_live)

    def started_at_us(self, at_s: float, now_us: int) -> int:
        """Return the event time of a place in the trace, when it is sent at `now_us`."""
        return now_us if self.is_live else self.end_us - int((self.span_s - at_s) * 1e6)
