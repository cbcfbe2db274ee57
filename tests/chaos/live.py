"""Real workers as child processes, and a producer that sends while they are being killed."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from tests.otlp_requests import Request, attributes
from tokentide_jobs.core.record.contents import events_in
from tokentide_jobs.embedded.stack.stack import Stack, worker_environment
from tokentide_schemas.topics import OTLP

FAST_WORKER = {
    "TOKENTIDE_SESSION_TIMEOUT_MS": "1000",
    "TOKENTIDE_BATCH_AGE_MS": "800",
    "TOKENTIDE_DRAIN_S": "10",
    "TOKENTIDE_RETRY_MAX_S": "0.5",
}
"""Is given up early, so that a minute holds many rebalances and half batches. It seals as rarely as
that allows: a batch of a few events costs as much CPU as one of thousands."""

WORKER = (sys.executable, "-m", "tokentide_jobs", "worker", "ingest")


class LiveWorker:
    """One `tokentide worker ingest`; a context manager that leaves nothing behind."""

    def __init__(self, stack: Stack, log_path: Path, **settings: str) -> None:
        self.log_path = log_path
        environ = {**os.environ, **worker_environment(stack.info), **FAST_WORKER, **settings}
        with log_path.open("ab") as log:
            self._child = subprocess.Popen(WORKER, env=environ, stderr=log)

    def __enter__(self) -> LiveWorker:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._child.poll()

    def kill(self) -> None:
        self._child.kill()
        self._child.wait()

    def freeze(self) -> None:
        self._child.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._child.send_signal(signal.SIGCONT)

    def stop(self, timeout_s: float = 60) -> int:
        """Send SIGTERM and return the exit code."""
        self._child.terminate()
        return self._child.wait(timeout_s)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of its log with this event name."""
        found = []
        for line in self.log_path.read_text().splitlines():
            if line.startswith("{") and f'"event": "{name}"' in line:
                found.append(json.loads(line))
        return found

    def wait_for(self, name: str, count: int = 1, timeout_s: float = 120) -> dict[str, Any]:
        """Wait until an event was logged `count` times; return the last of them."""
        wait_until(lambda: len(self.events(name)) >= count, timeout_s, f"{name} in {self.log_path}")
        return self.events(name)[count - 1]


class Traffic:
    """Sends small frames of mixed codecs, some of them bad, from a thread until it is ended."""

    def __init__(self, stack: Stack, records_per_s: int, seed: int = 0) -> None:
        self.events = 0
        self._info = stack.info
        self._pause_s = 1 / records_per_s
        self._chance = random.Random(seed)
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="traffic")

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            asyncio.run(self._send())
        except BaseException as exc:
            self._failure = exc

    async def _send(self) -> None:
        while not self._ended.is_set():
            for codec in (None, "gzip", "snappy", "lz4", "zstd"):
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._info.kafka, compression_type=codec
                )
                await producer.start()
                until = time.monotonic() + 2
                while time.monotonic() < until and not self._ended.is_set():
                    topic, value = self._info.events_topic, record_value(self._chance)
                    if self._chance.random() < 0.2:
                        topic, value = OTLP.name, request_value(self._chance)
                    self.events += len(events_in(topic, value))
                    await producer.send_and_wait(topic, value)
                    await asyncio.sleep(self._pause_s)
                await producer.stop()


def record_value(chance: random.Random) -> bytes:
    """Return a frame, an array, a single object or rubbish."""
    events = [request_event(chance) for _ in range(chance.randint(1, 12))]
    kind = chance.random()
    if kind < 0.03:
        return chance.choice([b"", b"[]", b"{", b'{"type": "request"}', b"\xff\xfe"])
    if kind < 0.1:
        return json.dumps(events).encode()
    if kind < 0.2:
        return json.dumps(events[0], indent=1).encode()
    lines = [json.dumps(event).encode() for event in events]
    if kind < 0.3:
        lines.insert(chance.randrange(len(lines)), b'{"type": "stats", "event_id": 1}')
    return b"\n".join(lines)


def request_value(chance: random.Random) -> bytes:
    """Return what a Collector writes: spans of calls and of other things, or rubbish."""
    if chance.random() < 0.1:
        return chance.choice([b"", b"[]", b"{", b"{}", b'{"resourceMetrics": []}'])
    request = Request(service=chance.choice(["chat", "search"]))
    for _ in range(chance.randint(1, 8)):
        held: dict[str, object] = {
            "gen_ai.operation.name": chance.choice(["chat", "chat", "invoke_workflow"]),
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.usage.input_tokens": chance.randrange(1, 5_000),
            "gen_ai.usage.output_tokens": chance.randrange(1, 900),
        }
        ids = f"{chance.getrandbits(127) + 1:032x}", f"{chance.getrandbits(63) + 1:016x}"
        request.span("span", *ids, time.time_ns() - chance.randrange(10**10), attributes(**held))
    return request.encode()


def request_event(chance: random.Random) -> dict[str, Any]:
    return {
        "type": "request",
        "event_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "started_at_us": time.time_ns() // 1000 - chance.randrange(60_000_000),
        "service": chance.choice(["chat", "search"]),
        "tenant": chance.choice(["acme", "globex"]),
        "provider": "openai",
        "operation": "chat",
        "status": "ok",
        "request_model": chance.choice(["gpt-4o", "gpt-4o-mini"]),
        "duration_ms": chance.randrange(1, 5_000),
        "input_tokens": chance.randrange(1, 5_000),
        "output_tokens": chance.randrange(1, 900),
    }


def wait_until(
    is_true: Callable[[], bool],
    timeout_s: float,
    what: str,
    clock: Callable[[], float] = time.monotonic,
    pause_s: float = 0.05,
) -> None:
    """Ask until it is true; what costs more than a glance is asked with longer pauses."""
    deadline_s = clock() + timeout_s
    while not is_true():
        assert clock() < deadline_s, f"not within {timeout_s:g} s: {what}"
        time.sleep(pause_s)
