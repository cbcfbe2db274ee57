"""Units of panels, under the ids that Grafana knows them by.

A number is written in the unit that a person compares: prices per million tokens, costs per
thousand requests. Grafana prints $0.0000421 as it is.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Unit"]


class Unit(StrEnum):
    """A unit of Grafana's, or one made of its prefixes and suffixes."""

    NONE = "none"
    """The number as it is."""
    COUNT = "short"
    """12345 is 12.3 K."""
    TEXT = "string"
    USD = "currencyUSD"
    USD_PER_HOUR = "suffix: $/h"
    RATIO = "percentunit"
    """0.05 is 5 %: shown with `n` beside it, or the check refuses the panel."""
    MILLISECONDS = "ms"
    SECONDS = "s"
    DURATION_S = "dtdurations"
    """90 is 1 minute, 30 seconds."""
    AGE = "dateTimeFromNow"
    """A moment as "5 minutes ago"."""
    MOMENT = "dateTimeAsIso"
    PER_SECOND = "reqps"
    PER_MINUTE = "suffix: /min"
    TOKENS_PER_SECOND = "suffix: tok/s"
    TOKENS_PER_MINUTE = "suffix: tok/min"
    TIMES = "suffix: x"
    """A multiple: a burn of 14.4 x."""
    BYTES = "bytes"
