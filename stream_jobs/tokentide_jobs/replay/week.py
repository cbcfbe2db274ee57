"""A week of recorded calls, thinned: what an installation has stored before its first use.

The recorded hour of chats is laid over every hour of the week, each time with another share of its
calls, so that no hour repeats the one before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from tokentide_jobs.replay import llmperf
from tokentide_jobs.replay.company import Weighted, app_of_one_model
from tokentide_jobs.replay.events import Event, Events
from tokentide_jobs.replay.formats import azure
from tokentide_jobs.replay.formats.trace import RecordedCall
from tokentide_jobs.replay.packaged import AZURE, DATA

__all__ = ["HISTORY_S", "SEARCH", "SPAN_S", "SUPPORT", "THINNED", "week"]

_HOUR_S: Final = 3_600.0
HISTORY_S: Final = 7 * 24 * _HOUR_S
SPAN_S: Final = HISTORY_S + _HOUR_S
"""The week, and the hour that is watched."""
THINNED: Final = 50
"""One in so many chats is kept, so that a week is sent in seconds."""

SUPPORT: Final = app_of_one_model("support-chat", "gpt-6.1-terra")
SEARCH: Final = app_of_one_model("search-answers", "gemini-3.8-flash")
_APPS: Final = Weighted([(SUPPORT, 0.75), (SEARCH, 0.25)])
"""Two services of one model each, with some calls every minute, instead of five that whisper."""


def week(seed: int) -> Iterator[tuple[float, Event]]:
    """Yield (seconds since the week began, event) in order of time; no call fails."""
    measured = llmperf.load(DATA / "llmperf_2023.csv.gz")
    maker = Events(seed, SPAN_S, measured, failure_scale=0.0, apps=_APPS)
    named = {SUPPORT.service, SEARCH.service}
    # The deploys of other services say nothing here.
    return (timed for timed in maker.of(_chats()) if timed[1]["service"] in named)


def _chats() -> Iterator[RecordedCall]:
    recorded = list(azure.read(AZURE))
    stretch = _HOUR_S / (recorded[-1].at_s + 1.0)
    for hour in range(round(SPAN_S / _HOUR_S)):
        # 7 and the number of shares have no common divisor: every share has its turn.
        for call in recorded[7 * hour % THINNED :: THINNED]:
            yield replace(call, at_s=hour * _HOUR_S + call.at_s * stretch)
