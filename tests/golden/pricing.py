"""From an extractor's fields to the event, its judge, and the price: the whole way of a call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
import polars as pl

from tests.golden.cases import Case
from tokentide.usage.flavour import flavour
from tokentide_jobs.core.price.explain import request_frame
from tokentide_jobs.core.price.pricing import price
from tokentide_jobs.io.files.price_source import compile_cards
from tokentide_schemas.events import EVENT_ADAPTER, RequestEvent


def event_of(case: Case, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event that a recorded call with these fields becomes."""
    event = {
        "type": "request",
        "event_id": "01999999-9999-7999-8999-999999999999",
        "service": "golden",
        "started_at_us": case.started_at_us,
        "duration_ms": 1000.0,
        "operation": flavour(case.flavour).operation,
        "provider": case.provider,
        "request_model": case.request_model,
        "status": "ok",
        "usage_source": "missing",  # the recorder's word where none was given
        **fields,
        **case.call,
    }
    reconcile = flavour(case.flavour).reconcile
    if reconcile is not None:
        reconcile(event)
    return event


def judged(event: Mapping[str, Any]) -> RequestEvent:
    """Return the event as ingest accepts it, by way of JSON.

    Raises:
        pydantic.ValidationError: Ingest would dead-letter it.
    """
    accepted = EVENT_ADAPTER.validate_json(orjson.dumps(event))
    assert isinstance(accepted, RequestEvent)
    return accepted


def priced(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what pricing says of the event."""
    return all_priced([event])[0]


def all_priced(events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what pricing says of the events, in their order, as of one batch."""
    return price(pl.concat(map(request_frame, events)), compile_cards()).rows(named=True)
