"""What is expected of the pipeline itself, in one frozen object."""

from __future__ import annotations

from dataclasses import dataclass

from tokentide_jobs.core.tables import MINUTE_US

__all__ = ["PipelineRules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRules:
    """The rules; what is exceeded for two minutes is an alert.

    Shares are parts in a million; the numbers beside them keep a few events from being a share.

    Attributes:
        late_us: Everything that arrived so long ago is stored.
        lag_records: Records of a partition that wait to be stored, at most.
        dead_letters_ppm: Share of refused events in ten minutes.
        dead_letters: Fewer refused events are none worth an alert.
        unpriced_ppm: Share of requests without a price in an hour.
        unpriced: Fewer are none worth an alert.
        lost_ppm: Share of events that producers could not deliver, in a quarter of an hour.
        lost: Fewer are none worth an alert.
        silent_us: A service whose producers always report does so within this; 0: not watched.
    """

    late_us: int = 3 * MINUTE_US
    lag_records: int = 1_000_000
    dead_letters_ppm: int = 10_000
    dead_letters: int = 100
    unpriced_ppm: int = 50_000
    unpriced: int = 20
    lost_ppm: int = 1_000
    lost: int = 100
    silent_us: int = 15 * MINUTE_US
