"""`tokentide up` as its own process, and services whose traffic is booked as they send it."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.commands import verified
from tokentide import Telemetry
from tokentide_jobs.core.tables import RAW_TABLES
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.urls import with_credentials

PROGRAM = (sys.executable, "-m", "tokentide_jobs")
PARTITIONS = 4
SERVICES = {"sdk": "restarted-sdk", "plain": "restarted-plain"}

PICO_USD = {"gpt-4o": (2_500_000, 10_000_000), "gpt-4o-mini": (150_000, 600_000)}
"""Price of an input and an output token."""


class Up:
    """A running `tokentide up --json`; leaving the context stops it, if it still runs."""

    def __init__(self, data_dir: Path, broker: str) -> None:
        self.data_dir = data_dir
        self._log_path = data_dir.parent / "up.log"
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *PROGRAM, "up", "--json", "--broker", broker, "--data-dir", str(data_dir),
                    "--kafka-port", "0", "--clickhouse-port", "0", "--no-detect", "--no-viewer",
                ],
                stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._log_path.read_text()
        ready = json.loads(line)
        self.kafka: str = ready["kafka"]
        self.topic: str = ready["events_topic"]
        self.log_id: str = ready["log_id"]
        self._clickhouse_url = with_credentials(
            ready["clickhouse_url"], ready["user"], ready["password"]
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.communicate(timeout=60)
        finally:
            self._process.kill()

    def stop(self) -> None:
        """Send SIGTERM, as a service manager does, and expect an orderly end."""
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=60)
        assert self._process.returncode == 0, self._log_path.read_text()

    def kill(self) -> None:
        """Kill the owner; what it started must end by itself."""
        self._process.kill()
        self._process.communicate()

    def verified(self, wait_s: int = 120) -> dict[str, Any]:
        """Return the report of `tokentide verify`, which must be all right."""
        report = verified(self.data_dir, wait_s)
        assert report["ok"] is True, report
        assert (report["lost"], report["duplicated"], report["pending"]) == (0, 0, 0)
        return report

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a query, unqualified names being in the database of the pipeline."""
        store = ClickHouse(self._clickhouse_url, "tokentide")
        try:
            return [tuple(row) for row in store.rows(query)]
        finally:
            store.close()

    def worker_log(self, event: str) -> list[dict[str, Any]]:
        """Return what the worker has logged under this name, in all runs."""
        text = (self.data_dir / "logs" / "worker-1.log").read_text()
        lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]


@dataclass
class Sent:
    """The books of the senders: what was acknowledged and must be there, once."""

    events: int = 0
    dead_letters: int = 0
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_pico_usd: int = 0
    by_log: Counter[str] = field(default_factory=Counter)

    def request(self, model: str, input_tokens: int, output_tokens: int) -> None:
        """Book one request."""
        per_input, per_output = PICO_USD[model]
        self.events += 1
        self.requests += 1
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens
        self.cost_pico_usd += input_tokens * per_input + output_tokens * per_output

    def totals(self) -> tuple[int, ...]:
        """In the order of `stored`."""
        return (
            self.events, self.events, self.requests,
            self.input_tokens, self.output_tokens, self.cost_pico_usd,
            self.events, self.requests, self.input_tokens, self.output_tokens, self.cost_pico_usd,
            self.dead_letters,
        )  # fmt: skip


def stored(up: Up) -> tuple[int, ...]:
    """Events and different ids; requests, tokens, money; the same of the windows; dead letters."""
    ids = " UNION ALL ".join(f"SELECT event_id FROM tokentide.{t}" for t in RAW_TABLES.values())
    sums = "sum(input_tokens), sum(output_tokens), toInt128(sum(cost_pico_usd))"
    (events,) = up.rows(f"SELECT count(), uniqExact(event_id) FROM ({ids})")
    (requests,) = up.rows(f"SELECT count(), {sums} FROM tokentide.raw_requests")
    (windows,) = up.rows(f"SELECT sum(events), sum(requests), {sums} FROM tokentide.windows_10s")
    (dead_letters,) = up.rows("SELECT count() FROM tokentide.dead_letters")
    return (*map(int, events), *map(int, requests), *map(int, windows), *map(int, dead_letters))


