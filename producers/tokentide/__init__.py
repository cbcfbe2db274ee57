"""Tokentide's producer: one event per LLM call, at the cost of a microsecond.

    import tokentide

    telemetry = tokentide.Telemetry(service="search-api")
    with telemetry.request(provider="openai", request_model="gpt-5-mini") as call:
        response = client.responses.create(...)
        call.record_usage(input_tokens=812, output_tokens=96)

Importing this package imports the standard library and orjson only.
"""

from __future__ import annotations

from tokentide._version import __version__
from tokentide.counters import ProducerStats
from tokentide.recorder import Recorder, current_request
from tokentide.settings import Settings, SettingsError
from tokentide.telemetry import Telemetry

__all__ = [
    "ProducerStats",
    "Recorder",
    "Settings",
    "SettingsError",
    "Telemetry",
    "__version__",
    "current_request",
]
