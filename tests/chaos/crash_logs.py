"""Logs for crash schedules: a few records of every kind that a producer may have written."""

from __future__ import annotations

import json
import random
import time
import uuid
from typing import Any

from tests.chaos.simulation import SimulatedLog
from tests.otlp_requests import Request, attributes
from tokentide_jobs.core.record.record import Record

OTLP_TOPIC = "tokentide.otlp.v1"
BASE_US = (time.time_ns() // 60_000_000_000 - 60) * 60_000_000
"""An hour ago, at a full minute: event times that no retention has reached yet."""


def incarnations(name: str, chance: random.Random, topic: str) -> list[SimulatedLog]:
    """Return the logs of one topic: every third is deleted and begins again at offset 0."""
    logs = [
        new_log(f"{name}-{number}", chance, topic) for number in range(chance.choice([1, 1, 2]))
    ]
    for log in logs:
        log.committed = logs[0].committed
    return logs


def new_log(log_id: str, chance: random.Random, topic: str) -> SimulatedLog:
    """One or two partitions of a few records: frames, arrays, single objects and rubbish."""
    new = new_request if topic == OTLP_TOPIC else new_value
    records: dict[int, list[Record]] = {}
    for partition in range(chance.choice([1, 1, 2])):
        offset, log = 0, list[Record]()
        for _ in range(chance.randint(2, 5)):
            offset += chance.choice([1, 1, 1, 1, 2, 3]) if log else 0
            log.append(Record(partition, offset, BASE_US // 1000, new(log_id, chance)))
        records[partition] = log
    return SimulatedLog(log_id, records, topic=topic)


def new_request(tenant: str, chance: random.Random) -> bytes:
    """Return a Collector's record: spans that are calls, spans that are none, metrics, rubbish."""
    kind = chance.random()
    if kind < 0.3:
        return chance.choice([b"", b"not json", b"{}", b'{"resourceMetrics": []}', b"[1]"])
    request = Request(service=chance.choice(["chat", "search"]))
    for _ in range(chance.randint(1, 5)):
        is_call = chance.random() < 0.7
        held: dict[str, object] = {
            "tokentide.tenant": tenant,
            "gen_ai.operation.name": "chat" if is_call else "invoke_workflow",
            "gen_ai.provider.name": "sim",
            "gen_ai.request.model": "model-a",
            "gen_ai.usage.input_tokens": chance.randrange(1, 5_000),
            "gen_ai.usage.output_tokens": chance.randrange(1, 900),
        }
        request.span(
            "span",
            f"{chance.getrandbits(127) + 1:032x}",
            f"{chance.getrandbits(63) + 1:016x}",
            (BASE_US + chance.randrange(40_000_000)) * 1000,
            attributes(**held),
            duration_ms=chance.randrange(1, 5_000),
        )
    return request.encode()


def new_value(tenant: str, chance: random.Random) -> bytes:
    events = [new_event(tenant, chance) for _ in range(chance.randint(1, 4))]
    kind = chance.random()
    if kind < 0.1:
        return chance.choice([b"", b"not json", b"[]", b'{"type": "request"}'])
    if kind < 0.2:
        return json.dumps(events).encode()
    if kind < 0.3:
        return json.dumps(events[0], indent=1).encode()
    lines = [json.dumps(event).encode() for event in events]
    if kind < 0.4:
        lines.insert(chance.randrange(len(lines) + 1), b'{"type": "request", "event_id": 7}')
    return b"\n".join(lines)


def new_event(tenant: str, chance: random.Random) -> dict[str, Any]:
    event: dict[str, Any] = {
        "type": "request",
        "event_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "started_at_us": BASE_US + chance.randrange(40_000_000),
        "tenant": tenant,
        "service": chance.choice(["chat", "search"]),
    }
    kind = chance.random()
    if kind < 0.1:
        return {**event, "type": "stats", "producer_id": "p", "emitted": 3}
    if kind < 0.2:
        return {**event, "type": "change", "kind": "deploy", "subject": "release"}
    return {
        **event,
        "provider": "sim",
        "operation": "chat",
        "status": "ok",
        "request_model": "model-a",
        "duration_ms": chance.randrange(1, 5_000),
        "input_tokens": chance.randrange(1, 5_000),
        "output_tokens": chance.randrange(1, 900),
        "usage_source": "provider",
        "user_hash": chance.choice(["", "ann", "bob", "cyd"]),
        "run_id": chance.choice(["", "r-1", "r-2"]),
    }
