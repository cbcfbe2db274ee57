"""A stack that has ingested some events, and what tests of it do to its tables and put back."""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from tests.places import ROOT
from tokentide_jobs.cli.main import main
from tokentide_jobs.embedded.stack.stack import Stack
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.tasks.dead_letters import DeadLetterStore, Selection, StoredDeadLetter

SYNC = {"mutations_sync": 1}


@dataclass(frozen=True)
class Pipeline:
    stack: Stack
    client: Client

    def run(self, *arguments: str) -> int:
        return main([*arguments, "--data-dir", str(self.stack.data_dir)])

    def remove_rows_that_stand_twice(self, day: str) -> None:
        """Do what the page says where no row was deleted yet: all parts have their projection."""
        self.client.command(documented("projection of all parts"))
        statement = documented("rows twice").replace("20261130", day)
        until_s = time.monotonic() + 90
        while True:
            try:
                self.client.command(statement)
            except DatabaseError as exc:
                # Parts of that day are merged just now.
                if "code: 388" not in str(exc) or time.monotonic() > until_s:
                    raise
                time.sleep(0.2)
            else:
                return


def good(number: int) -> bytes:
    event = {
        "type": "request", "event_id": str(uuid.uuid4()), "service": "shop", "provider": "openai",
        "started_at_us": time.time_ns() // 1_000 - number * 100_000, "operation": "chat",
        "status": "ok", "request_model": "gpt-5.4-mini", "duration_ms": 10.0 + number,
        "input_tokens": 100 + number, "output_tokens": 7, "run_id": f"run-{number % 9}",
    }  # fmt: skip
    return json.dumps(event).encode()


BAD = (b'{"type": "request"', b"[7, 8", b"", b'{"type": "nonsense"}')


async def send(bootstrap: str, topic: str, values: Sequence[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


@contextmanager
def saved(client: Client, table: str, where: str) -> Iterator[None]:
    """Keep the rows of `where` and put them back, as they were, whatever happened to them."""
    name = f"saved_{table}"
    client.command(f"CREATE TABLE {name} AS {table}")
    client.command(f"INSERT INTO {name} SELECT * FROM {table} WHERE {where}")
    try:
        yield
    finally:
        client.command(f"ALTER TABLE {table} DELETE WHERE {where}", settings=SYNC)
        client.command(
            f"INSERT INTO {table} SELECT * FROM {name}",
            settings={"insert_deduplicate": 0, "insert_deduplication_token": str(uuid.uuid4())},
        )
        client.command(f"DROP TABLE {name} SYNC")


def report_of(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = pipeline.run("verify", "--json", *options)
    return code, json.loads(capsys.readouterr().out)


def kinds(report: dict[str, Any]) -> set[str]:
    return {fault["kind"] for fault in report["mismatches"]}


def follow(pipeline: Pipeline, remedy: dict[str, Any]) -> None:
    assert pipeline.run(*remedy["command"].removeprefix("tokentide ").split()) == 0


def documented(name: str) -> str:
    docs = (ROOT / "docs" / "operations.md").read_text()
    block = docs.partition(f"<!-- {name}: begin -->")[2].partition(f"<!-- {name}: end -->")[0]
    return block.partition("```sql")[2].partition("```")[0].strip()


def place_of(fault: dict[str, Any]) -> dict[str, str | int]:
    """Return the batch that a fault names."""
    found = re.fullmatch(r"(.+)/(\d+) \[(\d+), (\d+)\) of log (.+)", fault["where"])
    assert found is not None, fault
    topic, partition, start, end, log_id = found.groups()
    numbers = {"partition": int(partition), "start": int(start), "end": int(end)}
    return {"log_id": log_id, "topic": topic, **numbers}


def one_place(client: Client) -> str:
    row = client.query(
        "SELECT _partition, _offset, _idx FROM raw_requests ORDER BY _partition, _offset, _idx "
        "LIMIT 1 OFFSET 20"
    ).result_rows[0]
    return "_partition = {} AND _offset = {} AND _idx = {}".format(*row)


def fresh_dead_letters(pipeline: Pipeline) -> list[StoredDeadLetter]:
    """Have four new dead letters, none of them handled, and no other open one."""
    info = pipeline.stack.info
    assert pipeline.run("dlq", "replay", "--all") == 0
    asyncio.run(send(info.kafka, info.events_topic, BAD))
    assert pipeline.run("verify", "--wait", "120", "--json") == 0
    with closing(ClickHouse(info.clickhouse_dsn, "tokentide")) as store:
        found = DeadLetterStore(store).find(Selection(states=("open",)), 100)
    assert len(found) == len(BAD)
    return found


def take_out_and_let_in(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    """Take one event out, send it again, let it in again; everything is proven after each step."""
    client, info = pipeline.client, pipeline.stack.info
    rows = "SELECT * FROM raw_requests ORDER BY _partition, _offset, _idx"
    before, right = report_of(pipeline, capsys)[1], client.query(rows).result_rows
    event_id = client.command(
        f"SELECT toString(event_id) FROM raw_requests WHERE {one_place(client)}"
    )
    sent_again = json.loads(good(1)) | {"event_id": event_id}
    reason = ("--reason", "a test in production")
    assert pipeline.run("void", str(event_id), str(uuid.uuid4()), *reason) == 2
    assert pipeline.run("void", str(event_id), *reason) == 0

    code, report = report_of(pipeline, capsys)
    assert (code, report["voided"]) == (0, 1)
    assert report["raw_events"] == before["raw_events"] - 1
    stored = report["raw_events"] + report["voided"] + report["dead_letters"]
    assert report["kafka_events"] == stored
    assert float(report["raw_cost_usd"]) < float(before["raw_cost_usd"])
    assert pipeline.run("verify") == 0
    assert "+ 1 taken out" in capsys.readouterr().out
    assert pipeline.run("repair", "--from-log") == 0
    assert "nothing to do" in capsys.readouterr().out

    # By now the worker knows: it looks every second.
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        asyncio.run(send(info.kafka, info.events_topic, [json.dumps(sent_again).encode()]))
        assert pipeline.run("verify", "--wait", "120", "--json") in (0, 1)
        if client.command("SELECT count() FROM dead_letters WHERE reason = 'voided'"):
            break
    assert pipeline.run("void", str(event_id), *reason) == 0  # what came in its very second
    code, report = report_of(pipeline, capsys)
    assert (code, report["raw_events"]) == (0, before["raw_events"] - 1)

    assert pipeline.run("void", str(event_id), *reason, "--undo", "--dry-run") == 0
    assert pipeline.run("void", str(event_id), *reason, "--undo") == 0
    code, report = report_of(pipeline, capsys)
    assert (code, report["voided"]) == (0, 0)
    found = client.query(rows).result_rows
    assert [row for row in found if row in right] == right
    assert pipeline.run("void", str(uuid.uuid4()), *reason, "--undo") == 2