def send_by_sdk(up: Up, sent: Sent, calls: int, seed: int) -> None:
    """Run a service that uses the SDK: calls, verdicts, a deployment, and the SDK's own reports."""
    chance = random.Random(seed)
    telemetry = Telemetry(
        bootstrap=up.kafka, topic=up.topic, service=SERVICES["sdk"], frame_events=20
    )
    with telemetry:
        telemetry.change("deploy", SERVICES["sdk"], to_version=str(seed))
        for number in range(calls):
            model = chance.choice(list(PICO_USD))
            tokens = chance.randrange(1, 9_000), chance.randrange(1, 900)
            with telemetry.request(
                provider="openai", request_model=model, tenant=f"tenant-{number % 3}"
            ) as call:
                call.record_usage(input_tokens=tokens[0], output_tokens=tokens[1])
            sent.request(model, *tokens)
            if number % 10 == 0:
                telemetry.evaluation("faithfulness", score=0.9, target_event_id=call.event_id)
            if number % 25 == 0:
                telemetry.feedback("thumbs", score=1.0, target_event_id=call.event_id)
        assert telemetry.flush(30)
    counters = telemetry.stats()
    assert counters.delivered == counters.emitted > calls
    sent.events += counters.delivered - calls
    sent.by_log[up.log_id] += counters.delivered


def send_plainly(up: Up, sent: Sent, records_per_partition: int, seed: int) -> None:
    """Produce as others do: the same offsets of every partition are filled each time."""
    asyncio.run(_send_plainly(up, sent, records_per_partition, random.Random(seed)))


async def _send_plainly(up: Up, sent: Sent, count: int, chance: random.Random) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=up.kafka, acks="all", compression_type="gzip")
    await producer.start()
    try:
        for _ in range(count):
            for partition in range(PARTITIONS):
                events = [plain_event(chance) for _ in range(5)]
                lines = [json.dumps(event).encode() for event in events]
                lines.insert(chance.randrange(6), b'{"type": "request", "broken": true}')
                await producer.send_and_wait(up.topic, b"\n".join(lines), partition=partition)
                for event in events:
                    book(sent, event)
                sent.dead_letters += 1
                sent.by_log[up.log_id] += len(events)
    finally:
        await producer.stop()


def plain_event(chance: random.Random) -> dict[str, Any]:
    return {
        "type": "request",
        "event_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "started_at_us": time.time_ns() // 1000 - chance.randrange(60_000_000),
        "service": SERVICES["plain"],
        "provider": "openai",
        "operation": "chat",
        "status": "ok",
        "request_model": chance.choice(list(PICO_USD)),
        "duration_ms": chance.randrange(1, 5_000),
        "input_tokens": chance.randrange(1, 9_000),
        "output_tokens": chance.randrange(1, 900),
    }


def book(sent: Sent, event: dict[str, Any]) -> None:
    sent.request(event["request_model"], event["input_tokens"], event["output_tokens"])


class Hammering:
    """A plain producer that sends until the broker is gone; knows what was acknowledged."""

    def __init__(self, up: Up, seed: int) -> None:
        self.attempted: dict[str, dict[str, Any]] = {}
        self.acknowledged: set[str] = set()
        self._up = up
        self._chance = random.Random(seed)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._send()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, error: object, *_exc: object) -> None:
        if error is None:
            # Until the broker is gone: asked to end before, it would leave nothing unanswered.
            self._thread.join(60)
        self._ended.set()
        self._thread.join()

    async def _send(self) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._up.kafka, acks="all", request_timeout_ms=2_000
        )
        await producer.start()
        try:
            while not self._ended.is_set():
                events = [plain_event(self._chance) for _ in range(5)]
                ids = [event["event_id"] for event in events]
                self.attempted.update(zip(ids, events, strict=True))
                value = b"\n".join(json.dumps(event).encode() for event in events)
                await producer.send_and_wait(self._up.topic, value)
                self.acknowledged.update(ids)
                await asyncio.sleep(0.003)
        except KafkaError:
            return  # the broker is gone; what was not acknowledged may have arrived or not
        finally:
            await producer.stop()


def wait_until(
    is_true: Callable[[], bool], timeout_s: float, what: str, pause_s: float = 0.1
) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        time.sleep(pause_s)


def current(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the partitions of the log that exists now."""
    return (part for part in report["per_partition"] if part["is_current"])
