"""Small batches of records, processed as a worker does, for tests of their outcome."""

from __future__ import annotations

import json
import uuid
from typing import Any

from tokentide_jobs.core.batch.ledger import Intent, LogPartition
from tokentide_jobs.core.outcome.outcome import Outcome, process
from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.record.record import Record

NOW_US = 1_790_000_000_000_000


def event(**changes: Any) -> bytes:
    """Return a request as a producer writes it, with other or more fields."""
    return json.dumps(
        {
            "type": "request",
            "event_id": str(uuid.uuid4()),
            "started_at_us": NOW_US,
            "service": "chat",
            "provider": "openai",
            "operation": "chat",
            "status": "ok",
            "request_model": "gpt-4o",
            "duration_ms": 12.5,
            "input_tokens": 100,
            "output_tokens": 10,
            **changes,
        }
    ).encode()


def processed(cards: CardTable, *values: bytes, topic: str = "tokentide.events.v1") -> Outcome:
    """Return the outcome of one batch with these records; events began at `NOW_US`."""
    records = [Record(0, offset, 1_000, value) for offset, value in enumerate(values)]
    intent = Intent(
        log=LogPartition("log", topic, 0),
        start=0,
        end=len(values),
        price_version=cards.price_version,
        accepted_from_us=NOW_US - 1,
        accepted_until_us=NOW_US + 1,
        sealed_at_us=NOW_US,
        worker="w",
        subject_kinds=("user", "run"),
        max_subjects=9,
    )
    return process(records, intent, cards)
