"""A runaway run and a budget through the real pipeline: named, counted exactly, and once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import clickhouse_connect
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.prepared import Prepared
from tests.stream_jobs.tasks.verify.faulty_pipeline import Pipeline, good, kinds, report_of
from tokentide_jobs.core.status import WorkerState
from tokentide_jobs.core.verify.report import Report
from tokentide_jobs.embedded.stack.stack import Stack
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.kafka.offsets import end_offsets
from tokentide_jobs.tasks.status.worker_pages import ask_workers
from tokentide_jobs.tasks.verify.verify import EventLog, verify
from tokentide_schemas.control import CONTROL_ADAPTER, BudgetState, RunState
from tokentide_schemas.topics import CONTROL

pytestmark = pytest.mark.integration

T = TypeVar("T")

CALLS = 20
DEADLINE_S = 120.0
BUDGETS = """budgets:
  - {name: acme, scope: {tenant: acme}, period: month, amount_usd: 12}
  - {name: the key, scope: {key: key-7}, period: month, amount_usd: 1000, kind: hard}
"""


DETECT = """notify:
- {{name: hook, kind: webhook, url: 'http://127.0.0.1:{port}/', secret_env: HOOK_SECRET}}
"""
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RECEIVED: dict[str, dict[str, Any]] = {}
"""What the receiver was sent, by webhook-id: a repeated one is dropped."""


class Hook(BaseHTTPRequestHandler):
    """Receives notifications."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        RECEIVED.setdefault(self.headers["webhook-id"], body["data"])
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Log nothing."""


def call(run: str, number: int) -> bytes:
    """Make a call that costs some forty cents; those of the wild run are all alike."""
    size = 100_000 if run == "wild" else 100_000 + number
    fields = {
        "type": "request", "event_id": str(uuid.uuid4()), "service": "agents", "tenant": "acme",
        "provider": "openai", "operation": "chat", "request_model": "gpt-4o", "status": "ok",
        "started_at_us": time.time_ns() // 1_000, "duration_ms": 900.0, "input_tokens": size,
        "output_tokens": 15_000, "run_id": run, "agent_name": "critic", "key_id": "key-7",
    }  # fmt: skip
    return json.dumps(fields).encode()


def send(stack: Stack) -> None:
    async def sending() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=stack.info.kafka)
        await producer.start()
        try:
            for number in range(CALLS):
                frame = b"\n".join(call(run, number) for run in ("wild", "calm"))
                await producer.send_and_wait(stack.info.events_topic, frame, partition=0)
        finally:
            await producer.stop()

    asyncio.run(sending())


def eventually(what: str, look: Callable[[], T | None], pause_s: float = 0.2) -> T:
    give_up_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < give_up_s:
        if (found := look()) is not None:
            return found
        time.sleep(pause_s)
    raise AssertionError(f"not in {DEADLINE_S:.0f} s: {what}")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared) -> Iterator[Stack]:
    directory: Path = tmp_path_factory.mktemp("detection")
    budgets = directory / "budgets.yaml"
    budgets.write_text(BUDGETS)
    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    rules = directory / "detect.yaml"
    rules.write_text(DETECT.format(port=server.server_port))
    environ = {
        **os.environ, "TOKENTIDE_BUDGETS_FILE": str(budgets), "TOKENTIDE_SNAPSHOT_S": "5",
        "TOKENTIDE_DETECT_FILE": str(rules), "HOOK_SECRET": SECRET,
    }  # fmt: skip
    try:
        with Stack(
            prepared(directory / "stack"), broker="tansu", workers=1, detect=True, environ=environ
        ) as running:
            yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def detector(stack: Stack) -> WorkerState | None:
    """Return the detect worker once it decides."""
    found = [one for one in ask_workers(stack.data_dir, ()) if one.role == "detect"]
    return found[0] if found and found[0].is_ready else None


def test_a_runaway_is_named_and_budgets_are_exact_though_the_worker_is_killed(
    stack: Stack,
) -> None:
    store = ClickHouse(stack.info.clickhouse_dsn, "tokentide")
    first = eventually("detection is ready", lambda: detector(stack))
    send(stack)
    rows = eventually(
        "the run is named", lambda: store.rows("SELECT * FROM tokentide.run_status") or None
    )
    assert rows

    os.kill(int(first.name.partition(" ")[0]), signal.SIGKILL)
    send(stack)
    eventually("all is stored", lambda: True if _requests(store) == 4 * CALLS else None)
    spent = eventually("every call is counted", lambda: _spent(store))
    (exact,) = store.rows("SELECT sum(toInt128(cost_pico_usd)) FROM tokentide.raw_requests")
    assert spent == {"acme": exact[0], "the key": exact[0]}
    named = store.rows(
        "SELECT tenant, run, rule, is_history FROM tokentide.run_status FINAL ORDER BY rule"
    )
    assert ("acme", "wild", "repeats", False) in named
    assert len({row[:3] for row in named}) == len(named), "a rule that was broken twice"
    (reached,) = store.rows("SELECT reached FROM tokentide.budget_status FINAL WHERE budget='acme'")
    assert list(reached[0]) == [50, 80, 95, 100]

    reported = eventually("services are notified", lambda: _states_in_full(stack.info.kafka), 1.0)
    run, budget = reported["run/acme/wild"], reported["budget/acme"]
    assert isinstance(run, RunState)
    assert (run.state, "repeats" in run.rules) == ("flagged", True)
    assert isinstance(budget, BudgetState)
    assert (budget.reached, budget.kind) == ([50, 80, 95, 100], "soft")

    # Levels that are reached at once are one announcement, of the highest.
    wanted, others = {("budget", 100), ("run", 0)}, {("budget", 80), ("budget", 95)}
    notified = eventually("the receiver is notified", lambda: _received(wanted))
    assert set(notified) <= wanted | others
    assert len(notified) == len(set(notified)), "a transition that was announced twice"

    # The successor merged each delta once, also those that the killed worker had merged.
    report = eventually("a snapshot holds every call", lambda: _merged(stack, store), 2.0)
    assert (report.verdict, report.detection.verdict) == ("ok", "equal")


def test_what_was_merged_equals_the_ledger_until_a_delta_is_lost(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    client = clickhouse_connect.get_client(dsn=stack.info.clickhouse_dsn, database="tokentide")
    with client:
        pipeline = Pipeline(stack, client)
        send_frames(stack, partition=1)
        code, report = settled(pipeline, capsys)
        found = report["detection"]
        assert (code, found["verdict"]) == (0, "equal")
        assert found["events"] == found["ledger_events"] > 0
        assert found["cost_usd"] == found["ledger_cost_usd"]
        assert found["cost_usd"].strip("0.") != ""
        assert pipeline.run("verify") == 0
        assert f"detection merged {found['events']} events and" in capsys.readouterr().out
        # A foreign record takes the place of a delta: the job can only pass over it.
        source = next(one for one in found["ranges"] if one["end"])
        asyncio.run(send_torn_delta(stack, source))
        time.sleep(1)
        send_frames(stack, partition=source["partition"])
        code, report = settled(pipeline, capsys)
        assert (code, kinds(report)) == (1, {"detection"})
        found = report["detection"]
        assert found["verdict"] == "differs"
        assert found["events"] < found["ledger_events"]
        # What it merged is of whole batches, so a range has no part of it.
        code, report = report_of(pipeline, capsys, "--from", "2020-01-01")
        assert (code, report["detection"]) == (0, {"verdict": "not_asked"})


def send_frames(stack: Stack, partition: int) -> None:
    frames = [b"\n".join(good(number) for number in range(at, at + 50)) for at in (0, 50, 100, 150)]

    async def sending() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=stack.info.kafka)
        await producer.start()
        try:
            for frame in frames:
                await producer.send_and_wait(stack.info.events_topic, frame, partition=partition)
        finally:
            await producer.stop()

    asyncio.run(sending())


async def send_torn_delta(stack: Stack, source: dict[str, Any]) -> None:
    """Write what looks like the delta of the next batch of a partition, and is none."""
    names = ("log_id", "topic", "partition", "start", "end", "chunk")
    fields = {**source, "start": source["end"], "end": source["end"] + 1, "chunk": 0}
    headers = [("schema", b"windows.v1"), *((name, str(fields[name]).encode()) for name in names)]
    producer = AIOKafkaProducer(bootstrap_servers=stack.info.kafka)
    await producer.start()
    try:
        await producer.send_and_wait("tokentide.windows.v1", b"torn", headers=headers)
    finally:
        await producer.stop()


def settled(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """Verify until the job says that it has come to the end of the log."""
    info = pipeline.stack.info
    sent = sum(asyncio.run(end_offsets(info.kafka, info.events_topic)).values())

    def look() -> tuple[int, dict[str, Any]] | None:
        code, report = report_of(pipeline, capsys)
        merged = sum(one["end"] for one in report["detection"].get("ranges", []))
        return (code, report) if merged >= sent else None

    # The job stores its state every five seconds, and each look is a whole `verify`.
    return eventually("all of the log is merged", look, 3.0)


def _merged(stack: Stack, store: ClickHouse) -> Report | None:
    """Return what verify says once the detect job says that it merged every call."""
    report = verify(store, EventLog(stack.info.kafka, stack.info.events_topic))
    consumed = report.detection.consumed
    return report if consumed and consumed.sums.events >= 4 * CALLS else None


def _received(wanted: set[tuple[str, int]]) -> list[tuple[str, int]] | None:
    """Return kind and level of every opening sent to the receiver, once all wanted are there."""
    found = [
        (data["kind"], data["level"] if data["kind"] == "budget" else 0)
        for data in list(RECEIVED.values())
        if data["state"] == "open" and "the key" not in data["key"]
    ]
    return found if set(found) >= wanted else None


def _requests(store: ClickHouse) -> int:
    return int(store.rows("SELECT count() FROM tokentide.raw_requests")[0][0])


def _spent(store: ClickHouse) -> dict[str, int] | None:
    """Return what each budget spent, once it has counted every call."""
    rows = store.rows(
        "SELECT budget, spent_pico_usd, requests FROM tokentide.budget_status FINAL ORDER BY budget"
    )
    counted = len(rows) == 2 and all(requests == 4 * CALLS for _name, _spent, requests in rows)
    return {name: int(spent) for name, spent, _requests in rows} if counted else None


def _states_in_full(bootstrap: str) -> dict[str, Any] | None:
    """Return the states of the control topic once they are those of all calls.

    What is stored is reported after that; the successor of a killed worker decides again from
    the last snapshot, and reports the states in between once more.
    """
    states = asyncio.run(_reported(bootstrap))
    budget = states.get("budget/acme")
    return states if budget is not None and budget.share > 2 else None


async def _reported(bootstrap: str) -> dict[str, Any]:
    """Return the newest state of every key of the control topic."""
    ends = await end_offsets(bootstrap, CONTROL.name)
    consumer = AIOKafkaConsumer(
        CONTROL.name, bootstrap_servers=bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    states: dict[str, Any] = {}
    try:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                message = await consumer.getone()
                assert message.key is not None
                assert message.value is not None
                states[message.key.decode()] = CONTROL_ADAPTER.validate_json(message.value)
                if message.offset + 1 >= ends[message.partition]:
                    return states
    finally:
        await consumer.stop()
