"""Tokentide's producer: one event per LLM call, at the cost of a microsecond.

    import tokentide

    tokentide.instrument()

records every call of the provider clients that the service uses. By hand:

    telemetry = tokentide.Telemetry(service="search-api")
    with telemetry.request(provider="openai", request_model="gpt-5-mini") as call:
        response = client.responses.create(...)
        call.record_response(response)

Importing this package imports the standard library and orjson only.
"""

from tokentide._version import __version__
from tokentide.automatic import current_run_state, instrument, instrument_client, uninstrument
from tokentide.context import context
from tokentide.delivery.counters import ProducerStats
from tokentide.event_identity import last_event_id
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
    "context",
    "current_request",
    "current_run_state",
    "instrument",
    "instrument_client",
    "last_event_id",
    "uninstrument",
]
